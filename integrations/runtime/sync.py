"""Bring home what changed at a vendor: one page for each job, its cursor stored together with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, transaction
from django.utils import timezone
from pydantic_core import to_jsonable_python

from credentials.failpoints import reach
from credentials.models import Connection
from credentials.vault import VaultSealed
from integrations import policy, registry
from integrations.models import SyncState
from integrations.registry import Entry
from integrations.runtime import grants, pushing, records, recovery, toggles
from integrations.runtime.plan import lacking_of
from integrations.runtime.reach import client_for
from integrations.runtime.records import Counts
from integrations.runtime.storing import Ready, ready, storable
from integrations.runtime.sync_asking import ask as ask
from integrations.runtime.sync_asking import states as states
from integrations.runtime.sync_ends import (
    CLOSED,
    GUARD,
    Overtaken,
    begin,
    fail,
    from_the_beginning,
    held,
    put_off,
    succeed,
)
from integrations.runtime.sync_ends import KIND as KIND
from integrations.runtime.vendor import understood, without_secrets
from integrations.sdk import Client, Item, Page, Place, Plugin, Reconnect, StartOver, Sync, VendorError
from integrations.sdk.sync import EVERY
from navi.audit.problems import Problem
from navi.jobs.ledger import enqueue

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=3)  # for one page


class PluginFailed(Exception):
    """The plugin's own fault; the words say which."""

    code = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Turn:
    """One sync that may read its next page."""

    state: SyncState
    entry: Entry
    plugin: Plugin
    sync: Sync

    @property
    def connection(self) -> Connection:
        return self.state.connection


@dataclass(frozen=True)
class Read:
    """A page as it can be stored."""

    page: Page
    items: Sequence[Ready]
    cursor: Any
    asked_at: datetime


def run_job(state_id: str) -> None:
    """The ledger's handler: one page of one sync, or what a push sync has to send."""
    state = usable(state_id)
    if state is None or (state := begin(state, at=timezone.now())) is None:
        return
    every = EVERY
    try:
        turn = opened(state)
        every = turn.sync.every
        if turn.sync.direction == "push":
            send(turn)
        else:
            read_page(turn)
    except Overtaken:
        return
    except Problem as problem:
        put_off(state, problem) if problem.code in CLOSED else fail(state, problem, every=every)
    except VaultSealed as problem:
        fail(state, Problem("sealed", f"Navi cannot open secrets now: {problem}"), every=every)
    except StartOver:
        words = "The vendor asks for everything again, and again. Navi begins anew later."
        fail(state, PluginFailed(words), every=every, forgets=True)
    except (VendorError, PluginFailed) as error:
        fail(state, error, every=every)


def usable(state_id: str) -> SyncState | None:
    """The state with what it needs; None where its project or its account cannot be used now."""
    rows = SyncState.objects.select_related("connection__current", "connection__app", "project")
    state = rows.filter(pk=state_id, project__archived_at=None).first()
    if state is None:
        return None
    # One connection for all: its project is the state's.
    state.connection.project = state.project
    return state if state.connection.is_usable else None


def opened(state: SyncState) -> Turn:
    """Is all of it installed, switched on and granted? Raises Problem."""
    entry, plugin = registry.plugin(state.plugin, state.project_id)
    sync = plugin.syncs.get(state.kind)
    if sync is None:
        raise Problem("unknown", f"{plugin.name} no longer syncs “{state.kind}”.")
    standing = policy.standing(entry, project_id=state.project_id, user_id=None)
    policy.check_open(entry, standing.effective_of(plugin))
    lacking = lacking_of(sync.scopes, state.connection, entry)
    if lacking:
        words = f"The connected account has not granted {', '.join(lacking)}. Reconnect and allow it."
        raise Problem("missing_scopes", words, missing_scopes=lacking, provider=entry.slug)
    return Turn(state, entry, plugin, sync)


def send(turn: Turn) -> None:
    """The queued runs of a push sync, in their order."""
    pushing.send(turn.state)
    with transaction.atomic():
        row = SyncState.objects.select_for_update().filter(pk=turn.state.pk).first()
        if row is not None:
            succeed(row, turn.sync, at=timezone.now())


# --- one page


def read_page(turn: Turn) -> None:
    reach("sync.before_page")
    try:
        read = fetched(turn)
    except StartOver:
        if has_begun_anew(turn.state):
            raise
        turn = replace(turn, state=from_the_beginning(turn.state))
        read = fetched(turn)
    reach("sync.after_page")
    store(turn, read)
    reach("sync.after_commit")


def has_begun_anew(state: SyncState) -> bool:
    """In this very run; once is enough, or it would go on for ever."""
    return state.cursor is None or bool(state.is_full and state.pages)


