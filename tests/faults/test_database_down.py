"""PostgreSQL goes away under load: agents are told to wait, and what was answered is kept."""

import pytest

from tests.faults import database_down
from tests.faults.postgres import programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.only_on("sqlite"),  # it brings a PostgreSQL of its own: once is enough
    pytest.mark.skipif(programs() is None, reason="PostgreSQL's programs are not installed."),
]


@pytest.fixture(scope="module")
def seen() -> database_down.Seen:
    return database_down.watch(seconds=4)


def test_every_call_is_answered_with_its_result_or_told_when_to_come_back(seen):
    assert {answer.status for answer in seen.answers} <= {200, 503}
    refused = [answer for answer in seen.answers if answer.status == 503]
    assert refused
    assert all(answer.retry_after.isdigit() and answer.code for answer in refused)


def test_it_comes_back_without_a_restart(seen):
    reads = [answer for answer in seen.answers if answer.kind == "read"]

    assert [answer.status for answer in reads[-5:]] == [200] * 5


def test_nothing_that_was_answered_is_lost_and_nothing_happens_twice(seen):
    done = {answer.key for answer in seen.answers if answer.kind == "write" and answer.status == 200}

    assert done
    assert done <= set(seen.tasks)
    assert max(seen.tasks.values()) == 1
