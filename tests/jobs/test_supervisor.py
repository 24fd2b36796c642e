"""The supervisor over small programs; test_up.py has it over the real ones."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SUPERVISE = """
import sys
from navi.jobs.supervisor import Child, Supervisor
children = [Child(name, [sys.executable, "-c", code]) for name, code in zip(sys.argv[2::2], sys.argv[3::2])]
Supervisor(children, say=lambda sentence: print(sentence, flush=True), grace=float(sys.argv[1])).run()
"""
# A program with a child of its own. Each writes its id.
FAMILY = """
import os, pathlib, signal, sys, time
{first}
pathlib.Path({folder!r}, "{name}." + str(os.getpid())).touch()
if os.fork() == 0:
    pathlib.Path({folder!r}, "{name}-child." + str(os.getpid())).touch()
time.sleep(60)
"""


def test_a_program_that_is_killed_starts_again_and_leaves_no_orphan(supervise, ids):
    supervise(web="")
    first, orphan = ids("web"), ids("web-child")

    os.kill(first[0], signal.SIGKILL)

    again = ids("web", 2)
    assert len(again) == 2
    assert has_ended(orphan[0])


def test_a_program_that_ends_by_itself_starts_again_after_growing_pauses(supervise, tmp_path):
    supervisor = supervise(web="pathlib.Path({folder!r}, str(time.time_ns())).touch(); sys.exit(3)")
    assert until(lambda: len(list(tmp_path.iterdir())) >= 3)

    supervisor.terminate()

    starts = sorted(int(path.name) / 1e9 for path in tmp_path.iterdir())
    told = supervisor.communicate(timeout=60)[0]
    first, second, *_ = [later - earlier for earlier, later in pairwise(starts)]
    assert first >= 1 and second >= 2
    assert "web ended (exit code 3), starts again in 1 s." in told
    assert "web ended (exit code 3), starts again in 2 s." in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_ends_all(number, supervise, ids):
    supervisor = supervise(web="", worker="")
    everybody = [*ids("web"), *ids("web-child"), *ids("worker"), *ids("worker-child")]

    supervisor.send_signal(number)

    assert supervisor.wait(60) == 0
    assert all(has_ended(pid) for pid in everybody)


def test_a_program_that_does_not_listen_is_ended_after_the_grace(supervise, ids):
    supervisor = supervise(worker="signal.signal(signal.SIGTERM, signal.SIG_IGN)", grace=1)
    everybody = [*ids("worker"), *ids("worker-child")]

    supervisor.terminate()

    assert supervisor.wait(60) == 0
    assert all(has_ended(pid) for pid in everybody)


def test_a_second_ctrl_c_ends_the_waiting(supervise, ids):
    supervisor = supervise(worker="signal.signal(signal.SIGTERM, lambda *_: note(os.getpid()))", grace=600)
    ids("worker")

    supervisor.send_signal(signal.SIGINT)
    ids("asked")  # else the two may come as one
    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(60) == 0


def test_only_the_main_process_is_asked_to_stop(supervise, ids, tmp_path):
    supervisor = supervise(worker="signal.signal(signal.SIGTERM, lambda *_: note(os.getpid()))", grace=600)
    main = ids("worker")
    ids("worker-child")

    supervisor.terminate()
    ids("asked")
    time.sleep(0.5)  # who else is asked has the time to say so
    supervisor.terminate()
    supervisor.wait(60)

    assert [path.name for path in tmp_path.glob("asked.*")] == [f"asked.{main[0]}"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_the_programs_end_when_the_supervisor_is_killed(supervise, ids):
    supervisor = supervise(web="", worker="")
    programs = [*ids("web"), *ids("worker")]

    supervisor.kill()
    supervisor.wait(60)

    assert all(has_ended(pid) for pid in programs)


@pytest.fixture
def supervise(tmp_path):
    """Start a supervisor over programs that begin with these lines."""
    started = []
    note = f"note = lambda pid: pathlib.Path({str(tmp_path)!r}, f'asked.{{pid}}').touch()"

    def start(*, grace=5.0, **programs):
        code = []
        for name, first in programs.items():
            lines = note + "\n" + first.format(folder=str(tmp_path))
            code += [name, FAMILY.format(first=lines, folder=str(tmp_path), name=name)]
        command = [sys.executable, "-c", SUPERVISE, str(grace), *code]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for supervisor in started:
        supervisor.kill()
    for path in tmp_path.glob("*.*"):
        end(path.suffix[1:])
    for supervisor in started:
        supervisor.communicate()


@pytest.fixture
def ids(tmp_path):
    """The process ids under a name, once there are so many."""

    def wait(name, count=1):
        def found():
            return [int(path.name.rpartition(".")[2]) for path in tmp_path.glob(f"{name}.*")]

        assert until(lambda: len(found()) >= count), f"{name} did not start"
        return found()

    return wait


def until(is_so):
    """Whether it becomes so; a busy machine may take its time."""
    end = time.monotonic() + 55
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def has_ended(pid):
    return until(lambda: not is_alive(pid))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def end(pid):
    with contextlib.suppress(ValueError, ProcessLookupError):
        os.kill(int(pid), signal.SIGKILL)
