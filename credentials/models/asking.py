"""The requests by which agents ask a person to connect a service."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from credentials.models.connection import Connection
from navi.projects.models import Project


class ConnectRequest(models.Model):
    """An agent asks a person to connect a service; the secret never passes through the agent."""

    class State(models.TextChoices):
        PENDING = "pending", "Waiting for a person"
        DONE = "done", "Connected"
        FAILED = "failed", "Declined"
        EXPIRED = "expired", "Expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=60)
    project = models.ForeignKey(Project, models.CASCADE, related_name="connect_requests")
    for_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Given: a connection for all projects of this person, and only they may finish it.",
    )
    reconnects = models.ForeignKey(Connection, models.SET_NULL, null=True, blank=True, related_name="+")
    scopes = models.JSONField(default=list, blank=True)
    asked_by = models.CharField(max_length=160)
    token_public_id = models.CharField(max_length=12)
    user_code = models.CharField(max_length=9)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    wrong_codes = models.PositiveSmallIntegerField(default=0)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, blank=True, related_name="+")
    result = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.asked_by} asks for {self.provider}"

    @property
    def is_open(self) -> bool:
        return self.state == self.State.PENDING and self.expires_at > timezone.now()

    def close(self, state: str, **facts: Any) -> bool:
        """End the request once. False: somebody was faster or it expired."""
        rows = ConnectRequest.objects.filter(
            pk=self.pk, state=self.State.PENDING, expires_at__gt=timezone.now()
        )
        return bool(rows.update(state=state, **facts))
