"""Nothing secret in logs and events.

Three ways to know a credential: by its shape (`lin_api_…`), by what stands before it (`password=…`, a key of
a dict), and because it was opened a moment ago in this very request (`remember`).

A shape is only looked for where its literal beginning occurs at all; that keeps ordinary lines cheap.
"""

from __future__ import annotations

import json
import logging
import math
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
DEEPEST = 8
SHORTEST_KNOWN, MOST_KNOWN = 8, 200

# --- by shape

# A beginning counts at the start of a word, and after an escape in a repr ("\n") or in a URL ("%3D").
START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"

# The literal that must occur, the beginning that stays readable, and the rest that becomes "…".
SHAPES: tuple[tuple[str, str, str], ...] = (
    ("navi_", r"navi_[a-z]{2,8}_[0-9A-Za-z]{12}_", r"[0-9A-Za-z]{6,}"),
    ("lin_", r"lin_(?:api|oauth|wh)_", r"[A-Za-z0-9]{8,}"),
    ("ntn_", r"ntn_", r"[A-Za-z0-9]{12,}"),
    ("secret_", r"secret_", r"(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9]{20,}"),
    ("xox", r"xox[a-z](?:\.xox[a-z])?-", r"[\w-]{8,}"),
    ("xapp-", r"xapp-", r"[\w-]{8,}"),
    ("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/", r"[\w/]{8,}"),
    ("github_pat_", r"github_pat_", r"\w{16,}"),
    ("gh", r"gh[opsur]_", r"[A-Za-z0-9_]{16,}"),
    ("gl", r"gl(?:pat|dt|rt|ptt|soat|cbt|imt|ft|agent|ffct)-", r"[\w.-]{10,}"),
    ("ya29.", r"ya29\.", r"[\w.-]{8,}"),
    ("1//", r"1//", r"(?=[\w-]{0,60}[0-9A-Z])[\w-]{16,}"),
    ("4/0", r"4/0", r"[\w-]{20,}"),
    ("GOCSPX-", r"GOCSPX-", r"[\w-]{8,}"),
    ("AIza", r"AIza", r"[\w-]{20,}"),
    ("sk-", r"sk-(?:ant-|proj-|svcacct-|or-v1-|admin-)?", r"(?=[\w-]{0,60}[0-9])[\w-]{16,}"),
    ("sk_", r"sk_(?:live|test)_", r"[A-Za-z0-9]{8,}"),
    ("rk_", r"rk_(?:live_|test_)?", r"(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9]{12,}"),
    ("whsec_", r"whsec_", r"[A-Za-z0-9+/=_-]{8,}"),
    ("sntry", r"sntry[a-z]?_", r"[A-Za-z0-9+/=_-]{12,}"),
    ("AT", r"AT(?:ATT|CTT|BB|OA)", r"(?=[\w=-]{0,60}[0-9a-z])[\w=-]{16,}"),
    ("hf_", r"hf_", r"[A-Za-z0-9]{16,}"),
    ("npm_", r"npm_", r"(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9]{20,}"),
    ("pypi-", r"pypi-", r"[\w-]{20,}"),
    ("fig", r"fig[doru]_", r"[\w-]{12,}"),
    ("sl.", r"sl\.(?:u\.)?", r"(?=[\w-]{0,60}[0-9])[\w-]{20,}"),
    ("_v1_", r"do[por]_v1_", r"[0-9a-f]{16,}"),
    ("SG.", r"SG\.", r"[\w-]{16,}\.[\w-]{16,}"),
    ("AKIA", r"AKIA", r"[0-9A-Z]{16}"),
    ("ASIA", r"ASIA", r"[0-9A-Z]{16}"),
    ("pat-", r"pat-(?:na|eu)\d-", r"[0-9a-f-]{16,}"),
    ("pat", r"pat[A-Za-z0-9]{14}\.", r"[0-9a-f]{32,}"),
    (":AA", r"\d{8,10}:AA", r"[\w-]{30,}"),
    ("/", r"[12]/\d{10,}(?:/\d{10,})?:", r"[0-9a-f]{32}"),
    ("eyJ", r"eyJ", r"[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){1,3}"),
    (
        "PRIVATE KEY",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----",
        r"(?s:.*?)(?:-----END [A-Z ]{0,30}KEY-----|\Z)",
    ),
)
SHAPE_PATTERNS = tuple(
    (literal, re.compile(f"{START}({beginning}){rest}", re.ASCII)) for literal, beginning, rest in SHAPES
)
MASKED = re.compile("(?:" + "|".join(beginning for _, beginning, _ in SHAPES) + ")…", re.ASCII)

# --- by what stands before it