def fetched(turn: Turn) -> Read:
    """What the vendor says. Raises VendorError, Problem, StartOver, PluginFailed."""
    settings = toggles.settings_of(turn.plugin, turn.state.project)
    place = Place(turn.state.cursor, turn.state.part, settings)
    client = client_for(turn.connection, turn.entry, base_url=turn.plugin.base_url)
    try:
        read = said(turn, client, place)
    except VendorError as error:
        recovery.note_failure(turn.connection, error, is_use=False)
        raise recovery.of_connection(error, turn.connection) from None
    recovery.note_success(turn.connection, is_use=False)
    return read


def said(turn: Turn, client: Client, place: Place) -> Read:
    """A token that the vendor refuses is renewed once."""
    seen = turn.connection.generation
    try:
        return asked(turn, client, place)
    except Reconnect as error:
        if not grants.may_renew(turn.connection, turn.entry, error.status):
            raise
        grants.kept_alive(turn.connection, turn.entry, refused_generation=seen)
        return asked(turn, client_for(turn.connection, turn.entry, base_url=turn.plugin.base_url), place)


def asked(turn: Turn, client: Client, place: Place) -> Read:
    at = timezone.now()
    try:
        with understood(turn.entry.name):
            assert turn.sync.function is not None  # noqa: S101 - a pull sync has one
            page = turn.sync.function(client, place)
            read = storable_page(turn, client, page, asked_at=at)
    except (VendorError, StartOver, Problem, VaultSealed, Error):
        raise
    except Exception as bug:
        log.exception("The plugin %s failed while it synced %s", turn.plugin.slug, turn.sync.kind)
        words = (
            f"The plugin {turn.plugin.name} has a fault ({type(bug).__name__}). Tell whoever maintains it."
        )
        raise PluginFailed(words) from None
    if page.more and read.cursor == place.cursor:
        raise PluginFailed(f"The plugin {turn.plugin.name} reads the same page again and again.")
    return read


def storable_page(turn: Turn, client: Client, page: Page, *, asked_at: datetime) -> Read:
    """Without the credential, should the vendor repeat it; as databases take it."""
    plain = to_jsonable_python([[str(one.id), one.data, one.is_deleted] for one in page.items])
    plain = without_secrets(plain, turn.entry, client)
    items = ready(Item(name, data, is_deleted) for name, data, is_deleted in plain)
    return Read(page, items, storable(to_jsonable_python(page.cursor)), asked_at)


# --- into the database


def store(turn: Turn, read: Read) -> None:
    """The page, the cursor that leads on from it, and the next job: all or nothing."""
    state, page = turn.state, read.page
    epoch, is_full = pass_of(state, page)
    if is_full and not page.more:
        store_last(turn, read, epoch)
        return
    with transaction.atomic():
        counts = kept(turn, read, epoch)
        move_on(turn, read, counts, epoch=epoch, is_full=is_full)


def store_last(turn: Turn, read: Read, epoch: int) -> None:
    """The last page of everything. What was not met is swept in steps, before the cursor moves: a process
    that dies in between reads this one page again."""
    with transaction.atomic():
        counts = kept(turn, read, epoch)
        note_pass(turn.state, epoch)
    turn.state.epoch = epoch
    counts += Counts(0, records.sweep_epoch(turn.state))
    with transaction.atomic():
        move_on(turn, read, counts, epoch=epoch, is_full=True)


def note_pass(state: SyncState, epoch: int) -> None:
    """What webhooks bring from now on is of this pass. Raises Overtaken, which undoes the page."""
    row = held(state)
    row.epoch, row.page_at = epoch, timezone.now()
    row.save(update_fields=["epoch", "page_at"])


def pass_of(state: SyncState, page: Page) -> tuple[int, bool]:
    """The epoch of this page, and whether it belongs to a pass over everything. Raises StartOver."""
    if not page.starts_over or state.cursor is None:
        return state.epoch, state.is_full
    if has_begun_anew(state):
        raise StartOver
    return state.epoch + 1, True


def kept(turn: Turn, read: Read, epoch: int) -> Counts:
    state = turn.state
    counts = records.keep(
        turn.connection, state.plugin, state.kind, read.items,
        part=state.part, epoch=epoch, asked_at=read.asked_at, at=timezone.now(),
    )  # fmt: skip
    if epoch != state.epoch:
        records.lift(state, epoch, since=read.asked_at)
    return counts


def move_on(turn: Turn, read: Read, counts: Counts, *, epoch: int, is_full: bool) -> None:
    """The state after this page, and the job for the next one. Raises Overtaken."""
    at = timezone.now()
    row = held(turn.state)
    row.connection, row.project = turn.connection, turn.state.project
    row.cursor, row.epoch, row.is_full, row.page_at = read.cursor, epoch, is_full, at
    row.pages += 1
    row.seen += len(read.page.items)
    row.changed += counts.changed
    row.deleted += counts.deleted
    row.total = row.total if read.page.total is None else read.page.total
    if not read.page.more:
        succeed(row, turn.sync, at=at)
        return
    if row.next_run_at > at:  # else somebody has asked meanwhile, and this run is not the last
        row.next_run_at = at + GUARD
    row.save()
    if not row.is_paused:
        enqueue(KIND, str(row.pk))
