"""The issues and pull requests of chosen repositories, as they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from integrations.plugins.github.facts import plugin
from integrations.plugins.github.shapes import next_page, seen_issue
from integrations.sdk import Client, Item, Page, Place

MOST = 100
# What changed in the last moments may not be listed yet; asking for it twice costs nothing.
OVERLAP = timedelta(minutes=1)


def chosen(settings: Mapping[str, Any]) -> Sequence[str]:
    return settings.get("repositories") or ()


@plugin.sync("issues", parts=chosen, title="Issues and pull requests")
def pull_issues(github: Client, place: Place) -> Page:
    """A page of what changed since, the longest unchanged first.

    What changes meanwhile moves to the end, and all behind it one place forward: so the next page is asked by
    the last moment that was seen, and by number only where a whole page shares one moment.
    """
    since, number = place_in(place)
    asked = {
        "state": "all", "sort": "updated", "direction": "asc", "since": since, "per_page": MOST,
        "page": number if number > 1 else None,
    }  # fmt: skip
    answer = github.get(f"/repos/{place.part}/issues", params=asked)
    found = answer.json()
    last = found[-1]["updated_at"] if found else since
    items = [item_of(place.part, one) for one in found]
    if next_page(answer) is None:
        return Page(items, {"since": earlier(last)} if last else {})
    goes_by_moment = last != since
    cursor = {"since": last} if goes_by_moment else {"since": since, "page": number + 1}
    return Page(items, cursor, more=True)


def place_in(place: Place) -> tuple[str | None, int]:
    cursor = place.cursor or {}
    return cursor.get("since"), int(cursor.get("page", 1))


def earlier(moment: str) -> str:
    return (datetime.fromisoformat(moment) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")


def item_of(repository: str, found: dict[str, Any]) -> Item:
    data = {"repository": repository, "is_pull_request": "pull_request" in found, **seen_issue(found)}
    return Item(item_id(repository, found["number"]), data)


def item_id(repository: str, number: int) -> str:
    return f"{repository}#{number}"
