"""The one that asks a token endpoint: under a lease, saving what comes before reading it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db import connection as database
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from credentials import breaker, failpoints, social
from credentials.client import fields_of
from credentials.grant import Denied, Garbled, Grant, read
from credentials.life import busy, hold_for, life_of, refuse_hopeless, seconds_left, times_of
from credentials.models import Connection, OAuthApp, Secret, State
from credentials.models.connection import ANEW
from credentials.vault import Unreadable, VaultSealed
from navi.audit.problems import Problem
from navi.net.answer import Response
from navi.net.errors import OF_THE_ANSWER, Blocked, Reconnect, TryLater, VendorError
from navi.net.remote import Remote

LEASE = timedelta(seconds=40)  # longer than social.DEADLINE, so that no second asks while the first still may
CONFIRM_AFTER = 0.5
HOLD_UNCONFIRMED = timedelta(minutes=10)
PATIENCE = 60.0  # seconds for which a write is tried that must not be lost

Found = TypeVar("Found")


class Overtaken(Exception):
    """Other tokens are in force by now, or the lease is somebody else's."""


class Gone(Problem):
    """Somebody disconnected it meanwhile."""


@dataclass(frozen=True)
class Freshness:
    """The connection as it is now.

    `trouble` says why its token could not be renewed while it still works, `error` is what was raised;
    `was_refreshed` tells that this very call renewed it.
    """

    connection: Connection
    trouble: str = ""
    was_refreshed: bool = False
    error: VendorError | None = None


def take_lease(connection: Connection) -> uuid.UUID | None:
    """The right to refresh this generation, for LEASE by the database's clock; None where another has it."""
    lease = uuid.uuid4()
    is_free = Q(lease_until=None) | Q(lease_until__lt=Now())
    rows = Connection.objects.filter(is_free, pk=connection.pk, generation=connection.generation)
    return lease if rows.update(lease_owner=lease, lease_until=Now() + LEASE) else None


def reload(connection: Connection) -> None:
    """The row as it is, with its current secret and its app. Raises Gone."""
    rows = Connection.objects.select_related("current", "app")
    try:
        connection.refresh_from_db(from_queryset=rows)
    except Connection.DoesNotExist:
        words = "This account was disconnected a moment ago."
        raise Gone("not_connected", words, provider=connection.provider) from None


def give_back(connection: Connection, lease: uuid.UUID) -> None:
    """Free the lease; where the database does not take that now, it ends by itself."""
    with suppress(OperationalError, InterfaceError):
        mine = Connection.objects.filter(pk=connection.pk, lease_owner=lease)
        mine.update(lease_owner=None, lease_until=None)


def saved_answers(connection: Connection) -> QuerySet[Secret]:
    """What a token endpoint answered for this generation, and nobody has read yet."""
    return Secret.objects.filter(connection=connection.pk, answers_generation=connection.generation)


