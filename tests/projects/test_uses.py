import threading
from datetime import UTC, datetime

import pytest
from django.core.signals import request_finished
from django.db import OperationalError, close_old_connections, connection
from django.test.utils import CaptureQueriesContext

from navi.projects import tokens, uses
from navi.projects.models import AgentToken

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(uses, "USES", uses.Uses(clock))
    return clock


def test_ten_thousand_uses_in_a_minute_are_one_write(ada, clock):
    token, _ = ada

    with CaptureQueriesContext(connection) as queries:
        for _ in range(10_000):
            uses.note_use(token.public_id, "192.0.2.7")
            uses.after_response()
            clock.now += 0.006
        clock.now += 0.001
        uses.after_response()

    assert len(queries) == 1
    token.refresh_from_db()
    assert token.last_used_from == "192.0.2.7"


def test_a_second_minute_is_a_second_write(ada, clock):
    for _ in range(2):
        uses.note_use(ada[0].public_id, "192.0.2.7")
        clock.now += 60
        with CaptureQueriesContext(connection) as queries:
            uses.after_response()
        assert len(queries) == 1


def test_the_end_of_a_request_is_when_uses_are_written(ada, clock):
    uses.note_use(ada[0].public_id, "192.0.2.7", at=NOON)
    clock.now += 60

    request_finished.disconnect(close_old_connections)
    try:
        request_finished.send(None)
    finally:
        request_finished.connect(close_old_connections)

    ada[0].refresh_from_db()
    assert ada[0].last_used_at == NOON


def test_nothing_used_is_nothing_written(db, clock, django_assert_num_queries):
    clock.now += 600

    with django_assert_num_queries(0):
        uses.after_response()
        assert uses.flush() == 0


def test_recognising_ada_notes_when_and_from_where(ada, clock):
    tokens.authenticate(ada[1], "2001:db8::7", at=NOON)

    uses.flush()

    ada[0].refresh_from_db()
    assert (ada[0].last_used_at, ada[0].last_used_from) == (NOON, "2001:db8::7")


def test_two_processes_write_the_same_minute_once(ada):
    here, there = uses.Uses(), uses.Uses()
    here.note(ada[0].public_id, "192.0.2.1", NOON)
    there.note(ada[0].public_id, "192.0.2.2", NOON)

    here.flush()
    there.flush()

    ada[0].refresh_from_db()
    assert ada[0].last_used_from == "192.0.2.1"


def test_an_odd_address_is_left_out(ada, clock):
    uses.note_use(ada[0].public_id, "a socket", at=NOON)

    uses.flush()

    ada[0].refresh_from_db()
    assert (ada[0].last_used_at, ada[0].last_used_from) == (NOON, None)


def test_a_database_that_is_away_disturbs_no_answer(ada, clock, monkeypatch, caplog):
    def away(*_, **__):
        raise OperationalError("away")

    monkeypatch.setattr(AgentToken.objects, "saw", away, raising=False)
    uses.note_use(ada[0].public_id, "192.0.2.7")
    clock.now += 60

    uses.after_response()

    assert "could not be noted" in caplog.text


def test_threads_lose_no_token():
    many = uses.Uses()

    def note_many(number):
        for i in range(500):
            many.note(f"{number}-{i}", "", NOON)

    together = [threading.Thread(target=note_many, args=[number]) for number in range(4)]

    for thread in together:
        thread.start()
    for thread in together:
        thread.join()

    assert len(many.take()) == 2000
