"""How a run of a sync begins and ends: what its row says, when the next one is, what the audit remembers."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.models import Connection
from integrations.models import SyncState
from integrations.runtime.storing import UNSTORABLE
from integrations.sdk import Reconnect, Sync, TryLater, VendorError
from navi.audit.actor import SYSTEM
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.audit.redact import redact
from navi.jobs.ledger import enqueue

KIND = "sync"  # of the jobs on the ledger
# A run that was heard of no more is looked after when this has passed since its last page.
GUARD = timedelta(minutes=10)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
LONGEST_WAIT = timedelta(days=1)  # however long a vendor says
LOOK_AGAIN = timedelta(hours=1)  # at what is switched off
JITTER = 0.1
LEAVING = "leaving"  # the error code of a row whose part is no longer chosen
CLOSED = ("disabled", "blocked", "unknown")


class Overtaken(Exception):
    """Somebody else moved this sync on, or away, since it was loaded: what was read is not stored."""


def spread(every: timedelta) -> timedelta:
    return every * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreading, not secrecy


def was_cut_off(state: SyncState) -> bool:
    """Has the last run not come to its end?"""
    if state.started_at is None:
        return False
    return state.succeeded_at is None or state.succeeded_at < state.started_at


def held(state: SyncState) -> SyncState:
    """The row, locked until the commit, if it is still where `state` was loaded. Raises Overtaken."""
    row = SyncState.objects.select_for_update().filter(pk=state.pk).first()
    if row is None or row.error_code == LEAVING or place_of(row) != place_of(state):
        raise Overtaken
    return row


def place_of(state: SyncState) -> tuple[Any, ...]:
    return state.cursor, state.epoch, state.pages, state.started_at


# --- the beginning


@transaction.atomic
def begin(state: SyncState, *, at: datetime) -> SyncState | None:
    """The row of a run that is under way, begun where it was due; None where there is nothing to do.

    A pass over everything that was cut off goes on where it stopped.
    """
    row = SyncState.objects.select_for_update().filter(pk=state.pk).first()
    if row is None or row.is_paused or row.error_code == LEAVING:
        return None
    is_under_way = row.phase == SyncState.Phase.RUNNING
    if not is_under_way and row.next_run_at > at:
        return None
    if not is_under_way or (row.cursor is None and not is_at_first_page(row)):
        start(row, at)
    # As they were loaded, with all that hangs on them.
    row.connection, row.project = state.connection, state.project
    return row


def is_at_first_page(row: SyncState) -> bool:
    """A pass over everything has begun and stored nothing. To begin it anew would throw away what another
    worker is just reading, again and again where somebody asks often."""
    return row.is_full and row.page_at is None


def start(row: SyncState, at: datetime) -> None:
    is_new = row.cursor is None
    row.is_full = is_new or (row.is_full and was_cut_off(row))
    row.epoch += is_new
    row.pages = row.seen = row.changed = row.deleted = 0
    row.total = None
    row.phase, row.started_at, row.page_at = SyncState.Phase.RUNNING, at, None
    row.next_run_at = at + GUARD
    row.save()


@transaction.atomic
def from_the_beginning(state: SyncState) -> SyncState:
    """The vendor has forgotten the cursor: the same run reads everything again. Raises Overtaken."""
    row = held(state)
    row.cursor, row.epoch, row.is_full, row.page_at = None, row.epoch + 1, True, None
    row.pages = row.seen = row.changed = row.deleted = 0
    row.save()
    row.connection, row.project = state.connection, state.project
    return row


# --- the end


def succeed(row: SyncState, sync: Sync, *, at: datetime) -> None:
    """The run is complete; it runs again at once where somebody has asked meanwhile. Inside a transaction."""
    asked_again = row.next_run_at <= at
    row.phase, row.finished_at, row.succeeded_at = SyncState.Phase.IDLE, at, at
    row.error_count, row.error_code, row.error_message = 0, "", ""
    if sync.direction == "pull" or row.seen:  # that nothing waited to be sent is no news
        remember(row, at=at)
    if not asked_again:
        row.next_run_at, row.asked_by = at + spread(sync.every), ""
    row.save()
    if asked_again and not row.is_paused:
        enqueue(KIND, str(row.pk))


def fail(state: SyncState, error: Exception, *, every: timedelta, forgets: bool = False) -> None:
    """The run ends before its end, and the next one begins later. `forgets`: it begins from the beginning."""
    at = timezone.now()
    with transaction.atomic():
        row = SyncState.objects.select_for_update().filter(pk=state.pk).first()
        if row is None or row.error_code == LEAVING:
            return
        row.connection, row.project = state.connection, state.project
        row.phase, row.finished_at = SyncState.Phase.FAILED, at
        row.error_count += 1
        row.error_code = str(getattr(error, "code", "internal"))[:40]
        row.error_message = storable_words(getattr(error, "message", "Navi failed."))
        row.next_run_at = next_run(row, error, every, at)
        remember(row, at=at)
        row.asked_by = ""
        row.cursor = None if forgets else row.cursor
        row.save()


def put_off(state: SyncState, problem: Problem) -> None:
    """It may not run here now; that is no failure. A switch that is turned on makes it due at once."""
    SyncState.objects.filter(pk=state.pk).exclude(error_code=LEAVING).update(
        phase=SyncState.Phase.IDLE,
        error_code=problem.code,
        error_message=storable_words(problem.message),
        next_run_at=timezone.now() + spread(LOOK_AGAIN),
    )


def storable_words(words: str) -> str:
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", redact(words))[:300]


def next_run(row: SyncState, error: Exception, every: timedelta, at: datetime) -> datetime:
    """When the vendor says so, else a pause that grows; what needs a person waits for the connection."""
    if isinstance(error, Reconnect) or getattr(error, "code", "") == "reauth_required":
        usable = Connection.objects.filter(pk=row.connection_id).first()
        # Due, but not taken up before the connection is well again.
        return at if usable is None or not usable.is_usable else at + pause(row.error_count, every)
    if isinstance(error, TryLater) and error.retry_at:
        return min(max(error.retry_at, at + timedelta(seconds=1)), at + LONGEST_WAIT)
    if isinstance(error, VendorError | Problem) and not isinstance(error, TryLater):
        return at + spread(max(every, pause(row.error_count, every)))
    return at + pause(row.error_count, every)


def pause(failures: int, every: timedelta) -> timedelta:
    longest = max(every, LONGEST_PAUSE)
    return spread(min(FIRST_PAUSE * 2 ** min(max(failures, 1) - 1, 20), longest))


def remember(row: SyncState, *, at: datetime) -> None:
    """One event for each run."""
    started = row.started_at or at
    record(
        "sync.run", actor=SYSTEM, project=row.project, plugin=row.plugin, provider=row.connection.provider,
        connection=row.connection, outcome="failed" if row.error_code else "ok", code=row.error_code,
        duration_ms=max(0, int((at - started).total_seconds() * 1000)),
        detail={
            "kind": row.kind, "part": row.part, "full": row.is_full, "pages": row.pages, "seen": row.seen,
            "changed": row.changed, "deleted": row.deleted, "askedBy": row.asked_by, "error": row.error_message,
        },
    )  # fmt: skip
