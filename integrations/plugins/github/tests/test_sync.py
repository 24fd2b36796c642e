"""The issues of a repository come home page by page, and none is left out that changes meanwhile."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.plugins.github import sync
from integrations.plugins.github.plugin import plugin
from integrations.sdk import Client, Page, Place
from integrations.sdk.testing import pull
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


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "MOST", 2)


def read(client: Client, cursor: Mapping[str, Any] | None = None) -> Page:
    return sync.pull_issues(client, Place(cursor, DOOR))


def whole(client: Client, cursor: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Page]:
    """All items of a run by their ids, and its last page."""
    items: dict[str, Any] = {}
    for _ in range(50):
        page = read(client, cursor)
        items |= {item.id: item.data for item in page.items}
        cursor = page.cursor
        if not page.more:
            return items, page
    raise AssertionError("It does not end.")


def test_repositories_are_its_parts():
    assert plugin.syncs["issues"].parts_of({"repositories": [DOOR, "a/b", DOOR]}) == (DOOR, "a/b")
    assert plugin.syncs["issues"].parts_of({}) == ()


def test_a_page_holds_issues_and_pull_requests_told_apart():
    page = pull(plugin, "issues", part=DOOR)

    assert sorted((item.id, item.data["is_pull_request"]) for item in page.items) == [
        ("acme/door#1", False), ("acme/door#2", True), ("acme/door#3", False), ("acme/door#4", True),
    ]  # fmt: skip
    assert not page.more


@pytest.mark.usefixtures("small_pages")
def test_more_issues_of_one_moment_than_a_page_takes_are_all_read(alice: Client, github: GithubStandin):
    for number in range(7):
        github.add_issue(DOOR, title=f"Issue {number}")

    items, _ = whole(alice)

    assert len(items) == 10


@pytest.mark.usefixtures("small_pages")
def test_what_changes_between_two_pages_pushes_nothing_out(alice: Client, github: GithubStandin):
    for issue in github.issues[DOOR]:
        issue["updated_at"] = github.moment()
    first = read(alice)
    github.issues[DOOR][0]["updated_at"] = github.moment()

    rest, _ = whole(alice, first.cursor)

    assert {item.id for item in first.items} | set(rest) == {"acme/door#1", "acme/door#2", "acme/door#3"}
    assert "acme/door#1" in rest


def test_the_next_run_reads_only_what_changed(alice: Client, github: GithubStandin):
    _, last = whole(alice)
    github.ticks = 600
    github.issues[DOOR][0] |= {"state": "closed", "updated_at": github.moment()}
    changed, end = whole(alice, last.cursor)

    later, _ = whole(alice, end.cursor)

    assert changed["acme/door#1"]["state"] == "closed"
    assert list(later) == ["acme/door#1"]
    assert github.requests[-1].query["since"] < github.issues[DOOR][0]["updated_at"]


def test_an_empty_repository_is_read_again_from_its_beginning(alice: Client):
    page = sync.pull_issues(alice, Place(None, "alice/garden"))

    assert (page.items, page.cursor, page.more) == ([], {}, False)
    assert sync.pull_issues(alice, Place(page.cursor, "alice/garden")).items == []
