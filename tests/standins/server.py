"""What every vendor stand-in shares: a real HTTP server on this machine, and the strings to pull."""

import argparse
import json
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

CONTROL = "/_standin/"
EVERY_SCOPE = frozenset({"*"})

ScopesByKey = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire. Header names are looked up in any case."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes
    raw_query: str = ""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_with(status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> Response:
    """Build a response: bytes go out as they are, text as text, anything else as JSON."""
    if isinstance(body, bytes):
        return Response(status, body, headers or {})
    if isinstance(body, str):
        kind, sent = "text/plain; charset=utf-8", body
    else:
        kind, sent = "application/json", json.dumps(body)
    return Response(status, sent.encode(), {"Content-Type": kind, **(headers or {})})


class Standin:
    """A vendor on this machine: it answers like the real one, remembers every request, fails on command.

    A vendor says its default `keys`, how to `seed` its state and how to `answer` one request.
    """

    keys: Sequence[str] = ()

    def __init__(self, port: int = 0, keys: Iterable[str] | ScopesByKey | None = None) -> None:
        self._port = port
        self._first_keys = self.keys if keys is None else keys
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self.reset()

    # The vendor's part.

    def seed(self) -> None:
        """Put the vendor's state back to how it is on the first day."""

    def answer(self, request: Request) -> Response:
        """Answer one request; only one is answered at a time."""
        raise NotImplementedError

    # The strings to pull.

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError(f"{type(self).__name__} is not running; use it as a context manager.")
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail_next(
        self, status: int, body: object = b"", headers: Mapping[str, str] | None = None, times: int = 1
    ) -> None:
        """Answer the next requests with exactly this, before looking at key or path."""
        self._failures.extend([answer_with(status, body, headers)] * times)

    def delay(self, seconds: float) -> None:
        """Hold back every answer from now on.

        The vendor has done its work by then: a client that gives up earlier lost the answer, not the deed.
        """
        self._seconds = seconds

    def accept_keys(self, keys: Iterable[str] | ScopesByKey) -> None:
        """Accept these keys and no others: a set of keys that may do all, or a dict of key to scopes."""
        if isinstance(keys, Mapping):
            self._scopes = {key: frozenset(scopes) for key, scopes in keys.items()}
        else:
            self._scopes = dict.fromkeys(keys, EVERY_SCOPE)

    def reset(self) -> None:
        """Forget requests, failures and delay; keys and state are as on the first day. Nothing is still on its way."""
        if outgoing := getattr(self, "outgoing", None):
            outgoing.settle()
        self.requests: list[Request] = []
        self._failures: deque[Response] = deque()
        self.delay(0)
        self.accept_keys(self._first_keys)
        self.seed()

    def scopes_of(self, key: str) -> frozenset[str] | None:
        """Say what a key may do; None for a key nobody issued."""
        return self._scopes.get(key)

    # Running.

    def start(self) -> Self:
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.standin = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def handle(self, request: Request) -> Response:
        if request.path.startswith(CONTROL):
            return self._pull_string(request)
        with self._turn:
            self.requests.append(request)
            response = self._failures.popleft() if self._failures else self.answer(request)
        self._stopping.wait(self._seconds)
        return response

    def _pull_string(self, request: Request) -> Response:
        # For a stand-in in a process of its own, where a test cannot reach the object.
        name = request.path.removeprefix(CONTROL)
        if name == "requests":
            return answer_with(200, [readable(request) for request in self.requests])
        if name not in {"fail_next", "delay", "accept_keys", "reset"}:
            return answer_with(404, f"No string called {name}.")
        getattr(self, name)(**(request.json() if request.body else {}))
        return answer_with(200, {"done": name})


def readable(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": dict(request.headers.items()),
        "body": request.body.decode(errors="replace"),
    }


class _Server(ThreadingHTTPServer):
    # Threads are joined at the end, so that no test leaves one behind with an open socket.
    daemon_threads = False
    standin: Standin

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive; their threads would wait for another request."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that gave up waiting is part of the game, anything else is a bug worth its traceback.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave together and at once: otherwise Nagle and delayed ACK cost 40 ms per answer.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 30

    def handle_any(self) -> None:
        response = cast(_Server, self.server).standin.handle(self._request())
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in {204, 304}:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _request(self) -> Request:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return Request(self.command, address.path, query, self.headers, body, address.query)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet; `requests` remembers what was asked."""


def run(standin: type[Standin]) -> None:
    """Run a stand-in as a process of its own until it is told to stop."""
    parser = argparse.ArgumentParser(description=standin.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--key", action="append", help="a key to accept; may be repeated")
    options = parser.parse_args()
    told_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_stop.set())
    with standin(options.port, options.key) as running:
        print(f"listening on {running.url}", flush=True)
        told_to_stop.wait()
