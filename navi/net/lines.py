"""Open lines to vetted addresses: a decision about a name's addresses lives as long as its connections."""

import os
import threading
import time
from dataclasses import dataclass
from typing import Generic, TypeVar

LIFETIME_SECONDS = 60.0
Pool = TypeVar("Pool")
Key = tuple[str, str | None]


@dataclass(eq=False)
class Line(Generic[Pool]):
    """The connections to one origin, at the addresses it had when the line was opened."""

    key: Key
    pool: Pool
    opened_at: float
    calls: int = 0


class Lines(Generic[Pool]):
    """Lines by origin. One older than a minute takes no new call and ends with its last one."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.open: dict[Key, Line[Pool]] = {}
        self.leaving: list[Line[Pool]] = []

    def borrow(self, key: Key) -> Line[Pool] | None:
        """A line for one more call; None where one has to be opened."""
        # A forked worker shares its parent's sockets and must not speak on them.
        if self.process != os.getpid():
            self.forget_all()
        with self.lock:
            self.retire_old()
            line = self.open.get(key)
            if line:
                line.calls += 1
            return line

    def add(self, key: Key, pool: Pool) -> Line[Pool]:
        """A line for the call that vetted its addresses; where another call was quicker, that one's line."""
        with self.lock:
            line = self.open.setdefault(key, Line(key, pool, opened_at=time.monotonic()))
            line.calls += 1
            return line

    def give_back(self, line: Line[Pool], *, is_good: bool) -> list[Pool]:
        """Return a line, and get the pools that nobody uses any more and that are to be closed."""
        with self.lock:
            line.calls -= 1
            if not is_good and self.open.get(line.key) is line:
                self.retire(line.key)
            self.retire_old()
            return self.finished()

    def hang_up(self) -> list[Pool]:
        """Retire every line, and get the pools to be closed now; the others end with their last call."""
        with self.lock:
            for key in list(self.open):
                self.retire(key)
            return self.finished()

    def retire_old(self) -> None:
        oldest = time.monotonic() - LIFETIME_SECONDS
        for line in [line for line in self.open.values() if line.opened_at < oldest]:
            self.retire(line.key)

    def retire(self, key: Key) -> None:
        line = self.open.pop(key, None)
        if line:
            self.leaving.append(line)

    def finished(self) -> list[Pool]:
        done = [line for line in self.leaving if not line.calls]
        self.leaving = [line for line in self.leaving if line.calls]
        return [line.pool for line in done]
