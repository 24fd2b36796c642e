"""Linear: teams, issues and comments, through its GraphQL API (https://linear.app/developers)."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from integrations.sdk import (
    ApiKey,
    Choice,
    Client,
    Described,
    Field,
    Guide,
    Header,
    Identity,
    McpServer,
    MissingScopes,
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

KEY_PAGE = "https://linear.app/settings/account/security"
APP_PAGE = "https://linear.app/settings/api/applications/new"
LONGEST_WAIT = timedelta(hours=1)  # Linear counts requests over an hour.
USUAL_WAIT = timedelta(minutes=1)

# --- what is asked; tests hold each against Linear's published schema

ISSUE = """
  id identifier title url priority priorityLabel dueDate createdAt updatedAt
  state { name type } team { key } assignee { name email } labels(first: 20) { nodes { name } }
"""
COMMENT = "id body url createdAt user { name }"
PAGE = "pageInfo { hasNextPage endCursor }"

VIEWER = "query Viewer { viewer { id name email } organization { id name urlKey } }"
TEAMS = f"""
query Teams($first: Int, $after: String) {{
  teams(first: $first, after: $after) {{
    nodes {{ id key name states(first: 30) {{ nodes {{ name type }} }} }} {PAGE}
  }}
}}"""
SEARCH = f"""
query Search($term: String!, $filter: IssueFilter, $first: Int, $after: String) {{
  searchIssues(term: $term, filter: $filter, first: $first, after: $after) {{ nodes {{ {ISSUE} }} {PAGE} }}
}}"""
ISSUES = f"""
query Issues($filter: IssueFilter, $first: Int, $after: String, $orderBy: PaginationOrderBy) {{
  issues(filter: $filter, first: $first, after: $after, orderBy: $orderBy) {{ nodes {{ {ISSUE} }} {PAGE} }}
}}"""
ONE_ISSUE = f"""
query Issue($id: String!) {{
  issue(id: $id) {{
    {ISSUE} description parent {{ identifier }} comments(first: 50) {{ nodes {{ {COMMENT} }} }}
  }}
}}"""
CREATED_ISSUE = f"query CreatedIssue($id: String!) {{ issue(id: $id) {{ {ISSUE} }} }}"
CREATED_COMMENT = f"""
query CreatedComment($issue: String!, $id: ID!) {{
  issue(id: $issue) {{ comments(filter: {{ id: {{ eq: $id }} }}) {{ nodes {{ {COMMENT} }} }} }}
}}"""
CREATE_ISSUE = f"""
mutation CreateIssue($input: IssueCreateInput!) {{
  issueCreate(input: $input) {{ success issue {{ {ISSUE} }} }}
}}"""
CREATE_COMMENT = f"""
mutation CreateComment($input: CommentCreateInput!) {{
  commentCreate(input: $input) {{ success comment {{ {COMMENT} }} }}
}}"""
TEAM_BY_KEY = """
query TeamByKey($key: String!) {
  teams(filter: { key: { eqIgnoreCase: $key } }, first: 1) { nodes { id } }
}"""
STATE_BY_NAME = """
query StateByName($team: ID!, $name: String!) {
  workflowStates(
    filter: { team: { id: { eq: $team } }, name: { eqIgnoreCase: $name } }, first: 1
  ) { nodes { id } }
}"""
USER_BY_EMAIL = """
query UserByEmail($email: String!) {
  users(filter: { email: { eqIgnoreCase: $email } }, first: 1) { nodes { id } }
}"""
LABELS_BY_NAME = """
query LabelsByName($team: ID!, $names: [String!]!) {
  issueLabels(
    filter: { name: { in: $names }, or: [{ team: { id: { eq: $team } } }, { team: { null: true } }] }
    first: 100
  ) { nodes { id name } }
}"""

# --- what goes wrong

PASSING = {"internal error", "lock timeout", "network error", "bootstrap error"}
TAKEN = re.compile("conflict on insert|already exists", re.IGNORECASE)


class AlreadyThere(Refused):
    """Linear has something with the id that we gave it: an earlier try of the same call arrived."""


def trouble(response: Response) -> VendorError | None:
    """What Linear's `errors` say; they come with HTTP 200, 400 and 401. None where there are none."""
    if response.status_code >= 500:
        return None
    answer = response.json()
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return meaning(errors[0], response) if errors else None


