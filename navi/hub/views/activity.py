"""What happened in a project: a timeline with filters, and all of it to take away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from integrations import registry
from navi.audit import export
from navi.audit.events import EVENTS
from navi.audit.models import AuditEvent, AuditEventQuerySet, BadCursor, Outcome
from navi.audit.record import record
from navi.hub import fields as field
from navi.hub import replies, timeline
from navi.hub.doors import ProjectRequest, in_project
from navi.hub.fields import Form
from navi.projects.errors import InvalidInput

LONGEST = 200
SUMMARY = "Every call of an agent and every change by a person. Times are UTC."
# The part of an event's name before the dot, as a choice.
GROUPS = {
    "action": "Actions",
    "proxy": "Calls through the proxy",
    "secret": "Keys handed out",
    "connection": "Connections",
    "connect_request": "Connections asked for",
    "health": "Health",
    "integration": "Toggles",
    "plugin": "Settings",
    "custom_provider": "Custom APIs",
    "token": "Agent tokens",
    "member": "Members",
    "invitation": "Invitations",
    "project": "Project",
    "access": "Denied access",
    "approval": "Approvals",
    "sync": "Syncs",
    "webhook": "Webhooks",
    "mcp_server": "MCP servers",
    "mcp_tool": "MCP tools",
    "audit": "Audit",
}
KINDS = {
    "csv": ("text/csv; charset=utf-8", export.csv_rows),
    "jsonl": ("application/x-ndjson", export.json_lines),
}

# --- the page


@in_project(GET="audit.view")
def activity(request: ProjectRequest) -> HttpResponse:
    """The whole page, its rows alone for a filter, or the older rows after a cursor."""
    form = filters(request)
    chosen = wanted(form.values)
    cursor = request.GET.get("after", "")
    events, older = page(events_of(request, form.values), cursor)
    context = {
        "days": timeline.days(events, request.project, today=timeline.today(), began=began(request)),
        "older_url": older_url(request, chosen, older, events),
        "filtered": bool(chosen),
    }
    if replies.wants_fragment(request):
        return render(request, "hub/_activity_rows.html", context)
    context |= {
        "page_title": "Activity",
        "summary": SUMMARY,
        "filters": list(form),
        "rows_url": request.path,
        "export": {f"{kind}_url": export_url(request, kind, chosen) for kind in KINDS},
        "newest_url": f"{request.path}?{urlencode(chosen)}" if cursor else "",
    }
    return render(request, "hub/activity.html", context)


def page(events: AuditEventQuerySet, cursor: str) -> tuple[list[AuditEvent], str]:
    try:
        return events.page(cursor)
    except BadCursor as problem:
        raise InvalidInput(str(problem), field="after") from None


def older_url(
    request: ProjectRequest, chosen: Mapping[str, str], cursor: str, events: list[AuditEvent]
) -> str:
    """The next page, which does not say the day again that began on this one."""
    if not cursor:
        return ""
    place = {"after": cursor, "day": events[-1].at.astimezone(UTC).date().isoformat()}
    return f"{request.path}?{urlencode({**chosen, **place})}"


def began(request: ProjectRequest) -> date | None:
    """Only rows that stand below others leave out their day."""
    return day(request.GET.get("day", ""), name="day") if replies.wants_fragment(request) else None


# --- filters


def filters(request: ProjectRequest) -> Form:
    providers = [(entry.slug, entry.name) for entry in registry.entries(request.project.pk)]
    kinds = list(GROUPS.items())
    asked = request.GET.get("event", "")
    if asked in EVENTS:  # a link may name one event
        kinds.append((asked, EVENTS[asked]))
    outcomes = [(str(value), str(label)) for value, label in Outcome.choices]
    form = Form(
        field.text("q", "Search", placeholder="Word, action or request id", required=False),
        field.choice("event", "What", [("", "Everything"), *kinds], required=False),
        field.text("actor", "Who", placeholder="Name", required=False),
        field.choice("provider", "Integration", [("", "All"), *providers], required=False),
        field.choice("outcome", "Outcome", [("", "All"), *outcomes], required=False),
        field.date("since", "From", required=False),
        field.date("until", "To", required=False),
    )
    return form.filled(request.GET)


def wanted(values: Mapping[str, str]) -> dict[str, str]:
    """The filters that say something."""
    return {name: value for name, value in values.items() if value}


def events_of(request: ProjectRequest, values: Mapping[str, str]) -> AuditEventQuerySet:
    return AuditEvent.objects.in_project(request.project.pk).filtered(
        event=values["event"][:LONGEST],
        outcome=values["outcome"][:LONGEST],
        provider=values["provider"][:LONGEST],
        actor=values["actor"][:LONGEST],
        text=values["q"][:LONGEST],
        since=midnight(day(values["since"], name="since")),
        until=midnight(day(values["until"], name="until"), days_later=1),
    )


def day(text: str, *, name: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("A date is written like 2026-11-21.", field=name) from None


def midnight(of: date | None, *, days_later: int = 0) -> datetime | None:
    try:
        return datetime.combine(of + timedelta(days=days_later), time(), UTC) if of else None
    except OverflowError:
        return None  # the end of time: no bound


# --- to take away


@in_project(GET="audit.view")
def export_activity(request: ProjectRequest, kind: str) -> Any:
    """What the filters show, row by row; that it was taken is written down first."""
    form = filters(request)
    content_type, lines = KINDS[kind]
    now = timezone.now()
    events = events_of(request, form.values).filter(at__lt=now).newest_first()
    detail = {"format": kind, "filters": wanted(form.values)}
    record("audit.exported", actor=request.actor, project=request.project, detail=detail)
    response = StreamingHttpResponse(lines(events), content_type=content_type)
    name = f"{request.project.slug}-activity-{now:%Y-%m-%d}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def export_url(request: ProjectRequest, kind: str, chosen: Mapping[str, str]) -> str:
    address = reverse(f"hub:export-{kind}", args=[request.project.slug])
    return f"{address}?{urlencode(chosen)}" if chosen else address
