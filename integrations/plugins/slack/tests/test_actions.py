"""What agents read and write in Slack."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.slack.plugin import plugin
from integrations.sdk import Client, InvalidArguments, MissingScopes, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at, signed_in
from tests.standins.slack import BOT_TOKEN, SlackStandin
from tests.standins.slack_data import GENERAL, PRIVATE, RANDOM


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


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def test_a_thread_is_read_with_its_replies(team: Client, slack: SlackStandin):
    first = slack.say("alice", GENERAL, "The door does not close.")
    run(team, "reply_to_message", channel=GENERAL, thread_ts=first, text="I look into it.")

    thread = run(team, "list_replies", channel=GENERAL, thread_ts=first)["messages"]
    channel = run(team, "list_messages", channel=GENERAL)["messages"]

    assert [(one["text"], one["app"]) for one in thread] == [
        ("The door does not close.", None), ("I look into it.", "Navi"),
    ]  # fmt: skip
    assert [(one["text"], one["replies"]) for one in channel] == [("The door does not close.", 1)]


def test_messages_come_the_newest_first_and_page_by_page(team: Client, slack: SlackStandin):
    said = [slack.say("alice", GENERAL, f"Message {number}") for number in range(3)]

    first = run(team, "list_messages", channel=GENERAL, limit=2)
    second = run(team, "list_messages", channel=GENERAL, limit=2, cursor=first["next_cursor"])
    later = run(team, "list_messages", channel=GENERAL, since=said[1])

    assert [one["ts"] for page in (first, second) for one in page["messages"]] == said[::-1]
    assert second["next_cursor"] is None
    assert [one["ts"] for one in later["messages"]] == said[2:]


def test_a_message_of_ones_own_is_changed(team: Client, slack: SlackStandin):
    posted = run(team, "post_message", channel=GENERAL, text="The door is opn.")

    run(team, "update_message", channel=GENERAL, ts=posted["ts"], text="The door is open.")

    assert slack.messages[0]["text"] == "The door is open."


def test_somebody_elses_message_is_not():
    with pytest.raises(Refused, match="posted itself") as refusal:
        replay(plugin, "update_message", "message_is_somebody_elses")

    assert refusal.value.field == "ts"


def test_blocks_go_along_with_the_text(team: Client, slack: SlackStandin):
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*Open*"}}]

    run(team, "post_message", channel=GENERAL, text="Open", blocks=blocks)

    assert slack.messages[0]["blocks"] == blocks


def test_a_reply_that_may_have_arrived_is_not_sent_again(team: Client, slack: SlackStandin):
    first = slack.say("alice", GENERAL, "The door does not close.")
    slack.lose_next("/api/chat.postMessage")

    with pytest.raises(TryLater) as trouble:
        run(team, "reply_to_message", channel=GENERAL, thread_ts=first, text="I look into it.")

    assert trouble.value.sent
    assert len(slack.messages) == 2


def test_a_reaction_that_is_there_is_no_error(team: Client, slack: SlackStandin):
    ts = slack.say("alice", GENERAL, "The door is open.")

    for _ in range(2):
        run(team, "add_reaction", channel=GENERAL, ts=ts, emoji="tada")

    assert [one["count"] for one in slack.messages[0]["reactions"]] == [1]
    assert replay(plugin, "add_reaction", "reaction_is_there")["emoji"] == "eyes"


def test_a_channel_is_joined_before_it_is_read(team: Client):
    with pytest.raises(Refused, match="no member"):
        run(team, "list_messages", channel=RANDOM)

    assert run(team, "join_channel", channel=RANDOM)["is_member"]
    assert run(team, "list_messages", channel=RANDOM)["messages"] == []


def test_a_private_channel_cannot_be_joined(team: Client):
    with pytest.raises(Refused, match="public"):
        run(team, "join_channel", channel=PRIVATE)


def test_people_are_found_and_their_addresses_want_a_scope(team: Client, slack: SlackStandin):
    narrow = signed_in(plugin, slack, "oauth", access_token=slack.grant("users:read").access)

    assert run(team, "find_user", email="bob@example.org")["real_name"] == "Bob"
    assert {one["email"] for one in run(narrow, "list_users")["people"]} == {None}
    with pytest.raises(MissingScopes) as trouble:
        run(narrow, "find_user", email="bob@example.org")
    assert trouble.value.scopes == ("users:read.email",)


def test_people_can_be_chosen_from(team: Client):
    assert [choice.label for choice in plugin.discoveries["users"](team)] == ["Alice", "Bob", "Navi"]


def test_searching_wants_a_persons_token_and_says_so(team: Client, slack: SlackStandin):
    slack.say("alice", GENERAL, "The door does not close.")

    with pytest.raises(Refused, match="search:read"):
        run(team, "search_messages", query="door")
    assert replay(plugin, "search_messages")["total"] == 1


@pytest.mark.parametrize("ts", ["now", "1780000000", "1780000000.000100 ", "١٧٨.٠"])
def test_a_message_is_named_by_its_ts(ts: str):
    with pytest.raises(InvalidArguments) as refusal:
        plugin.actions["update_message"].validate({"channel": GENERAL, "ts": ts, "text": "A"})

    assert refusal.value.field == "ts"
