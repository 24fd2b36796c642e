"""Pages with their values: those of chosen data sources, or all that were shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.plugins.notion.facts import plugin
from integrations.plugins.notion.shapes import seen_row
from integrations.sdk import Client, Item, Page, Place, Refused, StartOver, given, path_part

MOST = 100


def chosen(settings: Mapping[str, Any]) -> Sequence[str]:
    return settings.get("data_sources") or ("",)


@plugin.sync("pages", parts=chosen, title="Pages")
def pull_pages(notion: Client, place: Place) -> Page:
    """A page of what was edited since; contents are read with get_page when they are needed."""
    try:
        return rows_of(notion, place) if place.part else everything(notion, place)
    except Refused as refusal:
        # Notion's cursors end after a while; then nothing but the beginning is left.
        if refusal.field == "cursor" and "next" in (place.cursor or {}):
            raise StartOver from refusal
        raise


def rows_of(notion: Client, place: Place) -> Page:
    """The rows of a data source, the longest unedited first.

    What is edited meanwhile moves to the end: so the next page is asked by the last moment that was seen, and
    by Notion's cursor only where a whole page shares one moment (they are told in minutes).
    """
    cursor = place.cursor or {}
    since = cursor.get("since")
    edited = {"timestamp": "last_edited_time"}
    asked = {
        "filter": since and {**edited, "last_edited_time": {"on_or_after": since}},
        "sorts": [{**edited, "direction": "ascending"}],
        "start_cursor": cursor.get("next"),
        "page_size": MOST,
    }
    path = f"/data_sources/{path_part(place.part)}/query"
    page = notion.post(path, json=given(asked), idempotent=True).json()
    found = page["results"]
    last = found[-1]["last_edited_time"] if found else since
    items = [item_of(one) for one in found]
    if not page.get("next_cursor"):
        return Page(items, given({"since": last}))
    on = {"since": last} if last != since else {"since": since, "next": page["next_cursor"]}
    return Page(items, on, more=True)


def everything(notion: Client, place: Place) -> Page:
    """All that was shared, the last edited first: search cannot leave out what is known, so it is read until
    there. What is edited meanwhile moves to the front, past which this pass already is: a first pass of
    several pages ends there, or what it missed would count as deleted."""
    cursor = place.cursor or {}
    asked = {
        "filter": {"property": "object", "value": "page"},
        "sort": {"timestamp": "last_edited_time", "direction": "descending"},
        "start_cursor": cursor.get("next"),
        "page_size": MOST,
    }
    page = notion.post("/search", json=given(asked), idempotent=True).json()
    since = cursor.get("since") or ""
    found = [one for one in page["results"] if one["last_edited_time"] >= since]
    newest = cursor.get("newest") or (found[0]["last_edited_time"] if found else since or None)
    items = [item_of(one) for one in found]
    if page.get("next_cursor") and len(found) == len(page["results"]):
        on = {"since": since or None, "newest": newest, "next": page["next_cursor"]}
        return Page(items, given(on), more=True)
    has_missed = "next" in cursor and not since and newest is not None
    return Page(items, given({"since": newest}), more=has_missed)


def item_of(found: dict[str, Any]) -> Item:
    if found.get("in_trash"):
        return Item(found["id"], is_deleted=True)
    return Item(found["id"], {**seen_row(found)})
