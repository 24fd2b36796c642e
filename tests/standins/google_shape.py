"""What the products of the Google stand-in share: refusals in Google's shape, questions, pages."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from tests.standins.server import Request, Response, answer_with

Fields = dict[str, Any]


class Problem(Exception):
    """An answer in Google's error shape."""

    def __init__(self, status: int, reason: str, message: str, kind: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.kind, self.detail = kind, detail

    def response(self, headers: dict[str, str] | None = None, metadata: Fields | None = None) -> Response:
        error: Fields = {
            "code": self.status,
            "message": self.message,
            "errors": [{"message": self.message, "domain": "global", "reason": self.reason}],
        }
        if self.kind:
            error["status"] = self.kind
        if self.detail:
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.detail}
            error["details"] = [{**info, "domain": "googleapis.com", "metadata": metadata or {}}]
        return answer_with(self.status, {"error": error}, headers)


def wrong(message: str) -> Problem:
    return Problem(400, "badRequest", message, "INVALID_ARGUMENT")


def unknown(message: str = "Not Found") -> Problem:
    return Problem(404, "notFound", message, "NOT_FOUND")


@dataclass(frozen=True)
class Notice:
    """A request that Google sends by itself."""

    url: str
    headers: dict[str, str]
    body: bytes = b""


class Query:
    """A request, as the products read it. `tell` sends a notice once the answer is out."""

    def __init__(self, request: Request, now: float, tell: Callable[[Notice], None]) -> None:
        self.request, self.now, self.tell = request, now, tell
        self.one = request.query
        self.pairs = parse_qsl(request.raw_query, keep_blank_values=True)

    @property
    def body(self) -> Fields:
        found: Fields = self.request.json() if self.request.body else {}
        return found

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def number(self, name: str, default: int) -> int:
        return int(self.one.get(name, default))

    def page(self, things: list[Any], size: int, key: str, *, is_left_out: bool = False) -> Fields:
        """One page of things under `key`; some of Google's lists leave it out where there is nothing."""
        start = place_of(self.one.get("pageToken", ""))
        found: Fields = {key: things[start : start + size]}
        if is_left_out and not found[key]:
            del found[key]
        if start + size < len(things):
            found["nextPageToken"] = base64url(str(start + size).encode())
        return found


Answer = Callable[[Fields, Any, Query], Fields | Response]


def place_of(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token + "==")) if token else 0
    except ValueError:
        raise wrong("Invalid pageToken") from None


def one_of(things: list[Fields], id: str, otherwise: str = "Not Found") -> Fields:
    found = next((thing for thing in things if thing["id"] == id), None)
    if found is None:
        raise unknown(otherwise)
    return found


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def shown(thing: Fields) -> Fields:
    """Without what the stand-in keeps for itself."""
    return {name: value for name, value in thing.items() if not name.startswith("_")}
