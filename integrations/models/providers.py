"""What people and operators set for providers and plugins, and providers that people described."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from navi.projects.models import Project


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
