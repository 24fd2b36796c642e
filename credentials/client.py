"""A client that already carries the secret, so that nobody above needs to hold it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from credentials import budget
from credentials.models import Connection, State
from credentials.vault import Unreadable, VaultSealed
from navi.audit.problems import Problem
from navi.audit.redact import remember
from navi.net.client import Client, Outbound
from navi.net.guard import Policy
from navi.net.limits import Limiter, OrMemory
from navi.net.remote import Remote


@lru_cache(maxsize=4)
def outbound(*, inside: bool = True) -> Outbound:
    """The process's way out, made on first use; one to the outside only, one also to what is allowed inside."""
    return Outbound(policy(inside=inside))


@lru_cache(maxsize=1)
def limiter() -> Limiter:
    """One budget per account, shared with the other processes."""
    return Limiter(OrMemory(budget.store()))


def policy(*, inside: bool = True) -> Policy:
    """What Navi may call: NAVI_OUTBOUND_ALLOW where `inside`, and never Navi's own services."""
    return Policy.parse(settings.OUTBOUND_ALLOW if inside else "", own=settings.OWN_SERVICES)


def start_anew() -> None:
    """Forget pools and limits, for settings that changed."""
    outbound.cache_clear()
    limiter.cache_clear()


def fields_of(connection: Connection, remote: Remote) -> dict[str, str]:
    """The plain credentials, if they were given for this remote.

    Raises Problem: sealed, credential_unreadable (and remembers the damage), reauth_required.
    """
    if connection.current is None:
        return {}
    kept = opened(connection)
    fields: dict[str, str] = kept["fields"]
    remember(fields.values())
    if kept["bound_to"] != remote.bound_to:
        words = f"The address of {remote.title} is another one than when it was connected. Reconnect it."
        raise refusal("reauth_required", words, connection)
    return fields


def opened(connection: Connection) -> dict[str, Any]:
    """The sealed content of the connection's secret. Raises Problem."""
    secret = connection.current
    try:
        if secret is None or not secret.belongs_to(connection):
            raise Unreadable("The secret belongs to another connection.")
        kept: dict[str, Any] = secret.fields.reveal()
    except VaultSealed as problem:
        raise refusal("sealed", f"Navi cannot open secrets now: {problem}", connection) from None
    except Unreadable:
        reason = "The stored credential is damaged. Reconnect it."
        connection.enter(State.UNREADABLE, reason=reason, at=timezone.now())
        raise refusal("credential_unreadable", reason, connection) from None
    return kept


def refusal(code: str, words: str, connection: Connection) -> Problem:
    return Problem(code, words, provider=connection.provider, connection_id=connection.pk)


def open_client(connection: Connection, remote: Remote, fields: dict[str, str] | None = None) -> Client:
    """A client for the connection's account; `fields` where they are not stored yet."""
    carried = fields_of(connection, remote) if fields is None else fields
    remember(carried.values())
    account = connection.account_id or str(connection.pk)
    way_out = outbound(inside=remote.may_go_inside)
    return Client(remote, carried, way_out, limiter=limiter(), account=account)
