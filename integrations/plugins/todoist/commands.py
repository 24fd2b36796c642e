"""Commands of the Sync endpoint: each carries a UUID, and Todoist never carries out the same one twice.

https://developer.todoist.com/api/v1 (Sync, Writing resources), read 2026-11-21.
"""

from __future__ import annotations

import uuid
from typing import Any

from integrations.plugins.todoist.facts import meaning
from integrations.sdk import Client, Refused, TryLater


def command(todoist: Client, kind: str, arguments: dict[str, Any], key: str) -> None:
    """Have one command carried out, once for each key. Raises what its failure means."""
    carried_out(todoist, {"type": kind, "uuid": key, "args": arguments})


def addition(todoist: Client, kind: str, arguments: dict[str, Any], key: str) -> str:
    """Have something added, once for each key, and return its id."""
    own = str(uuid.uuid5(uuid.UUID(key), "temp_id"))
    answer = carried_out(todoist, {"type": kind, "uuid": key, "temp_id": own, "args": arguments})
    made = (answer.get("temp_id_mapping") or {}).get(own)
    if not made:
        raise Refused(
            "Todoist says that an earlier try of this call was carried out, but not what came of it. "
            "Look before you try again."
        )
    return str(made)


def carried_out(todoist: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    # The same UUID makes a repeat harmless, so a lost answer is simply asked for again.
    answer = todoist.post("/sync", json={"commands": [wanted]}, idempotent=True).json()
    status = (answer.get("sync_status") or {}).get(wanted["uuid"]) if isinstance(answer, dict) else None
    if status == "ok":
        return dict(answer)
    if not isinstance(status, dict):
        raise TryLater("Todoist answered with something Navi cannot read. Try again later.", sent=True)
    # A command that failed comes with HTTP 200; the status that it would have had is inside.
    error = meaning(status, int(status.get("http_code") or 400))
    error.status, error.message = int(status.get("http_code") or 400), todoist.secrets.redact(error.message)
    raise error
