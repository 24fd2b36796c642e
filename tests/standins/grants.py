"""What the stand-ins of OAuth vendors share: an app, people who agree, tokens that live and end, a clock to wind."""

import base64
import hashlib
import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from tests.standins.server import CONTROL, EVERY_SCOPE, Request, Response, Standin, answer_with

CLIENT_ID = "navi-at-the-stand-in"
CLIENT_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
CODES_LIVE = 600.0  # seconds
STRINGS = {
    "agree_only_to", "break_next", "deny_next", "expire", "hold", "kill", "lose_next", "sign_in", "turn_on", "wind",
}  # fmt: skip

Form = dict[str, str]
Endpoint = Callable[[Request], Response]


class OAuthProblem(Exception):
    """A refusal under RFC 6749's name for it; each vendor says it in its own words."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error, self.description = error, description


@dataclass(eq=False)
class Grant:
    """One person's yes to the app."""

    person: str
    scopes: tuple[str, ...]
    user_scopes: tuple[str, ...] = ()
    is_ended: bool = False


@dataclass(eq=False)
class Pair:
    """An access token with its refresh token. `used_at` and `successor` tell of a refresh."""

    grant: Grant
    kind: str
    access: str
    refresh: str | None
    ends_at: float | None
    scopes: tuple[str, ...]
    used_at: float | None = None
    successor: "Pair | None" = None
    is_ended: bool = False


@dataclass
class Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    method: str
    made_at: float


