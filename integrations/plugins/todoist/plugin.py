"""Todoist: projects and tasks, through API v1 (https://developer.todoist.com/api/v1)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from integrations.sdk import (
    ApiKey,
    Bearer,
    Choice,
    Client,
    Described,
    Field,
    Guide,
    Identity,
    McpServer,
    OAuth2,
    Plugin,
    Reconnect,
    Refused,
    RequestKey,
    Response,
    Revoke,
    Step,
    TryLater,
    TypedDict,
    VendorError,
    every,
    given,
)

TOKEN_PAGE = "https://app.todoist.com/app/settings/integrations/developer"
APP_PAGE = "https://app.todoist.com/app/settings/integrations/app-management"
APP = "https://app.todoist.com/app"
LONGEST_WAIT = 15 * 60.0  # Seconds: Todoist counts requests over 15 minutes.

# --- what a sign-in may do

SCOPES = {"data:read_write": "Read projects and tasks, add and change them"}
MORE_SCOPES = {
    "data:read": "Only read projects and tasks",
    "task:add": "Only add tasks",
    "data:delete": "Delete tasks, labels and filters",
    "project:delete": "Delete projects",
}
SIGN_IN = OAuth2(
    authorize_url="https://app.todoist.com/oauth/authorize",
    token_url="https://api.todoist.com/oauth/access_token",
    scopes={**SCOPES, **MORE_SCOPES},
    separator=",",
    granted_separator=",",
    implies={"data:read_write": ("data:read", "task:add")},
    # Apps from before refresh tokens are told ten years of life; for the others the answer says an hour.
    rotates=True,
    reuse_grace=60,
    reuse_revokes=True,
    revoke=Revoke("https://api.todoist.com/api/v1/revoke", client_auth="basic", ends_all=True),
    app_url=APP_PAGE,
    app_steps=(
        "Open Todoist's App Management Console and choose “Create a new app”; name it Navi.",
        "Under “OAuth redirect URL”, paste the address shown here, exactly as it is.",
        "Copy the Client ID and the Client secret, and paste both here.",
    ),
)

# --- what goes wrong


def trouble(response: Response) -> VendorError | None:
    """What Todoist's error body says; None leaves server errors to their usual meaning."""
    if response.status_code >= 500:
        return None
    said = response.json()
    if response.status_code == 401:
        # A 401 may carry Retry-After. Waiting does not help, only another token does.
        words = str(said.get("error", "no reason"))[:200]
        return Reconnect(
            f"Todoist does not accept this API token or sign-in ({words}). Connect Todoist again."
        )
    if response.status_code == 429:
        return try_later(said["error_extra"]["retry_after"])
    return refusal(said)


def try_later(seconds: float) -> TryLater:
    retry_at = datetime.now(UTC) + timedelta(seconds=min(seconds, LONGEST_WAIT))
    return TryLater(
        f"Todoist asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC.",
        code="rate_limited",
        retry_at=retry_at,
    )


def refusal(said: dict[str, Any]) -> Refused:
    """Todoist's own words, with the argument at fault where it names one."""
    extra = said.get("error_extra") or {}
    details = [str(extra[name]) for name in ("argument", "expected", "explanation") if extra.get(name)]
    words = f"{said['error']} ({': '.join(details)})" if details else str(said["error"])
    return Refused(f"Todoist refused this: {words[:300]}", field=extra.get("argument"))


