"""Secrets that Navi hands out: `navi_<kind>_<id>_<secret><crc>`.

The id is public (look-up, logs, audit). The checksum lets scanners and the API refuse a typo
without asking the database; it is no security. At rest there is only a peppered HMAC.
"""

from __future__ import annotations

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CRC_LENGTH = 12, 43, 6
FORM = re.compile(r"navi_(at|inv)_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)


@dataclass(frozen=True)
class Code:
    kind: str
    public_id: str
    text: str

    def __repr__(self) -> str:
        return f"<Code navi_{self.kind}_{self.public_id}>"


def base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def checksum(text: str) -> str:
    return base62(zlib.crc32(text.encode()), CRC_LENGTH)


def mint(kind: str) -> Code:
    """A new code with 71 random bits of id and 256 of secret."""
    public_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    secret = base62(int.from_bytes(secrets.token_bytes(32)), SECRET_LENGTH)
    body = f"navi_{kind}_{public_id}_{secret}"
    return Code(kind, public_id, body + checksum(body))


def parse(text: str, *, kind: str) -> Code | None:
    """The code in this text, or None where its form or checksum is wrong."""
    match = FORM.fullmatch(text)
    if match is None or match[1] != kind or checksum(text[:-CRC_LENGTH]) != match[4]:
        return None
    return Code(kind, match[2], text)


def digest(code: Code, pepper: bytes) -> bytes:
    return hmac.digest(pepper, f"{code.kind}-v1\0{code.text}".encode(), "sha256")
