"""The Slack stand-in, held to what Slack's own client makes of it."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - a browser, and what the client does not ask
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth import AuthorizeUrlGenerator
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.token_rotation import TokenRotator
from slack_sdk.signature import SignatureVerifier

from tests.contracts.node import node
from tests.ports import free_port
from tests.standins.slack import BOT_TOKEN, SIGNING_SECRET, SlackStandin
from tests.standins.slack_data import APP, BOT_USER, GENERAL, PRIVATE, RANDOM

CALLBACK = "https://navi.example/oauth/callback"


@pytest.fixture(scope="module")
def running() -> Iterator[SlackStandin]:
    with SlackStandin() as standin:
        yield standin


@pytest.fixture
def slack(running: SlackStandin) -> SlackStandin:
    running.reset()
    return running


def client(slack: SlackStandin, token: str | None = None) -> WebClient:
    return WebClient(token, base_url=f"{slack.url}/api/", retry_handlers=[])


@pytest.fixture
def bot(slack: SlackStandin) -> WebClient:
    return client(slack, BOT_TOKEN)


def code_for(slack: SlackStandin, scopes: list[str], user_scopes: list[str]) -> str:
    """Alice's browser: to Slack, and back with a code."""
    question = AuthorizeUrlGenerator(
        client_id=slack.client_id,
        redirect_uri=CALLBACK,
        scopes=scopes,
        user_scopes=user_scopes,
        authorization_url=f"{slack.url}/oauth/v2/authorize",
    ).generate(state="a-state")
    back = urlsplit(httpx.get(question).headers["Location"])
    said = parse_qs(back.query)
    assert (back.netloc, said["state"]) == ("navi.example", ["a-state"])
    return said["code"][0]


def install(slack: SlackStandin, scopes: list[str], user_scopes: list[str] | None = None):
    return client(slack).oauth_v2_access(
        client_id=slack.client_id,
        client_secret=slack.client_secret,
        code=code_for(slack, scopes, user_scopes or []),
        redirect_uri=CALLBACK,
    )


# --- the Web API


def test_the_bot_says_who_it_is(bot):
    found = bot.auth_test()

    assert (found["team"], found["user"], found["user_id"]) == ("Navi Test", "navi", BOT_USER)


def test_channels_come_page_by_page(bot):
    pages = bot.conversations_list(types="public_channel,private_channel", limit=2)

    # The client's pages are one object, which turns.
    assert [[channel["id"] for channel in page["channels"]] for page in pages] == [
        [GENERAL, RANDOM],
        [PRIVATE],
    ]
    assert pages["response_metadata"]["next_cursor"] == ""


def test_a_message_is_posted(bot, slack):
    posted = bot.chat_postMessage(channel=GENERAL, text="The door is open.")

    assert posted["message"]["text"] == "The door is open."
    assert slack.messages[0]["ts"] == posted["ts"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": RANDOM, "text": "Hello"}, "not_in_channel"),
        ({"channel": "C0NOWHERE", "text": "Hello"}, "channel_not_found"),
        ({"channel": GENERAL, "blocks": []}, "no_text"),
    ],
)
def test_slack_says_no_with_status_200(slack, arguments, error):
    token = slack.grant("chat:write").access

    with pytest.raises(SlackApiError) as refusal:
        client(slack, token).api_call("chat.postMessage", json=arguments)

    assert (refusal.value.response["error"], refusal.value.response.status_code) == (error, 200)


def test_a_token_nobody_issued_is_refused(slack):
    with pytest.raises(SlackApiError, match="invalid_auth"):
        client(slack, "xoxb-nobody").auth_test()


def test_a_limit_is_a_429(bot, slack):
    slack.rate_limit_next(retry_after=7)

    with pytest.raises(SlackApiError) as refusal:
        bot.auth_test()

    assert refusal.value.response.status_code == 429
    assert refusal.value.response.headers["Retry-After"] == "7"


# --- OAuth


def test_alice_installs_the_app(slack):
    answer = install(slack, ["channels:read", "chat:write"])

    assert (answer["token_type"], answer["scope"]) == ("bot", "channels:read,chat:write")
    assert answer["team"]["name"] == "Navi Test"
    assert "refresh_token" not in answer
    assert client(slack, answer["access_token"]).auth_test().headers["X-OAuth-Scopes"] == (
        "channels:read,chat:write"
    )


