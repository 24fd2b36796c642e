"""Is Navi any good? The seeds' success figures, computed from milestones and from agents' calls."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import NamedTuple

from django.db.models import Count, Q

from integrations.models import Milestone
from navi.audit.models import AuditEvent, Outcome

CALLS = ("action.run", "proxy.called", "secret.released", "mcp_tool.called")
NO_ERROR = ("approval_required",)  # A person is asked first: that is the way it should go.
STILL_UNDER_WAY = timedelta(minutes=15)

MET, NOT_MET, NOT_ENOUGH = "met", "not_met", "not_enough"


@dataclass(frozen=True)
class Figure:
    """One figure against its target; `value` is None where nothing was counted."""

    slug: str
    name: str
    target: float
    value: float | None
    count: int
    least: int  # fewer than this say nothing
    told: str  # what was counted, for people
    unit: str = "share"  # share, seconds, mark
    is_ceiling: bool = False  # the target is the most, not the least

    @property
    def verdict(self) -> str:
        if self.value is None or self.count < self.least:
            return NOT_ENOUGH
        is_met = self.value < self.target if self.is_ceiling else self.value > self.target
        return MET if is_met else NOT_MET


class Step(NamedTuple):
    """One milestone, as far as the figures need it."""

    kind: str
    at: datetime
    attempt: uuid.UUID | None
    value: float | None


def figures(*, since: datetime, until: datetime) -> list[Figure]:
    """The five figures for a span of time: two queries."""
    rows = Milestone.objects.filter(at__gte=since, at__lt=until).order_by("at")
    steps = [Step(*row) for row in rows.values_list("kind", "at", "attempt", "value")]
    return [
        setup_success(steps, until),
        time_to_first_use(steps),
        recovery_success(steps, until),
        satisfaction(steps),
        agent_errors(since, until),
    ]


def setup_success(steps: Iterable[Step], until: datetime) -> Figure:
    """Setups begun in the span that ended connected. One that is still open is not judged for a while."""
    begun: dict[uuid.UUID | None, datetime] = {}
    ended, connected = set(), set()
    for step in steps:
        if step.kind == "setup_started":
            begun.setdefault(step.attempt, step.at)
        elif step.kind in {"setup_succeeded", "setup_failed"} and step.attempt in begun:
            ended.add(step.attempt)
            if step.kind == "setup_succeeded":
                connected.add(step.attempt)
    judged = [key for key, at in begun.items() if key in ended or at < until - STILL_UNDER_WAY]
    told = f"{len(connected)} of {plural(len(judged), 'setup')} connected"
    return Figure(
        "setup", "Setup success", 0.9, share(len(connected), len(judged)), len(judged), least=5, told=told
    )


def time_to_first_use(steps: Iterable[Step]) -> Figure:
    """The median time from the start of a connection to its first call that worked."""
    seconds = values_of("first_use", steps)
    told = f"median of {plural(len(seconds), 'first use')}"
    return Figure(
        "first_use", "Time to first use", 120, median(seconds) if seconds else None, len(seconds), least=5,
        told=told, unit="seconds", is_ceiling=True,
    )  # fmt: skip


def recovery_success(steps: Iterable[Step], until: datetime) -> Figure:
    """Illnesses of connections that began in the span and ended well, by themselves or by a reconnect."""
    ill_since: dict[uuid.UUID, datetime] = {}
    recovered = lost = 0
    for step in steps:
        if step.attempt is None:
            continue
        if step.kind == "recovery_attempted":
            lost += step.attempt in ill_since  # It ended in some way that nobody noted.
            ill_since[step.attempt] = step.at
        elif step.kind == "recovery_succeeded":
            recovered += ill_since.pop(step.attempt, None) is not None
    lost += sum(at < until - STILL_UNDER_WAY for at in ill_since.values())
    told = f"{recovered} of {plural(recovered + lost, 'failing connection')} worked again"
    return Figure(
        "recovery", "Recovery success", 0.8, share(recovered, recovered + lost), recovered + lost, least=5,
        told=told,
    )  # fmt: skip


def satisfaction(steps: Iterable[Step]) -> Figure:
    """The mean of the answers to "How easy was it?", from 1 to 5."""
    marks = values_of("satisfaction", steps)
    told = f"mean of {plural(len(marks), 'answer')}"
    return Figure(
        "satisfaction", "Satisfaction with setup", 4, fmean(marks) if marks else None, len(marks), least=5,
        told=told, unit="mark",
    )  # fmt: skip


def agent_errors(since: datetime, until: datetime) -> Figure:
    """Agents' calls that did not give what was asked for, whoever said no."""
    calls = AuditEvent.objects.filter(event__in=CALLS, actor_kind="agent", at__gte=since, at__lt=until)
    is_error = ~Q(code__in=NO_ERROR)
    counts = calls.aggregate(
        all=Count("pk"),
        refused=Count("pk", filter=Q(outcome=Outcome.REFUSED) & is_error),
        failed=Count("pk", filter=Q(outcome=Outcome.FAILED) & is_error),
    )
    errors = counts["refused"] + counts["failed"]
    told = f"of {plural(counts['all'], 'call')}: {counts['refused']:,} refused, {counts['failed']:,} failed"
    return Figure(
        "agent_errors", "Agent errors", 0.05, share(errors, counts["all"]), counts["all"], least=20, told=told,
        is_ceiling=True,
    )  # fmt: skip


def values_of(kind: str, steps: Iterable[Step]) -> list[float]:
    return [step.value for step in steps if step.kind == kind and step.value is not None]


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
