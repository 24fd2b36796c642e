"""A Todoist on this machine: API v1 as documented, with Alice's account in memory.

Run it by hand: python -m tests.standins.todoist --port 9001 --key 0123456789abcdef0123456789abcdef01234567
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.standins.grants import Endpoint, OAuthProblem, OAuthStandin, Pair, shown_client
from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with, run

KEY = "0123456789abcdef0123456789abcdef01234567"
RESOURCE_METADATA = "https://api.todoist.com/.well-known/oauth-protected-resource"
ALICES_ID = "2671355"
INBOX, HOME, GARDEN, WORK, READING = (
    "6Jf8VQXxpwv56VQ7",
    "6XGgm6PHrGgMpCFX",
    "6XGgmFVcrG5RRjVr",
    "6XGgmFQrx44wfGHr",
    "6XGgmcw5hQx8Rp9j",
)
MILK, TULIPS, INVOICE = "6XGgmFVcrG5RRjV8", "6XGgmFVcrG5RRjV9", "6XGgmFVcrG5RRjWC"

Fields = dict[str, Any]


class Problem(Exception):
    """An answer in Todoist's error shape."""

    def __init__(self, status: int, error: str, code: int, tag: str, **extra: Any) -> None:
        super().__init__(error)
        self.status, self.error, self.code, self.tag, self.extra = status, error, code, tag, extra

    def response(self, headers: dict[str, str] | None = None) -> Response:
        body = {
            "error": self.error,
            "error_code": self.code,
            "error_extra": {"event_id": uuid4().hex, "retry_after": 3} | self.extra,
            "error_tag": self.tag,
            "http_code": self.status,
        }
        return answer_with(self.status, body, headers)


def wrong(argument: str, expected: str) -> Problem:
    return Problem(
        400, "Invalid argument value", 20, "INVALID_ARGUMENT_VALUE", argument=argument, expected=expected
    )


def missing(argument: str) -> Problem:
    return Problem(400, "Required argument is missing", 19, "ARGUMENT_MISSING", argument=argument)


def unknown(what: str) -> Problem:
    return Problem(404, f"{what} not found", 478, "NOT_FOUND")


def unauthorized() -> Response:
    challenge = {"WWW-Authenticate": f'Bearer resource_metadata="{RESOURCE_METADATA}"'}
    # Todoist may send Retry-After with a 401; waiting does not help there, a new token does.
    return Problem(401, "Unauthorized", 477, "UNAUTHORIZED").response(challenge | {"Retry-After": "3"})


def forbidden(scope: str) -> Response:
    return Problem(403, "Forbidden", 479, "FORBIDDEN", explanation=f"Needs scope {scope}").response()


