"""Which syncs there are, when they run, and who holds them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import Connection, State
from integrations import registry
from integrations.models import Provider, Record, SyncState
from integrations.runtime import connect, records, sync, sync_asking, sync_schedule, toggles
from integrations.runtime.sync_asking import Wanted
from integrations.sdk import Item
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.jobs.models import Heartbeat, Job
from tests.sync.shelf import KEY, behaves, plugin, reads

pytestmark = pytest.mark.django_db


def choose(project, *rooms):
    return toggles.save_settings(plugin, project, {"rooms": list(rooms)}, SYSTEM)


def parts():
    return sorted(SyncState.objects.exclude(error_code="leaving").values_list("part", flat=True))


def switch(project, on):
    entry = registry.entry("shelf", project.pk)
    toggles.switch(entry, actor=SYSTEM, project=project, for_user=None, enabled=on)


# --- which there are


def test_alices_own_account_is_not_synced(connected, acme, alice, shelf):
    connected("shelf", acme, for_user=alice, apiKey=KEY)

    sync_schedule.arrange(acme)

    assert not SyncState.objects.exists()


def test_each_chosen_room_has_a_sync_of_its_own(acmes_shelf, acme, shelf, work_off, living):
    shelf.fill(3, "kitchen")
    shelf.fill(4, "attic")
    choose(acme, "kitchen", "attic")

    sync_schedule.enqueue_due()
    work_off()

    assert parts() == ["attic", "kitchen"]
    assert (len(living(part="kitchen")), len(living(part="attic"))) == (3, 4)


def test_a_room_that_is_no_longer_chosen_leaves_tombstones(acmes_shelf, acme, shelf, work_off, living):
    shelf.fill(3, "kitchen")
    shelf.fill(4, "attic")
    choose(acme, "kitchen", "attic")
    work_off()
    sync_schedule.enqueue_due()
    work_off()

    choose(acme, "attic")
    work_off()

    assert parts() == ["attic"]
    assert SyncState.objects.count() == 1
    assert (len(living(part="kitchen")), len(living(part="attic"))) == (0, 4)
    assert Record.objects.filter(part="kitchen", is_deleted=True).count() == 3


def test_a_room_that_is_chosen_again_at_once_is_read_anew(acmes_shelf, acme, shelf, work_off, living):
    shelf.fill(3, "kitchen")
    choose(acme, "kitchen")
    sync_schedule.enqueue_due()
    work_off()

    choose(acme, "attic")
    choose(acme, "kitchen", "attic")
    sync_schedule.enqueue_due()
    work_off()

    assert len(living(part="kitchen")) == 3


def test_the_clock_makes_what_was_missed(acmes_shelf):
    SyncState.objects.all().delete()
    Heartbeat.objects.filter(name="sync_rows").delete()

    sync_schedule.arrange_all()

    assert parts() == [""]


def test_a_disconnected_account_takes_its_syncs_and_records_along(acmes_shelf, acme, sync_now, shelf):
    shelf.fill(3)
    sync_now()

    connect.remove(acmes_shelf, SYSTEM, project=acme)

    assert not SyncState.objects.exists()
    assert not Record.objects.exists()


# --- when they run


def test_five_hundred_due_at_the_start_are_spread(acmes_shelf, acme):
    choose(acme, *[f"room-{number}" for number in range(700)])
    SyncState.objects.update(next_run_at=timezone.now() - timedelta(hours=1))
    Job.objects.all().delete()
    before = timezone.now()

    sync_schedule.enqueue_due()

    due = sorted(Job.objects.filter(kind="sync").values_list("due_at", flat=True))
    assert len(due) == 600
    assert sum(at < before + timedelta(seconds=1) for at in due) <= 10
    assert due[-1] - due[0] >= timedelta(seconds=58)


def test_the_next_run_is_in_a_quarter_of_an_hour_give_or_take_a_tenth(sync_now):
    ahead = [sync_now().next_run_at - timezone.now() for _ in range(3)]

    assert all(timedelta(minutes=13) < pause < timedelta(minutes=17) for pause in ahead)
    assert len(set(ahead)) == 3


def test_nothing_runs_before_it_is_due(sync_now, shelf, the_sync, work_off):
    sync_now()
    shelf.requests.clear()

    sync_schedule.enqueue_due()
    sync.run_job(str(the_sync().pk))
    work_off()

    assert shelf.pages_asked == 0


def test_what_is_switched_off_rests_until_it_is_switched_on(
    acmes_shelf, acme, shelf, the_sync, work_off, time_passes
):
    switch(acme, False)
    time_passes()
    sync_schedule.enqueue_due()
    work_off()
    assert (shelf.pages_asked, the_sync().error_code) == (0, "disabled")

    switch(acme, True)
    sync_schedule.enqueue_due()
    work_off()

    assert (shelf.pages_asked, the_sync().phase, the_sync().error_code) == (1, "idle", "")


def test_a_blocked_provider_is_not_asked(acmes_shelf, shelf, the_sync, work_off):
    Provider.objects.update_or_create(slug="shelf", defaults={"is_blocked": True, "source": "tests"})

    sync_schedule.enqueue_due()
    sync.ask(acmes_shelf, "shelf", ["things"])
    work_off()

    assert (shelf.pages_asked, the_sync().error_code) == (0, "blocked")


def test_an_account_that_needs_a_person_is_left_alone(acmes_shelf, shelf, work_off):
    Connection.objects.update(state=State.REAUTH_REQUIRED)
    Job.objects.all().delete()

    sync_schedule.enqueue_due()
    sync.ask(acmes_shelf, "shelf", ["things"])
    work_off()

    assert shelf.pages_asked == 0


# --- held by people


def test_paused_it_is_not_read_and_resumed_it_is(acmes_shelf, acme, shelf, the_sync, work_off, time_passes):
    shelf.fill(3)
    sync_asking.pause(acme, plugin, Wanted(), actor=SYSTEM)
    time_passes()
    sync_schedule.enqueue_due()
    sync.ask(acmes_shelf, "shelf", ["things"])
    work_off()
    assert shelf.pages_asked == 0

    sync_asking.resume(acme, plugin, Wanted(), actor=SYSTEM)
    work_off()

    assert shelf.pages_asked == 1
    events = AuditEvent.objects.filter(event__in=["sync.paused", "sync.resumed"])
    assert events.count() == 2


def test_paused_in_the_middle_it_keeps_its_page_and_goes_on_there(
    acmes_shelf, acme, shelf, the_sync, work_off, living, monkeypatch
):
    shelf.fill(25)
    read = reads()

    def pauses(client, place):
        page = read(client, place)
        if place.cursor and "after" in place.cursor and shelf.pages_asked == 2:
            sync_asking.pause(acme, plugin, Wanted(), actor=SYSTEM)
        return page

    monkeypatch.setitem(plugin.syncs, "things", behaves(pauses))
    sync_schedule.enqueue_due()
    work_off()
    assert (len(living()), the_sync().is_paused, shelf.pages_asked) == (20, True, 2)

    sync_asking.resume(acme, plugin, Wanted(), actor=SYSTEM)
    work_off()

    assert (living(), shelf.pages_asked) == (shelf.living(), 3)


# --- what is forgotten


def test_old_tombstones_are_deleted_and_that_is_told_once(sync_now, shelf, acme):
    shelf.fill(4)
    sync_now()
    shelf.remove("thing-0001")
    shelf.remove("thing-0002")
    sync_now()
    one = Record.objects.filter(external_id="thing-0001")
    one.update(changed_at=timezone.now() - timedelta(days=91))

    records.forget_old()
    records.forget_old()

    assert sorted(Record.objects.values_list("external_id", flat=True)) == [
        "thing-0000", "thing-0002", "thing-0003",
    ]  # fmt: skip
    (event,) = AuditEvent.objects.filter(event="records.forgotten")
    assert event.detail == {"shelf.things": 1}


def test_records_of_a_kind_that_vanished_are_deleted(acmes_shelf):
    from django.db import transaction

    with transaction.atomic():
        records.keep(acmes_shelf, "shelf", "dust", [Item("one", {})], at=timezone.now())
    Heartbeat.objects.filter(name="records").delete()

    records.forget_old()

    assert not Record.objects.exists()
