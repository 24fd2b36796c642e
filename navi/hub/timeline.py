"""Audit events as the rows of a timeline (_event.html), by day (_activity_rows.html)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from integrations import registry
from navi.audit.models import AuditEvent, Outcome
from navi.hub.navigation import initials, section_url
from navi.hub.sentences import sentence
from navi.projects.models import Project, User

STATES = {Outcome.OK: "healthy", Outcome.REFUSED: "degraded", Outcome.FAILED: "failed"}
ACTORS = {"agent": "agent", "person": "person", "operator": "person"}


def rows(events: Iterable[AuditEvent], project: Project) -> list[dict[str, Any]]:
    """The events for a page: two queries for the names in them, however many there are."""
    events = list(events)
    providers = {entry.slug: entry.name for entry in registry.entries(project.pk)} if events else {}
    people = names_of(events)
    return [row(event, project.slug, providers=providers, people=people) for event in events]


def days(
    events: Iterable[AuditEvent], project: Project, *, today: date, began: date | None = None
) -> list[dict[str, Any]]:
    """The events by day, newest first. `began`: a day whose beginning is on the page before."""
    by_day = groupby(rows(events, project), key=lambda told: told["at"].astimezone(UTC).date())
    return [
        {"label": day_label(day, today), "continued": day == began, "events": list(group)}
        for day, group in by_day
    ]


def day_label(day: date, today: date) -> str:
    near = {today: "Today", today - timedelta(days=1): "Yesterday"}
    return near.get(day) or (f"{day:%A, %-d %B}" if day.year == today.year else f"{day:%A, %-d %B %Y}")


def names_of(events: Iterable[AuditEvent]) -> dict[str, str]:
    """The people whom the events tell of: one query, or none."""
    ids = {user for event in events if (user := user_id(event.detail))}
    return {str(user.pk): str(user) for user in User.objects.filter(pk__in=ids)} if ids else {}


def user_id(detail: Any) -> UUID | None:
    try:
        return UUID(str(detail["user"]))
    except (KeyError, TypeError, ValueError):
        return None


def row(
    event: AuditEvent, slug: str, *, providers: Mapping[str, str], people: Mapping[str, str]
) -> dict[str, Any]:
    outcome = Outcome(event.outcome)
    return {
        "id": event.pk.hex,
        "at": event.at,
        "actor": {
            "name": event.actor_label or "Somebody",
            "kind": ACTORS.get(event.actor_kind, "system"),
            "initials": initials(event.actor_label),
        },
        "text": sentence(event, providers=providers, people=people),
        "what": what(event),
        "state": STATES[outcome],
        "outcome": outcome.label,
        "latency_ms": event.duration_ms,
        "facts": facts(event),
        "payload": json.dumps(event.detail, indent=2, ensure_ascii=False) if event.detail else None,
        "subject": subject(event, slug, providers),
    }


def what(event: AuditEvent) -> str:
    """The action, or the request, in the words of machines."""
    if event.action:
        return f"{event.plugin}.{event.action}" if event.plugin else event.action
    method, path = event.detail.get("method", ""), event.detail.get("path", "")
    return f"{method} {path}".strip() if event.event == "proxy.called" else ""


def facts(event: AuditEvent) -> list[dict[str, str]]:
    known = (
        ("Event", event.event),
        ("Error", event.code),
        ("Account", event.connection_label),
        ("Actor", event.actor_id),
        ("From", event.ip or ""),
        ("Request", event.request_id),
    )
    return [{"label": label, "value": value} for label, value in known if value]


def subject(event: AuditEvent, slug: str, providers: Mapping[str, str]) -> dict[str, str] | None:
    if event.provider not in providers:
        return None
    return {"url": section_url(slug, f"integrations/{event.provider}"), "label": providers[event.provider]}


def today() -> date:
    return datetime.now(UTC).date()
