"""Connect an account: check the form, write a pending version, test it at the vendor, then flip.

A failed attempt leaves nothing behind and never harms what works.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from credentials.client import open_client
from credentials.grant import Grant
from credentials.life import times_of
from credentials.models import AuthKind, Connection, Health, OAuthApp, Secret, State
from credentials.vault import VaultSealed
from integrations import policy, registry
from integrations.models import HealthCheck, IntegrationStatus, Milestone
from integrations.registry import Entry
from integrations.runtime import discover, endpoints, health, notices, recovery, revoking, sync_schedule
from integrations.sdk import (
    Basic,
    Field,
    Identity,
    Reconnect,
    Refused,
    Remote,
    Response,
    TryLater,
    VendorError,
)
from integrations.sdk.recognise import BEGINNINGS, foreign_key
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import Record, record, recorded
from navi.net.auth import secret_field
from navi.net.meaning import shortened, vendors_words
from navi.projects.models import Project

LEFT_OVER_AFTER = timedelta(hours=1)
HIDDEN_LEAST = 16  # characters of a key that no hint shows


@dataclass(frozen=True, repr=False)
class Granted:
    """What OAuth gave beside the tokens: by which app, and for which scopes."""

    grant: Grant
    app: OAuthApp
    scopes: list[str]


@dataclass(frozen=True, repr=False)
class Offer:
    """Credentials that somebody hands in, and where they are to live."""

    entry: Entry
    project: Any
    fields: Mapping[str, str]
    for_user: uuid.UUID | None = None  # given: for all projects of this person
    label: str = ""
    make_default: bool = False
    reconnects: Connection | None = None
    auth_kind: str = "api_key"
    test: bool = True
    attempt: uuid.UUID = field(default_factory=uuid.uuid4)
    grant: Granted | None = None


@dataclass(frozen=True)
class Connected:
    """What came of it: the connection, and what it can do."""

    connection: Connection
    identity: Identity
    latency_ms: int
    was_there: bool = False


def connect(offer: Offer, actor: Actor) -> Connected:
    """Test the credentials and put them in force. Raises Problem or VendorError; then nothing is stored."""
    milestone(offer, "setup_started")
    event = "connection.reconnected" if offer.reconnects else "connection.connected"
    happening = Record(event, actor, offer.project, provider=offer.entry.slug)
    try:
        connected = tested(offer, actor, happening)
    except (Problem, VendorError) as error:
        milestone(offer, "setup_failed")
        raise ended(happening, as_credentials_problem(offer, error)) from None
    except BaseException as error:
        raise ended(happening, error)  # noqa: B904 - it is the same error
    milestone(offer, "setup_succeeded")
    return connected


def ended(happening: Record, error: BaseException) -> BaseException:
    happening.ended_by(error)
    happening.write()
    return error


def milestone(offer: Offer, kind: str) -> None:
    Milestone.objects.create(
        kind=kind, provider=offer.entry.slug, project_id=offer.project.pk, attempt=offer.attempt
    )


def tested(offer: Offer, actor: Actor, happening: Record) -> Connected:
    """Connect, and write it down in the same transaction: where that cannot be, nothing is in force."""
    check_place(offer)
    fields = dict(offer.fields) if offer.grant else checked_fields(offer.entry, offer.fields, offer.auth_kind)
    connection, secret = pending(offer, fields, actor)
    attempt = connection.pk, secret.pk
    try:
        finding = probed(offer, connection, fields)
        identity = finding.identity or Identity(label=offer.entry.name, account_id="")
        with transaction.atomic():
            connected = put_in_force(offer, connection, secret, identity, finding.latency_ms)
            happening.connection = connected.connection
            happening.write()
    except BaseException:
        happening.connection = None
        drop_pending(*attempt)
        if offer.reconnects:
            with suppress(Connection.DoesNotExist):
                offer.reconnects.refresh_from_db()
        raise
    return connected


def check_place(offer: Offer) -> None:
    """May credentials of this provider be used, and live there? Raises Problem."""
    policy.check_not_blocked(offer.entry)
    policy.check_approved(offer.entry)
    if offer.entry.provider.custom_id and offer.for_user:
        words = f"{offer.entry.name} belongs to this project, so its credentials do too."
        raise Problem("invalid_input", words, field="scope", provider=offer.entry.slug)


def checked_fields(entry: Entry, given: Mapping[str, Any], auth_kind: str = "api_key") -> dict[str, str]:
    """The fields as the provider declares them, trimmed. Raises Problem naming the field."""
    declared = declared_fields(entry, auth_kind)
    for key, value in given.items():
        if key not in declared:
            has = ", ".join(declared) or "none"
            raise Problem("invalid_input", f"{entry.name} has no field “{key}”; it has {has}.", field=key)
        if not isinstance(value, str):
            raise Problem("invalid_input", f"The field “{key}” must be text.", field=key)
    # A password may well begin with a quote; a pasted key does not.
    is_password = isinstance(entry.provider.auth_of(auth_kind).sent_as, Basic)
    fields = {key: given.get(key, "") if is_password else trimmed(given.get(key, "")) for key in declared}
    for key, value in fields.items():
        if words := complaint_about(entry, declared[key], value):
            raise Problem("invalid_credentials", words, field=key, provider=entry.slug)
    return {key: value for key, value in fields.items() if value}


def declared_fields(entry: Entry, auth_kind: str) -> dict[str, Field]:
    try:
        return {item.key: item for item in entry.provider.auth_of(auth_kind).fields}
    except KeyError:
        ways = ", ".join(auth.label for auth in entry.provider.auth)
        words = f"{entry.name} cannot be connected this way. It takes: {ways}."
        raise Problem("invalid_input", words, provider=entry.slug) from None


def complaint_about(entry: Entry, item: Field, value: str) -> str | None:
    """What is wrong with a value before anybody is asked: another vendor's key, or no such form."""
    # A custom provider may well stand in front of a vendor whose keys we know.
    is_plain = entry.provider.custom_id or item.type == "text"
    complaint = item.complaint(value)
    known_as = None if is_plain or (item.pattern and not complaint) else foreign_key(value, entry.slug)
    return f"This looks like {known_as}, not {entry.name}'s {item.label}." if known_as else complaint


