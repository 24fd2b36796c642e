"""What agents see of Notion's things, and how they name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from integrations.sdk import Described, TypedDict


class Hit(TypedDict):
    """`kind` is page or data_source; a data source is what a database's rows are in."""

    id: str
    kind: str
    title: str
    url: str
    last_edited_at: str | None


class Hits(TypedDict):
    results: list[Hit]
    next_cursor: str | None


class Row(TypedDict):
    """A page without its text. `properties`: plain values by name; `data_source` is where it is a row."""

    id: str
    title: str
    url: str
    last_edited_at: str | None
    in_trash: bool
    data_source: str | None
    properties: dict[str, Any]


class Rows(TypedDict):
    rows: list[Row]
    next_cursor: str | None


class Page(Row):
    """`unread` are ids of blocks that could not be shown as text; `is_cut` tells that the page goes on."""

    markdown: str
    is_cut: bool
    unread: list[str]


class Column(TypedDict):
    """`choices` are the options of a select, multi_select or status."""

    name: str
    type: str
    choices: list[str]


class DataSource(TypedDict):
    id: str
    title: str
    url: str
    columns: list[Column]


class Named(TypedDict):
    id: str
    name: str


class DataSources(TypedDict):
    data_sources: list[Named]


class Appended(TypedDict):
    page_id: str
    blocks: list[str]


class Comment(TypedDict):
    """`discussion_id` is what a reply in the same thread gives."""

    id: str
    discussion_id: str
    author: str | None
    text: str
    created_at: str


class Comments(TypedDict):
    comments: list[Comment]
    next_cursor: str | None


class Person(TypedDict):
    """`email` is null for bots, and without the capability to see it."""

    id: str
    name: str
    kind: str
    email: str | None


class People(TypedDict):
    people: list[Person]
    next_cursor: str | None


def seen_hit(found: dict[str, Any]) -> Hit:
    return {
        "id": found["id"],
        "kind": found["object"],
        "title": title_of(found),
        "url": found.get("url") or "",
        "last_edited_at": found.get("last_edited_time"),
    }


def seen_row(found: dict[str, Any]) -> Row:
    properties = found.get("properties") or {}
    return {
        "id": found["id"],
        "title": title_of(found),
        "url": found.get("url") or "",
        "last_edited_at": found.get("last_edited_time"),
        "in_trash": bool(found.get("in_trash")),
        "data_source": (found.get("parent") or {}).get("data_source_id"),
        "properties": {name: plain(value) for name, value in properties.items()},
    }


def seen_data_source(found: dict[str, Any]) -> DataSource:
    columns = found.get("properties") or {}
    return {
        "id": found["id"],
        "title": title_of(found),
        "url": found.get("url") or "",
        "columns": [
            {"name": name, "type": column["type"], "choices": choices_of(column)}
            for name, column in columns.items()
        ],
    }


def choices_of(column: Mapping[str, Any]) -> list[str]:
    facts = column.get(column["type"])
    options = facts.get("options") if isinstance(facts, dict) else None
    return [option["name"] for option in options or []]


def seen_comment(found: dict[str, Any]) -> Comment:
    return {
        "id": found["id"],
        "discussion_id": found["discussion_id"],
        "author": (found.get("created_by") or {}).get("id"),
        "text": text_of(found["rich_text"]),
        "created_at": found["created_time"],
    }


def seen_person(found: dict[str, Any]) -> Person:
    return {
        "id": found["id"],
        "name": found.get("name") or "",
        "kind": found.get("type") or "",
        "email": (found.get("person") or {}).get("email"),
    }


# --- Notion's values as plain ones


def title_of(found: dict[str, Any]) -> str:
    """A data source has its title at the top, a page in the one property of the type title."""
    properties = (found.get("properties") or {}).values()
    own = [one["title"] for one in properties if isinstance(one, dict) and one.get("type") == "title"]
    parts = found.get("title") or next((title for title in own if isinstance(title, list)), [])
    return text_of(parts)


def text_of(parts: Any) -> str:
    return "".join(part.get("plain_text", "") for part in parts or [])


def names_of(things: Any) -> list[str]:
    return [thing.get("name") or thing.get("id") or "" for thing in things or []]


def name_of(thing: Any) -> str | None:
    return (thing.get("name") or thing.get("id")) if thing else None


def span_of(date: Any) -> Any:
    """A day or moment; a span of them as {"start", "end"}."""
    if not date:
        return None
    return {"start": date["start"], "end": date["end"]} if date.get("end") else date.get("start")


def computed(value: Any) -> Any:
    """A formula's or rollup's result is again a value under the name of its type."""
    if not isinstance(value, dict) or "type" not in value:
        return None
    if value["type"] == "array":
        return [plain(one) for one in value.get("array") or []]
    return plain(value)


PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "title": text_of,
    "rich_text": text_of,
    "select": name_of,
    "status": name_of,
    "multi_select": names_of,
    "people": names_of,
    "files": names_of,
    "relation": names_of,
    "created_by": name_of,
    "last_edited_by": name_of,
    "date": span_of,
    "formula": computed,
    "rollup": computed,
}


def plain(value: Mapping[str, Any]) -> Any:
    """A property's value without Notion's wrapping; what has no plain form (unique_id, place) stays as it is."""
    kind = value.get("type", "")
    inner = value.get(kind)
    return PLAIN[kind](inner) if kind in PLAIN else inner


# --- what agents give

ID = r"^[0-9a-fA-F-]{32,36}$"
PageId = Annotated[
    str, Described(description="The page's id, from search or the end of its link", pattern=ID)
]
DataSourceId = Annotated[
    str, Described(description="The data source's id, from search or list_data_sources", pattern=ID)
]
Properties = Annotated[
    dict[str, dict[str, Any]] | None,
    Described(
        description=(
            "Values by column in Notion's form, such as "
            '{"Done": {"checkbox": true}, "State": {"status": {"name": "Open"}}}; get_data_source names columns'
        )
    ),
]
FilterWord = Literal[
    "and", "or", "property", "timestamp", "checkbox", "created_by", "created_time", "date", "email", "files",
    "formula", "last_edited_by", "last_edited_time", "multi_select", "number", "people", "phone_number", "relation",
    "rich_text", "rollup", "select", "status", "title", "unique_id", "url", "verification",
]  # fmt: skip
Filter = Annotated[
    dict[FilterWord, Any] | None,
    Described(
        description=(
            'A filter in Notion\'s form, such as {"property": "Done", "checkbox": {"equals": false}}; '
            'join several by {"and": […]} or {"or": […]}'
        )
    ),
]
Cursor = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
Limit = Annotated[int, Described(ge=1, le=100, description="How many to return at most, 1 to 100")]
