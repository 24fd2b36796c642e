"""Names people know, as the ids Linear wants. What nobody knows is refused before anything is changed."""

from __future__ import annotations

import uuid
from typing import Any

from integrations.plugins.linear.documents import (
    LABELS_BY_NAME,
    PROJECT_BY_NAME,
    STATE_BY_NAME,
    TEAM_BY_KEY,
    USER_BY_EMAIL,
    VIEWER,
)
from integrations.plugins.linear.facts import ask
from integrations.sdk import Client, Refused

# --- names people know, as the ids Linear wants


def team_called(linear: Client, name: str) -> str:
    if is_id(name):
        return name
    found = ask(linear, TEAM_BY_KEY, key=name)["teams"]["nodes"]
    return the_one(found, f"Linear has no team with the key “{name}” that this API key can see.", "team")


def state_called(linear: Client, name: str, team_id: str) -> str:
    if is_id(name):
        return name
    found = ask(linear, STATE_BY_NAME, team=team_id, name=name)["workflowStates"]["nodes"]
    return the_one(found, f"This team has no state called “{name}”; list_teams shows them.", "state")


def user_called(linear: Client, name: str) -> str:
    if is_id(name):
        return name
    if name == "me":
        return str(ask(linear, VIEWER)["viewer"]["id"])
    found = ask(linear, USER_BY_EMAIL, email=name)["users"]["nodes"]
    return the_one(found, f"Linear knows nobody with the e-mail “{name}”.", "assignee")


def project_called(linear: Client, name: str) -> str:
    if is_id(name):
        return name
    found = ask(linear, PROJECT_BY_NAME, name=name)["projects"]["nodes"]
    return the_one(found, f"Linear has no project called “{name}”; list_projects shows them.", "project")


def labels_called(linear: Client, names: list[str], team_id: str, field: str = "labels") -> list[str]:
    wanted = [name for name in names if not is_id(name)]
    found = ask(linear, LABELS_BY_NAME, team=team_id, names=wanted)["issueLabels"]["nodes"] if wanted else []
    ids = {label["name"]: label["id"] for label in found}
    for name in wanted:
        if name not in ids:
            raise Refused(f"Neither the team nor the workspace has a label “{name}”.", field=field)
    return [ids.get(name, name) for name in names]


def the_one(found: list[dict[str, Any]], otherwise: str, field: str) -> str:
    if not found:
        raise Refused(otherwise, field=field)
    return str(found[0]["id"])


def is_id(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True
