"""The inbox: where vendors call, and everything that they said there."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection
from credentials.vault import SealedJSONField
from navi.projects.models import Project


def new_key() -> str:
    """128 random bits: the last part of the address that the vendor calls."""
    return secrets.token_hex(16)


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def in_project(self, project: Project) -> WebhookEndpointQuerySet:
        return self.filter(project=project)

    def to_renew(self, at: datetime) -> WebhookEndpointQuerySet:
        return self.filter(renew_at__lte=at, is_paused=False)


class WebhookEndpoint(models.Model):
    """One address that one vendor calls for one account (or one resource of it) of one project."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for the vendor's first call"  # nothing has come yet
        ACTIVE = "active", "Active"
        FAILED = "failed", "Could not be registered"
        EXPIRED = "expired", "Expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=32, unique=True, default=new_key, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="webhook_endpoints")
    provider = models.CharField(max_length=60)
    plugin = models.CharField(max_length=60)
    connection = models.ForeignKey(
        Connection, models.CASCADE, null=True, blank=True, related_name="webhook_endpoints"
    )
    resource = models.CharField(max_length=300, blank=True)  # a calendar, a repository, a label
    label = models.CharField(max_length=160, blank=True)
    scheme = models.CharField(
        max_length=30, blank=True
    )  # how a custom provider signs; plugins say it themselves
    # {"live": [{"value": "…", "until": epoch seconds or null}], …}; the first is the newest.
    secrets = SealedJSONField(null=True)  # type: ignore[misc]
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    state_reason = models.CharField(max_length=300, blank=True)
    is_paused = models.BooleanField("paused", default=False)
    # What the vendor knows it by, where Navi registered it: {"id": …, "resourceId": …}. No secrets.
    registration = models.JSONField(default=dict, blank=True)
    expires_at = models.DateTimeField(null=True)  # of a channel or watch, at the vendor
    renew_at = models.DateTimeField(null=True)
    last_number = models.BigIntegerField(null=True)  # of the vendor's own counting, to see gaps
    last_delivery_at = models.DateTimeField(null=True)
    caught_up_at = models.DateTimeField(null=True)  # by a sync, where deliveries were missing
    refused_count = models.PositiveIntegerField(default=0)
    refused_at = models.DateTimeField(null=True)  # when the audit was last told
    created_by = models.CharField(max_length=160, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]
        indexes = [
            models.Index(fields=["project", "plugin"], name="endpoint_of_project"),
            models.Index(fields=["renew_at"], condition=Q(renew_at__isnull=False), name="endpoint_to_renew"),
        ]

    def __str__(self) -> str:
        return f"{self.plugin} {self.resource or self.label or self.pk}"

    @property
    def seal_owner(self) -> str:
        return str(self.project_id)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def in_project(self, project: Project) -> DeliveryQuerySet:
        return self.filter(endpoint__project=project)

    def left_over(self, before: datetime) -> DeliveryQuerySet:
        """Received, and nobody seems to work on it: the sweeper's list."""
        return self.filter(state=Delivery.State.RECEIVED, due_at__lte=before)


class Delivery(models.Model):
    """One message from a vendor, kept before the vendor is answered."""

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        PROCESSED = "processed", "Processed"
        IGNORED = "ignored", "Nothing to do"
        DEAD = "dead", "Dead letter"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    vendor_id = models.CharField(max_length=200)  # the vendor's own id of the delivery, or the body's hash
    event_type = models.CharField(max_length=120, blank=True)
    seal_owner = models.UUIDField(editable=False)  # the project
    body = SealedJSONField(null=True)  # type: ignore[misc]  # {"text": …} or {"base64": …}, {"headers": {…}}
    size = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    summary = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    repeats = models.PositiveIntegerField(default=0)  # how often the vendor sent it again
    replays = models.PositiveIntegerField(default=0)  # how often a person or agent had it processed again
    last_error = models.CharField(max_length=300, blank=True)
    received_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-received_at"]
        constraints = [models.UniqueConstraint(fields=["endpoint", "vendor_id"], name="each_delivery_once")]
        indexes = [
            models.Index(fields=["endpoint", "-received_at"], name="delivery_in_order"),
            models.Index(fields=["due_at"], condition=Q(state="received"), name="delivery_left_over"),
            models.Index(fields=["state", "received_at"], name="delivery_to_forget"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type or 'delivery'} {self.vendor_id}"

    def settle(self, state: str, **values: Any) -> None:
        self.state = state
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=["state", *values])
