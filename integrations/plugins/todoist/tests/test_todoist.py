"""What is odd about Todoist."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.plugins.todoist.plugin import SIGN_IN, plugin
from integrations.sdk import Client, Identity, InvalidArguments, Reconnect, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, PayloadError, replay
from tests.plugins.clients import client_at, signed_in
from tests.standins.todoist import GARDEN, HOME, KEY, MILK, TULIPS, TodoistStandin


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


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


# --- who, and which projects


def test_health_tells_whose_token_it_is():
    assert replay(plugin, "health") == Identity(label="alice@example.org", account_id="2671355")


def test_the_token_goes_out_as_bearer(alice: Client, todoist: TodoistStandin):
    assert plugin.health_function
    plugin.health_function(alice)

    assert todoist.requests[-1].headers["Authorization"] == f"Bearer {KEY}"


def test_projects_come_page_by_page():
    page = replay(plugin, "list_projects")

    assert [project["name"] for project in page["projects"]] == ["Inbox", "Home"]
    assert page["projects"][0]["is_inbox"]
    assert page["projects"][1]["url"] == "https://app.todoist.com/app/project/6XGgm6PHrGgMpCFX"
    assert page["next_cursor"]


def test_the_cursor_leads_through_all_projects(alice: Client):
    first = run(alice, "list_projects", limit=3)
    second = run(alice, "list_projects", limit=3, cursor=first["next_cursor"])

    names = [project["name"] for page in (first, second) for project in page["projects"]]
    assert names == ["Inbox", "Home", "Garden", "Work", "Reading list"]
    assert second["next_cursor"] is None


def test_projects_can_be_chosen_from(alice: Client):
    choices = plugin.discoveries["projects"](alice)

    assert [choice.label for choice in choices] == ["Inbox", "Home", "Garden", "Work", "Reading list"]


# --- tasks


def test_several_ids_travel_as_one_parameter():
    bins, taxes = replay(plugin, "list_tasks")["tasks"]

    assert (bins["due"], bins["due_string"], bins["is_recurring"]) == ("2026-11-23", "every monday", True)
    assert (taxes["due"], taxes["deadline"], taxes["priority"]) == (None, "2026-12-31", 4)
    assert bins["url"] == "https://app.todoist.com/app/task/6XGgmFVcrG5RRjV8"


def test_a_query_asks_todoists_filter():
    assert replay(plugin, "list_tasks", "tasks_by_filter") == {"tasks": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"project_id": GARDEN}, ["Plant tulips"]),
        ({"label": "shop"}, ["Buy milk"]),
        ({"ids": [MILK, TULIPS]}, ["Buy milk", "Plant tulips"]),
        ({"query": "p1"}, ["Send Bob the invoice"]),
        ({"query": "today & #Home"}, ["Buy milk"]),
    ],
)
def test_tasks_are_narrowed_down(alice: Client, arguments: dict[str, Any], found: list[str]):
    assert [task["content"] for task in run(alice, "list_tasks", **arguments)["tasks"]] == found


def test_a_query_beside_a_project_is_refused_before_anything_is_sent(alice: Client, todoist: TodoistStandin):
    with pytest.raises(Refused) as refusal:
        run(alice, "list_tasks", query="today", project_id=HOME)

    assert refusal.value.field == "query"
    assert todoist.requests == []


def test_a_task_is_created_with_the_calls_own_id():
    task = replay(plugin, "create_task")

    assert task["url"] == "https://app.todoist.com/app/task/6XGgmFVcrG5RRjWC"
    assert (task["priority"], task["due"]) == (4, "2026-11-22T09:00:00")


def test_a_created_task_is_there(alice: Client, todoist: TodoistStandin):
    task = run(alice, "create_task", content="Buy bread", project_id=HOME, due_date="2026-12-01", priority=4)

    stored = todoist.tasks[task["id"]]
    assert (stored["content"], stored["due"]["date"], stored["priority"]) == ("Buy bread", "2026-12-01", 4)


def test_two_ways_to_say_when_are_refused(alice: Client):
    with pytest.raises(Refused, match="not both") as refusal:
        run(alice, "create_task", content="Buy bread", due_string="today", due_date="2026-12-01")

    assert refusal.value.field == "due_date"


@pytest.mark.parametrize("payload", ["complete_task", "task_completed_without_a_body"])
def test_both_answers_to_closing_a_task_are_taken(payload: str):
    assert replay(plugin, "complete_task", payload) == {"id": "6XGgmFVcrG5RRjWC", "completed": True}


def test_a_task_is_completed_and_opened_again(alice: Client, todoist: TodoistStandin):
    run(alice, "complete_task", task_id=MILK)
    assert todoist.tasks[MILK]["checked"]

    assert run(alice, "reopen_task", task_id=MILK) == {"id": MILK, "completed": False}
    assert not todoist.tasks[MILK]["checked"]


@pytest.mark.parametrize("action", ["create_task", "complete_task"])
def test_a_write_that_may_have_arrived_is_not_sent_again(alice: Client, todoist: TodoistStandin, action: str):
    todoist.fail_next(502, "Bad gateway")
    arguments = {"content": "Buy bread"} if action == "create_task" else {"task_id": MILK}

    with pytest.raises(TryLater) as trouble:
        run(alice, action, **arguments)

    assert trouble.value.sent
    assert len(todoist.requests) == 1


@pytest.mark.parametrize("task_id", ["../user", "6X?x=1", "a/b", ""])
def test_an_id_cannot_lead_to_another_address(task_id: str):
    with pytest.raises(InvalidArguments) as refusal:
        plugin.actions["complete_task"].validate({"task_id": task_id})

    assert refusal.value.field == "task_id"


# --- what goes wrong


def test_a_revoked_token_needs_a_person_and_no_waiting():
    with pytest.raises(Reconnect) as trouble:
        replay(plugin, "health", "token_revoked")

    assert trouble.value.status == 401


def test_the_body_says_when_to_call_again():
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_projects", "too_many_calls")

    assert trouble.value.code == "rate_limited"
    assert trouble.value.retry_at
    left = trouble.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=60) < left <= timedelta(seconds=66)


def test_a_wait_without_end_is_cut_to_todoists_own_window(alice: Client, todoist: TodoistStandin):
    todoist.rate_limit_next(retry_after=10**30)

    with pytest.raises(TryLater) as trouble:
        run(alice, "list_projects")

    assert trouble.value.retry_at
    assert trouble.value.retry_at <= datetime.now(UTC) + timedelta(minutes=15)


def test_todoists_words_and_the_argument_at_fault_are_passed_on():
    with pytest.raises(Refused, match=r"Invalid argument value \(cursor: The cursor is invalid\)") as refusal:
        replay(plugin, "list_tasks", "cursor_of_another_question")

    assert (refusal.value.status, refusal.value.field) == (400, "cursor")


def test_a_token_that_may_only_add_tasks_is_told_what_it_lacks():
    with pytest.raises(Refused, match="Needs scope data:read"):
        replay(plugin, "list_projects", "token_may_only_add_tasks")


def test_a_task_that_is_gone_is_refused(alice: Client):
    with pytest.raises(Refused, match="Task not found") as refusal:
        run(alice, "complete_task", task_id="6XGgmFVcrG5RRjXX")

    assert refusal.value.status == 404


def test_an_outage_passes():
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_projects", "outage_page")

    assert (trouble.value.status, trouble.value.code) == (503, "vendor_unavailable")


# --- signing in


def test_a_sign_in_is_whose_it_is(todoist: TodoistStandin):
    client = signed_in(plugin, todoist, "oauth", access_token=todoist.grant("data:read", person="bob").access)

    assert plugin.health_function
    assert plugin.health_function(client).label == "bob@example.org"


def test_a_sign_in_that_ended_needs_a_person(todoist: TodoistStandin):
    client = signed_in(plugin, todoist, "oauth", access_token=todoist.grant("data:read").access)
    todoist.kill()

    with pytest.raises(Reconnect):
        run(client, "list_projects")


def test_reading_and_writing_includes_reading_and_adding():
    assert SIGN_IN.covered(["data:read_write"]) >= {"data:read", "task:add"}
    assert set(plugin.all_scopes) == set(SIGN_IN.scopes)


# --- the form


@pytest.mark.parametrize("token", [KEY, "A1b2" * 8, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"])
def test_tokens_of_any_shape_may_be_right(token: str):
    assert api_token().complaint(token) is None


@pytest.mark.parametrize(
    "token",
    ["lin_api_0123456789abcdef", "xoxb-1234567890-abc", "ya29.a0AfH6SMBx", "SG.abcdefghijklmnop", "short"],
)
def test_what_belongs_elsewhere_is_caught(token: str):
    complaint = api_token().complaint(token)

    assert complaint
    assert "Developer" in complaint


def api_token():
    assert plugin.own_provider
    return plugin.own_provider.auth[0].fields[0]


def test_a_payload_of_another_request_is_noticed():
    with pytest.raises(PayloadError, match="path is '/projects', recorded is '/user'"):
        replay(plugin, "list_projects", "health")
