"""The doorbell: the only things django-q2 is asked to call. They carry nothing and return nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from functools import wraps

from django.utils import timezone
from django_q.brokers import get_broker
from django_q.tasks import async_task

from navi.jobs import work
from navi.jobs.handlers import EveryMinute, minute_functions
from navi.jobs.heartbeat import WORKER, beat

logger = logging.getLogger(__name__)

MINUTE_FUNCTION_LIMIT = timedelta(seconds=30)


def ring() -> None:
    """Wake a worker. If nobody hears it, the tick finds the work within two minutes."""
    try:
        broker = get_broker()
        if not broker.queue_size():  # a bell nobody has heard yet is as good as a new one
            async_task("navi.jobs.bell.drain", q_options={"broker": broker, "group": "bell"})
    except Exception as problem:
        # Any broker fails in its own way, and the caller's work is already committed.
        logger.warning("The bell is out of order (%s); the next tick does the work.", type(problem).__name__)


def silent(task: Callable[[], None]) -> Callable[[], None]:
    """django-q2 stores and logs what a task raises, so nothing is raised."""

    @wraps(task)
    def guarded() -> None:
        try:
            task()
        except work.ENDINGS as problem:
            work.tell(f"The worker's {task.__name__}", problem)

    return guarded


@silent
def drain() -> None:
    """Work off what is due."""
    started = time.monotonic()
    beat(WORKER, at=timezone.now(), at_least_apart=timedelta(seconds=15))
    work_off(started)


@silent
def tick() -> None:
    """Each minute: take back lost work, call the minute functions, work off what is due, tidy up."""
    started, now = time.monotonic(), timezone.now()
    beat(WORKER, at=now)
    work.sweep(at=now)
    # Ticks pile up behind busy workers, and two clusters may tick at once: one a minute is enough.
    if beat("tick", at=now, at_least_apart=timedelta(seconds=30)):
        for function in minute_functions():
            call(function)
        work.prune(at=now)
    work_off(started)


def work_off(started: float) -> None:
    # One bell wakes one worker. The first job it finds rings for the next worker, and so on.
    if work.work_off(started=started, after_first_claim=ring):
        ring()


def call(function: EveryMinute) -> None:
    """One minute function that fails must not stop the others."""
    try:
        with work.time_limit(MINUTE_FUNCTION_LIMIT):
            function()
    except work.ENDINGS as problem:
        work.tell(f"{function.__module__}.{getattr(function, '__name__', function)}", problem)
