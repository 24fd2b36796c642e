"""The first page of the admin: is everything working, what needs an operator, how well does Navi do.

Each part is shown to those who may open the list behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Min
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from credentials.keys import why_sealed
from credentials.models import Connection, Health
from integrations import registry
from integrations.models import CustomProvider, Provider
from integrations.runtime import metrics
from navi.admin_site import mark, moment, span
from navi.audit.events import EVENTS
from navi.audit.models import AuditBatch, AuditEvent, Outcome
from navi.jobs.heartbeat import FRESH, WORKER
from navi.jobs.models import Heartbeat, Job, State

WINDOWS = (7, 30)
FAILURES = 10
FIGURES_KEPT = 60  # seconds: a busy month is millions of calls to count
SEALED_WITHIN = timedelta(minutes=5)
LATE = timedelta(minutes=5)

# What needs somebody first.
HEALTHS = (
    (Health.FAILED, "Failing"),
    (Health.DEGRADED, "Degraded"),
    (Health.UNKNOWN, "Not checked"),
    (Health.HEALTHY, "Healthy"),
    (Health.DISABLED, "Off"),
)
VERDICTS = {
    metrics.MET: ("healthy", "Met"),
    metrics.NOT_MET: ("failed", "Not met"),
    metrics.NOT_ENOUGH: ("unknown", "Not enough data"),
}


@dataclass(frozen=True)
class Need:
    """Something that waits for an operator."""

    words: str
    url: str = ""
    state: str = "failed"

    @property
    def mark(self) -> SafeString:
        return mark(self.state, "")


def overview(request: HttpRequest) -> dict[str, Any]:
    """What the first page says to this operator: at most twelve queries."""
    now, days = timezone.now(), days_asked_for(request)
    parts: dict[str, tuple[str, Callable[[], Any]]] = {
        "health": ("credentials.view_connection", connections_by_health),
        "work": ("jobs.view_job", lambda: work(now)),
        "failures": ("audit.view_auditevent", lambda: recent_failures(now, days)),
        "providers": ("integrations.view_provider", providers),
        "house": ("audit.view_auditbatch", lambda: house(now)),
        "figures": ("integrations.view_milestone", lambda: figures(now, days)),
    }
    user = request.user
    shown = {name: make() for name, (permission, make) in parts.items() if user.has_perm(permission)}
    return {**shown, "needs": list(needs(shown)), "days": days, "windows": WINDOWS}


def days_asked_for(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return int(asked) if asked in {str(days) for days in WINDOWS} else WINDOWS[0]


def page(name: str, **query: str) -> str:
    """The address of a list of the admin, filtered."""
    address = reverse(f"admin:{name}_changelist")
    return f"{address}?{urlencode(query)}" if query else address


# --- connections


def connections_by_health() -> dict[str, Any]:
    rows = Connection.objects.standing().order_by().values_list("provider", "health", "enabled")
    counts: Counter[str] = Counter()
    by_provider: dict[str, Counter[str]] = {}
    for provider, health, enabled, count in rows.annotate(count=Count("pk")):
        state = health if enabled else Health.DISABLED
        counts[state] += count
        by_provider.setdefault(provider, Counter())[state] += count
    return {
        "total": counts.total(),
        "parts": list(bar(counts)),
        "words": [word for _, word in HEALTHS],
        "table": [
            (provider, [found[state] for state, _ in HEALTHS])
            for provider, found in sorted(by_provider.items())
        ],
        "url": page("credentials_connection"),
    }


def bar(counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """The parts of a bar a thousand units wide, each with its count and the list behind it."""
    start, whole = 0.0, counts.total()
    for state, word in HEALTHS:
        count = counts[state]
        width = 1000 * count / whole if whole else 0
        yield {
            "state": str(state), "word": word, "count": count, "mark": mark(state, word), "url": list_of(state),
            "x": f"{start:.1f}", "width": f"{max(width - 4, 2):.1f}",
        }  # fmt: skip
        start += width


def list_of(state: str) -> str:
    if state == Health.DISABLED:
        return page("credentials_connection", enabled__exact="0")
    return page("credentials_connection", health__exact=str(state), enabled__exact="1")


# --- work


def work(now: datetime) -> dict[str, Any]:
    """Jobs by state, and when a worker was last seen."""
    states = [State.QUEUED, State.RUNNING, State.DEAD]
    rows = Job.objects.filter(state__in=states).order_by().values_list("state")
    found = {state: (count, due) for state, count, due in rows.annotate(n=Count("pk"), due=Min("due_at"))}
    jobs = [
        {
            "word": word,
            "count": found.get(state, (0, None))[0],
            "url": page("jobs_job", state__exact=str(state)),
        }
        for state, word in zip(states, ("Waiting", "Running", "Dead"), strict=True)
    ]
    due = found.get(State.QUEUED, (0, None))[1]
    beat = Heartbeat.objects.filter(name=WORKER).values_list("at", flat=True).first()
    is_alive = beat is not None and beat > now - FRESH
    return {
        "jobs": jobs,
        "dead": jobs[2],
        "late_for": span((now - due).total_seconds()) if due and due < now - LATE else "",
        "seen": moment(beat, now) if beat else "",
        "is_alive": is_alive,
        "mark": mark(*worker_state(beat, is_alive=is_alive)),
        "late_url": page("jobs_job", state__exact=State.QUEUED.value),
        "url": page("jobs_heartbeat"),
    }


def worker_state(beat: datetime | None, *, is_alive: bool) -> tuple[str, str]:
    if is_alive:
        return "healthy", "Alive"
    return ("failed", "Silent") if beat else ("failed", "Never seen")


# --- what went wrong


def recent_failures(now: datetime, days: int) -> dict[str, Any]:
    since = now - timedelta(days=days)
    wrong = AuditEvent.objects.filter(outcome__in=[Outcome.REFUSED, Outcome.FAILED], at__gte=since)
    rows = wrong.newest_first().defer("detail")[:FAILURES]
    return {
        "rows": [
            {
                "about": " · ".join(about(event)),
                "at": moment(event.at, now),
                "words": EVENTS.get(event.event, event.event),
                "mark": mark(*outcome_state(event.outcome)),
                "url": reverse("admin:audit_auditevent_change", args=[event.pk]),
            }
            for event in rows
        ],
        "url": page("audit_auditevent", outcome__exact=Outcome.FAILED.value),
        "refused_url": page("audit_auditevent", outcome__exact=Outcome.REFUSED.value),
    }


def about(event: AuditEvent) -> Iterator[str]:
    """What it was, why not, and who wanted it."""
    if what := f"{event.provider} {event.action}".strip():
        yield what
    if event.code:
        yield event.code
    who = event.actor_label or "somebody"
    yield f"{who} in {event.project_slug}" if event.project_slug else who


def outcome_state(outcome: str) -> tuple[str, str]:
    return {
        "ok": ("healthy", "Done"),
        "refused": ("degraded", "Refused"),
        "failed": ("failed", "Failed"),
    }[outcome]


# --- providers


def providers() -> dict[str, Any]:
    waiting = CustomProvider.objects.filter(is_inside=True, is_approved=False).count()
    return {
        "installed": len(registry.installed().entries),
        "blocked": [
            {"slug": row.slug, "reason": row.blocked_reason, "url": change_page(row)}
            for row in Provider.objects.filter(is_blocked=True)
        ],
        "waiting": waiting,
        "waiting_url": page("integrations_customprovider", approval="awaits"),
        "url": page("integrations_provider"),
    }


def change_page(row: Provider) -> str:
    return reverse("admin:integrations_provider_change", args=[row.pk])


# --- the house


def house(now: datetime) -> dict[str, Any]:
    """Keys and the audit's chain."""
    sealed = why_sealed()
    batch = AuditBatch.objects.newest()
    waiting = AuditEvent.objects.unsealed().aggregate(count=Count("pk"), oldest=Min("at"))
    is_behind = waiting["oldest"] is not None and waiting["oldest"] < now - SEALED_WITHIN
    return {
        "sealed": sealed,
        "keys_mark": mark("failed", "Sealed") if sealed else mark("healthy", "Open"),
        "batch": batch,
        "batch_at": moment(batch.sealed_at, now) if batch else "",
        "waiting": waiting["count"],
        "is_behind": is_behind,
        "chain_mark": mark("degraded", "Behind") if is_behind else mark("healthy", "Sealing"),
        "url": page("audit_auditbatch"),
    }


