"""Dead grants and outages, that look alike (R21)."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from credentials import asker
from credentials.models import Breaker, Connection, Health, State
from integrations.runtime import grants, health
from integrations.sdk import VendorError
from navi.audit.problems import Problem
from navi.jobs.models import Job
from tests.grants.house import again, granted, like, served
from tests.grants.vendor import TOKEN, fields_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(asker, "CONFIRM_AFTER", 0)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def many(acme, vendor):
    """So many connections, each with a grant of its own."""

    def make(slug, number, **facts):
        like(vendor, slug)
        return [granted(acme, slug, vendor, label=f"Agent {one}", **facts) for one in range(number)]

    return make


def asked_by_grant(vendor):
    """How often each refresh token was shown."""
    return Counter((fields_of(one) or {})["refresh_token"] for one in vendor.asked(TOKEN))


def tick(clock, *, checks=False, **span):
    """Let the time pass, and do what the worker does each minute."""
    clock.shift(timedelta(**span))
    grants.enqueue_due()
    if checks:
        health.enqueue_due()
    for queued in list(Job.objects.filter(kind__in=["refresh", "health"])):
        handler = {"refresh": grants.run_job, "health": health.run_job}[queued.kind]
        handler(queued.object_id)
        queued.delete()


def read(connection):
    """As an agent does; whatever it is told."""
    row = again(connection)
    if row.is_usable:
        try:
            served(row)
        except (VendorError, Problem) as error:
            return error
    return None


def test_a_dead_grant_is_asked_for_twice_and_never_again_for_days(acmes, vendor, clock):
    connection = acmes("strict", left=60)
    vendor.kill()
    Connection.objects.update(refresh_at=timezone.now())

    for _ in range(48):
        tick(clock, hours=1, checks=True)
        read(connection)

    row = again(connection)
    assert vendor.refreshes == 2
    assert (row.state, row.health) == (State.REAUTH_REQUIRED, Health.FAILED)


def test_a_dead_grant_whose_token_still_works_serves_until_its_end(acmes, vendor, clock):
    connection = acmes("strict", left=600)
    vendor.turn_on("refuses_all")
    Connection.objects.update(refresh_at=timezone.now())

    tick(clock, seconds=1)
    early = again(connection)
    assert (early.state, early.refusals) == (State.DEGRADED, 2)
    assert read(connection) is None
    tick(clock, minutes=11)
    read(connection)

    assert again(connection).state == State.REAUTH_REQUIRED
    assert vendor.refreshes == 2


@pytest.mark.slow
def test_twenty_five_dead_grants_all_end_after_two_calls_each(many, vendor, clock):
    rows = many("strict", 25)
    vendor.kill()

    for _ in range(90):
        for row in random.sample(rows, 3):
            read(row)
        tick(clock, seconds=30)

    assert set(Connection.objects.values_list("state", flat=True)) == {State.REAUTH_REQUIRED}
    assert max(asked_by_grant(vendor).values()) == 2


@pytest.mark.slow
def test_five_hundred_dead_grants_at_once_are_doubted_before_they_are_believed(many, vendor, clock):
    rows = many("strict", 500)
    vendor.kill()

    for row in rows:
        read(row)
    for _ in range(19):
        tick(clock, seconds=30)
        for row in random.sample(rows, 100):
            read(row)
    in_ten_minutes = vendor.refreshes
    ended_early = Connection.objects.filter(state=State.REAUTH_REQUIRED).count()
    for _ in range(10):
        tick(clock, minutes=6)
        for row in random.sample(rows, 100):
            read(row)

    assert in_ten_minutes <= 600
    assert ended_early <= 50
    assert max(asked_by_grant(vendor).values()) == 2


def test_while_the_breaker_is_open_nobody_is_marked_dead(many, vendor, clock):
    rows = many("strict", 8)
    Breaker.objects.create(pk="strict", window_at=NOON, opened_at=NOON, probed_at=NOON)
    # Some had asked before, and never learned what came of it.
    Connection.objects.filter(pk__in=[row.pk for row in rows[:4]]).update(
        asked_at=NOON - timedelta(minutes=1)
    )
    vendor.turn_on("refuses_all")

    for _ in range(18):
        tick(clock, seconds=30)
        for row in rows:
            read(row)

    assert vendor.refreshes <= 18
    assert not Connection.objects.filter(state=State.REAUTH_REQUIRED).exists()
    vendor.turn_on("refuses_all", False)
    for _ in range(15):
        tick(clock, minutes=1)
        for row in rows:
            read(row)
    assert set(Connection.objects.values_list("state", flat=True)) == {State.ACTIVE}


@pytest.mark.slow
@pytest.mark.parametrize("number", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_an_outage_heals_by_itself_and_nobody_is_marked_dead(many, vendor, clock, number):
    rows = many("brief", number)
    vendor.break_next(TOKEN, 500, times=100_000)

    for _ in range(12):
        for row in rows:
            read(row)
        tick(clock, seconds=60)
    during = vendor.refreshes
    assert not Connection.objects.exclude(state__in=[State.ACTIVE, State.DEGRADED]).exists()
    vendor._weather.broken.clear()
    for _ in range(15):
        tick(clock, seconds=60)
        for row in rows:
            read(row)

    assert during <= 20 + 2 * 12 + 5  # until it opened, then two probes a minute
    assert set(Connection.objects.values_list("state", flat=True)) == {State.ACTIVE}
    assert Connection.objects.filter(refusals__gt=0).count() == 0
    assert Connection.objects.filter(expires_at__lte=timezone.now()).count() == 0


def test_one_good_grant_among_dead_ones_ends_the_doubt(many, vendor, clock):
    rows = many("strict", 30)
    for pair in vendor.pairs[:-1]:
        pair.is_ended = True
    Breaker.objects.create(pk="strict", window_at=NOON, opened_at=NOON)

    served(rows[-1])

    assert Breaker.objects.get().opened_at is None


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client"])
def test_a_wrong_app_is_not_the_grants_fault(acmes, vendor, clock, error):
    connection = acmes("strict")
    for _ in range(10):
        vendor.break_next(TOKEN, 401, {"error": error})
        read(connection)
        clock.shift(timedelta(minutes=6))
    vendor._weather.broken.clear()

    assert read(connection) is None
    assert again(connection).state == State.ACTIVE
