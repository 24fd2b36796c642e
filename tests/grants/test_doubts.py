"""What happens between two lines of the protocol: others act, processes stall, vendors answer late."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db import connection as database
from django.db.models import QuerySet
from django.utils import timezone

from credentials import asker, refresh
from credentials.models import Connection, Secret, State
from integrations.runtime import grants
from integrations.sdk import Reconnect, TryLater, VendorError
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.net.errors import Blocked
from tests.grants.house import (
    access_of,
    again,
    answer_saved,
    answers_of,
    entry_of,
    fields_of,
    held_no_more,
    reconnected,
    served,
)
from tests.grants.vendor import TOKEN

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(asker, "CONFIRM_AFTER", 0.01)


def asker_of(connection, lease):
    return asker.Asker(connection, entry_of(connection).remote(auth_kind="oauth"), lease)


# --- the lease


def test_alice_reconnects_after_the_lease_was_taken_and_nobody_asks(acmes, vendor):
    seen = again(acmes("strict"))
    lease = asker.take_lease(seen)
    pair = reconnected(seen, vendor)

    found = asker_of(seen, lease).ask()

    assert vendor.refreshes == 0
    assert access_of(found.connection) == pair.access


def test_who_lost_the_lease_while_stalled_does_not_ask(acmes, vendor):
    seen = again(acmes("strict"))
    lease = asker.take_lease(seen)
    Connection.objects.update(lease_owner=uuid.uuid4())

    with pytest.raises(TryLater):
        asker_of(seen, lease).ask()

    assert vendor.refreshes == 0


def test_who_stalls_right_before_the_question_does_not_ask(acmes, vendor, monkeypatch):
    seen = again(acmes("strict"))
    steal = lambda *_, **__: Connection.objects.update(lease_owner=uuid.uuid4()) and None
    monkeypatch.setattr("credentials.breaker.closed_or_probe", steal)

    with pytest.raises(TryLater):
        refresh.refreshed(seen, entry_of(seen).remote(auth_kind="oauth"), was_refused=False)

    assert vendor.refreshes == 0


def test_a_refresh_that_worked_counts_although_the_lease_cannot_be_given_back(acmes, vendor, monkeypatch):
    connection = acmes("strict")
    update = QuerySet.update

    def locked(rows, **changes):
        if changes == {"lease_owner": None, "lease_until": None}:
            raise OperationalError("database is locked")
        return update(rows, **changes)

    monkeypatch.setattr(QuerySet, "update", locked)

    assert access_of(served(connection)) == vendor.living[-1].access


# --- a refusal, and others meanwhile


def test_alice_reconnects_while_a_refusal_is_confirmed_and_her_grant_stays(acmes, vendor):
    connection = acmes("strict")
    vendor.kill()
    new = []
    vendor.meanwhile(lambda: new.append(reconnected(connection, vendor)))

    found = served(connection)

    row = again(connection)
    assert access_of(found) == access_of(row) == new[0].access
    assert (vendor.refreshes, row.state, row.refusals) == (1, State.ACTIVE, 0)


def test_the_late_winners_token_is_not_disabled_by_the_losers_refusal(acmes, vendor):
    connection = acmes("strict", left=-10)
    Connection.objects.update(asked_at=timezone.now())
    vendor.kill()
    new = []
    vendor.meanwhile(lambda: new.append(reconnected(connection, vendor)))

    found = served(connection)

    row = again(connection)
    assert access_of(found) == new[0].access
    assert (row.state, row.refusals, row.health) == (State.ACTIVE, 0, "unknown")


def test_a_refused_process_takes_up_what_a_slower_one_has_saved_meanwhile(acmes, vendor):
    connection = acmes("strict")
    Connection.objects.update(asked_at=timezone.now())
    late = vendor.grant("read")
    vendor.turn_on("refuses_all")
    vendor.meanwhile(lambda: answer_saved(connection, json.dumps(vendor.told(late))))

    found = served(connection)

    assert access_of(found) == late.access
    assert again(connection).state == State.ACTIVE


def test_alice_reconnects_while_the_vendor_is_out_of_order_and_hers_is_not_held_back(acmes, vendor):
    connection = acmes("strict")
    vendor.break_next(TOKEN, 503)
    new = []
    vendor.meanwhile(lambda: new.append(reconnected(connection, vendor)))

    assert access_of(served(connection)) == new[0].access
    assert again(connection).hold_until is None


# --- saved answers


@pytest.mark.parametrize(("status", "body"), [(500, b""), (200, b"<p>Hello"), (200, b'{"access_token": ""}')])
def test_trouble_of_one_does_not_throw_away_what_another_has_saved(acmes, vendor, status, body):
    connection = acmes("strict")
    late = vendor.grant("read")
    vendor.break_next(TOKEN, status, body)
    vendor.meanwhile(lambda: answer_saved(connection, json.dumps(vendor.told(late))))
    with pytest.raises(TryLater):
        served(connection)
    held_no_more(connection)

    assert access_of(served(connection)) == late.access
    assert vendor.refreshes == 1


@pytest.mark.parametrize("garbage", ["<p>Sorry", '{"ok": false, "error": "internal_error"}'])
def test_of_two_saved_answers_the_one_that_holds_a_grant_is_taken_up(acmes, vendor, garbage):
    connection = acmes("strict")
    late = vendor.grant("read")
    answer_saved(connection, json.dumps(vendor.told(late)))
    answer_saved(connection, garbage)

    assert access_of(served(connection)) == late.access
    assert vendor.refreshes == 0


def test_a_saved_answer_that_cannot_be_opened_now_is_kept(acmes, vendor):
    connection = acmes("steady")
    answer_saved(connection, "{}")
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE credentials_secret SET fields = %s WHERE answers_generation = 1", [b"k0|damaged"]
        )

    vendor.break_next(TOKEN, 500)

    with pytest.raises(TryLater):
        served(connection)

    assert answers_of(connection).exists()


def test_a_saved_answer_is_taken_up_although_somebody_gave_the_grant_up(acmes, vendor):
    connection = acmes("strict")
    late = vendor.grant("read")
    Connection.objects.update(refusals=2, state=State.REAUTH_REQUIRED, refresh_at=None)
    saved = answer_saved(connection, json.dumps(vendor.told(late)))
    Secret.objects.filter(pk=saved.pk).update(created_at=timezone.now() - timedelta(minutes=2))

    assert [pk for pk, _ in grants.due_now(timezone.now())] == [connection.pk]
    grants.run_job(str(connection.pk))

    row = again(connection)
    assert (access_of(row), row.state, row.refusals) == (late.access, State.ACTIVE, 0)
    assert vendor.refreshes == 0


def test_an_answer_that_comes_too_late_leaves_nothing_behind(acmes, vendor):
    connection = acmes("strict")
    vendor.meanwhile(lambda: reconnected(connection, vendor))

    served(connection)

    assert not answers_of(connection).exists()
    assert connection.secrets.count() == 1


def test_an_old_generations_answer_makes_no_work(acmes, vendor):
    connection = acmes("strict", left=3000)
    saved = answer_saved(connection, "{}")
    long_ago = timezone.now() - timedelta(minutes=2)
    Secret.objects.filter(pk=saved.pk).update(answers_generation=0, created_at=long_ago)
    Connection.objects.update(refresh_at=timezone.now() + timedelta(minutes=5))

    assert grants.due_now(timezone.now()) == []


def test_a_refresh_leaves_alone_what_alice_is_just_connecting(acmes, vendor):
    connection = acmes("strict")
    row, pair = again(connection), vendor.grant("read")
    hers = Secret.keep(row, {"access_token": pair.access, "refresh_token": pair.refresh}, bound_to="")
    served(connection)

    assert row.flip_to(hers, seen=row.consent)

    assert access_of(connection) == pair.access


# --- a question whose outcome nobody knows


@pytest.mark.parametrize("status", [429, 503])
def test_a_later_error_does_not_make_forget_that_a_question_was_lost(acmes, vendor, status):
    connection = acmes("brief", left=-10)
    lost_at = timezone.now() - timedelta(seconds=50)
    Connection.objects.update(asked_at=lost_at)
    vendor.break_next(TOKEN, status)
    with pytest.raises(TryLater):
        served(connection)

    assert again(connection).asked_at == lost_at


def test_todoists_minute_counts_from_the_first_lost_question(acmes, vendor, monkeypatch):
    monkeypatch.setattr("credentials.social.DEADLINE", 0.2)
    connection = acmes("brief", left=-10)
    Connection.objects.update(asked_at=timezone.now() - timedelta(seconds=50))
    vendor.hold(TOKEN, 60)
    with pytest.raises(TryLater):
        served(connection)
    Connection.objects.update(hold_until=None)
    row = again(connection)

    assert timezone.now() - row.asked_at > timedelta(seconds=49)


def test_what_the_guard_refused_was_never_asked(acmes, vendor):
    connection = acmes("harsh", left=-10)
    entry = entry_of(connection)
    remote = entry.remote(auth_kind="oauth")
    inside = replace(
        remote, upstream=None, oauth=replace(remote.oauth, token_url="https://127.0.0.1:1/token")
    )

    with pytest.raises(Blocked):
        refresh.fresh(again(connection), inside)

    assert again(connection).asked_at is None


# --- a connection that goes


def test_bob_disconnects_while_the_vendor_thinks(acmes, vendor):
    connection = acmes("strict")
    vendor.meanwhile(lambda: Connection.objects.all().delete())

    with pytest.raises(Problem) as refusal:
        served(connection)

    assert refusal.value.code == "not_connected"
    assert not Secret.objects.exists()


def test_bob_disconnects_while_others_wait(acmes, vendor):
    connection = acmes("strict")
    asker.take_lease(again(connection))
    waiter = again(connection)
    threading.Timer(0.3, lambda: gone(connection)).start()

    with pytest.raises(Problem) as refusal:
        refresh.fresh(waiter, entry_of(waiter).remote(auth_kind="oauth"))

    assert refusal.value.code == "not_connected"


def gone(connection):
    try:
        Connection.objects.filter(pk=connection.pk).delete()
    finally:
        database.close()


# --- the worker


def test_a_job_that_comes_after_a_reader_renewed_it_asks_nobody(acmes, vendor):
    connection = acmes("strict")
    served(connection)

    grants.run_job(str(connection.pk))

    assert vendor.refreshes == 1


def test_two_workers_with_the_same_job_ask_once(acmes, vendor, crew, job):
    acmes("strict")
    vendor.hold(TOKEN, 0.3)

    ends = crew.run(job("renew", "strict"), job("renew", "strict"))

    assert [one for end in ends for one in end["said"] if "error" in one] == []
    assert vendor.refreshes == 1


# --- a token that works


def test_a_token_that_works_is_served_although_the_apps_secret_is_damaged(acmes, vendor):
    connection = acmes("strict", left=600)
    with database.cursor() as cursor:
        cursor.execute("UPDATE credentials_oauthapp SET secret = %s", [b"k0|damaged"])

    assert access_of(served(connection, min_ttl=700)) == vendor.pairs[0].access


def test_the_clock_goes_back_a_day_and_nobody_waits_a_day(acmes, vendor):
    connection = acmes("strict")
    Connection.objects.update(hold_until=timezone.now() + timedelta(hours=26))

    assert access_of(served(connection)) == vendor.living[-1].access


def test_waiting_for_what_is_known_is_told_once(acmes, vendor, long_holds):
    connection = acmes("strict")
    vendor.break_next(TOKEN, 503)

    for _ in range(5):
        with pytest.raises(VendorError):
            served(connection)

    assert AuditEvent.objects.filter(event="connection.refresh_failed").count() == 1


def test_what_no_longer_can_be_renewed_is_told_once(acmes, vendor):
    connection = acmes("strict")
    vendor.kill()

    for _ in range(5):
        with pytest.raises(Reconnect):
            served(connection)

    assert AuditEvent.objects.filter(event="connection.refresh_failed").count() == 1
    assert again(connection).state == State.REAUTH_REQUIRED


# --- the database goes away


@pytest.mark.only_on("postgresql")
def test_the_database_drops_the_connection_while_the_vendor_thinks(acmes, vendor):
    connection = acmes("strict")
    vendor.meanwhile(drop_all_others)

    served(connection)

    pair = vendor.living[-1]
    assert fields_of(connection) == {"access_token": pair.access, "refresh_token": pair.refresh}


def drop_all_others():
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
