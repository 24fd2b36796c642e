"""The operators' pages for providers, toggles, health and runs."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.forms import NullBooleanSelect
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from credentials.models import Connection, Health
from integrations import registry
from integrations.models import (
    ActionRule,
    ActionRun,
    Approval,
    CustomProvider,
    Delivery,
    HealthCheck,
    Illness,
    IntegrationDefault,
    IntegrationStatus,
    Milestone,
    NoticeDelivery,
    NoticeSettings,
    PluginSettings,
    Provider,
    Record,
    SyncState,
    WebhookEndpoint,
)
from integrations.runtime import custom, toggles
from navi.admin_site import mark
from navi.audit.record import record
from navi.audit.redact import redact_value
from navi.projects.admin import ReadOnly, SaysWhy, actor_of

TOGGLES = ["enabled", "mcp_enabled", "skill_enabled"]


class Watched(ReadOnly):
    """Read-only, long lists."""

    show_full_result_count = False
    list_per_page = 50


class Inherited(NullBooleanSelect):
    """A switch with three positions; nothing decided is not "unknown"."""

    def __init__(self, nothing: str) -> None:
        super().__init__()
        self.choices = [("unknown", nothing), ("true", "On"), ("false", "Off")]


class ScopedOwner:
    @admin.display(description="belongs to")
    def owner(self, row: Any) -> str:
        return str(row.project) if row.project else f"{row.user}, everywhere"


# --- providers


@admin.register(Provider)
class ProviderAdmin(SaysWhy):
    list_display = ["name", "slug", "allowed", "blocked_reason", *TOGGLES, "source"]
    list_filter = ["is_blocked"]
    search_fields = ["slug", "blocked_reason"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "source"]}),
        (
            "Blocked",
            {
                "fields": ["is_blocked", "blocked_reason"],
                "description": "A blocked provider opens for nobody here. Everyone who meets it reads the reason.",
            },
        ),
        (
            "Defaults",
            {
                "fields": [*TOGGLES],
                "description": "What holds where neither a project nor a person has decided. Empty: as the plugin says.",
            },
        ),
    ]
    readonly_fields = ["name", "slug", "source"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a provider comes with its plugin

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        widget = {"widget": Inherited("As the plugin says")} if db_field.name in TOGGLES else {}
        return super().formfield_for_dbfield(db_field, request, **{**kwargs, **widget})

    @admin.display(description="provider", ordering="slug")
    def name(self, row: Provider) -> str:
        entry = registry.installed().entries.get(row.slug)
        return entry.name if entry else f"{row.slug} (not installed)"

    @admin.display(description="standing", ordering="is_blocked")
    def allowed(self, row: Provider) -> SafeString:
        return mark("failed", "Blocked") if row.is_blocked else mark("healthy", "Allowed")

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:
        if not form.changed_data:
            return
        obj.save(update_fields=form.changed_data)
        for event, names in events_of(obj, set(form.changed_data)).items():
            detail = {name: getattr(obj, name) for name in names}
            record(event, actor=actor_of(request), provider=obj.slug, detail=detail)


def events_of(row: Provider, changed: set[str]) -> dict[str, list[str]]:
    """What is remembered about a change: each event with the fields it tells."""
    events: dict[str, list[str]] = {}
    if changed & {"is_blocked", "blocked_reason"} and (row.is_blocked or "is_blocked" in changed):
        event = "provider.blocked" if row.is_blocked else "provider.unblocked"
        events[event] = ["blocked_reason"]
    if set(TOGGLES) & changed:
        events["provider.defaults_changed"] = [name for name in TOGGLES if name in changed]
    return events


class ApprovalFilter(admin.SimpleListFilter):
    title = "approval"
    parameter_name = "approval"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("awaits", "Awaits approval"), ("approved", "Approved"), ("outside", "Needs none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CustomProvider]) -> QuerySet[CustomProvider]:
        wanted = {
            "awaits": {"is_inside": True, "is_approved": False},
            "approved": {"is_inside": True, "is_approved": True},
            "outside": {"is_inside": False},
        }
        return queryset.filter(**wanted.get(self.value() or "", {}))


@admin.register(CustomProvider)
class CustomProviderAdmin(SaysWhy):
    list_display = ["name", "slug", "project", "base_url", "sent_as", "approval", "created_by", "created_at"]
    list_filter = [ApprovalFilter, "sent_as", "project"]
    list_select_related = ["project", "created_by"]
    search_fields = ["name", "slug", "base_url", "project__slug", "project__name"]
    fields = [
        "name",
        "slug",
        "project",
        "description",
        "base_url",
        "approval",
        "sent_as",
        "sent_name",
        "sent_prefix",
        "health_path",
        "expected_status",
        "key_help_url",
        "created_by",
        "created_at",
    ]
    actions = ["approve"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # people describe them in the hub

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    @admin.display(description="approval")
    def approval(self, row: CustomProvider) -> SafeString:
        if not row.is_inside:
            return mark("unknown", "Needs none")
        return mark("healthy", "Approved") if row.is_approved else mark("degraded", "Awaits approval")

    @admin.action(description="Approve: may be called inside the network", permissions=["approve"])
    def approve(self, request: HttpRequest, chosen: QuerySet[CustomProvider]) -> TemplateResponse | None:
        rows = list(chosen.filter(is_inside=True, is_approved=False).select_related("project"))
        if "confirmed" not in request.POST and rows:
            return self.ask_before_approving(request, rows)
        seen = set(request.POST.getlist("seen"))
        approved = [row for row in rows if self.approve_one(request, row, seen)]
        self.message_user(request, f"{len(approved)} approved.")
        if len(approved) < len(rows):
            words = "The address of some was changed meanwhile. Look at them again."
            self.message_user(request, words, messages.WARNING)
        return None

    def approve_one(self, request: HttpRequest, row: CustomProvider, seen: set[str]) -> bool:
        """Approve the address that the operator saw, and no other."""
        same = CustomProvider.objects.filter(
            pk=row.pk, base_url=row.base_url, authorize_url=row.authorize_url, token_url=row.token_url,
            revoke_url=row.revoke_url,
        )  # fmt: skip
        if as_seen(row) not in seen:
            return False
        with transaction.atomic():
            if not same.update(is_approved=True):
                return False
            detail = {"approved": True, **custom.told(row)}
            record(
                "custom_provider.approved", actor=actor_of(request), project=row.project, provider=row.slug,
                detail=detail,
            )  # fmt: skip
        self.log_change(request, row, f"Approved {addresses(row)}")
        return True

    def ask_before_approving(self, request: HttpRequest, rows: list[CustomProvider]) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Approve these addresses?",
            "opts": self.opts,
            "action": "approve",
            "button": "Approve",
            "words": "They lie inside your network: agents of these projects will reach them through Navi.",
            "items": [
                {
                    "pk": row.pk,
                    "name": row.name,
                    "about": f"{addresses(row)} in {row.project}",
                    "seen": as_seen(row),
                }
                for row in rows
            ],
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/confirm.html", context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Its connections go with it, although no foreign key says so."""
        listed, counts, lacking, protected = super().get_deleted_objects(objs, request)
        going = [found for row in objs for found in connections_of(row)]
        if going:
            counts[str(Connection._meta.verbose_name_plural)] = len(going)
        return [*listed, *(f"Connection: {found}" for found in going)], counts, lacking, protected

    def delete_model(self, request: HttpRequest, obj: CustomProvider) -> None:
        custom.remove(obj, actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CustomProvider]) -> None:
        for row in queryset:
            custom.remove(row, actor_of(request))