class TodoistStandin(OAuthStandin):
    """A Todoist on this machine."""

    keys = (KEY,)
    token_path = "/oauth/access_token"
    separator = ","
    reuse_grace = 60.0
    is_legacy = False  # an app from before refresh tokens

    # OAuth: https://developer.todoist.com/api/v1 (Authorization)

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {
            ("POST", "/api/v1/revoke"): self.revoke,
            ("DELETE", "/api/v1/access_tokens"): self.delete_access_token,
        }

    def issue(self, *args: Any, **options: Any) -> Pair:
        self.lifetime, self.can_refresh = (315360000, False) if self.is_legacy else (3600, True)
        return super().issue(*args, **options)

    def told(self, pair: Pair) -> Fields:
        found = {"access_token": pair.access, "token_type": "Bearer", "expires_in": self.lifetime}
        if pair.refresh:
            found |= {"refresh_token": pair.refresh, "scope": ",".join(pair.scopes)}
        return found

    def reused(self, pair: Pair) -> Response:
        """For a minute the same access token without a refresh token; later all of this person's tokens end."""
        if pair.successor is None or self.since_use(pair) > self.reuse_grace:
            self.kill(pair.grant.person)
            raise OAuthProblem("invalid_grant")
        told = self.told(pair.successor)
        return answer_with(200, {name: value for name, value in told.items() if name != "refresh_token"})

    def refusal(self, problem: OAuthProblem) -> Response:
        words = {"bad_code": "bad_authorization_code", "bad_redirect_uri": "bad_authorization_code"}
        if problem.error == "invalid_client":
            return answer_with(400, {"error": "incorrect_application_credentials"})
        return answer_with(400, {"error": words.get(problem.error, problem.error)})

    def revoke(self, request: Request) -> Response:
        form = self.form_of(request)
        if shown_client(request, form) != ("basic", self.client_id, self.client_secret):
            return answer_with(401, {"error": "invalid_client"})
        self.end(form.get("token", ""), with_grant=True)
        return answer_with(200, {})  # RFC 7009: an unknown token is no error.

    def delete_access_token(self, request: Request) -> Response:
        asked = request.query
        if (asked.get("client_id"), asked.get("client_secret")) != (self.client_id, self.client_secret):
            return answer_with(400, {"error": "incorrect_application_credentials"})
        self.end(asked.get("access_token", ""), with_grant=True)
        return Response(204)

    def rate_limit_next(self, retry_after: int = 66, times: int = 1) -> None:
        """Answer the next requests with Todoist's 429."""
        error = "Too many requests. Limits reached. Try again later"
        refusal = Problem(429, error, 35, "LIMITS_REACHED", retry_after=retry_after)
        response = refusal.response({"Retry-After": str(retry_after)})
        self.fail_next(response.status, response.body, response.headers, times)

    def seed(self) -> None:
        self._made = 0
        self.user = alice()
        names = {INBOX: "Inbox", HOME: "Home", GARDEN: "Garden", WORK: "Work", READING: "Reading list"}
        self.projects = {id: project(id, name, order) for order, (id, name) in enumerate(names.items())}
        self.tasks: dict[str, Fields] = {}
        self._add(MILK, content="Buy milk", project_id=HOME, labels=["shop"], due=due(today()))
        self._add(TULIPS, content="Plant tulips", project_id=GARDEN)
        self._add(INVOICE, content="Send Bob the invoice", project_id=WORK, labels=["money"], priority=4)

    def api(self, request: Request) -> Response:
        kind, _, key = (request.headers["Authorization"] or "").partition(" ")
        scopes = self.scopes_of(key)
        if scopes is None or kind != "Bearer":
            return unauthorized()
        try:
            act, scope, values = route(request)
            if not includes(scopes, scope):
                return forbidden(scope)
            check_request_id(request)
            return answer_with(200, act(self, request, *values))
        except Problem as problem:
            return problem.response()

    # One method for each endpoint; what it returns is the body.

    def get_user(self, request: Request) -> Fields:
        person = self.person_of((request.headers["Authorization"] or "").partition(" ")[2])
        return self.user if person == "alice" else self.user | somebody(person)

    def list_projects(self, request: Request) -> Fields:
        return page(request, list(self.projects.values()))

    def list_tasks(self, request: Request) -> Fields:
        asked = request.query
        ids = asked["ids"].split(",") if "ids" in asked else None
        return page(
            request,
            [
                task
                for task in self.active_tasks()
                if all(task[name] == asked[name] for name in ("project_id", "parent_id") if name in asked)
                and ("label" not in asked or asked["label"] in task["labels"])
                and (ids is None or task["id"] in ids)
            ],
        )

    def filter_tasks(self, request: Request) -> Fields:
        query = request.query.get("query", "")
        if not 1 <= len(query) <= 1024:
            raise wrong("query", "String should have 1 to 1024 characters")
        wanted = parsed_filter(query, {each["name"]: id for id, each in self.projects.items()})
        return page(request, [task for task in self.active_tasks() if wanted(task)])

    def get_task(self, request: Request, id: str) -> Fields:
        if id.startswith("tmp-"):
            raise wrong("task_id", "Temporary ids are not accepted")
        if id not in self.tasks:
            raise unknown("Task")
        return self.tasks[id]

    def add_task(self, request: Request) -> Fields:
        wanted = json_object(request)
        check_task(wanted)
        if wanted.get("project_id", INBOX) not in self.projects:
            raise unknown("Project")
        if wanted.get("parent_id") is not None:
            self.get_task(request, wanted["parent_id"])
        return self._add(
            content=wanted["content"],
            description=wanted.get("description", ""),
            project_id=wanted.get("project_id", INBOX),
            section_id=wanted.get("section_id"),
            parent_id=wanted.get("parent_id"),
            labels=wanted.get("labels", []),
            priority=wanted.get("priority", 1),
            responsible_uid=wanted.get("assignee_id"),
            due=due_of(wanted),
            deadline=deadline_of(wanted),
            duration=duration_of(wanted),
        )

    def close_task(self, request: Request, id: str) -> None:
        task = self.get_task(request, id)
        if task["due"] and task["due"]["is_recurring"]:
            task["due"] = task["due"] | {"date": next_date(task["due"])}
            return
        for done in self._with_children(task):
            done |= {"checked": True, "completed_at": now(), "completed_by_uid": ALICES_ID}

    def reopen_task(self, request: Request, id: str) -> None:
        reopened = {"checked": False, "completed_at": None, "completed_by_uid": None}
        self.get_task(request, id).update(reopened)

    def delete_task(self, request: Request, id: str) -> None:
        for gone in self._with_children(self.get_task(request, id)):
            del self.tasks[gone["id"]]

    def active_tasks(self) -> list[Fields]:
        return [task for task in self.tasks.values() if not task["checked"]]

    def _with_children(self, task: Fields) -> list[Fields]:
        children = [child for child in self.tasks.values() if child["parent_id"] == task["id"]]
        return [task, *(below for child in children for below in self._with_children(child))]

    def _add(self, id: str | None = None, **fields: Any) -> Fields:
        self._made += 1
        task = blank_task(id or opaque_id(self._made), self._made) | fields
        self.tasks[task["id"]] = task
        return task


