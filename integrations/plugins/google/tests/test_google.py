"""What is odd about Google, whichever product is asked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integrations.plugins.google import provider as room
from integrations.plugins.google.provider import AUTH, provider
from integrations.sdk import (
    Headers,
    Identity,
    MissingScopes,
    OAuth2,
    Plugin,
    Reconnect,
    Refused,
    Response,
    TryLater,
    VendorError,
)
from integrations.sdk.testing import read, replay

PAYLOADS = Path(__file__).resolve().parents[1] / "payloads"
FACTS = provider.auth[0]
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def meaning(payload: str) -> VendorError | None:
    """What a recorded answer means."""
    [exchange] = read(PAYLOADS / f"{payload}.json")
    return room.trouble(exchange.answer("Google", "https://gmail.googleapis.com/gmail/v1/users/me/labels"))


# --- who


def test_health_names_the_account_and_keeps_the_id_that_never_changes():
    member = Plugin(slug="google-notes", provider="google", name="Google Notes")

    assert replay(member, "health") == Identity(label="alice@example.org", account_id="100000000000000000001")


def test_a_dead_token_is_noticed_in_the_words_of_the_openid_endpoint_too():
    member = Plugin(slug="google-notes", provider="google", name="Google Notes")

    with pytest.raises(Reconnect):
        replay(member, "health", "identity_refused")


# --- signing in


def test_the_e_mail_address_is_asked_for_each_time_and_recognised_by_its_long_name():
    assert isinstance(FACTS, OAuth2)

    assert FACTS.asked([f"{AUTH}gmail.send"]) == ["openid", "email", f"{AUTH}gmail.send"]
    assert FACTS.covered(["openid", f"{AUTH}userinfo.email"]) >= set(FACTS.always)


@pytest.mark.parametrize(
    ("granted", "needed"),
    [
        ("gmail.modify", "gmail.readonly"),
        ("gmail.modify", "gmail.send"),
        ("calendar", "calendar.calendarlist.readonly"),
        ("calendar.readonly", "calendar.events.readonly"),
        ("calendar.events", "calendar.events.readonly"),
        ("drive.readonly", "drive.metadata.readonly"),
        ("drive", "spreadsheets"),
        ("spreadsheets", "spreadsheets.readonly"),
    ],
)
def test_a_wide_scope_includes_the_narrow_one(granted: str, needed: str):
    assert isinstance(FACTS, OAuth2)

    assert AUTH + needed in FACTS.covered([AUTH + granted])


@pytest.mark.parametrize(
    ("granted", "needed"),
    [
        ("gmail.readonly", "gmail.send"),
        ("gmail.readonly", "gmail.labels"),
        ("calendar.events", "calendar.calendarlist.readonly"),
        ("drive.file", "drive.metadata.readonly"),
        ("spreadsheets", "drive.readonly"),
    ],
)
def test_a_scope_that_looks_near_is_another_one(granted: str, needed: str):
    assert isinstance(FACTS, OAuth2)

    assert AUTH + needed not in FACTS.covered([AUTH + granted])


def test_a_refresh_token_is_asked_for_and_revoking_one_token_ends_all():
    assert isinstance(FACTS, OAuth2)
    assert FACTS.revoke

    assert FACTS.extra == {"access_type": "offline", "prompt": "consent"}
    assert FACTS.revoke.ends_all


def test_agents_meet_no_mcp_server_of_google_by_themselves():
    assert provider.manifest()["defaults"]["mcpEnabled"] is False
    assert provider.manifest()["oauth"]["services"] == ["gmail", "sheets", "drive", "calendar"]


# --- what goes wrong


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ("token_is_dead", Reconnect),
        ("box_was_left_unticked", MissingScopes),
        ("api_is_not_enabled", Refused),
        ("too_many_calls", TryLater),
        ("quota_is_used_up", TryLater),
    ],
)
def test_an_answer_says_what_to_do_next(payload: str, kind: type[VendorError]):
    assert type(meaning(payload)) is kind


@pytest.mark.parametrize("payload", ["outage", "outage_page"])
def test_an_outage_has_its_usual_meaning(payload: str):
    assert meaning(payload) is None


def test_an_api_that_is_not_enabled_comes_with_the_address_where_it_is_enabled():
    trouble = meaning("api_is_not_enabled")

    assert trouble
    assert (
        "console.developers.google.com/apis/api/gmail.googleapis.com/overview?project=1234567890;"
        in trouble.message
    )


@pytest.mark.parametrize("payload", ["too_many_calls", "quota_is_used_up"])
def test_a_limit_tells_when_to_call_again(payload: str):
    trouble = meaning(payload)

    assert isinstance(trouble, TryLater)
    assert trouble.code == "rate_limited"
    assert trouble.retry_at
    assert trouble.retry_at > datetime.now(UTC)


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({"Retry-After": "20"}, "", 20),
        ({}, "User-rate limit exceeded.  Retry after 2026-11-22T12:00:45.500Z", 45.5),
        ({"Retry-After": "20"}, "Retry after 2026-11-22T12:00:45Z", 20),
        ({}, "Retry after 2026-11-22T11:00:00Z", 0),
        ({}, "Retry after 2031-01-01T00:00:00Z", 900),
        ({}, "Rate Limit Exceeded", 60),
        ({"Retry-After": "soon"}, "Retry after lunch", 60),
    ],
)
def test_the_wait_is_what_google_says_within_reason(headers: dict[str, str], words: str, seconds: float):
    asked = room.again_at(Response(403, Headers(headers)), words, NOW)

    assert asked - NOW == timedelta(seconds=seconds)
