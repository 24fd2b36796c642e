"""What there is to choose from is kept for ten minutes, and longer while its vendor is out of order."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from credentials import waiting
from credentials.models import Connection
from integrations import registry
from integrations.models import Discovered, IntegrationDefault
from integrations.runtime import connect
from integrations.runtime.discover import discover
from integrations.sdk import Call, Choice
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.net.errors import Reconnect, TryLater
from navi.projects.rights import actor_for
from tests.standins.todoist import KEY

LATER_KEY = "f" * 40


@pytest.fixture
def call(alice, acme, acmes_todoist):
    return Call(actor_for(alice, acme), acme, "todoist")


@pytest.fixture
def says(monkeypatch):
    """Todoist's projects are these from now on."""

    def say(function):
        monkeypatch.setitem(registry.installed().plugins["todoist"].discoveries, "projects", function)

    return say


def grown_old(minutes: int = 11) -> None:
    Discovered.objects.update(fetched_at=timezone.now() - timedelta(minutes=minutes))


# --- kept


def test_within_ten_minutes_the_vendor_is_asked_once(call, todoist):
    first, second = discover(call, "projects"), discover(call, "projects")

    assert len(todoist.requests) == 1
    assert first.choices == second.choices != []
    assert (second.is_stale, second.error) == (False, "")
    assert AuditEvent.objects.filter(event="discovery.run").count() == 1


def test_a_refresh_asks_at_once_and_old_choices_are_asked_for_anew(call, todoist):
    discover(call, "projects")
    discover(call, "projects", refresh=True)
    grown_old()
    discover(call, "projects")

    assert len(todoist.requests) == 3


def test_what_is_kept_is_still_a_matter_of_policy(call, acme):
    discover(call, "projects")
    IntegrationDefault.objects.create(provider="todoist", project=acme, enabled=False)

    with pytest.raises(Problem) as refusal:
        discover(call, "projects")
    assert refusal.value.code == "disabled"
    assert AuditEvent.objects.filter(event="discovery.run", outcome="refused", code="disabled").exists()


# --- out of order


def test_a_vendor_that_is_down_leaves_the_choices_of_before(call, todoist):
    before = discover(call, "projects")
    grown_old()
    todoist.fail_next(503, times=20)

    found = discover(call, "projects")

    assert (found.choices, found.is_stale) == (before.choices, True)
    assert found.error
    assert AuditEvent.objects.filter(event="discovery.run", outcome="failed").count() == 1


def test_a_vendor_that_is_down_is_left_in_peace_for_a_minute(call, todoist):
    discover(call, "projects")
    grown_old()
    todoist.fail_next(503, times=20)
    discover(call, "projects")
    asked = len(todoist.requests)

    assert discover(call, "projects").is_stale
    assert len(todoist.requests) == asked


def test_a_vendor_that_is_back_is_believed_again(call, todoist):
    discover(call, "projects")
    todoist.fail_next(503, times=20)
    assert discover(call, "projects", refresh=True).is_stale
    todoist.reset()
    Discovered.objects.update(failed_at=timezone.now() - timedelta(minutes=2))

    found = discover(call, "projects")

    assert (found.is_stale, found.error) == (False, "")


def test_without_anything_kept_an_outage_is_an_error(call, todoist):
    todoist.fail_next(503, times=20)

    with pytest.raises(TryLater):
        discover(call, "projects")
    assert not Discovered.objects.exists()


def test_an_account_that_is_no_longer_accepted_is_said_so(call, todoist):
    discover(call, "projects")
    todoist.accept_keys([LATER_KEY])

    with pytest.raises(Reconnect):
        discover(call, "projects", refresh=True)


# --- whose


def test_disconnecting_forgets_the_choices(call, acme, acmes_todoist):
    discover(call, "projects")

    connect.disconnect(acmes_todoist, call.actor, project=acme)

    assert not Discovered.objects.exists()


def test_other_credentials_do_not_see_the_choices_of_the_former(call, acme, acmes_todoist, todoist):
    discover(call, "projects")
    offer = connect.Offer(
        entry=registry.entry("todoist", acme.pk),
        project=acme,
        fields={"apiKey": KEY},
        reconnects=acmes_todoist,
    )

    connect.connect(offer, call.actor)

    assert not Discovered.objects.exists()


def test_an_answer_for_credentials_that_were_replaced_meanwhile_is_not_kept(call, says):
    def slowly(client):
        Connection.objects.update(generation=99)
        return [Choice("1", "Of the former account")]

    says(slowly)

    assert [one.label for one in discover(call, "projects").choices] == ["Of the former account"]
    assert not Discovered.objects.exists()


def test_each_account_has_choices_of_its_own(call, acme, connected, todoist):
    todoist.accept_keys([KEY, LATER_KEY])
    connected("todoist", acme, apiKey=LATER_KEY, label="second")
    discover(call, "projects")

    discover(Call(call.actor, acme, "todoist", connection="second"), "projects")

    assert len(todoist.requests) == 2
    assert Discovered.objects.count() == 2


# --- what vendors say


def test_strange_choices_become_storable_ones(call, says):
    says(lambda client: [
        Choice("1", "a\x00b\ud800"), Choice("2\x00", "no such id"), Choice("3", "x" * 5000), Choice("", "empty"),
        Choice("4", f"my key is {KEY}"), Choice("5", ""), Choice("6" * 400, "long"), Choice("1", "again"),
    ])  # fmt: skip

    found = discover(call, "projects")

    assert [one.id for one in found.choices] == ["1", "3", "4", "5"]
    assert found.choices[0].label == "again"
    assert len(found.choices[1].label) == 200
    assert KEY not in str(found.choices)
    assert discover(call, "projects").choices == found.choices


def test_a_list_without_end_ends_at_five_thousand(call, says):
    from itertools import count

    says(lambda client: (Choice(str(number), f"Project {number}") for number in count(1)))

    assert len(discover(call, "projects").choices) == 5000


def test_an_answer_of_an_odd_shape_is_the_vendors_failure(call, says):
    says(lambda client: [Choice("1", None)])  # type: ignore[arg-type]

    with pytest.raises(TryLater):
        discover(call, "projects")


# --- at once


@pytest.mark.django_db(transaction=True)
def test_of_ten_who_ask_at_once_one_asks_the_vendor(call, says):
    asked, may_answer = [], threading.Event()

    def once(client):
        asked.append(1)
        may_answer.wait(30)
        return [Choice("1", "Home")]

    says(once)
    found, everybody = [], threading.Barrier(10)

    def ask():
        everybody.wait(30)
        try:
            found.append(discover(call, "projects", refresh=True))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    waiting_for(lambda: asked and waiting.places._value == waiting.PLACES - 9)
    may_answer.set()
    for thread in threads:
        thread.join(30)

    assert len(found) == 10
    assert len(asked) == 1


def waiting_for(happened) -> None:
    pause = threading.Event()
    while not happened():
        pause.wait(0.01)