Act = Callable[..., object]

ROUTES: list[tuple[str, str, str, Act]] = [
    ("GET", r"/user", "data:read", TodoistStandin.get_user),
    ("GET", r"/projects", "data:read", TodoistStandin.list_projects),
    ("GET", r"/tasks", "data:read", TodoistStandin.list_tasks),
    ("GET", r"/tasks/filter", "data:read", TodoistStandin.filter_tasks),
    ("GET", r"/tasks/([^/]+)", "data:read", TodoistStandin.get_task),
    ("POST", r"/tasks", "task:add", TodoistStandin.add_task),
    ("POST", r"/tasks/([^/]+)/close", "data:read_write", TodoistStandin.close_task),
    ("POST", r"/tasks/([^/]+)/reopen", "data:read_write", TodoistStandin.reopen_task),
    ("DELETE", r"/tasks/([^/]+)", "data:delete", TodoistStandin.delete_task),
]


def route(request: Request) -> tuple[Act, str, tuple[str, ...]]:
    for method, pattern, scope, act in ROUTES:
        found = re.fullmatch(f"/api/v1{pattern}", request.path)
        if found and method == request.method:
            return act, scope, found.groups()
    raise unknown("Endpoint")


def includes(scopes: Iterable[str], scope: str) -> bool:
    granted = set(scopes)
    if "data:read_write" in granted:
        granted |= {"data:read", "task:add"}
    return scope in granted or granted == EVERY_SCOPE


# What Todoist checks.


def check_request_id(request: Request) -> None:
    if len(request.headers["X-Request-Id"] or "") > 36:
        raise wrong("X-Request-Id", "String should have at most 36 characters")


def json_object(request: Request) -> Fields:
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Problem(400, "Bad request", 400, "BAD_REQUEST", explanation="The body is no JSON object")
    return {name: value for name, value in body.items() if value is not None}


