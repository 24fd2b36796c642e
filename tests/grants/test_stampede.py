"""A hundred agents at one expired grant: one of them asks, all of them are served (R1, R2)."""

import pytest
from django.db import connection as database

from tests.grants.house import answers_of, fields_of
from tests.grants.vendor import TOKEN

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agents():
    """In each of four processes. A PostgreSQL takes 100 connections as it comes, and other tests need some."""
    return 25 if database.vendor == "sqlite" else 10


def served_by_one_refresh(vendor, connection, ends):
    """What must be so after every stampede; how long each reader took."""
    said = [one for end in ends for one in end["said"]]
    pair = vendor.living[-1]
    assert [one for one in said if "error" in one] == []
    assert {one["token"] for one in said} == {pair.access}
    assert (vendor.refreshes, vendor.reuses) == (1, 0)
    assert fields_of(connection) == {"access_token": pair.access, "refresh_token": pair.refresh}
    assert not answers_of(connection).exists()
    return sorted(one["seconds"] for one in said)


def test_a_hundred_agents_in_four_processes_share_one_refresh(acmes, vendor, crew, job, agents):
    connection = acmes("strict")
    vendor.hold(TOKEN, 0.4)

    ends = crew.run(*[job("read", "strict", threads=agents, patience=120)] * 4)

    seconds = served_by_one_refresh(vendor, connection, ends)
    assert len(seconds) == 4 * agents  # how long it takes is measured by tests.grants.soak


@pytest.mark.slow
def test_a_vendor_that_takes_twelve_seconds_is_asked_once(acmes, vendor, crew, job, agents):
    connection = acmes("strict")
    vendor.hold(TOKEN, 12)

    ends = crew.run(*[job("read", "strict", threads=agents, patience=120)] * 4)

    assert len(served_by_one_refresh(vendor, connection, ends)) == 4 * agents


@pytest.mark.slow
def test_an_answer_that_is_saved_just_before_the_lease_ends_serves_all(acmes, vendor, crew, job, agents):
    connection = acmes("strict")
    # 33 seconds: long after the first who wait are told to come back (25), and before the lease ends (40).
    vendor.hold(TOKEN, 17)
    late = {"refresh.after_response": "sleep:16"}

    ends = crew.run(*[job("read", "strict", threads=agents, patience=120, failpoints=late)] * 4)

    assert len(served_by_one_refresh(vendor, connection, ends)) == 4 * agents
    assert any(one["waits"] for end in ends for one in end["said"])


def test_agents_whose_valid_token_the_vendor_refuses_cause_one_refresh(acmes, vendor, crew, job, agents):
    connection = acmes("strict", left=1800)
    vendor.expire()

    ends = crew.run(*[job("act", "strict", threads=agents, patience=120)] * 4)

    said = [one for end in ends for one in end["said"]]
    pair = vendor.living[-1]
    assert [one for one in said if "error" in one] == []
    assert {one["token"] for one in said} == {pair.access[-6:]}
    assert (vendor.refreshes, vendor.reuses) == (1, 0)
    assert fields_of(connection)["refresh_token"] == pair.refresh
    assert len(vendor.asked("/me")) <= 200
