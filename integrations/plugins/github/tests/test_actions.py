"""What agents do with issues, pull requests and files, and what is told apart."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.github.plugin import plugin
from integrations.sdk import Client, InvalidArguments, MissingScopes, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import signed_in
from tests.standins.github import TOKEN, GithubStandin

DOOR = "acme/door"


@pytest.fixture(scope="module")
def running() -> Iterator[GithubStandin]:
    with GithubStandin() as standin:
        yield standin


@pytest.fixture
def github(running: GithubStandin) -> GithubStandin:
    running.reset()
    return running


@pytest.fixture
def alice(github: GithubStandin) -> Client:
    return signed_in(plugin, github, "api_key", token=TOKEN)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def test_an_issue_is_closed_with_its_reason_and_reopened(alice: Client):
    closed = run(alice, "update_issue", repository=DOOR, number=1, state="closed", reason="not_planned")
    opened = run(alice, "update_issue", repository=DOOR, number=1, state="open")

    assert (closed["state"], opened["state"]) == ("closed", "open")


def test_what_is_not_given_stays_and_an_empty_list_takes_off(alice: Client, github: GithubStandin):
    changed = run(alice, "update_issue", repository=DOOR, number=3, labels=[])

    assert (changed["labels"], changed["title"]) == ([], "Oil the hinges")
    assert github.asked("/repos/acme/door/issues/3", "PATCH")[0].json() == {"labels": []}


def test_a_change_may_be_said_twice_a_comment_may_not(alice: Client, github: GithubStandin):
    github.lose_next("/repos/acme/door/issues/1")
    github.lose_next("/repos/acme/door/issues/1/comments")

    run(alice, "update_issue", repository=DOOR, number=1, title="The door sticks")
    with pytest.raises(TryLater) as trouble:
        run(alice, "comment_on_issue", repository=DOOR, number=1, body="It does.")

    assert trouble.value.sent
    assert [one["body"] for one in github.comments] == ["It does."]


def test_a_comment_is_counted_and_read_again(alice: Client):
    run(alice, "comment_on_issue", repository=DOOR, number=1, body="It closes again.")

    assert run(alice, "get_issue", repository=DOOR, number=1)["comments"] == 1
    assert [one["body"] for one in run(alice, "list_comments", repository=DOOR, number=1)["comments"]] == [
        "It closes again."
    ]


def test_a_search_tells_issues_and_pull_requests_apart(alice: Client):
    found = run(alice, "search_issues", query="repo:acme/door door")["results"]

    assert [(one["number"], one["is_pull_request"]) for one in found] == [(1, False), (2, True)]
    assert {one["repository"] for one in found} == {DOOR}


def test_a_pull_request_has_its_branches(alice: Client):
    made = run(alice, "create_pull_request", repository=DOOR, title="Bell", source="bell", target="main")

    read = run(alice, "get_pull_request", repository=DOOR, number=made["number"])
    assert (read["source"], read["target"], read["is_merged"]) == ("acme:bell", "main", False)
    listed = run(alice, "list_pull_requests", repository=DOOR, target="main")["pull_requests"]
    assert [one["title"] for one in listed] == ["Bell", "Paint the door"]


def test_a_second_pull_request_for_a_branch_is_refused():
    with pytest.raises(Refused, match="already exists"):
        replay(plugin, "create_pull_request", "pull_request_exists")


def test_a_file_is_read_as_text(alice: Client):
    assert run(alice, "read_file", repository=DOOR, path="docs/hinges.md")["text"] == "Oil them.\n"


def test_what_is_no_text_is_null(alice: Client, github: GithubStandin):
    image = {
        "path": "a.png", "size": 4, "sha": "1", "html_url": "https://github.com/a", "encoding": "base64",
        "content": "iVBORw==\n",
    }  # fmt: skip
    github.fail_next(200, image)
    github.fail_next(200, image | {"encoding": "none", "content": ""})

    assert run(alice, "read_file", repository=DOOR, path="a.png")["text"] is None
    assert run(alice, "read_file", repository=DOOR, path="big.txt")["text"] is None


def test_a_folder_is_no_file_but_tells_what_is_in_it():
    with pytest.raises(Refused, match=r"hinges\.md"):
        replay(plugin, "read_file", "file_is_a_folder")


@pytest.mark.parametrize("path", ["../../user", "docs/../../x", "./a"])
def test_a_path_does_not_leave_its_repository(alice: Client, github: GithubStandin, path: str):
    with pytest.raises(Refused, match="part"):
        run(alice, "read_file", repository=DOOR, path=path)

    assert github.requests == []


def test_a_name_with_odd_letters_stays_one_file(alice: Client, github: GithubStandin):
    github.files["what? 100%/#1.md"] = "Odd.\n"

    assert run(alice, "read_file", repository=DOOR, path="what? 100%/#1.md")["text"] == "Odd.\n"


@pytest.mark.parametrize("number", [0, -1, "1", 1.5])
def test_a_number_is_a_number(number: Any):
    with pytest.raises(InvalidArguments):
        plugin.actions["get_issue"].validate({"repository": DOOR, "number": number})


WRITES: dict[str, dict[str, Any]] = {
    "update_issue": {"number": 1, "title": "A"},
    "comment_on_issue": {"number": 1, "body": "A"},
    "create_pull_request": {"title": "A", "source": "b", "target": "main"},
}


@pytest.mark.parametrize("action", WRITES)
def test_who_may_only_look_may_not_write(github: GithubStandin, action: str):
    client = signed_in(plugin, github, "oauth", access_token=github.grant("read:user").access)

    with pytest.raises(MissingScopes) as trouble:
        run(client, action, repository=DOOR, **WRITES[action])

    assert trouble.value.scopes == plugin.actions[action].scopes
