"""Tokens that a vendor signed (RS256), as Google's Pub/Sub sends them: checked with the vendor's public keys."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from django.conf import settings

from credentials.client import outbound
from integrations.sdk import Incoming, SignedJwt, TryLater

LONGEST_TOKEN, LONGEST_KEYS = 8192, 256 * 1024
LEAST_KEPT, MOST_KEPT = 300.0, 86400.0
REFETCH_AFTER = (
    30.0  # seconds: an unknown key asks the vendor again, and whoever invents keys does not each time
)
CALM_FOR = 5.0  # seconds: while the vendor's keys cannot be had, those who come do not wait for it one by one
LEEWAY = 60.0
DEADLINE = 5.0
MAX_AGE = re.compile(r"max-age=([0-9]{1,9})", re.ASCII)


@dataclass
class Keys:
    """One vendor's keys by id. Times are monotonic seconds."""

    by_id: Mapping[str, Any] = field(default_factory=dict)
    fetched_at: float = float("-inf")
    good_until: float = float("-inf")
    failed_at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)


_known: dict[tuple[str, str], Keys] = {}


def proves(proof: SignedJwt, incoming: Incoming, *, upstream_of: str, email: str | None) -> bool:
    """Is the bearer token the vendor's, for this address, and fresh? `email` None: whoever the issuer says.

    Raises TryLater where the keys cannot be fetched. Call it outside a transaction.
    """
    kind, _, token = incoming.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.isascii() or not 0 < len(token) <= LONGEST_TOKEN or email == "":
        return False
    try:
        facts = jwt.get_unverified_header(token)
        key_id = facts.get("kid")
        if facts.get("alg") != "RS256" or not isinstance(key_id, str):
            return False
        key = key_of(proof.keys_url, key_id, upstream_of=upstream_of)
        return key is not None and holds(claims_of(token, key, incoming.url), proof, email)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False


def claims_of(token: str, key: Any, audience: str) -> dict[str, Any]:
    return jwt.decode(
        token, key, algorithms=["RS256"], audience=audience, leeway=LEEWAY,
        options={"require": ["exp", "iat", "iss", "aud"], "strict_aud": True},
    )  # fmt: skip


def holds(claims: Mapping[str, Any], proof: SignedJwt, email: str | None) -> bool:
    if claims.get("iss") not in proof.issuers:
        return False
    return email is None or (claims.get("email") == email and claims.get("email_verified") is True)


# --- keys


def key_of(url: str, key_id: str, *, upstream_of: str) -> Any:
    """The public key of this id; None where the vendor has none. Raises TryLater."""
    keys = _known.setdefault((url, settings.UPSTREAMS.get(upstream_of) or ""), Keys())
    if key_id in keys.by_id and time.monotonic() <= keys.good_until:
        return keys.by_id[key_id]
    with keys.lock:
        now = time.monotonic()
        is_stale = now > keys.good_until
        is_unknown = key_id not in keys.by_id and now - keys.fetched_at > REFETCH_AFTER
        if is_stale or is_unknown:
            renew(keys, url, upstream_of, at=now)
        return keys.by_id.get(key_id)


def renew(keys: Keys, url: str, upstream_of: str, *, at: float) -> None:
    """Ask for the list. Raises TryLater, at once where it has just failed."""
    if at - keys.failed_at < CALM_FOR:
        raise TryLater("The vendor's keys could not be fetched a moment ago.")
    try:
        fetch(keys, url, upstream_of)
    except Exception:
        keys.failed_at = time.monotonic()
        raise


def fetch(keys: Keys, url: str, upstream_of: str) -> None:
    answer = outbound(inside=False).send(
        "GET", url, deadline=DEADLINE, max_bytes=LONGEST_KEYS, upstream=settings.UPSTREAMS.get(upstream_of),
        name="The vendor's list of keys",
    )  # fmt: skip
    if answer.status_code != 200:
        raise TryLater("The vendor's keys cannot be fetched now.", status=answer.status_code)
    found = parsed(answer.json())
    if not found:
        raise TryLater("The vendor's list of keys is empty.")
    keys.by_id, keys.fetched_at = found, time.monotonic()
    told = MAX_AGE.search(answer.headers.get("Cache-Control", ""))
    lifetime = float(told[1]) if told else LEAST_KEPT
    keys.good_until = keys.fetched_at + min(max(lifetime, LEAST_KEPT), MOST_KEPT)


def parsed(answer: Any) -> dict[str, Any]:
    """RSA keys by id; what is of another kind or broken is left out."""
    rows = answer.get("keys") if isinstance(answer, dict) else None
    found = {}
    for row in rows if isinstance(rows, list) else []:
        try:
            if row["kty"] == "RSA" and isinstance(row["kid"], str):
                found[row["kid"]] = jwt.PyJWK(row, algorithm="RS256").key
        except (jwt.PyJWTError, LookupError, TypeError, ValueError):
            continue
    return found


def start_anew() -> None:
    """Forget all keys, for tests."""
    _known.clear()
