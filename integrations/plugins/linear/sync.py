"""The issues, kept up to date: what changed since the last pass, and now and then everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.plugins.linear.documents import CHANGED_ISSUES
from integrations.plugins.linear.facts import ask, cursor_after, plugin
from integrations.plugins.linear.shapes import seen_issue
from integrations.sdk import Client, Item, Page, Place, Refused, StartOver

AT_ONCE = 50
# An issue may become visible a little after its own updatedAt; what is read twice is written once.
OVERLAP = timedelta(minutes=1)
# What was deleted for good, or moved to a team that nobody chose, no question about changes shows.
WHOLE_PASS_EVERY = timedelta(days=7)

Cursor = dict[str, Any]


@plugin.sync("issues", scopes=("read",), title="Issues")
def pull_issues(linear: Client, place: Place) -> Page:
    """Issues by the moment of their last change, the newest first; archived and trashed ones are deleted.

    The cursor holds where the pass under way goes on (`after`), from which moment it reads (`since`, null:
    everything), the newest change it met (`newest`), and when everything was last read (`whole_at`).
    """
    now, teams = datetime.now(UTC), sorted(place.settings.get("teams") or ())
    cursor = dict(place.cursor or beginning(teams, now))
    if cursor["teams"] != teams:
        raise StartOver
    starts_over = place.cursor is not None and is_whole_pass_due(cursor, now)
    if starts_over:
        cursor = beginning(teams, now)
    found = changed(linear, cursor)
    items = [seen(issue) for issue in found["nodes"]]
    on = following(cursor, found)
    return Page(items, on, more=bool(on["after"]) or has_missed(cursor, on), starts_over=starts_over)


def has_missed(before: Cursor, after: Cursor) -> bool:
    """Issues that changed while a whole pass read its pages moved to the front, past which it was: it ends by
    reading what changed, or they would count as deleted."""
    was_whole = before["since"] is None and before["after"] is not None
    return was_whole and after["since"] is not None


def beginning(teams: list[str], at: datetime) -> Cursor:
    return {"teams": teams, "whole_at": at.isoformat(), "since": None, "after": None, "newest": None}


def is_whole_pass_due(cursor: Cursor, now: datetime) -> bool:
    is_under_way = cursor["after"] is not None
    return not is_under_way and now - datetime.fromisoformat(cursor["whole_at"]) >= WHOLE_PASS_EVERY


def changed(linear: Client, cursor: Cursor) -> dict[str, Any]:
    """One page of what changed since the cursor's moment. Raises StartOver where Linear forgot the page."""
    since, teams = cursor["since"], cursor["teams"]
    wanted = {
        "updatedAt": since and {"gte": with_overlap(since)},
        "team": teams and {"id": {"in": teams}},
    }
    try:
        found: dict[str, Any] = ask(
            linear, CHANGED_ISSUES, filter={name: value for name, value in wanted.items() if value},
            first=AT_ONCE, after=cursor["after"],
            # A whole pass leaves the archive out: years of it, only to be marked deleted.
            includeArchived=since is not None,
        )["issues"]  # fmt: skip
    except Refused:
        if cursor["after"] is None:
            raise
        raise StartOver from None
    return found


def following(cursor: Cursor, found: dict[str, Any]) -> Cursor:
    """The cursor after a page. The next pass reads from the newest change of this one, by Linear's clock:
    what changes while the pages are read goes to the front, past which this pass already is."""
    first = found["nodes"][0]["updatedAt"] if found["nodes"] else None
    newest = cursor["newest"] or first or cursor["since"]
    if after := cursor_after(found):
        return {**cursor, "after": after, "newest": newest}
    return {**cursor, "since": newest, "after": None, "newest": None}


def with_overlap(moment: str) -> str:
    earlier = datetime.fromisoformat(moment) - OVERLAP
    return earlier.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seen(found: dict[str, Any]) -> Item:
    if found.get("trashed") or found.get("archivedAt"):
        return Item(found["id"], is_deleted=True)
    return Item(found["id"], {**seen_issue(found), "description": found.get("description") or ""})
