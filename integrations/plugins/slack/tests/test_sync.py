"""The messages of chosen channels come home; what changes later is heard of."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.plugins.slack import sync
from integrations.plugins.slack.plugin import plugin
from integrations.sdk import Client, Page, Place, Refused
from integrations.sdk.testing import pull
from tests.plugins.clients import client_at
from tests.standins.server import Request, Response, Standin, answer_with
from tests.standins.slack import BOT_TOKEN, SlackStandin
from tests.standins.slack_data import GENERAL, RANDOM


@pytest.fixture(scope="module")
def running() -> Iterator[SlackStandin]:
    with SlackStandin() as standin:
        yield standin


@pytest.fixture
def slack(running: SlackStandin) -> SlackStandin:
    running.reset()
    return running


@pytest.fixture
def team(slack: SlackStandin) -> Client:
    return client_at(plugin, slack, BOT_TOKEN)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "MOST", 2)


def read(client: Client, cursor: Mapping[str, Any] | None = None) -> Page:
    return sync.pull_messages(client, Place(cursor, GENERAL))


def whole(client: Client, cursor: Mapping[str, Any] | None = None) -> tuple[list[str], Page]:
    texts: list[str] = []
    for _ in range(50):
        page = read(client, cursor)
        texts += [item.data["text"] for item in page.items]
        cursor = page.cursor
        if not page.more:
            return texts, page
    raise AssertionError("It does not end.")


def test_channels_are_its_parts():
    assert plugin.syncs["messages"].parts_of({"channels": [GENERAL, RANDOM]}) == (GENERAL, RANDOM)
    assert plugin.syncs["messages"].parts_of({}) == ()


def test_a_message_is_named_within_its_channel(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sync, "MOST", 200)

    page = pull(plugin, "messages", cursor={"oldest": "1779999999.000000"}, part=GENERAL)

    assert page.items[0].id == f"{GENERAL}/{page.items[0].data['ts']}"
    assert page.cursor == {"oldest": page.items[0].data["ts"]}


def test_all_pages_are_read_and_then_only_what_is_new(team: Client, slack: SlackStandin):
    for number in range(5):
        slack.say("alice", GENERAL, f"Message {number}")
    texts, last = whole(team)
    slack.say("bob", GENERAL, "One more")

    later, end = whole(team, last.cursor)

    assert texts == [f"Message {number}" for number in range(4, -1, -1)]
    assert later == ["One more"]
    assert whole(team, end.cursor)[0] == []


def test_what_is_said_between_two_pages_comes_with_the_next_run(team: Client, slack: SlackStandin):
    for number in range(4):
        slack.say("alice", GENERAL, f"Message {number}")
    first = read(team)
    slack.say("bob", GENERAL, "In between")

    rest, end = whole(team, first.cursor)
    later, _ = whole(team, end.cursor)

    assert (rest, later) == (["Message 1", "Message 0"], ["In between"])


def test_an_empty_channel_stays_at_its_beginning(team: Client, slack: SlackStandin):
    page = read(team)
    slack.say("bob", GENERAL, "First")

    assert (page.cursor, page.more) == ({}, False)
    assert whole(team, page.cursor)[0] == ["First"]


def test_a_channel_that_the_app_is_no_member_of_is_refused_with_a_remedy(team: Client):
    with pytest.raises(Refused, match="/invite"):
        sync.pull_messages(team, Place(None, RANDOM))


class Hesitant(Standin):
    """Its first page is empty, and not the last."""

    def answer(self, request: Request) -> Response:
        if request.query.get("cursor") == "on":
            return answer_with(200, {"ok": True, "messages": [{"ts": "1.000000", "text": "Here"}]})
        answer = {"ok": True, "messages": [], "has_more": True, "response_metadata": {"next_cursor": "on"}}
        return answer_with(200, answer)


def test_an_empty_page_is_not_the_end():
    with Hesitant() as slack:
        texts, _ = whole(client_at(plugin, slack, BOT_TOKEN))

    assert texts == ["Here"]
