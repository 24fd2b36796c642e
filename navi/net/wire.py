"""Sockets to vetted addresses only, and nothing a moment longer than the call may take.

httpcore2 hands the numbers of a request's `timeout` through to its network backend untouched. Here they are
moments on the monotonic clock, so that one deadline bounds connecting, sending and all reads together.
"""

import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore2

from navi.net.addresses import plain

CONNECT_SECONDS = 5.0
CONNECT_TRIES = 4
HEADER_BYTES = 64 * 1024
LARGE_PIECE = 64 * 1024


def seconds_until(moment: float | None, too_late: type[Exception]) -> float:
    """Seconds left. Raises `too_late` where there are none, or where nobody set a deadline."""
    left = 0.0 if moment is None else moment - time.monotonic()
    if left <= 0:
        raise too_late
    return left


class HeaderGauge:
    """Counts what is read before the headers are complete, interim answers included."""

    def __init__(self) -> None:
        self.left: int | None = HEADER_BYTES

    def restart(self) -> None:
        self.left = HEADER_BYTES

    def headers_are_done(self) -> None:
        self.left = None

    def room(self, wanted: int) -> int:
        """How much may be read now. Raises RemoteProtocolError when the headers have had their share."""
        if self.left == 0:
            raise httpcore2.RemoteProtocolError("headers too large")
        return wanted if self.left is None else min(wanted, self.left)

    def count(self, data: bytes) -> bytes:
        if self.left is not None:
            self.left -= len(data)
        return data


class WireStream(httpcore2.NetworkStream):
    """One connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.gauge = HeaderGauge()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self.sock.settimeout(seconds_until(timeout, httpcore2.ReadTimeout))
            return self.gauge.count(self.sock.recv(self.gauge.room(max_bytes)))
        except TimeoutError:
            raise httpcore2.ReadTimeout from None
        except OSError:
            raise httpcore2.ReadError from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.gauge.restart()
        left = memoryview(buffer)
        try:
            while left:
                self.sock.settimeout(seconds_until(timeout, httpcore2.WriteTimeout))
                left = left[self.sock.send(left[:LARGE_PIECE]) :]
        except TimeoutError:
            raise httpcore2.WriteTimeout from None
        except OSError:
            raise httpcore2.WriteError from None

    def close(self) -> None:
        self.sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        try:
            left = seconds_until(timeout, httpcore2.ConnectTimeout)
            self.sock.settimeout(min(left, CONNECT_SECONDS))
            return WireStream(ssl_context.wrap_socket(self.sock, server_hostname=server_hostname))
        except TimeoutError:
            self.close()
            raise httpcore2.ConnectTimeout from None
        except OSError as error:
            self.close()
            raise httpcore2.ConnectError(error) from None

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self.sock if isinstance(self.sock, ssl.SSLSocket) else None
            case "socket":
                return self.sock
            case "is_readable":
                return is_readable(self.sock)
        return None


class VettedBackend(httpcore2.NetworkBackend):
    """Connects to the vetted addresses, whatever name it is asked for, and to nothing else."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        trouble: Exception = httpcore2.ConnectError("no address")
        for address, moment in tries(self.addresses, timeout):
            try:
                return WireStream(connected(address, port, seconds_until(moment, httpcore2.ConnectTimeout)))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
        raise trouble

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        raise httpcore2.ConnectError("Navi's way out knows no unix sockets")


def tries(addresses: tuple[str, ...], until: float | None) -> Iterator[tuple[str, float]]:
    """The first few addresses, each with the moment its try ends: what is left of the time, shared fairly."""
    few = addresses[:CONNECT_TRIES]
    end = min(until or 0.0, time.monotonic() + CONNECT_SECONDS)
    for index, address in enumerate(few):
        now = time.monotonic()
        yield address, now + (end - now) / (len(few) - index)


def connected(address: str, port: int, seconds: float) -> socket.socket:
    """A socket to exactly this address. Raises httpcore2's connect errors."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((address, port))
        check_peer(sock.getpeername(), address, port)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except TimeoutError:
        sock.close()
        raise httpcore2.ConnectTimeout from None
    except OSError:
        sock.close()
        raise httpcore2.ConnectError from None
    return sock


def check_peer(peer: tuple[Any, ...], address: str, port: int) -> None:
    """Raise ConnectionError where the other end is not who was called."""
    if plain(str(peer[0])) != plain(address) or peer[1] != port:
        raise ConnectionError("connected to somebody else")


def is_readable(sock: socket.socket) -> bool:
    """Whether an idle connection has something to say: it closed, or it talks out of turn."""
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class NoLeftovers:
    """Gives a connection up where bytes were left over behind an answer: they would begin the next one."""

    def has_expired(self) -> bool:
        return bool(super().has_expired()) or has_leftovers(self)  # type: ignore[misc]


def has_leftovers(connection: Any) -> bool:
    inner = connection._connection
    return inner is not None and bool(inner._h11_state.trailing_data[0])


class CleanConnection(NoLeftovers, httpcore2.HTTPConnection):
    """One HTTP/1.1 connection without leftovers."""


class CleanPool(httpcore2.ConnectionPool):
    """The connections to one origin."""

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
        return CleanConnection(
            origin=origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._keepalive_expiry,
            network_backend=self._network_backend,
        )
