"""The Slack stand-in, held to what Slack's own client makes of it."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - a browser, and what the client does not ask
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth import AuthorizeUrlGenerator
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.token_rotation import TokenRotator

from tests.standins.slack import BOT_TOKEN, BOT_USER, GENERAL, PRIVATE, RANDOM, SlackStandin

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
