"""Every request that the Notion plugin makes, held to Notion's own description."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.notion.plugin import plugin
from integrations.sdk import Client, Place
from integrations.sdk.testing import REQUEST_KEY
from tests.contracts.openapi import Described, described
from tests.plugins.clients import client_at
from tests.standins.notion import SECRET, NotionStandin
from tests.standins.notion_data import DATABASE, PLANS, TASKS, id_for, row
from tests.standins.server import Request

OIL = id_for("oil")
TEXT = "# One\n## Two\n### Three\nplain\n- bullet\n1. number\n- [ ] open\n> quote\n---\n```\ncode\n```"
ACTIONS: dict[str, list[dict[str, Any]]] = {
    "search": [{}, {"query": "garden", "kind": "page", "cursor": "0", "limit": 5}],
    "get_page": [{"page_id": PLANS}],
    "list_data_sources": [{"database_id": DATABASE}],
    "get_data_source": [{"data_source_id": TASKS}],
    "query_data_source": [
        {"data_source_id": TASKS},
        {
            "data_source_id": TASKS, "cursor": "0", "limit": 5,
            "filter": {"property": "Done", "checkbox": {"equals": False}},
            "sorts": [{"property": "Due", "direction": "ascending"}],
        },
    ],
    "list_comments": [{"page_id": PLANS, "cursor": "0"}],
    "list_users": [{"cursor": "0"}],
    "create_page": [
        {"title": "Bulbs", "parent_page_id": PLANS, "text": TEXT},
        {"title": "Bell", "data_source_id": TASKS, "properties": {"Done": {"checkbox": False}}},
    ],
    "update_page": [{"page_id": OIL, "title": "Oil", "properties": {"Done": {"checkbox": True}}}],
    "append_text": [{"page_id": PLANS, "text": TEXT}],
    "comment_on_page": [{"page_id": PLANS, "text": "Tulips?"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def requests() -> Iterator[list[Request]]:
    with NotionStandin() as notion:
        notion.add_page(row(OIL, "Oil the hinges"))
        do_everything(client_at(plugin, notion, SECRET))
        yield list(notion.requests)


def do_everything(client: Client) -> None:
    assert plugin.health_function
    plugin.health_function(client)
    for discover in plugin.discoveries.values():
        discover(client)
    for name, calls in ACTIONS.items():
        for arguments in calls:
            done = run(client, name, arguments)
    # `done` is the comment that came last: its thread is answered.
    run(client, "comment_on_page", {"discussion_id": done["discussion_id"], "text": "Crocuses."})
    pull = plugin.syncs["pages"].function
    assert pull
    for part in (TASKS, ""):
        for cursor in (None, {"since": "2026-11-20T09:30:00.000Z", "next": "0"}):
            pull(client, Place(cursor, part))


def run(client: Client, name: str, arguments: dict[str, Any]) -> Any:
    action = plugin.actions[name]
    return action.run(client, action.validate(arguments), request_key=REQUEST_KEY)


@pytest.fixture(scope="module")
def notion() -> Described:
    return Described(completed(described("notion-openapi.json").document))


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The description is written for a tool that fills in forms. What it leaves out is at
    https://developers.notion.com/reference, and in the types of Notion's own client:"""
    found = copy.deepcopy(document)
    schemas, paths = found["components"]["schemas"], found["paths"]
    # A data source as a parent: it says database_id, as before 2025-09-03.
    parent = {"type": "object", "properties": {"data_source_id": {"type": "string"}}}
    schemas["parentRequest"]["oneOf"].append(
        {**parent, "required": ["data_source_id"], "additionalProperties": False}
    )
    # Blocks as objects, where the form takes JSON as text.
    body = paths["/v1/pages"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body["properties"]["children"]["items"] = {"$ref": "#/components/schemas/blockObjectRequest"}
    # More kinds of blocks than paragraphs and bullets.
    schemas["blockObjectRequest"]["anyOf"] += [
        block_schema(kind, more) for kind, more in OTHER_BLOCKS.items()
    ]
    # Order by when rows were edited.
    by_column = schemas["sortObject"]
    moments = {"enum": ["created_time", "last_edited_time"]}
    by_moment = {"properties": {"timestamp": moments, "direction": by_column["properties"]["direction"]}}
    schemas["sortObject"] = {
        "anyOf": [
            by_column,
            {**by_moment, "required": ["timestamp", "direction"], "additionalProperties": False},
        ]
    }
    # An answer in a thread, instead of a new one on a page.
    comment = paths["/v1/comments"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    comment["properties"]["discussion_id"] = {"type": "string"}
    comment["required"] = ["rich_text"]
    return found


OTHER_BLOCKS: dict[str, dict[str, Any]] = {
    "heading_1": {},
    "heading_2": {},
    "heading_3": {},
    "numbered_list_item": {},
    "quote": {},
    "to_do": {"checked": {"type": "boolean"}},
    "code": {"language": {"const": "plain text"}},
    "divider": {},
}


def block_schema(kind: str, more: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "array", "maxItems": 100, "items": {"$ref": "#/components/schemas/richTextRequest"}}
    fields = more if kind == "divider" else {"rich_text": text, **more}
    inner = {
        "type": "object",
        "properties": fields,
        "required": sorted(fields),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, kind: inner},
        "required": ["type", kind],
        "additionalProperties": False,
    }


def test_every_action_is_among_them():
    assert ACTIONS.keys() == plugin.actions.keys()


def test_every_request_is_one_that_notion_describes(requests: list[Request], notion: Described):
    assert len(requests) > len(ACTIONS)
    assert [said for one in requests for said in notion.complaints(one)] == []


def test_every_request_names_the_version(requests: list[Request]):
    assert {one.headers["Notion-Version"] for one in requests} == {"2026-03-11"}


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", "/v1/search", {}, b'{"filter": {"property": "object", "value": "database"}}'),
        ("POST", "/v1/search", {}, b'{"cursor": "x"}'),
        ("POST", "/v1/pages", {}, b'{"properties": {}}'),
        ("POST", "/v1/pages", {}, b'{"parent": {"page": "x"}, "properties": {}}'),
        ("PATCH", "/v1/blocks/x/children", {}, b'{"children": [{"type": "poem", "poem": {}}]}'),
        ("GET", "/v1/comments", {"page_id": "x"}, b""),
        ("GET", "/v1/comments", {}, b""),
        ("POST", "/v1/data_sources/x/query", {}, b'{"sorts": [{"direction": "ascending"}]}'),
        ("GET", "/v1/pages/x/text", {}, b""),
    ],
)
def test_the_checker_sees_what_is_wrong(
    notion: Described, method: str, path: str, query: dict[str, str], body: bytes
):
    headers: Any = {}

    assert notion.complaints(Request(method, path, query, headers, body))
