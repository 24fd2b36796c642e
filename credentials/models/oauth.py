"""The apps that Navi is at a vendor's, and each try of a person to grant it access."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, models, transaction
from django.db.models import F, Q
from django.utils import timezone

from credentials.models.asking import ConnectRequest
from credentials.models.connection import Connection
from credentials.vault import SealedJSONField
from navi.projects.models import Project

OPEN_FOR = timedelta(minutes=10)


class OAuthAppQuerySet(models.QuerySet["OAuthApp"]):
    def serving(self, provider: str, project_id: uuid.UUID | None) -> OAuthApp | None:
        """The project's own app, else the instance's. Without a project only the instance's."""
        own = Q(project_id=project_id) if project_id else Q(pk__in=[])
        found = self.filter(own | Q(project=None), provider=provider)
        return found.order_by(F("project_id").asc(nulls_last=True)).first()


class OAuthApp(models.Model):
    """A client registered at a vendor: of the whole instance (no project) or of one project."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=60)
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="oauth_apps")
    client_id = models.CharField("client ID", max_length=400)
    secret = SealedJSONField()  # {"client_secret": …, empty for a public client, "bound_to": as in Remote}
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OAuthAppQuerySet.as_manager()

    class Meta:
        verbose_name = "OAuth app"
        ordering = ["provider"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "project"], name="one_oauth_app_per_project"),
            models.UniqueConstraint(
                fields=["provider"], condition=Q(project=None), name="one_oauth_app_per_instance"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.client_id}"

    @property
    def seal_owner(self) -> str:
        return str(self.project_id or "instance")


class OAuthAttempt(models.Model):
    """One try to get a grant. Its state is stored hashed and consumed once."""

    class State(models.TextChoices):
        PENDING = "pending", "Waiting for the vendor"
        WORKING = "working", "Being finished"
        DONE = "done", "Connected"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state_hash = models.CharField(max_length=64, unique=True, editable=False)
    provider = models.CharField(max_length=60)
    bound_to = models.CharField(max_length=1700, blank=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    for_all_projects = models.BooleanField(default=False)
    app = models.ForeignKey(OAuthApp, models.CASCADE, related_name="+")
    reconnects = models.ForeignKey(Connection, models.CASCADE, null=True, blank=True, related_name="+")
    asked = models.ForeignKey(ConnectRequest, models.SET_NULL, null=True, blank=True, related_name="+")
    scopes = models.JSONField(default=list, blank=True)
    label = models.CharField(max_length=160, blank=True)
    make_default = models.BooleanField(default=False)
    kept = SealedJSONField()  # {"verifier", "redirect_uri"} or {"device_code"}; later {"answer"}
    user_code = models.CharField(max_length=40, blank=True)
    verification_url = models.CharField(max_length=400, blank=True)
    poll_every = models.PositiveSmallIntegerField(null=True, help_text="Seconds; set for the device flow.")
    polled_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    code = models.CharField(max_length=40, blank=True, help_text="Of the error, where it failed.")
    message = models.CharField(max_length=500, blank=True)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "OAuth attempt"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.provider}, {self.get_outcome_display().lower()}"

    @property
    def seal_owner(self) -> str:
        return str(self.project_id)

    @property
    def is_open(self) -> bool:
        return self.outcome == self.State.PENDING and self.expires_at > timezone.now()

    def consume(self) -> bool:
        """Take it, once. False: it was taken already, or it is too old."""
        now = timezone.now()
        rows = OAuthAttempt.objects.filter(pk=self.pk, consumed_at=None, expires_at__gt=now)
        taken = bool(rows.update(consumed_at=now, outcome=self.State.WORKING))
        if taken:
            self.consumed_at, self.outcome = now, self.State.WORKING
        return taken

    def end(self, outcome: str, **facts: Any) -> bool:
        """How it ended, once; the verifier and the answer go. False: it has ended before, or is gone."""
        still = [self.State.PENDING, self.State.WORKING]
        rows = OAuthAttempt.objects.filter(pk=self.pk, outcome__in=still)
        ended = bool(rows.update(outcome=outcome, **facts))
        for name, value in {"outcome": outcome, "kept": {}, **facts}.items():
            setattr(self, name, value)
        if ended:
            with suppress(DatabaseError), transaction.atomic():  # removed at this very moment
                self.save(update_fields=["kept"])
        return ended
