"""kill -9 of real workers at every page boundary: the set is whole in the end, at most one page read again."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from integrations.models import Record, SyncState
from integrations.runtime import reading, records, sync, sync_schedule
from integrations.sdk import Item
from navi.jobs import work
from navi.jobs.models import Job
from tests.sync.shelf import pages_of, plugin

pytestmark = [pytest.mark.django_db(transaction=True)]

KILLED = -9
PAGES = 30


def sweep_the_dead():
    """The leases of the dead end, and the sweeper gives their work back."""
    long_ago = timezone.now() - timedelta(seconds=1)
    Job.objects.filter(state="running").update(lease_until=long_ago)
    work.sweep(at=timezone.now())
    Job.objects.filter(state="queued").update(due_at=long_ago)


@pytest.fixture
def worker(crew, shelf):
    """One real worker that works off what is due, or dies at a failpoint; how it ended."""

    def turn(*places):
        job = {"upstreams": {"shelf": shelf.url}, "failpoints": dict.fromkeys(places, "kill")}
        connection.close()
        (end,) = crew.run(job)
        return end

    return turn


@pytest.mark.slow
@pytest.mark.parametrize("place", ["sync.before_page", "sync.after_page", "sync.after_commit"])
def test_killed_at_every_page_boundary_the_final_set_equals_the_source(
    acmes_shelf, shelf, worker, the_sync, living, place
):
    shelf.fill(PAGES * 10 - 3)
    Job.objects.all().delete()
    sync_schedule.enqueue_due()

    read_again, deaths, page = 0, 0, 0
    while the_sync().phase != "idle" or page == 0:
        before = shelf.pages_asked
        if place != "sync.after_commit":  # there each death is a page further by itself
            assert worker(place) == KILLED
            deaths += 1
            sweep_the_dead()
        end = worker("sync.after_commit")
        deaths += end == KILLED
        sweep_the_dead()
        again = shelf.pages_asked - before - 1
        assert again <= 1
        read_again, page = read_again + again, page + 1
        assert page <= PAGES

    assert living() == shelf.living()
    assert (page, the_sync().pages, the_sync().changed) == (PAGES, PAGES, PAGES * 10 - 3)
    assert read_again == (PAGES if place == "sync.after_page" else 0)
    assert deaths >= PAGES
    assert worker() == 0  # nothing is left to do
    assert shelf.pages_asked == pages_of(PAGES * 10 - 3) + read_again


def test_killed_in_a_full_read_again_deletions_are_not_lost(
    acmes_shelf, shelf, worker, the_sync, living, sync_now
):
    shelf.fill(25)
    sync_now()
    for name in ("thing-0001", "thing-0024"):
        del shelf.things["", name]
    shelf.forget()
    sync.ask(acmes_shelf, "shelf", ["things"])

    for place in ("sync.after_page", "sync.after_commit") * 3:
        worker(place)
        sweep_the_dead()
    worker()

    assert living() == shelf.living()
    assert Record.objects.filter(is_deleted=True).count() == 2
    assert the_sync().phase == "idle"


def test_two_workers_at_once_read_each_page_once(acmes_shelf, shelf, crew, the_sync, living):
    shelf.fill(55)
    Job.objects.all().delete()
    sync_schedule.enqueue_due()
    connection.close()

    crew.run(*[{"upstreams": {"shelf": shelf.url}}] * 2)
    while Job.objects.waiting().filter(kind="sync").exists():
        sweep_the_dead()
        crew.run({"upstreams": {"shelf": shelf.url}})

    assert living() == shelf.living()
    assert (the_sync().phase, shelf.pages_asked) == ("idle", 6)


# --- readers beside writers


def test_a_reader_beside_writers_misses_nothing(acmes_shelf, acme):
    writers, each, commits = 3, 40, 12
    errors = []

    def write(number):
        try:
            for turn in range(commits):
                items = [Item(f"{number}-{one}", {"turn": turn}) for one in range(turn, each, 3)]
                with transaction.atomic():
                    records.keep(acmes_shelf, "shelf", "things", items, at=timezone.now())
                    time.sleep(0.002)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    seen, cursor = dict[str, object](), ""
    while True:
        is_last = not any(thread.is_alive() for thread in threads)
        found = reading.read(acme, plugin, "things", reading.Wish(cursor=cursor, limit=7))
        seen |= {row.external_id: row.data.reveal() for row in found.records}
        cursor = found.next
        if is_last and not found.has_more and not found.records:
            break
    for thread in threads:
        thread.join()

    assert errors == []
    assert seen == {row.external_id: row.data.reveal() for row in Record.objects.all()}


def test_fifty_asks_at_once_leave_one_job(acmes_shelf, the_sync):
    Job.objects.all().delete()

    def asks():
        try:
            sync.ask(acmes_shelf, "shelf", ["things"])
        finally:
            connection.close()

    threads = [threading.Thread(target=asks) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Job.objects.filter(kind="sync").count() == 1
    assert SyncState.objects.count() == 1
