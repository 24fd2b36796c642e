"""Putting work on the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from navi.jobs import bell
from navi.jobs.handlers import MAX_ATTEMPTS, handler_for
from navi.jobs.models import Job, State

AT_ONCE = 500  # rows in one statement, where the database takes as many


def enqueue(
    kind: str, object_id: str = "", *, due_at: datetime | None = None, max_attempts: int | None = None
) -> Job:
    """Have this done once your transaction is committed; a job that already waits for the same is kept.

    `max_attempts` comes from the handler unless it is given. Only ids go here, never a secret.
    """
    now = timezone.now()
    due_at = due_at or now
    if max_attempts is None:
        handler = handler_for(kind)
        max_attempts = handler.max_attempts if handler else MAX_ATTEMPTS
    job = waiting_job(kind, str(object_id), due_at=due_at, max_attempts=max_attempts)
    if job.due_at <= now:
        transaction.on_commit(bell.ring, robust=True)
    return job


def enqueue_all(kind: str, due: Mapping[str, datetime]) -> None:
    """As `enqueue` for many objects at once, each with its own time: one statement for some ninety (SQLite) or five hundred.

    A job that already waits for the same is kept as it is, also where it is due later.
    """
    handler = handler_for(kind)
    most = handler.max_attempts if handler else MAX_ATTEMPTS
    jobs = [Job(kind=kind, object_id=name, due_at=at, max_attempts=most) for name, at in due.items()]
    Job.objects.bulk_create(jobs, ignore_conflicts=True, batch_size=AT_ONCE)
    if any(at <= timezone.now() for at in due.values()):
        transaction.on_commit(bell.ring, robust=True)


@transaction.atomic
def waiting_job(kind: str, object_id: str, *, due_at: datetime, max_attempts: int) -> Job:
    place = {"kind": kind, "object_id": object_id, "state": State.QUEUED}
    facts = {"due_at": due_at, "max_attempts": max_attempts}
    # The lock lasts until the caller's commit: else a worker could run the job that waits before it can
    # see what the caller wrote, and the caller's change would be missed.
    waiting = Job.objects.select_for_update()
    try:
        job, is_new = waiting.get_or_create(**place, defaults=facts)
    except IntegrityError:
        # The one that waited was claimed between Django's two looks. The next look finds room.
        job, is_new = waiting.get_or_create(**place, defaults=facts)
    if not is_new and not job.attempts and due_at < job.due_at:
        job.due_at = due_at
        job.save(update_fields=["due_at"])
    return job


def run_again(job: Job) -> bool:
    """Give a dead letter all its attempts back. False: the same work waits already, or it is not dead."""
    revived = job.run_again(at=timezone.now())
    if revived:
        transaction.on_commit(bell.ring, robust=True)
    return revived
