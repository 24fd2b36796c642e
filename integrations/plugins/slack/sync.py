"""The messages of chosen channels. What is changed or deleted later is heard of by events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from integrations.plugins.slack.facts import plugin
from integrations.plugins.slack.shapes import seen_message
from integrations.sdk import Client, Item, Page, Place, given

MOST = 200


def chosen(settings: Mapping[str, Any]) -> Sequence[str]:
    return settings.get("channels") or ()


@plugin.sync(
    "messages", parts=chosen, every=timedelta(minutes=30), scopes=("channels:history",), title="Messages"
)
def pull_messages(slack: Client, place: Place) -> Page:
    """A page of a channel's messages since the last run, the newest first; threads are told by their first.

    Slack shows the newest first, so the newest of a run's first page is where the next run begins. Pages are
    asked for by moment: a page's cursor would not outlive a long pause.
    """
    cursor = place.cursor or {}
    asked = {
        "channel": place.part, "oldest": cursor.get("oldest"), "latest": cursor.get("latest"), "limit": MOST,
        "cursor": cursor.get("next"),
    }  # fmt: skip
    page = slack.get("/conversations.history", params=given(asked)).json()
    found = page["messages"]
    newest = cursor.get("newest") or (found[0]["ts"] if found else cursor.get("oldest"))
    items = [item_of(place.part, one) for one in found]
    if page.get("has_more") and found:
        on = {"oldest": cursor.get("oldest"), "latest": found[-1]["ts"], "newest": newest}
        return Page(items, given(on), more=True)
    if page.get("has_more"):
        # A page may be empty without being the last; only Slack's cursor leads past it.
        return Page([], {**cursor, "next": page["response_metadata"]["next_cursor"]}, more=True)
    return Page(items, given({"oldest": newest}))


def item_of(channel: str, message: dict[str, Any]) -> Item:
    """A ts names a message only within its channel."""
    data = {"channel": channel, **seen_message(message)}
    return Item(item_id(channel, message["ts"]), data)


def item_id(channel: str, ts: str) -> str:
    return f"{channel}/{ts}"
