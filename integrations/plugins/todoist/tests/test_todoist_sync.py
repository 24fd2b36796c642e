"""How Todoist's tasks and projects come home, and what follows when Todoist calls."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.plugins.todoist.plugin import plugin
from integrations.sdk import (
    Client,
    Event,
    Headers,
    Hmac,
    Incoming,
    Item,
    Page,
    Place,
    Refused,
    StartOver,
    TryLater,
)
from integrations.sdk.signatures import proves
from integrations.sdk.testing import REQUEST_KEY, pull
from tests.plugins.clients import client_at
from tests.standins.grants import CLIENT_SECRET
from tests.standins.server import Request, Response, Standin, answer_with
from tests.standins.todoist import ALICES_ID, GARDEN, HOME, KEY, MILK, TULIPS, WORK, TodoistStandin

CALLED = json.loads((Path(__file__).parent / "webhooks" / "task_changed.json").read_text())["body"]
TOKEN = "VRyFHr0Qo3Hr--pzINyT6nax4vW7X2YG5RQlw3lB-6eYOPbSZVJepa62EVhO"


@pytest.fixture(scope="module")
def running() -> Iterator[TodoistStandin]:
    with TodoistStandin() as standin:
        yield standin


@pytest.fixture
def todoist(running: TodoistStandin) -> TodoistStandin:
    running.reset()
    return running


@pytest.fixture
def alice(todoist: TodoistStandin) -> Client:
    return client_at(plugin, todoist, KEY)


def read(client: Client, kind: str, cursor: Any = None, **settings: Any) -> Page:
    function = plugin.syncs[kind].function
    assert function
    return function(client, Place(cursor, "", settings))


def at(**more: Any) -> dict[str, Any]:
    return {"sync_token": TOKEN, "projects": [], **more}


# --- tasks


def test_the_first_answer_is_all_open_tasks():
    page = pull(plugin, "tasks")

    assert [item.data["content"] for item in page.items] == ["Buy milk", "Send Bob the invoice"]
    assert (page.cursor, page.more, page.starts_over) == (at(), False, False)


def test_completed_tasks_stay_and_deleted_ones_become_tombstones():
    done, gone = pull(plugin, "tasks", "tasks_that_changed", cursor=at()).items

    assert done.data["is_completed"]
    assert done.data["completed_at"] == "2026-11-20T17:02:11.000000Z"
    assert (gone.is_deleted, dict(gone.data)) == (True, {})


def test_everything_sent_anew_starts_over():
    assert pull(plugin, "tasks", "tasks_sent_anew", cursor=at()).starts_over


class Silent(Standin):
    def answer(self, request: Request) -> Response:
        return answer_with(200, {"sync_token": "another", "full_sync": True})


def test_everything_without_any_of_it_is_not_believed():
    with Silent() as todoist, pytest.raises(TryLater):
        read(client_at(plugin, todoist, KEY), "tasks", at())


def test_a_token_todoist_does_not_know_starts_over():
    with pytest.raises(StartOver):
        pull(plugin, "tasks", "token_is_unknown", cursor=at())


def test_a_refusal_of_the_first_question_is_no_reason_to_start_over(alice: Client, todoist: TodoistStandin):
    todoist.fail_next(400, {"error": "No", "error_extra": {}})

    with pytest.raises(Refused):
        read(alice, "tasks")


def test_the_copy_follows_the_account(alice: Client, todoist: TodoistStandin):
    page = read(alice, "tasks")
    copy = {item.id: dict(item.data) for item in page.items}
    for change in (lambda: todoist.account.close_task(MILK), lambda: todoist.account.delete_task(TULIPS)):
        change()
        page = read(alice, "tasks", page.cursor)
        copy |= {item.id: dict(item.data) for item in page.items}

    assert (copy[MILK]["is_completed"], copy[TULIPS]) == (True, {})
    assert read(alice, "tasks", page.cursor).items == []


def test_a_token_that_was_forgotten_brings_everything(alice: Client, todoist: TodoistStandin):
    first = read(alice, "tasks")
    todoist.forget_sync_tokens()

    again = read(alice, "tasks", first.cursor)

    assert again.starts_over
    assert len(again.items) == 3
    assert not read(alice, "tasks", again.cursor).starts_over


def test_only_tasks_of_the_chosen_projects_are_kept(alice: Client, todoist: TodoistStandin):
    page = read(alice, "tasks", projects=[HOME, WORK])
    assert {item.id for item in page.items if not item.is_deleted} == {MILK, *work_tasks(todoist)}

    todoist.account.move_task(MILK, {"project_id": GARDEN})

    assert read(alice, "tasks", page.cursor, projects=[HOME, WORK]).items == [Item(MILK, is_deleted=True)]


def work_tasks(todoist: TodoistStandin) -> set[str]:
    return {task["id"] for task in todoist.tasks.values() if task["project_id"] == WORK}


def test_other_chosen_projects_start_over(alice: Client):
    page = read(alice, "tasks", projects=[HOME])

    with pytest.raises(StartOver):
        read(alice, "tasks", page.cursor, projects=[WORK])


# --- projects


def test_archived_projects_count_as_deleted():
    items = pull(plugin, "projects").items

    assert [(item.data.get("name"), item.is_deleted) for item in items] == [
        ("Inbox", False), ("Home", False), (None, True),
    ]  # fmt: skip


def test_a_deleted_project_leaves_and_takes_its_tasks_along(alice: Client, todoist: TodoistStandin):
    tasks, projects = read(alice, "tasks"), read(alice, "projects")
    todoist.account.delete_project(GARDEN)

    assert read(alice, "projects", projects.cursor).items == [Item(GARDEN, is_deleted=True)]
    assert read(alice, "tasks", tasks.cursor).items == [Item(TULIPS, is_deleted=True)]


# --- what is sent on schedule


def test_queued_changes_are_ones_that_may_be_repeated():
    push = plugin.syncs["changes"]

    assert (push.direction, push.every.total_seconds()) == ("push", 300)
    assert all(plugin.actions[name].idempotent for name in push.actions)


# --- when Todoist calls


def called(said: Any, **headers: str) -> Incoming:
    body = json.dumps(said).encode()
    return Incoming("POST", Headers(headers), {}, body)


def heard(said: Any, *, account: str = ALICES_ID) -> Any:
    incoming = called(said)
    assert plugin.webhook
    assert plugin.webhook.hear_function
    kind = plugin.webhook.event_type(incoming)
    return plugin.webhook.hear_function(Event(kind, REQUEST_KEY, incoming, account=account))


def test_a_changed_task_is_kept_as_an_event_and_read_again():
    follows = heard(CALLED)

    [kept] = follows.records["events"]
    assert (kept.id, kept.data["event"], kept.data["intent"]) == (REQUEST_KEY, "item:updated", "item_updated")
    assert (kept.data["by"], kept.data["data"]["content"]) == ("Alice", "Buy milk")
    assert (follows.syncs, follows.summary) == (("tasks",), "Task updated: Buy milk")
    assert "alice@example.org" not in json.dumps(kept.data)


@pytest.mark.parametrize(
    ("name", "syncs"),
    [
        ("item:completed", ("tasks",)),
        ("note:added", ("tasks",)),
        ("project:archived", ("projects", "tasks")),
        ("section:deleted", ("tasks",)),
        ("label:added", ()),
        ("something:new", ()),
    ],
)
def test_what_is_read_again_depends_on_the_thing(name: str, syncs: tuple[str, ...]):
    assert heard(CALLED | {"event_name": name}).syncs == syncs


def test_what_happened_in_another_account_is_not_ours():
    follows = heard(CALLED | {"user_id": "99"})

    assert follows.is_ignored
    assert not follows.records


@pytest.mark.parametrize(
    "said",
    [
        {"user_id": ALICES_ID},
        {"user_id": ALICES_ID, "event_name": "item:added", "event_data": [], "initiator": "x"},
        {"user_id": 2671355, "event_name": 7, "event_data": None, "event_data_extra": "x"},
    ],
)
def test_a_message_of_another_shape_breaks_nothing(said: Any):
    assert heard(said).records["events"]


@pytest.mark.parametrize("said", [[], "x", None, 7])
def test_what_is_no_object_is_nobodys(said: Any):
    assert heard(said).is_ignored


def test_todoists_signature_is_known():
    # The vector of the vendor's own client, see vendors.md 2.3.
    body = b'{"event_name":"item:added","user_id":"2671355","version":"10"}'
    told = {"X-Todoist-Hmac-SHA256": "cRLpxob+8ULC8b14JZZyrC8iLZ70acnt0mgEeHZDOc4="}
    incoming = Incoming("POST", Headers(told), {}, body)

    assert plugin.webhook
    assert isinstance(plugin.webhook.proof, Hmac)
    assert proves(plugin.webhook.proof, incoming, ["navi-client-secret"], now=0.0)
    assert not proves(plugin.webhook.proof, incoming, [CLIENT_SECRET], now=0.0)


def test_the_delivery_has_todoists_own_id():
    assert plugin.webhook
    incoming = called(CALLED, **{"X-Todoist-Delivery-ID": "662d72e2-f581-471c-a573-cadc1f40c203"})

    assert plugin.webhook.delivery_id(incoming) == "662d72e2-f581-471c-a573-cadc1f40c203"
    assert plugin.webhook.success == 200