@dataclass
class Asker:
    """Holds the lease on a connection and asks the vendor once, or once more to be sure of a refusal."""

    connection: Connection
    remote: Remote
    lease: uuid.UUID
    generation: int = field(init=False)  # what is asked, saved and noted is all about this one
    was_lost: bool = field(default=False, init=False)  # an earlier question, whose outcome nobody knows
    saved: Secret | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.generation = self.connection.generation

    @property
    def breaker_key(self) -> str:
        """Of all that fail together with this connection."""
        return breaker.key_of(self.remote, self.connection.app)

    def ask(self, *, is_due: bool = True) -> Freshness:
        """A refreshed connection; without `is_due` only by an answer that was saved.

        Raises Reconnect, TryLater, Problem; the lease is given back in any case.
        """
        try:
            self.look()
            self.was_lost = self.connection.asked_at is not None
            found = self.taken_up()
            if found is None and is_due:
                refuse_hopeless(self.connection, self.remote)
                found = self.asked()
            return found or Freshness(self.connection)
        except Overtaken:
            return self.as_it_is_now()
        finally:
            give_back(self.connection, self.lease)

    def look(self) -> None:
        """The row as it is. Raises Overtaken where it is no longer ours to refresh."""
        reload(self.connection)
        if (self.connection.generation, self.connection.lease_owner) != (self.generation, self.lease):
            raise Overtaken

    def as_it_is_now(self) -> Freshness:
        """With the other one's tokens. Raises TryLater where they are still asked for."""
        reload(self.connection)
        if self.connection.generation == self.generation:
            raise busy(self.remote)
        return Freshness(self.connection)

    def taken_up(self) -> Freshness | None:
        """An answer that another process saved and did not live to read."""
        for answer in self.saved_answers().order_by("-created_at"):
            granted = self.grant_in(answer)
            if granted:
                self.was_lost = False
                return self.in_force(granted)
        return None

    def grant_in(self, answer: Secret) -> Grant | None:
        """The grant in a saved answer. One that holds none goes; one that cannot be opened may yet be."""
        try:
            kept = answer.fields.reveal()
            return read(kept["status"], kept["body"].encode("latin-1"), social.facts_of(self.remote))
        except Unreadable:
            return None
        except (Denied, Garbled, LookupError):
            answer.delete()
            return None

    def saved_answers(self) -> QuerySet[Secret]:
        return Secret.objects.filter(connection=self.connection, answers_generation=self.generation)

    def asked(self) -> Freshness:
        fields, app = self.credentials()
        self.refuse_dangerous()
        self.refuse_while_open()
        return self.answered(fields, app)

    def answered(self, fields: Mapping[str, str], app: social.App) -> Freshness:
        """One question, and what its answer means."""
        try:
            granted = self.question(fields, app)
        except Denied as denied:
            return self.denied(denied, fields, app)
        except Garbled as garbled:
            raise self.troubled(f"{self.remote.title} answered with no grant ({garbled}).") from None
        except TryLater as trouble:
            raise self.delayed(trouble) from None
        except Blocked as blocked:
            raise self.barred(blocked) from None
        return self.in_force(granted)

    # --- before anything is sent

    def credentials(self) -> tuple[Mapping[str, str], social.App]:
        fields, name = fields_of(self.connection, self.remote), self.remote.title
        if not fields.get("refresh_token"):
            raise self.ended(f"{name} ended this access and gave no means to renew it. Reconnect it.")
        if self.connection.app is None:
            raise self.ended(f"The OAuth app that {name} was connected with is gone. Reconnect it.")
        return fields, app_of(self.connection.app, self.remote)

    def refuse_dangerous(self) -> None:
        """Some vendors end every grant of a person when an old refresh token is shown again."""
        facts, asked_at = social.facts_of(self.remote), self.connection.asked_at
        grace = timedelta(seconds=facts.reuse_grace)
        if asked_at and facts.rotates and facts.reuse_revokes and timezone.now() - asked_at > grace:
            raise self.ended(outcome_unknown(self.remote), state=State.REFRESH_OUTCOME_UNKNOWN)

    def refuse_while_open(self) -> None:
        now = timezone.now()
        if self.connection.refusals and not breaker.may_confirm(self.breaker_key, at=now):
            raise self.unconfirmed()
        come_back = breaker.closed_or_probe(self.breaker_key, at=now)
        if come_back:
            words = f"Many accesses to {self.remote.title} cannot be renewed. Navi waits until it is well."
            self.note(hold_until=come_back)
            raise TryLater(words, retry_at=come_back)

    def question(self, fields: Mapping[str, str], app: social.App) -> Grant:
        """One request to the token endpoint, noted before it leaves. Raises Overtaken."""
        asked_at = self.connection.asked_at or timezone.now()  # of several lost ones the first counts
        ours = self.rows().filter(lease_owner=self.lease)
        if not ours.update(asked_at=asked_at, lease_until=Now() + LEASE):
            raise Overtaken
        failpoints.reach("refresh.before_request")
        return social.refresh(self.remote, app, fields["refresh_token"], keep=self.save)

    def rows(self) -> QuerySet[Connection]:
        return Connection.objects.filter(pk=self.connection.pk, generation=self.generation)

    def save(self, answer: Response) -> None:
        """Seal the answer as it came, whoever holds the lease by now: a grant is never thrown away."""
        failpoints.reach("refresh.after_response")
        if answer.status_code >= 300:
            return
        kept = {"status": answer.status_code, "body": answer.content.decode("latin-1")}
        self.saved = Secret(
            connection=self.connection, seal_owner=self.connection.seal_owner, fields=kept,
            answers_generation=self.generation,
        )  # fmt: skip
        try:
            patiently(partial(self.saved.save, force_insert=True))
        except IntegrityError:  # it was disconnected
            self.end_what_came(answer)
            raise Overtaken from None
        failpoints.reach("refresh.after_save")

    def end_what_came(self, answer: Response) -> None:
        """Nobody is left to keep it: end it at the vendor, as far as that goes."""
        facts, app = social.facts_of(self.remote), self.connection.app
        if app is None or facts.revoke is None or facts.revoke.ends_all:
            return
        with suppress(Denied, Garbled, VendorError, Problem):
            granted = read(answer.status_code, answer.content, facts)
            social.revoke(self.remote, app_of(app, self.remote), granted.fields)

    # --- what came of it

    def in_force(self, granted: Grant) -> Freshness:
        """Flip to the new tokens. Raises Overtaken where somebody was faster."""
        facts, moment = social.facts_of(self.remote), timezone.now()
        if not patiently(partial(self.flip, self.with_a_life(granted), moment)):
            raise Overtaken
        self.generation += 1
        breaker.note_success(self.breaker_key, at=moment)
        reload(self.connection)
        if self.was_lost and facts.rotates and not granted.fields.get("refresh_token"):
            return self.on_borrowed_time()
        return Freshness(self.connection, was_refreshed=True)

    def with_a_life(self, granted: Grant) -> Grant:
        """Where this answer tells no end, the token lives as long as the one before."""
        before = int(life_of(self.connection))
        return replace(granted, life=before) if granted.life is None and before else granted

    def flip(self, granted: Grant, moment: datetime) -> bool:
        fields = {**fields_of(self.connection, self.remote), **granted.fields}
        changes = {**ANEW, **times_of(granted, fields, moment), "state": State.ACTIVE, "state_reason": ""}
        if granted.scopes:
            changes["scopes"] = list(granted.scopes)
        # What a person is just connecting stays.
        over = Q(pk=self.connection.current_id) | Q(answers_generation__lte=self.generation)
        with transaction.atomic():
            secret = Secret.keep(self.connection, fields, bound_to=self.remote.bound_to)
            is_ours = bool(self.rows().update(current=secret, generation=F("generation") + 1, **changes))
            if not is_ours:  # somebody reconnected meanwhile: theirs is newer
                secret.delete()
                over = Q(answers_generation__lte=self.generation)
            Secret.objects.filter(over, connection=self.connection).delete()
        return is_ours

    def on_borrowed_time(self) -> Freshness:
        """The vendor repeated its access token for the old refresh token; the new one was lost on the way."""
        reason = outcome_unknown(self.remote)
        error = self.ended(reason, state=State.REFRESH_OUTCOME_UNKNOWN)
        return Freshness(self.connection, trouble=reason, was_refreshed=True, error=error)

    def denied(self, denied: Denied, fields: Mapping[str, str], app: social.App) -> Freshness:
        """A refusal: of the app, of something else, or of the grant; the last is asked once more."""
        now = timezone.now()
        if not denied.is_dead:
            raise self.troubled(words_of(denied, self.remote), is_vendors=not denied.is_of_the_app)
        self.look()
        found = self.taken_up()  # perhaps it was refused because a slower one has got the grant
        if found:
            return found
        was_open = breaker.is_open(self.breaker_key)
        breaker.note_refusal(self.breaker_key, at=now)
        if not (was_open and breaker.is_open(self.breaker_key)):
            self.refuse_dead()
        if self.connection.refusals or not breaker.may_confirm(self.breaker_key, at=now):
            raise self.unconfirmed()
        self.note(refusals=1, **self.settled())
        time.sleep(CONFIRM_AFTER)
        return self.answered(fields, app)

    def refuse_dead(self) -> None:
        """Raise Reconnect where this refusal is the last word."""
        if self.was_lost and social.facts_of(self.remote).rotates:
            raise self.ended(outcome_unknown(self.remote), state=State.REFRESH_OUTCOME_UNKNOWN)
        if self.connection.refusals:
            raise self.ended(f"{self.remote.title} no longer accepts this grant. Reconnect it.")

    def unconfirmed(self) -> TryLater:
        """Too many grants are refused at once to believe it."""
        at = timezone.now() + HOLD_UNCONFIRMED
        reason = f"{self.remote.title} refused to renew this access; Navi makes sure at {at:%H:%M} UTC."
        self.note(state=State.DEGRADED, reason=reason, refusals=1, hold_until=at, **self.settled())
        return TryLater(reason, retry_at=at)

    def troubled(self, reason: str, *, is_vendors: bool = True) -> TryLater:
        """The vendor failed, or does not know the app: the grant may well be good."""
        now = timezone.now()
        if is_vendors:
            breaker.note_trouble(self.breaker_key, at=now)
        if self.saved:
            Secret.objects.filter(pk=self.saved.pk).delete()
        return TryLater(reason, retry_at=self.hold(now, **self.settled()))

    def delayed(self, trouble: TryLater) -> TryLater:
        """No answer, or one that asks for patience. Where it was sent, nobody knows what became of it."""
        now = timezone.now()
        if trouble.status != 429:
            breaker.note_trouble(self.breaker_key, at=now)
        is_known = trouble.status is not None or not trouble.sent
        trouble.retry_at = self.hold(
            max(trouble.retry_at or now, now), **(self.settled() if is_known else {})
        )
        return trouble

    def barred(self, blocked: Blocked) -> Blocked:
        """Navi's own guard let nothing out; or it let nothing in, and what the answer held is lost."""
        if blocked.reason in OF_THE_ANSWER:
            self.hold(timezone.now())
        else:
            self.note(**self.settled())
        return blocked

    def settled(self) -> dict[str, Any]:
        """This question's outcome is known; an earlier one's that was lost is still not."""
        return {} if self.was_lost else {"asked_at": None}

    def hold(self, moment: datetime, **changes: Any) -> datetime:
        """Let nobody ask for a while from this moment on, longer after each failure."""
        failures = self.connection.refresh_failures
        until = moment + hold_for(failures)
        self.note(hold_until=until, refresh_failures=min(failures + 1, 1000), **changes)
        return until

    def ended(self, reason: str, *, state: State = State.DEGRADED) -> Reconnect:
        """Only a person helps now. A token that still works goes on working until its end."""
        works = self.connection.expires_at is not None and seconds_left(self.connection) > 0
        told = state if works else State.REAUTH_REQUIRED
        self.note(state=told, reason=reason, refusals=2, refresh_at=None)
        return Reconnect(reason)

    def note(self, *, state: State | None = None, reason: str = "", **changes: Any) -> None:
        """Write down what was learned of this generation. Raises Overtaken where it is not in force any more."""
        if state is not None:
            changes |= {"state": state, "state_reason": reason[:300], "state_at": timezone.now()}
        noted = not changes or patiently(partial(self.rows().update, **changes))
        reload(self.connection)
        if not noted or self.connection.generation != self.generation:
            raise Overtaken


