"""A Google on this machine: the OAuth pages and the four products, for Alice with a little data and Bob with none.

Google's hosts differ by path, so that all of them can be led here: NAVI_UPSTREAMS="google=http://127.0.0.1:9005".
Run it by hand: python -m tests.standins.google --port 9005
"""

import base64
import html
import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from tests.contracts import google_discovery
from tests.contracts.google_discovery import Asked
from tests.standins import google_data
from tests.standins.google_data import PEOPLE, Fields
from tests.standins.grants import (
    Code,
    Endpoint,
    Form,
    Grant,
    OAuthProblem,
    OAuthStandin,
    Pair,
    bearer,
    fields_of,
    includes,
    led_back,
)
from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with, run

TOKEN = "ya29.a-token-of-the-stand-in"
CLIENT_ID = "1234567890-navi.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-a-secret-of-the-stand-in"
AUTHORIZE, TOKENS, REVOKE = "/o/oauth2/v2/auth", "/token", "/revoke"
USERINFO, OPENID_USERINFO = "/oauth2/v3/userinfo", "/v1/userinfo"

AUTH = "https://www.googleapis.com/auth/"
EMAIL, PROFILE = f"{AUTH}userinfo.email", f"{AUTH}userinfo.profile"
LONG_NAMES = {"email": EMAIL, "profile": PROFILE}
NEVER_UNTICKED = {"openid", "email", "profile", EMAIL, PROFILE}
SCOPE = re.compile(rf"openid|email|profile|https://mail\.google\.com/|{re.escape(AUTH)}[a-z.]+")
SERVICES = {
    "gmail": ("gmail.googleapis.com", "Gmail API"),
    "calendar": ("calendar-json.googleapis.com", "Google Calendar API"),
    "drive": ("drive.googleapis.com", "Google Drive API"),
    "sheets": ("sheets.googleapis.com", "Google Sheets API"),
}
# How Google says RFC 6749's errors, and the one of its own.
WORDS = {
    "bad_code": ("invalid_grant", "Malformed auth code."),
    "bad_redirect_uri": ("redirect_uri_mismatch", "Bad Request"),
    "invalid_grant": ("invalid_grant", "Token has been expired or revoked."),
    "invalid_client": ("invalid_client", "Unauthorized"),
}


@dataclass(eq=False)
class Agreement(Grant):
    """One yes; a person may say several, and `is_offline` ones come with a refresh token."""

    is_offline: bool = True


class Problem(Exception):
    """An answer in Google's error shape."""

    def __init__(self, status: int, reason: str, message: str, kind: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.kind, self.detail = kind, detail

    def response(self, headers: dict[str, str] | None = None, metadata: Fields | None = None) -> Response:
        error: Fields = {
            "code": self.status,
            "message": self.message,
            "errors": [{"message": self.message, "domain": "global", "reason": self.reason}],
        }
        if self.kind:
            error["status"] = self.kind
        if self.detail:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.detail}
            error["details"] = [{**info, "domain": "googleapis.com", "metadata": metadata or {}}]
        return answer_with(self.status, {"error": error}, headers)


def wrong(message: str) -> Problem:
    return Problem(400, "badRequest", message, "INVALID_ARGUMENT")


def unknown(message: str = "Not Found") -> Problem:
    return Problem(404, "notFound", message, "NOT_FOUND")


