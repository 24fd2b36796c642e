"""End a grant at the vendor, as far as the vendor lets us, and say what is left for a person to do."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from credentials import social
from credentials.asker import app_of, reload, take_lease
from credentials.client import fields_of
from credentials.grant import Denied, Garbled, Grant
from credentials.models import Connection, OAuthAttempt
from integrations import registry
from integrations.registry import Entry
from integrations.sdk import Remote, VendorError
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record

PATIENCE = 10.0  # seconds


def revoke(connection: Connection, actor: Actor, *, project: Any) -> str:
    """End the connection's grant. A sentence where that could not be done; empty where nothing is left to do."""
    if connection.auth_kind != "oauth" or connection.current is None:
        return ""
    stop_refreshing(connection)
    try:
        entry = registry.entry(connection.provider, connection.project_id)
        if is_shared(connection, entry):
            return ""
        if ended(connection, entry):
            return ""
        reason = f"{entry.name} did not end the access"
    except (Problem, VendorError) as error:
        reason = error.message.rstrip(".")
    record(
        "connection.revoke_failed", actor=actor, project=project, provider=connection.provider,
        connection=connection, outcome="failed", detail={"reason": reason[:200]},
    )  # fmt: skip
    return f"{reason}. Remove Navi in your account settings there."


def stop_refreshing(connection: Connection) -> None:
    """Wait a little for a refresh that is under way, so that it is the newest tokens that are ended."""
    until = monotonic() + PATIENCE
    while take_lease(connection) is None and monotonic() < until:
        sleep(0.1)
        reload(connection)
    reload(connection)


def is_shared(connection: Connection, entry: Entry) -> bool:
    """Would ending this grant end another connection of the same account, in another project perhaps?"""
    facts = entry.remote(auth_kind=connection.auth_kind).oauth
    if facts is None or facts.revoke is None or not facts.revoke.ends_all or not connection.account_id:
        return False
    same = Connection.objects.standing().filter(
        provider=connection.provider, account_id=connection.account_id, app=connection.app, auth_kind="oauth"
    )
    return same.exclude(pk=connection.pk).exists()


def ended(connection: Connection, entry: Entry) -> bool:
    """Did the vendor end it? Raises Problem, VendorError."""
    remote = entry.remote(auth_kind=connection.auth_kind)
    if remote.oauth is None or connection.app is None or remote.oauth.revoke is None:
        words = f"{entry.name} offers no way to end the access from here."
        raise Problem("vendor_refused", words, provider=entry.slug)
    fields = fields_of(connection, remote)
    return social.revoke(remote, app_of(connection.app, remote), fields)


def end_orphan(remote: Remote, attempt: OAuthAttempt, granted: Grant) -> None:
    """End the grant of the one who came second, unless that ends the first one's too; no trouble of it matters."""
    facts, row = remote.oauth, attempt.reconnects
    if facts is None or facts.revoke is None or facts.revoke.ends_all:
        return
    row = Connection.objects.select_related("current").filter(pk=row.pk).first() if row else None
    with suppress(Problem, VendorError, Denied, Garbled):
        in_force = fields_of(row, remote) if row else {}
        # Slack hands the same bot token to everybody who installs the app.
        if not set(in_force.values()) & set(granted.fields.values()):
            social.revoke(remote, app_of(attempt.app, remote), granted.fields)
