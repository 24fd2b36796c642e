import time
from datetime import timedelta

import pytest
from django.utils import timezone

from navi.jobs import handlers, work
from navi.jobs.models import Job


@pytest.fixture(autouse=True)
def no_other_handlers(monkeypatch):
    monkeypatch.setattr(handlers, "_handlers", {})
    monkeypatch.setattr(handlers, "_every_minute", [])


@pytest.fixture
def work_off():
    """What a worker does when it hears the bell."""
    return lambda: work.work_off(started=time.monotonic())


@pytest.fixture
def make_due():
    """Let the pauses pass."""
    return lambda: Job.objects.update(due_at=timezone.now() - timedelta(seconds=1))