def as_seen(row: CustomProvider) -> str:
    return f"{row.pk} {addresses(row)}"


def addresses(row: CustomProvider) -> str:
    """Where Navi and people's browsers are led."""
    own = (
        [row.authorize_url, row.token_url, row.revoke_url]
        if row.sent_as == CustomProvider.SentAs.OAUTH
        else []
    )
    return ", ".join(dict.fromkeys(filter(None, [row.base_url, *own])))


def connections_of(row: CustomProvider) -> QuerySet[Connection]:
    return Connection.objects.filter(project=row.project, provider=row.slug)


# --- toggles and settings


@admin.register(IntegrationDefault)
class IntegrationDefaultAdmin(ScopedOwner, SaysWhy):
    list_display = ["provider", "plugin", "owner", *TOGGLES]
    list_filter = ["provider", *TOGGLES]
    list_select_related = ["project", "user"]
    search_fields = ["provider", "plugin", "project__slug", "project__name", "user__email", "user__name"]
    fields = ["provider", "plugin", "owner", *TOGGLES]
    readonly_fields = ["provider", "plugin", "owner"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # an empty toggle inherits

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        widget = {"widget": Inherited("Inherit")} if db_field.name in TOGGLES else {}
        return super().formfield_for_dbfield(db_field, request, **{**kwargs, **widget})

    def save_model(self, request: HttpRequest, obj: IntegrationDefault, form: Any, change: bool) -> None:
        if form.changed_data:
            entry = registry.entry(obj.provider, obj.project_id)
            changes = {name: getattr(obj, name) for name in form.changed_data}
            toggles.switch(
                entry, actor=actor_of(request), project=obj.project, for_user=obj.user_id, plugin=obj.plugin,
                **changes,
            )  # fmt: skip


@admin.register(PluginSettings)
class PluginSettingsAdmin(Watched):
    list_display = ["plugin", "project", "updated_at"]
    list_filter = ["plugin"]
    list_select_related = ["project"]
    search_fields = ["plugin", "project__slug", "project__name"]
    fields = ["plugin", "project", "shown", "updated_at"]

    @admin.display(description="values")
    def shown(self, row: PluginSettings) -> SafeString:
        return as_json(row.values)


def as_json(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(redact_value(value), indent=2, ensure_ascii=False))


# --- health


@admin.register(IntegrationStatus)
class IntegrationStatusAdmin(ScopedOwner, Watched):
    list_display = ["provider", "owner", "shown", "reason", "since", "error_count", "last_check_at"]
    list_filter = ["status", "provider"]
    list_select_related = ["project", "user"]
    search_fields = ["provider", "reason", "project__slug", "project__name", "user__email"]
    fields = [
        "provider",
        "owner",
        "shown",
        "reason",
        "since",
        "last_check_at",
        "last_success_at",
        "next_check_at",
        "error_count",
        "error_message",
    ]

    @admin.display(description="status", ordering="status")
    def shown(self, row: IntegrationStatus) -> SafeString:
        return status_mark(row.status)


@admin.register(HealthCheck)
class HealthCheckAdmin(Watched):
    list_display = ["at", "connection", "shown", "code", "reason", "latency_ms", "asked_by"]
    list_filter = ["status", "asked_by"]
    list_select_related = ["connection"]
    search_fields = ["connection__label", "connection__provider", "reason", "=code"]
    date_hierarchy = "at"
    fields = ["at", "connection", "shown", "code", "reason", "latency_ms", "asked_by"]

    @admin.display(description="status", ordering="status")
    def shown(self, row: HealthCheck) -> SafeString:
        return status_mark(row.status)


def status_mark(status: str) -> SafeString:
    return mark(status, Health(status).label)


# --- runs and milestones


@admin.register(ActionRun)
class ActionRunAdmin(Watched):
    """Never its answer: that is sealed, and the agent's."""

    list_display = ["started_at", "what", "shown", "status_code", "actor_label", "project", "took"]
    list_filter = ["state", "plugin", "project"]
    list_select_related = ["project", "connection"]
    search_fields = ["plugin", "action", "actor_label", "=actor_id", "project__slug"]
    date_hierarchy = "started_at"
    fields = [
        "what",
        "shown",
        "status_code",
        "actor_label",
        "actor_id",
        "project",
        "connection",
        "started_at",
        "finished_at",
        "took",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ActionRun]:
        return super().get_queryset(request).defer("answer", "arguments", "arguments_hash", "idempotency_key")

    @admin.display(description="action", ordering="plugin")
    def what(self, run: ActionRun) -> str:
        return f"{run.plugin}.{run.action}"

    @admin.display(description="state", ordering="state")
    def shown(self, run: ActionRun) -> SafeString:
        shapes = {
            "running": "unknown",
            "succeeded": "healthy",
            "failed": "failed",
            "outcome_unknown": "degraded",
        }
        return mark(shapes.get(run.state, "disabled"), ActionRun.State(run.state).label)

    @admin.display(description="took")
    def took(self, run: ActionRun) -> str:
        if run.finished_at is None:
            return "–"
        return f"{(run.finished_at - run.started_at).total_seconds() * 1000:,.0f} ms"


@admin.register(ActionRule)
class ActionRuleAdmin(Watched):
    """Made by the project's admins, on its Approvals page."""

    list_display = ["__str__", "project", "token", "effect", "note", "created_by", "created_at"]
    list_filter = ["effect", "plugin", "project"]
    list_select_related = ["project", "token"]
    search_fields = ["plugin", "action", "tool", "note", "project__slug", "token__name"]
    fields = ["project", "plugin", "action", "tool", "token", "effect", "note", "created_by", "created_at"]


@admin.register(Approval)
class ApprovalAdmin(Watched):
    """Who said what to which call; the call's arguments are sealed, and for those who decide."""

    list_display = ["asked_at", "run", "state", "decided_by", "decided_at", "expires_at"]
    list_filter = ["state", "run__plugin", "run__project"]
    list_select_related = ["run"]
    search_fields = ["run__plugin", "run__action", "run__actor_label", "decided_by", "run__project__slug"]
    date_hierarchy = "asked_at"
    fields = [
        "run", "rule", "reason", "state", "arguments_hash", "asked_at", "expires_at", "decided_at",
        "decided_by", "note",
    ]  # fmt: skip


@admin.register(Milestone)
class MilestoneAdmin(Watched):
    """What the first page's figures are computed from."""

    list_display = ["at", "kind", "provider", "value", "project_id", "attempt"]
    list_filter = ["kind", "provider"]
    search_fields = ["kind", "provider"]
    date_hierarchy = "at"
    fields = ["at", "kind", "provider", "value", "project_id", "attempt"]


# --- what was synced


@admin.register(SyncState)
class SyncStateAdmin(Watched):
    """How each sync fares; people run and pause them on the service's page."""

    list_display = [
        "plugin",
        "kind",
        "part",
        "project",
        "fares",
        "records_seen",
        "succeeded_at",
        "next_run_at",
    ]
    list_filter = ["phase", "is_paused", "plugin"]
    list_select_related = ["project", "connection"]
    search_fields = ["project__name", "plugin", "kind", "part", "error_message"]
    fields = [
        "project", "connection", "plugin", "kind", "part", "phase", "is_paused", "is_full", "epoch", "pages", "seen",
        "changed", "deleted", "total", "started_at", "page_at", "finished_at", "succeeded_at", "next_run_at",
        "error_count", "error_code", "error_message", "asked_by",
    ]  # fmt: skip

    @admin.display(description="fares", ordering="phase")
    def fares(self, row: SyncState) -> SafeString:
        if row.is_paused:
            return mark("disabled", "Paused")
        if row.error_code:
            return mark("failed", row.error_code)
        shapes = {SyncState.Phase.RUNNING: "unknown", SyncState.Phase.IDLE: "healthy"}
        return mark(shapes.get(SyncState.Phase(row.phase), "failed"), row.get_phase_display())

    @admin.display(description="read")
    def records_seen(self, row: SyncState) -> str:
        of = f" of {row.total:,}" if row.total else ""
        return f"{row.seen:,}{of}"


@admin.register(Record)
class RecordAdmin(Watched):
    """What is there, never what it says: that is sealed."""

    list_display = ["external_id", "plugin", "kind", "part", "project", "is_deleted", "changed_at"]
    list_filter = ["is_deleted", "plugin"]
    list_select_related = ["project"]
    search_fields = ["=external_id", "project__name"]
    fields = [
        "project", "connection", "plugin", "kind", "part", "external_id", "is_deleted", "epoch", "sequence",
        "first_seen_at", "changed_at",
    ]  # fmt: skip


# --- who was told of what


@admin.register(Illness)
class IllnessAdmin(Watched):
    list_display = ["began_at", "connection", "reason", "kind", "ended_at", "said_at"]
    list_filter = ["kind", "is_closed"]
    list_select_related = ["connection"]
    search_fields = ["connection__label", "connection__provider", "reason"]
    date_hierarchy = "began_at"
    fields = ["began_at", "connection", "reason", "kind", "times", "ended_at", "said_at", "is_closed"]


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(Watched):
    """Without the key: the address is half of a secret where vendors sign nothing."""

    list_display = [
        "plugin", "resource", "project", "state", "is_paused", "refused_count", "last_delivery_at", "expires_at",
    ]  # fmt: skip
    list_filter = ["state", "is_paused", "plugin"]
    list_select_related = ["project"]
    search_fields = ["plugin", "resource", "label", "project__name"]
    fields = [
        "project", "provider", "plugin", "connection", "resource", "label", "scheme", "state", "state_reason",
        "is_paused", "expires_at", "renew_at", "last_number", "last_delivery_at", "caught_up_at", "refused_count",
        "created_by", "created_at",
    ]  # fmt: skip


@admin.register(Delivery)
class DeliveryAdmin(Watched):
    """Without the content: that belongs to the project."""

    list_display = ["received_at", "endpoint", "event_type", "state", "attempts", "repeats", "last_error"]
    list_filter = ["state", "endpoint__plugin"]
    list_select_related = ["endpoint"]
    search_fields = ["vendor_id", "event_type", "last_error", "endpoint__project__name"]
    date_hierarchy = "received_at"
    fields = [
        "endpoint", "vendor_id", "event_type", "size", "state", "attempts", "repeats", "replays", "last_error",
        "received_at", "due_at", "processed_at",
    ]  # fmt: skip


@admin.register(NoticeDelivery)
class NoticeDeliveryAdmin(Watched):
    list_display = ["created_at", "channel", "project", "person", "state", "tries", "last_error"]
    list_filter = ["channel", "state"]
    list_select_related = ["project", "person"]
    search_fields = ["project__name", "person__email", "last_error"]
    date_hierarchy = "created_at"
    fields = [
        "created_at",
        "channel",
        "project",
        "person",
        "state",
        "tries",
        "next_try_at",
        "last_error",
        "ended_at",
    ]


@admin.register(NoticeSettings)
class NoticeSettingsAdmin(Watched):
    list_display = ["project", "email_enabled", "webhook_host"]
    list_select_related = ["project"]
    search_fields = ["project__name", "webhook_host"]
    fields = ["project", "email_enabled", "webhook_host"]
