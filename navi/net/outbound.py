"""The way out: one per process, safe for threads."""

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import httpcore2

from navi.net.answer import Response
from navi.net.body import MAX_BYTES
from navi.net.errors import TryLater
from navi.net.guard import Policy, Resolver, system_resolver, vet
from navi.net.lines import Line, Lines
from navi.net.sending import DEADLINE, WIRE_ERRORS, Sending, arrived, plainly, prepared, without_query
from navi.net.wire import CleanPool, VettedBackend

CONNECTIONS_PER_ORIGIN = 20
IDLE_SECONDS = 30.0


class Stream:
    """An answer that is still arriving: `status_code`, `headers`, and the body piece by piece."""

    def __init__(self, reply: httpcore2.Response, sending: Sending) -> None:
        self.reply = reply
        self.name = sending.name
        arrival = arrived(reply, sending)
        self.status_code = arrival.status_code
        self.headers = arrival.headers
        self.body = arrival.body

    def iter_bytes(self) -> Iterator[bytes]:
        """The unpacked body, once. Raises TryLater at the deadline, Blocked at a limit."""
        with plainly(self.name):
            for data in self.reply.iter_stream():
                yield from self.body.feed(data)
            self.body.finish()

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.iter_bytes())

    def __repr__(self) -> str:
        return f"<Stream {self.status_code} from {self.name}>"


class Outbound:
    """Calls the outside, within the policy, to vetted addresses only.

    Redirects are not followed, a 3xx is an answer like others. `deadline` counts seconds for the whole
    call, from the name's lookup to the last byte; `max_bytes` counts the unpacked body; `upstream` is an
    origin that gets the request instead; `name` is what messages call the other side. Raises TryLater and
    Blocked, nothing else.
    """

    def __init__(
        self,
        policy: Policy,
        resolve: Resolver = system_resolver,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.policy = policy
        self.resolve = resolve
        self.ssl_context = ssl_context or httpcore2.default_ssl_context()
        self.lines: Lines[httpcore2.ConnectionPool] = Lines()

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
        upstream: str | None = None,
        name: str = "",
    ) -> Response:
        """Send one request and read the whole answer."""
        sending = prepared(
            method, url, headers=headers, content=content, deadline=deadline,
            max_bytes=max_bytes, upstream=upstream, name=name,
        )  # fmt: skip
        started_at = time.monotonic()
        with self.streamed(sending) as stream:
            content_read = stream.read()
        return Response(
            status_code=stream.status_code,
            headers=stream.headers,
            content=content_read,
            elapsed_ms=round((time.monotonic() - started_at) * 1000),
            url=without_query(sending.place),
            name=sending.name,
        )

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
        upstream: str | None = None,
        name: str = "",
    ) -> Iterator[Stream]:
        """Send one request and read the answer as it arrives; the same limits hold while reading."""
        sending = prepared(
            method, url, headers=headers, content=content, deadline=deadline,
            max_bytes=max_bytes, upstream=upstream, name=name,
        )  # fmt: skip
        with self.streamed(sending) as stream:
            yield stream

    @contextmanager
    def streamed(self, sending: Sending) -> Iterator[Stream]:
        with self.line_for(sending) as line:
            with plainly(sending.name):
                reply = line.pool.handle_request(sending.request())
            try:
                yield Stream(reply, sending)
            finally:
                with suppress(*WIRE_ERRORS):
                    reply.close()

    @contextmanager
    def line_for(self, sending: Sending) -> Iterator[Line[httpcore2.ConnectionPool]]:
        """A line to vetted addresses; after a failed connect the next call looks them up anew."""
        line = self.lines.borrow(sending.line) or self.lines.add(sending.line, self.pool_for(sending))
        is_good = True
        try:
            yield line
        except TryLater as trouble:
            is_good = trouble.sent or trouble.code == "busy"
            raise
        finally:
            for pool in self.lines.give_back(line, is_good=is_good):
                pool.close()

    def pool_for(self, sending: Sending) -> httpcore2.ConnectionPool:
        target = vet(
            sending.place.url,
            policy=self.policy,
            resolve=self.resolve,
            also_allow=sending.also_allow,
            deadline=sending.seconds_left,
        )
        return CleanPool(
            ssl_context=self.ssl_context,
            max_connections=CONNECTIONS_PER_ORIGIN,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=VettedBackend(target.addresses),
        )

    def close(self) -> None:
        """Close idle connections; those in use end with their call."""
        for pool in self.lines.hang_up():
            pool.close()

    def __repr__(self) -> str:
        return "<Outbound>"
