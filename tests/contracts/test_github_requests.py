"""Every request that the GitHub plugin makes, held to GitHub's own description."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.github.plugin import plugin
from integrations.plugins.github.webhook import register, unregister
from integrations.sdk import Client, Place, Subscription
from integrations.sdk.testing import REQUEST_KEY
from tests.contracts.openapi import described
from tests.plugins.clients import signed_in
from tests.ports import free_port
from tests.standins.github import TOKEN, GithubStandin
from tests.standins.server import Request

DOOR: dict[str, Any] = {"repository": "acme/door"}
ACTIONS: dict[str, list[dict[str, Any]]] = {
    "list_repositories": [{}, {"affiliation": "owner", "cursor": "2", "limit": 5}],
    "read_file": [{**DOOR, "path": "docs/hinges.md", "ref": "main"}],
    "list_issues": [DOOR, {**DOOR, "state": "all", "labels": ["house"], "assignee": "bob", "cursor": "1"}],
    "get_issue": [{**DOOR, "number": 1}],
    "list_comments": [{**DOOR, "number": 1, "cursor": "1"}],
    "search_issues": [{"query": "door"}, {"query": "is:pr door", "sort": "updated", "cursor": "1"}],
    "create_issue": [
        {**DOOR, "title": "Bell"},
        {**DOOR, "title": "Bell", "body": "It is silent.", "labels": ["house"], "assignees": ["bob"]},
    ],
    "update_issue": [
        {**DOOR, "number": 1, "state": "closed", "reason": "not_planned"},
        {**DOOR, "number": 1, "title": "A", "body": "B", "labels": [], "assignees": ["bob"], "state": "open"},
    ],
    "comment_on_issue": [{**DOOR, "number": 1, "body": "It closes again."}],
    "list_pull_requests": [DOOR, {**DOOR, "state": "closed", "target": "main", "cursor": "1"}],
    "get_pull_request": [{**DOOR, "number": 2}],
    "create_pull_request": [
        {**DOOR, "title": "Bell", "source": "bell", "target": "main"},
        {**DOOR, "title": "Knob", "source": "bob:knob", "target": "main", "body": "B", "is_draft": True},
    ],
}  # fmt: skip
# The description at hand was cut to 14 paths; what these take is in https://docs.github.com/rest.
CUT_AWAY = re.compile(r"GET /repos/[^/]+/[^/]+/contents/.+|(PATCH|DELETE) /repos/[^/]+/[^/]+/hooks/[0-9]+")


@pytest.fixture(scope="module")
def requests() -> Iterator[list[Request]]:
    with GithubStandin() as github:
        client = signed_in(plugin, github, "api_key", token=TOKEN)
        do_everything(client, f"http://127.0.0.1:{free_port()}/nobody-listens-here")
        github.outgoing.settle()
        yield list(github.requests)


def do_everything(client: Client, url: str) -> None:
    assert plugin.health_function
    plugin.health_function(client)
    for discover in plugin.discoveries.values():
        discover(client)
    for name, calls in ACTIONS.items():
        for arguments in calls:
            action = plugin.actions[name]
            action.run(client, action.validate(arguments), request_key=REQUEST_KEY)
    pull = plugin.syncs["issues"].function
    assert pull
    for cursor in (None, {"since": "2026-11-20T09:30:00Z", "page": 2}):
        pull(client, Place(cursor, "acme/door"))
    subscription = Subscription(url, "0123456789abcdef", resource="acme/door")
    facts = register(client, subscription).facts
    register(client, Subscription(url, "another", "acme/door", previous=facts))
    unregister(client, facts)


def test_every_action_is_among_them():
    assert ACTIONS.keys() == plugin.actions.keys()


def test_every_request_is_one_that_github_describes(requests: list[Request]):
    github = described("github-rest-subset.json")
    asked = [one for one in requests if not CUT_AWAY.fullmatch(f"{one.method} {one.path}")]

    assert len(asked) > len(ACTIONS)
    assert [said for one in asked for said in github.complaints(one)] == []


def test_every_request_names_the_version_and_who_asks(requests: list[Request]):
    for one in requests:
        assert one.headers["X-GitHub-Api-Version"] == "2022-11-28"
        assert one.headers["Accept"] == "application/vnd.github+json"
        assert one.headers["User-Agent"]


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", "/repos/acme/door/issues", {}, b'{"titel": "A"}'),
        ("POST", "/repos/acme/door/issues", {}, b'{"title": "A", "labels": "house"}'),
        ("PATCH", "/repos/acme/door/issues/1", {}, b'{"state": "done"}'),
        ("GET", "/repos/acme/door/issues", {"labels": "a", "colour": "red"}, b""),
        ("GET", "/repos/acme/door/issues", {"state": "done"}, b""),
        ("GET", "/search/issues", {"per_page": "5"}, b""),
        ("PUT", "/repos/acme/door/issues", {}, b""),
        ("GET", "/repos/acme/door/isues", {}, b""),
    ],
)
def test_the_checker_sees_what_is_wrong(method: str, path: str, query: dict[str, str], body: bytes):
    headers: Any = {}

    assert described("github-rest-subset.json").complaints(Request(method, path, query, headers, body))
