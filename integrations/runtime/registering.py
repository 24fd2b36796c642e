"""Tell the vendor where to call, again before it forgets, and to stop. Its HTTP is never inside a transaction."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.resolve import Resolution, usable
from credentials.vault import VaultSealed
from integrations import policy
from integrations.models import WebhookEndpoint
from integrations.runtime import hearing, lines, recovery, toggles
from integrations.runtime.lines import Line
from integrations.runtime.reach import client_for
from integrations.runtime.vendor import understood
from integrations.sdk import Client, Registered, Subscription, VendorError
from navi.audit.actor import SYSTEM, Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.audit.redact import redact, remember

RENEWED_AT = 0.8  # of its life at the vendor
REGISTERING = timedelta(minutes=10)  # how long a vendor's handshake may bring a secret meanwhile
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=5), timedelta(hours=1)
STATES = WebhookEndpoint.State


def note(event: str, endpoint: WebhookEndpoint, actor: Actor, **facts: Any) -> None:
    detail = {
        "endpoint": str(endpoint.pk),
        "resource": endpoint.resource,
        **(facts.pop("detail", None) or {}),
    }
    record(
        event, actor=actor, project=endpoint.project, provider=endpoint.provider, plugin=endpoint.plugin,
        connection=endpoint.connection, detail=detail, **facts,
    )  # fmt: skip


# --- at the vendor


def first_time(line: Line, actor: Actor) -> None:
    """Register a fresh endpoint. Raises Problem, VendorError; then the endpoint is gone again."""
    try:
        # The vendor's handshake may arrive before this returns: the row is there, and waits.
        registered = registered_at_vendor(line, secret=newest(line.endpoint))
    except (Problem, VendorError) as error:
        with transaction.atomic():
            failed(line.endpoint, error, actor)
            line.endpoint.delete()
        raise
    settle(line.endpoint, registered)


def anew(line: Line, actor: Actor, *, secret: str, overlap: timedelta) -> None:
    """Register again with another secret, then end the registration before. Raises Problem, VendorError."""
    endpoint, before = line.endpoint, dict(line.endpoint.registration)
    if secret:
        change_secrets(endpoint, secret, overlap=overlap)
    else:
        open_for_greeting(endpoint, REGISTERING)
    try:
        registered = registered_at_vendor(line, secret=secret)
    except (Problem, VendorError) as error:
        if secret:
            drop_secret(endpoint, secret)
        failed(endpoint, error, actor)
        raise
    settle(endpoint, registered)
    end_before(line, before)


def registered_at_vendor(line: Line, *, secret: str) -> Registered:
    """Ask the vendor. Raises Problem, VendorError."""
    remember([secret])
    register = line.webhook.register_function
    assert register is not None  # noqa: S101 - asked only where there is one
    subscription = Subscription(
        url=lines.url_of(line.endpoint), secret=secret, resource=line.endpoint.resource, id=str(uuid.uuid4()),
        settings=toggles.settings_of(line.plugin, line.endpoint.project), previous=line.endpoint.registration,
    )  # fmt: skip
    client = client_of(line)
    try:
        with understood(line.entry.name):
            return register(client, subscription)
    except VendorError as error:
        account = line.endpoint.connection
        if account is not None:
            recovery.note_failure(account, error)
            raise recovery.of_connection(error, account) from None
        raise


def client_of(line: Line) -> Client:
    """A client with the endpoint's account. Raises Problem, VendorError."""
    found = Resolution(line.endpoint.connection, "")
    account = usable(found, provider=line.entry.slug, name=line.entry.name)
    return client_for(account, line.entry, base_url=line.plugin.base_url)


def end_before(line: Line, facts: dict[str, Any]) -> str:
    """End a registration at the vendor; why not, where that could not be done."""
    unregister = line.webhook.unregister_function
    if not facts or facts == line.endpoint.registration or unregister is None:
        return ""
    return ended_at_vendor(line, facts)


def ended(endpoint: WebhookEndpoint) -> str:
    """Tell the vendor to stop calling, as far as it lets us. What is left for a person, in words."""
    try:
        line = lines.line_of(endpoint)
    except Problem:
        return ""
    if line.webhook.unregister_function is None or not endpoint.registration:
        return f"Remove the webhook at {line.entry.name} too."
    return ended_at_vendor(line, endpoint.registration)


def ended_at_vendor(line: Line, facts: Any) -> str:
    unregister = line.webhook.unregister_function
    assert unregister is not None  # noqa: S101 - asked only where there is one
    try:
        client = client_of(line)
        with understood(line.entry.name):
            unregister(client, facts)
    except (Problem, VendorError) as error:
        return f"{redact(error.message).rstrip('.')}. Remove the webhook at {line.entry.name}."[:300]
    return ""


# --- what is written down


def newest(endpoint: WebhookEndpoint) -> str:
    return next(iter(lines.live(endpoint)), "")


