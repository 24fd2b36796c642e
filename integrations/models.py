"""What the house remembers about integrations. A vendor's facts stay in its plugin."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection, Health
from credentials.vault import SealedJSONField
from navi.projects.models import Project

CALM_AFTER = timedelta(hours=1)  # a connection that flapped counts as steady then


class Provider(models.Model):
    """One row per registry entry: only what the operator decides about it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    source = models.CharField(max_length=120, editable=False)
    is_blocked = models.BooleanField("blocked", default=False, help_text="For the whole instance.")
    blocked_reason = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(null=True, blank=True, help_text="Operator's default; empty: the plugin's.")
    mcp_enabled = models.BooleanField("MCP", null=True, blank=True)
    skill_enabled = models.BooleanField("skill", null=True, blank=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class IntegrationDefault(models.Model):
    """Toggles of one provider (or one plugin inside it), for one project or one person; null inherits."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=60)
    plugin = models.CharField(max_length=60, blank=True)
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="toggles")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="toggles"
    )
    enabled = models.BooleanField(null=True, blank=True)
    mcp_enabled = models.BooleanField("MCP", null=True, blank=True)
    skill_enabled = models.BooleanField("skill", null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(project=None, user__isnull=False) | Q(project__isnull=False, user=None),
                name="toggles_have_one_owner",
            ),
            models.UniqueConstraint(
                fields=["provider", "plugin", "project"],
                condition=Q(user=None),
                name="toggles_once_per_project",
            ),
            models.UniqueConstraint(
                fields=["provider", "plugin", "user"],
                condition=Q(project=None),
                name="toggles_once_per_person",
            ),
        ]

    def __str__(self) -> str:
        return f"Toggles of {self.plugin or self.provider}"


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


class PluginSettings(models.Model):
    """One plugin's settings in one project, validated against the plugin's declared fields."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plugin = models.CharField(max_length=60)
    project = models.ForeignKey(Project, models.CASCADE, related_name="plugin_settings")
    values = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "plugin settings"
        constraints = [
            models.UniqueConstraint(fields=["plugin", "project"], name="settings_once_per_project")
        ]

    def __str__(self) -> str:
        return f"{self.plugin} in {self.project_id}"


class ActionRun(models.Model):
    """One call of one action, so that its outcome can be asked for again."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        OUTCOME_UNKNOWN = "outcome_unknown", "Outcome unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    seal_owner = models.UUIDField(editable=False)
    actor_id = models.CharField(max_length=40)
    actor_label = models.CharField(max_length=160, blank=True)
    plugin = models.CharField(max_length=60)
    action = models.CharField(max_length=80)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, related_name="+")
    idempotency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null is "none given", and unique
    arguments_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=20, choices=State.choices, default=State.RUNNING)
    answer = SealedJSONField(null=True)  # type: ignore[misc]  # Sealed even when empty: {"result": …} or {"error": {…}}
    status_code = models.PositiveSmallIntegerField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["actor_id", "plugin", "action", "idempotency_key"], name="one_run_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.plugin}.{self.action} ({self.state})"

    def finish(self, state: str, answer: dict[str, Any], status_code: int) -> None:
        self.state, self.answer, self.status_code = state, answer, status_code
        self.finished_at = timezone.now()
        self.save(update_fields=["state", "answer", "status_code", "finished_at"])


class CustomProvider(models.Model):
    """A provider a person described: it behaves like any other, inside its project."""

    class SentAs(models.TextChoices):
        BEARER = "bearer", "Authorization: Bearer …"
        HEADER = "header", "A header of its own"
        BASIC = "basic", "User name and password"
        QUERY = "query", "In the address"
        OAUTH = "oauth", "OAuth"

    class ClientAuth(models.TextChoices):
        BODY = "body", "In the body"
        BASIC = "basic", "HTTP Basic"
        NONE = "none", "Not at all (public client)"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="custom_providers")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)
    base_url = models.URLField(max_length=500)
    sent_as = models.CharField(max_length=10, choices=SentAs.choices, default=SentAs.BEARER)
    sent_name = models.CharField(
        max_length=80, blank=True, help_text="Name of the header or the query parameter."
    )
    sent_prefix = models.CharField(
        max_length=40, blank=True, help_text='Text before the key, such as "Token ".'
    )
    authorize_url = models.URLField("authorization address", max_length=500, blank=True)
    token_url = models.URLField("token address", max_length=500, blank=True)
    revoke_url = models.URLField("revocation address", max_length=500, blank=True)
    oauth_scopes = models.CharField("scopes", max_length=500, blank=True, help_text="With spaces between.")
    client_auth = models.CharField(
        "how the app shows itself", max_length=10, choices=ClientAuth.choices, default=ClientAuth.BODY
    )
    health_path = models.CharField(max_length=300, blank=True)
    expected_status = models.PositiveSmallIntegerField(default=200)
    key_help_url = models.URLField(max_length=500, blank=True)
    is_inside = models.BooleanField(
        "inside", default=False, help_text="Reachable only through NAVI_OUTBOUND_ALLOW."
    )
    is_approved = models.BooleanField(
        "approved", default=False, help_text="By an operator; needed where it is inside."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "slug"], name="custom_slug_once_per_project")
        ]

    def __str__(self) -> str:
        return self.name


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


class NoticeSettings(models.Model):
    """How the people of one project hear of connections that go and return."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.OneToOneField(Project, models.CASCADE, related_name="notice_settings")
    email_enabled = models.BooleanField("e-mail", default=True)
    # {"url", "secret", "former", "former_until"}. The address is sealed too: chat services put the key in it.
    webhook = SealedJSONField(null=True)  # type: ignore[misc]
    webhook_host = models.CharField(max_length=260, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "notice settings"

    def __str__(self) -> str:
        return f"Notices of {self.project_id}"

    @property
    def seal_owner(self) -> str:
        return str(self.project_id)

    @property
    def has_webhook(self) -> bool:
        return bool(self.webhook_host)

    def switch_email(self, on: bool) -> None:
        self.email_enabled = on
        self.save(update_fields=["email_enabled"])

    def keep_webhook(self, kept: dict[str, Any], *, host: str) -> None:
        self.webhook, self.webhook_host = kept, host
        self.save(update_fields=["webhook", "webhook_host"])

    def forget_webhook(self) -> None:
        self.webhook, self.webhook_host = None, ""
        self.save(update_fields=["webhook", "webhook_host"])


class IllnessQuerySet(models.QuerySet["Illness"]):
    def open_of(self, connection: Connection) -> IllnessQuerySet:
        """What a connection has now: at most one."""
        return self.filter(connection=connection.pk, ended_at=None)

    def of_owner(self, *, project_id: object = None, person_id: object = None) -> IllnessQuerySet:
        return self.filter(connection__project=project_id, connection__user=person_id)

    def unsaid(self, at: datetime) -> IllnessQuerySet:
        """Those of which people have something to hear now. What flaps is news when it has come to rest."""
        is_calm = Q(kind=Illness.Kind.SINGLE) | Q(began_at__lte=at - CALM_AFTER)
        is_worth_a_word = is_calm | Q(kind=Illness.Kind.FLAPPING)
        return self.filter(Q(said_at=None) & is_worth_a_word | Q(ended_at__isnull=False) & is_calm).filter(
            is_closed=False
        )


class Illness(models.Model):
    """From the moment a connection needs a person until it works again; told once, and its end once."""

    class Kind(models.TextChoices):
        SINGLE = "single", "Told with its end"
        FLAPPING = "flapping", "Told as one time too many"
        FOLDED = "folded", "Part of a flapping that was told"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="illnesses")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SINGLE)
    reason = models.CharField(max_length=300, blank=True)
    times = models.PositiveSmallIntegerField(default=1, help_text="Within an hour, this one included.")
    began_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(default=timezone.now)
    said_at = models.DateTimeField(null=True, help_text="When its beginning was handed to the senders.")
    is_closed = models.BooleanField("closed", default=False, help_text="Nothing more is to be told.")

    objects = IllnessQuerySet.as_manager()

    class Meta:
        ordering = ["began_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection"], condition=Q(ended_at=None), name="one_illness_at_a_time"
            )
        ]
        indexes = [
            models.Index(fields=["connection", "-began_at"], name="illness_of_connection"),
            models.Index(fields=["changed_at"], condition=Q(is_closed=False), name="illness_unclosed"),
        ]

    def __str__(self) -> str:
        return f"Illness of {self.connection_id} since {self.began_at:%Y-%m-%d %H:%M}"


