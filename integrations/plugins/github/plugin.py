"""GitHub: repositories and issues, through its REST API (https://docs.github.com/rest)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from integrations.sdk import (
    ApiKey,
    Bearer,
    Choice,
    Cli,
    Client,
    Described,
    Field,
    Guide,
    Identity,
    McpServer,
    MissingScopes,
    OAuth2,
    Plugin,
    Reconnect,
    Refused,
    Response,
    Revoke,
    Step,
    TryLater,
    TypedDict,
    VendorError,
    every,
    given,
)

TOKENS_PAGE = "https://github.com/settings/personal-access-tokens/new"
APP_PAGE = "https://github.com/settings/applications/new"
VERSION = "2022-11-28"
LONGEST_WAIT = timedelta(hours=1)  # GitHub counts requests over an hour.
USUAL_WAIT = timedelta(minutes=1)  # What GitHub asks for where it names no time.

# --- what goes wrong

SSO = re.compile(r"required; url=(https://github\.com/\S+)")


def trouble(response: Response) -> VendorError | None:
    """What a refusal of GitHub's means; None leaves server errors to their usual meaning."""
    status, headers = response.status_code, response.headers
    if status >= 500:
        return None
    said = response.json()
    words = str(said["message"])[:300]
    if status == 401:
        return Reconnect(f"GitHub no longer accepts this token ({words}). Connect GitHub again.")
    if retry_at := free_again_at(response, words, datetime.now(UTC)):
        return TryLater(
            f"GitHub asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC.",
            code="rate_limited",
            retry_at=retry_at,
        )
    if found := SSO.search(headers.get("X-GitHub-SSO", "")):
        return Refused(
            f"The organisation wants this token to be authorised for its single sign-on. Open {found[1]}"
        )
    if status == 403:
        return forbidden(response, words)
    if status == 404:
        # So that nobody learns what private repositories there are.
        return Refused("GitHub finds nothing there, or this account may not see it; private needs “repo”.")
    return Refused(f"GitHub refused this: {words}{details(said)}", field=field_at_fault(said))


def free_again_at(response: Response, words: str, now: datetime) -> datetime | None:
    """When the limit is over; None where this is no limit. GitHub tells limits with 403 and with 429."""
    headers = response.headers
    if response.status_code not in {403, 429}:
        return None
    asked, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if asked.isdecimal():
        return now + min(timedelta(seconds=int(asked[:6])), LONGEST_WAIT)
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        moment = datetime.fromtimestamp(int(reset[:10]), UTC)
        return min(max(moment, now), now + LONGEST_WAIT)
    is_limit = response.status_code == 429 or "rate limit" in words.lower()
    return now + USUAL_WAIT if is_limit else None


def forbidden(response: Response, words: str) -> VendorError:
    """Scopes lack only where the token has some: fine-grained tokens and apps are told permissions instead."""
    headers = response.headers
    held, accepted = listed(headers.get("X-OAuth-Scopes")), listed(headers.get("X-Accepted-OAuth-Scopes"))
    if accepted and "X-OAuth-Scopes" in headers and not SIGN_IN.covered(held) & set(accepted):
        # Any one of them would do; SIGN_IN names the least first.
        scope = next(scope for scope in (*SIGN_IN.scopes, *accepted) if scope in accepted)
        return MissingScopes(
            f"GitHub wants the permission {scope} for this. Reconnect and allow it.", scopes=(scope,)
        )
    needed = headers.get("X-Accepted-GitHub-Permissions", "")[:200]
    lacks = f" The token needs: {needed}." if needed else ""
    return Refused(f"GitHub refused this: {words}.{lacks}")


def listed(header: str | None) -> list[str]:
    return [scope.strip() for scope in (header or "").split(",") if scope.strip()]


def details(said: dict[str, Any]) -> str:
    errors = [error for error in said.get("errors") or [] if isinstance(error, dict)]
    told = [str(error.get("message") or f"{error['field']} {error['code']}") for error in errors[:3]]
    return f" ({'; '.join(told)[:200]})" if told else ""


def field_at_fault(said: dict[str, Any]) -> str | None:
    errors = said.get("errors") or []
    return next((error.get("field") for error in errors if isinstance(error, dict)), None)


# --- what a sign-in may do

