"""From a call to a plan: what, with which arguments, as which account, and what the rules say. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from credentials.models import Connection
from integrations import registry
from integrations.registry import Entry
from integrations.ruling import Ruling, check_allowed, rules_for
from integrations.runtime.cli_logins import refuse_to_call
from integrations.runtime.reach import permitted
from integrations.sdk import Action, Call
from navi.audit.problems import Problem
from navi.audit.record import Record


@dataclass(frozen=True)
class Plan:
    """A call that may happen: what, with which arguments, as which account."""

    call: Call
    entry: Entry
    action: Action
    arguments: Mapping[str, Any]
    connection: Connection
    ruling: Ruling


def prepare(call: Call, record: Record) -> Plan:
    """Find, validate, check, resolve: everything before the vendor is asked. Raises Problem, InvalidArguments."""
    record.plugin, record.action = call.plugin, call.action
    entry, action = registry.action(call.plugin, call.action, call.project.pk)
    record.provider = entry.slug
    connection = record.connection = permitted(call, entry, action.verb)
    found = rules_for(call.actor, call.project.pk).ruling(call.plugin, call.action)
    check_allowed(found, provider=entry.slug)
    arguments = action.validate(call.arguments)
    check_granted(action, connection, entry)
    refuse_to_call(connection, entry)
    return Plan(call, entry, action, arguments, connection, found)


def check_granted(action: Action, connection: Connection, entry: Entry) -> None:
    """Scopes are known only where the vendor tells them; an API key without any is let through."""
    lacking = lacking_of(action.scopes, connection, entry)
    if lacking:
        words = f"The connected {entry.name} account has not granted {', '.join(lacking)}. Reconnect and allow it."
        raise Problem(
            "missing_scopes", words, missing_scopes=lacking, provider=entry.slug, connection_id=connection.pk
        )


def lacking_of(scopes: Sequence[str], connection: Connection, entry: Entry) -> list[str]:
    """Which of these the account has not granted, as far as that is known."""
    if not connection.scopes:
        return []
    granted = entry.covered(connection)
    return [scope for scope in scopes if scope not in granted]
