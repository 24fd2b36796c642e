"""A GitHub on this machine: OAuth with the device flow, the account, repositories and issues.

Run it by hand: python -m tests.standins.github --port 9004 --key ghp_0123456789abcdefghijABCDEFGHIJ012345
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import uuid4

from tests.standins.github_data import (
    MOMENT,
    Fields,
    comment_of,
    file_of,
    hook_of,
    issue_of,
    label,
    pull_of,
    repository,
    user,
)
from tests.standins.grants import (
    Endpoint,
    Form,
    Grant,
    OAuthProblem,
    OAuthStandin,
    Pair,
    bearer,
    fields_of,
    includes,
    shown_client,
)
from tests.standins.outgoing import Outgoing
from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with, run

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
FINE_GRAINED = "github_pat_11ABCDEFG0aBcDeFgHiJkL_0123456789abcdefghijABCDEFGHIJ0123456789abcdef"
DOCS = "https://docs.github.com/rest"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_CODES_LIVE = 900.0  # seconds
SLOWER = 5  # seconds that each slow_down adds


class Problem(Exception):
    """A refusal in GitHub's shape."""

    def __init__(
        self, status: int, message: str, headers: dict[str, str] | None = None, **beside: Any
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = {"message": message, "documentation_url": DOCS, "status": str(status), **beside}

    def response(self, headers: dict[str, str]) -> Response:
        return answer_with(self.status, self.body, headers | self.headers)


@dataclass
class Device:
    grant: Grant
    user_code: str
    made_at: float
    every: int = 5
    asked_at: float = 0.0
    decision: str = ""  # nothing yet, "allow" or "deny"


class GithubStandin(OAuthStandin):
    """A GitHub on this machine."""

    keys = (TOKEN, FINE_GRAINED)
    authorize_path = "/login/oauth/authorize"
    token_path = "/login/oauth/access_token"
    client_auths = frozenset({"body"})
    lifetime = None
    can_refresh = False

    # --- the strings to pull

    def rate_limit_next(self, reset_in: float = 600, times: int = 1, status: int = 403) -> None:
        """Answer the next requests as when the hour's calls are used up."""
        headers = self.budget(0, reset_in)
        problem = Problem(status, "API rate limit exceeded for user ID 1001.")
        self.fail_next(status, problem.body, headers, times)

    def slow_down_next(self, retry_after: int | None = None, times: int = 1) -> None:
        """Answer the next requests with the secondary limit, with or without a time."""
        problem = Problem(403, "You have exceeded a secondary rate limit. Please wait a few minutes.")
        headers = self.budget(4990) | ({"Retry-After": str(retry_after)} if retry_after is not None else {})
        self.fail_next(403, problem.body, headers, times)

    def decide(self, user_code: str, decision: str = "allow") -> None:
        """The person types the code at the device page, and allows or denies."""
        for device in self.devices.values():
            if device.user_code == user_code:
                device.decision = decision
                device.grant.person = self.person

    # --- OAuth: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        own = f"/applications/{self.client_id}"
        return super().endpoints() | {
            ("POST", "/login/device/code"): self.device_code,
            ("POST", f"{own}/token"): self.check_token,
            ("DELETE", f"{own}/token"): self.revoke,
            ("DELETE", f"{own}/grant"): self.revoke,
        }

    def access_token(self, kind: str) -> str:
        return f"gho_{secrets.token_hex(18)}"

    def told(self, pair: Pair) -> Fields:
        # Spaces on the way to GitHub, commas on the way back.
        return {"access_token": pair.access, "token_type": "bearer", "scope": ",".join(pair.scopes)}

    def token(self, request: Request) -> Response:
        return in_the_wanted_form(request, super().token(request))

    def check_client(self, request: Request, form: Form) -> None:
        # The device flow asks for no secret: the devices would not keep it.
        if form.get("grant_type") == DEVICE_GRANT and form.get("client_id") == self.client_id:
            return
        super().check_client(request, form)

    def refusal(self, problem: OAuthProblem) -> Response:
        words = {
            "bad_code": "bad_verification_code",
            "invalid_grant": "bad_refresh_token",
            "bad_redirect_uri": "redirect_uri_mismatch",
            "invalid_client": "incorrect_client_credentials",
            "unsupported_grant_type": "unsupported_grant_type",
        }
        error = words.get(problem.error, problem.error)
        return answer_with(200, {"error": error, "error_description": problem.description, "error_uri": DOCS})

    def granting(self, grant_type: str, form: Form) -> Response:
        if grant_type == DEVICE_GRANT:
            return answer_with(200, self.told(self.issue(self.device_grant(form))))
        return super().granting(grant_type, form)

    def device_code(self, request: Request) -> Response:
        form = fields_of(request) or {}
        if form.get("client_id") != self.client_id:
            return in_the_wanted_form(request, answer_with(404, {"error": "Not Found"}))
        code, user_code = secrets.token_hex(20), f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper()
        grant = Grant(self.person, self.ticked(form.get("scope", "")))
        self.devices[code] = Device(grant, user_code, self.now())
        told = {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": "https://github.com/login/device",
            "expires_in": int(DEVICE_CODES_LIVE),
            "interval": 5,
        }
        return in_the_wanted_form(request, answer_with(200, told))

    def device_grant(self, form: Form) -> Grant:
        code = form.get("device_code", "")
        device = self.devices.get(code)
        if device is None:
            raise OAuthProblem("incorrect_device_code", "The device_code provided is not valid.")
        now, last, device.asked_at = self.now(), device.asked_at, self.now()
        if device.made_at + DEVICE_CODES_LIVE < now:
            raise OAuthProblem("expired_token", "This device_code has expired.")
        if last and now - last < device.every:
            device.every += SLOWER
            raise OAuthProblem("slow_down", f"Too many requests. The interval is {device.every} now.")
        if device.decision == "deny":
            raise OAuthProblem("access_denied", "The authorization request was denied.")
        if device.decision != "allow":
            raise OAuthProblem("authorization_pending", "The authorization request is still pending.")
        del self.devices[code]
        return device.grant

    def check_token(self, request: Request) -> Response:
        if not self.is_the_app(request):
            return Problem(401, "Bad credentials").response({})
        pair = self.pair_of((fields_of(request) or {}).get("access_token", ""))
        if pair is None:
            return Problem(404, "Not Found").response({})
        return answer_with(
            200, {"token": pair.access, "scopes": list(pair.scopes), "user": user(pair.grant.person)}
        )

    def revoke(self, request: Request) -> Response:
        if not self.is_the_app(request):
            return Problem(401, "Bad credentials").response({})
        token = (fields_of(request) or {}).get("access_token", "")
        is_whole = request.path.endswith("/grant")
        if not self.end(token, with_grant=is_whole):
            return Problem(404, "Not Found").response({})
        return Response(204)

    def is_the_app(self, request: Request) -> bool:
        return shown_client(request, {}) == ("basic", self.client_id, self.client_secret)

    # --- the API

    def seed(self) -> None:
        self.devices: dict[str, Device] = {}
        self.repositories = [
            repository("alice/garden", 1),
            repository("alice/diary", 2, private=True),
            repository("acme/door", 3),
        ]
        self.ticks = 0
        self.outgoing = Outgoing()
        self.comments: list[Fields] = []
        self.pulls: dict[str, Fields] = {}
        self.hooks: dict[str, list[Fields]] = {}
        self.files = {"README.md": "# The door\n\nIt opens.\n", "docs/hinges.md": "Oil them.\n"}
        self.issues: dict[str, list[Fields]] = {one["full_name"]: [] for one in self.repositories}
        for title in ("The door does not close", "Paint the door"):
            self.add_issue("acme/door", title=title)
        self.add_pull(self.repositories[2], self.issues["acme/door"][1], "paint", "main")
        self.add_issue("acme/door", title="Oil the hinges", labels=["house"])

    def moment(self) -> str:
        """The moment of a change: each is a second after the one before."""
        self.ticks += 1
        return f"{datetime.fromisoformat(MOMENT) + timedelta(seconds=self.ticks):%Y-%m-%dT%H:%M:%SZ}"

    def api(self, request: Request) -> Response:
        key = bearer(request)
        scopes = self.scopes_of(key)
        headers = self.budget(5000 - len(self.requests))
        if scopes is not None and scopes != EVERY_SCOPE:
            headers["X-OAuth-Scopes"] = ", ".join(sorted(scopes))
        elif key.startswith("ghp_"):
            headers["X-OAuth-Scopes"] = "read:org, repo"
        try:
            if not request.headers["User-Agent"]:
                raise Problem(403, "Request forbidden by administrative rules.")
            if scopes is None:
                raise Problem(401, "Bad credentials" if key else "Requires authentication")
            act, accepted, values = routed(request)
            headers["X-Accepted-OAuth-Scopes"] = ", ".join(accepted)
            if accepted and not any(includes(scopes, scope) for scope in accepted):
                raise Problem(403, "Resource not accessible by this token")
            response = act(self, request, *values)
            # Clients follow the addresses inside: they lead back here.
            body = response.body.replace(
                b"https://api.github.com", f"http://{request.headers['Host']}".encode()
            )
            return Response(response.status, body, headers | dict(response.headers))
        except Problem as problem:
            return problem.response(headers)

    def budget(self, remaining: int, reset_in: float = 3600) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Used": str(5000 - remaining),
            "X-RateLimit-Reset": str(int(time.time() + reset_in)),  # epoch seconds
            "X-RateLimit-Resource": "core",
        }

    def get_user(self, request: Request) -> Response:
        return answer_with(200, user(self.person_of(bearer(request))))

    def list_repositories(self, request: Request) -> Response:
        scopes = self.scopes_of(bearer(request)) or ()
        seen = [one for one in self.repositories if not one["private"] or includes(scopes, "repo")]
        return paged(request, seen)

    def get_repository(self, request: Request, name: str) -> Response:
        return answer_with(200, self.seen(request, name))

    def list_issues(self, request: Request, name: str) -> Response:
        self.seen(request, name)
        asked = request.query
        labels = set(asked["labels"].split(",")) if asked.get("labels") else set()
        found = [
            issue
            for issue in reversed(self.issues[name])
            if asked.get("state", "open") in ("all", issue["state"])
            and labels <= {label["name"] for label in issue["labels"]}
            and asked.get("assignee", "*") in ("*", *(one["login"] for one in issue["assignees"]))
            and issue["updated_at"] >= asked.get("since", "")
        ]
        # Python keeps the order of those that are equal: the newest first.
        if asked.get("sort") == "updated":
            found.sort(key=lambda one: one["updated_at"], reverse=asked.get("direction", "desc") == "desc")
        return paged(request, found)

    def get_issue(self, request: Request, name: str, number: str) -> Response:
        return answer_with(200, self.numbered(request, name, number))

    def numbered(self, request: Request, name: str, number: str) -> Fields:
        self.seen(request, name)
        found = [issue for issue in self.issues[name] if issue["number"] == int(number)]
        if not found:
            raise Problem(404, "Not Found")
        return found[0]

    def create_issue(self, request: Request, name: str) -> Response:
        self.seen(request, name)
        wanted = request.json()
        if not wanted.get("title"):
            errors = [{"resource": "Issue", "code": "missing_field", "field": "title"}]
            raise Problem(422, "Validation Failed", errors=errors)
        wanted["author"] = self.person_of(bearer(request))
        made = self.add_issue(name, **wanted)
        made["created_at"] = made["updated_at"] = self.moment()
        self.happened(request, name, "issues", action="opened", issue=made)
        return answer_with(201, made, {"Location": made["url"]})

    def seen(self, request: Request, name: str) -> Fields:
        for one in self.repositories:
            if one["full_name"].lower() == name.lower() and self.may_see(request, one):
                return one
        raise Problem(404, "Not Found")

    def may_see(self, request: Request, repository: Fields) -> bool:
        return not repository["private"] or includes(self.scopes_of(bearer(request)) or (), "repo")

    def add_issue(
        self,
        name: str,
        title: str,
        body: str | None = None,
        labels: list[str] | None = None,
        assignees: list[str] | None = None,
        author: str = "alice",
    ) -> Fields:
        number = len(self.issues[name]) + 1
        issue = issue_of(name, number, title, body, labels, assignees, author)
        self.issues[name].append(issue)
        return issue

    # --- changing and discussing

    def update_issue(self, request: Request, name: str, number: str) -> Response:
        issue, wanted = self.numbered(request, name, number), request.json()
        was = issue["state"]
        issue |= {
            field: wanted[field] for field in ("title", "body", "state", "state_reason") if field in wanted
        }
        if "labels" in wanted:
            issue["labels"] = [label(one) for one in wanted["labels"]]
        if "assignees" in wanted:
            issue["assignees"] = [user(person) for person in wanted["assignees"]]
            issue["assignee"] = next(iter(issue["assignees"]), None)
        issue["updated_at"] = self.moment()
        issue["closed_at"] = issue["updated_at"] if issue["state"] == "closed" else None
        action = (
            {"open": "reopened", "closed": "closed"}[issue["state"]] if issue["state"] != was else "edited"
        )
        self.happened(request, name, "issues", action=action, issue=issue)
        return answer_with(200, issue)

    def list_comments(self, request: Request, name: str, number: str) -> Response:
        issue = self.numbered(request, name, number)
        return paged(request, [one for one in self.comments if one["issue_url"] == issue["url"]])

    def create_comment(self, request: Request, name: str, number: str) -> Response:
        issue, wanted = self.numbered(request, name, number), request.json()
        if not wanted.get("body"):
            errors = [{"resource": "IssueComment", "code": "missing_field", "field": "body"}]
            raise Problem(422, "Validation Failed", errors=errors)
        author, id = self.person_of(bearer(request)), 9001 + len(self.comments)
        made = comment_of(issue, id, wanted["body"], author, self.moment())
        self.comments.append(made)
        issue["comments"] += 1
        issue["updated_at"] = made["created_at"]
        self.happened(request, name, "issue_comment", action="created", issue=issue, comment=made)
        return answer_with(201, made)

    def list_pulls(self, request: Request, name: str) -> Response:
        self.seen(request, name)
        asked = request.query
        found = [
            self.pulls[one["url"]] | {field: one[field] for field in ("title", "body", "state", "updated_at")}
            for one in reversed(self.issues[name])
            if one["url"] in self.pulls and asked.get("state", "open") in ("all", one["state"])
        ]
        return paged(
            request, [one for one in found if asked.get("base", one["base"]["ref"]) == one["base"]["ref"]]
        )

    def get_pull(self, request: Request, name: str, number: str) -> Response:
        issue = self.numbered(request, name, number)
        if issue["url"] not in self.pulls:
            raise Problem(404, "Not Found")
        return answer_with(200, self.pulls[issue["url"]])

    def create_pull(self, request: Request, name: str) -> Response:
        repository, wanted = self.seen(request, name), request.json()
        same = [one for one in self.pulls.values() if one["head"]["ref"] == wanted.get("head")]
        if not wanted.get("head") or not wanted.get("base") or same:
            words = f"A pull request already exists for {wanted.get('head')}."
            errors = [{"resource": "PullRequest", "code": "custom", "message": words}]
            raise Problem(422, "Validation Failed", errors=errors)
        author = self.person_of(bearer(request))
        issue = self.add_issue(name, title=wanted["title"], body=wanted.get("body"), author=author)
        issue["updated_at"] = issue["created_at"] = self.moment()
        made = self.add_pull(
            repository, issue, wanted["head"], wanted["base"], is_draft=bool(wanted.get("draft"))
        )
        self.happened(
            request, name, "pull_request", action="opened", number=made["number"], pull_request=made
        )
        return answer_with(201, made, {"Location": made["url"]})

    def add_pull(
        self, repository: Fields, issue: Fields, head: str, base: str, *, is_draft: bool = False
    ) -> Fields:
        made = self.pulls[issue["url"]] = pull_of(issue, repository, head, base, is_draft=is_draft)
        issue["pull_request"] = {"url": made["url"], "html_url": made["html_url"]}
        return made

    def search(self, request: Request) -> Response:
        """Words in titles, and the qualifiers repo:, is: and label:; everything else finds nothing."""
        terms = request.query.get("q", "").split()
        if not terms:
            errors = [{"resource": "Search", "field": "q", "code": "missing"}]
            raise Problem(422, "Validation Failed", errors=errors)
        visible = [one["full_name"] for one in self.repositories if self.may_see(request, one)]
        found = [
            issue
            for name in visible
            for issue in self.issues[name]
            if all(fits(issue, name, term) for term in terms)
        ]
        response = paged(request, [issue | {"score": 1.0} for issue in found])
        items = Request("", "", {}, request.headers, response.body).json()
        body = {"total_count": len(found), "incomplete_results": False, "items": items}
        return answer_with(
            200, body, {key: value for key, value in response.headers.items() if key == "Link"}
        )

    def get_contents(self, request: Request, name: str, path: str) -> Response:
        self.seen(request, name)
        path = unquote(path)
        if path in self.files:
            return answer_with(200, file_of(name, path, self.files[path]))
        inside = [one for one in self.files if one.startswith(f"{path}/")]
        if not inside:
            raise Problem(404, "Not Found")
        return answer_with(200, [file_of(name, one, self.files[one]) for one in inside])

    # --- webhooks: https://docs.github.com/rest/repos/webhooks

    def list_hooks(self, request: Request, name: str) -> Response:
        self.seen(request, name)
        return paged(request, [masked(hook) for hook in self.hooks.get(name, [])])

    def create_hook(self, request: Request, name: str) -> Response:
        self.seen(request, name)
        wanted = request.json()
        hooks, address = self.hooks.setdefault(name, []), wanted["config"].get("url")
        if not address or any(hook["config"]["url"] == address for hook in hooks):
            words = "Hook already exists on this repository" if address else "url is missing"
            raise Problem(
                422, "Validation Failed", errors=[{"resource": "Hook", "code": "custom", "message": words}]
            )
        made = hook_of(name, 3001 + sum(map(len, self.hooks.values())), wanted)
        hooks.append(made)
        self.deliver(
            name,
            made,
            "ping",
            {"zen": "Keep it logically awesome.", "hook_id": made["id"], "hook": masked(made)},
        )
        return answer_with(201, masked(made))

    def update_hook(self, request: Request, name: str, id: str) -> Response:
        hook = self.hook(request, name, id)
        wanted = request.json()
        hook |= {field: wanted[field] for field in ("active", "events", "config") if field in wanted}
        return answer_with(200, masked(hook))

    def delete_hook(self, request: Request, name: str, id: str) -> Response:
        self.hooks[name].remove(self.hook(request, name, id))
        return Response(204)

    def ping_hook(self, request: Request, name: str, id: str) -> Response:
        hook = self.hook(request, name, id)
        self.deliver(
            name, hook, "ping", {"zen": "Design for failure.", "hook_id": hook["id"], "hook": masked(hook)}
        )
        return Response(204)

    def hook(self, request: Request, name: str, id: str) -> Fields:
        self.seen(request, name)
        found = [hook for hook in self.hooks.get(name, []) if hook["id"] == int(id)]
        if not found:
            raise Problem(404, "Not Found")
        return found[0]

    def happened(self, request: Request, name: str, event: str, **payload: Any) -> None:
        """Tell every hook of the repository that wants to know."""
        payload |= {"sender": user(self.person_of(bearer(request)))}
        for hook in self.hooks.get(name, []):
            if hook["active"] and (event in hook["events"] or "*" in hook["events"]):
                self.deliver(name, hook, event, payload)

    def deliver(self, name: str, hook: Fields, event: str, payload: Fields) -> None:
        repository = next(one for one in self.repositories if one["full_name"] == name)
        body = json.dumps(payload | {"repository": repository}).encode()
        is_form = hook["config"].get("content_type", "form") == "form"
        if is_form:
            body = urlencode({"payload": body.decode()}).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded" if is_form else "application/json",
            "User-Agent": "GitHub-Hookshot/0a1b2c3",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid4()),
            "X-GitHub-Hook-ID": str(hook["id"]),
            **signatures(hook["config"].get("secret", ""), body),
        }
        self.outgoing.post(hook["config"]["url"], body, headers)

    def redeliver(self, number: int = -1) -> None:
        """Somebody presses “Redeliver”: the same message once more, with its old id."""
        old = self.outgoing.sent[number]
        self.outgoing.post(old.url, old.body, old.headers)