# --- how well Navi does


def figures(now: datetime, days: int) -> list[dict[str, Any]]:
    name = f"navi-figures-{days}"
    found = cache.get(name)
    if found is None:
        found = metrics.figures(since=now - timedelta(days=days), until=now)
        cache.set(name, found, FIGURES_KEPT)
    return [
        {
            "figure": figure,
            "shown": shown(figure.value, figure.unit),
            "target": f"{'under' if figure.is_ceiling else 'over'} {shown(figure.target, figure.unit)}",
            "verdict": figure.verdict,
            "mark": mark(*VERDICTS[figure.verdict]),
            "meter": meter(figure),
        }
        for figure in found
    ]


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "share":
        return f"{round(100 * value, 1 if value < 0.1 else 0):g} %"
    if unit == "mark":
        return f"{round(value, 1):g} of 5"
    return in_words(round(value))


def in_words(seconds: int) -> str:
    minutes, left = divmod(seconds, 60)
    if minutes < 60:
        return (
            " ".join(filter(None, (f"{minutes} min" if minutes else "", f"{left} s" if left else "")))
            or "0 s"
        )
    return span(seconds) if seconds >= 7200 else f"1 h {minutes - 60} min"


def meter(figure: metrics.Figure) -> dict[str, str]:
    """Where value and target lie on a line a hundred units long."""
    share = min(1, 4 * figure.target) if figure.is_ceiling else 1
    scale = 100 / {"share": share, "mark": 5, "seconds": 4 * figure.target}[figure.unit]
    value = min(100, (figure.value or 0) * scale)
    return {"value": f"{value:.1f}", "target": f"{figure.target * scale:.1f}"}


