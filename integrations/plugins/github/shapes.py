"""What agents see of GitHub's things, and how they name them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from integrations.sdk import Described, Response, TypedDict


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
    """`author` is null where the account is gone. `number` names it within its repository."""

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


class Found(TypedDict):
    """An issue or a pull request, wherever it is."""

    repository: str
    number: int
    title: str
    state: str
    is_pull_request: bool
    author: str | None
    labels: list[str]
    url: str
    updated_at: str


class Search(TypedDict):
    """`total`: how many there are in all; GitHub shows the first thousand of them."""

    results: list[Found]
    total: int
    next_cursor: str | None


class Comment(TypedDict):
    id: int
    author: str | None
    body: str
    url: str
    created_at: str
    updated_at: str


class Comments(TypedDict):
    comments: list[Comment]
    next_cursor: str | None


class PullRequest(TypedDict):
    """`source` is the branch with the changes, `target` the one they are to go into."""

    number: int
    title: str
    state: str
    is_draft: bool
    is_merged: bool
    author: str | None
    source: str
    target: str
    labels: list[str]
    body: str
    url: str
    created_at: str
    updated_at: str


class PullRequests(TypedDict):
    pull_requests: list[PullRequest]
    next_cursor: str | None


class File(TypedDict):
    """`text` is null where the content is no text, or longer than GitHub sends (1 MB)."""

    path: str
    size: int
    sha: str
    text: str | None
    url: str


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
        "author": author_of(found),
        "assignees": [person["login"] for person in found.get("assignees") or []],
        "labels": labels_of(found),
        "comments": found.get("comments", 0),
        "body": found.get("body") or "",
        "url": found["html_url"],
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }


def seen_anywhere(found: dict[str, Any]) -> Found:
    return {
        "repository": "/".join(str(found["repository_url"]).split("/")[-2:]),
        "number": found["number"],
        "title": found["title"],
        "state": found["state"],
        "is_pull_request": "pull_request" in found,
        "author": author_of(found),
        "labels": labels_of(found),
        "url": found["html_url"],
        "updated_at": found["updated_at"],
    }


def seen_comment(found: dict[str, Any]) -> Comment:
    return {
        "id": found["id"],
        "author": author_of(found),
        "body": found.get("body") or "",
        "url": found["html_url"],
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }


def seen_pull_request(found: dict[str, Any]) -> PullRequest:
    return {
        "number": found["number"],
        "title": found["title"],
        "state": found["state"],
        "is_draft": bool(found.get("draft")),
        "is_merged": bool(found.get("merged_at")),
        "author": author_of(found),
        "source": found["head"]["label"] or found["head"]["ref"],
        "target": found["base"]["ref"],
        "labels": labels_of(found),
        "body": found.get("body") or "",
        "url": found["html_url"],
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }


def author_of(found: dict[str, Any]) -> str | None:
    return (found.get("user") or {}).get("login")


def labels_of(found: dict[str, Any]) -> list[str]:
    """A label is a text or an object."""
    return [label if isinstance(label, str) else label["name"] for label in found.get("labels") or []]


# --- what agents give

RepositoryName = Annotated[
    str,
    Described(
        description="owner/name, such as octocat/hello-world, from list_repositories",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[.]*[A-Za-z0-9_-][A-Za-z0-9._-]*$",
    ),
]
Number = Annotated[int, Described(ge=1, description="The number after the #, from list_issues or the link")]
Title = Annotated[
    str, Described(description="One line that says what it is about", min_length=1, max_length=256)
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