Act = Callable[..., Response]
NAME = r"([\w.-]+/[\w.-]+)"
WRITING = ("public_repo", "repo")
HOOKS = ("admin:repo_hook", "repo")

ROUTES: list[tuple[str, str, tuple[str, ...], Act]] = [
    ("GET", r"/user", (), GithubStandin.get_user),
    ("GET", r"/user/repos", (), GithubStandin.list_repositories),
    ("GET", rf"/repos/{NAME}", (), GithubStandin.get_repository),
    ("GET", rf"/repos/{NAME}/issues", (), GithubStandin.list_issues),
    ("POST", rf"/repos/{NAME}/issues", WRITING, GithubStandin.create_issue),
    ("GET", rf"/repos/{NAME}/issues/([0-9]+)", (), GithubStandin.get_issue),
    ("PATCH", rf"/repos/{NAME}/issues/([0-9]+)", WRITING, GithubStandin.update_issue),
    ("GET", rf"/repos/{NAME}/issues/([0-9]+)/comments", (), GithubStandin.list_comments),
    ("POST", rf"/repos/{NAME}/issues/([0-9]+)/comments", WRITING, GithubStandin.create_comment),
    ("GET", rf"/repos/{NAME}/pulls", (), GithubStandin.list_pulls),
    ("POST", rf"/repos/{NAME}/pulls", WRITING, GithubStandin.create_pull),
    ("GET", rf"/repos/{NAME}/pulls/([0-9]+)", (), GithubStandin.get_pull),
    ("GET", rf"/repos/{NAME}/contents/(.+)", (), GithubStandin.get_contents),
    ("GET", r"/search/issues", (), GithubStandin.search),
    ("GET", rf"/repos/{NAME}/hooks", HOOKS, GithubStandin.list_hooks),
    ("POST", rf"/repos/{NAME}/hooks", HOOKS, GithubStandin.create_hook),
    ("PATCH", rf"/repos/{NAME}/hooks/([0-9]+)", HOOKS, GithubStandin.update_hook),
    ("DELETE", rf"/repos/{NAME}/hooks/([0-9]+)", HOOKS, GithubStandin.delete_hook),
    ("POST", rf"/repos/{NAME}/hooks/([0-9]+)/pings", HOOKS, GithubStandin.ping_hook),
]


