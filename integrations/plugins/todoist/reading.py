"""What can be read: projects and what belongs to them, open and completed tasks, comments."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from integrations.plugins.todoist.facts import plugin
from integrations.plugins.todoist.shapes import (
    Comments,
    Labels,
    Projects,
    Sections,
    Task,
    Tasks,
    seen_comment,
    seen_label,
    seen_project,
    seen_section,
    seen_task,
    seen_tasks,
)
from integrations.sdk import Choice, Client, Described, Identity, Refused, every

LONGEST_LOOK_BACK = timedelta(days=92)  # Todoist answers for three months at most.

Id = Annotated[str, Described(pattern=r"^[A-Za-z0-9_-]+$")]
Cursor = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
Limit = Annotated[int, Described(ge=1, le=200, description="How many to return at most, 1 to 200")]

TaskId = Annotated[Id, Described(description="The task's id, from list_tasks or create_task")]

# --- health and discovery


@plugin.health
def whoami(todoist: Client) -> Identity:
    user = todoist.get("/user").json()
    return Identity(label=user.get("email") or user["full_name"], account_id=str(user["id"]))


@plugin.discovers("projects")
def projects(todoist: Client) -> list[Choice]:
    found = every(lambda cursor: list_projects(todoist, cursor=cursor, limit=200), "projects")
    return [Choice(id=project["id"], label=project["name"]) for project in found]


@plugin.discovers("labels")
def labels(todoist: Client) -> list[Choice]:
    found = every(lambda cursor: list_labels(todoist, cursor=cursor, limit=200), "labels")
    return [Choice(id=label["id"], label=label["name"]) for label in found]


# --- projects and tasks


@plugin.action(scopes=("data:read",), try_with={})
def list_projects(todoist: Client, cursor: Cursor = None, limit: Limit = 50) -> Projects:
    """List the projects of the account, the Inbox among them, with their ids and links.

    Use it to find the `project_id` that list_tasks and create_task take. `next_cursor` is null on the last
    page; otherwise call again with it as `cursor`.
    """
    page = todoist.get("/projects", params={"cursor": cursor, "limit": limit}).json()
    return {
        "projects": [seen_project(found) for found in page["results"]],
        "next_cursor": page.get("next_cursor"),
    }


@plugin.action(scopes=("data:read",))
def list_tasks(
    todoist: Client,
    project_id: Annotated[
        Id | None, Described(description="Only tasks of this project, from list_projects")
    ] = None,
    label: Annotated[str | None, Described(description="Only tasks with this label, without the @")] = None,
    ids: Annotated[
        list[Id] | None, Described(description="Only these tasks", min_length=1, max_length=100)
    ] = None,
    query: Annotated[
        str | None,
        Described(
            description=(
                "A Todoist filter instead of the three above: 'today | overdue', '#Work & p1', '@shop', "
                "'search: invoice'. Commas are not supported. In filters p1 is the most urgent."
            ),
            min_length=1,
            max_length=1024,
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Tasks:
    """List open tasks with content, due date, labels, priority and link; completed tasks are not listed.

    Narrow it by `project_id`, `label` or `ids`, or by one `query` in Todoist's filter language, which answers
    questions such as "what is due today". Without arguments it lists all open tasks. `next_cursor` is null on
    the last page; otherwise call again with the same arguments and it as `cursor`.
    """
    place: dict[str, str | int | None] = {"cursor": cursor, "limit": limit}
    if query is None:
        wanted = {"project_id": project_id, "label": label, "ids": ",".join(ids) if ids else None}
        page = todoist.get("/tasks", params={**wanted, **place}).json()
    elif project_id or label or ids:
        raise Refused("Give a query, or project_id, label and ids, not both.", field="query")
    else:
        page = todoist.get("/tasks/filter", params={"query": query, **place}).json()
    return seen_tasks(page)


@plugin.action(scopes=("data:read",))
def get_task(todoist: Client, task_id: TaskId) -> Task:
    """Read one task with its description, dates, labels and link, whether it is open or completed."""
    return read_task(todoist, task_id)


def read_task(todoist: Client, task_id: str) -> Task:
    return seen_task(todoist.get(f"/tasks/{task_id}").json())


@plugin.action(scopes=("data:read",))
def list_completed_tasks(
    todoist: Client,
    since: Annotated[date, Described(description="Completed on this day (UTC) or later, YYYY-MM-DD")],
    until: Annotated[
        date | None, Described(description="Completed on this day or earlier; without it, until now")
    ] = None,
    project_id: Annotated[
        Id | None, Described(description="Only tasks of this project, from list_projects")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Tasks:
    """List tasks by the day they were completed, the last three months back at most.

    Use it to say what was done this week. `next_cursor` is null on the last page; otherwise call again with
    the same arguments and it as `cursor`.
    """
    last = until or datetime.now(UTC).date()
    if last < since:
        raise Refused("until lies before since.", field="until")
    if last - since > LONGEST_LOOK_BACK:
        raise Refused("Todoist answers for three months at once; ask for a shorter time.", field="since")
    span = {"since": midnight(since), "until": midnight(last + timedelta(days=1))}
    wanted = {**span, "project_id": project_id, "cursor": cursor, "limit": limit}
    return seen_tasks(todoist.get("/tasks/completed/by_completion_date", params=wanted).json(), "items")


def midnight(day: date) -> str:
    return datetime.combine(day, time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- what belongs to them


@plugin.action(scopes=("data:read",))
def list_sections(
    todoist: Client,
    project_id: Annotated[
        Id | None, Described(description="Only sections of this project, from list_projects")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Sections:
    """List the sections that projects are divided into, with their ids.

    Use it to find the `section_id` that create_task and move_task take. `next_cursor` is null on the last
    page; otherwise call again with it as `cursor`.
    """
    wanted = {"project_id": project_id, "cursor": cursor, "limit": limit}
    page = todoist.get("/sections", params=wanted).json()
    found = [seen_section(section) for section in page["results"]]
    return {"sections": found, "next_cursor": page.get("next_cursor")}


@plugin.action(scopes=("data:read",))
def list_labels(todoist: Client, cursor: Cursor = None, limit: Limit = 50) -> Labels:
    """List the person's labels. Tasks take labels by name; one that does not exist yet is made.

    `next_cursor` is null on the last page; otherwise call again with it as `cursor`.
    """
    page = todoist.get("/labels", params={"cursor": cursor, "limit": limit}).json()
    found = [seen_label(label) for label in page["results"]]
    return {"labels": found, "next_cursor": page.get("next_cursor")}


@plugin.action(scopes=("data:read",))
def list_comments(
    todoist: Client,
    task_id: Annotated[Id | None, Described(description="Comments on this task, from list_tasks")] = None,
    project_id: Annotated[
        Id | None, Described(description="Or those on this project itself, from list_projects")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Comments:
    """List the comments on one task or on one project, with text, author and time.

    Give `task_id` or `project_id`. `next_cursor` is null on the last page; otherwise call again with it as
    `cursor`.
    """
    if bool(task_id) == bool(project_id):
        raise Refused("Give a task_id or a project_id.", field="task_id")
    wanted = {"task_id": task_id, "project_id": project_id, "cursor": cursor, "limit": limit}
    page = todoist.get("/comments", params=wanted).json()
    found = [seen_comment(comment) for comment in page["results"]]
    return {"comments": found, "next_cursor": page.get("next_cursor")}