def check_task(wanted: Fields) -> None:
    content = wanted.get("content")
    if content is None:
        raise missing("content")
    if not isinstance(content, str) or not 1 <= len(content) <= 500:
        raise wrong("content", "String should have 1 to 500 characters")
    if len(wanted.get("description") or "") > 16383:
        raise wrong("description", "String should have at most 16383 characters")
    if wanted.get("priority", 1) not in (1, 2, 3, 4):
        raise wrong("priority", "Input should be 1, 2, 3 or 4")
    labels = wanted.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise wrong("labels", "Input should be a valid list")
    if ("duration" in wanted) != ("duration_unit" in wanted):
        raise missing("duration_unit" if "duration" in wanted else "duration")


# Pages. A cursor belongs to the question it was given for.


def page(request: Request, things: list[Fields]) -> Fields:
    limit = limit_of(request)
    start = start_of(request)
    rest = len(things) > start + limit
    return {
        "results": things[start : start + limit],
        "next_cursor": cursor(request, start + limit) if rest else None,
    }


def limit_of(request: Request) -> int:
    limit = request.query.get("limit", "50")
    if not limit.isdecimal():
        raise wrong("limit", "Input should be a valid integer")
    if int(limit) > 200:
        raise wrong("limit", "Input should be less than or equal to 200")
    if int(limit) < 1:
        raise wrong("limit", "Input should be greater than or equal to 1")
    return int(limit)


def start_of(request: Request) -> int:
    given = request.query.get("cursor")
    if given is None:
        return 0
    try:
        start, question = json.loads(base64.urlsafe_b64decode(given))
    except (ValueError, TypeError):
        start, question = 0, None
    if question != question_of(request):
        raise wrong("cursor", "The cursor is invalid")
    return int(start)


def cursor(request: Request, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, question_of(request)]).encode()).decode()


def question_of(request: Request) -> str:
    asked = sorted((name, value) for name, value in request.query.items() if name not in {"cursor", "limit"})
    return hashlib.sha256(repr((request.path, asked)).encode()).hexdigest()[:16]


# Todoist's filter language, as far as tests speak it.

Wanted = Callable[[Fields], bool]


def parsed_filter(query: str, projects: dict[str, str]) -> Wanted:
    if "," in query:
        raise wrong("query", "The comma operator is not supported")
    either = [[term.strip() for term in part.split("&")] for part in query.split("|")]
    tests = [[parsed_term(term, projects) for term in terms] for terms in either]
    return lambda task: any(all(test(task) for test in terms) for terms in tests)


def parsed_term(term: str, projects: dict[str, str]) -> Wanted:
    if term.startswith("!"):
        rest = parsed_term(term[1:].strip(), projects)
        return lambda task: not rest(task)
    if term.startswith("@"):
        return lambda task: term[1:] in task["labels"]
    if term.startswith("#") and term[1:] in projects:
        return lambda task: task["project_id"] == projects[term[1:]]
    if re.fullmatch("p[1-4]", term):
        # In the app p1 is the most urgent, over the wire that is priority 4.
        return lambda task: task["priority"] == 5 - int(term[1])
    if term.startswith("search:"):
        return lambda task: term.removeprefix("search:").strip().lower() in task["content"].lower()
    if term not in DATES:
        raise wrong("query", f"The search query is incorrect: {term}")
    return lambda task: DATES[term](task["due"]["date"][:10] if task["due"] else None)


DATES: dict[str, Callable[[str | None], bool]] = {
    "all": lambda day: True,
    "view all": lambda day: True,
    "no date": lambda day: day is None,
    "today": lambda day: day == today(),
    "tomorrow": lambda day: day == today(1),
    "overdue": lambda day: day is not None and day < today(),
}


# What things look like on the wire.


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def today(later: int = 0) -> str:
    return (datetime.now(UTC).date() + timedelta(days=later)).isoformat()


