"""What a hostile vendor, a slow worker or an unlucky moment must not do to records."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from credentials.models import Connection
from integrations.models import Record, SyncState
from integrations.runtime import records, sync, sync_ends, sync_schedule, toggles
from integrations.sdk import Item, Page
from navi.audit.actor import SYSTEM
from navi.jobs.models import Job
from tests.sync.shelf import plugin, reads

pytestmark = pytest.mark.django_db


def choose(project, *rooms):
    toggles.save_settings(plugin, project, {"rooms": list(rooms)}, SYSTEM)


def read_all(work_off):
    SyncState.objects.update(next_run_at=timezone.now())
    sync_schedule.enqueue_due()
    work_off()


# --- deletions


def test_a_room_that_was_left_and_chosen_again_still_loses_what_the_vendor_lost(
    acmes_shelf, acme, shelf, work_off, living
):
    shelf.fill(3, "kitchen")
    choose(acme, "kitchen")
    for _ in range(3):
        shelf.forget()
        read_all(work_off)
    choose(acme, "attic")
    work_off()
    choose(acme, "kitchen")
    read_all(work_off)

    shelf.remove("thing-0001", "kitchen")
    shelf.forget()
    read_all(work_off)

    assert living(part="kitchen") == shelf.living("kitchen")


def test_leaving_a_room_takes_nothing_that_was_read_since_it_was_chosen_again(
    acmes_shelf, acme, shelf, work_off, living, monkeypatch
):
    shelf.fill(3, "kitchen")
    choose(acme, "kitchen")
    read_all(work_off)
    bury = records.bury

    def too_late(*arguments, **more):
        monkeypatch.setattr(records, "bury", bury)
        choose(acme, "kitchen")
        sync.run_job(str(SyncState.objects.get(part="kitchen").pk))
        return bury(*arguments, **more)

    monkeypatch.setattr(records, "bury", too_late)
    choose(acme, "attic")
    work_off()

    assert living(part="kitchen") == shelf.living("kitchen")


def test_what_a_webhook_brings_while_the_vendor_starts_over_stays(
    sync_now, shelf, behave, acmes_shelf, living
):
    shelf.fill(3)
    sync_now()

    def everything_anew(client, place):
        with transaction.atomic():
            records.keep(acmes_shelf, "shelf", "things", [Item("heard", {"new": True})], at=timezone.now())
        return Page([Item("thing-0001", {})], {"since": 99}, starts_over=True)

    behave(everything_anew)
    sync_now()

    assert living().keys() == {"thing-0001", "heard"}


def test_what_a_webhook_says_is_gone_does_not_come_back_with_a_page_that_was_asked_for_before(
    sync_now, shelf, behave, acmes_shelf, living
):
    shelf.fill(2)
    sync_now()
    shelf.put("thing-0001", title="Changed")
    read = reads()

    def slowly(client, place):
        page = read(client, place)
        gone = [Item("thing-0001", is_deleted=True)]
        with transaction.atomic():
            records.keep(acmes_shelf, "shelf", "things", gone, at=timezone.now())
        return page

    behave(slowly)
    sync_now()

    assert living().keys() == {"thing-0000"}


def test_a_tombstone_that_comes_to_life_is_not_forgotten_with_the_old_ones(sync_now, shelf, monkeypatch):
    shelf.fill(1)
    sync_now()
    shelf.remove("thing-0000")
    sync_now()
    Record.objects.update(changed_at=timezone.now() - timedelta(days=400))
    chunks = records.chunks

    def meanwhile(many):
        Record.objects.update(is_deleted=False, changed_at=timezone.now())
        return chunks(many)

    monkeypatch.setattr(records, "chunks", meanwhile)
    records.forget_old()

    assert Record.objects.count() == 1


# --- two workers


def test_a_worker_that_was_overtaken_on_the_last_page_writes_nothing(
    sync_now, shelf, behave, living, the_sync
):
    shelf.fill(3)
    read = reads()

    def slowly(client, place):
        page = read(client, place)
        if not place.cursor:
            behave(read)
            sync.run_job(str(the_sync().pk))  # by another worker
            shelf.put("thing-0001", title="Newer")
            SyncState.objects.update(next_run_at=timezone.now())
            sync.run_job(str(the_sync().pk))
        return page

    behave(slowly)
    sync_now()

    assert living() == shelf.living()


def test_a_second_worker_does_not_throw_the_first_ones_page_away(sync_now, shelf, behave, the_sync, work_off):
    shelf.fill(3)
    read = reads()
    asked = []

    def asked_again(client, place):
        asked.append(place.cursor)
        if len(asked) < 4:
            sync_ends.begin(the_sync(), at=timezone.now())
        return read(client, place)

    behave(asked_again)
    state = sync_now()

    assert (state.phase, state.seen, len(asked)) == ("idle", 3, 1)


# --- parts


def test_what_is_gone_from_a_part_is_gone_from_the_undivided_whole(sync_now, shelf, acmes_shelf, living):
    shelf.fill(2)
    sync_now()

    with transaction.atomic():
        gone = [Item("thing-0001", is_deleted=True)]
        counts = records.keep(acmes_shelf, "shelf", "things", gone, part="kitchen", at=timezone.now())

    assert counts == records.Counts(0, 1)
    assert living().keys() == {"thing-0000"}


# --- the schedule


def test_a_crowd_of_one_provider_holds_no_other_up(acmes_shelf, acme, monkeypatch):
    choose(acme, *[f"room-{number}" for number in range(9)])
    SyncState.objects.update(next_run_at=timezone.now() - timedelta(hours=1))
    other = Connection.objects.get(pk=acmes_shelf.pk)
    other.pk, other.provider, other.is_default = uuid.uuid4(), "todoist", False
    other.save(force_insert=True)
    late = SyncState.objects.create(project=acme, connection=other, plugin="todoist", kind="tasks")
    Job.objects.all().delete()
    monkeypatch.setattr(sync_schedule, "A_MINUTE", 5)

    sync_schedule.enqueue_due()

    begun = set(Job.objects.filter(kind="sync").values_list("object_id", flat=True))
    assert (len(begun), str(late.pk) in begun) == (6, True)
