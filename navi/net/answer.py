"""What came back, read with care."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NoReturn

from navi.net.errors import TryLater

MAX_JSON_DEPTH = 100


class Headers(Mapping[str, str]):
    """Headers by name in any case; a header sent several times reads as its values joined by commas."""

    def __init__(self, pairs: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs.items() if isinstance(pairs, Mapping) else pairs)

    def __getitem__(self, name: str) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.pairs))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_list(name))

    def get_list(self, name: str) -> list[str]:
        """The values of a header, in the order they came (Set-Cookie cannot be joined)."""
        return [value for key, value in self.pairs if key.lower() == name.lower()]

    def without(self, *names: str) -> "Headers":
        return Headers((name, value) for name, value in self.pairs if name.lower() not in names)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


@dataclass(frozen=True)
class Response:
    """A whole answer. `url` comes without its query, `elapsed_ms` counts from the call to the last byte."""

    status_code: int
    headers: Headers = field(default_factory=Headers, repr=False)
    content: bytes = field(default=b"", repr=False)
    elapsed_ms: int = 0
    url: str = field(default="", repr=False)
    name: str = "The service"

    @property
    def text(self) -> str:
        """The body as text, in the charset the answer names or UTF-8; what cannot be read becomes U+FFFD."""
        try:
            return self.content.decode(charset_of(self.headers), errors="replace")
        except (LookupError, ValueError):
            return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises TryLater where it is not, nests deeper than 100 or repeats a key."""
        try:
            return parse_json(self.content)
        except (ValueError, RecursionError):
            pass
        raise TryLater(
            f"{self.name} answered with something Navi cannot read. Try again later.",
            status=self.status_code,
            sent=True,
        )


def charset_of(headers: Headers) -> str:
    message = Message()
    message["Content-Type"] = headers.get("content-type", "")
    return message.get_content_charset("utf-8")


def parse_json(content: bytes) -> Any:
    """Strict JSON. Raises ValueError or RecursionError for NaN, infinity, repeated keys, deep nesting."""
    value = json.loads(
        content.decode("utf-8-sig"),
        object_pairs_hook=each_key_once,
        parse_constant=not_a_number,
        parse_float=finite,
    )
    check_depth(value)
    return value


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def not_a_number(text: str) -> NoReturn:
    raise ValueError("JSON has no such number")


def finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large to hold")
    return number


def check_depth(value: Any) -> None:
    """Raise ValueError where lists and objects nest deeper than MAX_JSON_DEPTH."""
    level, depth = [value] if isinstance(value, (dict, list)) else [], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise ValueError("nested too deeply")
        level = [inner for outer in level for inner in children(outer) if isinstance(inner, (dict, list))]


def children(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
