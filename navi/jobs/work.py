"""Doing the work on the ledger: claim, run, write down how it went."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from navi.audit.redact import known_values, redact
from navi.jobs.handlers import LEASE, Handler, Later, handler_for
from navi.jobs.models import Job
from navi.net.errors import VendorError

logger = logging.getLogger(__name__)

LONGEST_RUN = timedelta(seconds=240)  # START_WITHIN and this stay under django-q2's timeout of 300 s
START_WITHIN = timedelta(seconds=45)
KEEP_DONE = timedelta(days=7)
KEEP_DEAD = timedelta(days=90)
STOPPING_FD = "NAVI_STOPPING_FD"


class TookTooLong(BaseException):
    """The run was stopped. Not an Exception, so that a handler's own `except` does not swallow it."""


# What a handler may end with and the ledger answers for. SystemExit: django-q2's own timeout is one.
ENDINGS = (Exception, SystemExit, TookTooLong)


def work_off(*, started: float, after_first_claim: Callable[[], object] = lambda: None) -> bool:
    """Run due jobs one at a time. True: time was up before the work was.

    `started` is the monotonic time at which django-q2 handed the task over.
    """
    owner = uuid.uuid4()
    has_claimed = False
    while not supervisor_is_stopping():
        now = timezone.now()
        job = Job.objects.due(now).first()
        if job is None:
            return False
        if time.monotonic() - started > START_WITHIN.total_seconds():
            return True
        handler = handler_for(job.kind)
        if not job.claim(owner=owner, at=now, lease=handler.lease if handler else LEASE):
            continue
        if not has_claimed:
            has_claimed = True
            after_first_claim()
        run(job, handler)
    return False


def run(job: Job, handler: Handler | None) -> None:
    """Run a claimed job; whatever happens is written down here and goes no further.

    An exception that got out would be pickled, stored and logged by django-q2, with all it says.
    """
    if handler is None:
        job.bury(reason=f"No handler is registered for jobs of kind {job.kind}.", at=timezone.now())
        return
    try:
        with time_limit(min(handler.lease, LONGEST_RUN)), known_values():
            handler.function(job.object_id)
    except Later as later:
        job.put_back(due_at=later.due_at, at=timezone.now(), counted=False)
    except ENDINGS as problem:
        drop_broken_connections()
        tell(f"Job {job.kind} {job.object_id}, attempt {job.attempts} of {job.max_attempts}", problem)
        job.fail(reason=reason_of(problem), at=timezone.now())
    else:
        if not job.finish(at=timezone.now()):
            logger.warning("Job %s %s ended after its lease and does not count.", job.kind, job.object_id)


def drop_broken_connections() -> None:
    """The work may have ended because the database went away; its outcome goes over a new connection."""
    if not connection.in_atomic_block:
        close_old_connections()


def sweep(*, at: datetime) -> None:
    """Take back the jobs whose worker is gone."""
    for job in Job.objects.lost(at):
        job.fail(reason=f"The worker was lost during attempt {job.attempts} of {job.max_attempts}.", at=at)


def prune(*, at: datetime) -> None:
    Job.objects.ended_before(done=at - KEEP_DONE, dead=at - KEEP_DEAD).delete()


def reason_of(problem: BaseException) -> str:
    """What an operator may read. The words of an unknown exception may quote a secret: its place does not."""
    name = type(problem).__name__
    if isinstance(problem, VendorError):
        return f"{name}: {redact(problem.message)}"
    places = [frame for frame in traceback.extract_tb(problem.__traceback__) if is_ours(frame.filename)]
    return f"{name} in {Path(places[-1].filename).name}:{places[-1].lineno}" if places else name


def is_ours(filename: str) -> bool:
    path = Path(filename)
    return path.is_relative_to(settings.BASE_DIR) and ".venv" not in path.parts and filename != __file__


def tell(what: str, problem: BaseException) -> None:
    """Log a failure with its stack, but without the exception's own words."""
    is_expected = isinstance(problem, VendorError)
    stack = "" if is_expected else "\n" + "".join(traceback.format_tb(problem.__traceback__)).rstrip()
    logger.warning("%s failed: %s%s", what, reason_of(problem), stack)


@contextmanager
def time_limit(limit: timedelta) -> Iterator[None]:
    """Stop the work when its time is up: a run that outlived its lease would meet its successor."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TookTooLong

    # django-q2 has set the same alarm for its own timeout; it is lent and given back.
    lent_at, theirs = time.monotonic(), signal.getitimer(signal.ITIMER_REAL)[0]
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if theirs:
            signal.setitimer(signal.ITIMER_REAL, max(0.1, theirs - (time.monotonic() - lent_at)))


def supervisor_is_stopping() -> bool:
    """`manage.py up` holds the other end of this pipe; it closes when the supervisor stops or dies."""
    given = os.environ.get(STOPPING_FD, "")
    return bool(given.isdigit() and select.select([int(given)], [], [], 0)[0])
