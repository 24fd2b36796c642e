"""The ledger of work. django-q2 is only the doorbell: it carries nothing and decides nothing."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    DEAD = "dead", "Dead letter"


class JobQuerySet(models.QuerySet["Job"]):
    def due(self, at: datetime) -> JobQuerySet:
        """What may start now, oldest first. Two jobs of one object never run at the same time."""
        at_work = Job.objects.filter(
            kind=OuterRef("kind"), object_id=OuterRef("object_id"), state=State.RUNNING
        )
        waits = self.filter(state=State.QUEUED, due_at__lte=at, attempts__lt=F("max_attempts"))
        return waits.filter(~Exists(at_work)).order_by("due_at")

    def lost(self, at: datetime) -> JobQuerySet:
        """Running, but the worker that held the lease is gone."""
        return self.filter(state=State.RUNNING, lease_until__lt=at)

    def waiting(self) -> JobQuerySet:
        return self.filter(state__in=[State.QUEUED, State.RUNNING])

    def dead(self) -> JobQuerySet:
        return self.filter(state=State.DEAD)

    def ended_before(self, *, done: datetime, dead: datetime) -> JobQuerySet:
        return self.filter(
            Q(state=State.DONE, finished_at__lt=done) | Q(state=State.DEAD, finished_at__lt=dead)
        )


class Job(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60)
    object_id = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    due_at = models.DateTimeField(default=timezone.now)
    lease_owner = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "due_at"], name="job_state_due"),
            models.Index(fields=["state", "finished_at"], name="job_state_finished"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(max_attempts__gte=1), name="job_has_an_attempt"),
            models.UniqueConstraint(
                fields=["kind", "object_id"],
                condition=Q(state=State.QUEUED),
                name="one_waiting_job_per_object",
            ),
            models.UniqueConstraint(
                fields=["kind", "object_id"],
                condition=Q(state=State.RUNNING),
                name="one_running_job_per_object",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} ({self.state})"

    def claim(self, *, owner: uuid.UUID, at: datetime, lease: timedelta) -> bool:
        """Count the attempt before the work, so that a job that kills its worker ends too."""
        still_due = Job.objects.due(at).filter(pk=self.pk)
        claimed = still_due.update(
            state=State.RUNNING, attempts=F("attempts") + 1, lease_owner=owner, lease_until=at + lease
        )
        if claimed:
            self.refresh_from_db()
        return bool(claimed)

    def finish(self, *, at: datetime) -> bool:
        """False: the lease was lost meanwhile, and somebody else answers for the job."""
        return self._release(state=State.DONE, finished_at=at, last_error="")

    def fail(self, *, reason: str, at: datetime) -> bool:
        """Try again after a pause, or give up for good."""
        if self.attempts >= self.max_attempts:
            return self.bury(reason=reason, at=at)
        return self.put_back(due_at=at + pause_after(self.attempts), reason=reason, at=at)

    def bury(self, *, reason: str, at: datetime) -> bool:
        return self._release(state=State.DEAD, finished_at=at, last_error=reason[:200])

    def put_back(self, *, due_at: datetime, at: datetime, reason: str = "", counted: bool = True) -> bool:
        """Wait for another run; where the same work already waits again, that one is enough."""
        attempts = self.attempts if counted else self.attempts - 1
        try:
            with transaction.atomic():
                return self._release(
                    state=State.QUEUED, due_at=due_at, attempts=attempts, last_error=reason[:200]
                )
        except IntegrityError:
            return self._release(state=State.DONE, finished_at=at, last_error=reason[:200])

    def run_again(self, *, at: datetime) -> bool:
        """A dead letter gets all its attempts back. False: it is not dead, or the same work waits already."""
        dead = Job.objects.dead().filter(pk=self.pk)
        try:
            with transaction.atomic():
                return bool(dead.update(state=State.QUEUED, attempts=0, due_at=at, finished_at=None))
        except IntegrityError:
            return False

    def _release(self, **values: object) -> bool:
        held = Job.objects.filter(pk=self.pk, state=State.RUNNING, lease_owner=self.lease_owner)
        return bool(held.update(lease_owner=None, lease_until=None, **values))


def pause_after(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min … up to an hour, shortened by up to half so that a herd spreads."""
    seconds = min(FIRST_PAUSE.total_seconds() * 2.0 ** (attempts - 1), LONGEST_PAUSE.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.5, 1))  # noqa: S311 - not a secret


class Heartbeat(models.Model):
    """When each kind of process was last seen alive."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"
