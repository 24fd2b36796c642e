"""What there is to choose from at a vendor: labels, calendars, projects. Kept, so that forms outlive outages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from credentials import waiting
from credentials.models import Connection
from integrations import registry
from integrations.models import Discovered
from integrations.registry import Entry
from integrations.runtime import recovery
from integrations.runtime.reach import client_for, permitted
from integrations.runtime.vendor import storable, understood, without_secrets
from integrations.sdk import Call, Choice, Client, Plugin, TryLater, VendorError
from navi.audit.problems import Problem
from navi.audit.record import recorded
from navi.audit.redact import redact

FRESH_FOR = timedelta(minutes=10)
CALM_FOR = timedelta(minutes=1)  # after an outage the vendor is left in peace
MOST = 5_000
LONGEST_ID, LONGEST_LABEL, LONGEST_ERROR = 300, 200, 300
PATIENCE = 30.0  # seconds that one waits for the same question of somebody else


@dataclass(frozen=True)
class Found:
    """The choices as the vendor told them at `fetched_at`; stale where it could not be asked again, for `error`."""

    choices: list[Choice]
    fetched_at: datetime | None = None
    is_stale: bool = False
    error: str = ""


@dataclass(frozen=True)
class Question:
    """One plugin's resource, asked of one account."""

    entry: Entry
    plugin: Plugin
    resource: str
    connection: Connection

    @property
    def key(self) -> dict[str, Any]:
        return {"connection": self.connection, "plugin": self.plugin.slug, "resource": self.resource}

    @property
    def name(self) -> tuple[Any, str, str]:
        return self.connection.pk, self.plugin.slug, self.resource


def discover(call: Call, resource: str, *, refresh: bool = False) -> Found:
    """The choices for one of the plugin's resources: kept ones for ten minutes, unless `refresh`.

    A vendor that is down leaves the last ones, told as stale. Raises Problem, VendorError.
    """
    began_at = timezone.now()
    try:
        question = question_of(call, resource)
    except Problem as refusal:
        with told(call, resource):
            raise refusal
    known = None if refresh else good_enough(question, at=began_at)
    if known:
        return known
    with one_at_a_time(question):
        return good_enough(question, at=began_at, since=began_at) or asked(call, question)


def question_of(call: Call, resource: str) -> Question:
    """May it be asked here, and of which account? Raises Problem."""
    entry, plugin = registry.plugin(call.plugin, call.project.pk)
    if resource not in plugin.discoveries:
        raise Problem("unknown", f"{plugin.name} lists no “{resource}”.", field="resource")
    return Question(entry, plugin, resource, permitted(call, entry, "run"))


@contextmanager
def told(call: Call, resource: str) -> Iterator[Any]:
    about: dict[str, Any] = {"plugin": call.plugin, "detail": {"resource": resource}}
    with recorded("discovery.run", actor=call.actor, project=call.project, **about) as record:
        known = registry.installed().plugins.get(call.plugin)
        record.provider = known.provider if known else call.plugin
        yield record


# --- what is kept


def kept(connection: Connection) -> dict[tuple[str, str], Found]:
    """What was found before, however old, by plugin and resource: one query. Nobody is asked."""
    now, rows = timezone.now(), Discovered.objects.filter(connection=connection, fetched_at__isnull=False)
    return {(row.plugin, row.resource): found_in(row, at=now) for row in rows}


def good_enough(question: Question, *, at: datetime, since: datetime | None = None) -> Found | None:
    """What need not be asked again: fresh choices, or older ones while the vendor is out of order.

    With `since` only what somebody else has found, or failed to find, in the meantime.
    """
    row = Discovered.objects.filter(**question.key).first()
    if row is None or row.fetched_at is None:
        return None
    is_fresh = row.fetched_at > (since or at - FRESH_FOR) and not row.error
    is_calm = row.failed_at is not None and row.failed_at > (since or at - CALM_FOR)
    return found_in(row, at=at) if is_fresh or is_calm else None


