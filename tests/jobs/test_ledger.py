import time
from datetime import timedelta
from threading import Thread
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connections, transaction
from django.utils import timezone
from django_q.models import OrmQ

from navi.jobs import handlers, ledger, work
from navi.jobs.models import Job, State, pause_after

pytestmark = pytest.mark.django_db


def test_work_that_already_waits_is_not_doubled():
    first = ledger.enqueue("sync", "todoist")
    second = ledger.enqueue("sync", "todoist")

    assert first.pk == second.pk
    assert Job.objects.count() == 1


def test_work_waits_once_for_each_object():
    ledger.enqueue("sync", "todoist")
    ledger.enqueue("sync", "linear")

    assert Job.objects.waiting().count() == 2


def test_sooner_work_brings_the_waiting_one_forward():
    tomorrow = timezone.now() + timedelta(days=1)
    ledger.enqueue("sync", "todoist", due_at=tomorrow)

    job = ledger.enqueue("sync", "todoist")

    assert job.due_at < tomorrow
    assert Job.objects.get().due_at == job.due_at


def test_later_work_does_not_push_the_waiting_one_back():
    job = ledger.enqueue("sync", "todoist")

    ledger.enqueue("sync", "todoist", due_at=timezone.now() + timedelta(days=1))

    assert Job.objects.get().due_at == job.due_at


def test_a_failing_job_keeps_its_pause_when_the_same_work_comes_again(work_off):
    handlers.register("sync", fail)
    ledger.enqueue("sync", "todoist")
    work_off()

    again = ledger.enqueue("sync", "todoist")

    assert again.attempts == 1
    assert again.due_at > timezone.now() + timedelta(seconds=10)


def test_the_handler_says_how_often_its_jobs_are_tried():
    handlers.register("sync", fail, max_attempts=7)

    assert ledger.enqueue("sync").max_attempts == 7
    assert ledger.enqueue("sync", "once", max_attempts=1).max_attempts == 1


def test_a_kind_has_one_handler():
    handlers.register("sync", fail)
    handlers.register("sync", fail)

    with pytest.raises(ValueError, match="have a handler already"):
        handlers.register("sync", print)


def test_the_bell_rings_when_the_work_is_committed_and_not_before(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        ledger.enqueue("sync", "todoist")
    rung_early = OrmQ.objects.count()
    for callback in callbacks:
        callback()

    assert rung_early == 0
    assert OrmQ.objects.count() == 1


def test_several_rings_become_one(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        for number in range(5):
            ledger.enqueue("sync", str(number))

    assert OrmQ.objects.count() == 1


def test_work_for_tomorrow_rings_no_bell(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        ledger.enqueue("sync", due_at=timezone.now() + timedelta(days=1))

    assert not OrmQ.objects.exists()


@pytest.mark.parametrize("trouble", [ConnectionError("refused"), DatabaseError("gone"), TimeoutError()])
def test_a_broker_that_is_down_loses_no_work(trouble, django_capture_on_commit_callbacks, work_off):
    done: list[str] = []
    handlers.register("sync", done.append)
    with (
        patch("django_q.brokers.orm.ORM.enqueue", side_effect=trouble),
        django_capture_on_commit_callbacks(execute=True),
    ):
        ledger.enqueue("sync", "todoist")

    work_off()

    assert done == ["todoist"]


def test_work_of_a_rolled_back_change_is_not_done(work_off):
    done: list[str] = []
    handlers.register("sync", done.append)
    with transaction.atomic():
        ledger.enqueue("sync", "todoist")
        transaction.set_rollback(True)

    work_off()

    assert done == []


def test_pauses_double_up_to_an_hour_and_are_spread():
    shortest = [min(pause_after(n) for _ in range(50)) for n in (1, 2, 3, 20)]
    longest = [max(pause_after(n) for _ in range(50)) for n in (1, 2, 3, 20)]

    assert [p.total_seconds() for p in longest] <= [30, 60, 120, 3600]
    assert [p.total_seconds() for p in shortest] >= [15, 30, 60, 1800]
    assert shortest != longest


def test_a_dead_letter_gets_all_its_attempts_back(work_off, make_due):
    handlers.register("sync", fail, max_attempts=1)
    ledger.enqueue("sync", "todoist")
    work_off()
    done: list[str] = []
    handlers._handlers.clear()
    handlers.register("sync", done.append)

    revived = ledger.run_again(Job.objects.get(state=State.DEAD))
    work_off()

    assert revived
    assert done == ["todoist"]
    assert Job.objects.get().state == State.DONE


def test_a_dead_letter_stays_where_the_same_work_waits_already(work_off):
    handlers.register("sync", fail, max_attempts=1)
    ledger.enqueue("sync", "todoist")
    work_off()
    ledger.enqueue("sync", "todoist")

    assert not ledger.run_again(Job.objects.get(state=State.DEAD))
    assert Job.objects.dead().count() == 1


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_never_run_one_job_twice():
    done: list[str] = []
    handlers.register("count", done.append)
    for number in range(30):
        Job.objects.create(kind="count", object_id=str(number))

    at_once(4, lambda: work.work_off(started=time.monotonic()))

    assert sorted(done, key=int) == [str(number) for number in range(30)]
    assert Job.objects.filter(state=State.DONE, attempts=1).count() == 30


@pytest.mark.django_db(transaction=True)
def test_enqueuing_at_once_leaves_one_waiting_job():
    at_once(6, lambda: ledger.enqueue("sync", "todoist"))

    assert Job.objects.get().state == State.QUEUED


def fail(object_id):
    raise RuntimeError(object_id)


def at_once(how_many, function):
    problems = []

    def guarded():
        try:
            function()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    threads = [Thread(target=guarded) for _ in range(how_many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_many_are_put_on_the_ledger_at_little_cost_and_those_that_wait_are_kept(
    db, django_assert_max_num_queries
):
    now = timezone.now()
    waiting = ledger.enqueue("sync", "7", due_at=now + timedelta(hours=1))
    due = {str(number): now + timedelta(seconds=number) for number in range(1200)}

    with django_assert_max_num_queries(20):
        ledger.enqueue_all("sync", due)

    assert Job.objects.filter(kind="sync").count() == 1200
    waiting.refresh_from_db()
    assert waiting.due_at == now + timedelta(hours=1)