class GoogleStandin(OAuthStandin):
    """A Google on this machine.

    Besides the strings of every OAuth stand-in: `switch_off("gmail")` disables an API in the project,
    `rate_limit_next(...)` answers as Google does under load, and `turn_on("asks")` shows a page with boxes
    to tick instead of agreeing at once.
    """

    keys = (TOKEN,)
    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET
    authorize_path = AUTHORIZE
    token_path = TOKENS
    encodings = frozenset({"form"})
    lifetime = 3599
    asks = False

    # --- the strings to pull

    def switch_off(self, *apis: str) -> None:
        """Disable gmail, calendar, drive or sheets in the project of the OAuth client."""
        self._off |= set(apis)

    def rate_limit_next(
        self, reason: str = "rateLimitExceeded", status: int = 403, words: str = "Rate Limit Exceeded",
        retry_after: str = "", times: int = 1,
    ) -> None:  # fmt: skip
        """Answer the next requests with too many calls; Gmail's `words` may be "… Retry after <moment>"."""
        problem = Problem(status, reason, words, "RESOURCE_EXHAUSTED" if status == 429 else "")
        response = problem.response({"Retry-After": retry_after} if retry_after else {})
        self.fail_next(response.status, response.body, response.headers, times)

    def seed(self) -> None:
        self._off: set[str] = set()
        self.people = {name: google_data.account(name) for name in PEOPLE}

    # --- signing in

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        own: dict[tuple[str, str], Endpoint] = {
            ("POST", AUTHORIZE): self.decide,
            ("POST", REVOKE): self.revoke,
            ("GET", USERINFO): self.userinfo,
            ("GET", OPENID_USERINFO): self.userinfo,
        }
        return super().endpoints() | own

    def authorize(self, request: Request) -> Response:
        """Agree at once, or show the page that asks. What is wrong stays on Google's page: nobody is led back."""
        asked = request.query
        if trouble := self.trouble_with(asked):
            return page(trouble[0], f"Access blocked. Error {trouble[0]}: {trouble[1]}")
        if self._denials:
            return led_back(asked, error=self._denials.popleft())
        return self.consent_page(asked) if self.asks else self.agree(asked)

    def trouble_with(self, asked: Form) -> tuple[int, str] | None:
        target, scopes = asked.get("redirect_uri", ""), asked.get("scope", "").split()
        if asked.get("client_id") != self.client_id:
            return 401, "invalid_client"
        if not target or (self.redirect_uris and target not in self.redirect_uris):
            return 400, "redirect_uri_mismatch"
        if asked.get("response_type") != "code" or not scopes:
            return 400, "invalid_request"
        if not all(SCOPE.fullmatch(scope) for scope in scopes):
            return 400, "invalid_scope"
        return None

    def consent_page(self, asked: Form) -> Response:
        boxes = "".join(
            f'<p><label><input type="checkbox" name="tick" value="{html.escape(scope)}"> {html.escape(scope)}</label>'
            for scope in asked["scope"].split()
            if scope not in NEVER_UNTICKED
        )
        kept = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in asked.items()
        )
        buttons = '<button name="answer" value="yes">Continue</button><button name="answer" value="no">Cancel</button>'
        form = f'<form method="post" action="{AUTHORIZE}">{kept}{boxes}{buttons}</form>'
        return page(200, f"Navi wants access to the account of {html.escape(self.person)}", form)

    def decide(self, request: Request) -> Response:
        """What the person pressed on the page that asks."""
        form = parse_qs(request.body.decode(), keep_blank_values=True)
        asked = {name: values[0] for name, values in form.items()}
        if trouble := self.trouble_with(asked):
            return page(trouble[0], f"Access blocked. Error {trouble[0]}: {trouble[1]}")
        if asked.get("answer") != "yes":
            return led_back(asked, error="access_denied")
        return self.agree(asked, form.get("tick", []))

    def agree(self, asked: Form, ticks: Iterable[str] | None = None) -> Response:
        agreement = self.agreement(asked, ticks)
        code = f"4/0{secrets.token_urlsafe(24)}"
        challenge, method = asked.get("code_challenge", ""), asked.get("code_challenge_method", "plain")
        self._codes[code] = Code(agreement, asked["redirect_uri"], challenge, method, self.now())
        scope = " ".join(agreement.scopes)
        return led_back(asked, code=code, scope=scope, authuser="0", prompt=asked.get("prompt", "none"))

    def agreement(self, asked: Form, ticks: Iterable[str] | None) -> Agreement:
        before = self.agreements_of(self.person)
        scopes = [scope for scope in self.ticked(asked["scope"]) if is_ticked(scope, ticks)]
        if asked.get("include_granted_scopes") == "true":
            scopes += [scope for one in before for scope in one.scopes]
        # Google gives a refresh token for the first yes, and later only where it was made to ask again.
        asks_again = "consent" in asked.get("prompt", "").split()
        is_offline = asked.get("access_type") == "offline" and (asks_again or not before)
        return Agreement(self.person, self.agreed(tuple(scopes)), is_offline=is_offline)

    def ticked(self, asked: str) -> tuple[str, ...]:
        return tuple(
            scope
            for scope in asked.split()
            if self._ticked is None or scope in self._ticked or scope in NEVER_UNTICKED
        )

    def agreed(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(LONG_NAMES.get(scope, scope) for scope in scopes))

    def agreements_of(self, person: str) -> list[Grant]:
        grants = {id(pair.grant): pair.grant for pair in self.pairs if pair.grant.person == person}
        return [grant for grant in grants.values() if not grant.is_ended]

    # --- tokens

    def access_token(self, kind: str) -> str:
        return f"ya29.{secrets.token_urlsafe(24)}"

    def refresh_token(self, kind: str) -> str:
        return f"1//{secrets.token_urlsafe(24)}"

    def issue(self, grant: Grant, kind: str = "bot") -> Pair:
        pair = super().issue(grant, kind)
        if isinstance(grant, Agreement) and not grant.is_offline:
            pair.refresh = None
        return pair

    def refreshed(self, form: Form) -> Response:
        """A new access token; the refresh token stays as it is and is not told again."""
        shown = form.get("refresh_token", "")
        pair = next((pair for pair in self.pairs if shown and pair.refresh == shown), None)
        if pair is None or pair.is_ended or pair.grant.is_ended:
            raise OAuthProblem("invalid_grant")
        fresh = self.issue(pair.grant, pair.kind)
        fresh.refresh, fresh.scopes = (
            None,
            narrowed(pair.scopes, self.agreed(tuple(form.get("scope", "").split()))),
        )
        return answer_with(200, self.told(fresh))

    def told(self, pair: Pair) -> Fields:
        answer: Fields = {
            "access_token": pair.access,
            "expires_in": self.lifetime,
            "scope": " ".join(pair.scopes),
            "token_type": "Bearer",
        }
        if pair.refresh:
            answer["refresh_token"] = pair.refresh
        if "openid" in pair.scopes:
            answer["id_token"] = self.id_token(pair)
        return answer

    def id_token(self, pair: Pair) -> str:
        """Shaped like Google's, signed by nobody."""
        who = {name: self.people[pair.grant.person]["user"][name] for name in ("sub", "email")}
        times = {"iat": int(self.now()), "exp": int(self.now()) + 3599}
        claims = {"iss": "https://accounts.google.com", "aud": self.client_id, **who, **times}
        return ".".join(
            base64url(part) for part in (b'{"alg":"RS256"}', json.dumps(claims).encode(), b"unsigned")
        )

    def refusal(self, problem: OAuthProblem) -> Response:
        error, words = WORDS.get(problem.error, (problem.error, problem.description))
        status = 401 if error == "invalid_client" else 400
        return answer_with(status, {"error": error, "error_description": words})

    def revoke(self, request: Request) -> Response:
        """Ending one token ends all that the person ever granted."""
        token = request.query.get("token") or (fields_of(request) or {}).get("token", "")
        found = next((pair for pair in self.pairs if token and token in (pair.access, pair.refresh)), None)
        if found is None or found.grant.is_ended:
            return answer_with(
                400, {"error": "invalid_token", "error_description": "Token expired or revoked"}
            )
        self.kill(found.grant.person)
        return answer_with(200, {})

    # --- the products

    def userinfo(self, request: Request) -> Response:
        scopes = self.scopes_of(bearer(request))
        if scopes is None or not (scopes == EVERY_SCOPE or {"openid", EMAIL, PROFILE} & scopes):
            challenge = {
                "WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
            }
            said = {"error": "invalid_request", "error_description": "Invalid Credentials"}
            return answer_with(401, said, challenge)
        user = self.people[self.person_of(bearer(request))]["user"]
        hidden = set() if includes(scopes, EMAIL) else {"email", "email_verified"}
        hidden |= set() if includes(scopes, PROFILE) else {"name", "picture"}
        return answer_with(200, {name: value for name, value in user.items() if name not in hidden})

    def api(self, request: Request) -> Response:
        scopes = self.scopes_of(bearer(request))
        if scopes is None:
            return unauthorized()
        asked = google_discovery.asked(request.method, request.path)
        if asked is None:
            return unknown().response()
        if scopes != EVERY_SCOPE and not scopes & set(asked.facts["scopes"]):
            return too_few_scopes(asked)
        if asked.api in self._off:
            return switched_off(asked.api)
        try:
            return answer_with(200, self.answered(asked, request))
        except Problem as problem:
            return problem.response()

    def answered(self, asked: Asked, request: Request) -> Fields:
        for said in google_discovery.wrong_with_query(asked.facts, request.raw_query):
            raise wrong(f"Invalid value: {said}")
        mine = self.people[self.person_of(bearer(request))]
        return ANSWERS[asked.method](mine, asked.values, Query(request))


