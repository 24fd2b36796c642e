"""Ask the vendor, with the stored credentials, whether all is well; remember the answer."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

from django.utils import timezone

from credentials.client import open_client
from credentials.models import USABLE, AuthKind, Connection, Health
from integrations import policy, registry
from integrations.models import HealthCheck
from integrations.registry import Entry
from integrations.runtime import cli_logins, grants, notices, recovery
from integrations.runtime.pacing import spread
from integrations.runtime.vendor import storable, understood, without_secrets
from integrations.sdk import Client, Identity, MissingScopes, Reconnect, Refused, TryLater, VendorError
from navi.audit.actor import SYSTEM, Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.jobs.ledger import enqueue_all

EVERY = timedelta(minutes=15)
WHEN_ILL = timedelta(minutes=5)
JITTER = 0.2
DUE_AT_ONCE = 5000


@dataclass(frozen=True)
class Finding:
    """What one look at the vendor showed."""

    ok: bool
    status: str
    reason: str
    latency_ms: int
    identity: Identity | None = None
    error: Exception | None = None


def check(
    connection: Connection, entry: Entry, *, actor: Actor = SYSTEM, asked_by: str = "schedule"
) -> Finding:
    """Run one health check and remember it: a HealthCheck row, the connection's health, the roll-up."""
    before = connection.health
    finding = look(connection, entry)
    at = timezone.now()
    remember(connection, finding, asked_by=asked_by, at=at)
    if connection.health != before:
        record(
            "health.checked", actor=actor, project=connection.project, provider=entry.slug, connection=connection,
            outcome="ok" if finding.ok else "failed", duration_ms=finding.latency_ms,
            detail={"from": before, "to": connection.health, "reason": finding.reason},
        )  # fmt: skip
    return finding


def look(connection: Connection, entry: Entry) -> Finding:
    """Ask the vendor who we are; never raises what a vendor or a damaged row can cause."""
    started = monotonic()
    try:
        identity = identity_of(connection, entry)
    except VendorError as error:
        # To a question that only asks who we are, even a refusal of the content is a sign of trouble.
        trouble = TryLater(error.message) if isinstance(error, Refused | MissingScopes) else error
        recovery.note_failure(connection, trouble, is_use=False)
        problem = recovery.of_connection(error, connection)
        return Finding(False, connection.health, error.message, elapsed(started), error=problem)
    except Problem as error:
        status = connection.health if error.code in {"sealed", "no_token"} else Health.FAILED
        return Finding(False, status, error.message, elapsed(started), error=error)
    recovery.note_success(connection, is_use=False)
    return Finding(True, Health.HEALTHY, "", elapsed(started), identity)


def identity_of(connection: Connection, entry: Entry) -> Identity:
    """Whose the stored credentials are; a token that the vendor refuses is renewed once."""
    cli_logins.refuse_to_call(connection, entry)
    grants.kept_alive(connection, entry)
    seen = connection.generation
    try:
        return identify(client_of(connection, entry), entry)
    except Reconnect as error:
        if not grants.may_renew(connection, entry, error.status):
            raise
        grants.kept_alive(connection, entry, refused_generation=seen)
        return identify(client_of(connection, entry), entry)


def client_of(connection: Connection, entry: Entry) -> Client:
    return open_client(connection, entry.remote(auth_kind=connection.auth_kind))


def identify(client: Client, entry: Entry) -> Identity:
    """Whom the client's credentials belong to; a provider without a health check is taken at its word."""
    if entry.identity is None:
        return Identity(label=entry.name, account_id="")
    with understood(entry.name):
        found = entry.identity(client)
        label = storable(without_secrets(found.label, entry, client))
        return replace(found, label=label, account_id=storable(found.account_id))


def elapsed(started: float) -> int:
    return int((monotonic() - started) * 1000)


def remember(connection: Connection, finding: Finding, *, asked_by: str, at: datetime) -> None:
    code = "" if finding.ok else getattr(finding.error, "code", "")
    HealthCheck.objects.create(
        connection=connection, at=at, status=finding.status, reason=finding.reason[:300], code=code,
        latency_ms=finding.latency_ms, asked_by=asked_by,
    )  # fmt: skip
    changes: dict[str, object] = {"last_check_at": at, "next_check_at": next_check(finding, at)}
    if finding.ok:
        changes["last_success_at"] = at
    if isinstance(finding.error, Problem) and finding.status == Health.FAILED:
        notices.went(connection, finding.reason)
        changes |= {"health": Health.FAILED, "health_reason": finding.reason[:300]}
        if connection.health != Health.FAILED:
            changes["health_since"] = at
    recovery.apply(connection, changes)
    recovery.roll_up(connection)


def next_check(finding: Finding, at: datetime) -> datetime:
    """Spread out, so that five hundred connections do not ask at once after a restart."""
    pause = EVERY if finding.ok else WHEN_ILL
    return at + pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreading, not secrecy


# --- by schedule


def enqueue_due() -> None:
    """Each minute: put the connections whose time has come into the ledger."""
    now = timezone.now()
    due = Connection.objects.filter(state__in=USABLE, enabled=True).exclude(auth_kind=AuthKind.CLI)
    due = due.filter(next_check_at__lte=now) | due.filter(next_check_at=None)
    rows = due.order_by("next_check_at").values_list("pk", "provider")[:DUE_AT_ONCE]
    enqueue_all("health", spread(rows, at=now))


def run_job(connection_id: str) -> None:
    """The ledger's handler: one connection's check."""
    connection = Connection.objects.select_related("current", "project").filter(pk=connection_id).first()
    if connection is None or not connection.is_usable:
        return
    try:
        entry = registry.entry(connection.provider, connection.project_id)
        policy.check_not_blocked(entry)
        policy.check_approved(entry)
    except Problem:
        push_back(connection)
        return
    check(connection, entry)


def push_back(connection: Connection) -> None:
    """Its plugin is not installed now, or an operator blocks it: look again tomorrow."""
    Connection.objects.filter(pk=connection.pk).update(next_check_at=timezone.now() + timedelta(days=1))
