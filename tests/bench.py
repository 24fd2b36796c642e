"""Measure the hot paths of a running Navi beside a bare Django view on the same server.

`make bench` starts one gunicorn with the real settings on a database of its own, and prints for a bare
view that reads one row, the token read, and an action call against the Todoist stand-in: p50, p99,
requests per second and CPU per request, with 1 and with 8 connections.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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


PATHS = (
    Measured("bare view", "GET", "/bench/bare"),
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
    length = f"Content-Length: {len(path.body)}\r\n" if path.body else ""
    head = (
        f"{path.method} {path.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\n{length}\r\n"
    )
    request = head.encode() + (path.body or b"")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < until:
            started = time.perf_counter()
            line.sendall(request)
            is_right = answered(line)
            spent.append(time.perf_counter() - started)
            wrong[0] += not is_right


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
        }  # fmt: skip
        token = prepared(environment)
        with served(environment, port, options.workers) as pid:
            connect(port, token)
            report(port, token, pid, options.seconds)


def report(port: int, token: str, pid: int, seconds: float) -> None:
    print(f"{os.cpu_count()} cores, {seconds:g} s each; the client shares the machine with the server\n")
    print(f"{'':12} {'conns':>5} {'p50 ms':>8} {'p99 ms':>8} {'req/s':>8} {'CPU ms':>8} {'x bare':>7}")
    bare: dict[int, float] = {}
    for path in PATHS:
        for connections in (1, 8):
            measure(path, port, token, connections=connections, seconds=min(1.0, seconds), pid=pid)
            found = measure(path, port, token, connections=connections, seconds=seconds, pid=pid)
            bare.setdefault(connections, found.cpu)
            ratio = found.cpu / bare[connections]
            print(
                f"{path.name:12} {connections:>5} {found.p50:>8.2f} {found.p99:>8.2f} "
                f"{found.per_second:>8.0f} {found.cpu:>8.2f} {ratio:>7.1f}"
                + (f"  {found.wrong} wrong" if found.wrong else "")
            )


if __name__ == "__main__":
    main()
