"""The things in Notion's memory, in the shapes of its API (https://developers.notion.com/reference)."""

import hashlib
from typing import Any
from uuid import UUID, uuid4

MOMENT = "2026-11-20T09:30:00.000Z"

Fields = dict[str, Any]


def id_for(name: str) -> str:
    return str(UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


WORKSPACE = {"id": id_for("workspace"), "name": "Navi Test"}
PLANS, RECIPES, DIARY, TASKS = (id_for(name) for name in ("plans", "recipes", "diary", "tasks"))
DATABASE = id_for("database")
PEOPLE = ("alice", "bob")


def bot_id(person: str) -> str:
    return id_for(f"bot {person}")


def person_named(name: str) -> Fields:
    return {
        "object": "user",
        "id": id_for(name),
        "name": name.capitalize(),
        "avatar_url": None,
        "type": "person",
        "person": {"email": f"{name}@example.org"},
    }


def words(text: str) -> list[Fields]:
    return [{"type": "text", "text": {"content": text, "link": None}, "plain_text": text, "href": None}]


def title(text: str) -> Fields:
    return {"id": "title", "type": "title", "title": words(text)}


def title_of(found: Fields) -> str:
    own = found.get("title") or next(
        one["title"] for one in found["properties"].values() if one["type"] == "title"
    )
    return "".join(part["plain_text"] for part in own)


def page(id: str, name: str, parent: Fields | None = None, properties: Fields | None = None) -> Fields:
    slug = name.replace(" ", "-")
    return {
        "object": "page",
        "id": id,
        "created_time": MOMENT,
        "last_edited_time": MOMENT,
        "created_by": {"object": "user", "id": id_for("alice")},
        "last_edited_by": {"object": "user", "id": id_for("alice")},
        "in_trash": False,
        "parent": parent or {"type": "workspace", "workspace": True},
        "icon": None,
        "cover": None,
        "properties": properties or {"title": title(name)},
        "url": f"https://www.notion.so/{slug}-{id.replace('-', '')}",
        "public_url": None,
    }


STATES = ("Open", "Closed")
COLUMNS: Fields = {
    "Name": {"id": "title", "type": "title", "name": "Name", "title": {}},
    "Done": {"id": "d%3An", "type": "checkbox", "name": "Done", "checkbox": {}},
    "State": {
        "id": "s%3At",
        "type": "select",
        "name": "State",
        "select": {"options": [{"id": f"o{at}", "name": name, "color": "gray"} for at, name in enumerate(STATES)]},
    },
    "Due": {"id": "d%3Ae", "type": "date", "name": "Due", "date": {}},
}  # fmt: skip


def row(
    id: str, name: str, *, done: bool = False, state: str | None = None, due: str | None = None
) -> Fields:
    choice = state and {"id": f"o{STATES.index(state)}", "name": state, "color": "gray"}
    values = {
        "Name": title(name),
        "Done": {"id": COLUMNS["Done"]["id"], "type": "checkbox", "checkbox": done},
        "State": {"id": COLUMNS["State"]["id"], "type": "select", "select": choice},
        "Due": {"id": COLUMNS["Due"]["id"], "type": "date", "date": due and {"start": due, "end": None, "time_zone": None}},
    }  # fmt: skip
    parent = {"type": "data_source_id", "data_source_id": TASKS, "database_id": DATABASE}
    return page(id, name, parent, values)


def data_source(id: str, name: str) -> Fields:
    return {
        "object": "data_source",
        "id": id,
        "created_time": MOMENT,
        "last_edited_time": MOMENT,
        "in_trash": False,
        "parent": {"type": "database_id", "database_id": DATABASE},
        "title": words(name),
        "description": [],
        "properties": COLUMNS,
        "url": f"https://www.notion.so/{id.replace('-', '')}",
    }


def database(id: str, name: str, source: str) -> Fields:
    return {
        "object": "database",
        "id": id,
        "title": words(name),
        "description": [],
        "parent": {"type": "workspace", "workspace": True},
        "is_inline": False,
        "in_trash": False,
        "created_time": MOMENT,
        "last_edited_time": MOMENT,
        "data_sources": [{"id": source, "name": name}],
        "icon": None,
        "cover": None,
        "url": f"https://www.notion.so/{id.replace('-', '')}",
        "public_url": None,
    }


def block(parent: str, wanted: Fields) -> Fields:
    kind = wanted["type"]
    return {
        "object": "block",
        "id": str(uuid4()),
        "parent": {"type": "page_id", "page_id": parent},
        "created_time": MOMENT,
        "last_edited_time": MOMENT,
        "has_children": False,
        "in_trash": False,
        "type": kind,
        kind: {**wanted[kind], **({"rich_text": told(wanted[kind]["rich_text"])} if "rich_text" in wanted[kind] else {})},
    }  # fmt: skip


def told(parts: list[Fields]) -> list[Fields]:
    """Text as it was given, as Notion gives it back."""
    return [one for part in parts for one in words(part["text"]["content"])]


def comment(page: str, discussion: str, text: list[Fields], author: str, at: str) -> Fields:
    return {
        "object": "comment",
        "id": str(uuid4()),
        "parent": {"type": "page_id", "page_id": page},
        "discussion_id": discussion,
        "created_time": at,
        "last_edited_time": at,
        "created_by": {"object": "user", "id": author},
        "rich_text": told(text),
        "display_name": {"type": "integration", "resolved_name": "Navi"},
    }