class Query:
    """The parameters of a request; lists are asked for as such."""

    def __init__(self, request: Request) -> None:
        self.one = request.query
        self.pairs = parse_qsl(request.raw_query, keep_blank_values=True)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def number(self, name: str, default: int) -> int:
        return int(self.one.get(name, default))

    def page(self, things: list[Any], size: int, key: str, *, is_left_out: bool = False) -> Fields:
        """One page of things under `key`; some of Google's lists leave it out where there is nothing."""
        start = place_of(self.one.get("pageToken", ""))
        found: Fields = {key: things[start : start + size]}
        if is_left_out and not found[key]:
            del found[key]
        if start + size < len(things):
            found["nextPageToken"] = base64url(str(start + size).encode())
        return found


def place_of(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token + "==")) if token else 0
    except ValueError:
        raise wrong("Invalid pageToken") from None


# --- Gmail


def mailbox(values: Fields) -> None:
    if values["userId"] != "me":
        raise Problem(403, "forbidden", "Delegation denied for alice@example.org", "PERMISSION_DENIED")


def list_labels(mine: Fields, values: Fields, query: Query) -> Fields:
    mailbox(values)
    return {"labels": mine["labels"]}


def list_threads(mine: Fields, values: Fields, query: Query) -> Fields:
    mailbox(values)
    hidden = set() if query.one.get("includeSpamTrash") == "true" else {"SPAM", "TRASH"}
    found = [
        {name: thread[name] for name in ("id", "snippet", "historyId")}
        for thread in mine["threads"]
        if set(query.all("labelIds")) <= labels_of(thread)
        and not hidden & labels_of(thread)
        and is_found(query.one.get("q", ""), thread)
    ]
    page = query.page(found, min(query.number("maxResults", 100), 500), "threads", is_left_out=True)
    return {**page, "resultSizeEstimate": len(found)}


