"""What a token endpoint's answer holds, read so that garbage is never taken for a grant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from navi.net.answer import parse_json
from navi.net.oauth import OAuth2

LONGEST_TOKEN = 16384
TOKEN = re.compile(r"[\x21-\x7e]+")
# It only ever travels in a body, so it may hold what RFC 6749 allows besides: spaces.
REFRESH_TOKEN = re.compile(r"[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*")
# What travels as `Authorization: Bearer`; Slack calls its bearer tokens by whom they act for.
TOKEN_TYPES = {"", "bearer", "bot", "user", "token"}
LONGEST_LIFE = 10 * 365 * 24 * 3600
LONGEST_WORDS = 200
ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
# RFC 6749 5.2 and 4.1.2.1, and what Slack and GitHub say instead.
DEAD = {"invalid_grant", "invalid_refresh_token", "bad_refresh_token", "token_revoked", "token_expired"}
WRONG_APP = {
    "invalid_client", "unauthorized_client", "invalid_client_id", "bad_client_secret",
    "incorrect_client_credentials", "incorrect_application_credentials", "redirect_uri_mismatch", "bad_redirect_uri",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Grant:
    """Tokens with what was said of them. `scopes` is None where the answer tells none; `life` is in seconds."""

    fields: dict[str, str]
    life: int | None = None
    scopes: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return "<Grant>"


class Denied(Exception):
    """The token endpoint said no, in the words of OAuth."""

    def __init__(self, error: str, words: str = "") -> None:
        super().__init__(error)
        self.error, self.words = error, words

    @property
    def is_dead(self) -> bool:
        """Is it the grant itself that is no longer accepted?"""
        return self.error in DEAD

    @property
    def is_of_the_app(self) -> bool:
        return self.error in WRONG_APP


class Garbled(Exception):
    """The token endpoint answered with what is neither a grant nor a refusal."""


def read(status: int, content: bytes, facts: OAuth2) -> Grant:
    """The grant in an answer. Raises Denied or Garbled."""
    body = object_in(status, content)
    if error := error_in(body):
        raise Denied(error, words_in(body))
    if status >= 300:
        raise Garbled(f"status {status}")
    tokens = inside(body, facts.tokens_at)
    return Grant(tokens_in(tokens, body), life_in(tokens, facts), scopes_in(tokens, body, facts))


def object_in(status: int, content: bytes) -> dict[str, Any]:
    try:
        body = parse_json(content)
    except (ValueError, RecursionError):
        raise Garbled(f"status {status}, no JSON") from None
    if not isinstance(body, dict):
        raise Garbled("no JSON object")
    return body


def error_in(body: Mapping[str, Any]) -> str:
    """The error's code. Some vendors send it with status 200, some as an object."""
    error = body.get("error")
    if isinstance(error, Mapping):
        error = error.get("code") or error.get("type") or "error"
    if not error and body.get("ok") is not False:
        return ""
    return error if isinstance(error, str) and ERROR_CODE.fullmatch(error) else "error"


def words_in(body: Mapping[str, Any]) -> str:
    words = body.get("error_description") or body.get("message") or ""
    return re.sub(r"\s+", " ", words).strip()[:LONGEST_WORDS] if isinstance(words, str) else ""


def inside(body: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    found: Any = body
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise Garbled("no tokens where the vendor puts them")
    return found


def tokens_in(tokens: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, str]:
    """access_token, refresh_token where there is one, and a user's token beside a bot's (Slack)."""
    kind = tokens.get("token_type") or ""
    if not isinstance(kind, str) or kind.lower() not in TOKEN_TYPES:
        raise Garbled("tokens of a type that Navi cannot send")
    user = body.get("authed_user")
    found = {
        "access_token": token(tokens.get("access_token")),
        "refresh_token": token(tokens.get("refresh_token"), REFRESH_TOKEN),
        "user_access_token": token(user.get("access_token")) if isinstance(user, Mapping) else "",
    }
    if not found["access_token"]:
        found["access_token"] = found.pop("user_access_token", "")
    if not found["access_token"]:
        raise Garbled("no access token")
    return {name: value for name, value in found.items() if value}


def token(value: Any, form: re.Pattern[str] = TOKEN) -> str:
    is_one = isinstance(value, str) and len(value) <= LONGEST_TOKEN and form.fullmatch(value)
    return value if is_one else ""


def life_in(tokens: Mapping[str, Any], facts: OAuth2) -> int | None:
    """Seconds until the access token ends; what makes no sense counts as not told."""
    said = tokens.get("expires_in")
    if isinstance(said, str) and re.fullmatch(r"[0-9]{1,12}", said):
        said = int(said)
    if isinstance(said, bool) or not isinstance(said, int | float) or said < 1:
        return facts.lifetime
    return int(min(said, LONGEST_LIFE))


def scopes_in(tokens: Mapping[str, Any], body: Mapping[str, Any], facts: OAuth2) -> tuple[str, ...] | None:
    """What was granted, a user's scopes beside a bot's included; None where nobody said."""
    user = body.get("authed_user")
    said = [tokens.get("scope"), user.get("scope") if isinstance(user, Mapping) else None]
    lists = [split(one, facts.granted_separator) for one in said if isinstance(one, str | list)]
    return tuple(dict.fromkeys(scope for one in lists for scope in one)) if lists else None


# RFC 6749 3.3, and no more than a row can be asked to hold.
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,300}")
SCOPES_MOST = 100


def split(said: Any, separator: str) -> list[str]:
    # Linear answers apps of before December 2023 with a list.
    parts = said if isinstance(said, list) else str(said).split(separator.strip() or None)
    named = [part.strip() for part in parts if isinstance(part, str)]
    return [part for part in named if SCOPE.fullmatch(part)][:SCOPES_MOST]
