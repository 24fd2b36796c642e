"""Which account serves this actor here: named, else the project's default, else the owner's own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from credentials.client import refusal
from credentials.models import Connection, State
from navi.audit.problems import Problem


@dataclass(frozen=True)
class Resolution:
    """The connection that would be used, why that one, and what it shadows."""

    connection: Connection | None
    why: str
    shadowed: Sequence[Connection] = field(default_factory=tuple)


def candidates(provider: str, *, project_id: uuid.UUID, user_id: uuid.UUID | None) -> list[Connection]:
    """All connections in reach, in the order of resolution: one query."""
    rows = Connection.objects.reachable(project_id=project_id, user_id=user_id).filter(provider=provider)
    return list(rows.select_related("current").in_order_of_resolution())


def choose(found: Sequence[Connection], name: str | None = None) -> Resolution:
    """Pick among candidates that are in the order of resolution."""
    if name is not None:
        return named(found, name)
    chosen = next((connection for connection in found if connection.is_default), None)
    if chosen is None:
        return Resolution(None, "Nothing is connected here.", tuple(found))
    others = tuple(connection for connection in found if connection is not chosen)
    if chosen.project_id:
        return Resolution(chosen, "It is this project's default.", others)
    return Resolution(chosen, "The project has none of its own, so the token owner's default serves.", others)


def named(found: Sequence[Connection], name: str) -> Resolution:
    chosen = next((one for one in found if name in {str(one.pk), one.pk.hex, one.label}), None)
    if chosen is None:
        raise Problem("unknown", "There is no connection of this name or id here.", field="connection")
    others = tuple(connection for connection in found if connection is not chosen)
    return Resolution(chosen, "It was asked for by name.", others)


def connection_for(
    provider: str, *, name: str, project_id: uuid.UUID, user_id: uuid.UUID | None, wanted: str | None = None
) -> Connection:
    """The usable connection. `name` is the provider's, for people.

    Raises Problem: not_connected, reauth_required, disabled, credential_unreadable, unknown.
    """
    found = candidates(provider, project_id=project_id, user_id=user_id)
    return usable(choose(found, wanted), provider=provider, name=name)


def usable(resolution: Resolution, *, provider: str, name: str) -> Connection:
    """The resolved connection, if it can be used now."""
    connection = resolution.connection
    if connection is None:
        raise Problem("not_connected", f"{name} is not connected here yet.", provider=provider)
    if not connection.enabled:
        raise refusal("disabled", f"The connection “{connection.label}” is switched off.", connection)
    if connection.state == State.UNREADABLE:
        words = f"The stored {name} credential is damaged. Reconnect it."
        raise refusal("credential_unreadable", words, connection)
    if not connection.is_usable:
        words = connection.state_reason or f"{name} no longer accepts this credential. Reconnect it in Navi."
        raise refusal("reauth_required", words, connection)
    return connection
