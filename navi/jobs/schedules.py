"""The one schedule django-q2 keeps for Navi: the tick. All else is a due date on the ledger."""

from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.apps.registry import apps as installed
from django.db import transaction
from django.utils import timezone

TICK = "navi.tick"


@transaction.atomic
def ensure_schedules(apps: Apps = installed) -> None:
    """Make sure that the tick is scheduled, once. Safe to call at any time and by several processes."""
    Schedule: Any = apps.get_model("django_q", "Schedule")
    wanted = {"func": "navi.jobs.bell.tick", "schedule_type": "I", "minutes": 1, "repeats": -1}
    known = list(Schedule.objects.select_for_update().filter(name=TICK).order_by("pk"))
    if not known:
        Schedule.objects.create(name=TICK, next_run=timezone.now(), **wanted)
        return
    first, *doubles = known
    Schedule.objects.filter(pk=first.pk).update(**wanted)
    Schedule.objects.filter(pk__in=[double.pk for double in doubles]).delete()


def after_migrate(apps: Apps = installed, **_: object) -> None:
    """`migrate jobs` alone may leave django-q2 without its tables; then the next migrate does it."""
    try:
        apps.get_model("django_q", "Schedule")
    except LookupError:
        return
    ensure_schedules(apps)
