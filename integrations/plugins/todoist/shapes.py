"""What agents see of Todoist's things."""

from __future__ import annotations

from typing import Any

from integrations.plugins.todoist.facts import APP
from integrations.sdk import TypedDict


class Project(TypedDict):
    id: str
    name: str
    parent_id: str | None
    is_inbox: bool
    is_favorite: bool
    url: str


class Projects(TypedDict):
    projects: list[Project]
    next_cursor: str | None


class Task(TypedDict):
    """`due` is a day or a moment, `due_string` what the person wrote; `priority` 4 is urgent, 1 is none."""

    id: str
    content: str
    description: str
    project_id: str
    section_id: str | None
    parent_id: str | None
    labels: list[str]
    priority: int
    due: str | None
    due_string: str | None
    is_recurring: bool
    deadline: str | None
    assignee_id: str | None
    is_completed: bool
    completed_at: str | None
    url: str


class Tasks(TypedDict):
    tasks: list[Task]
    next_cursor: str | None


class Completed(TypedDict):
    id: str
    completed: bool


class Deleted(TypedDict):
    id: str
    deleted: bool


class Section(TypedDict):
    id: str
    name: str
    project_id: str


class Sections(TypedDict):
    sections: list[Section]
    next_cursor: str | None


class Label(TypedDict):
    id: str
    name: str
    is_favorite: bool


class Labels(TypedDict):
    labels: list[Label]
    next_cursor: str | None


class Comment(TypedDict):
    """`task_id` or `project_id` says what was commented on. `author_id` is a person's id at Todoist."""

    id: str
    content: str
    task_id: str | None
    project_id: str | None
    author_id: str | None
    posted_at: str | None


class Comments(TypedDict):
    comments: list[Comment]
    next_cursor: str | None


def seen_project(found: dict[str, Any]) -> Project:
    return {
        "id": found["id"],
        "name": found["name"],
        "parent_id": found.get("parent_id"),
        # Two names are about: the reference has inbox_project, older answers is_inbox_project.
        "is_inbox": bool(found.get("inbox_project") or found.get("is_inbox_project")),
        "is_favorite": bool(found.get("is_favorite")),
        "url": f"{APP}/project/{found['id']}",
    }


def seen_task(found: dict[str, Any]) -> Task:
    due, deadline = found.get("due") or {}, found.get("deadline") or {}
    return {
        "id": found["id"],
        "content": found["content"],
        "description": found.get("description") or "",
        "project_id": found["project_id"],
        "section_id": found.get("section_id"),
        "parent_id": found.get("parent_id"),
        "labels": found.get("labels") or [],
        "priority": found.get("priority", 1),
        "due": due.get("datetime") or due.get("date"),
        "due_string": due.get("string"),
        "is_recurring": bool(due.get("is_recurring")),
        "deadline": deadline.get("date"),
        "assignee_id": found.get("responsible_uid"),
        "is_completed": bool(found.get("checked")),
        "completed_at": found.get("completed_at"),
        # REST objects carry no address; the app finds a task by its id alone.
        "url": f"{APP}/task/{found['id']}",
    }


def seen_tasks(page: dict[str, Any], key: str = "results") -> Tasks:
    return {"tasks": [seen_task(found) for found in page[key]], "next_cursor": page.get("next_cursor")}


def seen_section(found: dict[str, Any]) -> Section:
    return {"id": found["id"], "name": found["name"], "project_id": found["project_id"]}


def seen_label(found: dict[str, Any]) -> Label:
    return {"id": found["id"], "name": found["name"], "is_favorite": bool(found.get("is_favorite"))}


def seen_comment(found: dict[str, Any]) -> Comment:
    return {
        "id": found["id"],
        "content": found.get("content") or "",
        # Two names are about: REST has task_id, the Sync endpoint and webhooks item_id.
        "task_id": found.get("task_id") or found.get("item_id"),
        "project_id": found.get("project_id"),
        "author_id": found.get("posted_uid"),
        "posted_at": found.get("posted_at"),
    }
