"""OAuth by social-core: one backend class for every vendor, made of the provider's facts.

The library builds the questions and knows the protocol; the way out is navi.net's, answers are read by
credentials.grant, and a token answer is handed to `keep` before anything looks into it.
"""

from __future__ import annotations

import json as json_module
import re
import warnings
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

with warnings.catch_warnings():
    # social-core imports an OpenID library that nothing here uses, and that imports what is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from social_core.backends.oauth import BaseOAuth2PKCE
    from social_django.strategy import DjangoStrategy

from credentials.client import outbound
from credentials.grant import TOKEN, Denied, Grant, error_in, object_in, read, words_in
from navi.audit.redact import remember
from navi.net.answer import Response
from navi.net.errors import Blocked, TryLater
from navi.net.meaning import out_of_order, rate_limited
from navi.net.oauth import OAuth2, Revoke
from navi.net.remote import Remote
from navi.net.urls import moved, parse

DEADLINE = 25.0  # seconds for one question to a token endpoint; a refresh's lease is longer
LARGEST_ANSWER = 1024 * 1024
USER_CODE = re.compile(r"[\x21-\x7e -]{1,40}")
LONGEST_ADDRESS = 400
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

Keep = Callable[[Response], object]


def nothing(answer: Response) -> None:
    """Keep no answer."""


@dataclass(frozen=True, repr=False)
class App:
    """A client at the vendor's. Without a secret it is a public one."""

    client_id: str
    client_secret: str = ""

    def __repr__(self) -> str:
        return f"<App {self.client_id}>"


@dataclass(frozen=True, repr=False)
class Asking:
    """One question for a grant: where the answer goes, what keeps it ours, what is asked for."""

    state: str
    verifier: str
    redirect_uri: str
    scopes: Sequence[str] = ()
    user_scopes: Sequence[str] = ()
    is_wider: bool = False


def authorize_url(remote: Remote, app: App, asking: Asking) -> str:
    """Where the person's browser goes."""
    made: Any = backend(remote, app, asking=asking)
    asked = {**made.auth_params(asking.state), **made.get_scope_argument(), **made.auth_extra_arguments()}
    # Built here: the library's own way takes the quotes off again, and a scope could then hold a redirect_uri.
    page = remote.oauth.authorize_url if remote.oauth else ""
    address = f"{page}{'&' if '?' in page else '?'}{urlencode(asked)}"
    return moved(address, remote.upstream) if remote.upstream else address


def exchange(remote: Remote, app: App, asking: Asking, code: str, keep: Keep = nothing) -> Grant:
    """The grant for a code. Raises Denied, Garbled, TryLater, Blocked."""
    asked = backend(remote, app, asking=asking, keep=keep, data={"code": code, "state": asking.state})
    granted: Any = asked.auth_complete(user=None)
    return grant_of(granted)


def refresh(remote: Remote, app: App, refresh_token: str, keep: Keep = nothing) -> Grant:
    """A new grant for a refresh token. Raises Denied, Garbled, TryLater, Blocked."""
    return grant_of(backend(remote, app, keep=keep).refresh_token(refresh_token)["grant"])


def grant_of(found: Any) -> Grant:
    if not isinstance(found, Grant):
        raise TypeError("social-core handed out something else than a grant.")
    return found


def revoke(remote: Remote, app: App, fields: Mapping[str, str]) -> bool:
    """End the grant at the vendor. False where it said no. Raises TryLater, Blocked."""
    facts = facts_of(remote)
    if facts.revoke is None:
        return False
    token = fields.get(facts.revoke.token) or fields.get("access_token", "")
    made: Any = backend(remote, app)
    return bool(made.revoke_token(token, ""))


def backend(
    remote: Remote,
    app: App,
    *,
    asking: Asking | None = None,
    keep: Keep = nothing,
    data: dict[str, Any] | None = None,
) -> FactsBackend:
    """The backend for one vendor, app and question."""
    remember([app.client_secret])
    kind = backend_class(remote.provider, facts_of(remote))
    made = kind(FactsStrategy(), asking.redirect_uri if asking else None)
    made.remote, made.app, made.asking, made.keep, made.data = remote, app, asking, keep, data or {}
    return made


def facts_of(remote: Remote) -> OAuth2:
    if remote.oauth is None:
        raise TypeError(f"{remote.provider} is not connected by OAuth.")
    return remote.oauth


def backend_class(name: str, facts: OAuth2) -> type[FactsBackend]:
    members = {
        "name": name,
        "facts": facts,
        "SCOPE_SEPARATOR": facts.separator,
        "SCOPE_PARAMETER_NAME": facts.scope_name,
        "AUTHORIZATION_URL": facts.authorize_url,
        "ACCESS_TOKEN_URL": facts.token_url,
        "ACCESS_TOKEN_PAYLOAD": facts.token_body,
        "REVOKE_TOKEN_METHOD": facts.revoke.method if facts.revoke else "POST",
    }
    return type("FactsBackend", (FactsBackend,), members)


