"""Who was seen alive, and when."""

from __future__ import annotations

from datetime import datetime, timedelta

from navi.jobs.models import Heartbeat

FRESH = timedelta(seconds=150)
WORKER = "worker"


def beat(name: str, *, at: datetime, at_least_apart: timedelta = timedelta(0)) -> bool:
    """Note that `name` is alive. False: somebody did so less than `at_least_apart` ago."""
    _, is_new = Heartbeat.objects.get_or_create(name=name, defaults={"at": at})
    return is_new or bool(Heartbeat.objects.filter(name=name, at__lte=at - at_least_apart).update(at=at))


def worker_is_alive(at: datetime) -> bool:
    """For /readyz: has any worker drained or ticked lately?"""
    return Heartbeat.objects.filter(name=WORKER, at__gt=at - FRESH).exists()