def trimmed(value: str) -> str:
    """Without what slips in while copying: white space, quotes, "Bearer "."""
    value = value.strip().strip("\"'`").strip()
    return value.removeprefix("Bearer ").strip() if value.startswith("Bearer ") else value


def pending(offer: Offer, fields: dict[str, str], actor: Actor) -> tuple[Connection, Secret]:
    """A version that is not in force yet: a new row, or a second secret of the one to reconnect."""
    place = {"project": None if offer.for_user else offer.project, "user_id": offer.for_user}
    try:
        with transaction.atomic():
            connection = offer.reconnects or Connection.objects.create(
                provider=offer.entry.slug, auth_kind=offer.auth_kind, created_by_id=actor.user_id, **place
            )
            return connection, Secret.keep(connection, fields, bound_to=offer.entry.bound_to)
    except VaultSealed as problem:
        words = f"Navi cannot seal secrets now: {problem}"
        raise Problem("sealed", words, provider=offer.entry.slug) from None
    except IntegrityError:
        words = f"{offer.entry.name} was disconnected a moment ago. Connect it anew."
        raise Problem("conflict", words, provider=offer.entry.slug) from None


def drop_pending(connection_id: uuid.UUID, secret_id: uuid.UUID) -> None:
    """The attempt leaves nothing behind; what was in force before stays."""
    Connection.objects.filter(pk=connection_id, state=State.PENDING, current=None).delete()
    Secret.objects.filter(pk=secret_id).delete()


def probed(offer: Offer, connection: Connection, fields: dict[str, str]) -> health.Finding:
    """What the vendor says of them. A new grant is kept while its vendor is out of order: it cannot be had twice."""
    try:
        return probe(offer, connection, fields)
    except TryLater as trouble:
        if offer.grant is None or offer.reconnects is not None:
            raise
        return health.Finding(False, Health.DEGRADED, trouble.message, 0)


def probe(offer: Offer, connection: Connection, fields: dict[str, str]) -> health.Finding:
    """Ask the vendor who these credentials are; no row changes."""
    if not offer.test:
        return health.Finding(True, Health.UNKNOWN, "", 0)
    started = monotonic()
    remote = offer.entry.remote(auth_kind=offer.auth_kind)
    client = open_client(connection, for_a_fresh_key(remote), fields)
    identity = health.identify(client, offer.entry)
    return health.Finding(True, Health.HEALTHY, "", health.elapsed(started), identity)


def for_a_fresh_key(remote: Remote) -> Remote:
    """The remote as it speaks of credentials that were never accepted; a plugin has its own words for that."""
    return remote if remote.errors else replace(remote, errors=partial(refused_key, remote.title))


def refused_key(name: str, response: Response) -> VendorError | None:
    if response.status_code != 401:
        return None
    return Reconnect(f"{name} does not accept this: {shortened(vendors_words(response)) or 'status 401'}.")


