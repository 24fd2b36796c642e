"""What a vendor said, as rows take it: ids and JSON that every database stores and every reader can read."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from pydantic_core import to_jsonable_python

from credentials.vault import VaultSealed
from integrations.sdk import Item
from navi.keyring import KeyringProblem

# JSON takes them; PostgreSQL, and whoever writes UTF-8, do not.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
DEEPEST = 60
LARGEST = 256 * 1024  # bytes of JSON of one item
ID_LONGEST = 300
ID_KEPT = 200


@dataclass(frozen=True)
class Ready:
    """An item as its row takes it. `digest` is empty for a deleted one."""

    id: str
    data: Any
    digest: str
    is_deleted: bool


def ready(items: Iterable[Item | Ready]) -> list[Ready]:
    """The items as rows take them, each id once: the last one holds. Costs time, so do it before the transaction.

    Raises VaultSealed where Navi has not got its keys, TypeError and ValueError for what is no JSON.
    """
    key = digest_key()
    found = {one.id: one for one in (item if isinstance(item, Ready) else made(item, key) for item in items)}
    return list(found.values())


def made(item: Item, key: bytes) -> Ready:
    name = storable_id(item.id)
    if item.is_deleted:
        return Ready(name, None, "", True)
    data = storable(to_jsonable_python(item.data))
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    digest = hmac.new(key, text, "sha256").hexdigest()
    return Ready(name, data if len(text) <= LARGEST else left_out(len(text)), digest, False)


def left_out(size: int) -> dict[str, Any]:
    """In the place of a body that is too large."""
    words = f"This item is {size // 1024} KB of JSON; Navi keeps at most {LARGEST // 1024} KB of one."
    return {"leftOut": words, "bytes": size}


def digest_key() -> bytes:
    """The digest stands beside the sealed content: with a key, so that nobody can guess the content by it.

    From the pepper, which stays when the keyring is rotated. Raises VaultSealed.
    """
    try:
        key: bytes = settings.NAVI_KEYS.pepper().derive("records")
    except KeyringProblem as problem:
        raise VaultSealed(str(problem)) from None
    return key


def storable_id(name: object) -> str:
    """An id that its column takes; one that had to be changed stays different from all others."""
    given = str(name)
    clean = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", given)
    if clean == given and len(given) <= ID_LONGEST:
        return given
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{clean[:ID_KEPT]}~{digest}"


def storable(value: Any, depth: int = DEEPEST) -> Any:
    """Plain JSON with nothing cut off but what lies too deep: no NUL, no half of a surrogate pair, no NaN."""
    if isinstance(value, str):
        return value if is_plain(value) else UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping | list) and depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(one, depth - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [storable(one, depth - 1) for one in value]
    return value


def is_plain(text: str) -> bool:
    return text.isascii() and "\x00" not in text