def labels_of(thread: Fields) -> set[str]:
    return {label for message in thread["messages"] for label in message["labelIds"]}


def is_found(words: str, thread: Fields) -> bool:
    """A little of Gmail's search: `from:`, `subject:`, `is:unread`, and plain words."""
    headers = {header["name"].lower(): header["value"].lower() for header in google_data.headers_of(thread)}
    text = " ".join([thread["snippet"], *headers.values()]).lower()
    for word in words.lower().split():
        name, _, value = word.partition(":")
        if word == "is:unread":
            if "UNREAD" not in labels_of(thread):
                return False
        elif (value if value else word) not in (headers.get(name, "") if value else text):
            return False
    return True


def get_thread(mine: Fields, values: Fields, query: Query) -> Fields:
    mailbox(values)
    thread = one_of(mine["threads"], values["id"], "Requested entity was not found.")
    kept = {"full": {}, "metadata": {"body", "parts"}, "minimal": {"payload"}}[
        query.one.get("format", "full")
    ]
    told = {name: value for name, value in thread.items() if name != "snippet"}
    return {**told, "messages": [without(message, kept) for message in thread["messages"]]}


def without(message: Fields, names: Iterable[str]) -> Fields:
    left = {name: value for name, value in message.items() if name not in names}
    if "payload" in left:
        left["payload"] = {name: value for name, value in left["payload"].items() if name not in names}
    return left


def one_of(things: list[Fields], id: str, otherwise: str = "Not Found") -> Fields:
    found = next((thing for thing in things if thing["id"] == id), None)
    if found is None:
        raise unknown(otherwise)
    return found


# --- Calendar


def list_calendars(mine: Fields, values: Fields, query: Query) -> Fields:
    page = query.page(mine["calendars"], min(query.number("maxResults", 100), 250), "items")
    return {"kind": "calendar#calendarList", "etag": '"p1"', **synced(page)}