class FactsStrategy(DjangoStrategy):
    """Nothing from Django's settings, sessions, requests or tables: facts and rows only."""

    def __init__(self) -> None:
        super().__init__(None, None)

    def setting(self, name: str, default: Any = None, backend: Any = None) -> Any:
        return backend.own_setting(name, default) if backend is not None else default

    def request_data(self, merge: bool = True) -> dict[str, Any]:
        return {}

    def absolute_uri(self, path: str | None = None) -> str:
        return path or ""


class FactsBackend(BaseOAuth2PKCE[Any]):
    """social-core's OAuth 2 client, told everything by facts."""

    ASSOCIATION_ONLY = True
    REDIRECT_STATE = False
    facts: OAuth2
    remote: Remote
    app: App
    asking: Asking | None
    keep: Keep

    def own_setting(self, name: str, default: Any) -> Any:
        own = {
            "KEY": self.app.client_id,
            "SECRET": self.app.client_secret,
            "SCOPE": list(self.asking.scopes) if self.asking else [],
            "USE_PKCE": bool(self.facts.pkce),
            "PKCE_CODE_CHALLENGE_METHOD": self.facts.pkce,
        }
        return own.get(name, default)

    # --- the question: its state and verifier are kept in a row, not in a session

    def question(self) -> Asking:
        if self.asking is None:
            raise TypeError("This backend was made without a question.")
        return self.asking

    def get_association_state(self) -> str:
        return self.question().state

    def validate_association_state(self, request_state: Any, user: Any = None) -> str:
        """The row was consumed before: there the state, the person and the time were checked."""
        return str(request_state)

    def create_code_verifier(self, state: str | None = None) -> str:
        return self.question().verifier

    def get_code_verifier(self, state: str | None = None) -> str:
        return self.question().verifier

    def auth_extra_arguments(self) -> dict[str, str]:
        asking = self.question()
        extra = {**self.facts.extra, **(self.facts.again if asking.is_wider else {})}
        if self.facts.user_scope_name and asking.user_scopes:
            extra[self.facts.user_scope_name] = self.facts.separator.join(asking.user_scopes)
        return extra

    # --- who asks

    @property
    def client_auth(self) -> str:
        return self.facts.client_auth if self.app.client_secret else "none"

    def use_basic_auth(self) -> bool:
        return self.client_auth == "basic"

    def auth_complete_params(self, state: Any = None) -> dict[str, str]:
        params: dict[str, str] = super().auth_complete_params(state)  # type: ignore[no-untyped-call]
        return self.as_client(params)

    def refresh_token_params(self, token: str, *args: Any, **kwargs: Any) -> dict[str, str]:
        return self.as_client(super().refresh_token_params(token, *args, **kwargs))

    def as_client(self, params: dict[str, str]) -> dict[str, str]:
        """With what this way of showing oneself puts into the body, and no more."""
        kept = {name: value for name, value in params.items() if name not in {"client_id", "client_secret"}}
        if self.client_auth != "basic":
            kept["client_id"] = self.app.client_id
        if self.client_auth == "body":
            kept["client_secret"] = self.app.client_secret
        return kept

    def refresh_token_auth(self) -> Any:
        return (self.app.client_id, self.app.client_secret) if self.use_basic_auth() else None

    def auth_headers(self) -> Mapping[str, str | bytes]:
        return {"Accept": "application/json", **self.facts.token_headers}

    # --- the answer

    def request_access_token(self, url: str, *args: Any, **options: Any) -> Any:
        options.pop("stage", None)
        answer = self.request(url, *args, stage="token_exchange", **options)
        return read(answer.status_code, answer.content, self.facts)

    def get_access_token(self, response: Any) -> str:
        return str(getattr(response, "fields", {}).get("access_token", ""))

    def do_auth(self, access_token: str, *args: Any, **kwargs: Any) -> Any:
        """No profile, no pipeline, no user: the grant is what we came for."""
        return kwargs["response"]

    def process_error(self, data: Any, *, stage: Any = "callback") -> None:
        """A refusal in the callback was read before, those of the token endpoint are read by `grant.read`."""

    def process_refresh_token_response(self, response: Any, *args: Any, **kwargs: Any) -> Any:
        return {"grant": read(response.status_code, response.content, self.facts)}

    # --- the end of a grant

    def revocation(self) -> Revoke:
        if self.facts.revoke is None:
            raise TypeError("This vendor's grants cannot be ended by a request.")
        return self.facts.revoke

    @property
    def revoked_as(self) -> str:
        """A public client has no secret to show, and says its name in the body."""
        how = self.revocation().client_auth
        return "body" if how == "basic" and not self.app.client_secret else how

    def revoke_token_url(self, token: str, uid: str) -> str:
        return self.revocation().url.replace("{client_id}", quote_plus(self.app.client_id))

    def revoke_token_params(self, token: str, uid: str) -> dict[str, Any]:
        how = self.revocation()
        params = {} if how.client_auth == "bearer" else {how.token_name: token}
        if self.revoked_as == "body":
            params |= {"client_id": self.app.client_id}
            params |= {"client_secret": self.app.client_secret} if self.app.client_secret else {}
        return params

    def revoke_token_headers(self, token: str, uid: str) -> dict[str, Any]:
        how = self.revocation()
        shown = {"bearer": f"Bearer {token}", "basic": basic(self.app)}.get(self.revoked_as)
        return {"Accept": "application/json", **how.headers, **({"Authorization": shown} if shown else {})}

    def process_revoke_token_response(self, response: Response) -> bool:
        return response.status_code < 300 and b'"ok":false' not in response.content.replace(b" ", b"")

    # --- the way out

    def request(self, url: str, *, stage: Any = "user_info", **options: Any) -> Any:
        """Send by navi.net, whatever the status; a token answer is kept before anything reads it."""
        headers, content = self.sent(stage, **options)
        answer = outbound(inside=self.remote.may_go_inside).send(
            options.get("method", "POST"), url, headers=headers, content=content, deadline=DEADLINE,
            max_bytes=LARGEST_ANSWER, upstream=self.remote.upstream, name=self.remote.title,
        )  # fmt: skip
        if stage in {"token_exchange", "refresh"}:
            self.keep(answer)
        refuse_trouble(answer, self.remote.title)
        return answer

    def sent(self, stage: Any, **options: Any) -> tuple[dict[str, str], bytes]:
        """Headers and body of a question, in the encoding that this vendor reads."""
        params = options.get("json") or options.get("data") or {}
        encoding = self.revocation().body if stage == "disconnect" else self.facts.token_body
        kind, content = encoded(params, encoding)
        headers = {name: str(value) for name, value in (options.get("headers") or {}).items()}
        if shown := options.get("auth"):
            headers["Authorization"] = basic(App(*shown))
        return {**headers, "Content-Type": kind}, content