def meaning(error: dict[str, Any], response: Response) -> VendorError:
    facts = error.get("extensions") or {}
    code, kind = facts.get("code"), str(facts.get("type", "")).lower()
    words = str(facts.get("userPresentableMessage") or error["message"])[:300]
    if code == "AUTHENTICATION_ERROR" or kind == "authentication error":
        return Reconnect(f"Linear does not accept this API key or sign-in ({words}) Connect Linear again.")
    if code == "RATELIMITED" or kind == "ratelimited":
        return too_many_calls(response)
    if code == "FORBIDDEN" or kind == "forbidden":
        return forbidden(words, error["message"])
    if kind in PASSING or code == "INTERNAL_SERVER_ERROR":
        return TryLater(f"Linear has trouble at the moment: {words}", sent=True)
    if TAKEN.search(f"{error['message']} {words}"):
        return AlreadyThere(f"Linear refused this: {words}")
    return Refused(f"Linear refused this: {words}")


def forbidden(words: str, message: str) -> VendorError:
    """A key may be limited to reading, to creating issues or comments, and to teams."""
    scopes = tuple(re.findall(r"`([\w:]+)` required", message))
    if not scopes:
        return Refused(f"Linear refused this: {words}")
    may_not = f"This Linear account was not given the permission {', '.join(scopes)}."
    return MissingScopes(f"{may_not} Connect one that has it.", scopes=scopes)


def too_many_calls(response: Response) -> TryLater:
    retry_at = full_again_at(response, datetime.now(UTC))
    words = f"Linear asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC."
    return TryLater(words, code="rate_limited", retry_at=retry_at)


def full_again_at(response: Response, now: datetime) -> datetime:
    """Retry-After where Linear sends it, else when the last used-up budget is full again."""
    headers = response.headers
    asked = headers.get("Retry-After", "")
    if asked.isdecimal():
        return now + min(timedelta(seconds=int(asked[:6])), LONGEST_WAIT)
    names = [re.fullmatch(r"(x-ratelimit-.*)-remaining", name) for name in headers if headers[name] == "0"]
    resets = [headers.get(f"{name[1]}-reset", "") for name in names if name]
    # Linear counts resets in epoch milliseconds.
    moments = [datetime.fromtimestamp(int(reset[:13]) / 1000, UTC) for reset in resets if reset.isdecimal()]
    return min(max([now, *moments]) if moments else now + USUAL_WAIT, now + LONGEST_WAIT)


# --- what a sign-in may do

SCOPES = {
    "read": "Read teams, issues and comments",
    "issues:create": "Create issues",
    "comments:create": "Create comments",
}
MORE_SCOPES = {
    "write": "Change issues, comments and projects",
    "timeSchedule:write": "Create and change time schedules",
}
SIGN_IN = OAuth2(
    authorize_url="https://linear.app/oauth/authorize",
    token_url="https://api.linear.app/oauth/token",
    scopes={**SCOPES, **MORE_SCOPES},
    always=("read",),
    # Commas in the question, spaces in the answer.
    separator=",",
    granted_separator=" ",
    implies={
        "write": ("read", "issues:create", "comments:create"),
        "issues:create": ("read",),
        "comments:create": ("read",),
    },
    extra={"prompt": "consent"},  # Without it nobody can choose another workspace.
    rotates=True,
    reuse_grace=1800,
    revoke=Revoke("https://api.linear.app/oauth/revoke"),
    app_url=APP_PAGE,
    app_steps=(
        "As an admin of the workspace, create an application in Linear's API settings; name it Navi.",
        "Under “Callback URLs”, paste the address shown here, exactly as it is.",
        "Turn “Public” on only if people of other Linear workspaces connect here, too.",
        "Copy the Client ID and the Client secret, and paste both here.",
    ),
)

