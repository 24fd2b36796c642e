"""Real workers at little cost: one process that has everything loaded, and forks another for each turn.

`python -m tests.sync.crew` reads a job per line, works off the ledger in a process of its own that may be
killed, and answers with how that ended. Its database it is told by the environment, like any Navi.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
WAITS_MOST = 400


def main() -> None:
    import django

    django.setup()
    from tests.sync import shelf

    shelf.install()
    print("ready", flush=True)
    for line in sys.stdin:
        jobs = json.loads(line)
        pids = [forked(job) for job in jobs]
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]), flush=True)


def forked(job: Mapping[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work(job)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def work(job: Mapping[str, Any]) -> None:
    """As a worker that hears the bell."""
    from django.conf import settings

    from navi.jobs import work

    settings.UPSTREAMS = job["upstreams"]
    settings.FAILPOINTS = {**settings.FAILPOINTS, **job.get("failpoints", {})}
    work.work_off(started=time.monotonic())


class Crew:
    """Starts the process and gives it turns."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment, self.log = environment, log

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.sync.crew"], cwd=ROOT, text=True, stderr=log,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **self.environment},
            )  # fmt: skip
        assert self.line() == "ready", self.log.read_text()[-3000:]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=WAITS_MOST)
        self.process.stdout.close()

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def run(self, *jobs: Mapping[str, Any]) -> list[int]:
        """Each in a process of its own, all at once; their exit codes."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()
        ends: list[int] = json.loads(self.line())
        return ends


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    main()