def found_in(row: Discovered, *, at: datetime) -> Found:
    choices = [Choice(one["id"], one["label"]) for one in row.choices]
    is_old = row.fetched_at is None or at - row.fetched_at > FRESH_FOR
    return Found(choices, row.fetched_at, is_stale=is_old or bool(row.error), error=row.error)


def keep(question: Question, generation: int, **values: Any) -> None:
    """Store it, unless other credentials have come in meanwhile: they may be of another account."""
    same = Connection.objects.filter(pk=question.connection.pk, generation=generation)
    # Where it is disconnected at this moment, there is nothing left to keep it for.
    with suppress(IntegrityError):
        if same.exists():
            Discovered.objects.update_or_create(**question.key, defaults=values)


def forget(connection: Connection) -> None:
    """Other credentials may see other things."""
    Discovered.objects.filter(connection=connection).delete()


# --- asking the vendor


def asked(call: Call, question: Question) -> Found:
    """Ask now, and remember the answer. Raises Problem, VendorError where nothing is kept."""
    connection = question.connection
    with told(call, question.resource) as record:
        record.connection = connection
        try:
            choices, generation = choices_of(question)
        except TryLater as error:
            record.outcome, record.code = "failed", error.code
            if stale := in_spite_of(error, question):
                return stale
            raise
        values = [{"id": one.id, "label": one.label} for one in choices]
        now = timezone.now()
        keep(question, generation, choices=values, fetched_at=now, failed_at=None, error="")
        return Found(choices, now)


def choices_of(question: Question) -> tuple[list[Choice], int]:
    """The vendor's answer, and the generation of the credentials it was given for."""
    entry, connection = question.entry, question.connection
    client = client_for(connection, entry, base_url=question.plugin.base_url)
    generation = connection.generation
    try:
        with understood(entry.name):
            function = question.plugin.discoveries[question.resource]
            choices = fitting(list(islice(function(client), MOST)), entry, client)
    except VendorError as error:
        recovery.note_failure(connection, error)
        raise recovery.of_connection(error, connection) from None
    recovery.note_success(connection)
    return choices, generation


def fitting(choices: list[Choice], entry: Entry, client: Client) -> list[Choice]:
    """The choices as a database takes them: an id that does not fit is none, a label is cut."""
    labels = {str(one.id): cut(storable(one.label) or str(one.id)) for one in choices if one.id}
    whole = {key: label for key, label in labels.items() if key == storable(key) and len(key) <= LONGEST_ID}
    return [Choice(key, label) for key, label in without_secrets(whole, entry, client).items()]


def cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def in_spite_of(error: TryLater, question: Question) -> Found | None:
    """The choices of before, while the vendor is out of order; its trouble is noted with them."""
    words = redact(error.message)[:LONGEST_ERROR]
    rows = Discovered.objects.filter(**question.key, fetched_at__isnull=False)
    if not rows.update(failed_at=timezone.now(), error=words):
        return None
    row = rows.first()
    return replace(found_in(row, at=timezone.now()), is_stale=True) if row else None


# --- several who ask the same at once

turns: dict[tuple[Any, str, str], threading.Lock] = {}
turns_guard = threading.Lock()


@contextmanager
def one_at_a_time(question: Question) -> Iterator[None]:
    """Of several in this process one asks, the others take its answer. Raises TryLater."""
    with turns_guard:
        turn = turns.setdefault(question.name, threading.Lock())
    if not turn.acquire(blocking=False):
        busy = TryLater(
            f"Somebody is asking {question.entry.name} the same. Try again in a moment.", code="busy"
        )
        with waiting.place(busy):
            if not turn.acquire(timeout=PATIENCE):
                raise busy
    try:
        yield
    finally:
        turn.release()
        # Whoever holds the lock already goes on with it; a newcomer makes another, and may ask once more.
        with turns_guard:
            turns.pop(question.name, None)
