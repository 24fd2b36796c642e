"""Keep what vendors have: write what changed, mark what is gone, give it to readers in its order."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection
from integrations import registry
from integrations.models import Record, RecordClock, SyncState
from integrations.runtime.storing import Ready, ready
from integrations.sdk.sync import KEPT, Item, Sync
from navi.audit.actor import SYSTEM
from navi.audit.record import record
from navi.jobs.heartbeat import beat
from navi.projects.models import Project

T = TypeVar("T")
Heap = tuple[uuid.UUID, str]  # a project's id, and "plugin.kind"
LOOK_FOR_VANISHED_EVERY = timedelta(hours=1)

# SQLite takes so many parameters in one statement, and a transaction should stay short.
AT_ONCE = 500
FORGOTTEN_AT_ONCE = 20 * AT_ONCE  # of one kind in one minute
CHANGES = ["data", "content_hash", "is_deleted", "epoch", "sequence", "changed_at"]


@dataclass(frozen=True)
class Counts:
    """How many records changed or came anew, and how many were deleted."""

    changed: int = 0
    deleted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.changed + other.changed, self.deleted + other.deleted)


@dataclass(frozen=True)
class Known:
    """What is stored of a thing, without its sealed body."""

    id: uuid.UUID
    content_hash: str
    is_deleted: bool
    epoch: int
    changed_at: datetime

    def was_deleted_since(self, asked_at: datetime | None, epoch: int) -> bool:
        """By a webhook, while the vendor was asked for the page of this pass: the page is the older word."""
        return (
            asked_at is not None and self.is_deleted and self.epoch == epoch and self.changed_at >= asked_at
        )


@dataclass(frozen=True)
class Drawer:
    """Where the records of one kind and part of one account lie."""

    connection: Connection
    plugin: str
    kind: str
    part: str = ""

    @classmethod
    def of(cls, state: SyncState) -> Drawer:
        return cls(state.connection, state.plugin, state.kind, state.part)

    @property
    def place(self) -> dict[str, Any]:
        return {
            "connection_id": self.connection.pk, "plugin": self.plugin, "kind": self.kind, "part": self.part,
        }  # fmt: skip

    @property
    def rows(self) -> Any:
        return Record.objects.filter(**self.place)


def keep(
    connection: Connection,
    plugin_slug: str,
    kind: str,
    items: Iterable[Item | Ready],
    *,
    part: str = "",
    epoch: int = 0,
    asked_at: datetime | None = None,
    at: datetime,
) -> Counts:
    """Store these items of a project's connection inside the caller's transaction: a few statements for a page.

    What is stored just so is not written again. `epoch`, `asked_at`: of the pass of a sync that met them, and
    when it asked; webhooks give none, and what they say is gone from a part is gone from the undivided whole,
    too. Large pages go through `storing.ready` before the transaction. Whoever calls it holds the project's
    clock until the commit: call it before you lock anything else. Raises VaultSealed.
    """
    fresh = ready(items)
    if not fresh:
        return Counts()
    drawer = Drawer(connection, plugin_slug, kind, part)
    clock = clock_of(connection)
    known = known_of(drawer, [one.id for one in fresh])
    pass_now = epoch or epoch_now(drawer)
    late = {name for name, one in known.items() if one.was_deleted_since(asked_at, pass_now)}
    fresh = [one for one in fresh if one.id not in late]
    touch_unchanged(fresh, known, pass_now)
    changed = [one for one in fresh if is_news(one, known.get(one.id))]
    write(drawer, clock, changed, known, pass_now, at)
    deleted = sum(one.is_deleted for one in changed)
    counts = Counts(len(changed) - deleted, deleted)
    gone = [one for one in fresh if one.is_deleted] if part and not epoch else []
    return counts + keep(connection, plugin_slug, kind, gone, at=at)


def clock_of(connection: Connection) -> RecordClock:
    """The project's clock, held until the commit: numbers become visible in the order they are given out."""
    rows = RecordClock.objects.select_for_update()
    clock, _ = rows.get_or_create(project_id=project_of(connection))
    return clock


def project_of(connection: Connection) -> uuid.UUID:
    if connection.project_id is None:
        raise ValueError("Records belong to a project; this account is a person's own.")
    return connection.project_id


def tick(clock: RecordClock, count: int = 1) -> int:
    """The first of so many new numbers."""
    first = clock.last + 1
    clock.last += count
    clock.save(update_fields=["last"])
    return first


def known_of(drawer: Drawer, ids: Sequence[str]) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for some in chunks(ids):
        rows = drawer.rows.filter(external_id__in=some)
        for name, *facts in rows.values_list(
            "external_id", "id", "content_hash", "is_deleted", "epoch", "changed_at"
        ):
            found[name] = Known(*facts)
    return found


def epoch_now(drawer: Drawer) -> int:
    """What a webhook brings while a pass is under way counts as met by it: the pass may have gone by already."""
    state = SyncState.objects.filter(**drawer.place).values_list("epoch", flat=True).first()
    return state or 0


def is_news(one: Ready, known: Known | None) -> bool:
    """Gone things that nobody has ever seen are none."""
    if known is None:
        return not one.is_deleted
    if one.is_deleted or known.is_deleted:
        return one.is_deleted != known.is_deleted
    return one.digest != known.content_hash


