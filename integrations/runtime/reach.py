"""From a call to a client: may it happen, as which account, with which key."""

from __future__ import annotations

from credentials.client import open_client
from credentials.models import Connection
from credentials.resolve import connection_for
from integrations import policy, ruling
from integrations.registry import Entry
from integrations.runtime.cli_logins import refuse_to_call
from integrations.runtime.grants import kept_alive
from integrations.sdk import Call, Client
from navi.audit.problems import Problem


def permitted(call: Call, entry: Entry, verb: str) -> Connection:
    """The account that serves this actor here, if policy lets them use it so. Raises Problem."""
    standing = policy.standing(entry, project_id=call.project.pk, user_id=call.actor.user_id)
    plugin = next((one for one in entry.plugins if one.slug == call.plugin), None)
    effective = standing.effective_of(plugin) if plugin else standing.effective
    policy.check(call.actor, entry, effective, verb)
    if not call.action:
        check_rules(call, entry, verb)
    return connection_for(
        entry.slug,
        name=entry.name,
        wanted=call.connection,
        project_id=call.project.pk,
        user_id=entry.person(call.actor.user_id),
    )


def check_rules(call: Call, entry: Entry, verb: str) -> None:
    """What is no action cannot be asked for one by one: the proxy, and discovery. Raises Problem."""
    if verb == "proxy":
        ruling.check_uncovered(call.actor, entry, call.project.pk)
        return
    found = ruling.rules_for(call.actor, call.project.pk).ruling(call.plugin)
    if found.asks or found.denies:
        words = f"{found.reason} So this agent does not look around in {entry.name}."
        raise Problem("approval_denied", words, provider=entry.slug)


def client_for(connection: Connection, entry: Entry, *, base_url: str = "") -> Client:
    """A client that carries the account's credentials, renewed where due. Raises Problem, VendorError."""
    refuse_to_call(connection, entry)
    kept_alive(connection, entry)
    return open_client(connection, entry.remote(auth_kind=connection.auth_kind, base_url=base_url))