def settle(endpoint: WebhookEndpoint, registered: Registered) -> None:
    """What the vendor knows it by; a handshake may have written secrets meanwhile, and they stay."""
    ends = registered.expires_at
    facts: dict[str, Any] = {
        "registration": dict(registered.facts), "expires_at": ends, "renew_at": renewal_of(ends),
        "state": STATES.ACTIVE, "state_reason": "", "last_number": None,
    }  # fmt: skip
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**facts)
        if registered.secret:
            change_secrets(endpoint, registered.secret, overlap=timedelta(hours=24))
        close_for_greeting(endpoint)
    for name, value in facts.items():
        setattr(endpoint, name, value)


def renewal_of(ends: datetime | None) -> datetime | None:
    """At four fifths of its life, a little spread so that those made together are not renewed together."""
    if ends is None:
        return None
    now = timezone.now()
    return now + (ends - now) * RENEWED_AT * random.uniform(0.95, 1.05)  # noqa: S311 - not a secret


@transaction.atomic
def change_secrets(endpoint: WebhookEndpoint, secret: str, *, overlap: timedelta) -> None:
    """Put a secret in front. Raises Problem `sealed`."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    row.secrets = lines.with_secret(lines.kept(row), secret, overlap=overlap.total_seconds())
    write(endpoint, row)


@transaction.atomic
def drop_secret(endpoint: WebhookEndpoint, secret: str) -> None:
    """The vendor never took it: the one before counts without an end again."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    held = lines.kept(row)
    left = [one for one in held["live"] if one["value"] != secret]
    row.secrets = {
        **held,
        "live": [{**one, "until": None if not at else one["until"]} for at, one in enumerate(left)],
    }
    write(endpoint, row)


@transaction.atomic
def open_for_greeting(endpoint: WebhookEndpoint, window: timedelta) -> None:
    """For this long, the vendor's handshake may bring another secret; the one in force stays until then."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    row.secrets = {**lines.kept(row), "greets_until": (timezone.now() + window).timestamp()}
    write(endpoint, row)


@transaction.atomic
def close_for_greeting(endpoint: WebhookEndpoint) -> None:
    """The vendor has answered, and greets while it is asked: whoever comes later is somebody else."""
    row = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    if lines.kept(row).get("greets_until"):
        row.secrets = {**lines.kept(row), "greets_until": 0}
        write(endpoint, row)


def write(endpoint: WebhookEndpoint, row: WebhookEndpoint) -> None:
    try:
        row.save(update_fields=["secrets"])
    except VaultSealed as problem:
        raise Problem("sealed", f"Navi cannot seal secrets now: {problem}") from None
    endpoint.refresh_from_db(fields=["secrets"])


def failed(endpoint: WebhookEndpoint, error: Problem | VendorError, actor: Actor) -> None:
    reason = redact(error.message)[:300]
    note("webhook.failed", endpoint, actor, outcome="failed", code=error.code, detail={"reason": reason})


# --- before the vendor forgets


def run_job(endpoint_id: str) -> None:
    """The ledger's handler: register again, then end the registration before. A failure is told and tried again.

    While its plugin is off, or the operator blocks it, the vendor is asked nothing.
    """
    rows = WebhookEndpoint.objects.select_related("project", "connection__current", "connection__app")
    endpoint = rows.filter(pk=endpoint_id, renew_at__lte=timezone.now(), is_paused=False).first()
    if endpoint is None or endpoint.project.archived_at:
        return
    try:
        line = lines.line_of(endpoint)
        if not policy.is_on(line.entry, line.plugin, project_id=endpoint.project_id):
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(renew_at=timezone.now() + FIRST_RETRY)
            return
        renew(line)
    except (Problem, VendorError) as error:
        put_off(endpoint, error)


def renew(line: Line) -> None:
    endpoint, before = line.endpoint, dict(line.endpoint.registration)
    was_gone = endpoint.expires_at is not None and endpoint.expires_at <= timezone.now()
    if line.webhook.secret_from == "vendor":
        open_for_greeting(endpoint, REGISTERING)
    settle(endpoint, registered_at_vendor(line, secret=newest(endpoint)))
    note("webhook.renewed", endpoint, SYSTEM)
    if was_gone:
        hearing.catch_up(endpoint, "It had expired")
    end_before(line, before)


def put_off(endpoint: WebhookEndpoint, error: Problem | VendorError) -> None:
    """Try again soon, and tell; past its end it is expired, and tried each hour still."""
    now = timezone.now()
    is_over = endpoint.expires_at is not None and endpoint.expires_at <= now
    left = (endpoint.expires_at - now) / 4 if endpoint.expires_at and not is_over else LONGEST_RETRY
    pause = min(max(left, FIRST_RETRY), LONGEST_RETRY)
    changes = {"renew_at": now + pause, "state_reason": redact(error.message)[:300]}
    if is_over:
        changes["state"] = STATES.EXPIRED
    with transaction.atomic():
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**changes)
        failed(endpoint, error, SYSTEM)
