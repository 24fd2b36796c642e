"""What is put under seal, byte for byte, and the links of the chain.

    leaf   HMAC over the content of one event
    batch  HMAC over its number, time, key, leaves and the HMAC of the batch before
    head   a file beside the database that names the newest batch, so that a chain cut short is noticed

Each HMAC is made under a key derived from the keyring and begins with what it is for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from django.conf import settings

from navi.audit.models import BEGINNING, AuditBatch, AuditCheckpoint, AuditEvent, Link
from navi.keyring import Keyring

# An empty value is left out, so a column added later does not change the content of older events.
SEALED_FIELDS = (
    "id",
    "at",
    "event",
    "outcome",
    "code",
    "actor_kind",
    "actor_id",
    "actor_label",
    "project_id",
    "project_slug",
    "provider",
    "plugin",
    "action",
    "connection_id",
    "connection_label",
    "request_id",
    "ip",
    "duration_ms",
    "detail",
)
HEAD = re.compile(r"([1-9][0-9]{0,14}) ([0-9a-f]{64})\n?")


def content(event: AuditEvent) -> bytes:
    """The event as it is sealed: the same before it is stored and after any database gave it back."""
    values = {name: canonical(name, getattr(event, name)) for name in SEALED_FIELDS}
    return packed({name: value for name, value in values.items() if value not in (None, "", {})})


def canonical(name: str, value: Any) -> Any:
    if name == "ip" and value:
        return address(value)
    return plain(value)


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)  # PostgreSQL writes 1e22 as a whole number
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def address(text: str) -> str:
    try:
        return ip_address(text).packed.hex()
    except ValueError:
        return text  # somebody wrote into the table; it will not match its leaf


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def packed(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def seal(key: bytes, purpose: str, message: bytes) -> str:
    return hmac.digest(key, purpose.encode() + b"\0" + message, "sha256").hex()


def audit_key(keyring: Keyring, key_id: str | None = None) -> bytes:
    return keyring.derive("audit", key_id)


def leaf_of(event: AuditEvent, key: bytes) -> str:
    return seal(key, "event", content(event))


def mac_of(batch: AuditBatch, key: bytes) -> str:
    return mac_as(batch.number, batch, leaves_digest(batch.leaves), key)


def mac_as(number: int, batch: AuditBatch, digest: str, key: bytes) -> str:
    """The HMAC this batch would have under another number."""
    return seal(
        key, "batch", packed([batch.previous_mac, number, moment(batch.sealed_at), batch.key_id, digest])
    )


def leaves_digest(leaves: Sequence[Any]) -> str:
    return hashlib.sha256(packed(leaves)).hexdigest()


def signature_of(checkpoint: AuditCheckpoint, key: bytes) -> str:
    times = [moment(checkpoint.pruned_until), moment(checkpoint.pruned_at)]
    return seal(
        key,
        "checkpoint",
        packed([checkpoint.number, checkpoint.mac, *times, checkpoint.events, checkpoint.key_id]),
    )


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def end_of_table() -> Link:
    newest = AuditBatch.objects.newest() or AuditCheckpoint.objects.newest()
    return newest.link if newest else BEGINNING


def end_of_chain() -> Link:
    """What the next batch follows. A head beyond the table means that batches were cut off; the gap stays."""
    table, head = end_of_table(), read_head()
    return head if head and head.number >= table.number else table


def key_ids_in_use() -> set[str]:
    """The keys without which the chain can no longer be checked; they must stay in the keyring."""
    found = set(AuditBatch.objects.order_by().values_list("key_id", flat=True).distinct())
    return found | set(AuditCheckpoint.objects.values_list("key_id", flat=True))


# --- the head file


def head_path() -> Path:
    return Path(settings.DATA_DIR) / "audit_head"


def read_head() -> Link | None:
    """The newest batch that was ever sealed here; None where the file is missing or unreadable."""
    try:
        match = HEAD.fullmatch(head_path().read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return Link(int(match[1]), match[2]) if match else None


def advance_head(link: Link) -> None:
    """Name this batch as the newest, unless a later one already is."""
    head = read_head()
    if head is None or head.number < link.number:
        write_head(link)


def reset_head() -> None:
    """Believe the table again. For a restored backup, whose chain ends earlier than the lost one."""
    end = end_of_table()
    if end == BEGINNING:
        head_path().unlink(missing_ok=True)
    else:
        write_head(end)


def write_head(link: Link) -> None:
    path = head_path()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix="audit_head.")  # mode 0600
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{link.number} {link.mac}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
