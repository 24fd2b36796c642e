"""The Google family, as the registry joins it: one provider, four plugins, none importing another."""

from collections.abc import Iterator

import pytest

from integrations import registry
from integrations.runtime import health
from integrations.sdk import Client, MissingScopes, OAuth2, Place, Plugin, Reconnect, Refused, StartOver
from integrations.sdk.quality import findings, tier_of
from integrations.sdk.testing import HEALTH, PayloadError, provider_of, replay
from tests.plugins.clients import client_at
from tests.standins.google import USERINFO, GoogleStandin
from tests.standins.server import Request, Response, Standin, answer_with

GOOGLE = registry.installed().entries["google"]
FACTS = GOOGLE.provider.auth[0]

every_member = pytest.mark.parametrize("member", GOOGLE.plugins, ids=lambda member: member.slug)


@pytest.fixture(scope="module")
def running() -> Iterator[GoogleStandin]:
    with GoogleStandin() as standin:
        yield standin


@pytest.fixture
def google(running: GoogleStandin) -> GoogleStandin:
    running.reset()
    return running


def client_of(google: GoogleStandin, token: str) -> Client:
    return client_at(GOOGLE.plugins[0], google, token, HEALTH)


def test_google_has_four_plugins_and_a_drawing_of_its_own():
    assert {member.slug for member in GOOGLE.plugins} == {
        "gmail", "google-calendar", "google-drive", "google-sheets",
    }  # fmt: skip
    assert GOOGLE.icon
    assert GOOGLE.icon.parent.name == "google"


@every_member
def test_the_scopes_of_a_plugin_are_googles_in_the_same_words(member: Plugin):
    assert isinstance(FACTS, OAuth2)

    assert member.all_scopes.items() <= FACTS.scopes.items()


@every_member
def test_each_action_says_what_it_needs_and_a_person_can_allow_it(member: Plugin):
    for action in member.actions.values():
        assert action.scopes
        assert set(action.scopes) <= member.all_scopes.keys()


@every_member
def test_connecting_asks_for_reading_only(member: Plugin):
    writing = {scope for one in member.actions.values() if one.verb != "run" for scope in one.scopes}
    kept = {scope for sync in member.syncs.values() for scope in sync.scopes}

    assert kept <= member.scopes.keys()
    assert not {scope for scope in member.scopes if not scope.endswith(".readonly")}
    assert member.more_scopes.keys() & writing


@every_member
def test_what_the_family_shares_is_enough_for_the_highest_tier(member: Plugin):
    found = findings(member, GOOGLE.provider)

    assert [(one.check, one.missing) for one in found if not one.is_met] == []
    assert tier_of(found) == "gold"


@every_member
def test_a_plugin_is_tested_with_its_providers_facts(member: Plugin):
    assert provider_of(member).errors
    with pytest.raises(Reconnect, match="Google no longer accepts"):
        replay(member, "health", "token_is_dead")


@every_member
def test_each_plugin_can_do_the_health_check(member: Plugin):
    assert "health_check" in member.manifest(GOOGLE.provider)["capabilities"]


def test_a_family_that_nobody_brings_is_named():
    orphan = Plugin(slug="orphan", name="Orphan", provider="nobody", base_url="https://api.example.com")

    with pytest.raises(PayloadError, match="Orphan names the provider nobody"):
        provider_of(orphan)


@pytest.mark.parametrize("scopes", [(), ("https://www.googleapis.com/auth/gmail.send",)])
def test_who_we_are_is_known_whatever_was_ticked(google: GoogleStandin, scopes: tuple[str, ...]):
    token = google.grant("openid", "email", *scopes, person="bob").access

    found = health.identify(client_of(google, token), GOOGLE)

    assert (found.label, found.account_id) == ("bob@example.org", "100000000000000000002")
    assert len(google.asked(USERINFO)) == 1


def test_a_grant_that_alice_ended_is_noticed(google: GoogleStandin):
    token = google.grant("openid", "email").access
    google.kill("alice")

    with pytest.raises(Reconnect):
        health.identify(client_of(google, token), GOOGLE)


@every_member
def test_the_first_call_is_harmless_and_told_apart_where_a_box_was_left_unticked(
    member: Plugin, google: GoogleStandin
):
    action = member.first_try
    assert action
    assert action.try_with is not None
    client = client_at(member, google, google.grant("openid", "email").access)

    with pytest.raises(MissingScopes):
        action.run(client, action.validate(action.try_with), request_key="")


class Forgetful(Standin):
    """Refuses every question of a sync, as Google refuses the token of a page after a long pause."""

    def answer(self, request: Request) -> Response:
        return answer_with(400, {"error": {"code": 400, "message": "Invalid page token."}})


@pytest.mark.parametrize(
    ("slug", "kind", "whole", "page"),
    [
        ("gmail", "messages", {"history": "1", "for": ["INBOX"]}, {"label": 0, "page": "old"}),
        ("gmail", "messages", {"history": "1", "for": ["INBOX"]}, {"page": "old"}),
        ("google-calendar", "events", {"token": "one"}, {"page": "old"}),
        ("google-drive", "files", {"changes": "1", "page": None}, {"page": "old"}),
    ],
)
def test_the_token_of_a_page_that_google_forgot_starts_over(slug, kind, whole, page):
    plugin = registry.installed().plugins[slug]
    read = plugin.syncs[kind].function
    assert read
    with Forgetful() as google:
        client = client_at(plugin, google, "a-token-of-alices")
        with pytest.raises(Refused):
            read(client, Place(whole))
        with pytest.raises(StartOver):
            read(client, Place({**whole, **page}))
