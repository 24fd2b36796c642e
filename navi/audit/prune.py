"""Forget old audit on purpose, and leave a signed checkpoint that says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from navi.audit.actor import SYSTEM, Actor
from navi.audit.chain import audit_key, signature_of
from navi.audit.models import BEGINNING, AuditBatch, AuditCheckpoint, AuditEvent
from navi.audit.record import record
from navi.audit.verify import Finding, Tally, check_batch
from navi.keyring import Keyring


class Damaged(Exception):
    """What was to be pruned is not as it was sealed; pruning would wipe the traces."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True)
class Pruned:
    batches: int
    events: int


def prune(older_than: datetime, *, at: datetime, actor: Actor = SYSTEM, force: bool = False) -> Pruned:
    """Delete the whole batches sealed before `older_than`, with their events, oldest first.

    A batch that does not verify stops it (Damaged), unless forced. What waits to be sealed stays.
    Raises KeyringProblem where there is no keyring to sign the checkpoint with.
    """
    keyring = settings.NAVI_KEYS.keyring()
    batches = events = 0
    try:
        while batch := next_to_go(older_than):
            if not force:
                refuse_damaged(batch, keyring)
            events += drop(batch, keyring, at)
            batches += 1
    finally:
        if batches:
            detail = {"batches": batches, "events": events, "until": older_than, "forced": force}
            record("audit.pruned", actor=actor, detail=detail)
    return Pruned(batches, events)


def next_to_go(older_than: datetime) -> AuditBatch | None:
    """The oldest batch, if its time is up: the chain is only ever shortened at its beginning."""
    oldest = AuditBatch.objects.order_by("number").first()
    return oldest if oldest and oldest.sealed_at < older_than else None


def refuse_damaged(batch: AuditBatch, keyring: Keyring) -> None:
    checkpoint = AuditCheckpoint.objects.newest()
    before = checkpoint.link if checkpoint else BEGINNING
    for finding in check_batch(batch, before, keyring, Tally()):
        raise Damaged(finding)


def drop(batch: AuditBatch, keyring: Keyring, at: datetime) -> int:
    """One batch in one transaction: whenever it is cut off, the chain verifies."""
    with transaction.atomic():
        former = AuditCheckpoint.objects.newest()
        events, _ = AuditEvent.ledger.filter(batch=batch.number).delete()
        AuditBatch.ledger.filter(number=batch.number).delete()
        AuditCheckpoint.objects.all().delete()
        checkpoint = AuditCheckpoint(
            number=batch.number,
            mac=batch.mac,
            pruned_until=batch.sealed_at,
            pruned_at=at,
            events=events + (former.events if former else 0),
            key_id=keyring.primary,
        )
        checkpoint.signature = signature_of(checkpoint, audit_key(keyring))
        checkpoint.save(force_insert=True)
    return events
