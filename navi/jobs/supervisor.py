"""Several programs as one command: started together, restarted when they die, stopped together.

Each child leads its own session, so that Ctrl-C reaches only the supervisor and a dead child's own children
can be ended as a group. On Linux the kernel ends the children when the supervisor itself is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

SETTLED = 30.0  # a child that lived this long starts its pauses from one second again
LONGEST_PAUSE = 30.0
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    handed_down: Sequence[int] = ()  # file descriptors
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    quick_deaths: int = 0

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            self.command,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            pass_fds=self.handed_down,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def ask_to_stop(self) -> None:
        # Only the main process: a signal to the whole group hangs django-q2's shutdown.
        if self.process and not self.has_ended():
            self.process.send_signal(signal.SIGTERM)

    def kill_group(self) -> None:
        """End what is left of the child and of its own children."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def pause(self) -> float:
        """How long to wait before the next start."""
        settled = time.monotonic() - self.started_at > SETTLED
        self.quick_deaths = 0 if settled else self.quick_deaths + 1
        return min(2.0 ** max(self.quick_deaths - 1, 0), LONGEST_PAUSE)


class Supervisor:
    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Callable[[str], object],
        before_stop: Callable[[], object] = lambda: None,
        grace: float = 20.0,
    ) -> None:
        self.children = children
        self.say = say
        self.before_stop = before_stop
        self.grace = grace
        self.stop_signals = 0

    def run(self) -> None:
        """Keep the children running until SIGTERM, SIGINT or SIGHUP."""
        with self.signals() as wake:
            try:
                while not self.stop_signals:
                    self.start_and_restart()
                    wait_for(wake, timeout=1.0)
                self.stop(wake)
            finally:
                for child in self.children:
                    child.kill_group()

    def start_and_restart(self) -> None:
        for child in self.children:
            if child.has_ended() and child.process:
                child.kill_group()
                pause = child.pause()
                child.start_at = time.monotonic() + pause
                self.say(
                    f"{child.name} ended ({how_it_ended(child.process)}), starts again in {pause:.0f} s."
                )
                child.process = None
            if child.process is None and time.monotonic() >= child.start_at:
                child.start()

    def stop(self, wake: int) -> None:
        """Ask nicely, wait, and leave the rest to kill_group. A second signal ends the waiting."""
        asked, until = self.stop_signals, time.monotonic() + self.grace
        self.before_stop()
        for child in self.children:
            child.ask_to_stop()
        while any(child.process and not child.has_ended() for child in self.children):
            if self.stop_signals > asked or time.monotonic() > until:
                self.say("Not everything ended in time; it is ended now.")
                return
            wait_for(wake, timeout=0.2)

    @contextlib.contextmanager
    def signals(self) -> Iterator[int]:
        """Note signals by a byte in a pipe: nothing is done, and no lock taken, inside a handler."""

        def note(signum: int, frame: FrameType | None) -> None:
            if signum != signal.SIGCHLD:
                self.stop_signals += 1

        wake, woken_by = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken_by, False)
        before = signal.set_wakeup_fd(woken_by, warn_on_full_buffer=False)
        noted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        handlers = {number: signal.signal(number, note) for number in noted}
        try:
            yield wake
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            os.close(wake)
            os.close(woken_by)


def die_with(supervisor: int) -> Callable[[], None]:
    """What a child does between fork and exec: end when the supervisor ends, and leave no core with keys."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if libc:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != supervisor:  # it died before the kernel was told
                os._exit(1)

    return prepare


def wait_for(wake: int, *, timeout: float) -> None:
    if select.select([wake], [], [], timeout)[0]:
        os.read(wake, 4096)


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
