"""Seal what was written since the last time: a batch once a minute, chained to the one before.

An event belongs to a batch because the batch lists it, not because of its time: one whose transaction was
slow to commit simply goes into the next.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from navi.audit.actor import SYSTEM
from navi.audit.chain import (
    advance_head,
    audit_key,
    end_of_chain,
    end_of_table,
    head_path,
    key_ids_in_use,
    leaf_of,
    mac_of,
    read_head,
    reset_head,
)
from navi.audit.models import BEGINNING, AuditBatch, AuditEvent
from navi.audit.record import record
from navi.audit.verify import Finding, Tally, verify
from navi.keyring import Keyring, KeyringProblem

__all__ = ["Finding", "Tally", "key_ids_in_use", "reset_head", "seal_batch", "verify"]

logger = logging.getLogger(__name__)

BATCH_MOST = 5000


class Overtaken(Exception):
    """Another process sealed some of these events first."""


def seal_batch(at: datetime) -> AuditBatch | None:
    """Seal all events that wait for it, and return the last batch made; None where there was nothing to do.

    Without a keyring nothing is sealed and nothing is lost: the events wait.
    """
    try:
        keyring = settings.NAVI_KEYS.keyring()
    except KeyringProblem as problem:
        logger.warning("The audit is not being sealed: %s", problem)
        return None
    remember_lost_head()
    newest = None
    while batch := seal_some(keyring, at):
        newest = batch
        if len(batch.leaves) < BATCH_MOST:
            break
    return newest


def remember_lost_head() -> None:
    """The next seal writes the head anew, so that it was missing has to be kept elsewhere."""
    if read_head() is None and end_of_table() != BEGINNING:
        logger.warning(
            "%s was missing or damaged: whether audit batches were cut off cannot be told.", head_path()
        )
        record("audit.head_lost", actor=SYSTEM)


def seal_some(keyring: Keyring, at: datetime) -> AuditBatch | None:
    events = sorted(AuditEvent.objects.unsealed()[:BATCH_MOST], key=lambda event: event.id)
    if not events:
        return None
    batch = batch_of(events, keyring, at)
    try:
        put_away(batch, events)
    except (IntegrityError, Overtaken):
        logger.info("Another process sealed batch %d first.", batch.number)
        return None
    return batch


def batch_of(events: list[AuditEvent], keyring: Keyring, at: datetime) -> AuditBatch:
    key, before = audit_key(keyring), end_of_chain()
    batch = AuditBatch(
        number=before.number + 1,
        sealed_at=at,
        leaves=[[str(event.id), leaf_of(event, key)] for event in events],
        key_id=keyring.primary,
        previous_mac=before.mac,
    )
    batch.mac = mac_of(batch, key)
    return batch


def put_away(batch: AuditBatch, events: list[AuditEvent]) -> None:
    """Of two sealers one wins: the number is the primary key, and only events without a batch are taken."""
    with transaction.atomic():
        batch.save()
        waiting = AuditEvent.ledger.filter(batch=None, pk__in=[event.pk for event in events])
        if waiting.update(batch=batch) != len(events):
            raise Overtaken
        transaction.on_commit(lambda: note_head(batch))


def note_head(batch: AuditBatch) -> None:
    try:
        advance_head(batch.link)
    except OSError as problem:
        logger.error(
            "%s cannot be written (%s); free some room or fix its rights.", head_path(), problem.strerror
        )