def basic(app: App) -> str:
    # RFC 6749 2.3.1: both are form-encoded before they are joined.
    pair = f"{quote_plus(app.client_id)}:{quote_plus(app.client_secret)}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def encoded(params: Mapping[str, Any], encoding: str) -> tuple[str, bytes]:
    if encoding == "json":
        return "application/json", json_module.dumps(dict(params)).encode()
    return "application/x-www-form-urlencoded", urlencode(dict(params)).encode()


def refuse_trouble(answer: Response, name: str) -> None:
    """Raise TryLater for a vendor that is out of order or wants fewer questions."""
    if answer.status_code == 429:
        raise rate_limited(answer, name)
    if answer.status_code >= 500:
        raise out_of_order(answer, name)


# --- the device flow (RFC 8628), which social-core does not know


@dataclass(frozen=True, repr=False)
class Device:
    """What a person types where. `every` and `life` are in seconds."""

    device_code: str
    user_code: str
    verification_url: str
    every: int
    life: int


def ask_for_device(remote: Remote, app: App, scopes: Sequence[str]) -> Device:
    """Begin on another device. Raises Denied, Garbled, TryLater, Blocked."""
    facts = facts_of(remote)
    params = {"client_id": app.client_id, facts.scope_name: facts.separator.join(scopes)}
    body = device_answer(remote, app, facts.device_url, params)
    try:
        return device_in(body)
    except (LookupError, TypeError, ValueError, OverflowError, Blocked):
        raise TryLater(f"{remote.title} answered in a way that Navi does not understand.") from None


def device_in(body: Mapping[str, Any]) -> Device:
    """What can be shown to a person and kept in a row. Raises ValueError and the like."""
    address = body.get("verification_uri") or body["verification_url"]
    parse(address)
    for text, form in ((body["device_code"], TOKEN), (body["user_code"], USER_CODE)):
        if not isinstance(text, str) or not form.fullmatch(text):
            raise ValueError("no code")
    if len(address) > LONGEST_ADDRESS:
        raise ValueError("no address for a person")
    return Device(
        device_code=body["device_code"], user_code=body["user_code"], verification_url=address,
        every=within(body.get("interval", 5), 1, 60), life=within(body["expires_in"], 1, 1800),
    )  # fmt: skip


def within(number: Any, least: int, most: int) -> int:
    return int(min(max(number, least), most))


def poll_device(remote: Remote, app: App, device_code: str, keep: Keep = nothing) -> Grant:
    """The grant, once the person has agreed. Raises Denied (`authorization_pending`, `slow_down`, …)."""
    made = backend(remote, app, keep=keep)
    params = made.as_client({"device_code": device_code, "grant_type": DEVICE_GRANT})
    answer = made.request(
        facts_of(remote).token_url,
        data=params,
        headers=made.auth_headers(),
        auth=made.refresh_token_auth(),
        stage="refresh",
    )
    return read(answer.status_code, answer.content, facts_of(remote))


def device_answer(remote: Remote, app: App, url: str, params: Mapping[str, str]) -> Mapping[str, Any]:
    made = backend(remote, app)
    answer = made.request(url, data=dict(params), headers=made.auth_headers(), stage="user_info")
    body = object_in(answer.status_code, answer.content)
    if error := error_in(body):
        raise Denied(error, words_in(body))
    return body
