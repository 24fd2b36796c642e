"""What is odd about Notion."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from integrations.plugins.notion.facts import SIGN_IN
from integrations.plugins.notion.plugin import plugin
from integrations.sdk import Client, InvalidArguments, Reconnect, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at, signed_in
from tests.standins.notion import SECRET, NotionStandin
from tests.standins.notion_data import DIARY, PLANS, RECIPES, TASKS


@pytest.fixture(scope="module")
def running() -> Iterator[NotionStandin]:
    with NotionStandin() as standin:
        yield standin


@pytest.fixture
def notion(running: NotionStandin) -> NotionStandin:
    running.reset()
    return running


@pytest.fixture
def team(notion: NotionStandin) -> Client:
    return client_at(plugin, notion, SECRET)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


# --- who


def test_an_internal_connection_is_called_by_its_name():
    found = replay(plugin, "health")

    assert (found.label, found.workspace, found.scopes) == ("Navi", "Navi Test", None)


def test_a_sign_in_is_called_by_the_persons_e_mail(notion: NotionStandin):
    client = signed_in(plugin, notion, "oauth", access_token=notion.grant(person="bob").access)

    assert plugin.health_function
    assert plugin.health_function(client).label == "bob@example.org"
    assert replay(plugin, "health", "health_of_a_sign_in").label == "alice@example.org"


def test_every_request_names_its_version(team: Client, notion: NotionStandin):
    run(team, "search")

    assert notion.requests[-1].headers["Notion-Version"] == "2026-03-11"
    assert SIGN_IN.token_headers == {"Notion-Version": "2026-03-11"}


# --- pages


def test_a_pages_title_is_in_the_property_of_that_type():
    (hit,) = replay(plugin, "search")["results"]

    assert (hit["title"], hit["kind"]) == ("Plans for the garden", "page")


def test_a_data_sources_title_is_at_the_top_and_a_page_may_have_none():
    assert [hit["title"] for hit in replay(plugin, "search", "all_that_is_shared")["results"]] == [
        "Tasks",
        "",
    ]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, [PLANS, RECIPES, TASKS]),
        ({"query": "recipe"}, [RECIPES]),
        ({"kind": "data_source"}, [TASKS]),
        ({"query": "diary"}, []),
    ],
)
def test_what_is_shared_is_found(team: Client, arguments: dict[str, Any], found: list[str]):
    assert [hit["id"] for hit in run(team, "search", **arguments)["results"]] == found


def test_the_cursor_leads_through_all_pages(team: Client):
    first = run(team, "search", limit=2)
    second = run(team, "search", limit=2, cursor=first["next_cursor"])

    assert [hit["id"] for page in (first, second) for hit in page["results"]] == [PLANS, RECIPES, TASKS]
    assert second["next_cursor"] is None


def test_a_search_is_a_question_and_asked_again(team: Client, notion: NotionStandin):
    notion.fail_next(502, "Bad gateway")

    assert run(team, "search")["results"]
    assert len(notion.asked("/v1/search")) == 2


def test_pages_can_be_chosen_from(team: Client):
    labels = [choice.label for choice in plugin.discoveries["pages"](team)]

    assert labels == ["Plans for the garden", "Recipes"]


@pytest.mark.parametrize("page_id", [PLANS, PLANS.replace("-", "")])
def test_a_page_is_read_as_markdown(team: Client, page_id: str):
    page = run(team, "get_page", page_id=page_id)

    assert (page["title"], page["markdown"]) == ("Plans for the garden", "# Plans\n\nTulips *first*.")


@pytest.mark.parametrize("page_id", ["../users/me", "x", PLANS + "/markdown"])
def test_an_id_cannot_lead_to_another_address(page_id: str):
    with pytest.raises(InvalidArguments) as refusal:
        plugin.actions["get_page"].validate({"page_id": page_id})

    assert refusal.value.field == "page_id"


# --- what goes wrong


def test_a_revoked_token_needs_a_person():
    with pytest.raises(Reconnect) as trouble:
        replay(plugin, "health", "token_revoked")

    assert trouble.value.status == 401


def test_a_page_that_was_not_shared_says_how_to_share_it(team: Client):
    with pytest.raises(Refused, match="choose Connections"):
        replay(plugin, "get_page", "page_is_not_shared")
    with pytest.raises(Refused, match="choose Connections"):
        run(team, "get_page", page_id=DIARY)


def test_a_missing_capability_is_ticked_at_notion():
    with pytest.raises(Refused, match="capability"):
        replay(plugin, "get_page", "capability_is_missing")


def test_two_changes_at_once_pass():
    with pytest.raises(TryLater):
        replay(plugin, "get_page", "changed_at_the_same_moment")


def test_notions_own_words_are_passed_on():
    with pytest.raises(Refused, match="start_cursor provided is invalid"):
        replay(plugin, "search", "cursor_is_wrong")


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (529, "vendor_unavailable")])
def test_limits_and_overload_say_when_to_call_again(
    team: Client, notion: NotionStandin, status: int, code: str
):
    notion.rate_limit_next(retry_after=40, status=status)

    with pytest.raises(TryLater) as trouble:
        run(team, "search")

    assert trouble.value.code == code
    assert trouble.value.retry_at
    assert 30 < (trouble.value.retry_at - datetime.now(UTC)).total_seconds() <= 40


# --- signing in


def test_rights_are_ticked_at_notion_not_asked_for():
    assert SIGN_IN.scopes == {} == plugin.all_scopes
    assert SIGN_IN.extra == {"owner": "user"}


@pytest.mark.parametrize("secret", [SECRET, "secret_" + "a" * 43])
def test_secrets_may_look_like_this(secret: str):
    assert secret_field().complaint(secret) is None


@pytest.mark.parametrize("secret", ["nrt_0123456789abcdefghij", "lin_api_0123456789abcdef", "x" * 40])
def test_what_belongs_elsewhere_is_caught(secret: str):
    assert "ntn_" in (secret_field().complaint(secret) or "")


def secret_field():
    assert plugin.own_provider
    return plugin.own_provider.auth[0].fields[0]
