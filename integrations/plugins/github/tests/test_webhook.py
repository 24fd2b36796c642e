"""What GitHub sends: its own examples, and what the stand-in really POSTs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.github.plugin import plugin
from integrations.plugins.github.webhook import hook, register, unregister
from integrations.sdk import Client, Event, Headers, Heard, Incoming, Subscription
from tests.contracts import CONTRACTS
from tests.plugins.clients import signed_in
from tests.plugins.receiver import Receiver, event_of, heard_by
from tests.standins.github import TOKEN, GithubStandin

DOOR, SECRET = "acme/door", "0123456789abcdef"
EXAMPLES = CONTRACTS / "github-webhook-examples.json"


def published() -> list[tuple[str, dict[str, Any]]]:
    if not EXAMPLES.is_file():
        return []
    kinds = json.loads(EXAMPLES.read_text())
    return [(kind["name"], example) for kind in kinds for example in kind["examples"]]


def delivered(kind: str, body: bytes, content_type: str = "application/json") -> Event:
    headers = {"X-GitHub-Event": kind, "X-GitHub-Delivery": "a-guid", "Content-Type": content_type}
    return event_of(hook, Incoming("POST", Headers(headers), {}, body))


def heard(kind: str, said: Any) -> Heard:
    return heard_by(hook, delivered(kind, json.dumps(said).encode()))


# --- what follows


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="GitHub's examples are not at hand (NAVI_CONTRACTS).")
def test_every_example_of_githubs_is_understood():
    for kind, example in published():
        event = delivered(kind, json.dumps(example).encode())
        found = heard_by(hook, event)

        assert event.type == ".".join(filter(None, (kind, example.get("action"))))
        assert found.summary
        assert found.is_ignored == (kind == "ping")
        assert len(found.records.get("events", ())) == (kind != "ping")
        assert json.dumps([dict(item.data) for items in found.records.values() for item in items])


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="GitHub's examples are not at hand (NAVI_CONTRACTS).")
@pytest.mark.parametrize("kind", ["issues", "issue_comment", "pull_request"])
def test_what_happens_to_an_issue_is_read_again_in_its_repository(kind: str):
    for _, example in [one for one in published() if one[0] == kind]:
        found = heard(kind, example)

        assert found.syncs == ("issues",)
        assert found.part == example["repository"]["full_name"]


def test_a_deleted_issue_leaves_a_tombstone():
    said = {"action": "deleted", "issue": {"number": 7, "title": "Gone"}, "repository": {"full_name": DOOR}}

    found = heard("issues", said)

    assert [(item.id, item.is_deleted) for item in found.records["issues"]] == [("acme/door#7", True)]


def test_a_form_is_understood_too():
    said = {"action": "opened", "issue": {"number": 7, "title": "Bell"}, "repository": {"full_name": DOOR}}
    body = "payload=" + json.dumps(said).replace(" ", "+").replace("/", "%2F")

    event = delivered("issues", body.encode(), "application/x-www-form-urlencoded")

    assert (event.type, heard_by(hook, event).part) == ("issues.opened", DOOR)


@pytest.mark.parametrize(
    "said",
    [
        {}, [], 1, None, "text", {"issue": 1}, {"repository": "x", "sender": 3, "commits": [1, None]},
        {"comment": "x", "action": ["a"]}, {"pull_request": {"number": "9"}, "repository": {"full_name": 1}},
    ],
)  # fmt: skip
def test_odd_bodies_break_nothing(said: Any):
    for kind in ("issues", "push", "ping", "issue_comment", "unheard_of"):
        assert heard(kind, said).summary


# --- setting it up


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


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with Receiver(plugin, SECRET) as receiver:
        yield receiver


@pytest.fixture
def receiver(listening: Receiver) -> Receiver:
    listening.reset()
    return listening


def subscription(receiver: Receiver, **more: Any) -> Subscription:
    return Subscription(f"{receiver.url}/hooks/1", SECRET, resource=DOOR, **more)


def test_a_hook_is_registered_greets_and_tells(alice: Client, github: GithubStandin, receiver: Receiver):
    registered = register(alice, subscription(receiver))
    create = plugin.actions["create_issue"]
    create.run(alice, create.validate({"repository": DOOR, "title": "Fix the bell"}), request_key="")
    github.outgoing.settle()

    assert [event.type for event in receiver.events] == ["ping", "issues.opened"]
    assert [found.is_ignored for found in receiver.heard] == [True, False]
    assert (receiver.heard[1].part, receiver.refused) == (DOOR, 0)
    assert registered.facts == {"id": github.hooks[DOOR][0]["id"], "repository": DOOR}
    assert SECRET not in json.dumps(registered.facts)


def test_a_redelivery_keeps_its_id(alice: Client, github: GithubStandin, receiver: Receiver):
    register(alice, subscription(receiver))
    github.outgoing.settle()
    github.redeliver()
    github.outgoing.settle()

    assert len(receiver.events) == 2
    assert len({event.id for event in receiver.events}) == 1


def test_a_new_secret_goes_to_the_hook_that_is_there(
    alice: Client, github: GithubStandin, receiver: Receiver
):
    facts = register(alice, subscription(receiver)).facts

    again = register(alice, Subscription(f"{receiver.url}/hooks/1", "another", DOOR, previous=facts))

    assert again.facts == facts
    assert [one["config"]["secret"] for one in github.hooks[DOOR]] == ["another"]


def test_a_hook_is_removed_also_when_somebody_was_faster(
    alice: Client, github: GithubStandin, receiver: Receiver
):
    facts = register(alice, subscription(receiver)).facts

    unregister(alice, facts)
    unregister(alice, facts)

    assert github.hooks[DOOR] == []


def test_a_hook_that_forms_are_sent_to_is_heard(github: GithubStandin, receiver: Receiver, alice: Client):
    config = {"url": receiver.url, "content_type": "form", "secret": SECRET}
    alice.post(f"/repos/{DOOR}/hooks", json={"name": "web", "events": ["*"], "config": config})
    github.outgoing.settle()

    assert [event.type for event in receiver.events] == ["ping"]


def test_the_scope_is_offered_and_repo_includes_it():
    assert plugin.own_provider
    assert set(hook.scopes) <= set(plugin.all_scopes)
    sign_in: Any = plugin.own_provider.auth_of("oauth")
    assert "admin:repo_hook" in sign_in.covered(["repo"])
    assert hook.resource in plugin.discoveries
