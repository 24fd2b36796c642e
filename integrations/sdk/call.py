"""One agent call, as an envelope that is filled at the door and never changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """Who wants what done where. `actor` is an Actor, `project` a Project; the sdk knows neither."""

    actor: Any
    project: Any
    plugin: str
    action: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    connection: str | None = None  # an id or a label
    idempotency_key: str | None = None
    request_id: str = ""

    def request_key(self, run_id: uuid.UUID) -> str:
        """A UUID that is the same for every try of this call."""
        if self.idempotency_key is None:
            return str(run_id)
        name = f"{self.actor.id}/{self.plugin}.{self.action}/{self.idempotency_key}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass(frozen=True)
class Result:
    """What an action gave back."""

    value: Any
    run_id: uuid.UUID
    connection_id: uuid.UUID | None = None
    is_replay: bool = False
