"""When each token was last used, kept in the process and written after answers, not with them.

A crash loses at most a minute of freshness; what was done with a token is in the audit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from navi.audit.record import address
from navi.projects.models import AgentToken

EVERY_SECONDS = 60
log = logging.getLogger(__name__)


class Uses:
    """The uses not yet written: one per token, the newest. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._waiting: dict[str, tuple[datetime, str]] = {}
        self._due: float | None = None
        self._lock = threading.Lock()

    def note(self, public_id: str, ip: str, at: datetime) -> None:
        with self._lock:
            self._waiting[public_id] = at, ip
            if self._due is None:
                self._due = self.clock() + EVERY_SECONDS

    def is_due(self) -> bool:
        return self._due is not None and self.clock() >= self._due

    def flush(self) -> int:
        """Write what waits; how many tokens that were."""
        waiting = self.take()
        for public_id, (at, ip) in waiting.items():
            AgentToken.objects.saw(public_id, at=at, ip=address(ip) or "")
        return len(waiting)

    def take(self) -> dict[str, tuple[datetime, str]]:
        with self._lock:
            waiting, self._waiting, self._due = self._waiting, {}, None
        return waiting


USES = Uses()


def note_use(public_id: str, ip: str, *, at: datetime | None = None) -> None:
    USES.note(public_id, ip, at or timezone.now())


def flush() -> int:
    return USES.flush()


def after_response(**_: Any) -> None:
    """Receiver of request_finished: the minute is over, and nobody waits for us now."""
    if USES.is_due():
        flush_or_say()


def flush_or_say() -> None:
    try:
        flush()
    except DatabaseError as problem:
        log.warning("The last use of some agent tokens could not be noted: %s", problem)


def forget() -> None:
    """Drop what waits. For tests."""
    USES.take()
