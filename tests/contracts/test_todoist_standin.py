"""The Todoist stand-in, held to what Todoist's own client makes of it.

What the client cannot ask for (a foreign cursor, a limit of 201, the exact error body) is asked by hand.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx  # noqa: TID251 - the official client is built on it
import pytest
from todoist_api_python.api import TodoistAPI

from tests.contracts import REPOSITORY
from tests.standins.todoist import GARDEN, HOME, INBOX, INVOICE, KEY, MILK, TULIPS, TodoistStandin


class Rewriting(httpx.BaseTransport):
    """Send what is meant for api.todoist.com to the stand-in."""

    def __init__(self, url: str) -> None:
        self.url = httpx.URL(url)
        self.wire = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host=self.url.host, port=self.url.port)
        return self.wire.handle_request(request)

    def close(self) -> None:
        self.wire.close()


@pytest.fixture(scope="module")
def running() -> Iterator[TodoistStandin]:
    with TodoistStandin() as standin:
        yield standin


@pytest.fixture
def todoist(running: TodoistStandin) -> TodoistStandin:
    running.reset()
    return running


@pytest.fixture
def alices_client(todoist: TodoistStandin) -> Iterator[TodoistAPI]:
    with TodoistAPI(KEY, client=httpx.Client(transport=Rewriting(todoist.url))) as client:
        yield client


@pytest.fixture
def charlies_client(todoist: TodoistStandin) -> Iterator[TodoistAPI]:
    with TodoistAPI("f" * 40, client=httpx.Client(transport=Rewriting(todoist.url))) as client:
        yield client


@pytest.fixture
def by_hand(todoist: TodoistStandin) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{todoist.url}/api/v1", headers=headers) as client:
        yield client


def test_alice_reads_her_projects_over_several_pages(alices_client, todoist):
    pages = list(alices_client.get_projects(limit=2))

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [project.name for page in pages for project in page][:3] == ["Inbox", "Home", "Garden"]
    assert pages[0][0].is_inbox_project
    assert [request.query.get("limit") for request in todoist.requests] == ["2", "2", "2"]


def test_alice_adds_a_task_and_finds_it_again(alices_client):
    added = alices_client.add_task(
        "Feed the cat",
        description="Twice",
        project_id=HOME,
        labels=["pets"],
        priority=3,
        due_date=date(2027, 1, 2),
        duration=15,
        duration_unit="minute",
    )

    found = alices_client.get_task(added.id)
    assert found == added
    assert (found.content, found.project_id, found.labels, found.priority) == (
        "Feed the cat",
        HOME,
        ["pets"],
        3,
    )
    assert found.due.date == date(2027, 1, 2)
    assert found.duration.amount == 15
    assert re.fullmatch(r"\w{16}", found.id)


def test_a_task_without_a_project_lands_in_the_inbox(alices_client):
    assert alices_client.add_task("Feed the cat").project_id == INBOX


def test_alice_completes_and_reopens_a_task(alices_client, by_hand):
    assert alices_client.complete_task(MILK)
    assert alices_client.get_task(MILK).is_completed
    assert MILK not in ids(alices_client.get_tasks())

    assert by_hand.post(f"/tasks/{MILK}/reopen").text == "null"
    assert not alices_client.get_task(MILK).is_completed


def test_a_recurring_task_moves_on_instead_of_ending(alices_client):
    task = alices_client.add_task("Water the tulips", due_string="every day")

    alices_client.complete_task(task.id)

    moved = alices_client.get_task(task.id)
    assert not moved.is_completed
    assert (moved.due.date - task.due.date).days == 1


def test_alice_deletes_a_task_with_what_hangs_below_it(alices_client):
    below = alices_client.add_task("Oat milk", parent_id=MILK)

    alices_client.delete_task(MILK)

    with pytest.raises(httpx.HTTPStatusError, match="404"):
        alices_client.get_task(below.id)


def test_alice_changes_and_moves_a_task(alices_client):
    changed = alices_client.update_task(MILK, content="Buy oat milk", labels=["vegan"])
    assert alices_client.move_task(MILK, project_id=GARDEN)

    assert (changed.content, changed.labels) == ("Buy oat milk", ["vegan"])
    assert alices_client.get_task(MILK).project_id == GARDEN


def test_alice_adds_a_task_in_todoists_shorthand(alices_client):
    task = alices_client.add_task_quick("Sweep #Home @chore p2", note="With the new broom")

    assert (task.content, task.project_id, task.labels, task.priority) == ("Sweep", HOME, ["chore"], 3)
    assert [one.content for page in alices_client.get_comments(task_id=task.id) for one in page] == [
        "With the new broom"
    ]


def test_alice_comments_on_a_task_and_takes_it_back(alices_client):
    made = alices_client.add_comment("Oat is fine", task_id=MILK)
    assert alices_client.get_comment(made.id) == made

    alices_client.delete_comment(made.id)

    assert list(alices_client.get_comments(task_id=MILK)) == [[]]


def test_alice_lists_sections_and_labels(alices_client):
    assert [one.name for page in alices_client.get_sections(project_id=HOME) for one in page] == ["Shelf"]
    assert [one.name for page in alices_client.get_labels() for one in page] == ["shop", "money"]


def test_alice_sees_what_she_completed(alices_client):
    alices_client.complete_task(MILK)
    at = datetime.now(UTC)

    done = alices_client.get_completed_tasks_by_completion_date(
        since=at - timedelta(days=1), until=at + timedelta(days=1)
    )

    assert ids(done) == [MILK]


def test_a_sync_that_is_sent_as_a_form_reads_and_writes(by_hand):
    command = {"type": "item_add", "uuid": "u1", "temp_id": "t1", "args": {"content": "Buy bread"}}
    wanted = {"sync_token": "*", "resource_types": '["items"]', "commands": json.dumps([command])}

    first, again = (by_hand.post("/sync", data=wanted).json() for _ in range(2))

    assert first["sync_status"] == again["sync_status"] == {"u1": "ok"}
    assert first["temp_id_mapping"] == again["temp_id_mapping"]
    assert [one["content"] for one in again["items"]].count("Buy bread") == 1


def test_a_token_brings_what_changed_and_a_forgotten_one_everything(by_hand, todoist):
    def changes(token):
        return by_hand.post("/sync", json={"sync_token": token, "resource_types": ["items"]}).json()

    first = changes("*")
    by_hand.post(f"/tasks/{MILK}/close")
    second = changes(first["sync_token"])
    todoist.forget_sync_tokens()
    third = changes(second["sync_token"])

    assert [(one["id"], one["checked"]) for one in second["items"]] == [(MILK, True)]
    assert (first["full_sync"], second["full_sync"], third["full_sync"]) == (True, False, True)
    assert changes("nonsense")["error_extra"]["argument"] == "sync_token"


def test_a_failed_command_is_told_with_status_200(by_hand):
    commands = [{"type": "item_close", "uuid": "u1", "args": {"id": "6XGgmFVcrG5RRjWW"}}]

    answer = by_hand.post("/sync", json={"commands": commands})

    failure = answer.json()["sync_status"]["u1"]
    assert (answer.status_code, failure["http_code"], failure["error_tag"]) == (200, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"project_id": GARDEN}, [TULIPS]),
        ({"label": "shop"}, [MILK]),
        ({"ids": [MILK, INVOICE]}, [MILK, INVOICE]),
    ],
)
def test_alice_lists_tasks_by_project_label_or_id(alices_client, asked, found):
    assert ids(alices_client.get_tasks(**asked)) == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("today", [MILK]),
        ("p1", [INVOICE]),
        ("no date & !p1", [TULIPS]),
        ("#Garden | @money", [TULIPS, INVOICE]),
        ("search: invoice", [INVOICE]),
    ],
)
def test_alice_filters_tasks_in_todoists_own_words(alices_client, query, found):
    assert ids(alices_client.filter_tasks(query=query)) == found


def test_charlies_token_is_refused_as_documented(charlies_client):
    with pytest.raises(httpx.HTTPStatusError) as refused:
        list(charlies_client.get_projects())

    response = refused.value.response
    assert response.status_code == 401
    assert "resource_metadata=" in response.headers["WWW-Authenticate"]
    body = response.json()
    assert body.pop("error_extra").keys() == {"retry_after", "event_id"}
    assert body == {
        "error": "Unauthorized",
        "error_code": 477,
        "error_tag": "UNAUTHORIZED",
        "http_code": 401,
    }


def test_a_key_without_the_word_bearer_is_refused(by_hand):
    assert by_hand.get("/user", headers={"Authorization": KEY}).status_code == 401


def test_adas_token_may_add_tasks_and_nothing_else(by_hand, todoist):
    todoist.accept_keys({KEY: {"task:add"}})

    assert by_hand.post("/tasks", json={"content": "Buy bread"}).status_code == 200
    refused = by_hand.get("/user")
    assert (refused.status_code, refused.json()["error_tag"]) == (403, "FORBIDDEN")


def test_the_health_check_names_alice(by_hand):
    user = by_hand.get("/user").json()

    assert (user["full_name"], user["email"]) == ("Alice", "alice@example.org")
    assert user["inbox_project_id"] == INBOX
    assert user["tz_info"]["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("body", "argument"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": "a" * 501}, "content"),
        ({"content": "a", "priority": 5}, "priority"),
        ({"content": "a", "due_date": "next Friday"}, "due_date"),
        ({"content": "a", "duration": 5}, "duration_unit"),
    ],
)
def test_a_task_todoist_would_not_take_names_the_argument(by_hand, todoist, body, argument):
    response = by_hand.post("/tasks", json=body)

    assert response.status_code == 400
    assert response.json()["error_extra"]["argument"] == argument
    assert len(todoist.tasks) == 3


def test_a_request_id_longer_than_36_characters_is_refused(by_hand):
    headers = {"X-Request-Id": "a" * 37}

    response = by_hand.post("/tasks", json={"content": "Buy bread"}, headers=headers)

    assert response.json()["error_extra"]["argument"] == "X-Request-Id"


def test_a_page_of_more_than_200_is_refused(by_hand):
    body = by_hand.get("/tasks?limit=201").json()

    assert (body["http_code"], body["error_code"]) == (400, 20)
    assert body["error_extra"]["argument"] == "limit"


def test_a_cursor_belongs_to_its_question(by_hand):
    cursor = by_hand.get("/projects?limit=2").json()["next_cursor"]

    for question in (f"/tasks?cursor={cursor}", f"/projects?label=a&cursor={cursor}", "/projects?cursor=a"):
        body = by_hand.get(question).json()
        assert (body["error_tag"], body["error_extra"]["argument"]) == ("INVALID_ARGUMENT_VALUE", "cursor")


@pytest.mark.parametrize("path", ["/tasks/6XGgmFVcrG5RRjWW", "/nonsense"])
def test_what_is_not_there_is_not_found(by_hand, path):
    body = by_hand.get(path).json()

    assert (body["http_code"], body["error_tag"]) == (404, "NOT_FOUND")


def test_a_flood_is_answered_with_429_and_how_long_to_wait(by_hand, todoist):
    todoist.rate_limit_next(retry_after=7)

    limited, after = by_hand.get("/projects"), by_hand.get("/projects")

    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited.json()["error_extra"]["retry_after"] == 7
    assert after.status_code == 200


def test_the_stand_in_fails_as_often_as_it_was_told(by_hand, todoist):
    todoist.fail_next(503, "Back soon", times=2)

    assert [by_hand.get("/user").status_code for _ in range(3)] == [503, 503, 200]
    assert len(todoist.requests) == 3


def test_a_client_that_gives_up_lost_the_answer_and_not_the_task(by_hand, todoist):
    before = len(todoist.tasks)
    todoist.delay(60)

    with pytest.raises(httpx.ReadTimeout):
        by_hand.post("/tasks", json={"content": "Buy bread"}, timeout=0.5)

    end = time.monotonic() + 50  # before the answer leaves
    while len(todoist.tasks) == before and time.monotonic() < end:
        time.sleep(0.01)
    assert "Buy bread" in [task["content"] for task in todoist.tasks.values()]


def test_the_stand_in_remembers_what_it_was_asked(by_hand, todoist):
    by_hand.post("/tasks?a=b", json={"content": "Buy bread"})

    asked = todoist.requests[-1]
    assert (asked.method, asked.path, asked.query) == ("POST", "/api/v1/tasks", {"a": "b"})
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json() == {"content": "Buy bread"}


def test_the_stand_in_runs_as_a_process_of_its_own():
    command = [sys.executable, "-m", "tests.standins.todoist", "--key", "alices"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().removeprefix("listening on ").strip()
        with httpx.Client(base_url=url, headers={"Authorization": "Bearer alices"}) as client:
            client.post("/_standin/fail_next", json={"status": 500, "body": {"error": "Outage"}})
            answers = [client.get("/api/v1/user").status_code for _ in range(2)]
            remembered = client.get("/_standin/requests").json()
            process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()

    assert answers == [500, 200]
    assert [request["path"] for request in remembered] == ["/api/v1/user", "/api/v1/user"]
    assert process.returncode == 0
    assert time.monotonic() - stopped < 25


def ids(pages):
    return [task.id for page in pages for task in page]
