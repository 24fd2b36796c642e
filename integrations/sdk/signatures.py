"""Is this from the vendor? Pure functions over the bytes as they came; whatever is odd is a No.

`SCHEMES` are the ways of vendors as facts, for providers that people describe themselves.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random
from collections.abc import Iterator, Sequence
from typing import Any

from integrations.sdk.webhook import Hmac, Incoming, SharedToken

# `int` reads "+1", "1_0", " 1" and Arabic digits too, and fails at five thousand of them.
DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)
MOST_SIGNATURES = 20


def proves(proof: Hmac | SharedToken, incoming: Incoming, secrets: Sequence[str], *, now: float) -> bool:
    """Does one of the secrets prove that the vendor sent this? `now` in epoch seconds. Never raises.

    All secrets and signatures are compared, each in constant time; an empty secret proves nothing.
    """
    usable = [secret for secret in secrets if secret]
    if isinstance(proof, SharedToken):
        return holds_token(proof, incoming, usable)
    return is_signed(proof, incoming, usable, now=now)


# --- a keyed hash


def is_signed(proof: Hmac, incoming: Incoming, secrets: Sequence[str], *, now: float) -> bool:
    # A timestamp inside the body is read once the body is proven: a stranger's five megabytes are no JSON to us.
    is_inside = bool(proof.timestamp_field) and "{timestamp}" not in proof.signed
    if is_inside and not bears_signature(proof, incoming, secrets, ""):
        return False
    timestamp = timestamp_of(proof, incoming)
    if timestamp is None or not is_fresh(proof, timestamp, now):
        return False
    return is_inside or bears_signature(proof, incoming, secrets, timestamp)


def bears_signature(proof: Hmac, incoming: Incoming, secrets: Sequence[str], timestamp: str) -> bool:
    message = signed_bytes(proof, incoming, timestamp)
    offered = list(signatures_in(proof, incoming))
    if message is None or not offered:
        return False
    found = False
    for secret in secrets:
        key = key_of(proof, secret)
        if not key:
            continue
        expected = hmac.new(key, message, getattr(hashlib, proof.algorithm)).digest()
        for signature in offered:
            found |= hmac.compare_digest(signature, expected)
    return found


def timestamp_of(proof: Hmac, incoming: Incoming) -> str | None:
    """The timestamp as it was sent, digits only; "" where the scheme has none; None where it is odd."""
    if proof.timestamp_field:
        text = incoming.said(*proof.timestamp_field.split("."))
    elif proof.timestamp_in:
        text = piece(incoming.headers.get(proof.timestamp_in, ""), proof.timestamp_prefix, proof.several)
    else:
        return ""
    return text if DIGITS.fullmatch(text) else None


def piece(value: str, prefix: str, between: str) -> str:
    """The header's value, or its one piece that begins so."""
    if not prefix:
        return value
    found = [
        part.strip().removeprefix(prefix) for part in value.split(between) if part.strip().startswith(prefix)
    ]
    return found[0] if len(found) == 1 else ""


def is_fresh(proof: Hmac, timestamp: str, now: float) -> bool:
    """Neither too old nor too far ahead."""
    if not proof.tolerance or not timestamp:
        return not proof.tolerance
    seconds = int(timestamp) / (1000 if proof.timestamp_unit == "ms" else 1)
    return abs(now - seconds) <= proof.tolerance


def signed_bytes(proof: Hmac, incoming: Incoming, timestamp: str) -> bytes | None:
    """What the vendor hashed; None where a piece of it is missing or was never sent by a vendor."""
    delivery = incoming.headers.get(proof.id_header, "") if proof.id_header else ""
    texts = {"{timestamp}": timestamp, "{id}": delivery, "{method}": incoming.method, "{url}": incoming.url}
    if proof.id_header and not delivery:
        return None
    try:
        pieces = [
            incoming.body if one == "{body}" else texts.get(one, one).encode("ascii") for one in proof.signed
        ]
    except UnicodeEncodeError:
        return None
    return b"".join(pieces)


def signatures_in(proof: Hmac, incoming: Incoming) -> Iterator[bytes]:
    """The signatures that the header offers, as bytes; those of an odd form are none."""
    value = incoming.headers.get(proof.header, "")
    parts = value.split(proof.several)[:MOST_SIGNATURES] if proof.several else [value]
    for part in parts:
        text = part.strip(" ") if proof.several else part
        if text.startswith(proof.prefix) and (found := decoded(proof, text.removeprefix(proof.prefix))):
            yield found


def decoded(proof: Hmac, text: str) -> bytes | None:
    """Vendors write lower-case hex and padded base64, and nothing else is taken for a signature."""
    size = hashlib.new(proof.algorithm, usedforsecurity=False).digest_size
    if proof.encoding == "hex":
        return bytes.fromhex(text) if re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text, re.ASCII) else None
    found = from_base64(text)
    return found if len(found) == size and base64.b64encode(found).decode() == text else None


def key_of(proof: Hmac, secret: str) -> bytes:
    """The key's bytes; b"" where the secret has not got the form that the scheme wants."""
    if proof.secret_form == "text":
        return secret.encode("utf-8", "replace")
    return from_base64(secret.removeprefix("whsec_") if proof.secret_form == "whsec" else secret)


def from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


# --- the secret itself


def holds_token(proof: SharedToken, incoming: Incoming, secrets: Sequence[str]) -> bool:
    offered = (
        [incoming.headers.get(proof.header, "")] if proof.header else texts_at(incoming.data, proof.field)
    )
    if not offered or not all(text and text.isascii() for text in offered):
        return False
    found = False
    for secret in secrets:
        expected = secret.encode("utf-8", "replace")
        same = True
        for text in offered:
            same &= hmac.compare_digest(text.encode("ascii"), expected)
        found |= same
    return found


def texts_at(data: Any, path: str) -> list[str]:
    """All texts at a dotted place; a list on the way is walked through, and what is missing counts as ""."""
    found = [data]
    for name in path.split("."):
        flat = [item for one in found for item in (one if isinstance(one, list) else [one])]
        found = [one.get(name) if isinstance(one, dict) else None for one in flat]
    return [one if isinstance(one, str) else "" for one in found]


# --- signing, for those who make the secret and for tests


def new_secret(proof: Any) -> str:
    """A fresh secret of the form that the scheme wants: 256 bits."""
    if isinstance(proof, Hmac) and proof.secret_form != "text":
        text = base64.b64encode(random.token_bytes(32)).decode()
        return f"whsec_{text}" if proof.secret_form == "whsec" else text
    return random.token_hex(32)


def signature(proof: Hmac, incoming: Incoming, secret: str, *, timestamp: str = "") -> str:
    """One signature as the vendor writes it, with its prefix. Raises ValueError for a secret of another form."""
    message, key = signed_bytes(proof, incoming, timestamp), key_of(proof, secret)
    if message is None or not key:
        raise ValueError("This cannot be signed.")
    digest = hmac.new(key, message, getattr(hashlib, proof.algorithm)).digest()
    return proof.prefix + (digest.hex() if proof.encoding == "hex" else base64.b64encode(digest).decode())
