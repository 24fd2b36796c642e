"""The database goes away under load and comes back: what agents meet, and that nothing is lost or doubled.

`python -m tests.faults.database_down --seconds 30` prints the figures; a shorter one is among the tests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.bench import connect, prepared, served
from tests.faults.postgres import Postgres
from tests.ports import free_port
from tests.standins.todoist import TodoistStandin

READERS, WRITERS = 6, 2
BETWEEN = 0.05  # seconds between two calls of one agent


@dataclass(frozen=True)
class Answer:
    at: float
    kind: str
    key: str
    status: int  # 0: no answer at all
    retry_after: str
    code: str


@dataclass
class Seen:
    """What the agents met, and when the database went and came."""

    answers: list[Answer] = field(default_factory=list)
    down_at: float = 0.0
    up_at: float = 0.0
    tasks: Counter[str] = field(default_factory=Counter)

    def during(self, since: float, until: float) -> list[Answer]:
        return [answer for answer in self.answers if since <= answer.at < until]

    @property
    def recovered_after(self) -> float:
        """Seconds from the database's return to the last answer that was not as usual.

        A write that was cut off between the vendor's answer and ours stays `busy` under its key: nobody knows
        whether it happened, and it must not happen twice.
        """
        cut_off = {answer.key for answer in self.during(self.down_at - 1, self.down_at + 1)} - {""}
        late = [
            answer.at
            for answer in self.answers
            if answer.at > self.up_at and answer.status != 200 and answer.key not in cut_off
        ]
        return max(late, default=self.up_at) - self.up_at


def ask(
    port: int, token: str, method: str, path: str, body: Any = None, key: str = ""
) -> tuple[int, str, str]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = line.getresponse()
        told = json.loads(answer.read() or b"{}")
        return answer.status, answer.headers.get("Retry-After", ""), told.get("error", {}).get("code", "")
    finally:
        line.close()


class Load:
    """Agents that read tokens and agents that write tasks, until told to stop."""

    def __init__(self, port: int, token: str, seen: Seen) -> None:
        self.port, self.token, self.seen, self.is_over = port, token, seen, threading.Event()
        self.threads = [threading.Thread(target=self.read) for _ in range(READERS)]
        self.threads += [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]

    def read(self) -> None:
        while not self.is_over.wait(BETWEEN):
            self.note("read", "", "GET", "/api/credentials/todoist/token")

    def write(self, writer: int) -> None:
        """Each task has a key, with which the agent asks again as long as it is told to."""
        number = 0
        while not self.is_over.wait(BETWEEN):
            key = f"task-{writer}-{number}"
            status = self.note(
                "write", key, "POST", "/api/actions/todoist.create_task", {"content": key}, key
            )
            number += status != 503

    def note(self, kind: str, name: str, method: str, path: str, body: Any = None, key: str = "") -> int:
        try:
            status, retry_after, code = ask(self.port, self.token, method, path, body, key)
        except (OSError, http.client.HTTPException, ValueError):
            status, retry_after, code = 0, "", ""
        self.seen.answers.append(Answer(time.monotonic(), kind, name, status, retry_after, code))
        return status

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def watch(*, seconds: float, before: float = 2.0, after: float = 7.0) -> Seen:
    """Run one house on a PostgreSQL of its own, and take that away for so many seconds."""
    seen = Seen()
    with Postgres() as postgres, TodoistStandin() as todoist, tempfile.TemporaryDirectory() as data:
        port = free_port()
        environment = {
            **os.environ, "NAVI_DATA_DIR": data, "PORT": str(port), "NAVI_UPSTREAMS": f"todoist={todoist.url}",
            "NAVI_BOOTSTRAP_PASSWORD": "faults walk 7 dogs", "NAVI_LOG_LEVEL": "ERROR", "DATABASE_URL": postgres.url,
        }  # fmt: skip
        token = prepared(environment)
        with served(environment, port, 2):
            connect(port, token)
            with Load(port, token, seen):
                time.sleep(before)
                seen.down_at = time.monotonic()
                postgres.stop()
                time.sleep(seconds)
                postgres.start()
                seen.up_at = time.monotonic()
                time.sleep(after)
        seen.tasks = Counter(task["content"] for task in todoist.tasks.values())
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    seen = watch(seconds=options.seconds)
    down = seen.during(seen.down_at + 0.5, seen.up_at)
    print(f"{len(seen.answers)} calls, {len(down)} while the database was down for {options.seconds:g} s")
    print(f"  while down      {dict(Counter((a.status, a.code) for a in down))}")
    print(
        f"  with Retry-After {sum(bool(a.retry_after) for a in down)} of {sum(a.status == 503 for a in down)} answers of 503"
    )
    print(f"  well again after {seen.recovered_after:.1f} s")
    after = seen.during(seen.up_at, seen.up_at + 60)
    print(f"  afterwards       {dict(Counter((a.kind, a.status, a.code) for a in after))}")
    done = {a.key for a in seen.answers if a.kind == "write" and a.status == 200}
    print(f"  tasks: {len(done)} answered, {len(done - set(seen.tasks))} lost, "
          f"{sum(count > 1 for count in seen.tasks.values())} doubled")  # fmt: skip


if __name__ == "__main__":
    main()