def put_in_force(
    offer: Offer, connection: Connection, secret: Secret, identity: Identity, latency_ms: int
) -> Connected:
    """Flip to the tested secret. The same account again updates the connection that is there."""
    one_at_a_time(connection)
    there = same_account(connection, identity)
    if offer.reconnects:
        refuse_other_account(connection, identity, offer.entry)
    if there:
        kept = secret.fields.reveal()
        secret = Secret.keep(there, kept["fields"], bound_to=kept["bound_to"])
        connection.delete()
        connection = there
    if not connection.flip_to(secret, seen=connection.consent, **facts(offer, connection, identity)):
        raise overtaken(offer)
    if offer.test:
        recovery.note_recovered(connection)
    discover.forget(connection)
    notices.returned(connection)
    if offer.test:
        HealthCheck.objects.create(
            connection=connection, status=Health.HEALTHY, latency_ms=latency_ms, asked_by="connect"
        )
    settle_default(offer, connection)
    recovery.roll_up(connection)
    if connection.project_id:
        sync_schedule.changed(offer.project, connection.provider)
    return Connected(connection, identity, latency_ms, was_there=there is not None)


def one_at_a_time(connection: Connection) -> None:
    """Two people who connect the same account at the same moment wait for each other here."""
    owner = Project if connection.project_id else get_user_model()
    list(owner._default_manager.select_for_update().filter(pk=connection.owner_id).values_list("pk"))


def overtaken(offer: Offer) -> Problem:
    words = f"Somebody else has just reconnected {offer.entry.name}. Theirs is in force, and works; nothing is left to do."
    return Problem("conflict", words, provider=offer.entry.slug)


def same_account(connection: Connection, identity: Identity) -> Connection | None:
    if not identity.account_id or connection.state != State.PENDING:
        return None
    others = connection.siblings().exclude(pk=connection.pk).exclude(state=State.PENDING)
    return others.filter(account_id=identity.account_id).first()


def refuse_other_account(connection: Connection, identity: Identity, entry: Entry) -> None:
    """Reconnecting keeps the account; another one is another connection."""
    known = connection.account_id
    if known and identity.account_id and known != identity.account_id:
        words = (
            f"These credentials belong to {identity.label}, this connection to {connection.label}. "
            "Connect it as another account instead."
        )
        raise Problem("invalid_credentials", words, provider=entry.slug)


def facts(offer: Offer, connection: Connection, identity: Identity) -> dict[str, Any]:
    """What the connection is from now on; what a person decided about it before stays."""
    now = timezone.now()
    status = Health.HEALTHY if offer.test else Health.UNKNOWN
    found: dict[str, Any] = {
        **of_the_grant(offer, now),
        "label": (offer.label or connection.label or identity.label)[:160],
        "account_id": (identity.account_id or connection.account_id)[:160],
        "auth_kind": offer.auth_kind,
        "scopes": granted_scopes(offer, connection, identity),
        "hint": hint_of(offer),
        "state": State.ACTIVE, "state_reason": "", "state_at": now,
        "health": status, "health_reason": "", "health_since": now, "error_count": 0, "last_error": "",
    }  # fmt: skip
    if offer.test:
        at = now + health.EVERY
        found |= {"last_check_at": now, "last_success_at": now, "next_check_at": at}
    return found


def of_the_grant(offer: Offer, now: datetime) -> dict[str, Any]:
    """When the tokens end, and which app renews them; nothing of the kind for a pasted key."""
    if offer.grant is None:
        return {"app": None, "issued_at": None, "expires_at": None, "refresh_at": None}
    return {"app": offer.grant.app, **times_of(offer.grant.grant, offer.fields, now)}


def granted_scopes(offer: Offer, connection: Connection, identity: Identity) -> list[str]:
    if offer.grant:
        return offer.grant.scopes
    return list(identity.scopes or connection.scopes)


def hint_of(offer: Offer) -> str:
    """Enough of a long key to tell two apart: the beginning its vendor gives to all, and the last four."""
    if offer.grant:
        return ""
    auth = offer.entry.provider.auth_of(offer.auth_kind)
    value = trimmed(str(offer.fields.get(secret_field(auth.sent_as), "")))
    if isinstance(auth.sent_as, Basic) or len(value) < HIDDEN_LEAST + 4:
        return "…" if value else ""
    beginning = next((one for one, _, _ in BEGINNINGS if value.startswith(one)), "")
    is_long = len(value) - len(beginning) - 4 >= HIDDEN_LEAST
    return f"{beginning if is_long else ''}…{value[-4:]}"


