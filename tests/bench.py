"""Measure the hot paths of a running Navi beside a bare Django view on the same server.

`make bench` starts one gunicorn with the real settings on a database of its own, and prints p50, p99, requests
per second and CPU per request, with 1 and with 8 connections: the token read and an action call against the
Todoist stand-in beside a bare view that reads one row, and the intake of signed webhooks, whose queue nobody
works off, beside a bare view that inserts one. Then how many records a sync brings home in a second.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.hooks.soak import PLUGINS, own_copy
from tests.ports import free_port
from tests.standins.todoist import KEY, TodoistStandin

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    name: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    beside: str = "bare read"
    fresh: Callable[[], tuple[bytes, Mapping[str, str]]] | None = None  # another body each time

    def now(self) -> Measured:
        """The next request."""
        if self.fresh is None:
            return self
        body, headers = self.fresh()
        return replace(self, body=body, headers=headers)


PATHS = (
    Measured("bare read", "GET", "/bench/bare"),
    Measured("token read", "GET", "/api/credentials/todoist/token"),
    Measured("action call", "POST", "/api/actions/todoist.list_projects", b"{}"),
)


@dataclass(frozen=True)
class Figures:
    p50: float  # milliseconds
    p99: float
    per_second: float
    cpu: float  # milliseconds of the server per request
    wrong: int


@contextmanager
def served(environment: dict[str, str], port: int, workers: int) -> Iterator[int]:
    """A gunicorn as `manage.py up` runs it, with one bare view added; the pid of its master."""
    command = [
        sys.executable, "-m", "gunicorn", "tests.bench_wsgi:application", "-b", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--threads", "64", "--workers", str(workers), "--log-level", "error",
    ]  # fmt: skip
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_for(port)
        yield server.pid
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The server did not start.")


def cpu_of(pid: int) -> float:
    """CPU seconds used so far by the process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0.0
    for one in (str(pid), *children):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def measure(path: Measured, port: int, token: str, *, connections: int, seconds: float, pid: int) -> Figures:
    spent: list[float] = []
    wrong = [0]
    until = time.monotonic() + seconds
    before, started = cpu_of(pid), time.monotonic()
    callers = [
        threading.Thread(target=call_until, args=(path, port, token, until, spent, wrong))
        for _ in range(connections)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    elapsed, used = time.monotonic() - started, cpu_of(pid) - before
    cuts = statistics.quantiles(spent, n=100)
    return Figures(cuts[49] * 1e3, cuts[98] * 1e3, len(spent) / elapsed, used / len(spent) * 1e3, wrong[0])


def call_until(
    path: Measured, port: int, token: str, until: float, spent: list[float], wrong: list[int]
) -> None:
    """Call over one kept connection, with so little of a client that the server is what is measured."""
    is_for_agents = path.path.startswith("/api/")
    request = written(path.now(), port, token if is_for_agents else "")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < until:
            started = time.perf_counter()
            line.sendall(request)
            is_right = answered(line)
            spent.append(time.perf_counter() - started)
            wrong[0] += not is_right
            if path.fresh is not None:
                request = written(path.now(), port, "")


def written(path: Measured, port: int, token: str) -> bytes:
    """The request, byte by byte."""
    headers = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", **path.headers}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if path.body:
        headers["Content-Length"] = str(len(path.body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{path.method} {path.path} HTTP/1.1\r\n{lines}\r\n".encode() + (path.body or b"")


def answered(line: socket.socket) -> bool:
    """Read one answer to its end: was it 200?"""
    data = line.recv(65536)
    while b"\r\n\r\n" not in data:
        data += line.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(
        next(one for one in head.split(b"\r\n") if one.lower().startswith(b"content-length")).split(b":")[1]
    )
    while len(body) < length:
        body += line.recv(65536)
    return head.startswith(b"HTTP/1.1 200")


def prepared(environment: dict[str, str]) -> str:
    """Migrate, make a project with a connected Todoist, and return an agent's token."""
    run = [sys.executable, "manage.py"]
    subprocess.run([*run, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    made = subprocess.run(
        [*run, "bootstrap", "--email", "bench@example.org", "--project", "Bench", "--token", "bench", "--json"],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return str(json.loads(made.stdout)["token"])


def connect(port: int, token: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"credentials": {"apiKey": KEY}})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/credentials/todoist", body, headers)
    response = connection.getresponse()
    if response.status != 201:
        raise SystemExit(f"Connecting failed: {response.status} {response.read()!r}")


def hooked(port: int, token: str) -> Measured:
    """Deliveries of the tests' own vendor, each with an id and a signature of its own."""
    key = {"credentials": {"apiKey": "pinger-key-1234567890abcdef"}}
    told(port, token, "/api/credentials/pinger?test=false", key)
    made = told(port, token, "/api/webhooks", {"plugin": "pinger"})
    path, secret = urlsplit(made["url"]).path, made["secret"].encode()

    def fresh() -> tuple[bytes, Mapping[str, str]]:
        body = json.dumps({"type": "ping", "text": "hello " * 20}).encode()
        proof = hmac.new(secret, body, hashlib.sha256).hexdigest()
        return body, {"X-Ping-Id": uuid.uuid4().hex, "X-Ping-Signature": f"sha256={proof}"}

    return Measured("webhook", "POST", path, beside="bare insert", fresh=fresh)


def told(port: int, token: str, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    found = json.load(response)
    if response.status != 201:
        raise SystemExit(f"{path} answered {response.status}: {found}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--workers", type=int, default=int(os.environ.get("WEB_WORKERS", "2")))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, TodoistStandin() as todoist:
        port = free_port()
        environment = {
            **os.environ, "NAVI_DATA_DIR": data, "PORT": str(port), "NAVI_UPSTREAMS": f"todoist={todoist.url}",
            "NAVI_BOOTSTRAP_PASSWORD": "bench walks 7 dogs", "NAVI_LOG_LEVEL": "ERROR",
            "NAVI_PLUGIN_DIRS": str(own_copy(PLUGINS, Path(data))),
        }  # fmt: skip
        token = prepared(environment)
        with served(environment, port, options.workers) as pid:
            connect(port, token)
            inserting = Measured("bare insert", "POST", "/bench/insert", b"{}", beside="bare insert")
            report((*PATHS, inserting, hooked(port, token)), port, token, pid, options.seconds)
        synced = subprocess.run(
            [sys.executable, "-m", "tests.bench", "--sync"], cwd=ROOT, env=environment, check=True,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        print(f"\nsync: {synced.stdout.splitlines()[-1]} records of 1 KB a second, in pages of a hundred")


def sync() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    django.setup()
    from tests.sync.bench_sync import sync_records_per_second

    print(round(sync_records_per_second()))


def report(paths: Sequence[Measured], port: int, token: str, pid: int, seconds: float) -> None:
    print(f"{os.cpu_count()} cores, {seconds:g} s each; the client shares the machine with the server\n")
    print(f"{'':12} {'conns':>5} {'p50 ms':>8} {'p99 ms':>8} {'req/s':>8} {'CPU ms':>8} {'x bare':>7}")
    bare: dict[tuple[str, int], float] = {}
    for path in paths:
        for connections in (1, 8):
            measure(path, port, token, connections=connections, seconds=min(1.0, seconds), pid=pid)
            found = measure(path, port, token, connections=connections, seconds=seconds, pid=pid)
            bare.setdefault((path.beside, connections), found.cpu)
            ratio = found.cpu / bare[path.beside, connections]
            print(
                f"{path.name:12} {connections:>5} {found.p50:>8.2f} {found.p99:>8.2f} "
                f"{found.per_second:>8.0f} {found.cpu:>8.2f} {ratio:>7.1f}"
                + (f"  {found.wrong} wrong" if found.wrong else "")
            )


if __name__ == "__main__":
    sync() if sys.argv[1:] == ["--sync"] else main()
