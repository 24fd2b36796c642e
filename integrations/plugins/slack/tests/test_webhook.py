"""What Slack sends, really POSTed and signed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.slack.plugin import plugin
from integrations.plugins.slack.webhook import hook
from integrations.sdk import Client, Event, Headers, Heard, Incoming
from integrations.sdk.signatures import proves
from integrations.sdk.testing import REQUEST_KEY
from tests.plugins.clients import client_at
from tests.plugins.receiver import Receiver, event_of, heard_by
from tests.standins.slack import BOT_TOKEN, SIGNING_SECRET, SlackStandin
from tests.standins.slack_data import APP, GENERAL


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


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with Receiver(plugin, SIGNING_SECRET) as receiver:
        yield receiver


@pytest.fixture
def receiver(listening: Receiver, slack: SlackStandin) -> Receiver:
    listening.reset()
    listening.secret = SIGNING_SECRET
    assert slack.listen(f"{listening.url}/hooks/1").status == 200
    return listening


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def test_the_challenge_is_answered_only_with_a_proof(slack: SlackStandin, listening: Receiver):
    listening.reset()
    listening.secret = "another"

    sent = slack.listen(f"{listening.url}/hooks/1")

    assert (sent.status, slack.events_url, listening.refused) == (404, "", 1)


def test_a_message_is_read_where_its_channel_is_kept(slack: SlackStandin, receiver: Receiver):
    slack.say("alice", GENERAL, "The door does not close.")
    slack.outgoing.settle()

    [event], [found] = receiver.events, receiver.heard
    assert (event.type, found.syncs, found.part) == ("message", ("messages",), GENERAL)
    assert event.id.startswith("Ev")
    assert found.records["events"][0].data["text"] == "The door does not close."


def test_the_apps_own_messages_are_let_be(team: Client, slack: SlackStandin, receiver: Receiver):
    run(team, "post_message", channel=GENERAL, text="Hello")
    slack.outgoing.settle()

    assert [(found.is_ignored, found.syncs) for found in receiver.heard] == [(True, ())]


def test_what_is_changed_or_deleted_is_so_at_once(slack: SlackStandin, receiver: Receiver):
    ts = slack.say("alice", GENERAL, "Opn")
    slack.change(ts, "Open")
    slack.delete(ts)
    slack.outgoing.settle()

    changed, deleted = [found.records["messages"][0] for found in receiver.heard[1:]]
    assert (changed.id, changed.data["text"], changed.data["is_edited"]) == (f"{GENERAL}/{ts}", "Open", True)
    assert (deleted.id, deleted.is_deleted) == (changed.id, True)
    assert [found.part for found in receiver.heard] == [GENERAL] * 3


def test_a_reply_that_is_changed_stays_in_its_thread(slack: SlackStandin, receiver: Receiver):
    ts = slack.say("alice", GENERAL, "Who is coming?")
    reply = slack.say("alice", GENERAL, "M", thread_ts=ts)
    slack.change(reply, "Me")
    slack.outgoing.settle()

    assert [found.records.get("messages") for found in receiver.heard] == [None] * 3


def test_what_the_app_changes_is_changed_here_too(team: Client, slack: SlackStandin, receiver: Receiver):
    ts = run(team, "post_message", channel=GENERAL, text="Opn")["ts"]
    run(team, "update_message", channel=GENERAL, ts=ts, text="Open")
    slack.outgoing.settle()

    found = receiver.heard[-1]
    assert (found.is_ignored, found.records["messages"][0].data["text"]) == (False, "Open")
    assert "events" not in found.records


def test_a_reaction_is_an_event(team: Client, slack: SlackStandin, receiver: Receiver):
    ts = slack.say("alice", GENERAL, "The door is open.")
    run(team, "add_reaction", channel=GENERAL, ts=ts, emoji="tada")
    slack.outgoing.settle()

    told = receiver.heard[-1].records["events"][0].data
    assert (told["type"], told["emoji"], told["channel"], told["ts"]) == (
        "reaction_added", "tada", GENERAL, ts,
    )  # fmt: skip


def test_an_uninstalled_app_needs_a_person(slack: SlackStandin, receiver: Receiver):
    slack.uninstall()
    slack.outgoing.settle()

    assert [(event.type, found.revoked) for event, found in zip(receiver.events, receiver.heard, strict=True)] == [
        ("app_uninstalled", True), ("tokens_revoked", True),
    ]  # fmt: skip


def test_a_single_persons_token_is_not_the_apps():
    said = {
        "type": "event_callback",
        "event": {"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}},
    }

    assert not heard(said).revoked


def test_events_that_were_left_out_are_caught_up_with(slack: SlackStandin, receiver: Receiver):
    slack.limit_events()
    slack.outgoing.settle()

    assert (receiver.events[0].type, receiver.heard[0].syncs) == ("app_rate_limited", ("messages",))


def test_a_repeat_has_the_same_id(slack: SlackStandin, receiver: Receiver):
    slack.say("alice", GENERAL, "The door is open.")
    slack.outgoing.settle()
    slack.repeat()
    slack.outgoing.settle()

    assert len(receiver.events) == 2
    assert len({event.id for event in receiver.events}) == 1


def test_slacks_own_example_is_proven():
    """https://docs.slack.dev/authentication/verifying-requests-from-slack, in vendors.md 2.3."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    incoming = Incoming("POST", Headers(headers), {}, body)
    proof: Any = hook.proof

    assert proves(proof, incoming, ["8f742231b10e8888abcd99yyyzzz85a5"], now=1531420618 + 299)
    assert not proves(proof, incoming, ["8f742231b10e8888abcd99yyyzzz85a5"], now=1531420618 + 301)


@pytest.mark.parametrize(
    "said",
    [
        {}, [], 1, None, {"event": 1}, {"event": {}}, {"event": {"type": "message"}},
        {"event": {"type": "message", "subtype": "message_changed", "message": {}}},
        {"event": {"type": "message", "channel": {"name": "x"}, "bot_profile": "x"}, "api_app_id": APP},
        {"event": {"type": "tokens_revoked", "tokens": []}}, {"event": {"type": "reaction_added", "item": "x"}},
    ],
)  # fmt: skip
def test_odd_bodies_break_nothing(said: Any):
    assert heard(said).summary


def heard(said: Any) -> Heard:
    return heard_by(hook, delivered(said))


def delivered(said: Any) -> Event:
    headers = Headers({"Content-Type": "application/json"})
    return event_of(hook, Incoming("POST", headers, {}, json.dumps(said).encode()))
