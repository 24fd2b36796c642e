"""A sync reads everything, then what changed; and what it must not do."""

import pytest

from integrations.models import Record, RecordClock
from integrations.runtime import sync_schedule
from integrations.sdk import Item, Page
from tests.sync.shelf import reads, told_runs

pytestmark = pytest.mark.django_db


# --- reading


def test_a_connected_account_is_synced_page_by_page(acmes_shelf, shelf, work_off, the_sync, living):
    shelf.fill(25)

    sync_schedule.enqueue_due()
    work_off()

    state = the_sync()
    assert living() == shelf.living()
    assert (state.phase, state.pages, state.seen, state.changed, state.total) == ("idle", 3, 25, 25, 25)
    assert state.cursor == {"since": 25}
    assert shelf.pages_asked == 3


def test_afterwards_only_what_changed_is_read(sync_now, shelf, living):
    shelf.fill(25)
    sync_now()
    shelf.put("thing-0003", title="Changed")
    shelf.put("new", title="New")
    shelf.remove("thing-0007")
    shelf.requests.clear()

    state = sync_now()

    assert living() == shelf.living()
    assert Record.objects.get(external_id="thing-0007").is_deleted
    assert (state.pages, state.seen, state.changed, state.deleted) == (1, 3, 2, 1)
    assert shelf.pages_asked == 1


def test_what_did_not_change_is_not_written(sync_now, shelf):
    shelf.fill(25)
    sync_now()
    before = set(Record.objects.values_list("pk", "sequence", "changed_at"))

    shelf.forget()
    state = sync_now()

    assert set(Record.objects.values_list("pk", "sequence", "changed_at")) == before
    assert (state.is_full, state.seen, state.changed, state.deleted) == (True, 25, 0, 0)


def test_when_the_vendor_forgot_the_cursor_everything_is_read_and_what_is_missing_is_deleted(
    sync_now, shelf, living
):
    shelf.fill(25)
    sync_now()
    del shelf.things["", "thing-0005"]
    shelf.put("thing-0006", title="Changed")
    shelf.forget()

    state = sync_now()

    assert living() == shelf.living()
    tombstone = Record.objects.get(external_id="thing-0005")
    assert (tombstone.is_deleted, tombstone.data.reveal()) == (True, None)
    assert (state.is_full, state.changed, state.deleted, state.phase) == (True, 1, 1, "idle")


def test_a_thing_that_comes_back_is_there_again(sync_now, shelf, living):
    shelf.fill(3)
    sync_now()
    shelf.remove("thing-0001")
    sync_now()
    shelf.put("thing-0001", title="Back")

    sync_now()

    assert living() == shelf.living()
    assert Record.objects.count() == 3


def test_a_shelf_that_grows_while_it_is_read_is_whole_in_the_end(
    sync_now, shelf, living, behave, monkeypatch
):
    shelf.fill(25)
    read = reads()
    left = iter(["a-before", "thing-0012b", "z-after"])

    def grows(client, place):
        page = read(client, place)
        if name := next(left, None):
            shelf.put(name, title="Meanwhile")
        return page

    behave(grows)
    sync_now()
    sync_now()

    assert living() == shelf.living()


def test_everything_may_come_where_changes_were_asked_for(sync_now, shelf, living, behave):
    shelf.fill(5)
    sync_now()
    behave(lambda client, place: Page([Item("only", {"title": "Only"})], {"since": 99}, starts_over=True))

    state = sync_now()

    assert living() == {"only": {"title": "Only"}}
    assert (state.is_full, state.deleted, state.cursor) == (True, 5, {"since": 99})


def test_a_page_of_a_thousand_items_is_written_in_few_statements(
    sync_now, behave, living, django_assert_max_num_queries
):
    things = [Item(f"thing-{number}", {"text": "x" * 400}) for number in range(1000)]
    behave(lambda client, place: Page(things, {"since": 1}))

    with django_assert_max_num_queries(80):
        sync_now()

    assert len(living()) == 1000


def test_what_cannot_be_stored_is_stored_as_near_as_can_be(sync_now, behave, living):
    odd = Item("a\x00b\ud800", {"text": "nul \x00, half \ud800", "number": float("nan"), "deep\x00": [{}]})
    long_ids = [Item("x" * 400 + end, {"end": end}) for end in "ab"]
    behave(lambda client, place: Page([odd, *long_ids], {"since": 1}))

    state = sync_now()

    found = living()
    assert (state.phase, len(found)) == ("idle", 3)
    assert {"text": "nul �, half �", "number": None, "deep�": [{}]} in found.values()
    assert all(len(name) <= 300 for name in found)


def test_an_item_that_is_too_large_is_kept_without_its_body(sync_now, behave, living):
    behave(lambda client, place: Page([Item("big", {"text": "x" * 300_000})], {"since": 1}))

    sync_now()

    assert living()["big"].keys() == {"leftOut", "bytes"}


def test_the_credential_is_left_out_of_what_the_vendor_says(sync_now, behave, living):
    from tests.sync.shelf import KEY

    behave(lambda client, place: Page([Item("echo", {"text": f"your key is {KEY}"})], {"since": 1}))

    sync_now()

    assert living()["echo"] == {"text": "your key is [hidden]"}


def test_records_are_sealed_and_their_digests_keyed(sync_now, shelf):
    shelf.put("one", title="A secret title")
    sync_now()

    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT data, content_hash FROM integrations_record")
        data, digest = cursor.fetchone()
    import hashlib
    import json

    plain = json.dumps(shelf.living()["one"], sort_keys=True, separators=(",", ":")).encode()
    assert b"secret title" not in bytes(data)
    assert digest != hashlib.sha256(plain).hexdigest()


# --- the audit


def test_a_run_is_one_event_however_many_pages(sync_now, shelf, acmes_shelf):
    shelf.fill(25)

    sync_now()

    (event,) = told_runs()
    assert (event.outcome, event.plugin, event.connection_id) == ("ok", "shelf", acmes_shelf.pk)
    counts = {name: event.detail[name] for name in ("full", "pages", "seen", "changed", "deleted")}
    assert counts == {"full": True, "pages": 3, "seen": 25, "changed": 25, "deleted": 0}
    assert event.duration_ms is not None


def test_numbers_grow_with_every_change(sync_now, shelf, acme):
    shelf.fill(5)
    sync_now()
    shelf.put("thing-0002", title="Changed")
    sync_now()

    assert Record.objects.get(external_id="thing-0002").sequence == 6
    assert RecordClock.objects.get(project=acme).last == 6


@pytest.mark.slow
def test_the_bench_reads_all_of_its_records(db):
    from tests.sync.bench_sync import sync_records_per_second

    assert sync_records_per_second(300) > 0
