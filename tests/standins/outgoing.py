"""What a stand-in sends by itself: webhooks, really POSTed, one after the other, while it goes on answering."""

import http.client
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE = 30  # seconds for one answer


@dataclass
class Sent:
    """One message and what came back: `status` is 0 where nobody answered."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    status: int = 0
    answer: bytes = b""
    answer_headers: Mapping[str, str] = field(default_factory=dict)


class Outgoing:
    """A queue with a sender of its own, who leaves when it is empty."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._waiting: deque[Sent] = deque()
        self._is_busy = False
        self._changed = threading.Condition()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Send it soon; `settle` waits for the answer."""
        message = Sent(url, dict(headers), body)
        with self._changed:
            self._waiting.append(message)
            if not self._is_busy:
                self._is_busy = True
                threading.Thread(target=self._work, daemon=True).start()
        return message

    def settle(self, seconds: float = 60.0) -> list[Sent]:
        """Wait until all is answered, and tell what was sent since the beginning."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._is_busy, seconds), "The vendor is still sending."
            return list(self.sent)

    def _work(self) -> None:
        while message := self._next():
            deliver(message)
            with self._changed:
                self.sent.append(message)

    def _next(self) -> Sent | None:
        with self._changed:
            if self._waiting:
                return self._waiting.popleft()
            self._is_busy = False
            self._changed.notify_all()
            return None


def deliver(message: Sent) -> None:
    address = urlsplit(message.url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.netloc, timeout=PATIENCE)
    try:
        path = f"{address.path or '/'}{'?' + address.query if address.query else ''}"
        connection.request("POST", path, message.body, dict(message.headers))
        response = connection.getresponse()
        message.status, message.answer = response.status, response.read()
        message.answer_headers = dict(response.getheaders())
    except (OSError, http.client.HTTPException):
        message.status = 0
    finally:
        connection.close()
