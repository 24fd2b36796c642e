"""The way out for asyncio: the same guard, limits and errors; one per event loop."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpcore2

from navi.net.answer import Response
from navi.net.body import MAX_BYTES
from navi.net.errors import TryLater
from navi.net.guard import Policy, Resolver, Target, system_resolver, vet
from navi.net.lines import Line, Lines
from navi.net.outbound import CONNECTIONS_PER_ORIGIN, IDLE_SECONDS
from navi.net.sending import DEADLINE, WIRE_ERRORS, Sending, arrived, plainly, prepared, without_query
from navi.net.wire import CONNECT_SECONDS, HeaderGauge, NoLeftovers, check_peer, seconds_until, tries


class AsyncWireStream(httpcore2.AsyncNetworkStream):
    """One connected socket; as in `wire`, `timeout` is a moment on the monotonic clock."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self.stream = stream
        self.gauge = HeaderGauge()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = seconds_until(timeout, httpcore2.ReadTimeout)
        return self.gauge.count(await self.stream.read(self.gauge.room(max_bytes), left))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.gauge.restart()
        await self.stream.write(buffer, seconds_until(timeout, httpcore2.WriteTimeout))

    async def aclose(self) -> None:
        await self.stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        left = min(CONNECT_SECONDS, seconds_until(timeout, httpcore2.ConnectTimeout))
        return AsyncWireStream(await self.stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


class AsyncVettedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the vetted addresses, whatever name it is asked for, and to nothing else."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        self.backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        trouble: Exception = httpcore2.ConnectError("no address")
        for address, moment in tries(self.addresses, timeout):
            try:
                return await self.connected(address, port, seconds_until(moment, httpcore2.ConnectTimeout))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
        raise trouble

    async def connected(self, address: str, port: int, seconds: float) -> httpcore2.AsyncNetworkStream:
        stream = await self.backend.connect_tcp(address, port, seconds)
        try:
            check_peer(stream.get_extra_info("socket").getpeername(), address, port)
        except OSError:
            await stream.aclose()
            raise httpcore2.ConnectError from None
        return AsyncWireStream(stream)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("Navi's way out knows no unix sockets")


class AsyncCleanConnection(NoLeftovers, httpcore2.AsyncHTTPConnection):
    """One HTTP/1.1 connection without leftovers."""


class AsyncCleanPool(httpcore2.AsyncConnectionPool):
    """The connections to one origin."""

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncConnectionInterface:
        return AsyncCleanConnection(
            origin=origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._keepalive_expiry,
            network_backend=self._network_backend,
        )


class AsyncStream:
    """An answer that is still arriving: `status_code`, `headers`, and the body piece by piece."""

    def __init__(self, reply: httpcore2.Response, sending: Sending) -> None:
        self.reply = reply
        self.name = sending.name
        arrival = arrived(reply, sending)
        self.status_code = arrival.status_code
        self.headers = arrival.headers
        self.body = arrival.body

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """The unpacked body, once. Raises TryLater at the deadline, Blocked at a limit."""
        with plainly(self.name):
            async for data in self.reply.aiter_stream():
                for piece in self.body.feed(data):
                    yield piece
            self.body.finish()

    async def read(self) -> bytes:
        """The rest of the body."""
        return b"".join([piece async for piece in self.iter_bytes()])

    def __repr__(self) -> str:
        return f"<AsyncStream {self.status_code} from {self.name}>"


class AsyncOutbound:
    """`Outbound` for asyncio: the same parameters, the same promises."""

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
        self.lines: Lines[httpcore2.AsyncConnectionPool] = Lines()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
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
        async with self.streamed(sending) as stream:
            content_read = await stream.read()
        return Response(
            status_code=stream.status_code,
            headers=stream.headers,
            content=content_read,
            elapsed_ms=round((time.monotonic() - started_at) * 1000),
            url=without_query(sending.place),
            name=sending.name,
        )

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
        upstream: str | None = None,
        name: str = "",
    ) -> AsyncIterator[AsyncStream]:
        """Send one request and read the answer as it arrives; the same limits hold while reading."""
        sending = prepared(
            method, url, headers=headers, content=content, deadline=deadline,
            max_bytes=max_bytes, upstream=upstream, name=name,
        )  # fmt: skip
        async with self.streamed(sending) as stream:
            yield stream

    @asynccontextmanager
    async def streamed(self, sending: Sending) -> AsyncIterator[AsyncStream]:
        async with self.line_for(sending) as line:
            with plainly(sending.name):
                reply = await line.pool.handle_async_request(sending.request())
            try:
                yield AsyncStream(reply, sending)
            finally:
                with suppress(*WIRE_ERRORS):
                    await reply.aclose()

    @asynccontextmanager
    async def line_for(self, sending: Sending) -> AsyncIterator[Line[httpcore2.AsyncConnectionPool]]:
        """A line to vetted addresses; after a failed connect the next call looks them up anew."""
        line = self.lines.borrow(sending.line)
        line = line or self.lines.add(
            sending.line, self.pool_to(await asyncio.to_thread(self.vetted, sending))
        )
        is_good = True
        try:
            yield line
        except TryLater as trouble:
            is_good = trouble.sent or trouble.code == "busy"
            raise
        finally:
            for pool in self.lines.give_back(line, is_good=is_good):
                await pool.aclose()

    def vetted(self, sending: Sending) -> Target:
        return vet(
            sending.place.url,
            policy=self.policy,
            resolve=self.resolve,
            also_allow=sending.also_allow,
            deadline=sending.seconds_left,
        )

    def pool_to(self, target: Target) -> httpcore2.AsyncConnectionPool:
        return AsyncCleanPool(
            ssl_context=self.ssl_context,
            max_connections=CONNECTIONS_PER_ORIGIN,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=AsyncVettedBackend(target.addresses),
        )

    async def aclose(self) -> None:
        """Close idle connections; those in use end with their call."""
        for pool in self.lines.hang_up():
            await pool.aclose()

    def __repr__(self) -> str:
        return "<AsyncOutbound>"
