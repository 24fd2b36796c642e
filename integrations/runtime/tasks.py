"""What the worker does by itself: handlers of the ledger, and what happens each minute."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from integrations.models import ActionRun, HealthCheck
from integrations.runtime import (
    approvals,
    connect,
    consent,
    endpoints,
    grants,
    health,
    hearing,
    records,
    registering,
    runs,
    sync,
    sync_schedule,
    telling,
)
from navi.audit.seal import seal_batch
from navi.jobs.handlers import every_minute, register
from navi.projects.signals import member_gone

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
    register(sync.KIND, sync.run_job, lease=sync.LEASE, max_attempts=3)
    register(sync_schedule.LEAVE, sync_schedule.run_leave, lease=timedelta(minutes=4), max_attempts=5)
    every_minute(sync_schedule.arrange_all)
    every_minute(sync_schedule.enqueue_due)
    every_minute(records.forget_old)
    register(approvals.JOB, approvals.run_job, lease=timedelta(minutes=3), max_attempts=3)
    every_minute(approvals.expire_overdue)
    member_gone.connect(approvals.end_with_member, dispatch_uid="navi.approvals")
    register("delivery", hearing.process, lease=hearing.LEASE, max_attempts=3)
    register("webhook_renew", registering.run_job, lease=timedelta(minutes=2), max_attempts=2)
    every_minute(hearing.take_up_left_over)
    every_minute(hearing.catch_up_after_silence)
    every_minute(hearing.forget_old)
    every_minute(endpoints.enqueue_renewals)
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
    lost.update(
        state=ActionRun.State.OUTCOME_UNKNOWN, status_code=502, finished_at=timezone.now(), arguments=None
    )


def forget_old() -> None:
    """Runs and checks are for looking back a while; what must stay is in the audit. What still waits is no past."""
    now = timezone.now()
    ActionRun.objects.filter(started_at__lt=now - RUNS_KEPT).exclude(state__in=runs.UNSENT).delete()
    HealthCheck.objects.filter(at__lt=now - CHECKS_KEPT).delete()