plugin = Plugin(
    slug="todoist",
    name="Todoist",
    description="Projects and tasks: read them, add tasks, complete and reopen them.",
    category="Tasks",
    base_url="https://api.todoist.com/api/v1",
    auth=(
        ApiKey(
            label="API key",
            fields=(
                Field(
                    "apiKey",
                    "API token",
                    placeholder="0123456789abcdef0123456789abcdef01234567",
                    help_url=TOKEN_PAGE,
                    # Other shapes than 40 hex digits are let through, but no other vendor's prefix (lin_, xoxb-).
                    pattern=r"(?!ATATT|[A-Za-z][A-Za-z0-9]{1,7}[_.-])\S{16,}",
                    hint="It is usually 40 letters and digits, shown in Todoist under Integrations, Developer.",
                ),
            ),
            sent_as=Bearer("apiKey"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    headers={"Accept": "application/json"},
    errors=trouble,
    guide=Guide(
        enables="Agents can read your projects and tasks, add tasks, complete them and reopen them.",
        steps=(
            Step("Open Todoist's settings, then Integrations, then the Developer tab.", TOKEN_PAGE),
            Step("Choose “Copy API token”."),
            Step("Paste it here. It gives access to all of your account; Todoist has one for each person."),
        ),
        trouble={
            "The token worked before and is now refused": (
                "“Issue a new API token” in Todoist ends the old one. Copy the new one and reconnect."
            ),
            "There is no Integrations entry": "Open the address above in a browser, signed in to Todoist.",
            "Tasks of a colleague are missing": (
                "A token sees what its owner sees. Share the project with that person first."
            ),
        },
    ),
    color="red",
    docs_url="https://developer.todoist.com/api/v1",
    mcp=McpServer("https://ai.todoist.net/mcp"),
    usage_skill="todoist",
    setup_skill="connect-todoist",
    health_endpoint="/user",
)

# --- what agents see


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
    url: str


class Tasks(TypedDict):
    tasks: list[Task]
    next_cursor: str | None


class Completed(TypedDict):
    id: str
    completed: bool


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
        # REST objects carry no address; the app finds a task by its id alone.
        "url": f"{APP}/task/{found['id']}",
    }


Id = Annotated[str, Described(pattern=r"^[A-Za-z0-9_-]+$")]
Cursor = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
Limit = Annotated[int, Described(ge=1, le=200, description="How many to return at most, 1 to 200")]

# --- health and discovery


@plugin.health
def whoami(todoist: Client) -> Identity:
    user = todoist.get("/user").json()
    return Identity(label=user.get("email") or user["full_name"], account_id=str(user["id"]))


@plugin.discovers("projects")
def projects(todoist: Client) -> list[Choice]:
    found = every(lambda cursor: list_projects(todoist, cursor=cursor, limit=200), "projects")
    return [Choice(id=project["id"], label=project["name"]) for project in found]


# --- actions


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
    return {"tasks": [seen_task(found) for found in page["results"]], "next_cursor": page.get("next_cursor")}


@plugin.action(writes=True, scopes=("task:add",))
def create_task(
    todoist: Client,
    content: Annotated[
        str,
        Described(
            description="What is to be done, as one line; Markdown links work", min_length=1, max_length=500
        ),
    ],
    description: Annotated[str, Described(description="Longer notes, in Markdown", max_length=16383)] = "",
    project_id: Annotated[
        Id | None, Described(description="From list_projects; without it, the Inbox")
    ] = None,
    section_id: Annotated[Id | None, Described(description="A section of that project")] = None,
    parent_id: Annotated[Id | None, Described(description="Makes it a subtask of this task")] = None,
    due_string: Annotated[
        str | None,
        Described(description="When, in English: 'tomorrow at 9:00', 'every Monday'", max_length=150),
    ] = None,
    due_date: Annotated[
        date | None, Described(description="The day it is due, YYYY-MM-DD, instead of due_string")
    ] = None,
    deadline_date: Annotated[
        date | None, Described(description="The day it must be done by, YYYY-MM-DD")
    ] = None,
    priority: Annotated[
        int,
        Described(
            ge=1,
            le=4,
            description="4 is urgent (shown as p1 in the app), 3 high, 2 medium, 1 normal",
        ),
    ] = 1,
    labels: Annotated[
        list[str] | None, Described(description="Names of labels; new ones are made", max_length=50)
    ] = None,
    assignee_id: Annotated[Id | None, Described(description="A collaborator of a shared project")] = None,
    *,
    request_key: RequestKey,
) -> Task:
    """Create a task and return it with its id and link.

    Priority counts upwards: 4 is urgent, 1 is normal. Give `due_string` for times and repetition, or
    `due_date` for a plain day. Without `project_id` the task lands in the Inbox.
    """
    if due_string and due_date:
        raise Refused("Give due_string or due_date, not both.", field="due_date")
    wanted = {
        "content": content,
        "description": description or None,
        "project_id": project_id,
        "section_id": section_id,
        "parent_id": parent_id,
        "due_string": due_string,
        "due_date": due_date and due_date.isoformat(),
        "deadline_date": deadline_date and deadline_date.isoformat(),
        "priority": priority,
        "labels": labels,
        "assignee_id": assignee_id,
    }
    # Whether API v1 still drops a repeated X-Request-Id is not said anywhere, so Navi does not lean on it.
    answer = todoist.post("/tasks", json=given(wanted), headers={"X-Request-Id": request_key})
    return seen_task(answer.json())


TaskId = Annotated[Id, Described(description="The task's id, from list_tasks or create_task")]


@plugin.action(writes=True, scopes=("data:read_write",))
def complete_task(todoist: Client, task_id: TaskId) -> Completed:
    """Complete a task and its subtasks, and say so.

    A recurring task is not closed but moves on to its next date, once for every call: do not repeat it.
    """
    # The answer is 200 with the body null, or 204. It is not sent twice: a recurring task would skip a date.
    todoist.post(f"/tasks/{task_id}/close")
    return {"id": task_id, "completed": True}


@plugin.action(writes=True, scopes=("data:read_write",))
def reopen_task(todoist: Client, task_id: TaskId) -> Completed:
    """Make a completed task open again, with the tasks above it, and say so."""
    todoist.post(f"/tasks/{task_id}/reopen", idempotent=True)
    return {"id": task_id, "completed": False}
