"""Thirty days of health: one cell a day, the worst that was found on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import CharField, Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Cast, Substr

from credentials.models import Connection, Health
from integrations.models import HealthCheck

DAYS = 30
SEVERITY = (Health.FAILED, Health.DEGRADED, Health.UNKNOWN, Health.DISABLED)
WORDS = {Health.FAILED: "failing", Health.DEGRADED: "in trouble", Health.HEALTHY: "healthy"}


def strips(pks: Iterable[uuid.UUID], *, at: datetime) -> dict[uuid.UUID, dict[str, Any]]:
    """Strip and summary of each connection, in two queries however many there are."""
    wanted, days = list(pks), last_days(at)
    if not wanted:
        return {}
    ends, troubles = last_of_each_day(wanted, days), troubles_by_day(wanted, days)
    return {pk: strip_of(days, ends.get(pk, {}), troubles.get(pk, {})) for pk in wanted}


def last_days(at: datetime) -> list[date]:
    today = at.astimezone(UTC).date()
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def last_of_each_day(pks: list[uuid.UUID], days: list[date]) -> dict[uuid.UUID, dict[date, str]]:
    """The status of each day's last check: one index look-up for each cell, not a walk over all checks."""
    cells = {f"day_{number}": Subquery(last_check(day)) for number, day in enumerate(days)}
    rows: Any = Connection.objects.filter(pk__in=pks).order_by().values("pk", **cells)
    return {
        row["pk"]: {day: row[f"day_{number}"] for number, day in enumerate(days) if row[f"day_{number}"]}
        for row in rows
    }


def last_check(day: date) -> QuerySet[Any, Any]:
    start = datetime.combine(day, time.min, UTC)
    checks = HealthCheck.objects.filter(
        connection=OuterRef("pk"), at__gte=start, at__lt=start + timedelta(days=1)
    )
    return checks.order_by("-at").values("status")[:1]


def troubles_by_day(pks: list[uuid.UUID], days: list[date]) -> dict[uuid.UUID, dict[date, dict[str, int]]]:
    """How many checks of each day were not well, by status. The partial index holds only these."""
    since = datetime.combine(days[0], time.min, UTC)
    rows: Any = HealthCheck.objects.in_trouble().filter(connection__in=pks, at__gte=since).order_by()
    rows = rows.annotate(day=Substr(Cast("at", CharField()), 1, 10)).values("connection", "day", "status")
    found: dict[uuid.UUID, dict[date, dict[str, int]]] = {}
    for row in rows.annotate(times=Count("pk")):
        of_day = found.setdefault(row["connection"], {}).setdefault(date.fromisoformat(row["day"]), {})
        of_day[row["status"]] = row["times"]
    return found


def strip_of(
    days: list[date], ends: Mapping[date, str], troubles: Mapping[date, Mapping[str, int]]
) -> dict[str, Any]:
    cells = [cell(day, ends.get(day), troubles.get(day, {})) for day in days]
    return {"strip": cells, "strip_summary": summary([one["state"] for one in cells])}


def cell(day: date, end: str | None, trouble: Mapping[str, int]) -> dict[str, str]:
    worst = next((status.value for status in SEVERITY if trouble.get(status)), None)
    state = worst or end or Health.UNKNOWN.value
    words = WORDS.get(Health(state), "not checked")
    times = trouble.get(state, 0)
    if times:
        words = f"{words} at {times} check{'s' if times > 1 else ''}"
        words += ", healthy at the end" if end == Health.HEALTHY else ""
    return {"state": state, "title": f"{day:%-d %b}: {words}"}


def summary(states: list[str]) -> str:
    checked = [state for state in states if state != Health.UNKNOWN]
    well = [state for state in checked if state == Health.HEALTHY]
    if not checked:
        return "Not checked yet"
    if len(well) == len(checked):
        return "No trouble today" if len(checked) == 1 else f"No trouble in {len(checked)} days"
    return f"{len(well)} of {len(checked)} day{'s' if len(checked) > 1 else ''} without trouble"