# --- what needs an operator


def needs(shown: dict[str, Any]) -> Iterable[Need]:
    """One sentence each, the worst first."""
    if (part := shown.get("house")) and part["sealed"]:
        yield Need(part["sealed"])
    if part := shown.get("work"):
        yield from needs_of_work(part)
    if part := shown.get("health"):
        failing = part["parts"][0]
        if failing["count"]:
            yield Need(f"{metrics.plural(failing['count'], 'connection')} failing", failing["url"])
    if (part := shown.get("providers")) and part["waiting"]:
        waiting = metrics.plural(part["waiting"], "custom provider")
        yield Need(f"{waiting} inside the network awaiting approval", part["waiting_url"], "degraded")
    if (part := shown.get("house")) and part["is_behind"]:
        yield Need(
            "The audit is not being sealed: some events wait for more than 5 minutes", part["url"], "degraded"
        )


def needs_of_work(part: dict[str, Any]) -> Iterator[Need]:
    if not part["is_alive"]:
        yield Need(
            "No worker is running: nothing is checked, synced or sealed. Start Navi with: manage.py up"
        )
    if part["dead"]["count"]:
        yield Need(
            f"{metrics.plural(part['dead']['count'], 'dead letter')} among the jobs", part["dead"]["url"]
        )
    if part["late_for"] and part["is_alive"]:
        yield Need("Jobs have been waiting for more than 5 minutes", part["late_url"], "degraded")
