"""What a vendor sends is committed before it is answered, and has its effects once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.models import Delivery, Record, SyncState, WebhookEndpoint
from integrations.runtime import endpoints, hearing
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.jobs.models import Job

pytestmark = pytest.mark.django_db


def test_what_is_signed_is_kept_with_a_job_and_answered(vendor, endpoint):
    answer = vendor.send(id="p1", text="hello")

    kept = Delivery.objects.get()
    assert answer.status_code == 200
    assert (kept.vendor_id, kept.event_type, kept.state) == ("p1", "ping", "received")
    assert Job.objects.get(kind="delivery").object_id == str(kept.pk)
    endpoint.refresh_from_db()
    assert endpoint.state == "active"


def test_its_effects_come_once_however_often_it_is_processed(vendor, process_all, acme):
    vendor.send(id="p1", text="hello")
    delivery = Delivery.objects.get()

    process_all()
    hearing.process(str(delivery.pk))

    record = Record.objects.get(plugin="pinger")
    assert record.data.reveal() == {"type": "ping", "text": "hello"}
    delivery.refresh_from_db()
    assert (delivery.state, delivery.summary, delivery.attempts) == ("processed", "Ping p1", 1)
    assert AuditEvent.objects.filter(event="delivery.processed").count() == 1


def test_the_same_id_again_is_counted_and_nothing_else(vendor, process_all):
    vendor.send(id="p1", text="first")
    process_all()

    answers = [vendor.send(id="p1", text="second").status_code for _ in range(3)]

    kept = Delivery.objects.get()
    assert answers == [200, 200, 200]
    assert (kept.repeats, kept.state) == (3, "processed")
    assert kept.body.reveal()["text"] == '{"type": "ping", "text": "first"}'
    assert Job.objects.filter(kind="delivery").count() == 1


def test_without_an_id_the_body_stands_for_it(vendor):
    for text in ("a", "a", "b"):
        content = f'{{"type": "ping", "text": "{text}"}}'.encode()
        vendor.post(content, {"X-Ping-Signature": vendor.sign(content)})

    assert sorted(Delivery.objects.values_list("repeats", flat=True)) == [0, 1]
    assert all(one.startswith("body:") for one in Delivery.objects.values_list("vendor_id", flat=True))


@pytest.mark.parametrize(
    "odd", ["x" * 5000, "tab\there", "ünïcode"], ids=["long", "unprintable", "not ASCII"]
)
def test_an_id_that_no_column_takes_is_kept_as_its_hash(vendor, odd):
    assert vendor.send(id=odd).status_code == 200
    assert vendor.send(id=odd).status_code == 200

    kept = Delivery.objects.get()
    assert kept.vendor_id.startswith("id:")
    assert kept.repeats == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe\x00", b"[]", b"null", b'{"type": "\\u0000\\ud800"}', b'{"type": 7}', b"{" * 50_000],
    ids=["empty", "no text", "a list", "null", "odd characters", "a number", "too deep"],
)
def test_whatever_is_signed_is_kept_as_it_came(vendor, process_all, body):
    assert vendor.send(id="odd", body=body).status_code == 200

    process_all()

    from integrations.runtime.inbound import incoming_of

    assert incoming_of(Delivery.objects.get()).body == body
    assert Delivery.objects.get().state != "received" or Delivery.objects.get().attempts == 1


def test_neither_proof_nor_grant_is_kept(vendor):
    content = b'{"type": "ping"}'
    vendor.post(
        content,
        {
            "X-Ping-Signature": vendor.sign(content), "X-Ping-Id": "p1", "Authorization": "Bearer of-somebody",
            "Cookie": "session=1", "X-Api-Token": "t", "X-Ping-Number": "4",
        },
    )  # fmt: skip

    headers = Delivery.objects.get().body.reveal()["headers"]
    assert headers["x-ping-id"] == "p1"
    assert not {"x-ping-signature", "authorization", "cookie", "x-api-token"} & set(headers)


def test_a_plugin_that_fails_is_tried_five_times_and_then_left_to_people(vendor, endpoint):
    vendor.send(id="p1", type="broken")
    delivery = Delivery.objects.get()

    for _ in range(5):
        hearing.process(str(delivery.pk))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("dead", 5)
    assert delivery.last_error == "The plugin Pinger has a fault (KeyError)."
    assert AuditEvent.objects.get(event="delivery.failed").detail["reason"] == delivery.last_error


def test_each_try_waits_longer(vendor):
    vendor.send(id="p1", type="broken")
    delivery = Delivery.objects.get()
    before = timezone.now()
    Job.objects.all().delete()  # a worker has it

    hearing.process(str(delivery.pk))

    delivery.refresh_from_db()
    assert delivery.state == "received"
    assert delivery.due_at > before + timedelta(seconds=10)
    assert Job.objects.filter(kind="delivery", due_at=delivery.due_at).exists()


def test_a_replay_writes_over_and_doubles_nothing(vendor, process_all, alice, acme):
    from navi.projects.rights import actor_for

    vendor.send(id="p1", text="hello")
    process_all()
    delivery = Delivery.objects.get()

    hearing.replay(delivery, actor_for(alice, acme))
    process_all()

    assert Record.objects.filter(plugin="pinger").count() == 1
    delivery.refresh_from_db()
    assert (delivery.state, delivery.replays) == ("processed", 1)
    assert AuditEvent.objects.get(event="delivery.replayed").actor_label == "Alice"


def test_what_is_not_yet_processed_is_not_replayed(vendor):
    vendor.send(id="p1")

    with pytest.raises(Problem, match="being processed"):
        hearing.replay(Delivery.objects.get(), SYSTEM)


def test_a_revoked_grant_marks_the_connection(vendor, process_all, acmes_pinger):
    vendor.send(id="p1", type="revoked")
    process_all()

    acmes_pinger.refresh_from_db()
    assert acmes_pinger.state == "reauth_required"


# --- the sweeper


def test_what_lost_its_job_gets_another(vendor):
    vendor.send(id="p1")
    Job.objects.all().delete()
    Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=61))

    hearing.take_up_left_over()

    assert Job.objects.filter(kind="delivery", state="queued").count() == 1
    assert Delivery.objects.get().attempts == 1


def test_what_only_waits_in_the_queue_is_left_alone(vendor):
    vendor.send(id="p1")
    Delivery.objects.update(due_at=timezone.now() - timedelta(hours=5))

    hearing.take_up_left_over()

    assert Delivery.objects.get().attempts == 0


def test_what_kills_its_worker_ends_as_a_dead_letter(vendor):
    vendor.send(id="p1")
    for _ in range(6):
        Job.objects.all().delete()
        Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=61))
        hearing.take_up_left_over()

    assert Delivery.objects.get().state == "dead"


def test_content_goes_after_thirty_days_and_the_row_after_ninety(vendor, process_all):
    vendor.send(id="old")
    vendor.send(id="older")
    vendor.send(id="new")
    process_all()
    for name, days in (("old", 31), ("older", 91)):
        Delivery.objects.filter(vendor_id=name).update(received_at=timezone.now() - timedelta(days=days))

    hearing.forget_old()

    left = {one.vendor_id: bool(one.body) for one in Delivery.objects.all()}
    assert left == {"old": False, "new": True}


# --- gaps


def sync_of(acmes_pinger, acme):
    """Its one sync, which is not due."""
    state, _ = SyncState.objects.get_or_create(
        project=acme, connection=acmes_pinger, plugin="pinger", kind="counters"
    )
    SyncState.objects.update(next_run_at=timezone.now() + timedelta(hours=1))
    return state


def numbered(vendor, number):
    content = f'{{"type": "nothing", "n": {number}}}'.encode()
    vendor.post(content, {"X-Ping-Signature": vendor.sign(content), "X-Ping-Number": str(number)})


def test_a_jump_in_the_vendors_counting_asks_for_all_syncs(vendor, process_all, acmes_pinger, acme, endpoint):
    state = sync_of(acmes_pinger, acme)
    for number in (1, 2):
        numbered(vendor, number)
        process_all()
    state.refresh_from_db()
    was_quiet = state.next_run_at > timezone.now()

    numbered(vendor, 5)
    process_all()

    state.refresh_from_db()
    endpoint.refresh_from_db()
    assert was_quiet
    assert state.next_run_at <= timezone.now()
    assert endpoint.last_number == 5
    assert endpoint.caught_up_at


def test_a_pause_is_caught_up_with(endpoint, acmes_pinger, acme):
    state = sync_of(acmes_pinger, acme)

    endpoints.pause(endpoint, SYSTEM)
    endpoints.resume(endpoint, SYSTEM)

    state.refresh_from_db()
    assert state.next_run_at <= timezone.now()
    assert WebhookEndpoint.objects.get().caught_up_at


def test_after_a_silence_of_navi_everything_is_read(endpoint, acmes_pinger, acme):
    from navi.jobs.models import Heartbeat

    state = sync_of(acmes_pinger, acme)
    WebhookEndpoint.objects.update(state="active")
    hearing.catch_up_after_silence()
    state.refresh_from_db()
    was_quiet = state.next_run_at > timezone.now()
    Heartbeat.objects.filter(name=hearing.ALIVE).update(at=timezone.now() - timedelta(minutes=11))

    hearing.catch_up_after_silence()

    state.refresh_from_db()
    assert was_quiet
    assert state.next_run_at <= timezone.now()


def test_a_delivery_that_another_worker_did_meanwhile_is_undone_here(vendor, acme):
    vendor.send(id="p1", text="hello")
    delivery = Delivery.objects.select_related("endpoint__project", "endpoint__connection").get()
    line, incoming, heard = hearing.heard_of(delivery)
    Delivery.objects.update(state="processed")

    with pytest.raises(hearing.AlreadyDone), transaction.atomic():
        hearing.settle(line, delivery, incoming, heard, {})

    assert not Record.objects.exists()
