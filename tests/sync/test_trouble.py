"""What goes wrong at a vendor, in a plugin or in a worker, and what a sync makes of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import Connection, State
from integrations.models import SyncState
from integrations.runtime import sync, sync_schedule
from integrations.sdk import Item, MissingScopes, Page, Reconnect, Refused, StartOver, TryLater
from navi.jobs.models import Job
from tests.standins.server import answer_with
from tests.sync.shelf import behaves, plugin, raises, reads, told_runs

pytestmark = pytest.mark.django_db


# --- trouble


def test_a_vendor_that_is_down_is_asked_again_later(sync_now, shelf, acmes_shelf):
    shelf.fill(3)
    shelf.fail_next(503, times=10)

    state = sync_now()

    acmes_shelf.refresh_from_db()
    assert (state.phase, state.error_code, state.error_count) == ("failed", "vendor_unavailable", 1)
    assert timedelta(0) < state.next_run_at - timezone.now() < timedelta(minutes=2)
    assert acmes_shelf.health == "degraded"
    assert told_runs()[-1].outcome == "failed"


def test_a_limit_is_waited_for_as_the_vendor_says(sync_now, behave):
    at = timezone.now() + timedelta(minutes=7)
    behave(raises(TryLater("Slow down.", code="rate_limited", retry_at=at)))

    state = sync_now()

    assert (state.error_code, state.next_run_at) == ("rate_limited", at)


def test_a_sync_whose_account_must_be_reconnected_rests_until_it_is(
    sync_now, shelf, acmes_shelf, behave, the_sync, living, connected, acme, work_off, monkeypatch
):
    shelf.fill(3)
    with monkeypatch.context() as patch:
        patch.setitem(plugin.syncs, "things", behaves(raises(Reconnect("The key is no longer accepted."))))
        state = sync_now()
    assert (state.phase, state.error_code) == ("failed", "reauth_required")
    sync_schedule.enqueue_due()
    assert not Job.objects.filter(kind="sync", state="queued").exists()

    Connection.objects.filter(pk=acmes_shelf.pk).update(state=State.ACTIVE)
    sync_schedule.enqueue_due()
    work_off()

    assert (the_sync().phase, living()) == ("idle", shelf.living())


def test_missing_scopes_are_told(sync_now, behave):
    behave(raises(MissingScopes("It lacks things:read.", scopes=("things:read",))))

    state = sync_now()

    assert (state.phase, state.error_code) == ("failed", "missing_scopes")
    assert "things:read" in state.error_message


def test_a_refusal_is_shown_and_tried_with_the_schedule(sync_now, behave, acmes_shelf):
    behave(raises(Refused("There is no such room.")))

    state = sync_now()

    acmes_shelf.refresh_from_db()
    assert (state.error_code, state.error_message) == ("vendor_refused", "There is no such room.")
    assert state.next_run_at - timezone.now() > timedelta(minutes=12)
    assert acmes_shelf.error_count == 0


def test_a_plugin_with_a_fault_does_not_loop(sync_now, behave, work_off):
    calls = []

    def broken(client, place):
        calls.append(1)
        raise ZeroDivisionError("secret words")

    behave(broken)

    state = sync_now()
    work_off()

    assert (len(calls), state.phase, state.error_code) == (1, "failed", "internal")
    assert "ZeroDivisionError" in state.error_message
    assert "secret words" not in state.error_message


def test_a_plugin_that_reads_the_same_page_for_ever_is_stopped(sync_now, behave):
    calls = []

    def circles(client, place):
        calls.append(1)
        return Page([Item("one", {})], {"after": "one"}, more=True)

    behave(circles)

    assert (sync_now().phase, len(calls)) == ("failed", 2)


def test_a_vendor_that_forgets_every_cursor_is_not_asked_for_ever(sync_now, shelf, behave, the_sync):
    calls = []

    def forgetful(client, place):
        calls.append(place.cursor)
        if place.cursor:
            raise StartOver
        return Page([Item("one", {})], {"after": "one"}, more=True)

    behave(forgetful)
    state = sync_now()

    assert calls == [None, {"after": "one"}]
    assert (state.phase, state.error_code, state.cursor) == ("failed", "internal", None)


def test_a_pause_grows_with_each_failure(sync_now, behave):
    behave(raises(TryLater("Not now.")))

    pauses = [sync_now().next_run_at - timezone.now() for _ in range(5)]

    assert pauses[0] < timedelta(minutes=2) < timedelta(minutes=10) < pauses[4]


def test_a_pass_that_was_cut_off_goes_on_where_it_stopped(sync_now, shelf, living):
    shelf.fill(25)
    shelf.put("zz", title="Last")
    sync_now_until_trouble(shelf, sync_now, after=2)
    assert len(living()) == 20
    shelf.requests.clear()

    state = sync_now()

    assert living() == shelf.living()
    assert (state.phase, state.is_full, shelf.pages_asked) == ("idle", True, 1)


def sync_now_until_trouble(shelf, sync_now, *, after):
    answer, count = shelf.answer, iter(range(1000))

    def fails(request):
        if request.path == "/things" and next(count) >= after:
            return answer_with(422, {"error": "no"})
        return answer(request)

    shelf.answer = fails
    assert sync_now().phase == "failed"
    shelf.answer = answer


# --- one at a time


def test_fifty_asks_become_one_run_and_one_more(acmes_shelf, shelf, work_off, behave, the_sync):
    shelf.fill(25)
    read, asked = reads(), list[object]()

    def impatient(client, place):
        if not asked:
            asked.extend(sync.ask(acmes_shelf, "shelf", ["things"]) for _ in range(25))
        return read(client, place)

    behave(impatient)
    for _ in range(25):
        sync.ask(acmes_shelf, "shelf", ["things"])
    work_off()

    assert shelf.pages_asked == 3 + 1  # one run, and one more for what was asked while it ran
    assert len(told_runs()) == 2
    assert the_sync().phase == "idle"
    assert not Job.objects.waiting().filter(kind="sync").exists()


def test_a_worker_that_was_taken_for_dead_does_not_turn_the_cursor_back(
    acmes_shelf, shelf, work_off, behave, the_sync, living
):
    """It wakes up with the first page in its hands when another one has read everything."""
    shelf.fill(25)
    read, slept = reads(), list[int]()

    def sleeps(client, place):
        page = read(client, place)
        if not slept:
            slept.append(1)
            # The lease ends; another worker takes the job, and reads it all.
            sync.run_job(str(the_sync().pk))
            work_off()
        return page

    behave(sleeps)
    sync_schedule.enqueue_due()
    sync.run_job(str(the_sync().pk))
    work_off()

    assert living() == shelf.living()
    assert (the_sync().phase, the_sync().cursor) == ("idle", {"since": 25})


def test_a_run_whose_jobs_are_dead_is_ended_and_taken_up_later(the_sync, shelf, acmes_shelf):
    SyncState.objects.update(phase="running", started_at=timezone.now(), next_run_at=timezone.now())
    Job.objects.all().delete()

    sync_schedule.enqueue_due()

    state = the_sync()
    assert (state.phase, state.error_code) == ("failed", "internal")
    assert not Job.objects.waiting().filter(kind="sync").exists()
    assert state.next_run_at > timezone.now()
