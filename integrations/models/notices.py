"""Who is told that a connection went or came back, and what is on its way to them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection
from credentials.vault import SealedJSONField
from navi.projects.models import Project

CALM_AFTER = timedelta(hours=1)  # a connection that flapped counts as steady then


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
