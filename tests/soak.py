"""An hour of mixed load on one running Navi, watching memory, handles and the size of the WAL.

`make soak` runs it; `python -m tests.soak --minutes 5` is shorter. It only calls 127.0.0.1, and fails where
memory drifts by more than 5 % after the warm-up, handles grow, or the WAL passes 64 MB.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.bench import PATHS, call_until, connect, prepared, served
from tests.ports import free_port
from tests.standins.todoist import TodoistStandin

DRIFT_MOST = 1.05
WAL_MOST = 64 * 2**20


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def memory(pid: int) -> int:
    """Resident bytes of the server's processes."""
    total = 0
    for one in (str(pid), *children(pid)):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1]) * 1024
    return total


def handles(pid: int) -> int:
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in (str(pid), *children(pid)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Mixed load, watching memory and handles.")
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, TodoistStandin() as todoist:
        port = free_port()
        environment = {
            **os.environ, "NAVI_DATA_DIR": data, "PORT": str(port), "NAVI_UPSTREAMS": f"todoist={todoist.url}",
            "NAVI_BOOTSTRAP_PASSWORD": "soak walks 7 dogs", "NAVI_LOG_LEVEL": "ERROR",
        }  # fmt: skip
        token = prepared(environment)
        with served(environment, port, workers=1) as pid:
            connect(port, token)
            sys.exit(watch(port, token, pid, Path(data), options.minutes * 60))


def watch(port: int, token: str, pid: int, data: Path, seconds: float) -> int:
    until = time.monotonic() + seconds
    spent: list[float] = []
    wrong = [0]
    callers = [
        threading.Thread(target=call_until, args=(path, port, token, until, spent, wrong), daemon=True)
        for path in PATHS
        for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    time.sleep(min(60.0, seconds / 4))
    warm, opened = memory(pid), handles(pid)
    while time.monotonic() < until:
        time.sleep(min(60.0, max(0.1, until - time.monotonic())))
        wal = sum(path.stat().st_size for path in data.glob("*-wal"))
        print(
            f"{memory(pid) / 2**20:7.1f} MB  {handles(pid):4} handles  WAL {wal / 2**20:5.1f} MB  {len(spent)} calls"
        )
    for caller in callers:
        caller.join(timeout=60)
    drift = memory(pid) / warm
    print(
        f"Memory x {drift:.3f} since the warm-up, handles {opened} to {handles(pid)}, {wrong[0]} wrong answers."
    )
    return int(drift > DRIFT_MOST or handles(pid) > opened + 8 or wal > WAL_MOST or wrong[0] > 0)


if __name__ == "__main__":
    main()
