"""Which syncs there are, and when each one runs: rows for what is connected and chosen, jobs for what is due."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from credentials.models import USABLE, AuthKind, Connection
from integrations import registry
from integrations.models import IntegrationDefault, SyncState
from integrations.models import Provider as ProviderRow
from integrations.registry import Entry
from integrations.runtime import records, toggles
from integrations.runtime.pacing import A_SECOND, WITHIN, spread
from integrations.runtime.plan import lacking_of
from integrations.runtime.records import Drawer
from integrations.runtime.storing import storable_id
from integrations.runtime.sync_ends import KIND, LEAVING, LOOK_AGAIN, fail, was_cut_off
from integrations.runtime.sync_ends import spread as jittered
from integrations.sdk import Plugin, Sync
from integrations.sdk.sync import EVERY
from navi.audit.problems import Problem
from navi.jobs.heartbeat import beat
from navi.jobs.ledger import enqueue, enqueue_all
from navi.jobs.models import Job
from navi.projects.models import Project

log = logging.getLogger(__name__)
LEAVE = "sync_leave"  # the job that removes the records of a part that is no longer chosen
A_MINUTE = A_SECOND * int(WITHIN.total_seconds())  # of one provider
LEFT_AT_ONCE = 5000
ARRANGED_EVERY = timedelta(minutes=5)
Key = tuple[uuid.UUID, str, str, str]  # connection, plugin, kind, part


# --- which syncs there are


def arrange(project: Project, provider: str = "") -> None:
    """Make the rows what connections and settings say; what failed for want of them is due again.

    Called when something is connected, set or switched, and by the clock as the truth. Cheap where nothing
    is to be changed: a query for the connections, one for the rows, one for each plugin's settings.
    """
    connections = Connection.objects.standing().of_project(project.pk).exclude(auth_kind=AuthKind.CLI)
    rows = SyncState.objects.in_project(project)
    if provider:
        slugs = [plugin.slug for plugin in plugins_of(provider)]
        connections, rows = connections.filter(provider=provider), rows.filter(plugin__in=slugs)
    wanted = dict(wanted_by(project, list(connections.in_order_of_resolution())))
    known = {key_of(row): row for row in rows}
    add(project, [key for key, granted in wanted.items() if granted and key not in known])
    readmit([row for key, row in known.items() if key in wanted and row.error_code == LEAVING])
    leave([row for key, row in known.items() if key not in wanted and is_ours_to_judge(row)])


def key_of(row: SyncState) -> Key:
    return row.connection_id, row.plugin, row.kind, row.part


def plugins_of(provider: str) -> tuple[Plugin, ...]:
    entry = registry.installed().entries.get(provider)
    return entry.plugins if entry else ()


def wanted_by(project: Project, connections: Iterable[Connection]) -> Iterator[tuple[Key, bool]]:
    """What is to be synced, and whether the account has granted what that needs.

    Without the grant no row is made; one that is there stays, and says what is missing.
    """
    settings: dict[str, dict[str, Any]] = {}
    for connection in connections:
        entry = registry.installed().entries.get(connection.provider)
        for sync in syncs_of(entry):
            slug = sync.plugin.slug
            if slug not in settings:
                settings[slug] = toggles.settings_of(sync.plugin, project)
            granted = entry is not None and not lacking_of(sync.scopes, connection, entry)
            for part in parts_of(sync, settings[slug]):
                yield (connection.pk, slug, sync.kind, part), granted


def syncs_of(entry: Entry | None) -> Iterator[Sync]:
    for plugin in entry.plugins if entry else ():
        yield from plugin.syncs.values()


def parts_of(sync: Sync, settings: dict[str, Any]) -> list[str]:
    """Parts whose names their column cannot take are left out; the plugin's own fault stops nobody else."""
    try:
        parts = [str(part) for part in sync.parts_of(settings)]
    except Exception:
        log.exception("The plugin %s cannot say which parts of %s to sync", sync.plugin.slug, sync.kind)
        rows = SyncState.objects.filter(plugin=sync.plugin.slug, kind=sync.kind)
        return list(rows.exclude(error_code=LEAVING).values_list("part", flat=True).distinct())
    return [part for part in parts if storable_id(part) == part]


def is_ours_to_judge(row: SyncState) -> bool:
    """The rows of a plugin that is not installed now wait for it."""
    return row.error_code != LEAVING and row.plugin in registry.installed().plugins


def add(project: Project, keys: Iterable[Key]) -> None:
    rows = [
        SyncState(project=project, connection_id=connection, plugin=plugin, kind=kind, part=part)
        for connection, plugin, kind, part in keys
    ]
    if rows:
        SyncState.objects.bulk_create(rows, ignore_conflicts=True)


def readmit(rows: Iterable[SyncState]) -> None:
    """Chosen again before its records were gone: it starts anew."""
    SyncState.objects.filter(pk__in=[row.pk for row in rows], error_code=LEAVING).update(
        error_code="", error_message="", is_paused=False, cursor=None, next_run_at=timezone.now()
    )


def leave(rows: list[SyncState]) -> None:
    """No longer chosen. Its records become tombstones, in a job since there may be many."""
    if not rows:
        return
    with transaction.atomic():
        SyncState.objects.filter(pk__in=[row.pk for row in rows]).update(
            error_code=LEAVING, error_message="", is_paused=True, phase=SyncState.Phase.IDLE
        )
        for row in rows:
            enqueue(LEAVE, str(row.pk))


