"""The audit, to be read. Nothing here changes anything."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from navi.audit.events import EVENTS
from navi.audit.models import AuditBatch, AuditCheckpoint, AuditEvent


class ReadOnlyAdmin(admin.ModelAdmin):
    actions = None
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EventFilter(admin.SimpleListFilter):
    title = "event"
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(EVENTS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(event=self.value()) if self.value() else queryset


class KindFilter(admin.SimpleListFilter):
    title = "who"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("agent", "Agents"), ("person", "People"), ("operator", "Operators"), ("system", "Navi")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(actor_kind=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = [
        "at",
        "words",
        "outcome",
        "code",
        "actor_label",
        "project_slug",
        "provider",
        "action",
        "request_id",
    ]
    list_filter = [EventFilter, "outcome", KindFilter, "provider"]
    search_fields = ["=actor_id", "actor_label", "=request_id"]
    search_help_text = "Who (name or id), or a request id"
    date_hierarchy = "at"
    ordering = ["-at", "-id"]
    list_per_page = 50
    fieldsets = [
        (None, {"fields": ["at", "words", "event", "outcome", "code", "duration_ms"]}),
        ("Who", {"fields": ["actor_kind", "actor_id", "actor_label", "ip", "request_id"]}),
        ("Where", {"fields": ["project_slug", "project_id"]}),
        (
            "What",
            {"fields": ["provider", "plugin", "action", "connection_label", "connection_id", "indented"]},
        ),
        ("Seal", {"fields": ["id", "batch_id"]}),
    ]

    @admin.display(description="what", ordering="event")
    def words(self, event: AuditEvent) -> str:
        return EVENTS.get(event.event, event.event)

    @admin.display(description="detail")
    def indented(self, event: AuditEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(event.detail, indent=2, ensure_ascii=False))

    @admin.display(description="batch")
    def batch_id(self, event: AuditEvent) -> str:
        return str(event.batch_id or "not sealed yet")


@admin.register(AuditBatch)
class AuditBatchAdmin(ReadOnlyAdmin):
    list_display = ["number", "sealed_at", "key_id", "mac"]
    fields = ["number", "sealed_at", "key_id", "previous_mac", "mac"]
    ordering = ["-number"]
    date_hierarchy = "sealed_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditBatch]:
        return super().get_queryset(request).defer("leaves")  # half a megabyte each


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(ReadOnlyAdmin):
    list_display = ["number", "pruned_until", "pruned_at", "events"]