def test_her_own_token_sits_in_authed_user(slack):
    answer = install(slack, ["chat:write"], ["search:read"])

    hers = answer["authed_user"]
    assert (hers["token_type"], hers["scope"]) == ("user", "search:read")
    assert client(slack, hers["access_token"]).auth_test()["user"] == "alice"


def test_a_workspace_has_one_bot_with_one_token(slack):
    first, second = install(slack, ["chat:write"]), install(slack, ["channels:read"])

    assert first["access_token"] == second["access_token"]
    assert second["scope"] == "chat:write,channels:read"


def test_a_missing_scope_is_named(slack):
    token = install(slack, ["chat:write"])["access_token"]

    with pytest.raises(SlackApiError) as refusal:
        client(slack, token).conversations_list()

    assert refusal.value.response["needed"] == "channels:read"
    assert refusal.value.response["provided"] == "chat:write"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code": "nonsense"}, "invalid_code"),
        ({"client_id": "another"}, "invalid_client_id"),
        ({"client_secret": "another"}, "bad_client_secret"),
        ({"redirect_uri": "https://elsewhere.example/"}, "bad_redirect_uri"),
    ],
)
def test_the_token_endpoint_says_no_with_status_200(slack, wrong, error):
    asked = {
        "client_id": slack.client_id,
        "client_secret": slack.client_secret,
        "code": code_for(slack, ["chat:write"], []),
        "redirect_uri": CALLBACK,
    }

    with pytest.raises(SlackApiError) as refusal:
        client(slack).oauth_v2_access(**(asked | wrong))

    assert (refusal.value.response["error"], refusal.value.response.status_code) == (error, 200)


def test_a_token_is_revoked(slack):
    token = install(slack, ["chat:write"])["access_token"]

    assert client(slack, token).auth_revoke()["revoked"]
    with pytest.raises(SlackApiError, match="token_revoked"):
        client(slack, token).auth_test()


def test_slacks_own_rotator_rotates_both_tokens(slack):
    slack.turn_on("rotates")
    answer = install(slack, ["chat:write"], ["search:read"])
    hers = answer["authed_user"]
    installation = Installation(
        user_id=hers["id"],
        team_id=answer["team"]["id"],
        bot_token=answer["access_token"],
        bot_refresh_token=answer["refresh_token"],
        bot_token_expires_in=answer["expires_in"],
        user_token=hers["access_token"],
        user_refresh_token=hers["refresh_token"],
        user_token_expires_in=hers["expires_in"],
    )
    rotator = TokenRotator(client_id=slack.client_id, client_secret=slack.client_secret, client=client(slack))

    assert rotator.perform_token_rotation(installation=installation) is None
    rotated = rotator.perform_token_rotation(installation=installation, minutes_before_expiration=13 * 60)

    assert rotated
    assert rotated.bot_token != installation.bot_token
    assert str(rotated.bot_token).startswith("xoxe.xoxb-")
    assert client(slack, rotated.user_token).auth_test()["user"] == "alice"


def test_a_used_refresh_token_is_revoked(slack):
    slack.turn_on("rotates")
    asked = {
        "client_id": slack.client_id,
        "client_secret": slack.client_secret,
        "grant_type": "refresh_token",
        "refresh_token": install(slack, ["chat:write"])["refresh_token"],
    }
    client(slack).oauth_v2_access(**asked)

    with pytest.raises(SlackApiError, match="invalid_refresh_token"):
        client(slack).oauth_v2_access(**asked)


def test_a_rotating_token_lives_for_twelve_hours(slack):
    slack.turn_on("rotates")
    token = install(slack, ["chat:write"])["access_token"]

    slack.wind(43200)

    with pytest.raises(SlackApiError, match="token_expired"):
        client(slack, token).auth_test()


# --- reading and changing messages


def test_a_channels_messages_come_the_newest_first_without_replies(bot, slack):
    first = slack.say("alice", GENERAL, "The door does not close.")
    bot.chat_postMessage(channel=GENERAL, text="I look into it.", thread_ts=first)
    second = slack.say("bob", GENERAL, "Thank you!")

    pages = bot.conversations_history(channel=GENERAL, limit=1)

    assert [message["ts"] for page in pages for message in page["messages"]] == [second, first]
    assert [one["text"] for one in bot.conversations_replies(channel=GENERAL, ts=first)["messages"]] == [
        "The door does not close.", "I look into it.",
    ]  # fmt: skip
    later = bot.conversations_history(channel=GENERAL, oldest=first)
    assert ([one["ts"] for one in later["messages"]], later["has_more"]) == ([second], False)