def settle_default(offer: Offer, connection: Connection) -> None:
    """The first of its kind is the default."""
    # A login that lives elsewhere gives way: agents cannot call through it.
    others = connection.siblings().exclude(auth_kind=AuthKind.CLI)
    if offer.make_default or not others.filter(is_default=True).exists():
        connection.make_default()


def as_credentials_problem(offer: Offer, error: Exception) -> Exception:
    """A vendor that does not accept a fresh key is bad input, not a lost connection."""
    if not isinstance(error, Reconnect | Refused):
        return error
    declared = offer.entry.provider.auth_of(offer.auth_kind).fields
    return Problem(
        "invalid_credentials",
        error.message,
        field=declared[0].key if declared else None,
        provider=offer.entry.slug,
    )


def try_out(offer: Offer, actor: Actor) -> Connected:
    """Ask the vendor with credentials that are not stored. Raises Problem, VendorError; no row changes."""
    with recorded("connection.tested", actor=actor, project=offer.project) as record:
        record.provider = offer.entry.slug
        check_place(offer)
        fields = checked_fields(offer.entry, offer.fields, offer.auth_kind)
        connection = offer.reconnects or Connection(provider=offer.entry.slug, auth_kind=offer.auth_kind)
        try:
            finding = probe(offer, connection, fields)
        except (Problem, VendorError) as error:
            raise as_credentials_problem(offer, error) from None
    identity = finding.identity or Identity(label=offer.entry.name, account_id="")
    return Connected(connection, identity, finding.latency_ms)


def rate(entry: Entry, project: Any, answer: str) -> None:
    """How easy the set-up was, from 1 to 5. Raises Problem."""
    if answer not in {"1", "2", "3", "4", "5"}:
        raise Problem("invalid_input", "The answer is a number from 1 to 5.", field="rating")
    Milestone.objects.create(
        kind="satisfaction", provider=entry.slug, project_id=project.pk, value=float(answer)
    )


# --- what a person decides about a connection


def edit(
    connection: Connection, actor: Actor, *, project: Any, label: str, enabled: bool, make_default: bool
) -> None:
    """Name it, switch it on or off, make it the default. Raises Problem."""
    label = label.strip()
    if not label or len(label) > 160:
        raise Problem("invalid_input", "Give it a name of at most 160 characters.", field="label")
    about: dict[str, Any] = {
        "actor": actor, "project": project, "provider": connection.provider, "connection": connection,
    }  # fmt: skip
    with transaction.atomic():
        if label != connection.label:
            recovery.apply(connection, {"label": label})
            record("connection.edited", **about)
        if enabled != connection.enabled:
            recovery.apply(connection, {"enabled": enabled})
            record("connection.enabled" if enabled else "connection.disabled", **about)
        if make_default and not connection.is_default:
            connection.make_default()
            recovery.roll_up(connection)
            record("connection.default_changed", **about)


# --- the end of a connection


def disconnect(connection: Connection, actor: Actor, *, project: Any) -> str:
    """End it at the vendor where that can be, remove it and its secrets; the oldest left becomes the default.

    Gives a sentence for the person where the vendor could not be told; empty where all is done.
    """
    endpoints.end_all_of(connection, actor)
    left_to_do = revoking.revoke(connection, actor, project=project)
    remove(connection, actor, project=project)
    return left_to_do


def remove(connection: Connection, actor: Actor, *, project: Any) -> None:
    record(
        "connection.disconnected",
        actor=actor,
        project=project,
        provider=connection.provider,
        connection=connection,
    )
    with transaction.atomic():
        siblings, was_default = connection.siblings(), connection.is_default
        connection.delete()
        heir = siblings.standing().order_by("created_at").first() if was_default else None
        if heir:
            heir.make_default()
            recovery.roll_up(heir)
    if was_default and not heir:
        owner = {"project_id": connection.project_id, "user_id": connection.user_id}
        IntegrationStatus.objects.filter(provider=connection.provider, **owner).delete()


def sweep_left_over() -> None:
    """Attempts that were cut off before they were tested."""
    old = timezone.now() - LEFT_OVER_AFTER
    Connection.objects.filter(state=State.PENDING, created_at__lt=old).delete()
    Secret.objects.filter(created_at__lt=old, answers_generation=None).exclude(
        pk__in=Connection.objects.exclude(current=None).values("current")
    ).delete()


def entry_for(connection: Connection) -> Entry:
    return registry.entry(connection.provider, connection.project_id)
