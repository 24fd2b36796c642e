"""What an event may carry beside its columns: plain JSON, without credentials, at most 4 KiB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from navi.audit.redact import redact_value

LIMIT = 4096
SHORTEST = 40


def fitted(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The detail, masked, and cut where it is too long; then its last key `cut` says so."""
    plain: dict[str, Any] = redact_value(detail, longest=2 * LIMIT)
    size = len(dumped(plain))
    if size <= LIMIT:
        return plain
    note = f"{size} bytes were too many; this is the beginning."
    kept: dict[str, Any] = {}
    room = LIMIT - len(dumped({"cut": note}))
    for key, value in plain.items():
        around = len(dumped(key)) + len(": , ")
        if len(dumped(value)) + around > room:
            beginning = beginning_of(value, room=room - around)
            return {**kept, **({key: beginning} if beginning else {}), "cut": note}
        kept[key] = value
        room -= len(dumped(value)) + around
    return {**kept, "cut": note}


def beginning_of(value: Any, *, room: int) -> str:
    """As much of the value's text as fits; empty where that is hardly a word."""
    text = value if isinstance(value, str) else dumped(value)
    length = min(len(text), room)
    while length >= SHORTEST:
        if len(dumped(text[:length] + "…")) <= room:
            return text[:length] + "…"
        length = length * 3 // 4
    return ""


def dumped(value: Any) -> str:
    return json.dumps(value, separators=(", ", ": "))