def list_events(mine: Fields, values: Fields, query: Query) -> Fields:
    if query.one.get("orderBy") == "startTime" and query.one.get("singleEvents") != "true":
        raise wrong("The requested ordering is not available for the particular query.")
    wanted = mine["primary"] if values["calendarId"] == "primary" else values["calendarId"]
    calendar = one_of(mine["calendars"], wanted)
    least, most = moment(query, "timeMin"), moment(query, "timeMax")
    found = [
        event
        for event in mine["events"][wanted]
        if (least is None or when(event["end"]) > least)
        and (most is None or when(event["start"]) < most)
        and query.one.get("q", "").lower() in event["summary"].lower()
    ]
    found.sort(key=lambda event: when(event["start"]))
    page = query.page(found, min(query.number("maxResults", 250), 2500), "items")
    facts = {name: calendar[name] for name in ("summary", "timeZone", "accessRole")}
    return {"kind": "calendar#events", "etag": '"p1"', **facts, **synced(page)}


def synced(page: Fields) -> Fields:
    return page if "nextPageToken" in page else {**page, "nextSyncToken": "CPDAlvWDx70CEPDAlvWDx70CGAU="}


def moment(query: Query, name: str) -> datetime | None:
    written = query.one.get(name)
    if written is None:
        return None
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise wrong("Bad Request")
    return found


