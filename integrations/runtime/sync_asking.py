"""What people, agents and webhooks may do with syncs: ask for a run, pause, resume, look."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from credentials.models import Connection
from integrations import registry
from integrations.models import Discovered, Record, SyncState
from integrations.runtime.sync_ends import KIND, LEAVING
from integrations.sdk import Plugin
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.jobs.ledger import enqueue
from navi.projects.models import Project


def ask(
    connection: Connection, plugin_slug: str, kinds: Collection[str], *, part: str = "", asked_by: str = ""
) -> list[SyncState]:
    """Make these syncs due now; their rows. `part` empty: all parts.

    Safe inside a transaction (after `records.keep`, not before it: both lock). Many asks become one run; what
    is asked for while a run is under way is done by one more run after it. Paused ones stay paused.
    """
    rows = standing(connection.project_id, plugin_slug).filter(connection=connection, kind__in=kinds)
    if part:
        rows = rows.filter(part=part)
    found = list(rows)
    make_due([row for row in found if not row.is_paused], asked_by=asked_by)
    return found


def make_due(rows: Sequence[SyncState], *, asked_by: str = "", **changes: Any) -> None:
    SyncState.objects.filter(pk__in=[row.pk for row in rows]).update(
        next_run_at=timezone.now(), asked_by=asked_by[:160], **changes
    )
    for row in rows:
        enqueue(KIND, str(row.pk))


def standing(project_id: Any, plugin_slug: str = "") -> Any:
    """The syncs of a project, without those that are being removed."""
    rows = SyncState.objects.filter(project_id=project_id).exclude(error_code=LEAVING)
    return rows.filter(plugin=plugin_slug) if plugin_slug else rows


@dataclass(frozen=True)
class Wanted:
    """Which syncs of a plugin somebody means; what is empty means all."""

    kinds: Sequence[str] = ()
    part: str | None = None
    connection: str = ""  # its id or its label

    def among(self, rows: Iterable[SyncState]) -> list[SyncState]:
        return [row for row in rows if self.means(row)]

    def means(self, row: SyncState) -> bool:
        if self.kinds and row.kind not in self.kinds:
            return False
        if self.part is not None and row.part != self.part:
            return False
        return not self.connection or self.connection in {
            str(row.connection_id),
            row.connection_id.hex,
            row.connection.label,
        }


def request(
    project: Project, plugin: Plugin, wanted: Wanted, *, actor: Actor, full: bool = False
) -> list[SyncState]:
    """A person or an agent asks for a run; `full`: everything is read again. Raises Problem."""
    rows = wanted.among(known(project, plugin))
    check_found(plugin, wanted, rows)
    with transaction.atomic():
        changes = {"cursor": None} if full else {}
        make_due([row for row in rows if not row.is_paused], asked_by=actor.label, **changes)
        note("sync.asked", project, plugin, rows, actor, full=full)
    return wanted.among(states(project, plugin.slug))


def check_found(plugin: Plugin, wanted: Wanted, rows: Sequence[SyncState]) -> None:
    for kind in wanted.kinds:
        if kind not in plugin.syncs:
            has = ", ".join(plugin.syncs) or "none"
            words = f"{plugin.name} has no sync of “{kind}”; it has {has}."
            raise Problem("invalid_input", words, field="kinds", provider=plugin.provider)
    if not rows and not plugin.syncs:
        raise Problem("invalid_input", f"{plugin.name} has nothing to sync.", provider=plugin.provider)
    if not rows and (wanted.part is not None or wanted.connection):
        raise Problem("unknown", "There is no such sync here.", provider=plugin.provider)
    if not rows:
        words = (
            f"No account of this project syncs with {plugin.name}. Connect one for this project only, and "
            "choose in the plugin's settings what to sync."
        )
        raise Problem("not_connected", words, provider=plugin.provider)


def pause(project: Project, plugin: Plugin, wanted: Wanted, *, actor: Actor) -> list[SyncState]:
    """Hold these. A run under way stores its page and stops; it goes on there when it is resumed."""
    rows = [row for row in wanted.among(known(project, plugin)) if not row.is_paused]
    with transaction.atomic():
        SyncState.objects.filter(pk__in=[row.pk for row in rows]).update(
            is_paused=True, phase=SyncState.Phase.IDLE
        )
        if rows:
            note("sync.paused", project, plugin, rows, actor)
    return wanted.among(states(project, plugin.slug))


def resume(project: Project, plugin: Plugin, wanted: Wanted, *, actor: Actor) -> list[SyncState]:
    rows = [row for row in wanted.among(known(project, plugin)) if row.is_paused]
    with transaction.atomic():
        make_due(rows, asked_by=actor.label, is_paused=False)
        if rows:
            note("sync.resumed", project, plugin, rows, actor)
    return wanted.among(states(project, plugin.slug))


def note(
    event: str, project: Project, plugin: Plugin, rows: Sequence[SyncState], actor: Actor, **more: Any
) -> None:
    connections = {row.connection_id: row.connection for row in rows}
    record(
        event, actor=actor, project=project, provider=plugin.provider, plugin=plugin.slug,
        connection=next(iter(connections.values())) if len(connections) == 1 else None,
        detail={"syncs": [f"{row.kind} {row.part}".strip() for row in rows[:20]], "count": len(rows), **more},
    )  # fmt: skip


# --- looking


def known(project: Project, plugin: Plugin) -> list[SyncState]:
    return list(standing(project.pk, plugin.slug).select_related("connection"))


@dataclass
class Told:
    """A state with what stands beside it: how many records there are, what its part is called."""

    state: SyncState
    records: int
    part_label: str
    title: str
    direction: str = "pull"


def states(project: Project, plugin_slug: str) -> list[SyncState]:
    """The syncs of one plugin in this project, with their connections."""
    rows = standing(project.pk, plugin_slug).select_related("connection")
    return list(rows.order_by("-connection__is_default", "connection__created_at", "kind", "part"))


def told(rows: Sequence[SyncState], plugin: Plugin) -> list[Told]:
    """The rows with their counts and labels: two queries."""
    if not rows:
        return []
    counts, labels = counts_of(rows[0].project_id, plugin.slug), labels_of(rows)
    return [
        Told(
            row,
            counts.get((row.connection_id, row.kind, row.part), 0),
            labels.get((row.connection_id, row.part), row.part),
            plugin.syncs[row.kind].title if row.kind in plugin.syncs else row.kind,
            plugin.syncs[row.kind].direction if row.kind in plugin.syncs else "pull",
        )
        for row in rows
    ]


def counts_of(project_id: Any, plugin_slug: str) -> dict[tuple[Any, str, str], int]:
    rows = Record.objects.filter(project_id=project_id, plugin=plugin_slug, is_deleted=False).order_by()
    grouped = rows.values_list("connection_id", "kind", "part").annotate(count=Count("pk"))
    return {(connection, kind, part): count for connection, kind, part, count in grouped}


def labels_of(rows: Sequence[SyncState]) -> Mapping[tuple[Any, str], str]:
    """What the vendor calls the parts, as the last discovery had it."""
    found = Discovered.objects.filter(connection_id__in={row.connection_id for row in rows})
    return {
        (connection_id, str(choice.get("id"))): str(choice.get("label"))
        for connection_id, choices in found.values_list("connection_id", "choices")
        for choice in choices
        if isinstance(choice, dict)
    }


def plugins_that_sync(provider_slug: str) -> list[Plugin]:
    entry = registry.installed().entries.get(provider_slug)
    return [plugin for plugin in entry.plugins if plugin.syncs] if entry else []
