"""Budgets of accounts in the database and in Redis: remembered for all processes, changed by one at a time."""

import os
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.db.models import QuerySet

from credentials import budget
from credentials.client import limiter
from credentials.models import Budget
from navi.net.answer import Headers, Response
from navi.net.limits import Limiter, OrMemory, StoreDown
from navi.net.pace import Allowance

REDIS = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
NOW = datetime.now(UTC)
LEARNED = Allowance().limited(NOW, NOW + timedelta(seconds=7), 2.0, 10)


def is_there(url):
    import redis

    try:
        return redis.Redis.from_url(url, socket_connect_timeout=1).ping()
    except redis.RedisError:
        return False


@pytest.fixture(params=["database", "redis"])
def store(request, db):
    if request.param == "database":
        return budget.DatabaseStore()
    if not is_there(REDIS):
        pytest.skip("There is no Redis on this machine.")
    return budget.RedisStore(REDIS)


@pytest.fixture
def team():
    return ("todoist", f"team-{uuid.uuid4()}")


def test_an_account_that_met_no_limit_is_not_known(store, team):
    assert store.read(team) is None


def test_what_a_429_taught_is_read_back(store, team):
    assert store.replace(team, Allowance(), LEARNED)

    kept = store.read(team)

    assert (kept.calls, kept.seconds, kept.episode, kept.version) == (10, 2.0, 1, 1)
    # How far the store's clock is ahead is known no better than its answer is quick.
    assert abs(kept.pause_left(NOW) - 7) < 3
    assert abs(kept.limited_at - NOW) < timedelta(seconds=3)


def test_only_who_saw_the_newest_may_change_it(store, team):
    store.replace(team, Allowance(), LEARNED)
    first = store.replace(team, LEARNED, LEARNED.counted(1))
    second = store.replace(team, LEARNED, LEARNED.counted(2))

    assert (first, second) == (True, False)
    assert store.read(team).calls == 11


def test_of_two_that_are_first_only_one_is(store, team):
    assert [store.replace(team, Allowance(), LEARNED) for _ in range(2)] == [True, False]


def test_accounts_are_kept_apart(store, team):
    store.replace(team, Allowance(), LEARNED)

    assert store.read(("todoist", "bob")) is None
    assert store.read(("github", team[1])) is None


def test_another_clock_of_the_store_moves_nothing(store, team):
    store.clock = budget.Clock(lambda: datetime.now(UTC) + timedelta(hours=1))
    store.replace(team, Allowance(), LEARNED)
    there = type(store)(store.url) if hasattr(store, "url") else type(store)()
    there.clock = budget.Clock(None)

    assert abs(store.read(team).pause_left(NOW) - 7) < 0.05
    assert there.read(team).paused_until - NOW > timedelta(minutes=59)


@pytest.mark.django_db(transaction=True)
def test_of_ten_threads_each_turn_is_taken_by_one(team):
    store = budget.DatabaseStore()
    store.replace(team, Allowance(), LEARNED)
    gate, won = threading.Barrier(10), []

    def take():
        gate.wait()
        try:
            won.append(store.replace(team, LEARNED, LEARNED.turn_taken(NOW)))
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 9 + [True]


def test_a_429_is_known_to_the_next_process(db, team):
    limiter().before(team, 1)
    limiter().after(team, Response(429, Headers({"Retry-After": "60"})))
    another = Limiter(OrMemory(budget.store()))

    assert 30 < another.pause_left(team) <= 60 + 3
    assert Budget.objects.get().account == team[1]


def test_calls_without_a_429_cost_one_read_and_no_write(db, team, django_assert_num_queries):
    limits = limiter()
    limits.now = lambda: NOW
    with django_assert_num_queries(1):
        for _ in range(2):
            limits.before(team, 1)
            limits.after(team, Response(200))
            limits.accounts[team].started_at = NOW - timedelta(seconds=1)


def test_a_database_that_fails_fails_no_call(db, team, monkeypatch):
    def fail(*_):
        raise DatabaseError("disk I/O error")

    monkeypatch.setattr(QuerySet, "first", fail)
    with pytest.raises(StoreDown):
        budget.DatabaseStore().read(team)

    limiter().before(team, 1)
    limiter().after(team, Response(429, Headers({"Retry-After": "60"})))
    assert limiter().pause_left(team) > 59


def test_a_redis_that_is_not_there_fails_no_call(settings, team):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    limiter().before(team, 1)
    limiter().after(team, Response(429, Headers({"Retry-After": "60"})))

    assert isinstance(budget.store(), budget.RedisStore)
    assert limiter().pause_left(team) > 59
