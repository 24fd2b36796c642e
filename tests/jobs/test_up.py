"""`manage.py up` as people start it: real processes, a real port, a database of its own."""

import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError

from navi.jobs.management.commands import up
from tests.ports import free_port

ROOT = Path(settings.BASE_DIR)


def test_a_port_in_use_is_told_in_one_sentence():
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]

        with pytest.raises(CommandError, match=f"127.0.0.1:{port}: another program does already. End it, or"):
            up.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_foreign_address_is_told_in_one_sentence(host):
    with pytest.raises(CommandError, match="Set HOST to an address of this machine"):
        up.listen(host, 8000)


@pytest.mark.parametrize("bind", ["8000", "127.0.0.1:", "127.0.0.1:http", ":8000", "127.0.0.1:70000"])
def test_a_wrong_bind_is_refused(bind):
    with pytest.raises(CommandError, match=r"write it as 127\.0\.0\.1:8000"):
        up.split(bind)


def test_ipv6_addresses_are_understood():
    assert up.split("[::1]:8000") == ("::1", 8000)


def test_nothing_secret_is_on_a_command_line(monkeypatch):
    monkeypatch.setenv("NAVI_SECRET_KEY", "canary-1")

    words = " ".join([*up.web_command(3), *up.worker_command()])

    assert "canary" not in words
    assert settings.SECRET_KEY not in words


@pytest.mark.slow
class TestRunning:
    def test_it_serves_works_and_ends_with_sigterm(self, start):
        navi = start()

        assert navi.status() < 600
        assert navi.until(lambda: navi.heartbeats() == ["worker"])
        assert navi.until(lambda: len(navi.family()) >= 7)
        family = navi.family()

        navi.process.terminate()

        assert navi.process.wait(120) == 0
        assert all(has_ended(pid) for pid in family)
        assert "Navi is at http://127.0.0.1:" in navi.output()
        assert "the link works once" in navi.output()
        assert "Traceback" not in navi.output()

    def test_a_killed_web_starts_again_without_refusing_anybody(self, start):
        navi = start()
        navi.status()
        assert navi.until(lambda: navi.main("gunicorn"))
        web = navi.main("gunicorn")

        os.kill(web, signal.SIGKILL)

        assert navi.status() < 600  # the port stays open meanwhile
        assert navi.until(lambda: navi.main("gunicorn") not in {None, web})
        assert navi.until(lambda: "web ended (killed by SIGKILL), starts again in 1 s." in navi.output())

    def test_a_killed_worker_starts_again_without_orphans(self, start):
        navi = start()
        assert navi.until(lambda: navi.heartbeats() == ["worker"])
        assert navi.until(lambda: navi.main("qcluster"))
        worker = navi.main("qcluster")
        assert navi.until(lambda: len(navi.group(worker)) >= 6)
        family = navi.group(worker)

        os.kill(worker, signal.SIGKILL)

        assert navi.until(lambda: navi.main("qcluster") not in {None, worker})
        assert all(has_ended(pid) for pid in family)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
    def test_killing_the_supervisor_leaves_nothing(self, start):
        navi = start()
        assert navi.until(lambda: navi.heartbeats() == ["worker"])
        family = navi.family()

        navi.process.kill()
        navi.process.wait(60)

        assert all(has_ended(pid) for pid in family)

    def test_ctrl_c_ends_it_within_a_few_seconds(self, start):
        navi = start()
        navi.status()

        asked_at = time.monotonic()
        navi.process.send_signal(signal.SIGINT)

        assert navi.process.wait(120) == 0
        assert time.monotonic() - asked_at < 19  # the supervisor's grace is 20
        assert "SIGKILL" not in navi.output()
        assert "Not everything ended in time" not in navi.output()

    def test_bind_moves_it_to_another_address(self, start):
        port = free_port()

        navi = start("--bind", f"127.0.0.1:{port}", port=free_port(), answers_on=port)

        assert navi.status() < 600
        assert navi.until(lambda: f"Navi is at http://127.0.0.1:{port}" in navi.output())

    def test_a_port_in_use_ends_it_at_once(self, start):
        with closing(socket.create_server(("127.0.0.1", 0))) as other:
            navi = start(port=other.getsockname()[1])

            assert navi.process.wait(120) == 1
        assert len(navi.output().strip().splitlines()) == 1


class Navi:
    def __init__(self, folder, port, answers_on, arguments):
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("NAVI_", "DJANGO_"))
        }
        for name in ("DATABASE_URL", "REDIS_URL", "HOST", "PORT"):
            kept.pop(name, None)
        self.folder, self.port = folder, answers_on
        with (folder / "output").open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up", *arguments],
                env={**kept, "NAVI_DATA_DIR": str(folder), "PORT": str(port)},
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def output(self):
        return (self.folder / "output").read_text()

    def status(self):
        """The status of the first answer. Any answer counts."""

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            with closing(connection):
                connection.request("GET", "/healthz")
                return connection.getresponse().status

        return self.until(ask)

    def until(self, is_so):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, self.output()
            try:
                if found := is_so():
                    return found
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError(self.output())

    def heartbeats(self):
        try:
            with closing(sqlite3.connect(self.folder / "navi.sqlite3", timeout=5)) as database:
                return [name for (name,) in database.execute("SELECT name FROM jobs_heartbeat")]
        except sqlite3.OperationalError:
            return []

    def main(self, word):
        """The id of the supervisor's own child with this word in its command."""
        for pid, parent, _, command in processes():
            if parent == self.process.pid and word in command:
                return pid
        return None

    def family(self):
        children = [pid for pid, parent, *_ in processes() if parent == self.process.pid]
        return [pid for child in children for pid in self.group(child)]

    def group(self, leader):
        return [pid for pid, _, group, _ in processes() if group == leader]


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*arguments, port=None, answers_on=None):
        port = port or free_port()
        started.append(Navi(tmp_path, port, answers_on or port, arguments))
        return started[-1]

    yield begin
    for navi in started:
        family = navi.family()
        navi.process.kill()
        navi.process.wait()
        for pid in family:
            if not has_ended(pid, within=0):
                os.kill(pid, signal.SIGKILL)


def processes():
    """(id, parent, group, command) of all that run."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,pgid=,stat=,args="], capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        pid, parent, group, state, command = line.split(None, 4)
        if not state.startswith("Z"):
            yield int(pid), int(parent), int(group), command


def has_ended(pid, within=60.0):
    until = time.monotonic() + within
    while pid in {running for running, *_ in processes()}:
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True