def touch_unchanged(fresh: Sequence[Ready], known: dict[str, Known], epoch: int) -> None:
    """A full pass has met them again."""
    met = [known[one.id] for one in fresh if one.id in known and not is_news(one, known[one.id])]
    stale = [one.id for one in met if one.epoch != epoch]
    for some in chunks(stale):
        Record.objects.filter(pk__in=some).update(epoch=epoch)


def write(
    drawer: Drawer, clock: RecordClock, changed: Sequence[Ready], known: dict[str, Known], epoch: int, at: datetime
) -> None:  # fmt: skip
    """New ones and changed ones in the same statements."""
    if not changed:
        return
    first = tick(clock, len(changed))
    rows = [
        Record(
            id=known[one.id].id if one.id in known else uuid.uuid4(),
            project_id=project_of(drawer.connection), external_id=one.id, **drawer.place,
            data=one.data, content_hash=one.digest, is_deleted=one.is_deleted, sequence=number,
            # Of a part that was left and chosen again, old rows have a higher one.
            epoch=epoch, first_seen_at=at, changed_at=at,
        )
        for number, one in enumerate(changed, first)
    ]  # fmt: skip
    Record.objects.bulk_create(
        rows, batch_size=AT_ONCE, update_conflicts=True, unique_fields=["id"], update_fields=CHANGES
    )


def chunks(many: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(many), AT_ONCE):
        yield many[start : start + AT_ONCE]


# --- what is gone


def lift(state: SyncState, epoch: int, *, since: datetime) -> None:
    """What webhooks brought after the vendor was asked counts as met by the pass that its answer begins."""
    heard = Drawer.of(state).rows.filter(epoch=state.epoch, is_deleted=False, changed_at__gte=since)
    heard.update(epoch=epoch)


def sweep_epoch(state: SyncState, *, at: datetime | None = None) -> int:
    """Tombstones for what a finished pass over everything has not met; how many."""
    return bury(Drawer.of(state), Q(epoch__lt=state.epoch), at=at or timezone.now())


def bury(drawer: Drawer, doomed: Q, *, at: datetime) -> int:
    """Make tombstones, each chunk in a transaction of its own and under one number; how many.

    Cut off in the middle, it goes on when it is called again.
    """
    living, count = drawer.rows.filter(doomed, is_deleted=False), 0
    while living.exists():
        with transaction.atomic():
            # The clock first: else a webhook could bring one of them anew between the two statements.
            clock = clock_of(drawer.connection)
            some = list(living.values_list("pk", flat=True)[:AT_ONCE])
            count += Record.objects.filter(pk__in=some).update(
                data=None, content_hash="", is_deleted=True, sequence=tick(clock), changed_at=at
            )
    return count


# --- what is forgotten


def forget_old() -> None:
    """Each minute: delete tombstones that were kept long enough; each hour what no plugin speaks of any more."""
    now = timezone.now()
    forgotten = Counter(old_tombstones(now))
    if beat("records", at=now, at_least_apart=LOOK_FOR_VANISHED_EVERY):
        forgotten.update(vanished_kinds())
    by_project: dict[uuid.UUID, dict[str, int]] = {}
    for (project_id, name), count in forgotten.items():
        by_project.setdefault(project_id, {})[name] = count
    for project in Project.objects.filter(pk__in=by_project):
        told = by_project[project.pk]
        providers = {provider_of(name.partition(".")[0]) for name in told}
        provider = providers.pop() if len(providers) == 1 else ""
        record("records.forgotten", actor=SYSTEM, project=project, provider=provider, detail=told)


def provider_of(slug: str) -> str:
    plugin = registry.installed().plugins.get(slug)
    return plugin.provider if plugin else slug


def old_tombstones(now: datetime) -> dict[Heap, int]:
    shortest = min([KEPT, *(sync.kept for sync in all_syncs().values())])
    old = Record.objects.filter(is_deleted=True, changed_at__lt=now - shortest)
    kinds = list(old.values_list("project_id", "plugin", "kind").order_by().distinct())
    return {
        (project_id, f"{plugin}.{kind}"): count
        for project_id, plugin, kind in kinds
        if (
            count := forget(
                Record.objects.filter(
                    project_id=project_id, plugin=plugin, kind=kind, is_deleted=True,
                    changed_at__lt=now - kept_of(plugin, kind),
                )
            )
        )
    }  # fmt: skip


def vanished_kinds() -> dict[Heap, int]:
    """A plugin that is not installed now may come back; a kind that its plugin no longer names does not."""
    kinds = list(Record.objects.values_list("project_id", "plugin", "kind").order_by().distinct())
    return {
        (project_id, f"{plugin}.{kind}"): forget(
            Record.objects.filter(project_id=project_id, plugin=plugin, kind=kind)
        )
        for project_id, plugin, kind in kinds
        if plugin in registry.installed().plugins
        and kind not in registry.installed().plugins[plugin].record_kinds
    }


def all_syncs() -> dict[tuple[str, str], Sync]:
    return {
        (slug, kind): sync
        for slug, plugin in registry.installed().plugins.items()
        for kind, sync in plugin.syncs.items()
    }


def kept_of(plugin: str, kind: str) -> timedelta:
    sync = all_syncs().get((plugin, kind))
    return sync.kept if sync else KEPT


def forget(rows: Any) -> int:
    """Delete them, so many in a minute and each chunk by itself; how many."""
    doomed = list(rows.order_by().values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    # Through the same filter: a tombstone may have come to life since.
    return sum(rows.filter(pk__in=some).delete()[0] for some in chunks(doomed))