def when(bound: Fields) -> datetime:
    if "date" in bound:
        return datetime.fromisoformat(bound["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(bound["dateTime"])


# --- Drive


def list_files(mine: Fields, values: Fields, query: Query) -> Fields:
    asked = query.one.get("q", "")
    if "fullText" in asked and "orderBy" in query.one:
        raise Problem(403, "forbidden", "Sorting is not supported for queries with fullText terms.")
    found = [file for file in mine["files"] if all(holds(file, part) for part in parts_of(asked))]
    if query.one.get("orderBy") == "modifiedTime desc":
        found.sort(key=lambda file: str(file["modifiedTime"]), reverse=True)
    page = query.page(found, query.number("pageSize", 100), "files")
    whole = {"kind": "drive#fileList", "incompleteSearch": False, **page}
    usual = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
    return dict(masked(whole, mask_of(query.one.get("fields", usual))))


def parts_of(asked: str) -> list[str]:
    """The conditions of a question; what is between quotes stays whole."""
    return re.findall(r"((?:'(?:[^'\\]|\\.)*'|[^'])+?)(?: and |$)", asked)


def holds(file: Fields, condition: str) -> bool:
    """A little of Drive's search language; what it does not know is refused, as Drive refuses."""
    if condition in {"trashed = false", "trashed = true"}:
        return bool(file["trashed"]) == (condition == "trashed = true")
    if found := re.fullmatch(r"'((?:[^'\\]|\\.)*)' in parents", condition):
        wanted = "0AAlices-root" if found[1] == "root" else found[1]
        return wanted in file["parents"]
    found = re.fullmatch(r"(\w+) (=|contains) '((?:[^'\\]|\\.)*)'", condition)
    if found is None or found[1] not in {"name", "fullText", "mimeType"}:
        raise Problem(400, "invalid", "Invalid Value")
    value, text = str(file[{"fullText": "name"}.get(found[1], found[1])]), re.sub(r"\\(.)", r"\1", found[3])
    return value == text if found[2] == "=" else text.lower() in value.lower()


def mask_of(fields: str) -> Fields:
    """`a,b(c,d)` as {"a": {}, "b": {"c": {}, "d": {}}}."""
    whole: Fields = {}
    open_masks, last = [whole], ""
    for piece in re.findall(r"[\w*]+|[(),]", fields):
        if piece == "(":
            open_masks.append(open_masks[-1][last])
        elif piece == ")":
            open_masks.pop()
        elif piece != ",":
            last = piece
            open_masks[-1][piece] = {}
    return whole


def masked(value: Any, mask: Fields) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    return {name: masked(inner, mask[name]) for name, inner in value.items() if name in mask}


# --- Sheets

RANGE = re.compile(
    r"(?:(?P<sheet>'[^']+'|[^!']+)!)?(?:(?P<c1>[A-Z]+)(?P<r1>\d+)?(?::(?P<c2>[A-Z]+)(?P<r2>\d+)?)?)?"
)


def read_values(mine: Fields, values: Fields, query: Query) -> Fields:
    sheets = mine["spreadsheets"].get(values["spreadsheetId"])
    if sheets is None:
        raise unknown("Requested entity was not found.")
    name, rows, place = cells(sheets, values["range"])
    if query.one.get("valueRenderOption", "FORMATTED_VALUE") == "FORMATTED_VALUE":
        rows = [[str(cell) for cell in row] for row in rows]
    found = {"range": f"{name}!{place}", "majorDimension": "ROWS"}
    return {**found, "values": rows} if rows else found


def cells(sheets: dict[str, list[list[Any]]], asked: str) -> tuple[str, list[list[Any]], str]:
    """The sheet, the rows of the range without what is empty at their end, and the range's corners."""
    whole = asked.strip("'") in sheets
    found = RANGE.fullmatch(f"'{asked.strip(chr(39))}'!A:ZZ" if whole else asked)
    name = ((found and found["sheet"]) or next(iter(sheets))).strip("'")
    if found is None or name not in sheets:
        raise wrong(f"Unable to parse range: {asked}")
    left, right = column(found["c1"] or "A"), column(found["c2"] or found["c1"] or "Z")
    top, bottom = int(found["r1"] or 1), int(found["r2"] or (found["r1"] if not found["c2"] else 0) or 1000)
    rows = [trimmed(row[left - 1 : right]) for row in sheets[name][top - 1 : bottom]]
    while rows and not rows[-1]:
        rows.pop()
    quoted = f"'{name}'" if " " in name else name
    return quoted, rows, f"{letters(left)}{top}:{letters(min(right, 26))}{bottom}"


def trimmed(row: list[Any]) -> list[Any]:
    while row and row[-1] == "":
        row = row[:-1]
    return row


def column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def letters(number: int) -> str:
    return chr(64 + number)


ANSWERS: dict[str, Callable[[Fields, Any, Query], Fields]] = {
    "gmail.users.labels.list": list_labels,
    "gmail.users.threads.list": list_threads,
    "gmail.users.threads.get": get_thread,
    "calendar.calendarList.list": list_calendars,
    "calendar.events.list": list_events,
    "drive.files.list": list_files,
    "sheets.spreadsheets.values.get": read_values,
}

# --- Google's refusals


def unauthorized() -> Response:
    words = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    challenge = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
    problem = Problem(401, "authError", words, "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED")
    return problem.response(challenge)


def too_few_scopes(asked: Asked) -> Response:
    words = "Request had insufficient authentication scopes."
    scopes = " ".join(asked.facts["scopes"])
    challenge = f'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="{scopes}"'
    problem = Problem(
        403, "insufficientPermissions", words, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    )
    metadata = {"service": SERVICES[asked.api][0], "method": asked.method}
    return problem.response({"WWW-Authenticate": challenge}, metadata)


def switched_off(api: str) -> Response:
    service, name = SERVICES[api]
    where = f"https://console.developers.google.com/apis/api/{service}/overview?project=1234567890"
    words = (
        f"{name} has not been used in project 1234567890 before or it is disabled. Enable it by visiting "
        f"{where} then retry. If you enabled this API recently, wait a few minutes for the action to "
        "propagate to our systems and retry."
    )
    problem = Problem(403, "accessNotConfigured", words, "PERMISSION_DENIED", "SERVICE_DISABLED")
    return problem.response(metadata={"service": service, "activationUrl": where})


# --- small things


def page(status: int, title: str, body: str = "") -> Response:
    text = f"<!doctype html><title>Google stand-in</title><h1>{title}</h1>{body}"
    return answer_with(status, text, {"Content-Type": "text/html; charset=utf-8"})


def is_ticked(scope: str, ticks: Iterable[str] | None) -> bool:
    return ticks is None or scope in NEVER_UNTICKED or scope in set(ticks)


def narrowed(scopes: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(scope for scope in scopes if scope in wanted) if wanted else scopes


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


if __name__ == "__main__":
    run(GoogleStandin)