@dataclass
class Weather:
    """What goes wrong at which path."""

    broken: dict[str, deque[Response]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    held: dict[str, float] = field(default_factory=dict)


class OAuthStandin(Standin):
    """A vendor whose tokens are asked for at an authorize page and a token endpoint.

    A vendor says its paths and habits below, what a token answer looks like (`told`), how it refuses
    (`refusal`), what becomes of a refresh token that is shown twice (`reused`), and its own `api`.
    """

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET
    redirect_uris: tuple[str, ...] = ()  # any, where there are none
    authorize_path = "/oauth/authorize"
    token_path = "/oauth/token"
    separator = " "
    encodings = frozenset({"form", "json"})
    client_auths = frozenset({"body", "basic"})
    secret_is_optional = False
    lifetime: int | None = 3600
    can_refresh = True

    # --- the vendor's part

    def api(self, request: Request) -> Response:
        """Answer one request that is not about tokens."""
        raise NotImplementedError

    def told(self, pair: Pair) -> dict[str, Any]:
        """The answer of the token endpoint."""
        raise NotImplementedError

    def refusal(self, problem: OAuthProblem) -> Response:
        status = 401 if problem.error == "invalid_client" else 400
        return answer_with(status, {"error": problem.error, "error_description": problem.description})

    def reused(self, pair: Pair) -> Response:
        """A refresh token is shown that was used before."""
        raise OAuthProblem("invalid_grant", "The refresh token was used before.")

    def access_token(self, kind: str) -> str:
        return secrets.token_hex(20)

    def refresh_token(self, kind: str) -> str:
        return secrets.token_hex(20)

    def agreed(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """What a person's yes to these scopes grants."""
        return scopes

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return {("GET", self.authorize_path): self.authorize, ("POST", self.token_path): self.token}

    # --- the strings to pull

    def sign_in(self, person: str) -> None:
        """Put another person in front of the authorize page."""
        self.person = person

    def deny_next(self, error: str = "access_denied", times: int = 1) -> None:
        """The person says no."""
        self._denials.extend([error] * times)

    def agree_only_to(self, scopes: Iterable[str] | None) -> None:
        """The person unticks all other scopes from now on; None: agrees to all again."""
        self._ticked = None if scopes is None else frozenset(scopes)

    def grant(self, *scopes: str, person: str = "", kind: str = "bot") -> Pair:
        """Tokens as after a finished sign-in, without a browser."""
        return self.issue(Grant(person or self.person, self.agreed(scopes)), kind)

    def wind(self, seconds: float) -> None:
        """Put the vendor's clock forward."""
        self._wound += seconds

    def expire(self) -> None:
        """End every access token; refresh tokens live on."""
        for pair in self.pairs:
            pair.ends_at = self.now()

    def kill(self, person: str = "") -> None:
        """The person removes the app: every token of theirs ends (without a name: everybody's)."""
        for pair in self.pairs:
            pair.grant.is_ended |= person in ("", pair.grant.person)

    def break_next(self, path: str, status: int, body: object = b"", times: int = 1, **headers: str) -> None:
        """Answer the next requests at this path with exactly this, and do nothing."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self._weather.broken.setdefault(path, deque()).extend([answer_with(status, body, sent)] * times)

    def lose_next(self, path: str, times: int = 1) -> None:
        """Do what is asked at this path, but answer 502: the deed is done, the answer lost."""
        self._weather.lost[path] += times

    def hold(self, path: str, seconds: float) -> None:
        """Hold back every answer at this path from now on; the vendor has done its work by then."""
        self._weather.held[path] = seconds

    def turn_on(self, habit: str, value: Any = True) -> None:
        """Change a habit by its name, such as `rotates`; `reset` changes it back."""
        if not hasattr(type(self), habit):
            raise AttributeError(f"{type(self).__name__} has no habit called {habit}.")
        setattr(self, habit, value)

    def asked(self, path: str, method: str = "") -> list[Request]:
        """The requests that came to this path."""
        return [one for one in self.requests if one.path == path and method in ("", one.method)]

    def reset(self) -> None:
        for habit in [name for name in vars(self) if hasattr(type(self), name)]:
            delattr(self, habit)
        self.pairs: list[Pair] = []
        self.person = "alice"
        self._codes: dict[str, Code] = {}
        self._denials: deque[str] = deque()
        self.agree_only_to(None)
        self._wound = 0.0
        self._weather = Weather()
        super().reset()

    # --- tokens

    def now(self) -> float:
        return time.time() + self._wound

    def issue(self, grant: Grant, kind: str = "bot") -> Pair:
        scopes = grant.user_scopes if kind == "user" else grant.scopes
        ends_at = None if self.lifetime is None else self.now() + self.lifetime
        refresh = self.refresh_token(kind) if self.can_refresh else None
        pair = Pair(grant, kind, self.access_token(kind), refresh, ends_at, scopes)
        self.pairs.append(pair)
        return pair

    def pair_of(self, key: str) -> Pair | None:
        """The living pair of this access token."""
        found = [pair for pair in self.pairs if pair.access == key]
        return found[-1] if found and self.is_alive(found[-1]) else None

    def is_alive(self, pair: Pair) -> bool:
        is_over = pair.ends_at is not None and pair.ends_at <= self.now()
        return not (is_over or pair.is_ended or pair.grant.is_ended)

    def scopes_of(self, key: str) -> frozenset[str] | None:
        pair = self.pair_of(key)
        return frozenset(pair.scopes) if pair else super().scopes_of(key)

    def person_of(self, key: str) -> str:
        """Whose token it is; pasted keys are Alice's."""
        pair = self.pair_of(key)
        return pair.grant.person if pair else "alice"

    def end(self, token: str, *, with_grant: bool = False) -> bool:
        """End a token by either of its names; False where there is none alive."""
        found = [pair for pair in self.pairs if token in (pair.access, pair.refresh)]
        alive = [pair for pair in found if not (pair.is_ended or pair.grant.is_ended)]
        for pair in alive:
            pair.is_ended = True
            pair.grant.is_ended |= with_grant
        return bool(alive)

    # --- the endpoints

    def answer(self, request: Request) -> Response:
        weather, path = self._weather, request.path
        if weather.broken.get(path):
            return weather.broken[path].popleft()
        response = self.endpoints().get((request.method, path), self.api)(request)
        if weather.lost[path] > 0:
            weather.lost[path] -= 1
            return answer_with(502, "Bad gateway")
        return response

    def handle(self, request: Request) -> Response:
        response = super().handle(request)
        self._stopping.wait(self._weather.held.get(request.path, 0.0))
        return response

    def authorize(self, request: Request) -> Response:
        """Agree at once and lead the browser back; an unknown app or address stays on the vendor's page."""
        asked = request.query
        target = asked.get("redirect_uri", "")
        if asked.get("client_id") != self.client_id:
            return answer_with(400, "The client_id is not known.")
        if not target or (self.redirect_uris and target not in self.redirect_uris):
            return answer_with(400, "The redirect_uri is not registered.")
        if self._denials:
            return led_back(asked, error=self._denials.popleft())
        code = secrets.token_urlsafe(24)
        challenge = asked.get("code_challenge", "")
        method = asked.get("code_challenge_method", "plain")
        self._codes[code] = Code(self.granted(asked), target, challenge, method, self.now())
        return led_back(asked, code=code)

    def granted(self, asked: Form) -> Grant:
        return Grant(
            self.person,
            self.agreed(self.ticked(asked.get("scope", ""))),
            self.ticked(asked.get("user_scope", "")),
        )

    def ticked(self, asked: str) -> tuple[str, ...]:
        scopes = [scope.strip() for scope in asked.split(self.separator) if scope.strip()]
        return tuple(scope for scope in scopes if self._ticked is None or scope in self._ticked)

    def token(self, request: Request) -> Response:
        try:
            form = self.form_of(request)
            self.check_client(request, form)
            return self.granting(form.get("grant_type", "authorization_code"), form)
        except OAuthProblem as problem:
            return self.refusal(problem)

    def granting(self, grant_type: str, form: Form) -> Response:
        if grant_type == "authorization_code":
            return answer_with(200, self.told(self.issue(self.redeemed(form))))
        if grant_type == "refresh_token" and self.can_refresh:
            return self.refreshed(form)
        raise OAuthProblem("unsupported_grant_type", f"{grant_type} is not supported.")

    def redeemed(self, form: Form) -> Grant:
        """The grant of a code: once, in time, for the same address, by who asked for it."""
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.made_at + CODES_LIVE < self.now():
            raise OAuthProblem("bad_code", "The code is wrong, used or too old.")
        if code.redirect_uri != form.get("redirect_uri", code.redirect_uri):
            raise OAuthProblem("bad_redirect_uri", "The redirect_uri is another one than before.")
        if code.challenge and challenge_of(form.get("code_verifier", ""), code.method) != code.challenge:
            raise OAuthProblem("bad_code", "The code_verifier does not fit.")
        return code.grant

    def refreshed(self, form: Form) -> Response:
        shown = form.get("refresh_token", "")
        pair = next((pair for pair in self.pairs if shown and pair.refresh == shown), None)
        if pair is None or pair.is_ended or pair.grant.is_ended:
            raise OAuthProblem("invalid_grant", "The refresh token is not valid.")
        if pair.successor is not None:
            return self.reused(pair)
        pair.used_at, pair.successor = self.now(), self.issue(pair.grant, pair.kind)
        return answer_with(200, self.told(pair.successor))

    def since_use(self, pair: Pair) -> float:
        return self.now() - (pair.used_at or 0.0)

    # --- what came in

    def form_of(self, request: Request) -> Form:
        form = fields_of(request, self.encodings)
        if form is None:
            raise OAuthProblem("invalid_request", "The body is of a kind that is not read here.")
        return form

    def check_client(self, request: Request, form: Form) -> None:
        way, client_id, secret = shown_client(request, form)
        is_public = self.secret_is_optional and not secret
        if way not in self.client_auths or client_id != self.client_id:
            raise OAuthProblem("invalid_client", "The client is not known.")
        if not is_public and secret != self.client_secret:
            raise OAuthProblem("invalid_client", "The client secret is wrong.")

    def _pull_string(self, request: Request) -> Response:
        name = request.path.removeprefix(CONTROL)
        if name not in STRINGS:
            return super()._pull_string(request)
        getattr(self, name)(**(request.json() if request.body else {}))
        return answer_with(200, {"done": name})


def led_back(asked: Form, **said: str) -> Response:
    """To the address that the app named, with its state."""
    target, state = asked["redirect_uri"], asked.get("state")
    query = urlencode(said | ({"state": state} if state is not None else {}))
    return Response(302, b"", {"Location": f"{target}{'&' if '?' in target else '?'}{query}"})


def challenge_of(verifier: str, method: str) -> str:
    if method != "S256":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def fields_of(request: Request, encodings: Iterable[str] = ("form", "json")) -> Form | None:
    """What the body says, as text by name; None for a kind that is not among the encodings."""
    kind = "json" if request.headers.get_content_type() == "application/json" else "form"
    if request.body and kind not in encodings:
        return None
    if kind == "form":
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    try:
        said = request.json()
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in said.items()}


def shown_client(request: Request, form: Form) -> tuple[str, str, str]:
    """How the client shows itself, its id and its secret."""
    kind, _, value = (request.headers["Authorization"] or "").partition(" ")
    if kind.lower() != "basic":
        return "body", form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(value).decode().partition(":")
    except ValueError:
        return "basic", "", ""
    return "basic", unquote_plus(client_id), unquote_plus(secret)


def bearer(request: Request) -> str:
    """The key of a request that shows one; empty otherwise."""
    kind, _, key = (request.headers["Authorization"] or "").partition(" ")
    return key if kind.lower() in {"bearer", "token"} else ""


def includes(granted: Iterable[str], scope: str) -> bool:
    held = set(granted)
    return not scope or scope in held or held == EVERY_SCOPE