def run_leave(state_id: str) -> None:
    """The ledger's handler: tombstones for the records of a part that is no longer chosen, then its row goes."""
    rows = SyncState.objects.filter(pk=state_id, error_code=LEAVING)
    state = rows.select_related("connection", "project").first()
    if state is None:
        return
    # Chosen again meanwhile, it is read in a later pass, and what that met stays.
    records.bury(Drawer.of(state), Q(epoch__lte=state.epoch), at=timezone.now())
    rows.delete()


def arrange_all() -> None:
    """The truth, every few minutes: whatever was missed when something was connected, set or switched."""
    if not beat("sync_rows", at=timezone.now(), at_least_apart=ARRANGED_EVERY):
        return
    for project in Project.objects.filter(archived_at=None, pk__in=with_something_to_sync()):
        arrange(project)
    for pk in SyncState.objects.filter(error_code=LEAVING).values_list("pk", flat=True)[:LEFT_AT_ONCE]:
        enqueue(LEAVE, str(pk))


def with_something_to_sync() -> Any:
    installed = registry.installed()
    providers = {plugin.provider for plugin in installed.plugins.values() if plugin.syncs}
    connected = Connection.objects.standing().filter(provider__in=providers, user=None)
    return connected.values("project_id")


def changed(project: Project, provider: str) -> None:
    """Something of this provider was connected, set or switched: arrange, and take up what waited for it."""
    arrange(project, provider)
    slugs = [plugin.slug for plugin in plugins_of(provider)]
    waits = SyncState.objects.in_project(project).filter(plugin__in=slugs, is_paused=False)
    waits.exclude(error_code__in=["", LEAVING]).exclude(phase=SyncState.Phase.RUNNING).update(
        next_run_at=timezone.now()
    )


# --- when each one runs


def enqueue_due() -> None:
    """Each minute: jobs for what is due, ten of one provider in a second and 600 in a minute at most."""
    now = timezone.now()
    rows = SyncState.objects.due(now).exclude(error_code=LEAVING).filter(project__archived_at=None)
    rows = rows.filter(connection__enabled=True, connection__state__in=USABLE)
    due = fairly(rows.select_related("connection", "project"))
    open_ones = list(without_closed(due, now))
    lost = lost_among(open_ones)
    for row in lost:
        end_cut_off(row)
    gone = {row.pk for row in lost}
    enqueue_all(
        KIND, spread([(row.pk, row.connection.provider) for row in open_ones if row.pk not in gone], at=now)
    )


def fairly(rows: Any) -> list[SyncState]:
    """Of each provider as many as may begin in a minute: thousands of one that lag behind hold no other up."""
    providers = rows.order_by().values_list("connection__provider", flat=True).distinct()
    return [row for name in providers for row in rows.filter(connection__provider=name)[:A_MINUTE]]


def without_closed(due: list[SyncState], now: datetime) -> Iterator[SyncState]:
    """Those whose provider is switched on here; the others are looked at again later, or when it is."""
    switches = Switches.of(due)
    closed = []
    for row in due:
        problem = switches.closed(row)
        if problem is None:
            yield row
        else:
            closed.append(row.pk)
    for some in records.chunks(closed):
        SyncState.objects.filter(pk__in=some).update(
            next_run_at=now + jittered(LOOK_AGAIN), phase=SyncState.Phase.IDLE,
            error_code="disabled", error_message="It is switched off in this project.",
        )  # fmt: skip


@dataclass(frozen=True)
class Switches:
    """What is on and off for many projects at once: two queries."""

    by_project: dict[tuple[Any, str, str], bool]
    operators: dict[str, ProviderRow]

    @classmethod
    def of(cls, due: list[SyncState]) -> Switches:
        if not due:
            return cls({}, {})
        rows = IntegrationDefault.objects.filter(
            project__sync_states__next_run_at__lte=timezone.now(), enabled__isnull=False
        )
        found = rows.values_list("project_id", "provider", "plugin", "enabled").distinct()
        operators = {row.slug: row for row in ProviderRow.objects.all()}
        return cls({(one, provider, plugin): bool(on) for one, provider, plugin, on in found}, operators)

    def closed(self, row: SyncState) -> Problem | None:
        """The same as policy.check_open without a person, for a row at hand; and the plugin's own switch."""
        provider, operator = row.connection.provider, self.operators.get(row.connection.provider)
        if operator and operator.is_blocked:
            return Problem("blocked", "An operator has blocked it.")
        entry = registry.installed().entries.get(provider)
        usual = entry.provider.defaults.enabled if entry else True
        if operator and operator.enabled is not None:
            usual = operator.enabled
        is_on = self.by_project.get((row.project_id, provider, ""), usual)
        is_on = is_on and self.by_project.get((row.project_id, provider, row.plugin), True)
        return None if is_on else Problem("disabled", "It is switched off in this project.")


def lost_among(rows: list[SyncState]) -> list[SyncState]:
    """Runs that began, were heard of no more, and have no job any longer: their attempts are used up."""
    silent = [row for row in rows if row.phase == SyncState.Phase.RUNNING and was_cut_off(row)]
    names = [str(row.pk) for row in silent]
    waiting = set(
        Job.objects.waiting().filter(kind=KIND, object_id__in=names).values_list("object_id", flat=True)
    )
    return [row for row in silent if str(row.pk) not in waiting]


def end_cut_off(row: SyncState) -> None:
    plugin = registry.installed().plugins.get(row.plugin)
    sync = plugin.syncs.get(row.kind) if plugin else None
    words = "The run was cut off several times in the middle of a page. Navi goes on from there later."
    fail(row, Problem("internal", words), every=sync.every if sync else EVERY)
