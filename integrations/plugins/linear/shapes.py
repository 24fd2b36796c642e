"""What agents see of Linear's things."""

from __future__ import annotations

from typing import Any

from integrations.plugins.linear.facts import cursor_after
from integrations.sdk import TypedDict


class Viewer(TypedDict):
    id: str
    name: str
    email: str
    workspace: str
    url: str


class State(TypedDict):
    name: str
    type: str


class Team(TypedDict):
    id: str
    key: str
    name: str
    states: list[State]


class Teams(TypedDict):
    teams: list[Team]
    next_cursor: str | None


class Issue(TypedDict):
    """`priority`: 0 none, 1 urgent, 2 high, 3 medium, 4 low. `team` is the key, `assignee` an e-mail."""

    id: str
    identifier: str
    title: str
    url: str
    team: str
    state: str
    state_type: str
    assignee: str | None
    assignee_name: str | None
    project: str | None
    priority: int
    priority_label: str
    labels: list[str]
    due_date: str | None
    created_at: str
    updated_at: str


class Comment(TypedDict):
    id: str
    body: str
    author: str | None
    url: str
    created_at: str


class WholeIssue(Issue):
    description: str
    parent: str | None
    comments: list[Comment]


class Issues(TypedDict):
    issues: list[Issue]
    next_cursor: str | None


class Comments(TypedDict):
    comments: list[Comment]
    next_cursor: str | None


class Project(TypedDict):
    """`teams` are keys, `lead` is an e-mail; `status_type` is backlog, planned, started, paused and so on."""

    id: str
    name: str
    url: str
    status: str
    status_type: str
    lead: str | None
    teams: list[str]
    start_date: str | None
    target_date: str | None


class Projects(TypedDict):
    projects: list[Project]
    next_cursor: str | None


class TeamState(State):
    id: str
    team: str


class States(TypedDict):
    states: list[TeamState]
    next_cursor: str | None


class Label(TypedDict):
    """`team` is the key of the team that it belongs to; null: all teams can use it."""

    id: str
    name: str
    team: str | None


class Labels(TypedDict):
    labels: list[Label]
    next_cursor: str | None


class User(TypedDict):
    id: str
    name: str
    email: str
    is_active: bool
    is_app: bool


class Users(TypedDict):
    users: list[User]
    next_cursor: str | None


def seen_issue(found: dict[str, Any]) -> Issue:
    assignee = found.get("assignee") or {}
    return {
        "id": found["id"],
        "identifier": found["identifier"],
        "title": found["title"],
        "url": found["url"],
        "team": found["team"]["key"],
        "state": found["state"]["name"],
        "state_type": found["state"]["type"],
        "assignee": assignee.get("email"),
        "assignee_name": assignee.get("name"),
        "project": (found.get("project") or {}).get("name"),
        # The schema says Float, the value is a whole number.
        "priority": int(found["priority"]),
        "priority_label": found["priorityLabel"],
        "labels": [label["name"] for label in found["labels"]["nodes"]],
        "due_date": found.get("dueDate"),
        "created_at": found["createdAt"],
        "updated_at": found["updatedAt"],
    }


def seen_comment(found: dict[str, Any]) -> Comment:
    return {
        "id": found["id"],
        "body": found["body"],
        "author": (found.get("user") or {}).get("name"),  # None: an integration wrote it.
        "url": found["url"],
        "created_at": found["createdAt"],
    }


def seen_issues(page: dict[str, Any]) -> Issues:
    return {"issues": [seen_issue(found) for found in page["nodes"]], "next_cursor": cursor_after(page)}


def seen_project(found: dict[str, Any]) -> Project:
    return {
        "id": found["id"],
        "name": found["name"],
        "url": found["url"],
        "status": found["status"]["name"],
        "status_type": found["status"]["type"],
        "lead": (found.get("lead") or {}).get("email"),
        "teams": [team["key"] for team in found["teams"]["nodes"]],
        "start_date": found.get("startDate"),
        "target_date": found.get("targetDate"),
    }


def seen_state(found: dict[str, Any]) -> TeamState:
    return {
        "id": found["id"],
        "name": found["name"],
        "type": found["type"],
        "team": found["team"]["key"],
    }


def seen_label(found: dict[str, Any]) -> Label:
    return {"id": found["id"], "name": found["name"], "team": (found.get("team") or {}).get("key")}


def seen_user(found: dict[str, Any]) -> User:
    return {
        "id": found["id"],
        "name": found["name"],
        "email": found["email"],
        "is_active": found["active"],
        "is_app": found["app"],
    }
