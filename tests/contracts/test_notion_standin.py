"""The Notion stand-in, held to what Notion's Python client makes of it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - the client is built on it; a browser, and what the client does not ask
import pytest
from notion_client import APIResponseError, Client
from notion_client.client import RetryOptions
from notion_client.errors import UnknownHTTPResponseError
from notion_client.helpers import collect_paginated_api

from tests.standins.notion import DIARY, PLANS, RECIPES, SECRET, TASKS, NotionStandin

CALLBACK = "https://navi.example/oauth/callback"
VERSION = {"Notion-Version": "2026-03-11"}


@pytest.fixture(scope="module")
def running() -> Iterator[NotionStandin]:
    with NotionStandin() as standin:
        yield standin


@pytest.fixture
def notion(running: NotionStandin) -> NotionStandin:
    running.reset()
    return running


def client(notion: NotionStandin, token: str = SECRET) -> Any:
    return Client(auth=token, base_url=notion.url, retry=RetryOptions(max_retries=0))


@pytest.fixture
def team(notion: NotionStandin) -> Iterator[Any]:
    with client(notion) as made:
        yield made


def code_for(notion: NotionStandin, **more: str) -> str:
    """Alice's browser: to Notion, and back with a code."""
    asked = {
        "client_id": notion.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "owner": "user",
        **more,
    }
    back = httpx.get(f"{notion.url}/v1/oauth/authorize", params=asked).headers["Location"]
    return parse_qs(urlsplit(back).query)["code"][0]


def token(notion: NotionStandin, team: Any, **asked: str) -> Any:
    return team.oauth.token(notion.client_id, notion.client_secret, **asked)


def signed_in(notion: NotionStandin, team: Any) -> Any:
    return token(notion, team, grant_type="authorization_code", code=code_for(notion), redirect_uri=CALLBACK)


# --- the API


def test_the_connection_says_who_it_is(team):
    me = team.users.me()

    assert (me["type"], me["bot"]["workspace_name"]) == ("bot", "Navi Test")


def test_a_search_comes_page_by_page(team):
    found = collect_paginated_api(team.search, page_size=2)

    assert [one["id"] for one in found] == [PLANS, RECIPES, TASKS]


def test_a_search_is_narrowed_down(team):
    found = team.search(query="garden", filter={"property": "object", "value": "page"})

    assert [one["id"] for one in found["results"]] == [PLANS]


def test_a_page_is_read(team):
    assert team.pages.retrieve(PLANS)["url"].endswith(PLANS.replace("-", ""))


def test_a_page_as_markdown_wants_the_newest_version(notion):
    with Client(auth=SECRET, base_url=notion.url, notion_version="2026-03-11") as newest:
        page: Any = newest.request(f"pages/{PLANS}/markdown", "GET")
        assert page["markdown"].startswith("# Plans")
    with (
        Client(auth=SECRET, base_url=notion.url, notion_version="2022-06-28") as old,
        pytest.raises(APIResponseError, match="version"),
    ):
        old.request(f"pages/{PLANS}/markdown", "GET")


@pytest.mark.parametrize(
    ("key", "page", "code", "status"),
    [(SECRET, DIARY, "object_not_found", 404), ("ntn_nobody", PLANS, "unauthorized", 401)],
)
def test_what_is_wrong_is_told(notion, key, page, code, status):
    with client(notion, key) as made, pytest.raises(APIResponseError) as refusal:
        made.pages.retrieve(page)

    assert (refusal.value.code.value, refusal.value.status) == (code, status)


def test_a_request_without_a_version_is_refused(notion):
    answer = httpx.get(f"{notion.url}/v1/users/me", headers={"Authorization": f"Bearer {SECRET}"})

    assert (answer.status_code, answer.json()["code"]) == (400, "missing_version")


def test_a_limit_says_when_to_call_again(team, notion):
    notion.rate_limit_next(retry_after=3)

    with pytest.raises(APIResponseError) as refusal:
        team.users.me()

    assert (refusal.value.code, refusal.value.headers["Retry-After"]) == ("rate_limited", "3")


# --- OAuth


def test_alice_chooses_pages_for_the_app(notion, team):
    answer = signed_in(notion, team)

    assert (answer["workspace_name"], answer["token_type"]) == ("Navi Test", "bearer")
    assert answer["owner"]["user"]["person"]["email"] == "alice@example.org"
    assert "expires_in" not in answer
    with client(notion, answer["access_token"]) as hers:
        assert hers.users.me()["id"] == answer["bot_id"]


def test_a_refresh_gives_a_new_pair(notion, team):
    first = signed_in(notion, team)

    second = token(notion, team, grant_type="refresh_token", refresh_token=first["refresh_token"])

    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    # The client knows no refusals of the token endpoint, which have a shape of their own.
    with pytest.raises(UnknownHTTPResponseError) as refusal:
        token(notion, team, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert "invalid_grant" in refusal.value.body


def test_a_token_is_looked_at_and_ended(notion, team):
    access = signed_in(notion, team)["access_token"]
    app = (notion.client_id, notion.client_secret)

    assert team.oauth.introspect(*app, token=access)["active"]
    team.oauth.revoke(*app, token=access)

    assert not team.oauth.introspect(*app, token=access)["active"]
    with client(notion, access) as hers, pytest.raises(APIResponseError, match="invalid"):
        hers.users.me()


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ({"auth": None}, 401, "invalid_client"),
        ({"auth": ("another", "app")}, 401, "invalid_client"),
        ({"json": {"grant_type": "authorization_code", "code": "wrong"}}, 400, "invalid_grant"),
        ({"json": None, "data": {"grant_type": "authorization_code", "code": "x"}}, 400, "invalid_request"),
        ({"headers": {}}, 400, None),
    ],
)
def test_the_token_endpoint_wants_basic_json_and_a_version(notion, how, status, error):
    usual = {
        "headers": VERSION,
        "auth": (notion.client_id, notion.client_secret),
        "json": {"grant_type": "authorization_code", "code": code_for(notion), "redirect_uri": CALLBACK},
    }

    answer = httpx.post(f"{notion.url}/v1/oauth/token", **(usual | how))

    assert (answer.status_code, answer.json().get("error")) == (status, error)


def test_an_address_that_is_not_registered_stays_at_notion(notion):
    notion.turn_on("redirect_uris", (CALLBACK,))

    with pytest.raises(KeyError):
        code_for(notion, redirect_uri="https://elsewhere.example/")
    assert code_for(notion)
