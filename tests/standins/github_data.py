"""The things in GitHub's memory, in the shapes of its REST API (https://docs.github.com/rest)."""

import base64
from typing import Any

MOMENT = "2026-11-20T09:30:00Z"
PEOPLE = {"alice": 1001, "bob": 1002}
API = "https://api.github.com"

Fields = dict[str, Any]


def user(login: str) -> Fields:
    return {
        "login": login,
        "id": PEOPLE.get(login, 2000),
        "node_id": f"U_{login}",
        "url": f"https://api.github.com/users/{login}",
        "html_url": f"https://github.com/{login}",
        "type": "User",
        "site_admin": False,
        "name": login.capitalize(),
        "email": None,
    }


def repository(full_name: str, number: int, *, private: bool = False) -> Fields:
    owner, _, name = full_name.partition("/")
    return {
        "id": number,
        "node_id": f"R_{number}",
        "name": name,
        "full_name": full_name,
        "private": private,
        "owner": user(owner) | {"type": "Organization" if owner == "acme" else "User"},
        "html_url": f"https://github.com/{full_name}",
        "url": f"https://api.github.com/repos/{full_name}",
        "description": f"About the {name}",
        "fork": False,
        "archived": False,
        "default_branch": "main",
        "open_issues_count": 0,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "pushed_at": MOMENT,
    }


def issue_of(
    name: str,
    number: int,
    title: str,
    body: str | None = None,
    labels: list[str] | None = None,
    assignees: list[str] | None = None,
    author: str = "alice",
) -> Fields:
    address = f"{API}/repos/{name}/issues/{number}"
    return {
        "id": 5000 + number,
        "node_id": f"I_{number}",
        "number": number,
        "title": title,
        "body": body,
        "state": "open",
        "state_reason": None,
        "locked": False,
        "user": user(author),
        "labels": [label(one) for one in labels or []],
        "assignee": user(assignees[0]) if assignees else None,
        "assignees": [user(person) for person in assignees or []],
        "milestone": None,
        "comments": 0,
        "author_association": "OWNER",
        "url": address,
        "html_url": f"https://github.com/{name}/issues/{number}",
        "repository_url": f"{API}/repos/{name}",
        "labels_url": f"{address}/labels{{/name}}",
        "comments_url": f"{address}/comments",
        "events_url": f"{address}/events",
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "closed_at": None,
    }


def label(name: str) -> Fields:
    return {"id": 1, "name": name, "color": "ededed", "default": False}


def comment_of(issue: Fields, id: int, body: str, author: str, at: str) -> Fields:
    name = "/".join(issue["repository_url"].split("/")[-2:])
    return {
        "id": id,
        "node_id": f"IC_{id}",
        "url": f"{API}/repos/{name}/issues/comments/{id}",
        "html_url": f"{issue['html_url']}#issuecomment-{id}",
        "issue_url": issue["url"],
        "user": user(author),
        "body": body,
        "author_association": "OWNER",
        "created_at": at,
        "updated_at": at,
    }


def pull_of(issue: Fields, repository: Fields, head: str, base: str, *, is_draft: bool = False) -> Fields:
    """The pull request that an issue with `pull_request` is."""
    owner, name = repository["owner"], repository["full_name"]
    url = f"{API}/repos/{name}/pulls/{issue['number']}"
    shared = ("number", "title", "body", "state", "locked", "user", "labels", "assignee", "assignees",
              "milestone", "created_at", "updated_at", "closed_at", "author_association")  # fmt: skip
    return {
        **{field: issue[field] for field in shared},
        "id": 7000 + issue["number"],
        "node_id": f"PR_{issue['number']}",
        "url": url,
        "html_url": f"https://github.com/{name}/pull/{issue['number']}",
        "issue_url": issue["url"],
        "draft": is_draft,
        "merged": False,
        "merged_at": None,
        "merge_commit_sha": None,
        "head": branch_of(repository, owner, head),
        "base": branch_of(repository, owner, base),
    }


def branch_of(repository: Fields, owner: Fields, ref: str) -> Fields:
    person, _, branch = ref.rpartition(":")
    return {
        "label": f"{person or owner['login']}:{branch}",
        "ref": branch,
        "sha": "0" * 40,
        "user": owner,
        "repo": repository,
    }


def file_of(name: str, path: str, text: str) -> Fields:
    content = base64.b64encode(text.encode()).decode()
    url = f"{API}/repos/{name}/contents/{path}"
    html_url = f"https://github.com/{name}/blob/main/{path}"
    return {
        "type": "file",
        "encoding": "base64",
        "size": len(text.encode()),
        "name": path.rpartition("/")[2],
        "path": path,
        # GitHub breaks the lines of base64.
        "content": "\n".join(content[start : start + 60] for start in range(0, len(content), 60)) + "\n",
        "sha": "1" * 40,
        "url": url,
        "git_url": url,
        "html_url": html_url,
        "download_url": html_url,
        "_links": {"git": url, "self": url, "html": html_url},
    }


def hook_of(name: str, id: int, wanted: Fields) -> Fields:
    url = f"{API}/repos/{name}/hooks/{id}"
    return {
        "type": "Repository",
        "id": id,
        "name": "web",
        "active": wanted.get("active", True),
        "events": wanted.get("events") or ["push"],
        "config": wanted["config"],
        "updated_at": MOMENT,
        "created_at": MOMENT,
        "url": url,
        "test_url": f"{url}/test",
        "ping_url": f"{url}/pings",
        "deliveries_url": f"{url}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }
