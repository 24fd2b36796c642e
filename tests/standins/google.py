"""A Google on this machine: the OAuth pages and the four products, for Alice with a little data and Bob with none.

Google's hosts differ by path, so that all of them can be led here: NAVI_UPSTREAMS="google=http://127.0.0.1:9005".
Run it by hand: python -m tests.standins.google --port 9005
"""

import html
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import parse_qs

from tests.contracts import google_discovery
from tests.contracts.google_discovery import Asked
from tests.standins import google_calendar, google_data, google_files, google_mail
from tests.standins.google_data import PEOPLE
from tests.standins.google_push import CERTS, Post, keys, signed
from tests.standins.google_shape import Fields, Notice, Problem, Query, base64url, unknown, wrong
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
from tests.standins.server import CONTROL, EVERY_SCOPE, Request, Response, answer_with, run

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
ANSWERS = {**google_mail.ANSWERS, **google_calendar.ANSWERS, **google_files.ANSWERS}
STRINGS = {
    "expire_sync_tokens", "forget_history", "move_event", "put_event", "put_file", "rate_limit_next", "receive_mail",
    "remove_event", "remove_file", "remove_mail", "switch_off", "sort_mail", "subscribe", "tell_again",
}  # fmt: skip
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


class GoogleStandin(OAuthStandin):
    """A Google on this machine.

    Besides the strings of every OAuth stand-in: `switch_off("gmail")` disables an API in the project,
    `rate_limit_next(...)` answers as Google does under load, and `turn_on("asks")` shows a page with boxes
    to tick instead of agreeing at once. Things happen in people's accounts by `receive_mail`, `put_event` and
    so on; what Google then tells by itself goes out right after, and `post.arrived()` waits for it.
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
        self.post = Post()
        self.subscriptions: dict[str, tuple[str, str, str]] = {}
        self.people = {name: google_data.account(name) for name in PEOPLE}
        for person in self.people.values():
            person["topics"] = lambda: self.subscriptions.keys()
            person["publish"] = lambda person=person: self.publish(person)

    def stop(self) -> None:
        super().stop()
        self.post.arrived()

    # --- what happens in people's accounts

    def receive_mail(
        self, subject: str, text: str = "", sender: str = "Anna <anna@example.org>", person: str = "alice",
        labels: Iterable[str] = ("INBOX", "UNREAD"), answers: str = "",
    ) -> str:  # fmt: skip
        """Mail comes in; `answers` is the Message-ID of what it answers. Returns the message's id."""
        message = EmailMessage(policy=SMTP)
        mine = self.people[person]
        message["From"], message["To"], message["Subject"] = sender, mine["primary"], subject
        message["Message-ID"] = f"<{secrets.token_hex(8)}@example.org>"
        if answers:
            message["References"] = answers
        message.set_content(text or subject)
        return str(google_mail.put(mine, message, list(labels), self.now())["id"])

    def remove_mail(self, id: str, person: str = "alice") -> None:
        """A message is deleted for ever."""
        mine = self.people[person]
        message = google_mail.taken_out(mine, id)
        google_mail.remember(mine, message, "messagesDeleted")

    def sort_mail(
        self, id: str, add: Iterable[str] = (), remove: Iterable[str] = (), person: str = "alice"
    ) -> None:
        """Somebody sorts a message in Gmail itself."""
        mine = self.people[person]
        google_mail.relabel(mine, google_mail.message_in(mine, id), add, remove)

    def forget_history(self, person: str = "alice") -> None:
        """Every history id known so far is too old."""
        mine = self.people[person]
        mine["history_id"] += 1000
        mine["history_floor"] = mine["history_id"]

    def put_event(
        self, title: str, start: str, end: str, calendar: str = "primary", person: str = "alice", **more: Any
    ) -> str:
        """Somebody makes an event in Calendar itself. Returns its id."""
        bound = (
            {"dateTime": start, "timeZone": "Europe/Berlin"},
            {"dateTime": end, "timeZone": "Europe/Berlin"},
        )
        body = {"summary": title, "start": bound[0], "end": bound[1], **more}
        return str(self.by_hand(google_calendar.insert_event, person, calendar, body=body)["id"])

    def move_event(
        self, id: str, start: str, end: str, calendar: str = "primary", person: str = "alice"
    ) -> None:
        body = {"start": {"dateTime": start}, "end": {"dateTime": end}}
        self.by_hand(google_calendar.patch_event, person, calendar, id, body)

    def remove_event(self, id: str, calendar: str = "primary", person: str = "alice") -> None:
        self.by_hand(google_calendar.delete_event, person, calendar, id)

    def by_hand(
        self, act: Any, person: str, calendar: str, event: str = "", body: Fields | None = None
    ) -> Any:
        request = Request("POST", "", {}, EmailMessage(), json.dumps(body or {}).encode())
        values = {"calendarId": calendar, "eventId": event}
        return act(self.people[person], values, Query(request, self.now(), self.post.put))

    def expire_sync_tokens(self) -> None:
        """Every sync token given out so far is too old."""
        for mine in self.people.values():
            mine["epoch"] += 1

    def put_file(
        self, name: str, text: str = "", mime_type: str = "text/plain", person: str = "alice"
    ) -> str:
        """Somebody puts a file into Drive itself. Returns its id."""
        mine, id = self.people[person], f"1{secrets.token_urlsafe(24)}"
        size = {} if mime_type.startswith(google_files.GOOGLES) else {"size": str(len(text.encode()))}
        mine["files"].append(google_data.file(id, name, mime_type, **size, _content=text.encode()))
        mine["changes"].append(id)
        return id

    def remove_file(self, id: str, person: str = "alice") -> None:
        mine = self.people[person]
        mine["files"] = [file for file in mine["files"] if file["id"] != id]
        mine["changes"].append(id)

    # --- what Google tells by itself

    def subscribe(self, topic: str, address: str, service_account: str, audience: str = "") -> None:
        """A Pub/Sub push subscription of the topic, which signs for the audience (usually the address)."""
        self.subscriptions[topic] = (address, service_account, audience or address)

    def publish(self, mine: Fields) -> None:
        """Something changed in a mailbox that is watched: tell the subscriber of the topic."""
        if mine["watch"] and mine["watch"]["ends_at"] > self.now():
            address, account, audience = self.subscriptions[mine["watch"]["topic"]]
            mine["pushes"] += 1
            body = google_mail.pushed(mine, mine["pushes"])
            token = signed(account, audience, int(self.now()))
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            self.post.put(Notice(address, headers, body))

    def tell_again(self) -> None:
        """Send everything anew that was ever told, as after an outage."""
        self.post.again()

    def _pull_string(self, request: Request) -> Response:
        name = request.path.removeprefix(CONTROL)
        if name == "told":
            return answer_with(200, self.post.told())
        if name not in STRINGS:
            return super()._pull_string(request)
        found = getattr(self, name)(**(request.json() if request.body else {}))
        self.post.deliver()
        return answer_with(200, {"done": name, "id": found})

    def handle(self, request: Request) -> Response:
        response = super().handle(request)
        self.post.deliver()
        return response

    # --- signing in

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        own: dict[tuple[str, str], Endpoint] = {
            ("POST", AUTHORIZE): self.decide,
            ("POST", REVOKE): self.revoke,
            ("GET", USERINFO): self.userinfo,
            ("GET", OPENID_USERINFO): self.userinfo,
            ("GET", CERTS): self.certs,
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
            return self.answered(asked, request)
        except Problem as problem:
            return problem.response()

    def answered(self, asked: Asked, request: Request) -> Response:
        is_json = request.body and request.headers.get_content_type() == "application/json"
        body = request.json() if is_json and not asked.is_upload else None
        for said in google_discovery.wrong_with_request(asked, request.raw_query, body):
            raise wrong(f"Invalid value: {said}")
        mine = self.people[self.person_of(bearer(request))]
        found = ANSWERS[asked.method](mine, asked.values, Query(request, self.now(), self.post.put))
        return found if isinstance(found, Response) else answer_with(200, found)

    def certs(self, request: Request) -> Response:
        """The public keys of Google's signatures."""
        return answer_with(200, keys(), {"Cache-Control": "public, max-age=20000"})


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


if __name__ == "__main__":
    run(GoogleStandin)
