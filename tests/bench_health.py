"""What thousands of connections cost that are due for their health check at once.

`make bench` runs it; alone: `python -m tests.bench_health --connections 10000`. It fills a database of its own,
lets the clock's function put the checks on the ledger, and works them off in one process against the Todoist
stand-in: as fast as it can, without the pacing that keeps a vendor from being rushed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench import prepared
from tests.standins.todoist import KEY, TodoistStandin

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, TodoistStandin() as todoist:
        environment = {
            **os.environ, "NAVI_DATA_DIR": data, "NAVI_UPSTREAMS": f"todoist={todoist.url}", "NAVI_LOG_LEVEL": "ERROR",
        }  # fmt: skip
        # As an operator would: bootstrap makes the keys too.
        prepared({**environment, "NAVI_BOOTSTRAP_PASSWORD": "bench walks 7 dogs"})
        command = [sys.executable, "-m", "tests.bench_health", "--inside", str(options.connections)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        tell(json.loads(done.stdout.splitlines()[-1]))


def tell(found: dict[str, Any]) -> None:
    count = found["connections"]
    print(f"\n{count} connections due for a health check, one worker, SQLite unless DATABASE_URL says else")
    print(
        f"  enqueue a minute's share  {found['paced']} jobs, {found['paced_ms']:.0f} ms, {found['paced_queries']} queries"
    )
    print(
        f"  enqueue all, unpaced      {count} jobs, {found['all_ms']:.0f} ms, {found['all_queries']} queries"
    )
    print(f"  work them off             {found['work_s']:.1f} s, {count / found['work_s']:.0f}/s, "
          f"{found['work_queries'] / count:.1f} queries each, {found['left']} left")  # fmt: skip
    print(
        f"  memory                    {found['before_mb']:.0f} MB before, {found['most_mb']:.0f} MB at most"
    )


# --- inside, with Django


def inside(count: int) -> dict[str, Any]:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    django.setup()
    from django.db.models import Q

    from integrations.runtime import health, pacing
    from navi.jobs import work
    from navi.jobs.models import Job, State

    fill(count)
    before = memory()
    paced, paced_ms, paced_queries = measured(health.enqueue_due)
    paced = Job.objects.count()
    Job.objects.all().delete()
    pacing.A_SECOND, health.DUE_AT_ONCE = count, count
    _, all_ms, all_queries = measured(health.enqueue_due)
    _, work_ms, work_queries = measured(lambda: whole(work))
    return {
        "connections": count, "paced": paced, "paced_ms": paced_ms, "paced_queries": paced_queries, "all_ms": all_ms,
        "all_queries": all_queries, "work_s": work_ms / 1000, "work_queries": work_queries,
        "left": Job.objects.filter(~Q(state=State.DONE)).count(), "before_mb": before, "most_mb": memory(),
    }  # fmt: skip


def whole(work: Any) -> None:
    while work.work_off(started=time.monotonic()):
        pass


def fill(count: int) -> None:
    """So many Todoist accounts of one project, sealed as a person's would be, and due."""
    from credentials.models import Connection, Secret, State
    from navi.projects.models import Project

    project = Project.objects.get(slug="bench")
    rows = [
        Connection(provider="todoist", project=project, label=f"Account {number}", state=State.ACTIVE, generation=1)
        for number in range(count)
    ]  # fmt: skip
    Connection.objects.bulk_create(rows, batch_size=500)
    sealed = {"fields": {"apiKey": KEY}, "bound_to": ""}
    secrets = [Secret(connection=row, seal_owner=row.seal_owner, fields=sealed) for row in rows]
    Secret.objects.bulk_create(secrets, batch_size=500)
    for row, secret in zip(rows, secrets, strict=True):
        row.current = secret
    Connection.objects.bulk_update(rows, ["current"], batch_size=200)


def measured(does: Callable[[], Any]) -> tuple[Any, float, int]:
    """What came of it, the milliseconds and the statements."""
    started = time.perf_counter()
    with counted() as statements:
        found = does()
    return found, (time.perf_counter() - started) * 1e3, statements[0]


@contextmanager
def counted() -> Iterator[list[int]]:
    from django.db import connection

    statements = [0]

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements[0] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield statements


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(inside(int(sys.argv[2]))))
    else:
        main()
