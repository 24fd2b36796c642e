import base64
import logging
import re
from datetime import timedelta
from multiprocessing import Event, Value
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule, Task
from django_q.monitor import monitor
from django_q.pusher import pusher
from django_q.queues import Queue
from django_q.tasks import async_task
from django_q.worker import worker

from navi.jobs import bell, handlers, heartbeat, ledger, schedules, work
from navi.jobs.models import Heartbeat, Job, State

SECRET = "navi-canary-4f9b1c77d0aa"


@pytest.mark.django_db
def test_a_drain_rings_for_the_next_worker_while_work_is_left():
    handlers.register("sync", str)
    for number in range(3):
        ledger.enqueue("sync", str(number))

    with patch.object(bell, "async_task") as rung:
        bell.drain()

    assert rung.call_count == 1
    assert Job.objects.filter(state=State.DONE).count() == 3


@pytest.mark.django_db
def test_a_drain_without_work_rings_nobody():
    with patch.object(bell, "async_task") as rung:
        bell.drain()

    assert rung.call_count == 0


@pytest.mark.django_db
def test_the_tick_does_what_no_bell_announced():
    done: list[str] = []
    handlers.register("sync", done.append)
    Job.objects.create(kind="sync", object_id="todoist")

    bell.tick()

    assert done == ["todoist"]


@pytest.mark.django_db
def test_the_tick_takes_back_lost_work():
    long_ago = timezone.now() - timedelta(hours=1)
    Job.objects.create(kind="sync", state=State.RUNNING, attempts=3, lease_until=long_ago)

    bell.tick()

    assert Job.objects.get().state == State.DEAD


@pytest.mark.django_db
def test_a_minute_function_that_fails_does_not_stop_the_others(caplog):
    called = []
    for function in [lambda: called.append("first"), lambda: 1 / 0, lambda: called.append("last")]:
        handlers.every_minute(function)

    bell.tick()

    assert called == ["first", "last"]
    assert "ZeroDivisionError in test_bell.py" in caplog.text


@pytest.mark.django_db
def test_ticks_that_piled_up_are_one_tick():
    called = []
    handlers.every_minute(lambda: called.append("sealed"))

    for _ in range(5):
        bell.tick()

    assert called == ["sealed"]


@pytest.mark.django_db
def test_the_next_minute_ticks_again():
    called = []
    handlers.every_minute(lambda: called.append("sealed"))
    bell.tick()
    Heartbeat.objects.filter(name="tick").update(at=timezone.now() - timedelta(seconds=55))

    bell.tick()

    assert called == ["sealed", "sealed"]


@pytest.mark.django_db
@pytest.mark.parametrize("task", [bell.tick, bell.drain])
def test_a_worker_is_alive_after_a_task_and_for_two_and_a_half_minutes(task):
    now = timezone.now()
    before = heartbeat.worker_is_alive(now)

    task()

    assert not before
    assert heartbeat.worker_is_alive(now + timedelta(seconds=149))
    assert not heartbeat.worker_is_alive(timezone.now() + timedelta(seconds=151))


@pytest.mark.django_db
@pytest.mark.parametrize("task", [bell.tick, bell.drain])
def test_trouble_with_the_ledger_itself_stays_out_of_django_q(task, caplog):
    with patch("navi.jobs.work.work_off", side_effect=RuntimeError(SECRET)):
        assert task() is None

    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.django_db
def test_the_tick_is_scheduled_once_however_often_it_is_asked_for():
    Schedule.objects.all().delete()
    Schedule.objects.create(name=schedules.TICK, func="os.system")
    Schedule.objects.create(name=schedules.TICK, func="navi.jobs.bell.tick")

    for _ in range(3):
        schedules.ensure_schedules()

    schedule = Schedule.objects.get()
    assert (schedule.func, schedule.schedule_type, schedule.minutes) == ("navi.jobs.bell.tick", "I", 1)


@pytest.mark.django_db
def test_a_migrated_database_has_the_tick():
    assert Schedule.objects.filter(name=schedules.TICK).count() == 1


@pytest.mark.django_db
def test_django_q_is_set_up_as_measured():
    assert (Conf.TIMEOUT, Conf.RETRY, Conf.CATCH_UP, Conf.MAX_ATTEMPTS) == (300, 3600, False, 1)
    assert Conf.ACK_FAILURES
    assert timedelta(seconds=Conf.TIMEOUT) > work.START_WITHIN + work.LONGEST_RUN


@pytest.mark.django_db(transaction=True)
def test_a_secret_in_an_exception_is_nowhere_in_the_database_or_the_log(caplog):
    def leak(object_id):
        password = SECRET
        try:
            raise ValueError(f"bad password {password}")
        except ValueError as inner:
            raise RuntimeError({"token": password}) from inner

    handlers.register("leak", leak, max_attempts=2)
    handlers.every_minute(lambda: leak(""))

    with caplog.at_level(logging.DEBUG):
        ledger.enqueue("leak", "connection-1")
        queued = everything_stored()
        run_django_q()
        Job.objects.update(due_at=timezone.now())
        async_task("navi.jobs.bell.tick", save=True)
        run_django_q()

    assert "navi.jobs.bell.drain" in queued
    assert Job.objects.get().state == State.DEAD
    assert Task.objects.get().success
    assert SECRET not in everything_stored() + queued + caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_scan_for_secrets_finds_what_django_q_pickles():
    async_task("tests.jobs.test_bell.raise_it", SECRET, save=True)

    run_django_q()

    assert SECRET in everything_stored()


def raise_it(text):
    raise RuntimeError(text)


def run_django_q():
    """One round of a real cluster in this process: pusher, worker, monitor."""
    tasks, results, stop = Queue(), Queue(), Event()
    stop.set()
    while OrmQ.objects.filter(lock__lt=timezone.now()).exists():
        pusher(tasks, stop)
    tasks.put("STOP")
    worker(tasks, results, Value("f", -1), Conf.TIMEOUT)
    results.put("STOP")
    monitor(results)


def everything_stored():
    """All that django-q2 and the ledger keep, and what is inside their base64."""
    texts = []
    with connection.cursor() as cursor:
        for model in (OrmQ, Task, Schedule, Job, Heartbeat):
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            texts += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(texts + [decoded for text in texts for decoded in inside(text)])


def inside(text):
    for piece in re.findall(r"[A-Za-z0-9+/_-]{20,}", text):
        whole = piece.replace("-", "+").replace("_", "/")[: len(piece) // 4 * 4]
        yield base64.b64decode(whole).decode("latin-1")
