"""What the worker does by itself: handlers of the ledger, and what happens each minute."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from integrations.models import ActionRun, HealthCheck
from integrations.runtime import connect, consent, grants, health, telling
from navi.audit.seal import seal_batch
from navi.jobs.handlers import every_minute, register

RUNS_KEPT = timedelta(days=30)
CHECKS_KEPT = timedelta(days=90)
LONGEST_CALL = timedelta(minutes=10)


def register_all() -> None:
    register("health", health.run_job, lease=timedelta(minutes=2), max_attempts=2)
    register("refresh", grants.run_job, lease=timedelta(minutes=2), max_attempts=2)
    telling.register_all()
    every_minute(health.enqueue_due)
    every_minute(grants.enqueue_due)
    register("consent", consent.run_job, lease=timedelta(minutes=2), max_attempts=2)
    every_minute(consent.enqueue_cut_off)
    every_minute(consent.forget_old)
    every_minute(seal_audit)
    every_minute(connect.sweep_left_over)
    every_minute(end_cut_off)
    every_minute(forget_old)


def seal_audit() -> None:
    seal_batch(timezone.now())


def end_cut_off() -> None:
    """Calls whose process died in the middle: nobody knows whether the vendor got them."""
    running = ActionRun.objects.filter(state=ActionRun.State.RUNNING)
    lost = running.filter(started_at__lt=timezone.now() - LONGEST_CALL)
    lost.update(state=ActionRun.State.OUTCOME_UNKNOWN, status_code=502, finished_at=timezone.now())


def forget_old() -> None:
    """Runs and checks are for looking back a while; what must stay is in the audit."""
    now = timezone.now()
    ActionRun.objects.filter(started_at__lt=now - RUNS_KEPT).delete()
    HealthCheck.objects.filter(at__lt=now - CHECKS_KEPT).delete()
