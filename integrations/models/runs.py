"""What agents had done, what they may do, and what waits for a person's word."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from credentials.models import Connection
from credentials.vault import SealedJSONField
from navi.projects.models import AgentToken, Project


class ActionRunQuerySet(models.QuerySet["ActionRun"]):
    def in_project(self, project: Project) -> ActionRunQuerySet:
        return self.filter(project=project)

    def of_actor(self, actor_id: str) -> ActionRunQuerySet:
        return self.filter(actor_id=actor_id)


class ActionRun(models.Model):
    """One call of one action, so that its outcome can be asked for again."""

    class State(models.TextChoices):
        AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
        APPROVED = "approved", "Approved"  # by a person, and not begun yet
        QUEUED = "queued", "Queued"  # waits for the schedule of a push sync
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        DENIED = "denied", "Denied"
        EXPIRED = "expired", "Expired"
        OUTCOME_UNKNOWN = "outcome_unknown", "Outcome unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    seal_owner = models.UUIDField(editable=False)
    actor_id = models.CharField(max_length=40)
    actor_label = models.CharField(max_length=160, blank=True)
    plugin = models.CharField(max_length=60)
    action = models.CharField(max_length=80)
    connection = models.ForeignKey(Connection, models.SET_NULL, null=True, related_name="+")
    wanted_connection = models.CharField(max_length=120, blank=True)  # as the caller named it
    idempotency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - null is "none given", and unique
    arguments_hash = models.CharField(max_length=64)
    # Kept only while the call waits: for a person's word, or for the schedule of a push sync.
    arguments = SealedJSONField(null=True)  # type: ignore[misc]
    state = models.CharField(max_length=20, choices=State.choices, default=State.RUNNING)
    answer = SealedJSONField(null=True)  # type: ignore[misc]  # Sealed even when empty: {"result": …} or {"error": {…}}
    status_code = models.PositiveSmallIntegerField(null=True)
    queue = models.CharField(max_length=60, blank=True)  # the push sync that sends it
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)  # of a queued run
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = ActionRunQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["actor_id", "plugin", "action", "idempotency_key"], name="one_run_per_key"
            )
        ]
        indexes = [
            models.Index(fields=["project", "-started_at"], name="run_of_project"),
            models.Index(
                fields=["plugin", "queue", "due_at"], condition=Q(state="queued"), name="run_queued"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plugin}.{self.action} ({self.state})"

    def finish(self, state: str, answer: dict[str, Any], status_code: int) -> None:
        """The end: the answer is kept, the arguments are not."""
        self.state, self.answer, self.status_code = state, answer, status_code
        self.arguments, self.finished_at = None, timezone.now()
        self.save(update_fields=["state", "answer", "status_code", "arguments", "finished_at"])

    def move(self, *, before: str, after: str, **values: Any) -> bool:
        """From one state to the next, once: False where somebody else was first."""
        moved = ActionRun.objects.filter(pk=self.pk, state=before).update(state=after, **values)
        if moved:
            self.state = after
            for name, value in values.items():
                setattr(self, name, value)
        return bool(moved)


class Effect(models.TextChoices):
    ALLOW = "allow", "Allow"
    ASK = "ask", "Ask a person"
    DENY = "deny", "Deny"


class ActionRuleQuerySet(models.QuerySet["ActionRule"]):
    def in_project(self, project: Project) -> ActionRuleQuerySet:
        return self.filter(project=project)


class ActionRule(models.Model):
    """May agents do this: allow, ask or deny, for all that a field left empty stands for.

    One table for actions, the proxy, raw secrets and the gateway's tools. The most specific rule decides.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="action_rules")
    plugin = models.CharField(max_length=60, blank=True)
    action = models.CharField(max_length=80, blank=True)
    tool = models.CharField(max_length=120, blank=True, help_text="A tool of the plugin's MCP server.")
    token = models.ForeignKey(AgentToken, models.CASCADE, null=True, blank=True, related_name="action_rules")
    effect = models.CharField(max_length=5, choices=Effect.choices)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.CharField(max_length=160, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ActionRuleQuerySet.as_manager()

    class Meta:
        ordering = ["plugin", "action", "tool", "created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "plugin", "action", "tool", "token"],
                condition=Q(token__isnull=False),
                name="one_rule_per_token",
            ),
            models.UniqueConstraint(
                fields=["project", "plugin", "action", "tool"],
                condition=Q(token=None),
                name="one_rule_for_all_tokens",
            ),
            models.CheckConstraint(
                condition=Q(action="", tool="") | ~Q(plugin=""), name="rule_names_the_plugin_too"
            ),
            models.CheckConstraint(condition=Q(action="") | Q(tool=""), name="rule_names_action_or_tool"),
        ]

    def __str__(self) -> str:
        return f"{self.get_effect_display()}: {self.plugin or 'everything'}.{self.action or self.tool or '*'}"


class ApprovalQuerySet(models.QuerySet["Approval"]):
    def in_project(self, project: Project) -> ApprovalQuerySet:
        return self.filter(run__project=project)

    def waiting(self, at: datetime) -> ApprovalQuerySet:
        return self.filter(state=Approval.State.WAITING, expires_at__gt=at)

    def overdue(self, at: datetime) -> ApprovalQuerySet:
        return self.filter(state__in=[Approval.State.WAITING, Approval.State.GRANTED], expires_at__lte=at)


class Approval(models.Model):
    """A person's word on exactly one call: bound to the hash of its arguments, good for one use."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        GRANTED = "granted", "Approved"
        USED = "used", "Used"
        DENIED = "denied", "Denied"
        EXPIRED = "expired", "Expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.OneToOneField(ActionRun, models.CASCADE, related_name="approval")
    rule = models.ForeignKey(ActionRule, models.SET_NULL, null=True, related_name="+")
    arguments_hash = models.CharField(max_length=64)
    reason = models.CharField(max_length=300, blank=True)  # why it asks, in words
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=160, blank=True)
    note = models.CharField(max_length=300, blank=True)  # what the person said with it

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at"]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=Q(state__in=["waiting", "granted"]), name="approval_open"
            )
        ]

    def __str__(self) -> str:
        return f"Approval of {self.run_id} ({self.state})"

    def move(self, *, before: str, after: str, **values: Any) -> bool:
        """From one state to the next, once: False where somebody else was first."""
        moved = Approval.objects.filter(pk=self.pk, state=before).update(state=after, **values)
        if moved:
            self.state = after
        return bool(moved)
