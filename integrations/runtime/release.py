"""Hand out a credential in clear: the hot path of the token endpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from credentials.client import fields_of
from credentials.models import Connection
from credentials.resolve import Resolution, choose, usable
from integrations import policy, registry, ruling
from integrations.registry import Entry
from integrations.runtime import recovery
from integrations.runtime.grants import kept_alive
from integrations.sdk import Call, Cli, Open, VendorError
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.net import auth as travelling

# Whoever shows a rotating refresh token ends the grant for everybody else.
NEVER_RELEASED = {"refresh_token"}


@dataclass(frozen=True, repr=False)
class Released:
    """A credential on its way out, with how it is to be sent."""

    kind: str
    value: str
    fields: dict[str, str]
    authorization: str | None
    expires_at: datetime | None
    connection: Connection
    trouble: str = ""  # why a token that still works could not be renewed


def release(call: Call, *, purpose: str = "", min_ttl: float = 0) -> Released:
    """The credential for `call.plugin` (a provider's slug), good for `min_ttl` more seconds where that can be had.

    Its event is written before it leaves.

    Raises Problem: out_of_scope, blocked, disabled, not_connected, reauth_required, no_token, sealed,
    credential_unreadable, audit_unavailable. Refusals are remembered too.
    """
    try:
        entry = registry.entry(call.plugin, call.project.pk)
        connection = permitted(call, entry)
        freshness = kept_alive(connection, entry, min_ttl=min_ttl)
        released = replace(opened(connection, entry), trouble=freshness.trouble)
    except (Problem, VendorError) as error:
        note(call, outcome="refused", code=error.code, purpose=purpose)
        raise
    note(call, connection=connection, purpose=purpose)
    recovery.note_use(connection)
    return released


def note(
    call: Call, *, outcome: str = "ok", code: str = "", connection: Any = None, purpose: str = ""
) -> None:
    detail = {"purpose": purpose[:200]} if purpose else None
    record(
        "secret.released", actor=call.actor, project=call.project, provider=call.plugin,
        connection=connection, outcome=outcome, code=code, detail=detail,
    )  # fmt: skip


def permitted(call: Call, entry: Entry) -> Connection:
    """The connection, if policy allows: one query for both where something is connected and no rule is made."""
    policy.check_scope(call.actor, "secret", entry.slug)
    place: dict[str, Any] = {"project_id": call.project.pk, "user_id": entry.person(call.actor.user_id)}
    found, standing = policy.candidates_with_standing(entry, **place)
    standing = standing or policy.standing(entry, **place)
    policy.check_open(entry, standing.effective)
    if standing.may_be_partly_off:
        policy.check_whole(entry, **place)
    if standing.may_be_ruled:
        ruling.check_uncovered(call.actor, entry, call.project.pk)
    resolution: Resolution = choose(found, call.connection)
    return usable(resolution, provider=entry.slug, name=entry.name)


def opened(connection: Connection, entry: Entry) -> Released:
    auth = entry.auth(connection.auth_kind)
    if isinstance(auth, Cli | Open):
        raise no_token(entry, auth)
    kept = fields_of(connection, entry.remote(auth_kind=connection.auth_kind))
    fields = {name: value for name, value in kept.items() if name not in NEVER_RELEASED}
    return Released(
        kind=connection.auth_kind,
        value=fields.get(travelling.secret_field(auth.sent_as), ""),
        fields=fields,
        authorization=travelling.authorization(auth.sent_as, fields),
        expires_at=connection.expires_at,
        connection=connection,
    )


def no_token(entry: Entry, auth: Cli | Open) -> Problem:
    if isinstance(auth, Cli):
        words = f"{entry.name} is signed in on the agent's own machine. Use its command there."
        return Problem("no_token", words, provider=entry.slug, cli=auth.check_command)
    return Problem(
        "no_token", f"{entry.name} needs no credentials, so there is no token.", provider=entry.slug
    )
