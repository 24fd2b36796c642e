"""Who does something. The doors build it, everything below only passes it on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    kind: str  # agent, person, operator, system
    id: str  # an agent's is the public id of its token
    label: str
    user_id: uuid.UUID | None = None  # the person, or the owner of the agent's token
    role: str | None = None  # in the project at hand
    scopes: frozenset[str] = frozenset()  # an agent's, already cut to its owner's role
    ip: str = ""


SYSTEM = Actor("system", "navi", "Navi")
