"""What agents can do at GitHub, and what a person can choose from."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from integrations.plugins.github.facts import listed, plugin
from integrations.plugins.github.shapes import (
    Comment,
    Comments,
    Cursor,
    File,
    Issue,
    Issues,
    Limit,
    Number,
    PullRequest,
    PullRequests,
    Repositories,
    RepositoryName,
    Search,
    Title,
    next_page,
    seen_anywhere,
    seen_comment,
    seen_issue,
    seen_pull_request,
    seen_repository,
)
from integrations.sdk import Choice, Client, Described, Identity, Refused, every, given, path_part

Body = Annotated[str, Described(description="Details, in Markdown", max_length=65536)]
Labels = Annotated[
    list[str] | None, Described(description="Labels by name; only set for who may push", max_length=100)
]
Assignees = Annotated[
    list[str] | None, Described(description="Logins; only set for who may push", max_length=10)
]
State = Annotated[Literal["open", "closed", "all"], Described(description="Which, by whether they are done")]

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


# --- repositories


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
def read_file(
    github: Client,
    repository: RepositoryName,
    path: Annotated[
        str, Described(description="Path of the file, such as docs/index.md", min_length=1, max_length=1000)
    ],
    ref: Annotated[
        str | None, Described(description="Branch, tag or commit; the default branch without it")
    ] = None,
) -> File:
    """Read one file of a repository as text.

    `text` is null where the content is no UTF-8 text or larger than 1 MB. For a folder, the refusal names
    what is in it.
    """
    parts = [path_part(part) for part in path.split("/") if part]
    if any(part in {".", ".."} for part in parts):
        raise Refused("A path may not hold “.” or “..” as a part.", field="path")
    found = github.get(f"/repos/{repository}/contents/{'/'.join(parts)}", params={"ref": ref}).json()
    if isinstance(found, list):
        names = ", ".join(one["name"] for one in found[:50])
        raise Refused(f"{path} is a folder; it holds: {names}.", field="path")
    return {
        "path": found["path"],
        "size": found["size"],
        "sha": found["sha"],
        "text": text_of(found),
        "url": found["html_url"],
    }


def text_of(found: dict[str, Any]) -> str | None:
    """The text of a file; None for links and submodules, and where it is none or too long."""
    if found.get("encoding") != "base64":
        return None
    try:
        return base64.b64decode(found["content"]).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


# --- issues


@plugin.action()
def list_issues(
    github: Client,
    repository: RepositoryName,
    state: State = "open",
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


@plugin.action()
def get_issue(github: Client, repository: RepositoryName, number: Number) -> Issue:
    """Read one issue (or pull request, which is an issue, too) with its whole text and its labels."""
    return seen_issue(github.get(f"/repos/{repository}/issues/{number}").json())


@plugin.action()
def list_comments(
    github: Client,
    repository: RepositoryName,
    number: Number,
    cursor: Cursor = None,
    limit: Limit = 30,
) -> Comments:
    """List the comments on an issue or pull request, the oldest first.

    Comments on single lines of a pull request's changes are not among them. `next_cursor` is null on the
    last page.
    """
    asked = {"per_page": limit, "page": cursor}
    answer = github.get(f"/repos/{repository}/issues/{number}/comments", params=asked)
    return {"comments": [seen_comment(found) for found in answer.json()], "next_cursor": next_page(answer)}


@plugin.action()
def search_issues(
    github: Client,
    query: Annotated[
        str,
        Described(
            description="Words and GitHub's qualifiers: repo:acme/door is:pr is:open author:bob label:bug",
            min_length=1,
            max_length=256,
        ),
    ],
    sort: Annotated[
        Literal["created", "updated", "comments"] | None,
        Described(description="By what to order; without it, the best match comes first"),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 30,
) -> Search:
    """Search issues and pull requests in all repositories that the account can see.

    Say is:issue or is:pr in the query to get only one of them. At most 30 searches a minute are allowed.
    """
    asked = {"q": query, "sort": sort, "per_page": limit, "page": cursor}
    answer = github.get("/search/issues", params=asked)
    page = answer.json()
    return {
        "results": [seen_anywhere(found) for found in page["items"]],
        "total": page["total_count"],
        "next_cursor": next_page(answer),
    }


@plugin.action(writes=True, scopes=("public_repo",))
def create_issue(
    github: Client,
    repository: RepositoryName,
    title: Title,
    body: Body = "",
    labels: Labels = None,
    assignees: Assignees = None,
) -> Issue:
    """Open an issue in a repository, in the account's name, and return it with its number and link.

    Do not repeat a call that may have arrived: GitHub would open a second issue.
    """
    wanted = given({"title": title, "body": body or None, "labels": labels, "assignees": assignees})
    return seen_issue(github.post(f"/repos/{repository}/issues", json=wanted).json())


@plugin.action(writes=True, scopes=("public_repo",))
def update_issue(
    github: Client,
    repository: RepositoryName,
    number: Number,
    title: Annotated[str | None, Described(description="A new title", min_length=1, max_length=256)] = None,
    body: Annotated[
        str | None, Described(description="A new text, in Markdown; replaces the old one", max_length=65536)
    ] = None,
    state: Annotated[Literal["open", "closed"] | None, Described(description="Close or reopen it")] = None,
    reason: Annotated[
        Literal["completed", "not_planned"] | None, Described(description="Why it is closed")
    ] = None,
    labels: Annotated[
        list[str] | None,
        Described(description="All its labels from now on; [] takes them off", max_length=100),
    ] = None,
    assignees: Annotated[
        list[str] | None, Described(description="All who have it from now on; [] is nobody", max_length=10)
    ] = None,
) -> Issue:
    """Change an issue or pull request: title, text, labels, assignees, or close and reopen it.

    Only what is given changes. Labels and assignees replace those that were there: read the issue first.
    """
    wanted = {
        "title": title, "body": body, "state": state, "state_reason": reason, "labels": labels,
        "assignees": assignees,
    }  # fmt: skip
    # Saying the same twice changes nothing more: it may be repeated.
    changed = github.patch(f"/repos/{repository}/issues/{number}", json=given(wanted), idempotent=True)
    return seen_issue(changed.json())


@plugin.action(writes=True, scopes=("public_repo",))
def comment_on_issue(
    github: Client,
    repository: RepositoryName,
    number: Number,
    body: Annotated[str, Described(description="The comment, in Markdown", min_length=1, max_length=65536)],
) -> Comment:
    """Comment on an issue or pull request, in the account's name; people who follow it are notified.

    Do not repeat a call that may have arrived: GitHub would post a second comment.
    """
    path = f"/repos/{repository}/issues/{number}/comments"
    return seen_comment(github.post(path, json={"body": body}).json())


# --- pull requests


@plugin.action()
def list_pull_requests(
    github: Client,
    repository: RepositoryName,
    state: State = "open",
    target: Annotated[str | None, Described(description="Only those into this branch, such as main")] = None,
    cursor: Cursor = None,
    limit: Limit = 30,
) -> PullRequests:
    """List the pull requests of a repository, the newest first; `next_cursor` is null on the last page."""
    asked = {"state": state, "base": target, "per_page": limit, "page": cursor}
    answer = github.get(f"/repos/{repository}/pulls", params=asked)
    found = [seen_pull_request(one) for one in answer.json()]
    return {"pull_requests": found, "next_cursor": next_page(answer)}


@plugin.action()
def get_pull_request(github: Client, repository: RepositoryName, number: Number) -> PullRequest:
    """Read one pull request: its text, its branches, and whether it was merged."""
    return seen_pull_request(github.get(f"/repos/{repository}/pulls/{number}").json())


@plugin.action(writes=True, scopes=("public_repo",))
def create_pull_request(
    github: Client,
    repository: RepositoryName,
    title: Title,
    source: Annotated[
        str,
        Described(
            description="The branch with the changes; of a fork, owner:branch", min_length=1, max_length=255
        ),
    ],
    target: Annotated[
        str,
        Described(description="The branch they are to go into, such as main", min_length=1, max_length=255),
    ],
    body: Body = "",
    is_draft: Annotated[bool, Described(description="Not ready for review yet")] = False,
) -> PullRequest:
    """Open a pull request from a branch that was pushed before, and return it with its number and link.

    GitHub refuses a second one for the same branches.
    """
    wanted = {"title": title, "head": source, "base": target, "body": body or None, "draft": is_draft or None}
    return seen_pull_request(github.post(f"/repos/{repository}/pulls", json=given(wanted)).json())
