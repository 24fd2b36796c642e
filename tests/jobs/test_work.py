import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from django_q.timeout import TimeoutHandler

from navi.jobs import handlers, ledger, work
from navi.jobs.handlers import Later
from navi.jobs.models import Job, State
from navi.net.errors import Refused

pytestmark = pytest.mark.django_db


def test_due_work_is_done_oldest_first(work_off):
    done: list[str] = []
    handlers.register("sync", done.append)
    now = timezone.now()
    for object_id, age in [("young", 1), ("old", 9), ("middle", 5)]:
        Job.objects.create(kind="sync", object_id=object_id, due_at=now - timedelta(minutes=age))

    work_off()

    assert done == ["old", "middle", "young"]
    assert set(Job.objects.values_list("state", flat=True)) == {State.DONE}


def test_work_for_later_is_left_alone(work_off):
    handlers.register("sync", fail)
    ledger.enqueue("sync", due_at=timezone.now() + timedelta(seconds=30))

    work_off()

    assert Job.objects.get().attempts == 0


def test_the_attempt_is_counted_before_the_work(work_off):
    seen = []
    handlers.register("look", lambda _: seen.append(Job.objects.values("state", "attempts").get()))
    ledger.enqueue("look")

    work_off()

    assert seen == [{"state": State.RUNNING, "attempts": 1}]


def test_failed_work_is_tried_again_after_a_pause_and_then_given_up(work_off, make_due):
    handlers.register("sync", fail)
    ledger.enqueue("sync", "todoist")

    story = []
    for _ in range(5):
        work_off()
        job = Job.objects.get()
        story.append((job.state, job.attempts, job.due_at > timezone.now()))
        make_due()

    queued, dead = ("queued", 1, True), ("dead", 3, False)
    assert story == [queued, ("queued", 2, True), dead, dead, dead]
    assert "RuntimeError in test_work.py" in Job.objects.get().last_error


def test_a_handler_may_ask_for_later_as_often_as_it_likes(work_off, make_due):
    next_week = timezone.now() + timedelta(days=7)
    handlers.register("poll", later(next_week))
    ledger.enqueue("poll")

    for _ in range(5):
        make_due()
        work_off()

    job = Job.objects.get()
    assert (job.state, job.attempts, job.due_at) == (State.QUEUED, 0, next_week)


def test_work_nobody_knows_becomes_a_dead_letter(work_off):
    ledger.enqueue("forgotten")

    work_off()

    job = Job.objects.get()
    assert job.state == State.DEAD
    assert job.last_error == "No handler is registered for jobs of kind forgotten."


def test_two_jobs_of_one_object_never_run_at_the_same_time(work_off):
    Job.objects.create(kind="sync", object_id="todoist", state=State.RUNNING, lease_until=timezone.now())
    ledger.enqueue("sync", "todoist")
    handlers.register("sync", fail)

    work_off()

    assert Job.objects.get(state=State.QUEUED).attempts == 0


def test_work_that_comes_during_its_own_run_is_done_once_more(work_off):
    runs = []

    def sync(object_id):
        runs.append(object_id)
        if len(runs) == 1:
            ledger.enqueue("sync", object_id)

    handlers.register("sync", sync)
    ledger.enqueue("sync", "todoist")

    work_off()

    assert runs == ["todoist", "todoist"]


@pytest.mark.parametrize("how", ["fails", "asks for later"])
def test_work_that_would_wait_twice_ends_in_favour_of_the_newer(how, work_off):
    def sync(object_id):
        ledger.enqueue("sync", object_id, due_at=timezone.now() + timedelta(hours=1))
        raise RuntimeError if how == "fails" else Later(timezone.now() + timedelta(hours=2))

    handlers.register("sync", sync)
    ledger.enqueue("sync", "todoist")

    work_off()

    assert sorted(Job.objects.values_list("state", "attempts"))[-1] == (State.QUEUED, 0)
    assert Job.objects.filter(state=State.DONE).count() == 1


def test_a_lost_worker_counts_as_an_attempt():
    now = timezone.now()
    job = claimed("sync", at=now - timedelta(hours=1))

    work.sweep(at=now)

    job.refresh_from_db()
    assert (job.state, job.attempts, job.lease_owner) == (State.QUEUED, 1, None)
    assert job.due_at > now
    assert job.last_error == "The worker was lost during attempt 1 of 3."


def test_work_that_kills_its_worker_is_given_up_after_its_attempts(make_due):
    job = Job.objects.create(kind="poison")

    for _ in range(3):
        make_due()
        assert job.claim(owner=uuid.uuid4(), at=timezone.now(), lease=timedelta(minutes=5))
        work.sweep(at=timezone.now() + timedelta(minutes=6))

    make_due()
    job.refresh_from_db()
    assert job.state == State.DEAD
    assert not job.claim(owner=uuid.uuid4(), at=timezone.now(), lease=timedelta(minutes=5))


def test_a_worker_that_lost_its_lease_no_longer_decides():
    job = claimed("sync", at=timezone.now() - timedelta(hours=1))
    work.sweep(at=timezone.now())

    assert not job.finish(at=timezone.now())
    assert Job.objects.get().state == State.QUEUED


