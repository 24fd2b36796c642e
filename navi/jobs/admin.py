"""Jobs for operators: read, and run dead letters again."""

from typing import Any

import django_q.admin  # noqa: F401 - it registers first, so that what it registers can be taken away
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success

from navi.jobs import ledger
from navi.jobs.models import Heartbeat, Job, State

# django-q2's pages show pickled arguments, and whoever may edit a Schedule may run any function.
for model in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = [
        "kind",
        "object_id",
        "state",
        "attempts",
        "max_attempts",
        "due_at",
        "finished_at",
        "last_error",
    ]
    list_filter = ["state", "kind"]
    search_fields = ["kind", "object_id", "last_error"]
    ordering = ["-created_at"]
    date_hierarchy = "created_at"
    actions = ["run_again"]
    show_full_result_count = False

    def has_run_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.change_job")

    @admin.action(description="Run again (dead letters)", permissions=["run_again"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        revived = [job for job in queryset.filter(state=State.DEAD) if ledger.run_again(job)]
        for job in revived:
            self.log_change(request, job, "Run again.")
        left = queryset.count() - len(revived)
        if revived:
            self.message_user(request, f"{len(revived)} queued again.")
        if left:
            why = "only dead letters run again, where the same work does not wait yet"
            self.message_user(request, f"{left} left as they are: {why}.", messages.WARNING)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "at"]
    ordering = ["name"]
