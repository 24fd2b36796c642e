"""How Linear's issues come home, and what follows when Linear calls."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.plugins.linear import sync
from integrations.plugins.linear.plugin import plugin
from integrations.sdk import (
    Client,
    Event,
    Headers,
    Hmac,
    Incoming,
    Item,
    MissingScopes,
    Page,
    Place,
    Refused,
    StartOver,
    Subscription,
)
from integrations.sdk.signatures import proves
from integrations.sdk.testing import REQUEST_KEY, pull
from tests.plugins.clients import client_at, signed_in
from tests.standins.linear import API_KEY, LinearStandin, id_for
from tests.standins.server import Request, Response, Standin, answer_with

TEAM = "5b0fc6c1-58d5-4b5c-8f0c-3a1b2c3d4e5f"
NEWEST = "2026-11-21T10:00:00.000Z"
DAY = 86_400


@pytest.fixture(scope="module")
def running() -> Iterator[LinearStandin]:
    with LinearStandin() as standin:
        yield standin


@pytest.fixture
def linear(running: LinearStandin) -> LinearStandin:
    running.reset()
    return running


@pytest.fixture
def alice(linear: LinearStandin) -> Client:
    return client_at(plugin, linear, API_KEY)


def read(client: Client, cursor: Any = None, *, teams: list[str] | None = None) -> Page:
    function = plugin.syncs["issues"].function
    assert function
    return function(client, Place(cursor, "", {"teams": teams or []}))


def run_of(client: Client, cursor: Any = None, *, teams: list[str] | None = None) -> tuple[list[Item], Any]:
    """All pages of one pass, and the cursor for the next."""
    items: list[Item] = []
    while True:
        page = read(client, cursor, teams=teams)
        items, cursor = [*items, *page.items], page.cursor
        if not page.more:
            return items, cursor


def cursor_at(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"teams": [], "whole_at": now, "since": None, "after": None, "newest": None, **more}


def titles(items: list[Item]) -> set[str]:
    return {item.data["title"] for item in items if not item.is_deleted}


# --- page by page


def test_the_first_pass_reads_everything_of_the_chosen_teams():
    page = pull(plugin, "issues", settings={"teams": [TEAM]})

    assert [item.data["identifier"] for item in page.items] == ["ENG-12"]
    assert page.items[0].data["description"] == "It sticks."
    assert page.more
    assert (page.cursor["after"], page.cursor["newest"], page.cursor["since"]) == (
        page.items[0].id,
        NEWEST,
        None,
    )


def test_the_last_page_says_from_when_the_next_pass_reads():
    under_way = cursor_at(teams=[TEAM], after="2f1c6f0a-6d0e-4a57-9d51-0a1f2b3c4d5e", newest=NEWEST)

    page = pull(plugin, "issues", "issues_last_page", cursor=under_way, settings={"teams": [TEAM]})

    assert page.more  # by what changed while the pages were read
    assert (page.cursor["since"], page.cursor["after"], page.cursor["newest"]) == (NEWEST, None, None)


def test_the_next_pass_reads_a_minute_earlier_and_the_archive_too():
    archived, trashed, again = pull(
        plugin, "issues", "issues_that_changed", cursor=cursor_at(since=NEWEST)
    ).items

    assert (archived.is_deleted, trashed.is_deleted, again.is_deleted) == (True, True, False)


# --- at the stand-in


def test_the_copy_follows_the_workspace(
    alice: Client, linear: LinearStandin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sync, "AT_ONCE", 2)
    items, cursor = run_of(alice)
    assert titles(items) == {"The door does not close", "Paint the door", "Oil the hinges"}

    linear.workspace.issue_update("ENG-1", {"title": "The door closes"})
    linear.workspace.issue_archive("ENG-2")
    linear.workspace.issue_delete("ENG-3")
    items, cursor = run_of(alice, cursor)

    assert titles(items) == {"The door closes"}
    assert {item.id for item in items if item.is_deleted} == {
        id_for("Paint the door"),
        id_for("Oil the hinges"),
    }
    assert cursor["since"]


def test_what_changes_while_the_pages_are_read_comes_with_the_next_pass(
    alice: Client, linear: LinearStandin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sync, "AT_ONCE", 1)
    first = read(alice)
    linear.workspace.issue_update("ENG-1", {"title": "Changed meanwhile"})
    _, cursor = run_of(alice, first.cursor)

    items, _ = run_of(alice, cursor)

    assert "Changed meanwhile" in titles(items)


def test_a_whole_pass_meets_what_changes_between_two_pages(
    alice: Client, linear: LinearStandin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sync, "AT_ONCE", 1)
    everything = {item.id for item in run_of(alice)[0]}
    first = read(alice)
    linear.workspace.issue_update("ENG-1", {"title": "Changed meanwhile"})

    rest, _ = run_of(alice, first.cursor)

    # What a whole pass does not meet counts as deleted.
    assert {item.id for item in [*first.items, *rest]} == everything


def test_only_issues_of_the_chosen_teams_are_kept(alice: Client, linear: LinearStandin):
    linear.workspace.issue_create({"teamId": id_for("OPS"), "title": "Sweep"})

    assert titles(run_of(alice, teams=[id_for("OPS")])[0]) == {"Sweep"}


def test_other_chosen_teams_start_over(alice: Client):
    _, cursor = run_of(alice, teams=[id_for("OPS")])

    with pytest.raises(StartOver):
        read(alice, cursor)


def test_a_page_linear_has_forgotten_starts_over(alice: Client):
    with pytest.raises(StartOver):
        read(alice, cursor_at(after="no such cursor", newest=NEWEST))


def test_a_refusal_of_the_first_page_is_no_reason_to_start_over(alice: Client, linear: LinearStandin):
    linear.fail_next(200, {"errors": [{"message": "No", "extensions": {"type": "invalid input"}}]})

    with pytest.raises(Refused):
        read(alice)


def test_everything_is_read_anew_each_week_and_not_within_a_pass(alice: Client):
    long_ago = (datetime.now(UTC) - timedelta(days=8)).isoformat()

    weekly = read(alice, cursor_at(whole_at=long_ago, since="2100-01-01T00:00:00.000Z"))
    assert weekly.starts_over
    assert len(weekly.items) == 3

    assert not read(alice, weekly.cursor).starts_over
    under_way = cursor_at(whole_at=long_ago, after=id_for("Oil the hinges"), newest=NEWEST)
    assert not read(alice, under_way).starts_over


def test_an_empty_workspace_is_read_without_a_moment(alice: Client, linear: LinearStandin):
    linear.workspace.issues.clear()

    page = read(alice)

    assert (list(page.items), page.more, page.cursor["since"]) == ([], False, None)
    assert list(read(alice, page.cursor).items) == []


# --- when Linear calls


def heard(said: Any) -> Any:
    incoming = Incoming("POST", Headers({}), {}, json.dumps(said).encode())
    assert plugin.webhook
    assert plugin.webhook.hear_function
    return plugin.webhook.hear_function(Event(plugin.webhook.event_type(incoming), REQUEST_KEY, incoming))


def test_a_changed_issue_is_kept_as_an_event_and_read_again(linear: LinearStandin):
    said = linear.workspace.message(
        "Issue", "update", {"id": "1", "identifier": "ENG-1"}, "https://linear.app/x"
    )

    follows = heard(said | {"updatedFrom": {"title": "Before"}})

    [kept] = follows.records["events"]
    assert (kept.data["type"], kept.data["action"], kept.data["actor"]) == ("Issue", "update", "Alice")
    assert kept.data["updated_from"] == {"title": "Before"}
    assert (follows.syncs, follows.summary) == (("issues",), "Issue ENG-1 changed")
    assert "alice@example.org" not in json.dumps(kept.data)


def test_a_removed_issue_is_gone_at_once():
    follows = heard({"type": "Issue", "action": "remove", "data": {"id": "7", "identifier": "ENG-7"}})

    assert follows.records["issues"] == [Item("7", is_deleted=True)]
    assert follows.summary == "Issue ENG-7 removed"


def test_a_comment_is_kept_and_no_issue_read():
    follows = heard({"type": "Comment", "action": "create", "data": {"id": "7"}})

    assert (follows.syncs, list(follows.records)) == ((), ["events"])


@pytest.mark.parametrize(
    "said", [[], None, 7, {}, {"type": "Issue", "action": "remove", "data": []}, {"actor": 1}]
)
def test_a_message_of_another_shape_breaks_nothing(said: Any):
    assert len(heard(said).records["events"]) == 1


def signed(said: dict[str, Any]) -> Incoming:
    body = json.dumps(said).encode()
    digest = hmac.new(b"lin_wh_secret", body, hashlib.sha256).hexdigest()
    return Incoming("POST", Headers({"Linear-Signature": digest, "Linear-Delivery": "d1"}), {}, body)


def test_linears_signature_is_known():
    # The vector of vendors.md 2.3.
    body = b'{"action":"create","type":"Issue","webhookTimestamp":1780000000000}'
    digest = "9d0e38b8ef81438ac7cd377574c5b4a86dd6a61eea08808670fad389ae4c2edb"
    incoming = Incoming("POST", Headers({"Linear-Signature": digest}), {}, body)

    assert plugin.webhook
    assert isinstance(plugin.webhook.proof, Hmac)
    assert proves(plugin.webhook.proof, incoming, ["lin_wh_secret"], now=1_780_000_000)
    assert not proves(plugin.webhook.proof, incoming, ["lin_wh_other"], now=1_780_000_000)


@pytest.mark.parametrize(("hours", "counts"), [(0, True), (1 / 60, True), (1, True), (6, True), (25, False)])
def test_a_late_try_with_the_first_moment_counts_for_a_day(hours: float, *, counts: bool):
    incoming = signed({"type": "Issue", "action": "create", "webhookTimestamp": 1_780_000_000_000})

    assert plugin.webhook
    assert isinstance(plugin.webhook.proof, Hmac)
    late = 1_780_000_000 + hours * 3600
    assert proves(plugin.webhook.proof, incoming, ["lin_wh_secret"], now=late) is counts
    assert plugin.webhook.delivery_id(incoming) == "d1"


# --- the webhook at Linear


class Hooks(Standin):
    """An address that Linear calls."""

    def answer(self, request: Request) -> Response:
        return answer_with(200)


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Hooks() as running:
        yield running


def register(client: Client, url: str, **more: Any) -> Any:
    assert plugin.webhook
    assert plugin.webhook.register_function
    return plugin.webhook.register_function(client, Subscription(url, "navis-secret", **more))


def unregister(client: Client, facts: Any) -> None:
    assert plugin.webhook
    assert plugin.webhook.unregister_function
    plugin.webhook.unregister_function(client, facts)


def test_a_registered_address_is_called_and_the_signature_holds(
    alice: Client, linear: LinearStandin, hooks: Hooks
):
    register(alice, f"{hooks.url}/hooks/1", resource=id_for("ENG"))

    linear.workspace.issue_update("ENG-1", {"title": "The door closes"})
    linear.workspace.issue_create({"teamId": id_for("OPS"), "title": "Sweep"})
    linear.outgoing.settle()

    [came] = hooks.requests
    incoming = Incoming("POST", Headers(dict(came.headers.items())), {}, came.body)
    assert plugin.webhook
    assert isinstance(plugin.webhook.proof, Hmac)
    assert proves(plugin.webhook.proof, incoming, ["navis-secret"], now=datetime.now(UTC).timestamp())
    assert plugin.webhook.event_type(incoming) == "Issue.update"
    assert incoming.data["updatedFrom"]["title"] == "The door does not close"


def test_without_a_team_it_hears_of_all_public_ones(alice: Client, linear: LinearStandin):
    register(alice, "https://navi.example/hooks/1")

    [hook] = linear.workspace.webhooks
    assert (hook.all_public_teams, hook.team) == (True, None)
    assert hook.resource_types == ["Issue", "Comment", "Project"]


def test_two_tries_register_one_webhook(alice: Client, linear: LinearStandin):
    given = {"id": REQUEST_KEY, "resource": id_for("ENG")}

    first, again = (register(alice, "https://navi.example/hooks/1", **given) for _ in range(2))

    assert first.facts == again.facts == {"id": REQUEST_KEY}
    assert len(linear.workspace.webhooks) == 1


def test_a_renewed_webhook_gets_the_new_secret(alice: Client, linear: LinearStandin):
    first = register(alice, "https://navi.example/hooks/1")
    linear.workspace.webhooks[0].secret = "the-old-one"

    again = register(alice, "https://navi.example/hooks/1", previous=first.facts)

    assert again.facts == first.facts
    assert [hook.secret for hook in linear.workspace.webhooks] == ["navis-secret"]


def test_an_unregistered_webhook_is_gone_and_twice_is_no_harm(alice: Client, linear: LinearStandin):
    facts = register(alice, "https://navi.example/hooks/1").facts

    unregister(alice, facts)
    unregister(alice, facts)

    assert linear.workspace.webhooks == []


def test_who_is_no_admin_is_told_what_is_missing(linear: LinearStandin):
    token = linear.grant("write").access

    with pytest.raises(MissingScopes) as trouble:
        register(signed_in(plugin, linear, "oauth", access_token=token), "https://navi.example/hooks/1")

    assert trouble.value.scopes == ("admin",)
