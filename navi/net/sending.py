"""One call made ready for the wire, and what the wire's troubles mean: the same for sync and asyncio."""

import re
import ssl
import time
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpcore2

from navi.net.answer import Headers
from navi.net.body import MAX_BYTES, Body
from navi.net.errors import TryLater
from navi.net.guard import Target
from navi.net.urls import Place, moved, parse, refuse

DEADLINE = 30.0
Content = bytes | Iterable[bytes] | AsyncIterable[bytes] | None
# What belongs to the connection is ours to say, whatever the caller passes.
OUR_HEADERS = (
    "host", "connection", "keep-alive", "upgrade", "te", "trailer", "expect", "accept-encoding",
    "content-length", "transfer-encoding", "proxy-authorization", "proxy-authenticate", "proxy-connection",
)  # fmt: skip
METHOD = re.compile(r"[A-Z]{1,20}")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
WIRE_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    OSError,
)


@dataclass(frozen=True)
class Sending:
    """A call on its way out; `until` is a moment on the monotonic clock."""

    method: str
    place: Place = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    content: Content = field(repr=False)
    until: float
    max_bytes: int
    also_allow: str | None
    name: str

    @property
    def line(self) -> tuple[str, str | None]:
        """Which connections may carry it: those to its origin, vetted under the same permission."""
        return self.place.origin, self.also_allow

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline. Raises TryLater when it has passed."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TryLater(f"{self.name} did not answer in time. Try again in a moment.", timed_out=True)
        return left

    def request(self) -> httpcore2.Request:
        moments = {"connect": self.until, "read": self.until, "write": self.until}
        return httpcore2.Request(
            self.method,
            httpcore2.URL(
                scheme=self.place.scheme,
                host=self.place.host,
                port=self.place.port,
                target=self.place.raw_path,
            ),
            headers=self.headers,
            content=self.content,
            extensions={"timeout": {**moments, "pool": self.seconds_left}},
        )


def prepared(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: Content = None,
    deadline: float = DEADLINE,
    max_bytes: int = MAX_BYTES,
    upstream: str | None = None,
    name: str = "",
) -> Sending:
    """A call checked as far as it can be without the network. Raises Blocked."""
    place = parse(moved(url, upstream) if upstream else url)
    if not METHOD.fullmatch(method):
        refuse("bad_method", "its method is not an HTTP method")
    return Sending(
        method=method,
        place=place,
        headers=tuple(raw_headers(place, headers or {}, content, method)),
        content=content,
        until=time.monotonic() + deadline,
        max_bytes=max_bytes,
        also_allow=upstream,
        name=name or place.host,
    )


def raw_headers(
    place: Place, headers: Mapping[str, str], content: Content, method: str
) -> Iterator[tuple[bytes, bytes]]:
    """Host first, then the caller's, then how the body travels."""
    yield b"Host", place.authority.encode()
    yield b"Accept-Encoding", b"gzip, deflate"
    if not any(name.lower() == "user-agent" for name in headers):
        yield b"User-Agent", b"Navi"
    for name, value in headers.items():
        if name.lower() not in OUR_HEADERS:
            yield raw_header(name, value)
    if isinstance(content, bytes) or (content is None and method in ("POST", "PUT", "PATCH")):
        yield b"Content-Length", str(len(content or b"")).encode()
    elif content is not None:
        yield b"Transfer-Encoding", b"chunked"


def raw_header(name: str, value: str) -> tuple[bytes, bytes]:
    """A header as bytes. Raises Blocked, without the value, for one that cannot travel."""
    value = value.strip(" \t")
    if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
        refuse("bad_header", "a header, perhaps a pasted key, holds characters that cannot be sent")
    return name.encode(), value.encode()


@dataclass(frozen=True)
class Arrival:
    """The beginning of an answer: everything but the body."""

    status_code: int
    headers: Headers
    body: Body


def arrived(reply: httpcore2.Response, sending: Sending) -> Arrival:
    """Read status and headers, and check what the body is announced to be. Raises Blocked."""
    reply.extensions["network_stream"].gauge.headers_are_done()
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers])
    encoding = headers.get("content-encoding", "")
    body = Body(encoding, name=sending.name, max_bytes=sending.max_bytes)
    if sending.method != "HEAD" and reply.status not in (204, 304):
        body.expect(headers.get("content-length"))
    # Both tell how the body travelled; what the caller gets is unpacked.
    plain = headers.without("content-encoding", "content-length") if body.inflater else headers
    return Arrival(reply.status, plain, body)


@contextmanager
def plainly(name: str) -> Iterator[None]:
    """Say what went wrong on the wire in words, as TryLater."""
    try:
        yield
    except WIRE_ERRORS as error:
        raise trouble_with(name, error) from None


def trouble_with(name: str, error: Exception) -> TryLater:
    match error:
        case httpcore2.PoolTimeout():
            return TryLater(
                f"Navi already has many calls to {name} under way. Try again in a moment.", code="busy"
            )
        case httpcore2.ConnectTimeout():
            return TryLater(f"{name} could not be reached in time. Try again in a moment.", timed_out=True)
        case httpcore2.ConnectError(args=(ssl.SSLCertVerificationError(), *_)):
            return TryLater(f"{name} showed a certificate that is not valid for it, so nothing was sent.")
        case httpcore2.ConnectError():
            return TryLater(f"{name} could not be reached. Try again in a moment.")
        case httpcore2.TimeoutException() | TimeoutError():
            return TryLater(
                f"{name} did not answer in time. Try again in a moment.", timed_out=True, sent=True
            )
        case httpcore2.ProtocolError():
            return TryLater(f"{name} answered with something that is not HTTP, or broke off.", sent=True)
    return TryLater(f"The connection to {name} broke off. Try again in a moment.", sent=True)


def without_query(place: Place | Target) -> str:
    """The address fit to be shown: a query may hold a key."""
    return replace(place, raw_path=place.raw_path.partition("?")[0]).url