def test_a_running_job_with_a_lease_is_left_alone():
    job = claimed("sync", at=timezone.now())

    work.sweep(at=timezone.now())

    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_old_work_is_forgotten():
    now = timezone.now()
    for object_id, state, days in [
        ("done long ago", State.DONE, 8),
        ("done lately", State.DONE, 6),
        ("dead long ago", State.DEAD, 91),
        ("dead lately", State.DEAD, 89),
    ]:
        finished_at = now - timedelta(days=days)
        Job.objects.create(kind="sync", object_id=object_id, state=state, finished_at=finished_at)

    work.prune(at=now)

    assert sorted(Job.objects.values_list("object_id", flat=True)) == ["dead lately", "done lately"]


def test_a_run_is_stopped_when_its_lease_ends(work_off):
    handlers.register("endless", swallow_and_loop, lease=timedelta(seconds=0.2))
    ledger.enqueue("endless")

    started = time.monotonic()
    work_off()

    assert time.monotonic() - started < 60
    assert Job.objects.get().last_error.startswith("TookTooLong")


@pytest.mark.parametrize("problem", [SystemExit, MemoryError, RecursionError, KeyError("x"), UnicodeError])
def test_no_way_to_fail_gets_out(problem, work_off):
    def sync(object_id):
        raise problem

    handlers.register("sync", sync)
    ledger.enqueue("sync")

    work_off()

    assert Job.objects.get().state == State.QUEUED


def test_the_alarm_of_django_q_is_borrowed_and_given_back():
    with TimeoutHandler(300):
        theirs = signal.getsignal(signal.SIGALRM)
        with work.time_limit(timedelta(seconds=5)):
            borrowed = signal.getitimer(signal.ITIMER_REAL)[0]
        given_back = signal.getitimer(signal.ITIMER_REAL)[0]
        handler_after = signal.getsignal(signal.SIGALRM)

    assert borrowed <= 5
    assert 200 < given_back <= 300
    assert handler_after == theirs


def test_threads_other_than_the_main_one_have_no_alarm():
    ran = []

    def in_thread():
        with work.time_limit(timedelta(seconds=1)):
            ran.append(True)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()

    assert ran == [True]


def test_a_task_that_is_up_leaves_the_rest_and_says_so():
    handlers.register("sync", fail)
    ledger.enqueue("sync")

    is_unfinished = work.work_off(started=time.monotonic() - 60)

    assert is_unfinished
    assert Job.objects.get().attempts == 0


def test_no_further_job_starts_while_the_supervisor_stops(monkeypatch, work_off):
    handlers.register("sync", fail)
    ledger.enqueue("sync")
    reading, writing = os.pipe()
    monkeypatch.setenv(work.STOPPING_FD, str(reading))
    goes_on = not work.supervisor_is_stopping()

    os.close(writing)
    work_off()
    os.close(reading)

    assert goes_on
    assert Job.objects.get().attempts == 0


def test_a_vendors_refusal_is_told_in_its_words_without_the_secret(work_off, caplog):
    def sync(object_id):
        raise Refused(
            "Linear says no to Authorization: Bearer lin_api_0123456789abcdef0123456789abcdef01234567."
        )

    handlers.register("sync", sync)
    ledger.enqueue("sync")

    with caplog.at_level(logging.INFO):
        work_off()

    told = Job.objects.get().last_error
    assert told.startswith("Refused: Linear says no")
    assert "0123456789abcdef" not in told + caplog.text


POISON = """
import os, signal, time, django
django.setup()
from datetime import timedelta
from django.utils import timezone
from navi.jobs import handlers, ledger, work
from navi.jobs.models import Job
handlers.register("poison", lambda _: os.kill(os.getpid(), signal.SIGKILL))
if not Job.objects.exists():
    ledger.enqueue("poison", "pill")
work.sweep(at=timezone.now() + timedelta(minutes=10))
Job.objects.update(due_at=timezone.now() - timedelta(seconds=1))
work.work_off(started=time.monotonic())
print(*Job.objects.values_list("state", "attempts").get())
"""


@pytest.mark.slow
def test_a_poison_job_in_real_workers_ends_after_three_kills(tmp_path):
    environment = {
        **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}},
        "NAVI_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "navi.settings",
    }

    def python(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False
        )

    assert python("manage.py", "migrate", "-v0").returncode == 0

    runs = [python("-c", POISON) for _ in range(5)]

    assert [run.returncode for run in runs] == [-9, -9, -9, 0, 0]
    assert runs[-1].stdout.split() == ["dead", "3"]


def fail(object_id):
    raise RuntimeError(object_id)


def later(due_at):
    def poll(object_id):
        raise Later(due_at)

    return poll


def swallow_and_loop(object_id):
    while True:
        try:
            time.sleep(0.05)
        except Exception:
            continue


def claimed(kind, *, at):
    job = Job.objects.create(kind=kind, due_at=at)
    assert job.claim(owner=uuid.uuid4(), at=at, lease=timedelta(minutes=5))
    return job