def routed(request: Request) -> tuple[Act, tuple[str, ...], tuple[str, ...]]:
    for method, pattern, accepted, act in ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found and method == request.method:
            return act, accepted, found.groups()
    raise Problem(404, "Not Found")


def fits(issue: Fields, name: str, term: str) -> bool:
    qualifier, _, value = term.partition(":")
    known = {
        "repo": name == value,
        "label": value in {one["name"] for one in issue["labels"]},
        "is": value == issue["state"] or value == ("pr" if "pull_request" in issue else "issue"),
    }
    return known.get(qualifier, term.lower() in issue["title"].lower())


def masked(hook: Fields) -> Fields:
    """GitHub never shows a secret again."""
    hidden = {"secret": "********"} if hook["config"].get("secret") else {}
    return hook | {"config": hook["config"] | hidden}


def signatures(secret: str, body: bytes) -> dict[str, str]:
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries"""
    if not secret:
        return {}
    names = {"X-Hub-Signature": "sha1", "X-Hub-Signature-256": "sha256"}
    return {
        header: f"{kind}={hmac.new(secret.encode(), body, getattr(hashlib, kind)).hexdigest()}"
        for header, kind in names.items()
    }


def in_the_wanted_form(request: Request, response: Response) -> Response:
    """JSON for who asks for it, else a form."""
    if "json" in (request.headers["Accept"] or ""):
        return response
    said = Request("", "", {}, request.headers, response.body).json()
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    return answer_with(response.status, urlencode(said).encode(), {"Content-Type": kind})


def paged(request: Request, things: list[Fields]) -> Response:
    size, number = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
    if not 1 <= size <= 100:
        size = 30
    page = things[(number - 1) * size : number * size]
    address = f"http://{request.headers['Host']}{request.path}"
    links = []
    if number * size < len(things):
        last = -(-len(things) // size)
        for relation, target in (("next", number + 1), ("last", last)):
            query = urlencode(request.query | {"per_page": str(size), "page": str(target)})
            links.append(f'<{address}?{query}>; rel="{relation}"')
    return answer_with(200, page, {"Link": ", ".join(links)} if links else {})


if __name__ == "__main__":
    run(GithubStandin)