plugin = Plugin(
    slug="linear",
    name="Linear",
    description="Teams and issues: search and read them, create issues, comment.",
    category="Work",
    base_url="https://api.linear.app",
    auth=(
        ApiKey(
            label="API key",
            fields=(
                Field(
                    "apiKey",
                    "API key",
                    placeholder="lin_api_…",
                    help_url=KEY_PAGE,
                    # The prefix is seen everywhere but documented nowhere, so plain letters and digits pass as
                    # well; forty hex digits are a Todoist token.
                    pattern=r"lin_api_\S+|(?![0-9a-f]{40}$)[A-Za-z0-9]{16,}",
                    hint="It starts with lin_api_. Linear shows it only once, when it is made.",
                ),
            ),
            # Bare: with "Bearer " Linear takes the key for an OAuth token and refuses it.
            sent_as=Header("Authorization", "apiKey"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    errors=trouble,
    guide=Guide(
        enables="Agents can search and read issues, create issues and comment on them, in your name.",
        steps=(
            Step("Open Linear's settings, then Account, then Security & access.", KEY_PAGE),
            Step("Under “Personal API keys”, choose “New API key” and name it Navi."),
            Step(
                "Choose what it may do: Read is enough for reading; add “Create issues” and “Create "
                "comments”, or Write. You can limit it to some teams."
            ),
            Step("Copy the key at once, Linear shows it only this time, and paste it here."),
        ),
        trouble={
            "There is no “New API key”": (
                "An admin of the workspace can switch personal API keys off for members. Ask for them."
            ),
            "A team or its issues are missing": (
                "The key is limited to some teams, or the team is private and you are no member of it."
            ),
            "Reading works, creating does not": (
                "The key lacks “Create issues” or “Create comments”. Make one that has them, and reconnect."
            ),
        },
    ),
    color="indigo",
    docs_url="https://linear.app/developers/graphql",
    mcp=McpServer("https://mcp.linear.app/mcp"),
    usage_skill="linear",
    setup_skill="connect-linear",
    health_endpoint="/graphql",
)


def ask(linear: Client, document: str, **variables: Any) -> dict[str, Any]:
    """Run one GraphQL document and return its data.

    Always safe to repeat: questions change nothing, and what is created carries an id that we choose.
    """
    asked = {"query": document, "variables": given(variables)}
    response = linear.post("/graphql", json=asked, idempotent=True)
    # Once a query has begun to run, its errors come with HTTP 200.
    if error := trouble(response):
        error.status, error.message = response.status_code, linear.secrets.redact(error.message)
        raise error
    answer = response.json()
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise TryLater("Linear answered with something Navi cannot read. Try again later.", sent=True)
    data: dict[str, Any] = answer["data"]
    return data


# --- what agents see


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


def cursor_after(page: dict[str, Any]) -> str | None:
    place = page["pageInfo"]
    return place["endCursor"] if place["hasNextPage"] else None


First = Annotated[int, Described(ge=1, le=50, description="How many to return at most, 1 to 50")]
After = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
TeamKey = Annotated[
    str | None, Described(description="Only this team, by its key, such as ENG", min_length=1)
]
IssueId = Annotated[
    str, Described(description="An identifier such as ENG-12, or the issue's id", min_length=1)
]
Kind = Literal["triage", "backlog", "unstarted", "started", "completed", "canceled", "duplicate"]

# --- health and discovery


@plugin.health
def whoami(linear: Client) -> Identity:
    found = ask(linear, VIEWER)
    user, workspace = found["viewer"], found["organization"]
    return Identity(
        label=user.get("email") or user["name"], account_id=user["id"], workspace=workspace["name"]
    )


@plugin.discovers("teams")
def teams(linear: Client) -> list[Choice]:
    found = every(lambda after: list_teams(linear, after=after), "teams")
    return [Choice(id=team["id"], label=f"{team['name']} ({team['key']})") for team in found]


# --- reading


@plugin.action(scopes=("read",))
def viewer(linear: Client) -> Viewer:
    """Say who the API key belongs to and which workspace it opens.

    Everything an agent creates in Linear is created in this person's name.
    """
    found = ask(linear, VIEWER)
    user, workspace = found["viewer"], found["organization"]
    return {
        "id": user["id"],
        "name": user["name"],
        "email": user["email"],
        "workspace": workspace["name"],
        "url": f"https://linear.app/{workspace['urlKey']}",
    }


@plugin.action(scopes=("read",), try_with={})
def list_teams(linear: Client, first: First = 50, after: After = None) -> Teams:
    """List the teams with their keys, ids and workflow states.

    Use it to find the team key that other actions take and the state names that issues of the team can have.
    `next_cursor` is null on the last page; otherwise call again with it as `after`.
    """
    page = ask(linear, TEAMS, first=first, after=after)["teams"]
    found: list[Team] = [
        {"id": team["id"], "key": team["key"], "name": team["name"], "states": team["states"]["nodes"]}
        for team in page["nodes"]
    ]
    return {"teams": found, "next_cursor": cursor_after(page)}


@plugin.action(scopes=("read",))
def search_issues(
    linear: Client,
    term: Annotated[str, Described(description="Words to look for in titles and descriptions", min_length=1)],
    team: TeamKey = None,
    first: First = 20,
    after: After = None,
) -> Issues:
    """Find issues by words, the best match first. Use list_issues to list by team, person or state.

    Linear allows about 30 searches a minute. `next_cursor` is null on the last page; otherwise call again
    with it as `after`.
    """
    # The teamId argument would only rank that team's issues higher, so the filter does it.
    wanted = issue_filter(team_key=team)
    return seen_issues(
        ask(linear, SEARCH, term=term, filter=wanted, first=first, after=after)["searchIssues"]
    )


@plugin.action(scopes=("read",))
def list_issues(
    linear: Client,
    team_key: TeamKey = None,
    assignee: Annotated[
        str | None, Described(description='Only issues of this person, by e-mail, or "me"', min_length=1)
    ] = None,
    state: Annotated[
        str | None, Described(description='Only in this state, by name, such as "In Progress"', min_length=1)
    ] = None,
    state_type: Annotated[
        Kind | None, Described(description="Only in states of this type; started means being worked on")
    ] = None,
    order_by: Annotated[
        Literal["createdAt", "updatedAt"], Described(description="The newest or the last changed first")
    ] = "updatedAt",
    first: First = 50,
    after: After = None,
) -> Issues:
    """List issues by team, person and state, the last changed first, without descriptions and comments.

    Use `assignee: "me"` for the issues of the key's owner, get_issue for everything about one. Archived
    issues are not listed. `next_cursor` is null on the last page; otherwise call again with the same
    arguments and it as `after`.
    """
    wanted = issue_filter(team_key=team_key, assignee=assignee, state=state, state_type=state_type)
    return seen_issues(
        ask(linear, ISSUES, filter=wanted, first=first, after=after, orderBy=order_by)["issues"]
    )


def issue_filter(
    *,
    team_key: str | None = None,
    assignee: str | None = None,
    state: str | None = None,
    state_type: str | None = None,
) -> dict[str, Any] | None:
    """Linear's IssueFilter; None where nothing is filtered."""
    person = {"isMe": {"eq": True}} if assignee == "me" else {"email": {"eqIgnoreCase": assignee}}
    states = given({"name": state and {"eqIgnoreCase": state}, "type": state_type and {"eq": state_type}})
    wanted = {
        "team": team_key and {"key": {"eqIgnoreCase": team_key}},
        "assignee": assignee and person,
        "state": states or None,
    }
    return given(wanted) or None


@plugin.action(scopes=("read",))
def get_issue(linear: Client, issue: IssueId) -> WholeIssue:
    """Read one issue with its description, its parent and its last 50 comments, the oldest first."""
    found = ask(linear, ONE_ISSUE, id=issue)["issue"]
    comments = [seen_comment(comment) for comment in found["comments"]["nodes"]]
    return {
        **seen_issue(found),
        "description": found.get("description") or "",
        "parent": (found.get("parent") or {}).get("identifier"),
        "comments": sorted(comments, key=lambda comment: comment["created_at"]),
    }


# --- writing


@plugin.action(writes=True, scopes=("issues:create",))
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
    due_date: Annotated[date | None, Described(description="The day it is due, YYYY-MM-DD")] = None,
    parent: Annotated[
        str | None, Described(description="Makes it a sub-issue of this one (ENG-12 or id)", min_length=1)
    ] = None,
    *,
    request_key: RequestKey,
) -> Issue:
    """Create an issue in a team and return it with its identifier and link.

    Priority counts downwards: 1 is urgent, 4 is low, 0 is none. Names of team, state, person and labels are
    looked up; one that does not exist is refused before anything is created.
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


@plugin.action(writes=True, scopes=("comments:create",))
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


def version_4(key: str) -> str:
    """The same UUID for the same key, marked as version 4: Linear takes no other for its ids."""
    return str(uuid.UUID(bytes=uuid.UUID(key).bytes, version=4))


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


def labels_called(linear: Client, names: list[str], team_id: str) -> list[str]:
    wanted = [name for name in names if not is_id(name)]
    found = ask(linear, LABELS_BY_NAME, team=team_id, names=wanted)["issueLabels"]["nodes"] if wanted else []
    ids = {label["name"]: label["id"] for label in found}
    for name in wanted:
        if name not in ids:
            raise Refused(f"Neither the team nor the workspace has a label “{name}”.", field="labels")
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