def test_only_ones_own_message_is_changed(bot, slack):
    hers = slack.say("alice", GENERAL, "The door does not close.")
    own = bot.chat_postMessage(channel=GENERAL, text="Opn")["ts"]

    assert bot.chat_update(channel=GENERAL, ts=own, text="Open")["text"] == "Open"
    with pytest.raises(SlackApiError, match="cant_update_message"):
        bot.chat_update(channel=GENERAL, ts=hers, text="Open")


def test_a_reaction_is_put_once(bot, slack):
    ts = slack.say("alice", GENERAL, "The door is open.")
    bot.reactions_add(channel=GENERAL, timestamp=ts, name="tada")

    with pytest.raises(SlackApiError, match="already_reacted"):
        bot.reactions_add(channel=GENERAL, timestamp=ts, name="tada")


def test_a_channel_is_joined_before_it_is_read(bot):
    with pytest.raises(SlackApiError, match="not_in_channel"):
        bot.conversations_history(channel=RANDOM)
    bot.conversations_join(channel=RANDOM)

    assert bot.conversations_history(channel=RANDOM)["messages"] == []


def test_people_are_listed_and_found_by_their_addresses(bot):
    people = [person["name"] for page in bot.users_list(limit=2) for person in page["members"]]

    assert people == ["alice", "bob", "navi"]
    assert bot.users_lookupByEmail(email="bob@example.org")["user"]["name"] == "bob"
    with pytest.raises(SlackApiError, match="users_not_found"):
        bot.users_lookupByEmail(email="nobody@example.org")


def test_only_a_persons_token_searches(bot, slack):
    slack.say("alice", GENERAL, "The door does not close.")
    hers = install(slack, [], ["search:read"])["authed_user"]["access_token"]

    assert client(slack, hers).search_messages(query="door")["messages"]["total"] == 1
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        bot.search_messages(query="door")


# --- events


def test_slacks_own_verifier_takes_the_events_for_slacks(slack):
    slack.events_url = f"http://127.0.0.1:{free_port()}/nobody"
    slack.say("alice", GENERAL, "The door is open.")
    [sent] = slack.outgoing.settle()

    verifier = SignatureVerifier(SIGNING_SECRET)

    assert verifier.is_valid_request(sent.body, dict(sent.headers))
    assert not SignatureVerifier("another").is_valid_request(sent.body, dict(sent.headers))
    event = json.loads(sent.body)
    assert (event["type"], event["api_app_id"], event["event"]["type"]) == ("event_callback", APP, "message")


def test_an_address_that_does_not_answer_the_challenge_gets_no_events(slack):
    assert slack.listen(f"http://127.0.0.1:{free_port()}/nobody").status == 0
    slack.say("alice", GENERAL, "The door is open.")

    assert len(slack.outgoing.settle()) == 1


# --- Slack's own client for Node

WEB_API = """
import {WebClient} from "@slack/web-api";
const slack = new WebClient(process.env.KEY, {slackApiUrl: `${process.env.URL}/api/`, retryConfig: {retries: 0}});
const channels = [];
for await (const page of slack.paginate("conversations.list", {limit: 1})) channels.push(...page.channels);
const channel = channels[0].id;
const posted = await slack.chat.postMessage({channel, text: "Opn",
  blocks: [{type: "section", text: {type: "mrkdwn", text: "*Opn*"}}]});
await slack.chat.update({channel, ts: posted.ts, text: "Open"});
await slack.chat.postMessage({channel, text: "Really", thread_ts: posted.ts});
await slack.reactions.add({channel, timestamp: posted.ts, name: "tada"});
const thread = (await slack.conversations.replies({channel, ts: posted.ts})).messages.map(one => one.text);
const history = (await slack.conversations.history({channel, oldest: "1"})).messages.map(one => one.text);
const people = (await slack.users.list()).members.map(one => one.name);
let error = "";
try { await slack.search.messages({query: "door"}) } catch (problem) { error = problem.data.error }
console.log(JSON.stringify({team: (await slack.auth.test()).team, names: channels.map(one => one.name),
  thread, history, people, error}));
"""


@pytest.mark.slow
def test_slacks_client_for_node_works_with_it(slack):
    done = node(WEB_API, {"@slack/web-api": "8.2.0"}, URL=slack.url, KEY=BOT_TOKEN)

    assert done == {
        "team": "Navi Test", "names": ["general", "random"], "thread": ["Open", "Really"], "history": ["Open"],
        "people": ["alice", "bob", "navi"], "error": "not_allowed_token_type",
    }  # fmt: skip