SCOPES = {"public_repo": "Read and change public repositories, their issues and pull requests"}
MORE_SCOPES = {
    "repo": "Read and change private repositories, too",
    "read:org": "See organisations and teams",
    "read:user": "See the profile",
    "user:email": "See e-mail addresses",
    "notifications": "Read notifications",
    "workflow": "Change workflow files",
}
SIGN_IN = OAuth2(
    authorize_url="https://github.com/login/oauth/authorize",
    # Answers 200 with an "error" where it refuses, and a form where JSON is not asked for.
    token_url="https://github.com/login/oauth/access_token",
    token_headers={"Accept": "application/json"},
    scopes={**SCOPES, **MORE_SCOPES},
    granted_separator=",",
    implies={
        "repo": ("public_repo", "repo:status", "repo_deployment", "repo:invite", "security_events"),
        "user": ("read:user", "user:email"),
        "admin:org": ("write:org", "read:org"),
        "write:org": ("read:org",),
        "admin:repo_hook": ("write:repo_hook", "read:repo_hook"),
        "write:repo_hook": ("read:repo_hook",),
    },
    revoke=Revoke(
        "https://api.github.com/applications/{client_id}/token",
        method="DELETE",
        body="json",
        client_auth="basic",
        token="access_token",
        token_name="access_token",
        headers={"Accept": "application/vnd.github+json"},
    ),
    device_url="https://github.com/login/device/code",
    app_url=APP_PAGE,
    app_steps=(
        "Open GitHub's form for a new OAuth app; for an organisation, its settings have the same form.",
        "As “Authorization callback URL”, paste the address shown here; the homepage may be any address.",
        "Tick “Enable Device Flow”: people can then sign in even where Navi has no public address.",
        "Copy the Client ID, choose “Generate a new client secret”, and paste both here.",
    ),
)

