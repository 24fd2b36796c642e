"""Accounts at vendors and their sealed secrets."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from credentials.vault import SealedJSONField
from navi.projects.models import Project


class State(models.TextChoices):
    PENDING = "pending", "Being connected"
    ACTIVE = "active", "Active"
    DEGRADED = "degraded", "Works, with trouble"
    REAUTH_REQUIRED = "reauth_required", "Needs a reconnect"
    REFRESH_OUTCOME_UNKNOWN = "refresh_outcome_unknown", "Refresh was cut off"
    UNREADABLE = "unreadable", "Cannot be opened"
    REVOKED = "revoked", "Revoked"


class Health(models.TextChoices):
    UNKNOWN = "unknown", "Not checked"
    HEALTHY = "healthy", "Healthy"
    DEGRADED = "degraded", "Degraded"
    FAILED = "failed", "Failed"
    DISABLED = "disabled", "Disabled"


class AuthKind(models.TextChoices):
    API_KEY = "api_key", "API key"
    OAUTH = "oauth", "OAuth"
    CLI = "cli", "Command line login"
    MCP_OAUTH = "mcp_oauth", "OAuth of an MCP server"
    NONE = "none", "None"


USABLE = (State.ACTIVE, State.DEGRADED, State.REFRESH_OUTCOME_UNKNOWN)


# What was known of the refreshes of the credentials before.
ANEW: dict[str, Any] = {
    "lease_owner": None, "lease_until": None, "asked_at": None, "refusals": 0, "hold_until": None,
    "refresh_failures": 0,
}  # fmt: skip


class ConnectionQuerySet(models.QuerySet["Connection"]):
    def standing(self) -> ConnectionQuerySet:
        """All that a person would call connected, also those that need them."""
        return self.exclude(state__in=[State.PENDING, State.REVOKED])

    def of_project(self, project_id: uuid.UUID) -> ConnectionQuerySet:
        return self.filter(project_id=project_id)

    def reachable(self, *, project_id: uuid.UUID, user_id: uuid.UUID | None) -> ConnectionQuerySet:
        """What an actor in a project may use: the project's, and the token owner's own."""
        own = Q(user_id=user_id) if user_id else Q(pk__in=[])
        return self.standing().filter(Q(project_id=project_id) | own)

    def in_order_of_resolution(self) -> ConnectionQuerySet:
        """The project's before the person's, defaults first, then the oldest."""
        return self.order_by(F("project_id").asc(nulls_last=True), "-is_default", "created_at")


class Connection(models.Model):
    """One account at one provider, for one project or for one person in all their projects."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=60)
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="connections")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="connections"
    )
    auth_kind = models.CharField(max_length=10, choices=AuthKind.choices, default=AuthKind.API_KEY)
    label = models.CharField(max_length=160, blank=True, help_text='What "Connected as" shows.')
    account_id = models.CharField(max_length=160, blank=True, help_text="The vendor's own id of the account.")
    scopes = models.JSONField(default=list, blank=True)
    hint = models.CharField(
        max_length=40, blank=True, help_text="Beginning and end of the key, to tell two apart."
    )
    is_default = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=30, choices=State.choices, default=State.PENDING)
    state_reason = models.CharField(max_length=300, blank=True)
    state_at = models.DateTimeField(default=timezone.now)
    current = models.ForeignKey(
        "Secret", models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    generation = models.PositiveIntegerField(default=0)
    consent = models.UUIDField(
        default=uuid.uuid4,
        editable=False,
        help_text="Changes when a person connects, not when Navi refreshes.",
    )
    app = models.ForeignKey(
        "OAuthApp", models.SET_NULL, null=True, blank=True, related_name="connections",
        help_text="The OAuth app that made the grant; only it can refresh it.",
    )  # fmt: skip
    issued_at = models.DateTimeField(null=True, blank=True, help_text="When the access token was given.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When the access token ends.")
    refresh_at = models.DateTimeField(null=True, blank=True, help_text="When Navi refreshes it by itself.")
    lease_owner = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    asked_at = models.DateTimeField(
        null=True, blank=True, editable=False,
        help_text="A refresh of this generation was sent, and its outcome is not known.",
    )  # fmt: skip
    refusals = models.PositiveSmallIntegerField(
        default=0,
        editable=False,
        help_text="How often the vendor refused to refresh this generation; 2 is final.",
    )
    hold_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="No refresh is asked for before, after one failed."
    )
    refresh_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    error_count = models.PositiveIntegerField(default=0)
    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN)
    health_reason = models.CharField(max_length=300, blank=True)
    health_since = models.DateTimeField(null=True, blank=True)
    last_check_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        ordering = ["provider", "created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(project=None, user__isnull=False) | Q(project__isnull=False, user=None),
                name="connection_has_one_owner",
            ),
            models.UniqueConstraint(
                fields=["provider", "project"], condition=Q(is_default=True), name="one_default_per_project"
            ),
            models.UniqueConstraint(
                fields=["provider", "user"], condition=Q(is_default=True), name="one_default_per_person"
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], name="connection_next_check"),
            models.Index(fields=["refresh_at"], name="connection_refresh"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.label or self.hint or self.id}"

    @property
    def scope(self) -> str:
        return "project" if self.project_id else "global"

    @property
    def owner_id(self) -> uuid.UUID:
        return self.project_id or self.user_id  # type: ignore[return-value]

    @property
    def seal_owner(self) -> str:
        return f"{self.owner_id}/{self.pk}"

    @property
    def is_usable(self) -> bool:
        return self.enabled and self.state in USABLE

    def siblings(self) -> ConnectionQuerySet:
        """All connections of the same provider and owner, this one included."""
        return Connection.objects.filter(provider=self.provider, project=self.project_id, user=self.user_id)

    def make_default(self) -> None:
        with transaction.atomic():
            list(self.siblings().select_for_update().order_by("pk").values_list("pk"))
            self.siblings().exclude(pk=self.pk).update(is_default=False)
            self.is_default = True
            self.save(update_fields=["is_default"])

    def enter(self, state: State, *, reason: str = "", at: datetime) -> None:
        """Change the state, with the reason a person will read."""
        self.state, self.state_reason, self.state_at = state, reason[:300], at
        self.save(update_fields=["state", "state_reason", "state_at"])

    def flip_to(self, secret: Secret, *, seen: uuid.UUID | None = None, **facts: Any) -> bool:
        """Put a person's tested secret in force: one short transaction, the old one goes.

        False: another person was faster since `seen` (a consent), and theirs stays.
        """
        changes = {**ANEW, **facts, "current": secret, "consent": uuid.uuid4()}
        with transaction.atomic():
            rows = Connection.objects.filter(pk=self.pk, consent=seen or self.consent)
            if not rows.update(generation=F("generation") + 1, **changes):
                return False
            self.secrets.exclude(pk=secret.pk).delete()
            self.refresh_from_db(fields=[*changes, "generation"])
        return True


class Secret(models.Model):
    """One version of a connection's credentials. Pending until tested, then the current one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="secrets")
    seal_owner = models.CharField(max_length=80, editable=False)  # "<project or person>/<connection>"
    fields = SealedJSONField()  # {"fields": {key: value}, "bound_to": as in navi.net.remote.Remote}
    answers_generation = models.PositiveIntegerField(
        null=True, blank=True, editable=False,
        help_text="Set on a token endpoint's answer that was saved before anything read it.",
    )  # fmt: skip
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Secret of {self.connection_id}"

    @classmethod
    def keep(cls, connection: Connection, fields: dict[str, str], *, bound_to: str) -> Secret:
        """Seal credentials as a new version of this connection's; not in force before `flip_to`."""
        kept = {"fields": fields, "bound_to": bound_to}
        return cls.objects.create(connection=connection, seal_owner=connection.seal_owner, fields=kept)

    def belongs_to(self, connection: Connection) -> bool:
        """False where somebody pointed a connection at another one's secret."""
        return self.seal_owner == connection.seal_owner
