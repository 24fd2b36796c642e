"""What syncs brought home, how far each has come, and what there is to choose from at a vendor."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection
from credentials.vault import SealedJSONField
from navi.projects.models import Project


class SyncStateQuerySet(models.QuerySet["SyncState"]):
    def in_project(self, project: Project) -> SyncStateQuerySet:
        return self.filter(project=project)

    def due(self, at: datetime) -> SyncStateQuerySet:
        """Those whose time has come, the one that waits longest first."""
        return self.filter(is_paused=False, next_run_at__lte=at).order_by("next_run_at")


class SyncState(models.Model):
    """One sync of one account, or of one part of it (a calendar): where it goes on, and how it fares."""

    class Phase(models.TextChoices):
        IDLE = "idle", "Idle"
        RUNNING = "running", "Running"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="sync_states")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="sync_states")
    plugin = models.CharField(max_length=60)
    kind = models.CharField(max_length=60)
    part = models.CharField(max_length=300, blank=True)
    phase = models.CharField(max_length=10, choices=Phase.choices, default=Phase.IDLE)
    cursor = models.JSONField(null=True)  # the plugin's own; null: from the beginning
    is_paused = models.BooleanField("paused", default=False)
    # A pass over everything has a number; what it did not meet was deleted at the vendor.
    epoch = models.PositiveIntegerField(default=0)
    is_full = models.BooleanField(default=True)
    pages = models.PositiveIntegerField(default=0)  # of the run under way, or the last
    seen = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    deleted = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)  # how many there will be, where the vendor says
    started_at = models.DateTimeField(null=True)
    page_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    next_run_at = models.DateTimeField(default=timezone.now)
    error_count = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=300, blank=True)
    asked_by = models.CharField(max_length=160, blank=True)

    objects = SyncStateQuerySet.as_manager()

    class Meta:
        ordering = ["plugin", "kind", "part"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "plugin", "kind", "part"], name="one_sync_state_per_part"
            )
        ]
        indexes = [
            models.Index(fields=["next_run_at"], condition=Q(is_paused=False), name="sync_due"),
            models.Index(fields=["project", "plugin"], name="sync_of_project"),
        ]

    def __str__(self) -> str:
        return f"{self.plugin} {self.kind} {self.part}".strip()

    @property
    def seal_owner(self) -> str:
        return str(self.project_id)


class RecordQuerySet(models.QuerySet["Record"]):
    def in_project(self, project: Project) -> RecordQuerySet:
        return self.filter(project=project)


class Record(models.Model):
    """One thing at a vendor as it was last seen: an event, a task, a message. A deleted one is a tombstone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="records")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="records")
    plugin = models.CharField(max_length=60)
    kind = models.CharField(max_length=60)
    part = models.CharField(max_length=300, blank=True)
    external_id = models.CharField(max_length=300)
    data = SealedJSONField(null=True)  # type: ignore[misc]  # null: a tombstone
    content_hash = models.CharField(max_length=64, blank=True)  # unchanged content writes nothing
    is_deleted = models.BooleanField(default=False)
    epoch = models.PositiveIntegerField(default=0)  # of the full pass that met it last
    # Grows with every change in the project: what the API's cursor counts.
    sequence = models.BigIntegerField()
    first_seen_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    objects = RecordQuerySet.as_manager()

    class Meta:
        ordering = ["sequence"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "plugin", "kind", "part", "external_id"], name="one_record_per_thing"
            )
        ]
        indexes = [
            models.Index(fields=["project", "plugin", "kind", "sequence"], name="record_in_order"),
            models.Index(fields=["is_deleted", "changed_at"], name="record_tombstones"),
        ]

    def __str__(self) -> str:
        return f"{self.plugin} {self.kind} {self.external_id}"

    @property
    def seal_owner(self) -> str:
        return str(self.project_id)


class RecordClock(models.Model):
    """The last `sequence` given out in a project. Whoever takes one holds the row until the commit, so that
    numbers become visible in their order and a reader's cursor never skips one."""

    project = models.OneToOneField(Project, models.CASCADE, primary_key=True, related_name="record_clock")
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.project_id} at {self.last}"


class Discovered(models.Model):
    """What an account had to choose from when the vendor was last asked; still there when the vendor is down."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="discovered")
    plugin = models.CharField(max_length=60)
    resource = models.CharField(max_length=60)
    choices = models.JSONField(default=list)  # [{"id", "label"}]
    fetched_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "discovered"
        constraints = [
            models.UniqueConstraint(fields=["connection", "plugin", "resource"], name="discovered_once")
        ]

    def __str__(self) -> str:
        return f"{self.plugin} {self.resource} of {self.connection_id}"