NAMED = (
    r"(?:token|secret|passw(?:or)?d|passphrase|passwd|pwd|(?:api|access|private|signing|account|webhook)[_-]?key|"
    r"signature|credentials?|session(?:[_-]?(?:id|key))?|csrf[a-z]*|otp)"
)
NAMES = "token secret pass pwd key signature credential session csrf otp"
# Prose stays: a credential has a digit, or a capital inside a word. These two stay case-sensitive.
RANDOM = r"(?-i:(?=[^\s\"'&;,]{0,80}(?:[0-9]|[a-z][A-Z])))"
RANDOM_BASE64 = r"(?-i:(?=[\w+/]{0,80}(?:[0-9=]|[a-z][A-Z])))"
PLAIN_WORD = r"(?!(?:true|false|none|null|undefined|required|missing|invalid|expired)\b)"
# A traceback shows source lines; `password=settings.password()` gives nothing away.
CODE = r"(?![A-Za-z_][\w.]{0,80}[(\[])"
GAP = r"\s{0,3}"

# Words of which one must occur (in lower case), the pattern of what stays, and of what is hidden.
BEFORE: tuple[tuple[str, str, str], ...] = (
    # the whole line of a cookie
    ("cookie", rf"\b(?:set-)?cookie[\"']?{GAP}[:=]{GAP}b?[\"']?", r"[^\r\n\"'\\]{4,}"),
    # Authorization: <scheme> <anything>
    (
        "authorization",
        rf"authorization[\"']?,?{GAP}[:=]?{GAP}b?[\"']?(?:bearer|basic|token|digest|bot|apikey|key)\s{{1,3}}",
        r"[^\s\"',}\\]{4,}",
    ),
    ("authorization", rf"authorization[\"']?,?{GAP}[:=]{GAP}b?[\"']?", RANDOM + r"[^\s\"',}\\]{8,}"),
    ("bearer", r"\bbearer(?:\s{1,3}|%20|\+)", RANDOM + r"[\w.~+/=…-]{8,}"),
    ("basic", r"\bbasic(?:\s{1,3}|%20|\+)", RANDOM_BASE64 + r"[A-Za-z0-9+/_-]{8,}={0,2}"),
    # scheme://user:password@host
    ("://", r"://", r"[^/\s?#\"'<>@]{1,256}(?:@[^/\s?#\"'<>@]{1,256}){0,3}(?=@[\w.\[-])"),
    # ?access_token=…&code=…: what OAuth and signed links put in an address
    (
        "key= token= secret= password= passwd= sig= signature= jwt= assertion= verifier=",
        r"(?:[?&;]|%3F|%26)(?:[\w.\-\[\]]{0,40}(?:token|secret|password|passwd|api_?-?key|access_key|signature|"
        r"assertion|code_verifier)|key|sig|jwt)=",
        r"[^&\s#\"'<>;]{3,}",
    ),
    ("code= state=", r"(?:[?&]|%3F|%26)(?:code|state)=", RANDOM + r"[^&\s#\"'<>]{8,}"),
    # "api_key": "…"
    (
        NAMES,
        rf"{NAMED}\\?[\"']{GAP}(?::|=>|,|\]\s?=){GAP}b?(?P<quote>\\?[\"'])",
        r"(?:(?!(?P=quote))(?:\\.|[^\\]))+",
    ),
    # password=…, password='…', but not password=password
    (
        "token= secret= passw pass pwd= key= signature= credential session csrf otp=",
        rf"(?P<name>{NAMED})=b?[\"']?",
        rf"{PLAIN_WORD}{CODE}(?!(?P=name)\b)(?!\[hidden)[^\s\"'&;,<>(){{}}]{{3,}}",
    ),
    # password: hunter2; token = 8f14e45f
    (NAMES, rf"{NAMED}{GAP}[:=]{GAP}b?[\"']?", rf"{CODE}{RANDOM}[^\s\"'&;,<>(){{}}]{{6,}}"),
    # token 0123…cdef: Todoist's keys are bare hex, and so are the names of commits
    ("token key secret todoist", r"\b(?:token|key|secret|todoist)\W{1,3}(?:is\W{1,3})?", r"[0-9a-f]{40}\b"),
)
BEFORE_PATTERNS = tuple(
    (tuple(words.split()), re.compile(f"({before}){hidden}", re.ASCII | re.IGNORECASE))
    for words, before, hidden in BEFORE
)


def redact(text: str) -> str:
    """The text without what is, or looks like, a credential."""
    return redact_shapes(redact_known(text))


def redact_shapes(text: str) -> str:
    for literal, pattern in SHAPE_PATTERNS:
        if literal in text:
            text = pattern.sub(r"\1…", text)
    lowered = text.lower()
    for words, pattern in BEFORE_PATTERNS:
        if any(word in lowered for word in words):
            text = pattern.sub(hide, text)
    return text


def hide(match: re.Match[str]) -> str:
    hidden = match[0][len(match[1]) :]
    # Already masked by its shape: `Bearer lin_api_…` says more than `Bearer [hidden]`.
    return match[0] if MASKED.fullmatch(hidden) or hidden.startswith(HIDDEN) else match[1] + HIDDEN


# --- what this request has opened

_known: ContextVar[tuple[str, ...]] = ContextVar("known_values", default=())


