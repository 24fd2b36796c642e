"""What is odd about Slack."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.plugins.slack.facts import SIGN_IN
from integrations.plugins.slack.plugin import plugin
from integrations.sdk import Client, Identity, InvalidArguments, MissingScopes, Reconnect, Refused, TryLater
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


def whoami(client: Client) -> Identity:
    assert plugin.health_function
    return plugin.health_function(client)


# --- who


def test_health_tells_the_bot_its_team_and_its_scopes():
    assert replay(plugin, "health") == Identity(
        label="navi",
        account_id="T0NAVITEST/U0NAVIBOT1",
        scopes=("channels:read", "chat:write"),
        workspace="Navi Test",
    )


def test_a_sign_in_knows_its_scopes_too(slack: SlackStandin):
    pair = slack.grant("channels:read")

    found = whoami(signed_in(plugin, slack, "oauth", access_token=pair.access))

    assert found.scopes == ("channels:read",)


def test_a_pasted_token_whose_scopes_nobody_tells_has_unknown_ones(team: Client):
    assert whoami(team).scopes is None


# --- channels and messages


def test_a_page_with_more_behind_it_has_a_cursor():
    page = replay(plugin, "list_channels")

    assert [channel["name"] for channel in page["channels"]] == ["general", "random"]
    assert [channel["is_member"] for channel in page["channels"]] == [True, False]
    assert page["next_cursor"]


def test_the_empty_cursor_at_the_end_is_none():
    assert replay(plugin, "list_channels", "last_page_of_channels") == {"channels": [], "next_cursor": None}


def test_the_cursor_leads_through_all_channels(team: Client):
    first = run(team, "list_channels", include_private=True, limit=2)
    second = run(team, "list_channels", include_private=True, limit=2, cursor=first["next_cursor"])

    assert [one["id"] for page in (first, second) for one in page["channels"]] == [GENERAL, RANDOM, PRIVATE]
    assert second["next_cursor"] is None


def test_channels_can_be_chosen_from(team: Client):
    assert [choice.label for choice in plugin.discoveries["channels"](team)] == ["#general", "#random"]


def test_a_message_is_posted_and_answered_in_its_thread(team: Client, slack: SlackStandin):
    posted = run(team, "post_message", channel=GENERAL, text="The door is open.")
    run(team, "post_message", channel=GENERAL, text="Closed again.", thread_ts=posted["ts"])

    assert [message["text"] for message in slack.messages] == ["The door is open.", "Closed again."]
    assert slack.messages[1]["thread_ts"] == posted["ts"]


def test_a_message_that_may_have_arrived_is_not_sent_again(team: Client, slack: SlackStandin):
    slack.lose_next("/api/chat.postMessage")

    with pytest.raises(TryLater) as trouble:
        run(team, "post_message", channel=GENERAL, text="The door is open.")

    assert trouble.value.sent
    assert len(slack.messages) == 1


@pytest.mark.parametrize("channel", ["#general", "general", "../auth.revoke", ""])
def test_a_channel_is_named_by_its_id(channel: str):
    with pytest.raises(InvalidArguments) as refusal:
        plugin.actions["post_message"].validate({"channel": channel, "text": "Hello"})

    assert refusal.value.field == "channel"


# --- what goes wrong, with status 200


def test_a_revoked_token_needs_a_person():
    with pytest.raises(Reconnect, match="token_revoked"):
        replay(plugin, "health", "token_revoked")


@pytest.mark.parametrize("token", ["xoxb-0000000000-nobody", "xoxb-1234567890-unknown"])
def test_a_token_nobody_issued_needs_a_person(slack: SlackStandin, token: str):
    with pytest.raises(Reconnect, match="invalid_auth"):
        whoami(client_at(plugin, slack, token))


def test_a_missing_permission_is_named():
    with pytest.raises(MissingScopes) as trouble:
        replay(plugin, "post_message", "permission_is_missing")

    assert trouble.value.scopes == ("chat:write",)


def test_private_channels_want_a_scope_of_their_own(slack: SlackStandin):
    client = signed_in(plugin, slack, "oauth", access_token=slack.grant("channels:read").access)

    with pytest.raises(MissingScopes) as trouble:
        run(client, "list_channels", include_private=True)

    assert trouble.value.scopes == ("groups:read",)


def test_an_app_that_was_not_invited_is_told_how():
    with pytest.raises(Refused, match="/invite") as refusal:
        replay(plugin, "post_message", "app_was_not_invited")

    assert refusal.value.field == "channel"


def test_an_error_without_words_of_ours_is_passed_on(team: Client, slack: SlackStandin):
    slack.fail_next(200, {"ok": False, "error": "posting_to_general_channel_denied"})

    with pytest.raises(Refused, match="posting_to_general_channel_denied"):
        run(team, "post_message", channel=GENERAL, text="Hello")


def test_trouble_inside_slack_passes():
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_channels", "trouble_inside_slack")

    assert trouble.value.code == "vendor_unavailable"


def test_trouble_inside_slack_is_tried_again_while_reading(team: Client, slack: SlackStandin):
    slack.fail_next(200, {"ok": False, "error": "fatal_error"})

    assert run(team, "list_channels")["channels"]
    assert len(slack.asked("/api/conversations.list")) == 2


def test_a_limit_says_when_to_call_again():
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_channels", "too_many_calls")

    assert trouble.value.code == "rate_limited"
    assert trouble.value.retry_at
    left = trouble.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=25) < left <= timedelta(seconds=30)


def test_a_limit_told_with_status_200_is_a_limit(team: Client, slack: SlackStandin):
    slack.fail_next(200, {"ok": False, "error": "ratelimited"}, times=3)

    with pytest.raises(TryLater) as trouble:
        run(team, "list_channels")

    assert trouble.value.code == "rate_limited"


@pytest.mark.parametrize(("status", "body"), [(200, "<html>Down</html>"), (503, "<html>Down</html>")])
def test_a_page_instead_of_an_answer_is_an_outage(team: Client, slack: SlackStandin, status: int, body: str):
    slack.fail_next(status, body, times=3)

    with pytest.raises(TryLater):
        run(team, "list_channels")


# --- signing in


def test_slack_says_commas_both_ways():
    assert (SIGN_IN.separator, SIGN_IN.granted_separator) == (",", ",")
    assert SIGN_IN.user_scope_name == "user_scope"


def test_the_least_is_asked_for_and_the_rest_only_ticked():
    assert set(plugin.scopes) == {"channels:read", "chat:write"}
    assert set(plugin.all_scopes) == set(SIGN_IN.scopes)
    assert not set(SIGN_IN.user_scopes) & set(SIGN_IN.scopes)


@pytest.mark.parametrize("token", [BOT_TOKEN, "xoxe.xoxb-1-MS0yLTU4NjY2ODU2"])
def test_bot_tokens_may_look_like_this(token: str):
    assert field("botToken").complaint(token) is None


@pytest.mark.parametrize(
    "token", ["xoxp-1234567890-abcdefghij", "xapp-1-A0NAVI-1", "ghp_0123456789abcdef0123"]
)
def test_what_is_no_bot_token_is_caught(token: str):
    assert "xoxb-" in (field("botToken").complaint(token) or "")


def test_the_signing_secret_may_be_left_out():
    assert field("signingSecret").complaint("") is None
    assert field("signingSecret").complaint("not hex")


def field(key: str):
    assert plugin.own_provider
    return next(one for one in plugin.own_provider.auth[0].fields if one.key == key)
