"""What a kind of job means. Apps register in AppConfig.ready; the ledger itself knows no kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

Function = Callable[[str], object]
EveryMinute = Callable[[], object]

LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 3


class Later(Exception):
    """Raised by a handler that can do nothing yet: the job waits until `due_at`, no attempt is counted."""

    def __init__(self, due_at: datetime) -> None:
        super().__init__(f"due at {due_at:%Y-%m-%d %H:%M:%S}")
        self.due_at = due_at


@dataclass(frozen=True)
class Handler:
    function: Function
    lease: timedelta = LEASE
    max_attempts: int = MAX_ATTEMPTS


_handlers: dict[str, Handler] = {}
_every_minute: list[EveryMinute] = []


def register(
    kind: str, function: Function, *, lease: timedelta = LEASE, max_attempts: int = MAX_ATTEMPTS
) -> None:
    """Let `function(object_id)` do the jobs of this kind.

    A run is stopped when its lease ends, and after four minutes at the latest; a stopped run counts as
    failed. What it did stays done, so a handler must bear being run again.
    """
    known = _handlers.get(kind)
    if known and known.function is not function:
        raise ValueError(f"Jobs of kind {kind!r} have a handler already.")
    _handlers[kind] = Handler(function, lease, max_attempts)


def every_minute(function: EveryMinute) -> None:
    """Call `function` about once a minute, for half a minute at most, in whichever worker has the tick."""
    if function not in _every_minute:
        _every_minute.append(function)


def handler_for(kind: str) -> Handler | None:
    return _handlers.get(kind)


def minute_functions() -> tuple[EveryMinute, ...]:
    return tuple(_every_minute)
