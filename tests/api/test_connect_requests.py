"""An agent asks, a person connects; the secret never passes through the agent."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from credentials import waiting
from credentials.models import ConnectRequest
from integrations import registry
from integrations.runtime import asking, connect
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects.rights import actor_for
from tests.standins.todoist import KEY

PLACE = "/api/credentials/todoist/connect"


@pytest.fixture
def asked(ada):
    return ada.post(PLACE, {}).json()


def row(asked):
    return ConnectRequest.objects.get(pk=asked["id"])


def state(ada, asked, wait=0):
    return ada.get(f"/api/credentials/connect/{asked['id']}", wait=wait).json()


def finish(asked, alice, acme):
    entry = registry.entry("todoist", acme.pk)
    offer = connect.Offer(
        entry=entry, project=acme, fields={"apiKey": KEY}, test=False, label="alice@example.org"
    )
    actor = actor_for(alice, acme)
    return asking.finish(row(asked), entry, connect.connect(offer, actor).connection, actor)


def test_the_agent_gets_a_link_a_code_and_where_to_ask(asked):
    assert asked["url"] == f"http://127.0.0.1:8000/connect/{asked['id']}"
    assert asked["pollUrl"] == f"http://127.0.0.1:8000/api/credentials/connect/{asked['id']}"
    assert len(asked["userCode"]) == 9 and asked["userCode"][4] == "-"
    assert asked["expiresAt"].endswith("Z")
    assert asked["userCode"] not in asked["url"]


def test_the_request_waits_for_a_person(ada, asked):
    assert state(ada, asked)["state"] == "pending"


def test_the_agent_hears_what_was_connected_and_never_the_key(ada, asked, alice, acme, todoist):
    finish(asked, alice, acme)

    told = state(ada, asked)
    assert (told["state"], told["account"]) == ("done", "alice@example.org")
    assert "todoist.create_task" in told["capabilities"]
    assert KEY not in str(told)
    assert {"connect_request.created", "connect_request.finished"} <= set(
        AuditEvent.objects.values_list("event", flat=True)
    )


def test_it_is_finished_once(asked, alice, acme, todoist):
    assert finish(asked, alice, acme) is True
    assert finish(asked, alice, acme) is False


def test_declined_is_failed_with_a_reason(ada, asked, alice, acme):
    asking.decline(row(asked), actor_for(alice, acme))

    assert state(ada, asked)["state"] == "failed"
    assert "Alice declined" in state(ada, asked)["reason"]


def test_after_half_an_hour_it_is_expired(ada, asked, alice, acme, todoist):
    ConnectRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert state(ada, asked)["state"] == "expired"
    assert finish(asked, alice, acme) is False


def test_five_wrong_codes_end_it(ada, asked):
    for number in range(4):
        with pytest.raises(Problem) as trouble:
            asking.check_code(row(asked), f"WRNG-{number:04}")
        assert trouble.value.code == "invalid_input"
    with pytest.raises(Problem, match="five times"):
        asking.check_code(row(asked), "WRNG-LAST")

    with pytest.raises(Problem):
        asking.check_code(row(asked), asked["userCode"])
    assert state(ada, asked)["state"] == "failed"


def test_the_code_may_be_typed_as_people_type(asked):
    asking.check_code(row(asked), asked["userCode"].lower().replace("-", " "))


def test_waiting_ends_with_its_seconds(ada, asked):
    started = time.monotonic()

    assert state(ada, asked, wait=1)["state"] == "pending"
    assert 0.9 < time.monotonic() - started < 20


@pytest.mark.django_db(transaction=True)
def test_waiting_hears_of_the_end_while_it_waits(ada, alice, acme):
    asked = ada.post(PLACE, {}).json()

    def decline():
        time.sleep(0.3)
        asking.decline(row(asked), actor_for(alice, acme))
        connection.close()

    person = threading.Thread(target=decline)
    person.start()
    started = time.monotonic()
    told = state(ada, asked, wait=20)
    person.join()

    assert told["state"] == "failed"
    assert time.monotonic() - started < 19


@pytest.mark.parametrize("wait", ["-1", "abc", "1e9", "", "٣"])
def test_a_wait_that_means_nothing_is_none(ada, asked, wait, monkeypatch):
    monkeypatch.setattr(waiting, "places", threading.BoundedSemaphore(1))
    waiting.places.acquire()  # who waits all the same is told "busy"

    assert state(ada, asked, wait=wait)["state"] == "pending"


def test_too_many_that_wait_are_told_to_come_back(ada, asked, error, monkeypatch):
    monkeypatch.setattr(waiting, "places", threading.BoundedSemaphore(1))
    waiting.places.acquire()
    answer = ada.get(f"/api/credentials/connect/{asked['id']}", wait=5)

    assert (answer.status_code, error(answer)["code"]) == (503, "busy")


def test_another_projects_request_is_not_there(api, asked, token_of, charlie, elsewhere, error):
    other = api(token_of(charlie, elsewhere, "connect"))
    answer = other.get(f"/api/credentials/connect/{asked['id']}")

    assert (answer.status_code, error(answer)["code"]) == (404, "unknown")


@pytest.mark.parametrize("word", ["user", "global"])
def test_for_all_projects_only_the_tokens_owner_may_finish_it(ada, alice, word):
    asked = ada.post(PLACE, {"scope": word}).json()

    assert row(asked).for_user == alice


def test_a_connection_may_be_asked_for_again(ada, acmes_todoist, error):
    asked = ada.post(PLACE, {"connection": acmes_todoist.label}).json()

    assert row(asked).reconnects == acmes_todoist
    assert error(ada.post(PLACE, {"connection": "nobody"}))["code"] == "unknown"


def test_scopes_are_a_list_of_words(ada, error):
    assert row(ada.post(PLACE, {"scopes": ["data:read"]}).json()).scopes == ["data:read"]
    assert error(ada.post(PLACE, {"scopes": "data:read"}))["field"] == "scopes"
    assert error(ada.post(PLACE, {"scopes": ["x" * 201]}))["field"].startswith("scopes")


# --- in the hub, as the person does it


@pytest.fixture
def alices_browser(client, alice):
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_person_gives_the_code_and_the_key_and_the_agent_hears(ada, asked, alices_browser, todoist):
    page = f"/connect/{asked['id']}"
    shown = alices_browser.get(page)
    assert shown.status_code == 200
    assert asked["userCode"] not in shown.content.decode()

    known = alices_browser.post(page, {"user_code": asked["userCode"]})
    done = alices_browser.post(page, {"apiKey": KEY})

    assert known.status_code == 303
    assert done.status_code < 400
    assert state(ada, asked)["state"] == "done"
    assert KEY not in alices_browser.get(page).content.decode()


def test_without_the_code_no_key_is_taken(ada, asked, alices_browser, todoist):
    alices_browser.post(f"/connect/{asked['id']}", {"apiKey": KEY})

    assert state(ada, asked)["state"] == "pending"
    assert todoist.requests == []


def test_bob_cannot_finish_what_is_for_all_of_alices_projects(ada, client, bob, todoist):
    asked = ada.post(PLACE, {"scope": "user"}).json()
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")
    page = f"/connect/{asked['id']}"

    assert client.get(page).status_code == 403
    assert client.post(page, {"user_code": asked["userCode"]}).status_code == 403
    assert state(ada, asked)["state"] == "pending"


def test_charlie_sees_nothing_of_it(asked, client, charlie):
    client.force_login(charlie, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get(f"/connect/{asked['id']}").status_code == 404
