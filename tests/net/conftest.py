"""A vendor on a real socket: the test says, byte by byte, what it answers."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat

import pytest
import trustme

from navi.net.async_outbound import AsyncOutbound
from navi.net.guard import Policy
from navi.net.outbound import Outbound


@dataclass
class Request:
    """What the vendor received."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


Answer = Callable[[Request, socket.socket], None]


class Vendor:
    """Listens on 127.0.0.1 and lets `answer` write to the socket; remembers requests, connections and SNI."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.tls = tls
        self.requests: list[Request] = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock: socket.socket) -> None:
        with suppress(OSError, ValueError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = self.tls.wrap_socket(sock, server_side=True) if self.tls else sock
            while request := read_request(sock):
                self.requests.append(request)
                self.answer(request, sock)
        sock.close()

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_request(sock: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in rest)}
    while not is_whole(body, headers):
        piece = sock.recv(65536)
        if not piece:
            return None
        body += piece
    return Request(line, headers, body)


def is_whole(body: bytes, headers: dict[str, str]) -> bool:
    if "chunked" in headers.get("transfer-encoding", ""):
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(headers.get("content-length", 0))


def saying(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> Answer:
    """An ordinary answer."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in names.items())

    def answer(request: Request, sock: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        sock.sendall(head.encode() + (b"" if request.method == "HEAD" else body))

    return answer


def raw(data: bytes, *, then_close: bool = True) -> Answer:
    """Exactly these bytes."""

    def answer(_: Request, sock: socket.socket) -> None:
        sock.sendall(data)
        if then_close:
            sock.shutdown(socket.SHUT_RDWR)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other; the last one for ever."""
    turns = chain(answers[:-1], repeat(answers[-1]))

    def answer(request: Request, sock: socket.socket) -> None:
        next(turns)(request, sock)

    return answer


def endless(piece: bytes, *, head: bytes = b"HTTP/1.1 200 OK\r\n", pause: float = 0.0) -> Answer:
    """A beginning, then the same bytes until the other side has enough."""

    def answer(_: Request, sock: socket.socket) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(piece)
            time.sleep(pause)

    return answer


def silence(_: Request, sock: socket.socket) -> None:
    sock.recv(1)


@pytest.fixture
def vendor():
    """Starts vendors: `vendor(answer)`."""
    started: list[Vendor] = []

    def start(answer: Answer, tls: ssl.SSLContext | None = None) -> Vendor:
        started.append(Vendor(answer, tls))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(autouse=True)
def house():
    """The way out is pure Python: no settings, no keys, no database."""


# Reading the system's certificates takes 30 ms.
CONTEXT = ssl.create_default_context()


@pytest.fixture
def outbound():
    way_out = Outbound(Policy.parse("127.0.0.1"), ssl_context=CONTEXT)
    yield way_out
    way_out.close()


class Clock:
    """Stands in for the `time` of the rooms of the way out: it goes, and can be set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    time, sleep = staticmethod(time.time), staticmethod(time.sleep)


@pytest.fixture
def clock(monkeypatch):
    """The clock of all deadlines: a test says when one has passed, however slow the machine is."""
    found = Clock()
    for room in ("client", "sending", "wire"):
        monkeypatch.setattr(f"navi.net.{room}.time", found)
    return found


@pytest.fixture(params=["threads", "asyncio"])
def send(request):
    """`Outbound.send` and `AsyncOutbound.send`: what is promised for one holds for both."""
    policy = Policy.parse("127.0.0.1")
    if request.param == "threads":
        return Outbound(policy, ssl_context=CONTEXT).send

    def send_async(*arguments, **options):
        async def once():
            way_out = AsyncOutbound(policy, ssl_context=CONTEXT)
            try:
                return await way_out.send(*arguments, **options)
            finally:
                await way_out.aclose()

        return asyncio.run(once())

    return send_async


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority) -> ssl.SSLContext:
    """A client context that trusts the tests' certificate authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
