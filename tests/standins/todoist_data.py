"""What the Todoist stand-in's things look like on the wire, what Todoist checks, and its filter language."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with

RESOURCE_METADATA = "https://api.todoist.com/.well-known/oauth-protected-resource"
ALICES_ID = "2671355"
INBOX, HOME, GARDEN, WORK, READING = (
    "6Jf8VQXxpwv56VQ7",
    "6XGgm6PHrGgMpCFX",
    "6XGgmFVcrG5RRjVr",
    "6XGgmFQrx44wfGHr",
    "6XGgmcw5hQx8Rp9j",
)
SHELF = "6XGgm8fVvRrJ4WpX"  # a section of Home
MILK, TULIPS, INVOICE = "6XGgmFVcrG5RRjV8", "6XGgmFVcrG5RRjV9", "6XGgmFVcrG5RRjWC"

Fields = dict[str, Any]


class Problem(Exception):
    """An answer in Todoist's error shape."""

    def __init__(self, status: int, error: str, code: int, tag: str, **extra: Any) -> None:
        super().__init__(error)
        self.status, self.error, self.code, self.tag, self.extra = status, error, code, tag, extra

    def body(self) -> Fields:
        return {
            "error": self.error,
            "error_code": self.code,
            "error_extra": {"event_id": uuid4().hex, "retry_after": 3} | self.extra,
            "error_tag": self.tag,
            "http_code": self.status,
        }

    def response(self, headers: dict[str, str] | None = None) -> Response:
        return answer_with(self.status, self.body(), headers)


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
    if wanted.get("content") is None:
        raise missing("content")
    check_task_fields(wanted)
    if ("duration" in wanted) != ("duration_unit" in wanted):
        raise missing("duration_unit" if "duration" in wanted else "duration")


def check_task_fields(wanted: Fields) -> None:
    content = wanted.get("content", "something")
    if not isinstance(content, str) or not 1 <= len(content) <= 500:
        raise wrong("content", "String should have 1 to 500 characters")
    if len(wanted.get("description") or "") > 16383:
        raise wrong("description", "String should have at most 16383 characters")
    if wanted.get("priority", 1) not in (1, 2, 3, 4):
        raise wrong("priority", "Input should be 1, 2, 3 or 4")
    labels = wanted.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise wrong("labels", "Input should be a valid list")


# Pages. A cursor belongs to the question it was given for.


def page(request: Request, things: list[Fields], key: str = "results") -> Fields:
    limit = limit_of(request)
    start = start_of(request)
    rest = len(things) > start + limit
    return {
        key: things[start : start + limit],
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
        "business_account_id": None,
        "date_format": 0,
        "time_format": 0,
        "weekly_goal": 25,
        "daily_goal": 5,
        "start_page": "today",
        "start_day": 1,
        "next_week": 1,
        "completed_count": 0,
        "completed_today": 0,
        "karma": 0,
        "karma_trend": "up",
        "days_off": [6, 7],
        "weekend_start_day": 6,
        "has_password": True,
        "has_mfa": False,
        "mfa_enabled": False,
        "share_limit": 5,
        "is_celebrations_enabled": True,
        "image_id": None,
        "joined_at": "2026-01-05T08:00:00.000000Z",
        "deleted_at": None,
        "is_deleted": False,
        "inbox_project": INBOX,
        "premium_until": None,
        "free_trail_expires": None,
        "sort_order": 0,
        "auto_reminder": 0,
        "theme_id": "11",
        "features": {"beta": 0, "restriction": 0},
        "verification_status": "verified",
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
        "default_order": 0,
        "inbox_project": id == INBOX,
        "is_archived": False,
        "is_collapsed": False,
        "is_deleted": False,
        "is_favorite": False,
        "is_frozen": False,
        "is_shared": False,
        "view_style": "list",
    }


def section(id: str, name: str, project_id: str, order: int = 1) -> Fields:
    return {
        "id": id,
        "user_id": ALICES_ID,
        "project_id": project_id,
        "name": name,
        "description": "",
        "section_order": order,
        "added_at": now(),
        "updated_at": now(),
        "archived_at": None,
        "is_archived": False,
        "is_deleted": False,
        "is_collapsed": False,
    }


def label(id: str, name: str, order: int = 1) -> Fields:
    return {"id": id, "name": name, "color": "charcoal", "order": order, "is_favorite": False}


def comment(id: str, content: str, *, task_id: str | None = None, project_id: str | None = None) -> Fields:
    """As REST writes it on a task: `item_id`, which the clients call task_id."""
    place = {"item_id": task_id} if task_id else {"project_id": project_id}
    return {
        "id": id,
        **place,
        "content": content,
        "posted_uid": ALICES_ID,
        "posted_at": now(),
        "uids_to_notify": None,
        "file_attachment": None,
        "is_deleted": False,
        "reactions": None,
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
