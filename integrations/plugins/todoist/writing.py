"""What can be written: all but the quick add as commands, each of which Todoist carries out only once."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from integrations.plugins.todoist.commands import addition, command
from integrations.plugins.todoist.facts import plugin
from integrations.plugins.todoist.reading import Id, TaskId, read_task
from integrations.plugins.todoist.shapes import (
    Comment,
    Completed,
    Deleted,
    Task,
    seen_comment,
    seen_task,
)
from integrations.sdk import Client, Described, Refused, RequestKey, given

Content = Annotated[
    str,
    Described(
        description="What is to be done, as one line; Markdown links work", min_length=1, max_length=500
    ),
]
DueString = Annotated[
    str | None, Described(description="When, in English: 'tomorrow at 9:00', 'every Monday'", max_length=150)
]
DueDate = Annotated[
    date | None, Described(description="The day it is due, YYYY-MM-DD, instead of due_string")
]
Deadline = Annotated[date | None, Described(description="The day it must be done by, YYYY-MM-DD")]
NO_DATE = "no date"
URGENCY = "4 is urgent (shown as p1 in the app), 3 high, 2 medium, 1 normal"
LabelNames = Annotated[
    list[str] | None, Described(description="Names of labels; new ones are made", max_length=50)
]
Assignee = Annotated[Id | None, Described(description="A collaborator of a shared project")]


def refuse_two_dates(due_string: str | None, due_date: date | None) -> None:
    if due_string and due_date:
        raise Refused("Give due_string or due_date, not both.", field="due_date")


@plugin.action(writes=True, idempotent=True, scopes=("task:add",))
def create_task(
    todoist: Client,
    content: Content,
    description: Annotated[str, Described(description="Longer notes, in Markdown", max_length=16383)] = "",
    project_id: Annotated[
        Id | None, Described(description="From list_projects; without it, the Inbox")
    ] = None,
    section_id: Annotated[Id | None, Described(description="A section of that project")] = None,
    parent_id: Annotated[Id | None, Described(description="Makes it a subtask of this task")] = None,
    due_string: DueString = None,
    due_date: DueDate = None,
    deadline_date: Deadline = None,
    priority: Annotated[int, Described(ge=1, le=4, description=URGENCY)] = 1,
    labels: LabelNames = None,
    assignee_id: Assignee = None,
    *,
    request_key: RequestKey,
) -> Task:
    """Create a task and return it with its id and link.

    Priority counts upwards: 4 is urgent, 1 is normal. Give `due_string` for times and repetition, or
    `due_date` for a plain day. Without `project_id` the task lands in the Inbox.
    """
    refuse_two_dates(due_string, due_date)
    wanted = {
        "content": content,
        "description": description or None,
        "project_id": project_id,
        "section_id": section_id,
        "parent_id": parent_id,
        "due": due_of(due_string, due_date),
        "deadline": deadline_date and {"date": deadline_date.isoformat()},
        "priority": priority,
        "labels": labels,
        "responsible_uid": assignee_id,
    }
    made = addition(todoist, "item_add", given(wanted), request_key)
    return seen_task(
        read_or_as_asked(todoist, f"/tasks/{made}", {"project_id": "", **given(wanted), "id": made})
    )


def due_of(due_string: str | None, due_date: date | None) -> dict[str, str] | None:
    """As commands take it; REST has due_string and due_date beside each other instead."""
    if due_string and due_string != NO_DATE:
        return {"string": due_string, "lang": "en"}
    return {"date": due_date.isoformat()} if due_date else None


def read_or_as_asked(todoist: Client, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What was made, as Todoist has it; as it was asked for where a sign-in may add and not read."""
    try:
        found: dict[str, Any] = todoist.get(path).json()
    except Refused:
        return asked
    return found


@plugin.action(writes=True, scopes=("task:add",))
def quick_add_task(
    todoist: Client,
    text: Annotated[
        str,
        Described(
            description="One line as typed into Todoist: 'Call Bob tomorrow at 9 #Work @phone p1 //about the roof'",
            min_length=1,
            max_length=1024,
        ),
    ],
    note: Annotated[str | None, Described(description="A comment to put on the new task")] = None,
    *,
    request_key: RequestKey,
) -> Task:
    """Create a task from one line in Todoist's own shorthand and return it with its id and link.

    Todoist reads the date, #project, /section, @labels, p1 to p4 (p1 is the most urgent) and {deadline} out
    of the line. Use it for a person's own words; use create_task where you know the fields. Two calls make
    two tasks.
    """
    # Whether API v1 still drops a repeated X-Request-Id is not said anywhere, so it is not sent twice.
    asked = given({"text": text, "note": note})
    return seen_task(todoist.post("/tasks/quick", json=asked, headers={"X-Request-Id": request_key}).json())


