"""A planted secret is found wherever it lies, and lies only where it must."""

from __future__ import annotations

import base64
import gzip
import html
import json
import logging
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from django.db import connection

from navi.audit.redact import RedactingFilter
from tests.canary.journey import Journey
from tests.canary.scanner import Scanner
from tests.canary.visitors import EchoVendor

# One that every encoding changes, and one that looks like the keys vendors issue.
PLANTED = "CANARY-self/test+Zq7Äß 9x'Kp\"2vB&tY4wM8n"
PLAIN = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
BEFORE = ("", "a", "ab", "abc")


def spread(data: bytes) -> bytes:
    """Among other things, as in a database file."""
    return b"SQLite format 3\x00\xff\xfe" + b"{'x': 1}" * 50 + data + b"\x00" * 7 + b"the end, and more text"


def writings(value: str) -> dict[str, bytes]:
    raw, inner = value.encode(), spread(value.encode())
    url64 = base64.urlsafe_b64encode
    return {
        "raw": raw,
        "upper": value.upper().encode(),
        "lower": value.lower().encode(),
        "reversed": value[::-1].encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "hex dump": raw.hex(" ").encode(),
        **{
            f"base64 at {len(before)}": base64.b64encode(before.encode() + raw + b"and then")
            for before in BEFORE
        },
        **{f"base64url at {len(before)}": url64(before.encode() + raw + b"and then") for before in BEFORE},
        "base64 alone": base64.b64encode(raw),
        "base64 in lines": base64.encodebytes(b"x" * 60 + raw + b"y" * 90),
        "base64 twice": base64.b64encode(base64.b64encode(b"to: " + raw)),
        "URL-encoded": quote(value).encode(),
        "URL-encoded safely": quote(value, safe="").encode(),
        "URL-encoded form": quote_plus(value).encode(),
        "URL-encoded twice": quote(quote(value, safe=""), safe="").encode(),
        "percents": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "JSON": json.dumps({"key": value}).encode(),
        "JSON as it is": json.dumps(value, ensure_ascii=False).encode(),
        "JSON in JSON": json.dumps(json.dumps({"key": value})).encode(),
        "Python's repr": repr({"key": value}).encode(),
        "HTML": html.escape(value).encode(),
        "UTF-16 LE": value.encode("utf-16-le"),
        "UTF-16 BE": value.encode("utf-16-be"),
        "zlib": zlib.compress(inner),
        "zlib, fast": zlib.compress(inner, 1),
        "zlib, best": zlib.compress(inner, 9),
        "gzip": gzip.compress(inner),
        **{f"pickle {protocol}": pickle.dumps({"args": (1, value)}, protocol) for protocol in range(6)},
        "pickle of bytes": pickle.dumps([raw, {"n": 1}], 2),
        "pickle → base64": base64.b64encode(pickle.dumps({"args": ("x" * 30, value), "kwargs": {}})),
        "pickle → base64url, signed": url64(pickle.dumps([value])).rstrip(b"=") + b":1vX9aB:sIgNaTuReOfThIs",
        "zlib → base64": base64.b64encode(zlib.compress(inner)),
        "signed and compressed as Django does": b"."
        + url64(zlib.compress(json.dumps({"k": value}).encode())).rstrip(b"=")
        + b":1vX9aB:sIgNaTuRe",
        "gzip → pickle → base64": base64.b64encode(pickle.dumps(gzip.compress(inner), 2)),
        "zlib → hex": zlib.compress(inner).hex().encode(),
        "zlib in zlib": zlib.compress(b"x" + zlib.compress(inner, 0) + b"y"),
        "base64 in UTF-16": base64.b64encode(b"to " + raw).decode().encode("utf-16-le"),
    }


@pytest.mark.parametrize("value", [PLANTED, PLAIN], ids=["with every sign", "like a key"])
@pytest.mark.parametrize("form", writings(PLAIN))
def test_the_scanner_finds_every_writing(value, form):
    assert Scanner({"self": value}).hits(spread(writings(value)[form]))


def test_the_scanner_finds_nothing_where_nothing_is():
    text = "The quick brown fox. CANARY-self is not all of it; nor is Zq7Äß. " * 3000
    data = text.encode() + zlib.compress(text.encode()) + base64.b64encode(text.encode()) + pickle.dumps(text)

    assert Scanner({"self": PLANTED, "key": "0a1b2c3d4e5f6071"}).hits(data) == set()


def test_a_hit_says_where_it_lies():
    data = base64.b64encode(zlib.compress(spread(PLANTED.encode())))

    assert "self as raw in zlib in base64" in map(str, Scanner({"self": PLANTED}).hits(data))


# --- a whole run


class Lines(logging.Handler):
    """What the configured handlers would have written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.addFilter(RedactingFilter())
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler = Lines()
    loggers = [logging.getLogger(name) for name in ("", "django.server", "django_q")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield handler.lines
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.fixture
def vendor(settings) -> Iterator[EchoVendor]:
    with EchoVendor() as standin:
        settings.UPSTREAMS = {"todoist": standin.url}
        settings.OUTBOUND_ALLOW = standin.url.removeprefix("http://")
        yield standin


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_secret_is_nowhere_but_where_it_must_be(
    live_server, vendor, lines, monkeypatch, tmp_path, settings
):
    def patience(seconds: float) -> None:
        monkeypatch.setattr("integrations.registry.DEADLINE", seconds)

    journey = Journey(live_server.url, vendor)
    patience(1.0)
    journey.people()
    journey.invitation()
    journey.agent()
    journey.custom_providers()
    journey.refused_keys()
    journey.foreign_keys()
    patience(20.0)  # these have to be saved, however busy the machine is
    journey.keys()
    journey.released()
    patience(1.0)
    journey.all_that_goes_wrong()
    journey.silence()
    journey.jobs()
    journey.no_audit()
    journey.damage()
    journey.every_page()
    journey.over()

    scanner = Scanner(journey.planted)
    # Were the places really looked at? What may rest there is found.
    assert Scanner({"label": "alice@example.org"}).hits(b"".join(data for _, data in at_rest()))
    assert scanner.hits("\n".join(lines).encode()) == set()
    assert {
        f"{answer.what} ({answer.status}): {hit}"
        for answer in journey.book
        for hit in scanner.hits(answer.raw)
        if answer not in journey.may_say.get(hit.name, ())
    } == set()
    assert {f"{place}: {hit}" for place, data in at_rest() for hit in scanner.hits(data)} == set()
    assert {f"{path}: {hit}" for path in files(tmp_path) for hit in scanner.hits(path.read_bytes())} == set()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def at_rest() -> Iterator[tuple[str, bytes]]:
    """The database as it lies on the disk, or each table as text."""
    if connection.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        connection.close()
        yield from ((found.name, found.read_bytes()) for found in sorted(path.parent.glob(f"{path.name}*")))
        return
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            yield table, "\n".join(row[0] for row in cursor.fetchall()).encode()
