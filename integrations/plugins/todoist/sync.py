"""Tasks and projects kept up to date by the Sync endpoint, and changes that are sent on schedule.

https://developer.todoist.com/api/v1 (Sync, Read resources), read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from integrations.plugins.todoist.facts import plugin
from integrations.plugins.todoist.shapes import seen_project, seen_task
from integrations.sdk import Client, Item, Page, Place, Refused, StartOver, TryLater

FROM_THE_BEGINNING = "*"
WRONG_ARGUMENT = 400


@plugin.sync("tasks", scopes=("data:read",), title="Tasks")
def pull_tasks(todoist: Client, place: Place) -> Page:
    """Tasks that changed; all open ones at first. Completed ones stay, with `is_completed`.

    What leaves the chosen projects counts as deleted. When Todoist sends everything anew, it sends open tasks
    only: tasks completed before are gone from here, too.
    """
    chosen = sorted(place.settings.get("projects") or ())
    if place.cursor and place.cursor["projects"] != chosen:
        raise StartOver
    answer = changed(todoist, place, "items")
    items = [task_item(found, chosen) for found in answer["items"]]
    return page_of(items, place, answer, projects=chosen)


@plugin.sync("projects", scopes=("data:read",), title="Projects")
def pull_projects(todoist: Client, place: Place) -> Page:
    """Projects that changed; all of them at first. Archived ones count as deleted."""
    answer = changed(todoist, place, "projects")
    return page_of([project_item(found) for found in answer["projects"]], place, answer)


plugin.pushes(
    "changes",
    actions=("create_task", "update_task", "complete_task", "reopen_task"),
    every=timedelta(minutes=5),
    title="Changes to send",
)


def changed(todoist: Client, place: Place, resource: str) -> dict[str, Any]:
    """What changed since the cursor's token. Raises StartOver where Todoist does not know the token."""
    token = place.cursor["sync_token"] if place.cursor else FROM_THE_BEGINNING
    asked = {"sync_token": token, "resource_types": [resource]}
    try:
        answer: dict[str, Any] = todoist.post("/sync", json=asked, idempotent=True).json()
    except Refused as refusal:
        # What becomes of an old token is not documented: a full answer is expected, a refusal possible.
        if place.cursor and refusal.status == WRONG_ARGUMENT:
            raise StartOver from None
        raise
    if answer.get("full_sync") and resource not in answer:
        # "Everything", without any of it: believed, it would delete all that is kept.
        raise TryLater("Todoist answered with something Navi cannot read. Try again later.", sent=True)
    return {resource: [], **answer}


def page_of(items: Sequence[Item], place: Place, answer: dict[str, Any], **kept: Any) -> Page:
    """One answer is a whole pass. `full_sync` on a question for changes: Todoist has started over by itself."""
    starts_over = place.cursor is not None and bool(answer.get("full_sync"))
    return Page(items, {"sync_token": answer["sync_token"], **kept}, starts_over=starts_over)


def task_item(found: dict[str, Any], chosen: list[str]) -> Item:
    is_elsewhere = bool(chosen) and found.get("project_id") not in chosen
    if found.get("is_deleted") or is_elsewhere:
        return Item(found["id"], is_deleted=True)
    return Item(found["id"], dict(seen_task(found)))


def project_item(found: dict[str, Any]) -> Item:
    if found.get("is_deleted") or found.get("is_archived"):
        return Item(found["id"], is_deleted=True)
    return Item(found["id"], dict(seen_project(found)))
