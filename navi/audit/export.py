"""The audit as text, row by row, so that a large one never stands in memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from navi.audit.models import AuditEvent

FIELDS = (
    "id",
    "at",
    "event",
    "outcome",
    "code",
    "actor_kind",
    "actor_id",
    "actor_label",
    "project_id",
    "project_slug",
    "provider",
    "plugin",
    "action",
    "connection_id",
    "connection_label",
    "request_id",
    "ip",
    "duration_ms",
    "detail",
    "batch",
)
# Where a spreadsheet sees a formula.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
CHUNK = 1000


def csv_rows(events: Iterable[AuditEvent]) -> Iterator[str]:
    """The lines of a CSV file, the heading first."""
    yield csv_line(FIELDS)
    for event in streamed(events):
        yield csv_line([cell(value) for value in told(event).values()])


def json_lines(events: Iterable[AuditEvent]) -> Iterator[str]:
    """One JSON object in a line for each event."""
    for event in streamed(events):
        yield json.dumps(told(event), ensure_ascii=False) + "\n"


def told(event: AuditEvent) -> dict[str, Any]:
    """The event as plain JSON, in the order of FIELDS."""
    values = {name: getattr(event, name) for name in FIELDS[:-1]}
    ids = {
        name: str(values[name]) if values[name] else None for name in ("id", "project_id", "connection_id")
    }
    return {**values, **ids, "at": event.at.isoformat(), "batch": event.batch_id}


def streamed(events: Iterable[AuditEvent]) -> Iterator[AuditEvent]:
    return events.iterator(chunk_size=CHUNK) if isinstance(events, QuerySet) else iter(events)


def cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: such a one gets an apostrophe in front."""
    if value is None or value == {}:
        return ""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    return f"'{text}" if text.startswith(DANGEROUS) else text


class Line:
    """A file that csv.writer writes one line into, and that gives it back."""

    def write(self, text: str) -> str:
        return text


def csv_line(cells: Iterable[str]) -> str:
    line: str = csv.writer(Line()).writerow(cells)
    return line
