"""Real processes at little cost: one that has everything loaded, and forks another for each piece of work.

`python -m tests.grants.crew` reads a list of jobs per line, runs all of them at once, each in a process of its
own that may be killed, and answers with one line. It is told its database by the environment, like any Navi.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
WAITS_MOST = 400


# --- the work


def begin() -> None:
    """Load Django and the providers; no thread, no connection."""
    import django

    django.setup()
    from tests.grants import providers

    providers.install()
    assert threading.active_count() == 1, "A process with threads must not fork."


def set_up(job: Mapping[str, Any]) -> None:
    from django.conf import settings

    settings.UPSTREAMS = job["upstreams"]
    settings.FAILPOINTS = {**settings.FAILPOINTS, **job.get("failpoints", {})}
    for path, seconds in job.get("patches", {}).items():
        patch(path, seconds)


def patch(path: str, value: Any) -> None:
    """`credentials.asker.LEASE`: 2 — seconds become a timedelta where there was one."""
    module = sys.modules[path.rpartition(".")[0]]
    name = path.rpartition(".")[2]
    is_span = isinstance(getattr(module, name), timedelta)
    setattr(module, name, timedelta(seconds=value) if is_span else value)


def work(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All readers of this process; how each fared."""
    set_up(job)
    does = {"read": read, "act": act, "renew": renew}[job["does"]]
    found: list[dict[str, Any]] = []
    time.sleep(max(0.0, job.get("start_at", 0) - time.time()))
    threads = [
        threading.Thread(target=lambda: found.append(patient(does, job)))
        for _ in range(job.get("threads", 1))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def patient(does: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """One agent: what it is told to wait for it waits for, and asks again."""
    from django.db import OperationalError, connection

    from integrations.sdk import TryLater

    until, waits, started = time.monotonic() + job.get("patience", 0), 0, time.monotonic()
    try:
        while True:
            try:
                return {"token": does(job), "seconds": time.monotonic() - started, "waits": waits}
            except OperationalError as full:
                # A hundred threads in front of a PostgreSQL of a hundred places: to agents it is a 503 "busy".
                if "too many clients" not in str(full) or time.monotonic() > until:
                    raise
                time.sleep(0.2)
            except TryLater as trouble:
                waits += 1
                if trouble.retry_at is None or time.monotonic() > until:
                    raise
                time.sleep(max(0.05, trouble.retry_at.timestamp() - time.time()))
    except Exception as error:  # whatever it is, the test wants to see it
        code, words = getattr(error, "code", "") or type(error).__name__, str(error)
        return {"error": code, "words": words, "seconds": time.monotonic() - started, "waits": waits}
    finally:
        connection.close()


def call_for(job: Mapping[str, Any], action: str = "") -> Any:
    from integrations.sdk import Call
    from navi.audit.actor import Actor
    from navi.projects.models import Project

    project = Project.objects.get(slug="acme")
    ada = Actor("agent", "ada", "Ada", None, "owner", frozenset({"secret", "run"}))
    return Call(ada, project, job["provider"], action)


def read(job: Mapping[str, Any]) -> str:
    """As the token endpoint does."""
    from integrations.runtime.release import release

    return release(call_for(job), min_ttl=job.get("min_ttl", 0)).value


def act(job: Mapping[str, Any]) -> str:
    from integrations.runtime.execute import run

    return str(run(call_for(job, "whoami")).value["token"])


def renew(job: Mapping[str, Any]) -> str:
    """As the worker does."""
    from credentials.models import Connection
    from integrations.runtime import grants

    grants.run_job(str(Connection.objects.get(provider=job["provider"]).pk))
    return ""


# --- the process that forks


def main() -> None:
    begin()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(all_of(json.loads(line))), flush=True)


def all_of(jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / str(number) for number in range(len(jobs))]
        pids = [forked(job, place) for job, place in zip(jobs, places, strict=True)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        said = [json.loads(place.read_text()) if place.exists() else [] for place in places]
    return [{"ended": end, "said": words} for end, words in zip(ends, said, strict=True)]


def forked(job: Mapping[str, Any], place: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        place.write_text(json.dumps(work(job)))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


# --- and who gives it work


class Crew:
    """Starts the process and speaks to it."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment, self.log = environment, log

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.grants.crew"], cwd=ROOT, text=True, stderr=log,
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

    def run(self, *jobs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Each job in a process of its own, all at once; how each ended and what it said."""
        assert self.process.stdin
        at_once = time.time() + 0.3 if len(jobs) > 1 else 0
        self.process.stdin.write(json.dumps([{"start_at": at_once, **job} for job in jobs]) + "\n")
        self.process.stdin.flush()
        found: list[dict[str, Any]] = json.loads(self.line())
        return found


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    main()
