"""Places to wait in for somebody else: half of the web's 64 threads, for all who wait (house.md, "Processes")."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PLACES = 32

places = threading.BoundedSemaphore(PLACES)


@contextmanager
def place(refusal: Exception) -> Iterator[None]:
    """Have a place for as long as the block runs. Raises `refusal`, at once, where none is free."""
    if not places.acquire(blocking=False):
        raise refusal
    try:
        yield
    finally:
        places.release()
