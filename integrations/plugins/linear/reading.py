"""What can be read: who we are, teams and what belongs to them, issues and comments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from integrations.plugins.linear.documents import (
    ISSUES,
    LABELS,
    ONE_ISSUE,
    ONE_ISSUES_COMMENTS,
    PROJECTS,
    SEARCH,
    STATES,
    TEAMS,
    USERS,
    VIEWER,
)
from integrations.plugins.linear.facts import ask, cursor_after, plugin
from integrations.plugins.linear.shapes import (
    Comments,
    Issues,
    Labels,
    Projects,
    States,
    Team,
    Teams,
    Users,
    Viewer,
    WholeIssue,
    seen_comment,
    seen_issue,
    seen_issues,
    seen_label,
    seen_project,
    seen_state,
    seen_user,
)
from integrations.sdk import Choice, Client, Described, Identity, every, given

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


@plugin.discovers("projects")
def projects(linear: Client) -> list[Choice]:
    found = every(lambda after: list_projects(linear, after=after), "projects")
    return [Choice(id=project["id"], label=project["name"]) for project in found]


@plugin.discovers("states")
def states(linear: Client) -> list[Choice]:
    found = every(lambda after: list_states(linear, after=after), "states")
    return [Choice(id=state["id"], label=f"{state['name']} ({state['team']})") for state in found]


@plugin.discovers("labels")
def labels(linear: Client) -> list[Choice]:
    found = every(lambda after: list_labels(linear, after=after), "labels")
    return [Choice(id=label["id"], label=in_team(label["name"], label["team"])) for label in found]


@plugin.discovers("users")
def users(linear: Client) -> list[Choice]:
    found = every(lambda after: list_users(linear, after=after), "users")
    return [Choice(id=user["id"], label=f"{user['name']} ({user['email']})") for user in found]


def in_team(name: str, team: str | None) -> str:
    return f"{name} ({team})" if team else name


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
        "team": team_key and team_filter(team_key),
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


@plugin.action(scopes=("read",))
def list_comments(linear: Client, issue: IssueId, first: First = 50, after: After = None) -> Comments:
    """List the comments of one issue with author, text and link, the newest first.

    get_issue has the last 50 beside the issue; use this for longer discussions. `next_cursor` is null on the
    last page; otherwise call again with it as `after`.
    """
    page = ask(linear, ONE_ISSUES_COMMENTS, issue=issue, first=first, after=after)["issue"]["comments"]
    return {"comments": [seen_comment(found) for found in page["nodes"]], "next_cursor": cursor_after(page)}


# --- what teams and issues are made of


@plugin.action(scopes=("read",))
def list_projects(linear: Client, team: TeamKey = None, first: First = 50, after: After = None) -> Projects:
    """List projects with status, lead, dates and teams; of one team, or of all that the account sees.

    Use it to find the project that create_issue and update_issue take by name. `next_cursor` is null on the
    last page; otherwise call again with it as `after`.
    """
    wanted = {"accessibleTeams": {"some": team_filter(team)}} if team else None
    page = ask(linear, PROJECTS, filter=wanted, first=first, after=after)["projects"]
    return {"projects": [seen_project(found) for found in page["nodes"]], "next_cursor": cursor_after(page)}


@plugin.action(scopes=("read",))
def list_states(linear: Client, team: TeamKey = None, first: First = 50, after: After = None) -> States:
    """List the workflow states that issues can be in, with their ids, types and teams.

    Each team has its own. create_issue and update_issue take a state by name. `next_cursor` is null on the
    last page; otherwise call again with it as `after`.
    """
    wanted = {"team": team_filter(team)} if team else None
    page = ask(linear, STATES, filter=wanted, first=first, after=after)["workflowStates"]
    return {"states": [seen_state(found) for found in page["nodes"]], "next_cursor": cursor_after(page)}


@plugin.action(scopes=("read",))
def list_labels(linear: Client, team: TeamKey = None, first: First = 50, after: After = None) -> Labels:
    """List the labels of issues, those that all teams share (`team` null) and those of single teams.

    With `team`, only the labels that issues of this team can have. `next_cursor` is null on the last page;
    otherwise call again with it as `after`.
    """
    wanted = {"or": [{"team": team_filter(team)}, {"team": {"null": True}}]} if team else None
    page = ask(linear, LABELS, filter=wanted, first=first, after=after)["issueLabels"]
    return {"labels": [seen_label(found) for found in page["nodes"]], "next_cursor": cursor_after(page)}


@plugin.action(scopes=("read",))
def list_users(linear: Client, first: First = 50, after: After = None) -> Users:
    """List the people and apps of the workspace with their e-mail addresses.

    Use it to find the e-mail that create_issue, update_issue and list_issues take for a person.
    `next_cursor` is null on the last page; otherwise call again with it as `after`.
    """
    page = ask(linear, USERS, first=first, after=after)["users"]
    return {"users": [seen_user(found) for found in page["nodes"]], "next_cursor": cursor_after(page)}


def team_filter(key: str) -> dict[str, Any]:
    return {"key": {"eqIgnoreCase": key}}
