"""Is the audit what it was when it was sealed? Reads one batch at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Exists, OuterRef

from navi.audit.chain import (
    audit_key,
    head_path,
    leaf_of,
    leaves_digest,
    mac_as,
    mac_of,
    read_head,
    same,
    signature_of,
)
from navi.audit.models import BEGINNING, AuditBatch, AuditCheckpoint, AuditEvent, Link
from navi.keyring import Keyring, KeyringProblem

REORDERED_WITHIN = 1000


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was sealed."""

    kind: str
    message: str
    batch: int | None = None
    event: uuid.UUID | None = None


@dataclass
class Tally:
    """What a verification has looked at."""

    batches: int = 0
    events: int = 0
    unsealed: int = 0
    pruned_until: datetime | None = None


def verify(tally: Tally | None = None) -> Iterator[Finding]:
    """Walk the whole chain and yield what is wrong with it; nothing, where all is well."""
    tally = tally or Tally()
    head = read_head()  # first: what is sealed meanwhile only makes the table longer
    try:
        keyring = settings.NAVI_KEYS.keyring()
    except KeyringProblem as problem:
        yield Finding("keyring_missing", f"Nothing can be checked: {problem}")
        return
    end, checkpoint = BEGINNING, AuditCheckpoint.objects.newest()
    if checkpoint:
        yield from check_checkpoint(checkpoint, keyring)
        end, tally.pruned_until = checkpoint.link, checkpoint.pruned_until
    while batch := AuditBatch.objects.next_after(end.number):
        yield from check_batch(batch, end, keyring, tally)
        end = batch.link
    yield from check_head(head, end)
    yield from check_strays()
    tally.unsealed = AuditEvent.objects.unsealed().count()


def check_checkpoint(checkpoint: AuditCheckpoint, keyring: Keyring) -> Iterator[Finding]:
    """The chain begins behind what was pruned, if it was Navi that pruned."""
    number = checkpoint.number
    try:
        key = audit_key(keyring, checkpoint.key_id)
    except KeyError:
        yield key_missing(f"The checkpoint behind batch {number}", checkpoint.key_id, number)
    else:
        if not same(signature_of(checkpoint, key), checkpoint.signature):
            words = f"The checkpoint behind batch {number} was changed, or not made by Navi."
            yield Finding("checkpoint_changed", words, number)
    pruned = AuditBatch.objects.filter(number__lte=number)
    for back in pruned.values_list("number", flat=True).iterator():
        yield Finding("batch_inserted", f"Batch {back} is here again, though it was pruned.", back)


def check_batch(batch: AuditBatch, before: Link, keyring: Keyring, tally: Tally) -> Iterator[Finding]:
    number = batch.number
    tally.batches += 1
    if number > before.number + 1:
        yield missing(before.number + 1, number - 1)
    try:
        key = audit_key(keyring, batch.key_id)
    except KeyError:
        yield key_missing(f"Batch {number}", batch.key_id, number)
        return
    if not same(mac_of(batch, key), batch.mac):
        original = original_number(batch, key)
        if original:
            yield Finding("batch_reordered", f"Batch {number} was sealed as batch {original}.", number)
            return
        yield Finding("batch_changed", f"Batch {number} was changed, or not made by Navi.", number)
    elif number == before.number + 1 and not same(batch.previous_mac, before.mac):
        yield Finding("chain_broken", f"Batch {number} was sealed behind another batch {number - 1}.", number)
    yield from check_events(batch, key, tally)


def original_number(batch: AuditBatch, key: bytes) -> int | None:
    """The number under which this batch's HMAC is right, if it only changed its place."""
    digest = leaves_digest(batch.leaves)
    for number in range(max(1, batch.number - REORDERED_WITHIN), batch.number + REORDERED_WITHIN):
        if same(mac_as(number, batch, digest, key), batch.mac):
            return number
    return None


def check_events(batch: AuditBatch, key: bytes, tally: Tally) -> Iterator[Finding]:
    number = batch.number
    leaves = leaves_by_event(batch)
    for event_id, event in events_in(batch, leaves):
        tally.events += 1
        sealed = leaves.pop(event_id, None)
        if sealed is None:
            yield Finding(
                "event_inserted",
                f"Event {event_id} was put into batch {number} after it was sealed.",
                number,
                event_id,
            )
        elif event is None or not same(leaf_of(event, key), sealed):
            yield Finding(
                "event_changed", f"Event {event_id} of batch {number} was changed.", number, event_id
            )
    # Pruning takes a batch and its events away together; then nothing is amiss.
    if leaves and AuditBatch.objects.filter(number=number).exists():
        for event_id in leaves:
            yield gone(event_id, number)


def leaves_by_event(batch: AuditBatch) -> dict[uuid.UUID, str]:
    """What the batch lists. A list that no longer reads as one has failed its HMAC already."""
    try:
        return {uuid.UUID(event_id): str(leaf) for event_id, leaf in batch.leaves}
    except (TypeError, ValueError, AttributeError):
        return {}


def events_in(
    batch: AuditBatch, leaves: dict[uuid.UUID, str]
) -> Iterator[tuple[uuid.UUID, AuditEvent | None]]:
    """The batch's events; None for one whose row no longer reads (a time that is none, for example)."""
    seen: set[uuid.UUID] = set()
    rows = AuditEvent.objects.filter(batch=batch.number)
    try:
        for event in rows.iterator(chunk_size=500):
            seen.add(event.id)
            yield event.id, event
    except (ValueError, TypeError):
        for event_id in [known for known in leaves if known not in seen]:
            try:
                found = rows.filter(pk=event_id).first()
            except (ValueError, TypeError):
                yield event_id, None
            else:
                if found:
                    yield event_id, found


def gone(event_id: uuid.UUID, number: int) -> Finding:
    if AuditEvent.objects.filter(pk=event_id).exists():
        return Finding("event_moved", f"Event {event_id} was taken out of batch {number}.", number, event_id)
    return Finding("event_removed", f"Event {event_id} of batch {number} was removed.", number, event_id)


def check_head(head: Link | None, end: Link) -> Iterator[Finding]:
    if head is None:
        if end != BEGINNING:
            yield Finding(
                "head_missing",
                f"{head_path()} is missing or damaged: whether newer batches were cut off cannot be told.",
            )
    elif head.number > end.number:
        yield missing(end.number + 1, head.number)
    else:
        mac = AuditBatch.objects.filter(number=head.number).values_list("mac", flat=True).first()
        if mac is not None and not same(mac, head.mac):
            yield Finding(
                "batch_changed", f"Batch {head.number} is not the one the head file names.", head.number
            )


def check_strays() -> Iterator[Finding]:
    """Events that say they are sealed in a batch which is not there."""
    strays = AuditEvent.objects.filter(batch__isnull=False)
    strays = strays.filter(~Exists(AuditBatch.objects.filter(number=OuterRef("batch_id"))))
    for event_id, number in strays.values_list("id", "batch_id").iterator():
        yield Finding(
            "event_stray", f"Event {event_id} names batch {number}, which is not there.", number, event_id
        )


def missing(first: int, last: int) -> Finding:
    words = f"Batch {first} is missing." if first == last else f"Batches {first} to {last} are missing."
    return Finding("batch_missing", words, first)


def key_missing(what: str, key_id: str, number: int) -> Finding:
    words = f"{what} was sealed with key {key_id}, which is not in the keyring; restore it from your backup."
    return Finding("key_missing", words, number)
