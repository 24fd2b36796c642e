"""The operators' pages for connections. Secrets have no page: they are never shown."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from credentials.models import Connection, ConnectRequest, Health, OAuthApp, OAuthAttempt
from integrations import registry
from integrations.registry import Entry
from integrations.runtime import connect, consent, health, oauth_apps
from integrations.sdk import OAuth2
from navi.admin_site import mark, moment
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.jobs.ledger import enqueue
from navi.projects.admin import ReadOnly, SaysWhy, actor_of

AT_ONCE = 3  # More checks than this would keep the page waiting; the worker does them.
MOST = 200


class ScopeFilter(admin.SimpleListFilter):
    title = "belongs to"
    parameter_name = "scope"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("project", "A project"), ("global", "A person, in all their projects")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> QuerySet[Connection]:
        if self.value() in {"project", "global"}:
            return queryset.filter(project__isnull=self.value() == "global")
        return queryset


@admin.register(Connection)
class ConnectionAdmin(SaysWhy):
    list_display = [
        "account",
        "healthy",
        "provider",
        "owner",
        "state",
        "errors",
        "used",
        "next_check",
    ]
    list_filter = ["health", "state", "enabled", ScopeFilter, "auth_kind", "provider"]
    list_select_related = ["project", "user"]
    list_per_page = 50
    search_fields = [
        "label",
        "account_id",
        "provider",
        "project__name",
        "project__slug",
        "user__email",
        "user__name",
    ]
    search_help_text = "Account, provider, project or person"
    show_full_result_count = False
    ordering = ["provider", "created_at"]
    actions = ["check_now", "disable", "enable", "revoke"]
    fieldsets = [
        (None, {"fields": ["provider", "account", "account_id", "hint", "auth_kind", "scopes"]}),
        ("Decided", {"fields": ["enabled", "is_default"]}),
        ("Owner", {"fields": ["owner", "created_by", "created_at"]}),
        ("State", {"fields": ["state", "state_reason", "state_at", "generation"]}),
        (
            "Health",
            {
                "fields": [
                    "healthy",
                    "health_reason",
                    "health_since",
                    "error_count",
                    "last_error",
                    "last_check_at",
                    "last_success_at",
                    "next_check_at",
                    "last_used_at",
                ]
            },
        ),
    ]
    may_be_changed = {"enabled", "is_default"}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # people connect in the hub

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a connection is revoked

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        named = [field for _, part in self.fieldsets or [] for field in part["fields"]]
        fixed = self.may_be_changed - {"is_default"} if obj and obj.is_default else self.may_be_changed
        return [str(field) for field in named if field not in fixed]

    @admin.display(description="account", ordering="label")
    def account(self, connection: Connection) -> str:
        return connection.label or connection.hint or "(no name)"

    @admin.display(description="belongs to", ordering="project__name")
    def owner(self, connection: Connection) -> str:
        if connection.project:
            return connection.project.name
        return f"{connection.user}, everywhere"

    @admin.display(description="health", ordering="health")
    def healthy(self, connection: Connection) -> SafeString:
        return health_mark(connection)

    @admin.display(description="errors", ordering="error_count")
    def errors(self, connection: Connection) -> int:
        return connection.error_count

    @admin.display(description="used", ordering="last_used_at")
    def used(self, connection: Connection) -> SafeString | str:
        return moment(connection.last_used_at)

    @admin.display(description="next check", ordering="next_check_at")
    def next_check(self, connection: Connection) -> SafeString | str:
        return moment(connection.next_check_at)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        before = Connection.objects.select_related("project").get(pk=obj.pk)
        edit(before, actor_of(request), enabled=obj.enabled, make_default=obj.is_default)

    # --- actions

    @admin.action(description="Check health now", permissions=["change"])
    def check_now(self, request: HttpRequest, chosen: QuerySet[Connection]) -> None:
        rows = list(chosen.select_related("current", "project", "user")[:MOST])
        if len(rows) > AT_ONCE:
            self.check_later(request, rows)
            return
        for connection in rows:
            self.message_user(request, *check(connection, actor_of(request)))

    def check_later(self, request: HttpRequest, rows: list[Connection]) -> None:
        usable = [connection for connection in rows if connection.is_usable]
        for connection in usable:
            enqueue("health", str(connection.pk))
        self.message_user(request, f"{len(usable)} will be checked by the worker now.")
        if left := len(rows) - len(usable):
            words = f"{left} left out: switched off, or waiting for a person. Check such a one alone."
            self.message_user(request, words, messages.WARNING)

    @admin.action(description="Disable: agents cannot use it", permissions=["change"])
    def disable(self, request: HttpRequest, chosen: QuerySet[Connection]) -> None:
        self.switch(request, chosen, enabled=False)

    @admin.action(description="Enable again", permissions=["change"])
    def enable(self, request: HttpRequest, chosen: QuerySet[Connection]) -> None:
        self.switch(request, chosen, enabled=True)

    def switch(self, request: HttpRequest, chosen: QuerySet[Connection], *, enabled: bool) -> None:
        rows = list(chosen.filter(enabled=not enabled).select_related("project"))
        for connection in rows:
            edit(connection, actor_of(request), enabled=enabled)
            self.log_change(request, connection, f"Switched {'on' if enabled else 'off'}.")
        self.message_user(request, f"{len(rows)} switched {'on' if enabled else 'off'}.")

    @admin.action(description="Revoke: remove with its secrets", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Connection]) -> TemplateResponse | None:
        rows = list(chosen.select_related("project", "user"))
        if "confirmed" not in request.POST:
            return self.ask_before_revoking(request, rows)
        for connection in rows:
            left_to_do = connect.disconnect(connection, actor_of(request), project=connection.project)
            if left_to_do:
                self.message_user(request, f"{connection}: {left_to_do}", messages.WARNING)
        self.message_user(request, f"{len(rows)} revoked, with their secrets.")
        return None

    def ask_before_revoking(self, request: HttpRequest, rows: list[Connection]) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Revoke connections?",
            "opts": self.opts,
            "action": "revoke",
            "button": "Revoke",
            "is_destructive": True,
            "words": "Their secrets are removed at once, and agents lose these accounts. A person can connect "
            "them again. Access given by OAuth is ended at the vendor; keys stay in the vendor's own list.",
            "items": [{"pk": row.pk, "name": row, "about": self.owner(row)} for row in rows],
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/confirm.html", context)


def health_mark(connection: Connection) -> SafeString:
    if not connection.enabled:
        return mark(Health.DISABLED, "Off")
    return mark(connection.health, Health(connection.health).label)


def edit(connection: Connection, actor: Actor, *, enabled: bool, make_default: bool = False) -> None:
    connect.edit(
        connection, actor, project=connection.project, label=connection.label or connection.provider,
        enabled=enabled, make_default=make_default,
    )  # fmt: skip


def check(connection: Connection, actor: Actor) -> tuple[str, int]:
    """Ask the vendor now, and say what came of it."""
    try:
        entry = connect.entry_for(connection)
    except Problem as problem:
        return f"{connection}: {problem.message}", messages.ERROR
    finding = health.check(connection, entry, actor=actor, asked_by="person")
    record(
        "connection.tested", actor=actor, project=connection.project, provider=entry.slug, connection=connection,
        outcome="ok" if finding.ok else "failed", duration_ms=finding.latency_ms,
    )  # fmt: skip
    if finding.ok:
        return f"{connection}: works, answered in {finding.latency_ms} ms.", messages.SUCCESS
    return f"{connection}: {finding.reason}", messages.WARNING


@admin.register(ConnectRequest)
class ConnectRequestAdmin(ReadOnly):
    """Never its code: who reads that could finish the request."""

    list_display = ["provider", "project", "asked_by", "state", "created_at", "expires_at"]
    list_filter = ["state", "provider"]
    list_select_related = ["project"]
    search_fields = ["asked_by", "=token_public_id", "provider", "project__slug"]
    search_help_text = "Agent, its token's id, provider or project"
    date_hierarchy = "created_at"
    show_full_result_count = False
    fields = [
        "provider",
        "project",
        "for_user",
        "scopes",
        "asked_by",
        "token_public_id",
        "state",
        "reconnects",
        "connection",
        "wrong_codes",
        "created_at",
        "expires_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConnectRequest]:
        return super().get_queryset(request).defer("user_code", "result")


# --- OAuth


class OAuthAppForm(forms.ModelForm):
    """The secret goes in and never comes out."""

    provider = forms.ChoiceField(choices=lambda: providers_of_oauth())
    client_secret = forms.CharField(
        required=False,
        max_length=oauth_apps.LONGEST_SECRET,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
        help_text="Sealed, and never shown again. Empty keeps the stored one.",
    )
    is_public = forms.BooleanField(
        required=False, label="no secret", help_text="A public client: it proves itself by PKCE alone."
    )

    class Meta:
        model = OAuthApp
        fields = ("provider", "project", "client_id")

    @property
    def secret(self) -> str | None:
        """None keeps what is stored; empty makes it a public client."""
        typed = str(self.cleaned_data.get("client_secret", ""))
        return typed or ("" if self.cleaned_data.get("is_public") else None)


def providers_of_oauth() -> list[tuple[str, str]]:
    return [(entry.slug, entry.name) for entry in registry.installed().ordered() if is_by_oauth(entry)]


def is_by_oauth(entry: Entry) -> bool:
    return any(isinstance(way, OAuth2) for way in entry.provider.auth)


@admin.register(OAuthApp)
class OAuthAppAdmin(SaysWhy):
    """The clients that Navi is at vendors'; without a project, of the whole instance."""

    form = OAuthAppForm
    list_display = ["provider", "serves", "client_id", "changed_at"]
    list_filter = ["provider"]
    list_select_related = ["project"]
    search_fields = ["provider", "project__name", "project__slug"]
    search_help_text = "Provider or project"
    show_full_result_count = False
    autocomplete_fields = ["project"]
    fieldsets = [
        (None, {"fields": ["provider", "project"]}),
        ("At the vendor", {"fields": ["redirect_address", "steps"]}),
        ("From the vendor", {"fields": ["client_id", "client_secret", "is_public"]}),
        ("When", {"fields": ["created_at", "changed_at"]}),
    ]
    readonly_fields = ["redirect_address", "steps", "created_at", "changed_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, *(["provider", "project"] if obj else [])]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Fields of no model are named by the form alone."""
        kept = ["client_id"] if obj else ["provider", "project", "client_id"]
        made = super().get_form(request, obj, change, **{**kwargs, "fields": kept})
        if obj:
            made.base_fields.pop("provider", None)
        return made

    @admin.display(description="serves", ordering="project__name")
    def serves(self, app: OAuthApp) -> str:
        return app.project.name if app.project else "The whole instance"

    @admin.display(description="redirect address")
    def redirect_address(self, app: OAuthApp) -> SafeString | str:
        """The same for every provider that comes with Navi."""
        entry = entry_of(app)
        address = consent.redirect_uri(entry) if entry else f"{settings.BASE_URL}/oauth/callback"
        return format_html("<code>{}</code>", address)

    @admin.display(description="steps")
    def steps(self, app: OAuthApp) -> SafeString | str:
        entry = entry_of(app)
        if entry is None:
            return "Choose a provider and save; its steps are shown here then. /help tells them, too."
        facts = consent.oauth_of(entry)
        steps = format_html_join("", "<li>{}</li>", ((step,) for step in facts.app_steps))
        link = format_html('<p><a href="{0}" rel="noopener noreferrer">{0}</a></p>', facts.app_url)
        return format_html("{}<ol>{}</ol>", link if facts.app_url else "", steps)

    def save_model(self, request: HttpRequest, obj: OAuthApp, form: Any, change: bool) -> None:
        entry = registry.entry(obj.provider, obj.project_id)
        saved = oauth_apps.save(
            entry, obj.project, client_id=obj.client_id, client_secret=form.secret, actor=actor_of(request)
        )
        obj.pk = saved.pk

    def delete_model(self, request: HttpRequest, obj: OAuthApp) -> None:
        oauth_apps.remove(obj, actor_of(request), project=obj.project)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[OAuthApp]) -> None:
        for app in queryset.select_related("project"):
            self.delete_model(request, app)


def entry_of(app: OAuthApp) -> Entry | None:
    """The provider of a saved app, where it is still there."""
    try:
        return registry.entry(app.provider, app.project_id) if app.provider else None
    except Problem:
        return None


@admin.register(OAuthAttempt)
class OAuthAttemptAdmin(ReadOnly):
    """Tries of the last day to sign in at a vendor. Codes that would finish one are not shown."""

    list_display = ["provider", "project", "user", "outcome", "created_at", "expires_at"]
    list_filter = ["outcome", "provider"]
    list_select_related = ["project", "user"]
    search_fields = ["provider", "project__slug", "user__email"]
    search_help_text = "Provider, project or person"
    date_hierarchy = "created_at"
    show_full_result_count = False
    fields = [
        "provider",
        "project",
        "user",
        "for_all_projects",
        "scopes",
        "outcome",
        "code",
        "message",
        "reconnects",
        "connection",
        "created_at",
        "consumed_at",
        "expires_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OAuthAttempt]:
        return super().get_queryset(request).defer("kept", "user_code")