class NoticeDelivery(models.Model):
    """News on its way: one mail to one person, or the calls of one project's webhook, in their order."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        DROPPED = "dropped", "No longer wanted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, null=True, related_name="notice_deliveries")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    news = models.JSONField(default=list)  # as integrations.runtime.telling.News, frozen when it happened
    done = models.PositiveIntegerField(default=0, help_text="How many calls of the webhook are made.")
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "notice deliveries"
        ordering = ["created_at"]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(state="waiting"), name="delivery_waiting"),
            models.Index(fields=["project", "-created_at"], name="delivery_of_project"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} of {self.created_at:%Y-%m-%d %H:%M}, {self.state}"

    def begin_try(self) -> None:
        """Count the try before it is made, so that one that kills its worker counts too."""
        self.tries += 1
        self.save(update_fields=["tries"])

    def wait_until(self, at: datetime, *, error: str) -> None:
        self.next_try_at, self.last_error = at, error[:300]
        self.save(update_fields=["next_try_at", "last_error"])

    def advance(self, *, at: datetime) -> None:
        """One call more of the list has arrived."""
        self.done, self.tries, self.next_try_at = self.done + 1, 0, at
        self.save(update_fields=["done", "tries", "next_try_at"])

    def end(self, state: str, *, at: datetime, error: str = "") -> None:
        self.state, self.ended_at, self.last_error = state, at, error[:300]
        self.save(update_fields=["state", "ended_at", "last_error"])
