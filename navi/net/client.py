"""A vendor's API for a plugin: paths instead of addresses, credentials put in, troubles with a next step."""

import json as json_module
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlencode

from navi.net import auth
from navi.net.answer import Headers, Response
from navi.net.async_outbound import AsyncOutbound, AsyncStream
from navi.net.errors import TryLater, VendorError
from navi.net.limits import Limiter
from navi.net.meaning import Secrets, meaning_of
from navi.net.outbound import Outbound, Stream
from navi.net.remote import Remote
from navi.net.retry import backoff
from navi.net.urls import joined

__all__ = ["AsyncOutbound", "AsyncStream", "Client", "Headers", "Outbound", "Response", "Stream"]

MAX_RETRIES = 2
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")

Value = str | int | float | bool | None
Params = Mapping[str, Value | Sequence[Value]]


class Client:
    """Calls one vendor with one credential.

    Raises what the caller does next: TryLater, Reconnect, Refused, MissingScopes, Blocked. Requests that
    are safe to repeat are tried up to three times within the remote's deadline.
    """

    def __init__(
        self,
        remote: Remote,
        fields: Mapping[str, str],
        outbound: Outbound,
        *,
        limiter: Limiter | None = None,
        account: str = "",
    ) -> None:
        self.remote = remote
        self.fields = fields
        self.outbound = outbound
        self.limiter = limiter
        self.key = (remote.provider, account)
        self.secrets = Secrets(remote.auth, fields)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> Response:
        """Send a request to a path below the vendor's base address and return its answer (status below 400).

        One of `json`, `data` (a form) and `content` is the body. `idempotent` says whether it may be repeated
        after trouble; by default GET, HEAD, OPTIONS, PUT and DELETE may.
        """
        body, kind = body_of(json, data, content)
        may_repeat = (method in IDEMPOTENT) if idempotent is None else idempotent
        tries = 1 + MAX_RETRIES * (may_repeat and (body is None or isinstance(body, bytes)))
        url, sent_headers = self.url(path, params), self.headers({**kind, **(headers or {})})
        return self.tried(tries, method, url, sent_headers, body)

    def tried(
        self,
        tries: int,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
    ) -> Response:
        """Try, and try again after trouble that may pass, while the deadline allows."""
        until = time.monotonic() + self.remote.deadline
        for attempt in range(tries):
            try:
                return self.once(method, url, headers, body, until)
            except TryLater as trouble:
                wait = seconds_before_retry(trouble, attempt)
                if attempt + 1 == tries or time.monotonic() + wait >= until:
                    raise
                time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        until: float,
    ) -> Response:
        """One try: the answer, or what its status means."""
        with self.place(until) as seen:
            response = self.outbound.send(method, url, headers=headers, content=body, **self.limits(until))
            seen.append(response)
        error = meaning_of(response, self.remote, self.secrets)
        if error is None:
            return response
        self.hold_back_after(error)
        raise error

    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> AbstractContextManager[Stream]:
        """Send one request and hand its answer on as it arrives, whatever its status; never repeated."""
        return self.streamed(method, self.url(path, params), self.headers(headers or {}), content)

    @contextmanager
    def streamed(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | Iterable[bytes] | None
    ) -> Iterator[Stream]:
        until = time.monotonic() + self.remote.deadline
        with (
            self.place(until) as seen,
            self.outbound.stream(
                method, url, headers=headers, content=content, **self.limits(until)
            ) as stream,
        ):
            self.note_head(Response(stream.status_code, stream.headers), seen)
            yield stream

    def note_head(self, head: Response, seen: list[Response]) -> None:
        """What a stream's status teaches is written now: its end may be left to the garbage collector, in the
        middle of another query of the same thread."""
        if head.status_code != 429:
            seen.append(head)
        elif self.limiter is not None:
            self.limiter.heard(self.key, head)

    def get(self, path: str, **options: Any) -> Response:
        """GET; options as for `request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Response:
        """POST; options as for `request`."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Response:
        """PUT; options as for `request`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Response:
        """PATCH; options as for `request`."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Response:
        """DELETE; options as for `request`."""
        return self.request("DELETE", path, **options)

    def url(self, path: str, params: Params | None) -> str:
        """The whole address: path, its own query, the parameters, the credential where it travels there."""
        address = joined(self.remote.base_url, path)
        pairs = [*query_pairs(params or {}), *auth.params(self.remote.auth, self.fields).items()]
        if not pairs:
            return address
        return address + ("&" if "?" in address else "?") + urlencode(pairs)

    def headers(self, given: Mapping[str, str]) -> dict[str, str]:
        """The vendor's headers, then the caller's, then the credential, which nobody overrides."""
        layers = (self.remote.headers, given, auth.headers(self.remote.auth, self.fields))
        by_name = {name.lower(): (name, value) for layer in layers for name, value in layer.items()}
        return dict(by_name.values())

    def limits(self, until: float) -> dict[str, Any]:
        return {
            "deadline": until - time.monotonic(),
            "max_bytes": self.remote.max_bytes,
            "upstream": self.remote.upstream,
            "name": self.remote.title,
        }

    @contextmanager
    def place(self, until: float) -> Iterator[list[Response]]:
        """A place among the calls under way; the answer is put into the list for the limiter to see."""
        seen: list[Response] = []
        if self.limiter is None:
            yield seen
            return
        self.limiter.before(self.key, until - time.monotonic())
        try:
            yield seen
        finally:
            self.limiter.after(self.key, seen[0] if seen else None)

    def hold_back_after(self, error: VendorError) -> None:
        """Let the limiter know of a limit that the vendor told in its own way."""
        if self.limiter and isinstance(error, TryLater) and error.code == "rate_limited" and error.retry_at:
            self.limiter.pause(self.key, error.retry_at)

    def __repr__(self) -> str:
        return f"<Client {self.remote.provider}>"


def body_of(
    json: Any, data: Mapping[str, Any] | None, content: bytes | Iterable[bytes] | None
) -> tuple[bytes | Iterable[bytes] | None, dict[str, str]]:
    """The body and its content type."""
    if json is not None:
        return json_module.dumps(json, allow_nan=False).encode(), {"Content-Type": "application/json"}
    if data is not None:
        form = urlencode(list(query_pairs(data))).encode()
        return form, {"Content-Type": "application/x-www-form-urlencoded"}
    return content, {}


def query_pairs(params: Params) -> Iterator[tuple[str, str]]:
    """Parameters one by one: lists repeat their name, None is left out, truth is written true and false."""
    for name, value in params.items():
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        for one in values:
            if one is not None:
                yield name, str(one).lower() if isinstance(one, bool) else str(one)


def seconds_before_retry(trouble: TryLater, attempt: int) -> float:
    """What the vendor asked for, or a little chance; jitter keeps many callers from coming back at once."""
    jitter = backoff(attempt, random.random)
    if trouble.retry_at is None:
        return jitter
    asked = trouble.retry_at.timestamp() - time.time()
    return max(0.0, asked) + jitter
