"""The storm: many senders, while web and worker are killed with -9 again and again, in real processes.

`python -m tests.hooks.soak` sends ten thousand deliveries on SQLite and on PostgreSQL and takes about a quarter of
an hour; `--deliveries 400` is shorter. It only calls 127.0.0.1.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.grants.soak import scratch
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = Path(__file__).parent / "plugins"
ENDPOINTS = 5
PATIENCE = 1800.0


@dataclass(frozen=True)
class Plan:
    deliveries: int = 10_000
    senders: int = 20
    web_every: float = 10.0  # seconds between kills
    worker_every: float = 4.0
    is_hasty: bool = (
        False  # kill by what was accepted, and do at once what the clock would do in some minutes
    )
    web_kills: int = 3  # in haste
    worker_kills: int = 4
    doubles: float = 0.05  # share of deliveries that the vendor sends twice at once


@dataclass
class Seen:
    """What the senders met."""

    accepted: list[float] = field(default_factory=list)  # seconds of each accepted request
    refused: dict[str, int] = field(default_factory=dict)  # what else came back, and how often
    lock: threading.Lock = field(default_factory=threading.Lock)

    def met(self, what: str, seconds: float) -> None:
        with self.lock:
            if what == "200":
                self.accepted.append(seconds)
            else:
                self.refused[what] = self.refused.get(what, 0) + 1


class Process:
    """One of Navi's processes with its children, killed and started again."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.command, self.env, self.log, self.kills = command, env, log, 0
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """All of them at once, as the power does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_and_start(self) -> None:
        self.kill()
        self.kills += 1
        self.start()


def own_copy(plugins: Path, folder: Path) -> Path:
    """The plugins where nobody else may write, whatever the checkout's umask was: Navi refuses them else."""
    own = folder / "plugins"
    shutil.copytree(plugins, own, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (own, *own.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return own


class House:
    """Navi on a database of its own."""

    def __init__(self, database: str, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.env = {
            **os.environ, "DATABASE_URL": database, "NAVI_DATA_DIR": str(folder / "data"), "PORT": str(self.port),
            "NAVI_PLUGIN_DIRS": str(own_copy(PLUGINS, folder)), "NAVI_WORKERS": "2", "NAVI_LOG_LEVEL": "WARNING",
        }  # fmt: skip
        self.env.pop("REDIS_URL", None)
        self.run("manage.py", "migrate", "-v0")
        self.endpoints: list[dict[str, str]] = json.loads(self.inside("set_up"))
        web = [
            *[sys.executable, "-m", "gunicorn", "navi.wsgi:application", "--no-control-socket"],
            *["-b", f"127.0.0.1:{self.port}", "-w", "2", "--threads", "8"],
            *["--log-level", "error", "--timeout", "60"],
        ]
        self.web = Process(web, self.env, folder / "web.log")
        self.worker = Process([sys.executable, "manage.py", "qcluster"], self.env, folder / "worker.log")

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stderr[-2000:]}")
        return done.stdout

    def inside(self, what: str) -> str:
        return self.run("-m", "tests.hooks.soak", "--inside", what)

    def end(self) -> None:
        for process in (self.web, self.worker):
            process.kill()


# --- the senders


def send(house: House, endpoint: dict[str, str], name: str) -> str:
    """One try: the status, or what kept it from coming back."""
    body = json.dumps({"type": "ping", "text": f"hello {name}"}).encode()
    proof = hmac.new(endpoint["secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Ping-Id": name, "X-Ping-Signature": f"sha256={proof}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    try:
        connection.request("POST", endpoint["path"], body, headers)
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as trouble:
        return type(trouble).__name__
    finally:
        connection.close()


def sender(house: House, names: list[str], seen: Seen, plan: Plan) -> None:
    """Each delivery again and again until it is accepted, as vendors do, only sooner."""
    for name in names:
        endpoint = house.endpoints[int(name[1:]) % len(house.endpoints)]
        tries = 2 if random.random() < plan.doubles else 1
        while tries:
            began = time.monotonic()
            met = send(house, endpoint, name)
            seen.met(met, time.monotonic() - began)
            if met == "200":
                tries -= 1
            else:
                time.sleep(random.uniform(0.05, 0.3))


def again_and_again(every: float, act: Callable[[], None], stop: threading.Event) -> threading.Thread:
    def run() -> None:
        while not stop.wait(every):
            act()

    return started(run)


def at_shares(
    kills: int, act: Callable[[], None], stop: threading.Event, seen: Seen, plan: Plan
) -> threading.Thread:
    """By what was accepted and not by the clock: a slow machine would else kill faster than it starts."""

    def run() -> None:
        for number in range(1, kills + 1):
            while len(seen.accepted) < plan.deliveries * number / (kills + 1):
                if stop.wait(0.02):
                    return
            act()

    return started(run)


def started(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def killers(house: House, plan: Plan, seen: Seen, stop: threading.Event) -> list[threading.Thread]:
    web, worker = house.web.kill_and_start, house.worker.kill_and_start
    if plan.is_hasty:
        return [
            at_shares(plan.web_kills, web, stop, seen, plan),
            at_shares(plan.worker_kills, worker, stop, seen, plan),
        ]
    return [again_and_again(plan.web_every, web, stop), again_and_again(plan.worker_every, worker, stop)]


def storm(house: House, plan: Plan) -> Seen:
    names = [f"d{number:06d}" for number in range(plan.deliveries)]
    seen, stop = Seen(), threading.Event()
    senders = [
        threading.Thread(target=sender, args=(house, names[at :: plan.senders], seen, plan))
        for at in range(plan.senders)
    ]
    killing = killers(house, plan, seen, stop)
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    stop.set()
    for thread in killing:
        thread.join()
    return seen


# --- afterwards


def settled(house: House, plan: Plan) -> dict[str, Any]:
    """The figures once nothing is left to do."""
    if plan.is_hasty:
        house.worker.kill()
        house.worker.start()
        house.inside("hasten")
    until = time.monotonic() + PATIENCE
    while True:
        figures: dict[str, Any] = json.loads(house.inside("figures"))
        if not figures["received"] or time.monotonic() > until:
            return figures
        if plan.is_hasty:
            house.inside("hasten_waiting")
        time.sleep(1 if plan.is_hasty else 5)


def run(database: str, plan: Plan) -> dict[str, Any]:
    """All figures of one storm on one database."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(database or f"sqlite:///{folder}/navi.sqlite3", Path(folder))
        try:
            began = time.monotonic()
            seen = storm(house, plan)
            stormed = time.monotonic() - began
            figures = settled(house, plan)
            calm = time.monotonic() - began - stormed
        finally:
            house.end()
        times = sorted(seen.accepted)
        return {
            **figures, "wanted": plan.deliveries, "accepted": len(times), "others": seen.refused,
            "web kills": house.web.kills, "worker kills": house.worker.kills, "storm": round(stormed),
            "calm": round(calm), "p50": at(times, 0.5), "p99": at(times, 0.99),
        }  # fmt: skip


def at(times: list[float], share: float) -> float:
    return round(times[min(len(times) - 1, int(len(times) * share))], 3)


def is_whole(figures: dict[str, Any]) -> bool:
    """Every accepted delivery processed, each effect once, none lost."""
    counted = ("rows", "processed", "records", "changes", "audited", "ids")
    return all(figures[name] == figures["wanted"] for name in counted)


# --- inside Navi


def set_up() -> None:
    from django.conf import settings

    from integrations import registry
    from integrations.runtime import connect, endpoints
    from navi.audit.actor import SYSTEM
    from navi.projects.models import Project

    for keys in ("keyring", "pepper"):
        settings.NAVI_KEYS.create(keys)
    acme = Project.objects.create(slug="acme", name="Acme")
    offer = connect.Offer(
        entry=registry.entry("pinger", acme.pk), project=acme, label="pinger", test=False,
        fields={"apiKey": "pinger-key-1234567890abcdef"},
    )  # fmt: skip
    connect.connect(offer, SYSTEM)
    made = [endpoints.create(acme, "pinger", SYSTEM, label=f"{at}") for at in range(ENDPOINTS)]
    print(json.dumps([{"path": f"/hooks/{one.endpoint.key}", "secret": one.secret} for one in made]))


def hasten() -> None:
    """The leases of the dead workers end now, not in a minute."""
    from django.utils import timezone

    from navi.jobs import work
    from navi.jobs.models import Job

    now = timezone.now()
    Job.objects.filter(state="running").update(lease_until=now)
    work.sweep(at=timezone.now())
    hasten_waiting()


def hasten_waiting() -> None:
    from datetime import timedelta

    from django.utils import timezone
    from django_q.tasks import async_task

    from integrations.models import Delivery
    from integrations.runtime import hearing
    from navi.jobs.models import Job

    now = timezone.now()
    Delivery.objects.filter(state="received").update(due_at=now - timedelta(minutes=2))
    hearing.take_up_left_over()
    Job.objects.filter(kind="delivery", state="queued", due_at__gt=now).update(due_at=now)
    async_task("navi.jobs.bell.drain")


def figures() -> None:
    from integrations.models import Delivery, Record, RecordClock
    from navi.audit.models import AuditEvent
    from navi.jobs.models import Job

    audited = AuditEvent.objects.filter(event="delivery.processed")
    states = Delivery.objects.values_list("state", flat=True)
    found = {
        "rows": Delivery.objects.count(),
        "ids": Delivery.objects.values("vendor_id").distinct().count(),
        "received": sum(state == "received" for state in states),
        "processed": sum(state == "processed" for state in states),
        "dead": sum(state == "dead" for state in states),
        "repeats": sum(Delivery.objects.values_list("repeats", flat=True)),
        "records": Record.objects.filter(kind="pings").count(),
        # The clock ticks once for each record that changed: an effect that came twice would tick twice.
        "changes": sum(RecordClock.objects.values_list("last", flat=True)),
        "audited": audited.count(),
        "retried jobs": Job.objects.filter(kind="delivery", attempts__gt=1).count(),
    }
    print(json.dumps(found))


INSIDE = {"set_up": set_up, "hasten": hasten, "hasten_waiting": hasten_waiting, "figures": figures}


def databases(postgres: str) -> Iterator[tuple[str, str]]:
    yield "SQLite", ""
    with on_postgres(postgres) as url:
        yield "PostgreSQL", url


@contextmanager
def on_postgres(postgres: str) -> Iterator[str]:
    with scratch(postgres) as url:
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=Plan.deliveries)
    parser.add_argument("--only", choices=["SQLite", "PostgreSQL"])
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--inside", choices=INSIDE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
        django.setup()
        INSIDE[options.inside]()
        return
    failed = False
    for name, url in databases(options.postgres):
        if options.only in {None, name}:
            found = run(url, Plan(deliveries=options.deliveries))
            failed |= not is_whole(found)
            print(name, "whole" if is_whole(found) else "BROKEN", json.dumps(found), flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
