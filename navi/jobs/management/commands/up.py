"""`manage.py up`: everything Navi needs, by one command."""

from __future__ import annotations

import errno
import os
import socket
import sys
from argparse import ArgumentParser
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import OperationalError, connections
from django.utils.module_loading import import_string

from navi import env
from navi.jobs import bell, schedules
from navi.jobs.supervisor import Child, Supervisor
from navi.jobs.work import STOPPING_FD
from navi.projects.people import first_operator_link

# On a floor above this one, so it is named and not imported.
ENSURE_KEYS = "credentials.keys.ensure_keys"


class Command(BaseCommand):
    help = "Prepare the database and keys, then run web and worker until Ctrl-C."
    requires_system_checks: list[str] = []  # run below, once there are tables to look at

    def add_arguments(self, parser: ArgumentParser) -> None:
        here = f"{settings.HOST}:{settings.PORT}"
        parser.add_argument(
            "--bind", metavar="HOST:PORT", default=here, help=f"default: {here} (HOST and PORT)"
        )

    def handle(self, *, bind: str, **_: Any) -> None:
        host, port = split(bind)
        if (host, port) != (settings.HOST, settings.PORT):
            start_over(host, port)
        with closing(listen(host, port)) as web_socket:
            self.prepare()
            self.say(f"Navi is at {settings.BASE_URL} (Ctrl-C ends it).")
            link = first_operator_link()
            if link:
                self.say(f"Make the first operator's account here; the link works once:\n  {link}")
            self.supervise(web_socket)
        self.say("Navi has ended.")

    def prepare(self) -> None:
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except OperationalError as problem:
            first_line = str(problem).strip().partition("\n")[0]
            raise CommandError(
                f"The database cannot be used ({first_line}); look at DATABASE_URL and NAVI_DATA_DIR."
            ) from None
        sealed = import_string(ENSURE_KEYS)()
        if sealed:
            self.say(sealed)
        (settings.DATA_DIR / "static").mkdir(exist_ok=True)
        self.check()
        schedules.ensure_schedules()
        bell.ring()

    def supervise(self, web_socket: socket.socket) -> None:
        connections.close_all()  # the supervisor itself has no further use for the database
        stopping, held_open = os.pipe()
        worker_environment = {STOPPING_FD: str(stopping)}
        children = [
            Child("web", web_command(web_socket.fileno()), handed_down=[web_socket.fileno()]),
            Child("worker", worker_command(), worker_environment, handed_down=[stopping]),
        ]

        def before_stop() -> None:
            web_socket.close()  # visitors are refused from now on, instead of kept waiting
            os.close(held_open)  # the worker starts no further job

        Supervisor(children, say=self.say, before_stop=before_stop).run()

    def say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def web_command(listening: int) -> list[str]:
    """gunicorn on a socket we keep: a restart refuses nobody, and nobody else gets the port meanwhile."""
    workers = env.number("WEB_WORKERS", 2, least=1, most=64)
    in_memory = ["--worker-tmp-dir", "/dev/shm"] if os.access("/dev/shm", os.W_OK) else []  # noqa: S108
    return [
        *[sys.executable, "-m", "gunicorn", "navi.wsgi:application"],
        *["--bind", f"fd://{listening}", "--pythonpath", str(settings.BASE_DIR)],
        *["--worker-class", "gthread", "--workers", str(workers), "--threads", "64"],
        *["--graceful-timeout", "10", "--log-level", "warning", "--no-control-socket"],
        *in_memory,
    ]


def worker_command() -> list[str]:
    return [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "qcluster"]


def split(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise CommandError(f"--bind is {bind!r}; write it as 127.0.0.1:8000.")
    return host.strip("[]"), int(port)


def start_over(host: str, port: int) -> None:
    """Settings such as the links' address follow from HOST and PORT, so begin again with these."""
    manage = str(Path(settings.BASE_DIR) / "manage.py")
    os.execve(  # noqa: S606 - the same command, without a shell
        sys.executable, [sys.executable, manage, "up"], {**os.environ, "HOST": host, "PORT": str(port)}
    )


def listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as problem:
        raise CommandError(f"Navi cannot listen on {host}:{port}: {remedy(problem)}") from None
    return listening


def remedy(problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return "another program does already. End it, or set PORT."
    if problem.errno == errno.EACCES:
        return "this user may not. Set PORT to 1024 or more."
    return f"{problem.strerror}. Set HOST to an address of this machine, such as 127.0.0.1."
