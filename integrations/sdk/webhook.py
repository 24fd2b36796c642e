"""What a vendor sends by itself: how it proves that it is the vendor, what it says, and what follows.

Each plugin names the page where its vendor describes the scheme.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qs

from integrations.sdk.facts import Step
from integrations.sdk.sync import Item
from navi.net.answer import Headers
from navi.net.client import Client

# --- what comes in


@dataclass(frozen=True)
class Incoming:
    """One request as it came. `body` is exactly the bytes that were signed, `url` our public address."""

    method: str
    headers: Headers
    query: Mapping[str, str]
    body: bytes
    url: str = ""

    @cached_property
    def data(self) -> Any:
        """The body as JSON (a form's `payload` field too); {} where it is none. Never raises."""
        try:
            return json.loads(form_payload(self.body) if self.is_form else self.body)
        except (ValueError, RecursionError):
            return {}

    @property
    def is_form(self) -> bool:
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        return kind.strip().lower() == "application/x-www-form-urlencoded"

    def said(self, *path: str) -> str:
        """The text at a place in the body; "" where there is none."""
        found: Any = self.data
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def form_payload(body: bytes) -> str:
    """The form field in which GitHub and Slack put their JSON; "" where there is none. Raises ValueError."""
    return parse_qs(body.decode(), max_num_fields=100).get("payload", [""])[0]


# --- how it proves itself


@dataclass(frozen=True)
class Hmac:
    """A keyed hash over the body, or over pieces of which the body is one.

    `signed`: literal texts and the places {body}, {timestamp}, {id}, {method}, {url}. `timestamp_in`: the
    header that holds it (in a piece that begins with `timestamp_prefix`, where it holds more), or with
    `timestamp_field` the field of the JSON body; `tolerance` seconds old or ahead at most, 0: not looked at.
    `id_header` fills {id}. `several`: the header holds more than one, with this between them; with `prefix`
    only those that begin so count. `secret_form`: "text", "base64", or "whsec" (base64 after that prefix).
    """

    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    algorithm: Literal["sha256", "sha1"] = "sha256"
    signed: tuple[str, ...] = ("{body}",)
    timestamp_in: str = ""
    timestamp_prefix: str = ""
    timestamp_field: str = ""
    timestamp_unit: Literal["s", "ms"] = "s"
    tolerance: float = 0.0
    id_header: str = ""
    several: str = ""
    secret_form: Literal["text", "base64", "whsec"] = "text"


@dataclass(frozen=True)
class SharedToken:
    """The secret itself, sent back in a header or in a field of the body (dotted). Nothing is signed.

    Where the field's path leads through a list, every element must hold it.
    """

    header: str = ""
    field: str = ""


@dataclass(frozen=True)
class SignedJwt:
    """A bearer token that the vendor signed (RS256), for this endpoint's address.

    `email_setting` names the plugin's setting that holds the account which must have sent it.
    """

    keys_url: str
    issuers: tuple[str, ...]
    email_setting: str = ""


Proof = Hmac | SharedToken | SignedJwt

# --- what is answered, and what follows


@dataclass(frozen=True)
class Reply:
    """What the vendor gets back at once."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Greeting:
    """A handshake: the answer that the vendor waits for, and the secret where the vendor makes it."""

    reply: Reply
    secret: str | None = None


@dataclass(frozen=True)
class Event:
    """A delivery that was proven and kept, handed to the plugin: `resource` is what the endpoint is for.

    `account` is the vendor's id of the connected account, for vendors that send all accounts to one address.
    """

    type: str
    id: str
    incoming: Incoming
    resource: str = ""
    registration: Mapping[str, Any] = field(default_factory=dict)
    account: str = ""

    @property
    def data(self) -> Any:
        return self.incoming.data


@dataclass(frozen=True)
class Heard:
    """What follows from an event. Nothing here is asked of the vendor: syncs read the truth afterwards.

    `records` (kind: items) are kept at once; `syncs` names pull syncs to run now, for `part` where they have
    parts. `summary` is for people. `revoked`: the vendor says that the grant has ended.
    """

    summary: str = ""
    records: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    syncs: Sequence[str] = ()
    part: str = ""
    is_ignored: bool = False
    revoked: bool = False


@dataclass(frozen=True)
class Subscription:
    """What to register at the vendor: our address and secret, for one resource or for the account."""

    url: str
    secret: str
    resource: str = ""
    id: str = ""  # a fresh UUID, for vendors that let the subscriber name the channel
    settings: Mapping[str, Any] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)  # the registration that this one renews


@dataclass(frozen=True)
class Registered:
    """What the vendor knows it by. `facts` is JSON without secrets; `secret` where the vendor made it."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    secret: str | None = None


HearFunction = Callable[[Event], Heard]
GreetFunction = Callable[[Incoming], Greeting | None]
RegisterFunction = Callable[[Client, Subscription], Registered]
UnregisterFunction = Callable[[Client, Mapping[str, Any]], None]
Tell = Callable[[Incoming], str]


class Webhook:
    """How one vendor calls, as facts and decorated functions.

    `secret_from`: "navi" makes one and shows it, or registers it; "vendor": comes with the handshake or the
    registration; "field:signingSecret": a field of the connection; "oauth_app": the app's client secret.
    `delivery_id` and `event_type` read a request; where the id is "", the body's hash stands for it.
    `number` reads the vendor's own counting, so that gaps are seen. `kinds` (kind: title) are records that
    `hear` keeps beside those of syncs. `resource` names the discovery one subscribes to ("repositories");
    "" is the whole account. `is_greeting_signed`: a handshake counts only with a proof, as at Slack.
    """

    def __init__(
        self,
        *,
        proof: Proof,
        delivery_id: Tell,
        event_type: Tell,
        secret_from: str = "navi",  # noqa: S107 - where it comes from, not what it is
        number: Tell | None = None,
        kinds: Mapping[str, str] | None = None,
        resource: str = "",
        scopes: Sequence[str] = (),
        steps: Sequence[Step] = (),
        is_greeting_signed: bool = False,
        success: int = 200,
    ) -> None:
        self.proof, self.delivery_id, self.event_type = proof, delivery_id, event_type
        self.secret_from, self.number, self.kinds = secret_from, number, dict(kinds or {})
        self.resource, self.scopes, self.steps = resource, tuple(scopes), tuple(steps)
        self.is_greeting_signed, self.success = is_greeting_signed, success
        self.hear_function: HearFunction | None = None
        self.greet_function: GreetFunction | None = None
        self.register_function: RegisterFunction | None = None
        self.unregister_function: UnregisterFunction | None = None

    def hears(self, function: HearFunction) -> HearFunction:
        """What follows from an event. It must not ask the vendor."""
        self.hear_function = function
        return function

    def greets(self, function: GreetFunction) -> GreetFunction:
        """The handshake: None where the request is none."""
        self.greet_function = function
        return function

    def registers(self, function: RegisterFunction) -> RegisterFunction:
        """Subscribe at the vendor through its API; called again before `expires_at`."""
        self.register_function = function
        return function

    def unregisters(self, function: UnregisterFunction) -> UnregisterFunction:
        """End a subscription, by the facts that `registers` returned."""
        self.unregister_function = function
        return function

    def manifest(self) -> dict[str, Any]:
        return {
            "verification": type(self.proof).__name__,
            "secretFrom": self.secret_from,
            "registersItself": self.register_function is not None,
            "resource": self.resource or None,
            "kinds": dict(self.kinds),
            "scopes": list(self.scopes),
            "steps": [{"text": step.text, "url": step.url or None} for step in self.steps],
        }