plugin = Plugin(
    slug="github",
    name="GitHub",
    description="Repositories and issues: list them, open issues.",
    category="Development",
    base_url="https://api.github.com",
    auth=(
        Cli(command="gh", auth_command="gh auth login", check_command="gh auth status", label="GitHub CLI"),
        ApiKey(
            label="Access token",
            fields=(
                Field(
                    "token",
                    "Access token",
                    placeholder="github_pat_…",
                    help_url=TOKENS_PAGE,
                    pattern=r"(github_pat|ghp|gho|ghu|ghs)_[A-Za-z0-9_]{20,255}",
                    hint="It starts with github_pat_ or ghp_. GitHub shows it only once, when it is made.",
                ),
            ),
            sent_as=Bearer("token"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    # GitHub refuses requests without a User-Agent.
    headers={
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": VERSION,
        "User-Agent": "Navi",
    },
    errors=trouble,
    guide=Guide(
        enables="Agents can list repositories and issues, and open issues in your name.",
        steps=(
            Step("With the GitHub CLI: run gh auth login on the machine your agent runs on. That is all."),
            Step("With a token: open GitHub's form for a fine-grained token.", TOKENS_PAGE),
            Step("Choose the owner and the repositories; an organisation may have to approve the token."),
            Step("Under permissions, give Issues “Read and write”; Metadata comes by itself."),
            Step("Generate the token, copy it at once, and paste it here. It ends on the day you chose."),
        ),
        trouble={
            "A repository is missing": (
                "A fine-grained token sees only the repositories chosen for it, and only of one owner."
            ),
            "The organisation wants single sign-on": (
                "On GitHub's page of tokens, choose “Configure SSO” beside the token, and authorise it there."
            ),
            "It worked until yesterday": (
                "Tokens end on their day, often after 30 days. Make a new one and reconnect."
            ),
        },
    ),
    color="ink",
    docs_url="https://docs.github.com/rest",
    mcp=McpServer("https://api.githubcopilot.com/mcp/"),
    usage_skill="github",
    health_endpoint="/user",
)

# --- what agents see


class Repository(TypedDict):
    """`repository` is what the other actions take: owner/name."""

    repository: str
    description: str
    is_private: bool
    is_fork: bool
    is_archived: bool
    default_branch: str
    open_issues: int
    url: str
    updated_at: str | None


class Repositories(TypedDict):
    repositories: list[Repository]
    next_cursor: str | None


class Issue(TypedDict):
    number: int
    title: str
    state: str
    author: str | None
    assignees: list[str]
    labels: list[str]
    comments: int
    body: str
    url: str
    created_at: str
    updated_at: str


class Issues(TypedDict):
    issues: list[Issue]
    next_cursor: str | None


def seen_repository(found: dict[str, Any]) -> Repository:
    return {
        "repository": found["full_name"],
        "description": found.get("description") or "",
        "is_private": bool(found.get("private")),
        "is_fork": bool(found.get("fork")),
        "is_archived": bool(found.get("archived")),
        "default_branch": found.get("default_branch") or "",
        # GitHub counts open pull requests among them.
        "open_issues": found.get("open_issues_count", 0),
        "url": found["html_url"],
        "updated_at": found.get("updated_at"),
    }


def seen_issue(found: dict[str, Any]) -> Issue:
    return {
        "number": found["number"],
        "title": found["title"],
        "state": found["state"],
        "author": (found.get("user") or {}).get("login"),  # None: the account is gone.
        "assignees": [person["login"] for person in found.get("assignees") or []],
        # A label is a text or an object.
        "labels": [label if isinstance(label, str) else label["name"] for label in found.get("labels") or []],
        "comments": found.get("comments", 0),
        "body": found.get("body") or "",
        "url": found["html_url"],
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }


RepositoryName = Annotated[
    str,
    Described(
        description="owner/name, such as octocat/hello-world, from list_repositories",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[.]*[A-Za-z0-9_-][A-Za-z0-9._-]*$",
    ),
]
Cursor = Annotated[
    str | None,
    Described(
        description="next_cursor of the page before; leave it out for the first", pattern=r"^[0-9]{1,6}$"
    ),
]
Limit = Annotated[int, Described(ge=1, le=100, description="How many to ask for at most, 1 to 100")]


def next_page(answer: Response) -> str | None:
    """The number of the page after this one, out of the Link header."""
    link = re.search(r'<[^>]*[?&]page=([0-9]{1,6})[^>]*>;\s*rel="next"', answer.headers.get("Link", ""))
    return link[1] if link else None


# --- health and discovery


@plugin.health
def whoami(github: Client) -> Identity:
    answer = github.get("/user")
    user = answer.json()
    # Fine-grained tokens and apps send no scopes, or an empty list: then nobody can tell.
    scopes = tuple(listed(answer.headers.get("X-OAuth-Scopes"))) or None
    return Identity(label=user["login"], account_id=str(user["id"]), scopes=scopes)


@plugin.discovers("repositories")
def repositories(github: Client) -> list[Choice]:
    found = every(lambda cursor: list_repositories(github, cursor=cursor, limit=100), "repositories")
    return [Choice(id=one["repository"], label=one["repository"]) for one in found]


# --- actions


@plugin.action(try_with={})
def list_repositories(
    github: Client,
    affiliation: Annotated[
        Literal["owner", "collaborator", "organization_member"] | None,
        Described(description="Only own ones, those shared with the account, or those of its organisations"),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 30,
) -> Repositories:
    """List the repositories that the account can see, the last changed first.

    Use it to find the `repository` that the other actions take. `next_cursor` is null on the last page;
    otherwise call again with the same arguments and it as `cursor`.
    """
    asked = {"affiliation": affiliation, "sort": "updated", "per_page": limit, "page": cursor}
    answer = github.get("/user/repos", params=asked)
    return {
        "repositories": [seen_repository(found) for found in answer.json()],
        "next_cursor": next_page(answer),
    }


@plugin.action()
def list_issues(
    github: Client,
    repository: RepositoryName,
    state: Annotated[
        Literal["open", "closed", "all"], Described(description="Which issues, by whether they are done")
    ] = "open",
    labels: Annotated[
        list[str] | None, Described(description="Only issues that have all these labels", max_length=20)
    ] = None,
    assignee: Annotated[
        str | None, Described(description='Only of this person, by login; "none" or "*" work, too')
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 30,
) -> Issues:
    """List the issues of a repository, the newest first, without pull requests.

    A page may hold fewer issues than `limit`, because pull requests are taken out: `next_cursor` alone tells
    whether there are more; it is null on the last page.
    """
    asked = {
        "state": state,
        "labels": ",".join(labels) if labels else None,
        "assignee": assignee,
        "per_page": limit,
        "page": cursor,
    }
    answer = github.get(f"/repos/{repository}/issues", params=asked)
    # To GitHub every pull request is an issue as well.
    found = [seen_issue(one) for one in answer.json() if "pull_request" not in one]
    return {"issues": found, "next_cursor": next_page(answer)}


@plugin.action(writes=True, scopes=("public_repo",))
def create_issue(
    github: Client,
    repository: RepositoryName,
    title: Annotated[
        str, Described(description="One line that says what it is about", min_length=1, max_length=256)
    ],
    body: Annotated[str, Described(description="Details, in Markdown", max_length=65536)] = "",
    labels: Annotated[
        list[str] | None, Described(description="Labels by name; only set for who may push", max_length=100)
    ] = None,
    assignees: Annotated[
        list[str] | None, Described(description="Logins; only set for who may push", max_length=10)
    ] = None,
) -> Issue:
    """Open an issue in a repository, in the account's name, and return it with its number and link.

    Do not repeat a call that may have arrived: GitHub would open a second issue.
    """
    wanted = given({"title": title, "body": body or None, "labels": labels, "assignees": assignees})
    return seen_issue(github.post(f"/repos/{repository}/issues", json=wanted).json())
