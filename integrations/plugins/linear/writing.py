"""What can be written. What is made carries an id of ours, so that a repeat makes no second one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from integrations.plugins.linear.documents import (
    CREATE_COMMENT,
    CREATE_ISSUE,
    CREATED_COMMENT,
    CREATED_ISSUE,
    TEAM_OF_ISSUE,
    UPDATE_ISSUE,
)
from integrations.plugins.linear.facts import AlreadyThere, ask, plugin, version_4
from integrations.plugins.linear.names import (
    labels_called,
    project_called,
    state_called,
    team_called,
    user_called,
)
from integrations.plugins.linear.reading import IssueId
from integrations.plugins.linear.shapes import Comment, Issue, seen_comment, seen_issue
from integrations.sdk import Client, Described, Refused, RequestKey, given

Project = Annotated[
    str | None, Described(description="The project it belongs to, by name or id", min_length=1)
]
Estimate = Annotated[
    int | None, Described(ge=0, le=64, description="Points, on the scale that the team uses")
]
DueDate = Annotated[date | None, Described(description="The day it is due, YYYY-MM-DD")]


@plugin.action(writes=True, idempotent=True, scopes=("issues:create",))
def create_issue(
    linear: Client,
    team: Annotated[str, Described(description="The team's key, such as ENG, or its id", min_length=1)],
    title: Annotated[str, Described(description="One line that says what is to be done", min_length=1)],
    description: Annotated[str, Described(description="Details, in Markdown")] = "",
    assignee: Annotated[
        str | None, Described(description='Who is to do it: an e-mail, "me", or a user id', min_length=1)
    ] = None,
    priority: Annotated[
        int, Described(ge=0, le=4, description="0 no priority, 1 urgent, 2 high, 3 medium, 4 low")
    ] = 0,
    state: Annotated[
        str | None,
        Described(description="A state of the team by name, from list_teams, or its id", min_length=1),
    ] = None,
    labels: Annotated[
        list[str] | None, Described(description="Existing labels, by exact name or id", max_length=20)
    ] = None,
    project: Project = None,
    estimate: Estimate = None,
    due_date: DueDate = None,
    parent: Annotated[
        str | None, Described(description="Makes it a sub-issue of this one (ENG-12 or id)", min_length=1)
    ] = None,
    *,
    request_key: RequestKey,
) -> Issue:
    """Create an issue in a team and return it with its identifier and link.

    Priority counts downwards: 1 is urgent, 4 is low, 0 is none. Names of team, state, person, project and
    labels are looked up; one that does not exist is refused before anything is created.
    """
    team_id = team_called(linear, team)
    wanted = {
        "id": version_4(request_key),
        "teamId": team_id,
        "title": title,
        "description": description or None,
        "assigneeId": assignee and user_called(linear, assignee),
        "priority": priority,
        "stateId": state and state_called(linear, state, team_id),
        "labelIds": labels and labels_called(linear, labels, team_id),
        "projectId": project and project_called(linear, project),
        "estimate": estimate,
        "dueDate": due_date and due_date.isoformat(),
        "parentId": parent,
    }
    try:
        found = ask(linear, CREATE_ISSUE, input=given(wanted))["issueCreate"]["issue"]
    except AlreadyThere:
        found = ask(linear, CREATED_ISSUE, id=wanted["id"])["issue"]
    if not found:
        raise Refused("Linear did not create the issue and did not say why.")
    return seen_issue(found)


@plugin.action(writes=True, scopes=("write",))
def update_issue(
    linear: Client,
    issue: IssueId,
    title: Annotated[str | None, Described(description="A new title", min_length=1)] = None,
    description: Annotated[
        str | None, Described(description="A new description, in Markdown; it takes the place of the old one")
    ] = None,
    assignee: Annotated[
        str | None, Described(description='Who is to do it: an e-mail, "me", or a user id', min_length=1)
    ] = None,
    priority: Annotated[
        int | None, Described(ge=0, le=4, description="0 no priority, 1 urgent, 2 high, 3 medium, 4 low")
    ] = None,
    state: Annotated[
        str | None,
        Described(
            description="A state of the issue's team by name, from list_states, or its id", min_length=1
        ),
    ] = None,
    add_labels: Annotated[
        list[str] | None, Described(description="Existing labels to add, by exact name or id", max_length=20)
    ] = None,
    remove_labels: Annotated[
        list[str] | None, Described(description="Labels to take away, by exact name or id", max_length=20)
    ] = None,
    project: Project = None,
    estimate: Estimate = None,
    due_date: DueDate = None,
    parent: Annotated[
        str | None, Described(description="Makes it a sub-issue of this one (ENG-12 or id)", min_length=1)
    ] = None,
    clear: Annotated[
        list[Literal["assignee", "project", "estimate", "due_date", "parent"]] | None,
        Described(description="What to make empty, such as assignee", max_length=5),
    ] = None,
) -> Issue:
    """Change an issue and return it as it is then; what is not named stays as it was.

    Move it through its workflow with `state`, such as "In Progress" or "Done". Labels are added and taken
    away one by one. Names are looked up, and one that does not exist is refused before anything is changed.
    """
    place = ask(linear, TEAM_OF_ISSUE, id=issue)["issue"]
    team_id = place["team"]["id"]
    wanted = {
        "title": title,
        "description": description,
        "assigneeId": assignee and user_called(linear, assignee),
        "priority": priority,
        "stateId": state and state_called(linear, state, team_id),
        "addedLabelIds": add_labels and labels_called(linear, add_labels, team_id, "add_labels"),
        "removedLabelIds": remove_labels and labels_called(linear, remove_labels, team_id, "remove_labels"),
        "projectId": project and project_called(linear, project),
        "estimate": estimate,
        "dueDate": due_date and due_date.isoformat(),
        "parentId": parent,
    }
    changes = given(wanted) | cleared(clear or (), wanted)
    if not changes:
        raise Refused("Say what to change.", field="title")
    found = ask(linear, UPDATE_ISSUE, id=place["id"], input=changes)["issueUpdate"]["issue"]
    if not found:
        raise Refused("Linear did not change the issue and did not say why.")
    return seen_issue(found)


FIELDS = {
    "assignee": "assigneeId", "project": "projectId", "estimate": "estimate", "due_date": "dueDate",
    "parent": "parentId",
}  # fmt: skip


def cleared(names: Sequence[str], wanted: Mapping[str, Any]) -> dict[str, None]:
    """What is to be empty, as the nulls that Linear takes for it."""
    for name in names:
        if wanted[FIELDS[name]] is not None:
            raise Refused(f"Give a new {name} or clear it, not both.", field=name)
    return {FIELDS[name]: None for name in names}


@plugin.action(writes=True, idempotent=True, scopes=("comments:create",))
def comment(
    linear: Client,
    issue: IssueId,
    body: Annotated[str, Described(description="The comment, in Markdown", min_length=1)],
    parent_id: Annotated[
        str | None, Described(description="Answers this comment, by its id from get_issue", min_length=1)
    ] = None,
    *,
    request_key: RequestKey,
) -> Comment:
    """Comment on an issue, in the name of the key's owner, and return the comment with its link."""
    own_id = version_4(request_key)
    wanted = {"id": own_id, "issueId": issue, "body": body, "parentId": parent_id}
    try:
        found = ask(linear, CREATE_COMMENT, input=given(wanted))["commentCreate"]["comment"]
    except AlreadyThere as refusal:
        there = ask(linear, CREATED_COMMENT, issue=issue, id=own_id)["issue"]["comments"]["nodes"]
        if not there:
            raise refusal from None
        found = there[0]
    return seen_comment(found)