@plugin.action(writes=True, idempotent=True, scopes=("data:read_write",))
def update_task(
    todoist: Client,
    task_id: TaskId,
    content: Annotated[
        str | None, Described(description="A new first line", min_length=1, max_length=500)
    ] = None,
    description: Annotated[
        str | None,
        Described(
            description="New notes, in Markdown; they take the place of the old ones", max_length=16383
        ),
    ] = None,
    due_string: Annotated[
        str | None,
        Described(
            description="When, in English: 'tomorrow at 9:00'; 'no date' takes it away", max_length=150
        ),
    ] = None,
    due_date: DueDate = None,
    deadline_date: Deadline = None,
    priority: Annotated[int | None, Described(ge=1, le=4, description=URGENCY)] = None,
    labels: Annotated[
        list[str] | None,
        Described(description="All labels that it is to have; new ones are made, others go", max_length=50),
    ] = None,
    assignee_id: Assignee = None,
    *,
    request_key: RequestKey,
) -> Task:
    """Change a task and return it as it is then; what is not named stays as it was.

    Use complete_task and reopen_task for done and not done, move_task for another project or section.
    """
    refuse_two_dates(due_string, due_date)
    wanted = {
        "content": content,
        "description": description,
        "due": due_of(due_string, due_date),
        "deadline": deadline_date and {"date": deadline_date.isoformat()},
        "priority": priority,
        "labels": labels,
        "responsible_uid": assignee_id,
    }
    changes: dict[str, Any] = given(wanted) | ({"due": None} if due_string == NO_DATE else {})
    if not changes:
        raise Refused("Say what to change.", field="content")
    command(todoist, "item_update", {"id": task_id, **changes}, request_key)
    return read_task(todoist, task_id)


@plugin.action(writes=True, idempotent=True, scopes=("data:read_write",))
def move_task(
    todoist: Client,
    task_id: TaskId,
    project_id: Annotated[Id | None, Described(description="To this project, from list_projects")] = None,
    section_id: Annotated[Id | None, Described(description="To this section, from list_sections")] = None,
    parent_id: Annotated[Id | None, Described(description="Below this task, as its subtask")] = None,
    *,
    request_key: RequestKey,
) -> Task:
    """Move a task with its subtasks to another project, section or parent task, and return it.

    Give exactly one of `project_id`, `section_id` and `parent_id`.
    """
    place = given({"project_id": project_id, "section_id": section_id, "parent_id": parent_id})
    if len(place) != 1:
        raise Refused("Give one of project_id, section_id and parent_id.", field="project_id")
    command(todoist, "item_move", {"id": task_id, **place}, request_key)
    return read_task(todoist, task_id)


@plugin.action(writes=True, idempotent=True, scopes=("data:read_write",))
def complete_task(todoist: Client, task_id: TaskId, *, request_key: RequestKey) -> Completed:
    """Complete a task and its subtasks, and say so.

    A recurring task is not closed but moves on to its next date, once for every call: do not repeat it.
    """
    command(todoist, "item_close", {"id": task_id}, request_key)
    return {"id": task_id, "completed": True}


@plugin.action(writes=True, idempotent=True, scopes=("data:read_write",))
def reopen_task(todoist: Client, task_id: TaskId, *, request_key: RequestKey) -> Completed:
    """Make a completed task open again, with the tasks above it, and say so."""
    command(todoist, "item_uncomplete", {"id": task_id}, request_key)
    return {"id": task_id, "completed": False}


@plugin.action(destroys=True, idempotent=True, scopes=("data:delete",))
def delete_task(todoist: Client, task_id: TaskId, *, request_key: RequestKey) -> Deleted:
    """Delete a task with its subtasks and comments, for good. To mark it as done, use complete_task."""
    command(todoist, "item_delete", {"id": task_id}, request_key)
    return {"id": task_id, "deleted": True}


@plugin.action(writes=True, idempotent=True, scopes=("data:read_write",))
def add_comment(
    todoist: Client,
    task_id: TaskId,
    content: Annotated[
        str, Described(description="The comment, in Markdown", min_length=1, max_length=15000)
    ],
    *,
    request_key: RequestKey,
) -> Comment:
    """Comment on a task, in the name of the account's owner, and return the comment."""
    wanted = {"item_id": task_id, "content": content}
    made = addition(todoist, "note_add", wanted, request_key)
    return seen_comment(read_or_as_asked(todoist, f"/comments/{made}", {**wanted, "id": made}))