@contextmanager
def known_values(values: Iterable[object] = ()) -> Iterator[None]:
    """Within the block these values, and those told to `remember`, are masked wherever they occur."""
    marker = _known.set(())
    try:
        remember(values)
        yield
    finally:
        _known.reset(marker)


def remember(values: Iterable[object]) -> None:
    """These are secret; mask them until the request (or job) ends. Short ones would hide half the words."""
    known = _known.get()
    fresh = [v for v in values if isinstance(v, str) and len(v) >= SHORTEST_KNOWN and v not in known]
    if fresh:
        _known.set((*known, *fresh)[-MOST_KNOWN:])


def redact_known(text: str) -> str:
    known = _known.get()
    if known:
        for spelling in spellings(known):
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
    return text


def spellings(known: tuple[str, ...]) -> list[str]:
    """The values as they are, in an address, in JSON and in a repr; the longest first."""
    found: set[str] = set()
    for value in known:
        found.add(value)
        if not value.isalnum():
            found |= {
                quote(value, safe=""),
                quote(value),
                quote_plus(value),
                json.dumps(value)[1:-1],
                repr(value)[1:-1],
            }
            found |= {line for line in value.splitlines() if len(line) >= 2 * SHORTEST_KNOWN}
    return sorted(found, key=len, reverse=True)


# --- values

SECRET_KEY = re.compile(
    r"(?:token|secret|password|passwd|passphrase|pwd|apikey|accesskey|privatekey|signingkey|accountkey|keyfile|"
    r"authorization|cookies?|credentials?|signature|sessionid|sessionkey|codeverifier|totp|otp|dsn)$"
)
NOT_SECRET = re.compile(r"^(?:has|is|no|needs|max|min|count|num)|^(?:next|prev|page|sync)\w*token$")


@lru_cache(maxsize=2048)
def names_a_secret(key: str) -> bool:
    """Whether what stands under this key is a secret: `apiKey`, `X-Auth-Token`, `client_secret`."""
    bare = re.sub(r"[^a-z0-9]", "", key.lower())
    return bool(SECRET_KEY.search(bare)) and not NOT_SECRET.search(bare)


def redact_value(value: Any, *, longest: int | None = None) -> Any:
    """Plain JSON of the value, masked. A text longer than `longest` loses its end, at a word."""
    return _plain(value, longest, DEEPEST)


def _plain(value: Any, longest: int | None, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return redact(_shortened(_storable(value), longest))
    if isinstance(value, int):
        return int(value) if -(2**53) <= value <= 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if depth <= 0:
        return "…"
    if isinstance(value, Mapping):
        return {
            redact(_shortened(_storable(str(key)), longest)): (
                _masked(item, depth - 1) if names_a_secret(str(key)) else _plain(item, longest, depth - 1)
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        if (
            len(value) == 2
            and isinstance(value, list | tuple)
            and isinstance(value[0], str)
            and names_a_secret(value[0])
        ):
            return [value[0], _masked(value[1], depth - 1)]  # a header as a pair
        return [_plain(item, longest, depth - 1) for item in value]
    return redact(_shortened(_storable(str(value)), longest))


def _masked(value: Any, depth: int) -> Any:
    """A value that stands under a secret's name: only its shape may show."""
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, Mapping) and depth > 0:
        return {redact(str(key)): _masked(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth > 0:
        return [_masked(item, depth - 1) for item in value]
    if isinstance(value, str):
        for literal, pattern in SHAPE_PATTERNS:
            if literal in value and (match := pattern.fullmatch(value)):
                return match[1] + "…"
    return HIDDEN


# JSON takes them, PostgreSQL's jsonb does not; half a surrogate pair cannot even be encoded.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    return (
        text if text.isascii() and "\x00" not in text else UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    )


def _shortened(text: str, longest: int | None) -> str:
    """Half a secret at the end would no longer be known for one, so the last word goes too."""
    if longest is None or len(text) <= longest:
        return text
    kept = text[:longest].rpartition(" ")[0]
    return f"{kept} … ({len(text)} characters)".lstrip()


# --- logs


class RedactingFilter(logging.Filter):
    """Masks a log record before a handler sees it: the message, its arguments, the traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = quietly(self.message, record), ()
        if record.exc_info:
            record.exc_text, record.exc_info = quietly(self.traceback, record), None
        elif record.exc_text:
            record.exc_text = quietly(redact, record.exc_text)
        if record.stack_info:
            record.stack_info = quietly(redact, record.stack_info)
        return True

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:  # wrong arguments for its format: logging would print both, unmasked
            text = f"{record.msg!r} {record.args!r}"
        return redact(text)

    def traceback(self, record: logging.LogRecord) -> str:
        if record.exc_text:
            return redact(record.exc_text)
        info: Any = record.exc_info
        return redact("".join(traceback.format_exception(*info)).rstrip("\n"))


def quietly(work: Callable[[Any], str], given: Any) -> str:
    """A log line never breaks the work it tells of; what cannot be masked is not shown."""
    try:
        return work(given)
    except Exception as problem:
        return f"[not shown: {type(problem).__name__} while masking]"
