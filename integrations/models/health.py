"""How integrations fare: each look at a vendor, the roll-up, and what success is counted from."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection, Health
from navi.projects.models import Project


class IntegrationStatus(models.Model):
    """The roll-up of a provider's default connection, per project or per person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=60)
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="statuses")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="statuses"
    )
    status = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN)
    reason = models.CharField(max_length=300, blank=True)
    since = models.DateTimeField(default=timezone.now)
    last_check_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True)
    error_count = models.PositiveIntegerField(default=0)
    error_message = models.CharField(max_length=300, blank=True)
    metadata = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "integration statuses"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "project"], condition=Q(user=None), name="status_per_project"
            ),
            models.UniqueConstraint(
                fields=["provider", "user"], condition=Q(project=None), name="status_per_person"
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        """The seeds' id: `linear:global` or `linear:project-<id>`."""
        return f"{self.provider}:project-{self.project_id}" if self.project_id else f"{self.provider}:global"


class HealthCheckQuerySet(models.QuerySet["HealthCheck"]):
    def in_trouble(self) -> HealthCheckQuerySet:
        return self.filter(~Q(status=Health.HEALTHY))


class HealthCheck(models.Model):
    """One look at a vendor with one connection's credentials."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="checks")
    at = models.DateTimeField(default=timezone.now)
    status = models.CharField(max_length=10, choices=Health.choices)
    reason = models.CharField(max_length=300, blank=True)
    code = models.CharField(max_length=40, blank=True)
    latency_ms = models.PositiveIntegerField(null=True)
    asked_by = models.CharField(max_length=20, default="schedule")  # schedule, person, agent, connect, use

    objects = HealthCheckQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["connection", "-at"], name="check_connection_at"),
            models.Index(
                fields=["connection", "-at"], condition=~Q(status=Health.HEALTHY), name="check_in_trouble"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.status} at {self.at:%Y-%m-%d %H:%M}"


class Milestone(models.Model):
    """What the success figures are computed from: setup, first use, recovery, agents' calls."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=30)  # setup_started, setup_succeeded, …, satisfaction
    provider = models.CharField(max_length=60, blank=True)
    project_id = models.UUIDField(null=True)
    attempt = models.UUIDField(null=True)  # ties a setup's start, end and first use together
    value = models.FloatField(null=True)  # seconds, or the answer from 1 to 5

    class Meta:
        indexes = [models.Index(fields=["kind", "at"], name="milestone_kind_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.provider}"
