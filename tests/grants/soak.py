"""The long series: stampedes on both databases, twenty runs of each, as a table.

`python -m tests.grants.soak` takes about an hour; `--runs 2 --only quick` is shorter. It only calls 127.0.0.1.
PostgreSQL is looked for at `--postgres` (a database of its own is made there, and dropped).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.grants.crew import ROOT, Crew

AGENTS, PROCESSES = 100, 4
# Name: what the readers do, the vendor's seconds, failpoints, how long the token has still to live.
CASES: dict[str, dict[str, Any]] = {
    "quick": {"does": "read", "hold": 0.4, "left": -10},
    "slow": {"does": "read", "hold": 12, "left": -10},
    "saved late": {
        "does": "read",
        "hold": 20,
        "left": -10,
        "failpoints": {"refresh.after_response": "sleep:18"},
    },
    "401": {"does": "act", "hold": 0.4, "left": 1800},
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Stampedes on expired grants, many times over.")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=CASES, action="append")
    parser.add_argument("--postgres", default="postgres://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        sys.exit(one_database(options.inside, options.runs, options.only or list(CASES)))
    print("database    case        runs  calls  reuses  errors  tokens  p50     p99     worst", flush=True)
    failed = sum(in_a_process_of_its_own(url, options) for url in databases(options.postgres))
    sys.exit(int(failed > 0))


# --- databases of its own


def databases(postgres: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite://{folder}/navi.sqlite3"
    with scratch(postgres) as url:
        yield url


@contextmanager
def scratch(postgres: str) -> Iterator[str]:
    import psycopg

    name = f"navi_grants_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres, autocommit=True) as found:
        found.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield f"{postgres.rpartition('/')[0]}/{name}"
        finally:
            found.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def in_a_process_of_its_own(url: str, options: argparse.Namespace) -> int:
    """Django knows one database per process."""
    chosen = [word for case in options.only or [] for word in ("--only", case)]
    command = [
        sys.executable,
        "-m",
        "tests.grants.soak",
        "--runs",
        str(options.runs),
        *chosen,
        "--inside",
        url,
    ]
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "DATABASE_URL": url, "NAVI_DATA_DIR": data, "NAVI_LOG_LEVEL": "ERROR"}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


# --- and what happens in one


def one_database(url: str, runs: int, cases: list[str]) -> int:
    begin()
    data = {name: os.environ[name] for name in ("DATABASE_URL", "NAVI_DATA_DIR", "NAVI_LOG_LEVEL")}
    with Crew(data, Path(data["NAVI_DATA_DIR"]) / "crew.log") as crew:
        return sum(series(url.partition(":")[0], case, runs, crew) for case in cases)


def begin() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from navi.projects.models import Project
    from tests.grants import providers

    for name in ("keyring", "pepper"):
        if not settings.NAVI_KEYS.exists(name):
            settings.NAVI_KEYS.create(name)
    call_command("migrate", verbosity=0)
    providers.install()
    Project.objects.create(slug="acme", name="Acme")


def series(database: str, case: str, runs: int, crew: Crew) -> int:
    """All runs of one case as a line; 1 where something was not as it must be."""
    found = [one_run(CASES[case], crew) for _ in range(runs)]
    seconds = sorted(second for run in found for second in run["seconds"])
    calls, reuses, errors, tokens = (
        sum(run[name] for run in found) for name in ("calls", "reuses", "errors", "tokens")
    )
    at = lambda share: seconds[min(len(seconds) - 1, int(len(seconds) * share))]
    print(
        f"{database:<10}  {case:<10}  {runs:>4}  {calls:>5}  {reuses:>6}  {errors:>6}  {tokens:>6}  "
        f"{at(0.5):>5.2f}s  {at(0.99):>5.2f}s  {at(1):>5.2f}s",
        flush=True,
    )
    return int((calls, reuses, errors, tokens) != (runs, 0, 0, runs))


def one_run(case: dict[str, Any], crew: Crew) -> dict[str, Any]:
    from credentials.models import Connection
    from navi.projects.models import Project
    from tests.grants import providers
    from tests.grants.house import fields_of, granted
    from tests.grants.vendor import TOKEN, Vendor

    Connection.objects.all().delete()
    with Vendor() as vendor:
        row = granted(Project.objects.get(), "strict", vendor, left=case["left"])
        if case["does"] == "act":
            vendor.expire()
        vendor.hold(TOKEN, case["hold"])
        job = {
            "does": case["does"], "provider": "strict", "threads": AGENTS // PROCESSES, "patience": 120,
            "upstreams": dict.fromkeys(providers.KINDS, vendor.url), "failpoints": case.get("failpoints", {}),
        }  # fmt: skip
        said = [one for end in crew.run(*[job] * PROCESSES) for one in end["said"]]
        pair, stored = vendor.living[-1], fields_of(row)
        is_whole = stored == {"access_token": pair.access, "refresh_token": pair.refresh}
        wrong = [one for one in said if "error" in one]
        for one in wrong:
            print(one["error"], one["words"])
        return {
            "calls": vendor.refreshes, "reuses": vendor.reuses,
            "errors": len(wrong) + (AGENTS - len(said)) + (not is_whole),
            "tokens": len({one["token"] for one in said if "token" in one}),
            "seconds": [one["seconds"] for one in said],
        }  # fmt: skip


if __name__ == "__main__":
    main()