def due(day: str, string: str | None = None, lang: str = "en", *, is_recurring: bool = False) -> Fields:
    return {
        "date": day,
        "timezone": None,
        "string": string or day,
        "lang": lang,
        "is_recurring": is_recurring,
    }


def due_of(wanted: Fields) -> Fields | None:
    if wanted.get("due_string"):
        return due_said(wanted["due_string"], wanted.get("due_lang", "en"))
    for name in ("due_date", "due_datetime"):
        if wanted.get(name):
            return due(checked_moment(name, wanted[name]))
    return None


def due_said(words: str, lang: str) -> Fields:
    days = {"today": 0, "tomorrow": 1, "every day": 0, "every week": 0}
    if words.lower() in days:
        return due(today(days[words.lower()]), words, lang, is_recurring=words.lower().startswith("every"))
    return due(checked_moment("due_string", words), words, lang)


def checked_moment(name: str, moment: str) -> str:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        raise wrong(name, "Date is invalid") from None
    return moment


def next_date(recurring: Fields) -> str:
    days = 7 if recurring["string"].lower() == "every week" else 1
    return (date.fromisoformat(recurring["date"]) + timedelta(days=days)).isoformat()


def deadline_of(wanted: Fields) -> Fields | None:
    day = wanted.get("deadline_date")
    return {"date": checked_moment("deadline_date", day), "lang": "en"} if day else None


def duration_of(wanted: Fields) -> Fields | None:
    if "duration" not in wanted:
        return None
    return {"amount": wanted["duration"], "unit": wanted["duration_unit"]}


def opaque_id(number: int) -> str:
    return "6X" + "".join(letters(number))


def letters(number: int) -> Iterator[str]:
    alphabet = "23456789CFGHJMPQRVWXcfghjmpqrvwx"
    for place in reversed(range(14)):
        yield alphabet[number >> (5 * place) & 31]


def alice() -> Fields:
    return {
        "id": ALICES_ID,
        "email": "alice@example.org",
        "full_name": "Alice",
        "inbox_project_id": INBOX,
        "tz_info": {
            "timezone": "Europe/Berlin",
            "gmt_string": "+01:00",
            "hours": 1,
            "minutes": 0,
            "is_dst": 0,
        },
        "lang": "en",
        "is_premium": False,
        "premium_status": "not_premium",
    }


def somebody(person: str) -> Fields:
    number = int(hashlib.sha256(person.encode()).hexdigest()[:6], 16)
    return {"id": str(number), "email": f"{person}@example.org", "full_name": person.capitalize()}


def project(id: str, name: str, order: int) -> Fields:
    return {
        "id": id,
        "name": name,
        "description": "",
        "color": "charcoal",
        "parent_id": None,
        "child_order": order,
        "creator_uid": ALICES_ID,
        "created_at": "2026-01-05T08:00:00.000000Z",
        "updated_at": "2026-01-05T08:00:00.000000Z",
        "can_assign_tasks": False,
        "inbox_project": id == INBOX,
        "is_archived": False,
        "is_collapsed": False,
        "is_deleted": False,
        "is_favorite": False,
        "is_frozen": False,
        "is_shared": False,
        "view_style": "list",
    }


def blank_task(id: str, order: int) -> Fields:
    return {
        "user_id": ALICES_ID,
        "id": id,
        "project_id": INBOX,
        "section_id": None,
        "parent_id": None,
        "added_by_uid": ALICES_ID,
        "assigned_by_uid": None,
        "responsible_uid": None,
        "labels": [],
        "deadline": None,
        "duration": None,
        "is_collapsed": False,
        "checked": False,
        "is_deleted": False,
        "added_at": now(),
        "completed_at": None,
        "completed_by_uid": None,
        "updated_at": now(),
        "due": None,
        "priority": 1,
        "child_order": order,
        "content": "",
        "description": "",
        "note_count": 0,
        "day_order": -1,
        "goal_ids": [],
    }


if __name__ == "__main__":
    run(TodoistStandin)
