"""What is odd about Todoist."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
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


KEYS = (REQUEST_KEY, "00000000-0000-4000-8000-000000000002")


def run(client: Client, action: str, *, key: str = REQUEST_KEY, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=key)


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


def test_a_task_is_created_by_a_command_with_the_calls_own_id():
    task = replay(plugin, "create_task")

    assert task["url"] == "https://app.todoist.com/app/task/6XGgmFVcrG5RRjWC"
    assert (task["priority"], task["due"]) == (4, "2026-11-22T09:00:00")


def test_a_created_task_is_there(alice: Client, todoist: TodoistStandin):
    task = run(alice, "create_task", content="Buy bread", project_id=HOME, due_date="2026-12-01", priority=4)

    stored = todoist.tasks[task["id"]]
    assert (stored["content"], stored["due"]["date"], stored["priority"]) == ("Buy bread", "2026-12-01", 4)
    assert task == run(alice, "get_task", task_id=task["id"])


def test_the_same_call_again_makes_no_second_task(alice: Client, todoist: TodoistStandin):
    first, again = (run(alice, "create_task", content="Buy bread") for _ in range(2))

    assert first == again
    assert len(todoist.tasks) == 4


def test_an_answer_lost_on_the_way_makes_no_second_task(alice: Client, todoist: TodoistStandin):
    todoist.lose_next("/api/v1/sync")

    task = run(alice, "create_task", content="Buy bread")

    assert [each["id"] for each in todoist.tasks.values() if each["content"] == "Buy bread"] == [task["id"]]


def test_a_recurring_task_moves_on_once_for_each_call(alice: Client, todoist: TodoistStandin):
    task = run(alice, "create_task", content="Water the tulips", due_string="every day")
    todoist.lose_next("/api/v1/sync")

    run(alice, "complete_task", task_id=task["id"], key=KEYS[1])

    moved = date.fromisoformat(todoist.tasks[task["id"]]["due"]["date"])
    assert (moved - date.fromisoformat(task["due"])).days == 1


def test_what_an_earlier_try_made_is_not_guessed():
    with pytest.raises(Refused, match="earlier try"):
        replay(plugin, "create_task", "task_created_by_an_earlier_try")


def test_who_may_only_add_gets_the_task_as_it_was_asked_for(todoist: TodoistStandin):
    token = todoist.grant("task:add").access
    adds_only = signed_in(plugin, todoist, "oauth", access_token=token)

    task = run(adds_only, "create_task", content="Buy bread", due_date="2026-12-01", labels=["shop"])

    assert (task["content"], task["due"], task["labels"]) == ("Buy bread", "2026-12-01", ["shop"])
    assert task["id"] in todoist.tasks


@pytest.mark.parametrize("action", ["create_task", "update_task"])
def test_two_ways_to_say_when_are_refused(alice: Client, action: str):
    which = {"content": "Buy bread"} if action == "create_task" else {"task_id": MILK}

    with pytest.raises(Refused, match="not both") as refusal:
        run(alice, action, **which, due_string="today", due_date="2026-12-01")

    assert refusal.value.field == "due_date"


def test_a_task_is_completed_and_opened_again(alice: Client, todoist: TodoistStandin):
    run(alice, "complete_task", task_id=MILK)
    assert todoist.tasks[MILK]["checked"]

    assert run(alice, "reopen_task", task_id=MILK, key=KEYS[1]) == {"id": MILK, "completed": False}
    assert not todoist.tasks[MILK]["checked"]


def test_a_task_is_changed_and_only_where_it_was_asked_for(alice: Client, todoist: TodoistStandin):
    changed = run(alice, "update_task", task_id=MILK, content="Buy oat milk", priority=3)

    assert (changed["content"], changed["priority"], changed["labels"]) == ("Buy oat milk", 3, ["shop"])
    assert changed["due"]


def test_no_date_takes_the_date_away(alice: Client):
    assert run(alice, "update_task", task_id=MILK, due_string="no date")["due"] is None


def test_changing_nothing_is_refused(alice: Client, todoist: TodoistStandin):
    with pytest.raises(Refused, match="what to change"):
        run(alice, "update_task", task_id=MILK)

    assert todoist.requests == []


def test_a_task_moves_with_its_subtasks(alice: Client, todoist: TodoistStandin):
    below = run(alice, "create_task", content="Oat milk", parent_id=MILK)

    moved = run(alice, "move_task", task_id=MILK, project_id=GARDEN, key=KEYS[1])

    assert (moved["project_id"], todoist.tasks[below["id"]]["project_id"]) == (GARDEN, GARDEN)


@pytest.mark.parametrize("places", [{}, {"project_id": GARDEN, "parent_id": TULIPS}])
def test_a_task_moves_to_one_place(alice: Client, places: dict[str, str]):
    with pytest.raises(Refused, match="one of"):
        run(alice, "move_task", task_id=MILK, **places)


def test_a_deleted_task_is_gone_and_deleting_it_again_does_nothing(alice: Client, todoist: TodoistStandin):
    first, again = (run(alice, "delete_task", task_id=MILK) for _ in range(2))

    assert first == again == {"id": MILK, "deleted": True}
    assert MILK not in todoist.tasks


def test_only_who_may_delete_deletes(todoist: TodoistStandin):
    token = todoist.grant("data:read_write").access

    with pytest.raises(Refused, match="data:delete"):
        run(signed_in(plugin, todoist, "oauth", access_token=token), "delete_task", task_id=MILK)

    assert plugin.actions["delete_task"].verb == "destructive"


def test_a_line_in_todoists_shorthand_becomes_a_task(alice: Client):
    task = run(alice, "quick_add_task", text="Sweep #Home @chore p1")

    assert (task["content"], task["project_id"], task["labels"], task["priority"]) == (
        "Sweep",
        HOME,
        ["chore"],
        4,
    )


def test_a_quick_add_that_may_have_arrived_is_not_sent_again(alice: Client, todoist: TodoistStandin):
    todoist.fail_next(502, "Bad gateway")

    with pytest.raises(TryLater) as trouble:
        run(alice, "quick_add_task", text="Sweep")

    assert trouble.value.sent
    assert len(todoist.requests) == 1


def test_only_the_quick_add_may_not_be_repeated_after_a_crash():
    writing = {name: action for name, action in plugin.actions.items() if action.verb != "run"}

    assert [name for name, action in writing.items() if not action.idempotent] == ["quick_add_task"]


def test_what_was_done_is_listed_by_day(alice: Client):
    run(alice, "complete_task", task_id=MILK)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()

    done = run(alice, "list_completed_tasks", since=yesterday)["tasks"]
    elsewhere = run(alice, "list_completed_tasks", since=yesterday, project_id=GARDEN)["tasks"]

    assert [(task["content"], task["is_completed"]) for task in done] == [("Buy milk", True)]
    assert elsewhere == []


@pytest.mark.parametrize(("since", "until"), [("2026-11-02", "2026-11-01"), ("2026-01-01", "2026-11-01")])
def test_a_time_todoist_would_not_answer_for_is_refused(alice: Client, since: str, until: str):
    with pytest.raises(Refused):
        run(alice, "list_completed_tasks", since=since, until=until)


def test_sections_and_labels_are_listed(alice: Client):
    assert [one["name"] for one in run(alice, "list_sections", project_id=HOME)["sections"]] == ["Shelf"]
    assert [one["name"] for one in run(alice, "list_labels")["labels"]] == ["shop", "money"]
    assert [choice.label for choice in plugin.discoveries["labels"](alice)] == ["shop", "money"]


def test_a_comment_is_made_once_and_read(alice: Client):
    first, again = (run(alice, "add_comment", task_id=MILK, content="Oat is fine") for _ in range(2))

    assert first == again
    assert run(alice, "list_comments", task_id=MILK)["comments"] == [first]
    assert first["task_id"] == MILK


def test_comments_are_on_one_thing(alice: Client):
    with pytest.raises(Refused):
        run(alice, "list_comments")


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


def test_a_failed_command_comes_with_status_200():
    with pytest.raises(Refused, match="Task not found") as refusal:
        replay(plugin, "complete_task", "command_failed")

    assert refusal.value.status == 404


@pytest.mark.parametrize("body", [[], {}, {"sync_status": {}}, {"sync_status": {REQUEST_KEY: "perhaps"}}])
def test_an_answer_that_does_not_say_what_became_of_it_is_tried_later(
    alice: Client, todoist: TodoistStandin, body: object
):
    todoist.fail_next(200, body)

    with pytest.raises(TryLater, match="cannot read"):
        run(alice, "complete_task", task_id=MILK)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Reconnect), (429, TryLater), (500, TryLater), (403, Refused)]
)
def test_a_failed_command_means_what_its_status_means(
    alice: Client, todoist: TodoistStandin, status: int, kind: type[Exception]
):
    failure = {"error": "No", "error_code": 1, "error_tag": "NO", "http_code": status}
    told = failure | {"error_extra": {"retry_after": 3}}
    todoist.fail_next(200, {"sync_status": {REQUEST_KEY: told}})

    with pytest.raises(kind):
        run(alice, "complete_task", task_id=MILK)


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
