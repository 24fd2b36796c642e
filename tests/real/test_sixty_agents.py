"""Sixty agents in two processes meet a vendor whose limit nobody knows beforehand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.standins.server import Standin, answer_with

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
AGENTS, PROCESSES = 60, 2
CALLS, SECONDS = 10, 2.0
# Promised on a machine that does nothing else (`make agents`); beside other tests there is some room.
IS_QUIET = bool(os.environ.get("NAVI_TESTS_ON_A_QUIET_MACHINE"))
REFUSED_MOST, SECONDS_MOST, MOVED_MOST = (5, 15, 5) if IS_QUIET else (10, 30, 15)
REDIS = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"


class Vendor(Standin):
    """Lets CALLS pass in SECONDS and answers 429 to the rest."""

    def __init__(self, window: str, retry_after: str | None):
        self.window = window
        self.refusal = {"Retry-After": retry_after} if retry_after else {}
        super().__init__()

    def seed(self):
        self.passed: deque[float] = deque()
        self.refused: list[float] = []

    def answer(self, request):
        now = time.monotonic()
        start = now - SECONDS if self.window == "sliding" else now // SECONDS * SECONDS
        if sum(moment > start for moment in self.passed) < CALLS:
            self.passed.append(now)
            return answer_with(200, {})
        self.refused.append(now)
        return answer_with(429, "Slow down.", self.refusal)


@pytest.fixture(params=["database", "redis"])
def where(request):
    """Where the two processes meet: DATABASE_URL and REDIS_URL."""
    from django.db import connection

    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite://{facts['NAME']}"
    else:
        user = ":".join(quote(facts[name]) for name in ("USER", "PASSWORD") if facts[name])
        url = f"postgres://{user}@{facts['HOST']}:{facts['PORT'] or 5432}/{facts['NAME']}"
    if request.param == "redis" and not is_there(REDIS):
        pytest.skip("There is no Redis on this machine.")
    return {"DATABASE_URL": url, "REDIS_URL": REDIS if request.param == "redis" else ""}


def is_there(url):
    import redis

    try:
        return redis.Redis.from_url(url, socket_connect_timeout=1).ping()
    except redis.RedisError:
        return False


def sixty_agents(vendor, where, folder):
    """Let the agents of all processes start together; how each call went, in the order of their start."""
    environment = {**os.environ, **where, "NAVI_DATA_DIR": str(folder)}
    environment["DJANGO_SETTINGS_MODULE"] = "navi.settings"
    command = [sys.executable, "-m", __name__, vendor.url, f"team-{uuid.uuid4()}", str(AGENTS // PROCESSES)]
    started = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(PROCESSES)
    ]
    try:
        assert [next(iter(process.stdout or ())) for process in started] == ["ready\n"] * PROCESSES
        begin = time.time()
        for process in started:
            print("go", file=process.stdin, flush=True)
        told = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return begin, told


@pytest.mark.parametrize("retry_after", ["2", None])
@pytest.mark.parametrize("window", ["sliding", "fixed"])
def test_sixty_agents_share_a_limit_that_nobody_told_them(where, window, retry_after, tmp_path):
    with Vendor(window, retry_after) as vendor:
        begin, told = sixty_agents(vendor, where, tmp_path)
    calls = [call for process in told for call in process]
    waits = [call["ended_at"] - begin for call in calls]
    figures = (
        f"{max(waits):.1f} s, {len(vendor.refused)} of 429, longest / mean {max(waits) * 60 / sum(waits):.1f}"
    )

    assert [call["status"] for call in calls] == [200] * AGENTS
    assert len(vendor.passed) == AGENTS
    assert len(vendor.refused) <= REFUSED_MOST, figures
    assert max(waits) <= SECONDS_MOST, figures
    assert max(waits) <= 3 * sum(waits) / AGENTS, figures
    assert max(map(moved, told)) <= MOVED_MOST, figures
    print(figures)


def moved(process):
    """How many places at most a call ended behind its place in the order of arrival."""
    order = sorted(process, key=lambda call: call["began_at"])
    ends = sorted(process, key=lambda call: call["ended_at"])
    return max(ends.index(call) - place for place, call in enumerate(order))


# --- what runs in each process


def agents(url: str, account: str, number: int) -> None:
    """Make each agent's call; say "ready", begin at a line from stdin, tell how it went."""
    import django

    django.setup()
    from credentials.client import limiter
    from navi.net.auth import NoAuth
    from navi.net.client import Client, Outbound
    from navi.net.guard import Policy
    from navi.net.remote import Remote

    way_out = Outbound(Policy.parse(url.removeprefix("http://"), own=[]))
    client = Client(Remote("vendor", url, NoAuth()), {}, way_out, limiter=limiter(), account=account)
    calls: list[dict[str, float | str]] = []

    def agent() -> None:
        began_at = time.time()
        try:
            status: int | str = client.get("/").status_code
        except Exception as trouble:
            status = repr(trouble)
        calls.append({"began_at": began_at, "ended_at": time.time(), "status": status})

    threads = [threading.Thread(target=agent) for _ in range(number)]
    print("ready", flush=True)
    sys.stdin.readline()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(calls))


if __name__ == "__main__":
    agents(sys.argv[1], sys.argv[2], int(sys.argv[3]))
