"""The Notion stand-in, held to what Notion's Python client makes of it."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - the client is built on it; a browser, and what the client does not ask
import pytest
from notion_client import APIResponseError, Client
from notion_client.client import RetryOptions
from notion_client.errors import UnknownHTTPResponseError
from notion_client.helpers import collect_paginated_api

from tests.contracts.node import node
from tests.ports import free_port
from tests.standins.notion import SECRET, NotionStandin
from tests.standins.notion_data import DATABASE, DIARY, PLANS, RECIPES, TASKS, id_for, row

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


# --- data sources, writing, comments


def test_from_a_database_to_its_rows(notion, team):
    notion.add_page(row(id_for("oil"), "Oil the hinges"))
    notion.add_page(row(id_for("paint"), "Paint the door", done=True))
    [source] = team.databases.retrieve(DATABASE)["data_sources"]

    found = team.data_sources.query(
        source["id"],
        filter={"property": "Done", "checkbox": {"equals": True}},
        sorts=[{"property": "Name", "direction": "descending"}],
    )

    assert [one["id"] for one in found["results"]] == [id_for("paint")]
    assert "Done" in team.data_sources.retrieve(source["id"])["properties"]
    rows = collect_paginated_api(team.data_sources.query, data_source_id=source["id"], page_size=1)
    assert len(rows) == 2


def test_a_page_is_made_changed_filled_and_thrown_away(team):
    text = [{"type": "text", "text": {"content": "Bulbs"}}]
    made = team.pages.create(
        parent={"page_id": PLANS},
        properties={"title": {"title": text}},
        children=[{"type": "paragraph", "paragraph": {"rich_text": text}}],
    )
    team.blocks.children.append(made["id"], children=[{"type": "to_do", "to_do": {"rich_text": text}}])
    team.pages.update(made["id"], in_trash=True)

    assert [one["type"] for one in team.blocks.children.list(made["id"])["results"]] == ["paragraph", "to_do"]
    assert team.pages.retrieve(made["id"])["in_trash"]
    assert made["id"] not in [one["id"] for one in team.search()["results"]]


@pytest.mark.parametrize(
    "properties",
    [{"Size": {"number": 1}}, {"Done": {"select": {"name": "x"}}}],
)
def test_values_have_to_fit_their_columns(team, properties):
    with pytest.raises(APIResponseError) as refusal:
        team.pages.create(parent={"data_source_id": TASKS}, properties=properties)

    assert refusal.value.code == "validation_error"


def test_comments_have_threads(team):
    text = [{"type": "text", "text": {"content": "Tulips?"}}]
    first = team.comments.create(parent={"page_id": PLANS}, rich_text=text)
    team.comments.create(discussion_id=first["discussion_id"], rich_text=text)

    found = team.comments.list(block_id=PLANS)["results"]
    assert [one["discussion_id"] for one in found] == [first["discussion_id"]] * 2


def test_people_and_the_bot_are_listed(team):
    assert [one["type"] for one in team.users.list()["results"]] == ["person", "person", "bot"]


# --- webhooks


def test_events_come_only_after_the_token_was_pasted_back(notion):
    notion.subscribe(f"http://127.0.0.1:{free_port()}/nobody")
    notion.edit(PLANS, "Plans")
    assert not notion.verify("another")
    assert notion.verify(notion.subscription["token"])
    notion.edit(PLANS, "Plans for the house")

    greeting, event = notion.outgoing.settle()

    assert set(json.loads(greeting.body)) == {"verification_token"}
    assert "X-Notion-Signature" not in greeting.headers
    assert json.loads(event.body)["entity"] == {"id": PLANS, "type": "page"}


# --- Notion's own client for Node

JS = """
import {Client, collectPaginatedAPI, verifyWebhookSignature} from "@notionhq/client";
const notion = new Client({auth: process.env.KEY, baseUrl: process.env.URL, notionVersion: "2026-03-11",
  retry: {maxRetries: 0}});
const text = content => [{type: "text", text: {content}}];
const all = await collectPaginatedAPI(notion.search, {page_size: 1});
const source = (await notion.databases.retrieve({database_id: process.env.DATABASE})).data_sources[0].id;
const made = await notion.pages.create({parent: {data_source_id: source},
  properties: {Name: {title: text("Fix the bell")}, Done: {checkbox: false}},
  children: [{type: "heading_1", heading_1: {rich_text: text("Why")}}]});
await notion.blocks.children.append({block_id: made.id, children: [
  {type: "paragraph", paragraph: {rich_text: text("It is silent.")}}]});
await notion.pages.update({page_id: made.id, properties: {Done: {checkbox: true}}});
const done = await notion.dataSources.query({data_source_id: source,
  filter: {property: "Done", checkbox: {equals: true}}});
const blocks = (await notion.blocks.children.list({block_id: made.id})).results.map(one => one.type);
await notion.comments.create({parent: {page_id: made.id}, rich_text: text("Rings again.")});
const comments = (await notion.comments.list({block_id: made.id})).results.length;
const markdown = (await notion.request({path: `pages/${process.env.PLANS}/markdown`, method: "get"})).markdown;
const proven = await verifyWebhookSignature({body: process.env.BODY, signature: process.env.SIGNATURE,
  verificationToken: process.env.TOKEN});
let error = "";
try { await notion.pages.retrieve({page_id: process.env.DIARY}) } catch (problem) { error = problem.code }
console.log(JSON.stringify({all: all.length, done: done.results.map(one => one.id === made.id), blocks, comments,
  markdown, error, proven}));
"""


@pytest.mark.slow
def test_notions_client_for_node_works_with_it_and_takes_its_events_for_notions(notion):
    notion.subscribe(f"http://127.0.0.1:{free_port()}/nobody")
    notion.verify(notion.subscription["token"])
    notion.edit(PLANS, "Plans for the house")
    event = notion.outgoing.settle()[-1]
    signed = {
        "BODY": event.body.decode(), "SIGNATURE": event.headers["X-Notion-Signature"],
        "TOKEN": notion.subscription["token"],
    }  # fmt: skip
    places = {"DATABASE": DATABASE, "PLANS": PLANS, "DIARY": DIARY}

    done = node(JS, {"@notionhq/client": "5.26.0"}, URL=notion.url, KEY=SECRET, **places, **signed)

    assert done == {
        "all": 3, "done": [True], "blocks": ["heading_1", "paragraph"], "comments": 1,
        "markdown": "# Plans\n\nTulips *first*.", "error": "object_not_found", "proven": True,
    }  # fmt: skip