def outcome_unknown(remote: Remote) -> str:
    return f"A renewal of the access to {remote.title} was cut off, and its outcome cannot be told. Reconnect it."


def words_of(denied: Denied, remote: Remote) -> str:
    if denied.is_of_the_app:
        return (
            f"{remote.title} does not accept Navi's OAuth app ({denied.error}). An admin corrects its client ID "
            "or secret; nothing needs to be reconnected."
        )
    return f"{remote.title} refused to renew the access ({denied.error})."


def app_of(row: OAuthApp, remote: Remote) -> social.App:
    """The app with its secret in clear, if it was given for this remote. Raises Problem."""
    try:
        kept = row.secret.reveal()
        if kept.get("bound_to", "") == remote.bound_to:
            return social.App(row.client_id, kept["client_secret"])
        words = (
            f"An address of {remote.title} was changed. An admin enters the OAuth app's client secret again."
        )
        raise Problem("oauth_app_missing", words, provider=row.provider)
    except VaultSealed as problem:
        words = f"Navi cannot open secrets now: {problem}"
        raise Problem("sealed", words, provider=row.provider) from None
    except Unreadable:
        words = "The OAuth app's stored secret is damaged. An admin enters it again."
        raise Problem("oauth_app_missing", words, provider=row.provider) from None


def patiently(write: Callable[[], Found]) -> Found:
    """Do a write that must not be lost, again where the database was busy or away."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            if database.in_atomic_block or time.monotonic() > until:
                raise
            database.close_if_unusable_or_obsolete()
            time.sleep(1)
