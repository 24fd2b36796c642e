"""A GitHub on this machine: OAuth with the device flow, the account, repositories and issues.

Run it by hand: python -m tests.standins.github --port 9004 --key ghp_0123456789abcdefghijABCDEFGHIJ012345
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

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
from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with, run

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
FINE_GRAINED = "github_pat_11ABCDEFG0aBcDeFgHiJkL_0123456789abcdefghijABCDEFGHIJ0123456789abcdef"
DOCS = "https://docs.github.com/rest"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_CODES_LIVE = 900.0  # seconds
SLOWER = 5  # seconds that each slow_down adds
MOMENT = "2026-11-20T09:30:00Z"
PEOPLE = {"alice": 1001, "bob": 1002}

Fields = dict[str, Any]


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
        self.issues: dict[str, list[Fields]] = {one["full_name"]: [] for one in self.repositories}
        for title in ("The door does not close", "Paint the door"):
            self.add_issue("acme/door", title=title)
        self.issues["acme/door"][1]["pull_request"] = {
            "url": "https://api.github.com/repos/acme/door/pulls/2"
        }
        self.add_issue("acme/door", title="Oil the hinges", labels=["house"])

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
        ]
        return paged(request, found)

    def get_issue(self, request: Request, name: str, number: str) -> Response:
        self.seen(request, name)
        found = [issue for issue in self.issues[name] if issue["number"] == int(number)]
        if not found:
            raise Problem(404, "Not Found")
        return answer_with(200, found[0])

    def create_issue(self, request: Request, name: str) -> Response:
        self.seen(request, name)
        wanted = request.json()
        if not wanted.get("title"):
            errors = [{"resource": "Issue", "code": "missing_field", "field": "title"}]
            raise Problem(422, "Validation Failed", errors=errors)
        wanted["author"] = self.person_of(bearer(request))
        made = self.add_issue(name, **wanted)
        return answer_with(201, made, {"Location": made["url"]})

    def seen(self, request: Request, name: str) -> Fields:
        scopes = self.scopes_of(bearer(request)) or ()
        for one in self.repositories:
            if one["full_name"].lower() == name.lower() and (not one["private"] or includes(scopes, "repo")):
                return one
        raise Problem(404, "Not Found")

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
        address = f"https://api.github.com/repos/{name}/issues/{number}"
        issue = {
            "id": 5000 + number,
            "node_id": f"I_{number}",
            "number": number,
            "title": title,
            "body": body,
            "state": "open",
            "state_reason": None,
            "locked": False,
            "user": user(author),
            "labels": [
                {"id": 1, "name": label, "color": "ededed", "default": False} for label in labels or []
            ],
            "assignee": user(assignees[0]) if assignees else None,
            "assignees": [user(person) for person in assignees or []],
            "milestone": None,
            "comments": 0,
            "author_association": "OWNER",
            "url": address,
            "html_url": f"https://github.com/{name}/issues/{number}",
            "repository_url": f"https://api.github.com/repos/{name}",
            "labels_url": f"{address}/labels{{/name}}",
            "comments_url": f"{address}/comments",
            "events_url": f"{address}/events",
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "closed_at": None,
        }
        self.issues[name].append(issue)
        return issue


Act = Callable[..., Response]
NAME = r"([\w.-]+/[\w.-]+)"

ROUTES: list[tuple[str, str, tuple[str, ...], Act]] = [
    ("GET", r"/user", (), GithubStandin.get_user),
    ("GET", r"/user/repos", (), GithubStandin.list_repositories),
    ("GET", rf"/repos/{NAME}", (), GithubStandin.get_repository),
    ("GET", rf"/repos/{NAME}/issues", (), GithubStandin.list_issues),
    ("POST", rf"/repos/{NAME}/issues", ("public_repo", "repo"), GithubStandin.create_issue),
    ("GET", rf"/repos/{NAME}/issues/([0-9]+)", (), GithubStandin.get_issue),
]


def routed(request: Request) -> tuple[Act, tuple[str, ...], tuple[str, ...]]:
    for method, pattern, accepted, act in ROUTES:
        found = re.fullmatch(pattern, request.path)
        if found and method == request.method:
            return act, accepted, found.groups()
    raise Problem(404, "Not Found")


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


if __name__ == "__main__":
    run(GithubStandin)
