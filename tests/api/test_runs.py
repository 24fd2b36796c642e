"""Actions that write happen once, and what became of them can be asked."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from credentials.models import Connection
from integrations.models import ActionRun
from integrations.runtime import runs
from navi.audit.models import AuditEvent
from tests.net.conftest import endless, in_turn, raw, saying, silence
from tests.standins.todoist import KEY

CREATE = "/api/actions/todoist.create_task"
MILK = {"content": "Buy milk"}
TASK = b'{"id": "t1", "content": "Buy milk", "project_id": "p1"}'


def create(ada, key=None, body=MILK, **query):
    return ada.post(CREATE + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""), body,
                    **({"idempotency_key": key} if key else {}))  # fmt: skip


def add(ada, key=None):
    """A write that Todoist would do twice, were it sent twice."""
    return ada.post("/api/actions/todoist.quick_add_task", {"text": "Buy milk"},
                    **({"idempotency_key": key} if key else {}))  # fmt: skip


def run_of(ada, answer):
    return ada.get(f"/api/actions/runs/{answer.json()['runId']}").json()


def test_a_run_can_be_looked_at_again(ada, acmes_todoist):
    answer = create(ada)
    told = run_of(ada, answer)

    assert (told["plugin"], told["action"], told["state"]) == ("todoist", "create_task", "succeeded")
    assert told["result"] == answer.json()["result"]
    assert told["finishedAt"] >= told["startedAt"]


def test_the_answer_of_a_run_rests_sealed(ada, acmes_todoist):
    create(ada, body={"content": "The surprise party of Bob"})

    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM integrations_actionrun")
        assert b"surprise party" not in bytes(cursor.fetchone()[0])


def test_a_run_is_its_tokens_own(ada, ben, acmes_todoist, error):
    answer = create(ada)

    assert error(ben.get(f"/api/actions/runs/{answer.json()['runId']}"))["code"] == "unknown"


def test_arguments_are_checked_before_anything_happens(ada, acmes_todoist, error, todoist):
    for body, field in (
        ({}, "content"), ({"content": 7}, "content"), ({"content": ""}, "content"), ({**MILK, "surprise": 1}, "surprise"),
        ({**MILK, "priority": "4"}, "priority"), ({**MILK, "priority": 9}, "priority"), ({**MILK, "labels": "a"}, "labels"),
        ({**MILK, "due_date": "soon"}, "due_date"), ({**MILK, "project_id": "../x"}, "project_id"),
    ):  # fmt: skip
        answer = create(ada, body=body)
        assert (answer.status_code, error(answer)["code"], error(answer)["field"]) == (
            400,
            "invalid_input",
            field,
        )
        assert error(answer)["errors"][0]["field"] == field
    assert todoist.requests == []
    assert not ActionRun.objects.exists()


def test_what_the_vendor_refuses_is_told_in_its_words(ada, acmes_todoist, error):
    answer = create(ada, body={**MILK, "project_id": "nowhere"})

    assert (answer.status_code, error(answer)["code"]) == (422, "vendor_refused")
    assert "not found" in error(answer)["message"]
    assert Connection.objects.get().health != "failed"


# --- the same key


@pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\tb"])
def test_a_bad_key_is_refused(ada, acmes_todoist, error, todoist, key):
    answer = ada.client.post(CREATE, MILK, content_type="application/json", HTTP_IDEMPOTENCY_KEY=key)

    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_input")
    assert todoist.requests == []


def test_a_key_belongs_to_one_token_and_one_action(ada, ben, acmes_todoist, todoist):
    before = len(todoist.tasks)
    create(ada, "k1")
    create(ben, "k1")
    listed = ada.post("/api/actions/todoist.list_projects", {}, idempotency_key="k1")

    assert listed.status_code == 200
    assert len(todoist.tasks) == before + 2


def test_a_replay_says_so_and_asks_nobody(ada, acmes_todoist, todoist):
    first = create(ada, "k1")
    asked = len(todoist.requests)
    again = create(ada, "k1")

    assert again.json() == first.json()
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    assert len(todoist.requests) == asked


def test_another_body_under_the_same_key_is_refused(ada, acmes_todoist, error, todoist):
    create(ada, "k1")
    asked = len(todoist.requests)
    answer = create(ada, "k1", body={"content": "Buy tea"})

    assert (answer.status_code, error(answer)["code"]) == (422, "idempotency_conflict")
    assert len(todoist.requests) == asked


def test_a_refusal_is_replayed_too(ada, acmes_todoist, error, todoist):
    first = create(ada, "k1", body={**MILK, "project_id": "nowhere"})
    asked = len(todoist.requests)
    again = create(ada, "k1", body={**MILK, "project_id": "nowhere"})

    told, once_more = error(first), error(again)
    assert again.status_code == first.status_code
    assert {**once_more, "requestId": ""} == {**told, "requestId": ""}
    assert len(todoist.requests) == asked


@pytest.mark.django_db(transaction=True)
def test_fifty_equal_calls_at_once_are_one_task(ada, acmes_todoist, todoist, api, adas_token):
    """Those that come while the first is under way are told to ask again, and then all hear the same."""
    before = len(todoist.tasks)
    todoist.delay(0.2)
    answers = together(50, lambda: create(api(adas_token), "k1"))
    statuses = Counter(answer.status_code for answer in answers)

    assert set(statuses) <= {200, 503}, [
        answer.json() for answer in answers if answer.status_code not in {200, 503}
    ][:3]
    assert statuses[200] >= 1
    assert len(todoist.tasks) == before + 1
    assert ActionRun.objects.count() == 1
    late = create(ada, "k1")
    assert {answer.content for answer in answers if answer.status_code == 200} == {late.content}
    assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 503} <= {"busy"}


def together(count, call):
    answers, gate = [], threading.Barrier(count)

    def one():
        gate.wait()
        answers.append(call())
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# --- cut off


def started(ada, acme, key="k1", *, ago=timedelta(0), write=add):
    """What a process leaves that dies in the middle of a call."""
    first = write(ada, key)
    ActionRun.objects.filter(pk=first.json()["runId"]).update(
        state="running", finished_at=None, started_at=timezone.now() - ago
    )


def test_a_call_that_is_under_way_is_busy(ada, acme, acmes_todoist, error, monkeypatch):
    monkeypatch.setattr(runs, "WAITS", 0.0)
    started(ada, acme)
    answer = add(ada, "k1")

    assert (answer.status_code, error(answer)["code"]) == (503, "busy")


def test_after_a_crash_the_outcome_is_unknown_and_nothing_is_repeated(
    ada, acme, acmes_todoist, error, todoist
):
    started(ada, acme, ago=timedelta(minutes=10))
    asked = len(todoist.requests)
    answer = add(ada, "k1")

    assert (answer.status_code, error(answer)["code"], error(answer)["action"]) == (
        502,
        "outcome_unknown",
        "fail",
    )
    assert "may have happened" in error(answer)["message"]
    assert len(todoist.requests) == asked
    assert ActionRun.objects.get().state == "outcome_unknown"
    assert error(add(ada, "k1"))["code"] == "outcome_unknown"


DRIP = endless(b"x", head=b"HTTP/1.1 200 OK\r\n\r\n", pause=0.01)


@pytest.mark.parametrize(
    "cut",
    [
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        saying(b"<h1>Hello</h1>", Content_Type="text/html"),
        saying(b"[]"),
        saying(b"{}", status="500 Internal Server Error"),
        saying(b"{}", status="503 Service Unavailable"),
        silence,
        DRIP,
    ],
    ids=["no answer", "half an answer", "a page", "another shape", "500", "503", "silence", "a drip"],
)  # fmt: skip
def test_a_write_that_was_sent_and_not_answered_is_unknown_and_not_repeated(
    ada, acmes_todoist, vendor, error, monkeypatch, cut
):
    # Long enough that the request is sent in it, however busy the machine is.
    monkeypatch.setattr("integrations.registry.DEADLINE", 4.0 if cut in (silence, DRIP) else 30.0)
    server = vendor(in_turn(cut, saying(TASK)))
    answer = add(ada, "k1")
    again = add(ada, "k1")

    assert [request.method for request in server.requests] == ["POST"]
    assert (answer.status_code, error(answer)["code"]) == (502, "outcome_unknown")
    assert error(again)["code"] == "outcome_unknown"
    assert ActionRun.objects.get().state == "outcome_unknown"
    assert AuditEvent.objects.filter(event="action.run", code="outcome_unknown").count() == 2


def test_a_write_that_the_vendor_does_once_is_repeated_after_a_crash(ada, acme, acmes_todoist, todoist):
    before = len(todoist.tasks)
    started(ada, acme, ago=timedelta(minutes=3), write=create)
    answer = create(ada, "k1")

    assert answer.status_code == 200
    assert len(todoist.tasks) == before + 1
    assert ActionRun.objects.get().state == "succeeded"


def test_a_write_that_the_vendor_does_once_is_not_repeated_at_another_account(
    ada, acme, acmes_todoist, alices_todoist, error
):
    started(ada, acme, ago=timedelta(minutes=3), write=create)
    ActionRun.objects.update(connection=alices_todoist)

    assert error(create(ada, "k1"))["code"] == "outcome_unknown"


def test_a_write_without_a_key_is_never_repeated_either(ada, acmes_todoist, vendor, error):
    server = vendor(in_turn(saying(b"", status="500 Oops"), saying(TASK)))
    answer = add(ada)

    assert error(answer)["code"] == "outcome_unknown"
    assert len(server.requests) == 1


def test_a_write_that_was_not_sent_may_be_tried_again(ada, acmes_todoist, settings, todoist, error):
    good = settings.UPSTREAMS
    settings.UPSTREAMS = {"todoist": "http://127.0.0.1:9"}
    failed = create(ada, "k1")
    settings.UPSTREAMS = good
    again = create(ada, "k1")

    assert (failed.status_code, error(failed)["code"]) == (502, "vendor_unavailable")
    assert again.status_code == 200
    assert "Idempotency-Replayed" not in again.headers


def test_a_limit_lets_the_same_key_try_again(ada, acmes_todoist, todoist, error):
    from credentials.client import start_anew

    todoist.fail_next(429, {"error": "Slow down", "error_extra": {"retry_after": 1}})
    limited = add(ada, "k1")
    start_anew()
    again = add(ada, "k1")

    assert (limited.status_code, error(limited)["code"]) == (429, "rate_limited")
    assert again.status_code == 200


def test_a_read_is_repeated_after_trouble(ada, acmes_todoist, todoist):
    todoist.fail_next(503)
    answer = ada.post("/api/actions/todoist.list_projects")

    assert answer.status_code == 200
    assert len(todoist.requests) == 2


def test_a_key_that_the_vendor_no_longer_takes(ada, acmes_todoist, todoist, error):
    todoist.accept_keys(["f" * 40])
    answer = create(ada, "k1")

    found = error(answer)
    assert (answer.status_code, found["code"], found["action"]) == (409, "reauth_required", "reauth")
    assert found["link"].endswith(f"?reconnect={acmes_todoist.pk}")
    todoist.accept_keys([KEY])
    ada.post(
        "/api/credentials/todoist", {"credentials": {"apiKey": KEY}, "connection": str(acmes_todoist.pk)}
    )
    assert create(ada, "k1").status_code == 200


# --- which account


def test_a_run_may_name_its_account(ada, acmes_todoist, alices_todoist, todoist):
    create(ada, connection="alice@home")

    assert ActionRun.objects.get().connection == alices_todoist


def test_scopes_that_the_account_lacks_are_named(ada, acmes_todoist, error, monkeypatch):
    from integrations import registry

    actions = registry.installed().plugins["todoist"].actions
    monkeypatch.setitem(actions, "create_task", replace(actions["create_task"], scopes=("task:add",)))
    Connection.objects.update(scopes=["data:read"])
    answer = create(ada)

    found = error(answer)
    assert (answer.status_code, found["code"], found["action"]) == (424, "missing_scopes", "grant_scopes")
    assert found["missingScopes"] == ["task:add"]


def test_what_a_plugin_returns_is_told_as_json(ada, acmes_todoist, monkeypatch):
    from datetime import date

    from integrations import registry

    def create_task(client, content: str) -> dict:
        """Create a task."""
        return {"due": date(2026, 11, 21), "ids": {"a"}}

    actions = registry.installed().plugins["todoist"].actions
    monkeypatch.setitem(actions, "create_task", replace(actions["create_task"], function=create_task))

    assert create(ada).json()["result"] == {"due": "2026-11-21", "ids": ["a"]}
