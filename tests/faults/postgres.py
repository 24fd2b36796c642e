"""A PostgreSQL of the test's own, that may be stopped: the machine's own belongs to everybody."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.ports import free_port


def programs() -> Path | None:
    """Where initdb and pg_ctl are; None where PostgreSQL is not installed."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return places[-1].parent if places else None


class Postgres:
    """A cluster in a folder of its own; as root it runs as `nobody` or `postgres`, as PostgreSQL demands."""

    def __init__(self) -> None:
        bin_folder = programs()
        assert bin_folder is not None, "PostgreSQL's programs are not installed."
        self.programs, self.port = bin_folder, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="navi-pg-"))
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            who = self.unprivileged()
            os.chown(self.folder, who.pw_uid, who.pw_gid)
        data = str(self.folder / "data")
        self.run(
            "initdb", ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off -c max_connections=200"
        self.control("start", ["-l", str(self.folder / "log"), "-t", "60", "-o", options])

    def stop(self) -> None:
        """As a crash would: nobody is told, nothing is finished."""
        self.control("stop", ["-m", "immediate"], must=False)

    def control(self, what: str, options: Sequence[str], *, must: bool = True) -> None:
        self.run("pg_ctl", ["-D", str(self.folder / "data"), "-w", *options, what], must=must)

    def run(self, program: str, arguments: Sequence[str], *, must: bool = True) -> None:
        user = self.unprivileged().pw_name if os.getuid() == 0 else None
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        subprocess.run(
            [str(self.programs / program), *arguments], cwd=self.folder, user=user, check=must, timeout=90,
            env={"HOME": str(self.folder), "PATH": os.environ["PATH"]}, **quiet,
        )  # fmt: skip

    @staticmethod
    def unprivileged() -> pwd.struct_passwd:
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")
