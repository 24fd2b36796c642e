"""All who wait for somebody else share half of the web's threads."""

import threading

import pytest

from credentials import refresh, waiting
from credentials.asker import take_lease
from integrations.runtime import asking
from integrations.sdk import TryLater
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from tests.grants.house import again, entry_of, served

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_place(monkeypatch):
    """Others wait in every place."""
    places = threading.BoundedSemaphore(1)
    places.acquire()
    monkeypatch.setattr(waiting, "places", places)


def test_who_waits_for_anothers_refresh_is_told_to_come_back(acmes, no_place, monkeypatch):
    monkeypatch.setattr(refresh, "moved_on", lambda *_: pytest.fail("It waited."))
    connection = acmes("strict")
    take_lease(connection)

    with pytest.raises(TryLater) as told:
        served(connection)

    assert told.value.code == "busy" and told.value.retry_at


def test_who_waits_for_a_person_is_told_to_come_back(acmes, acme, alice, no_place):
    ada = Actor("agent", "abcdefghijkl", "Ada", user_id=alice.pk)
    asked = asking.ask(entry_of(acmes("strict")), acme, ada, for_user=None)

    with pytest.raises(Problem) as told:
        asking.wait_for(asked.pk, acme, ada, 5)

    assert told.value.code == "busy"


def test_a_place_is_free_again_after_a_wait_that_was_in_vain(acmes, monkeypatch):
    monkeypatch.setattr(waiting, "places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(refresh, "LOSERS_WAIT", 0)
    connection = acmes("strict")
    take_lease(connection)

    with pytest.raises(TryLater):
        served(again(connection))

    assert waiting.places.acquire(blocking=False)
