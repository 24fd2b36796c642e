"""How many records a sync brings home in a second: for `tests/bench.py`, which sets Django and a database up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils import timezone

from integrations import registry
from integrations.models import Record, SyncState
from integrations.runtime import connect, sync
from navi.audit.actor import SYSTEM
from navi.jobs import work
from navi.jobs.models import Job
from navi.projects.models import Project
from tests.sync import shelf as shelves

RECORDS, A_PAGE = 5000, 100
TEXT = "A record of about one kilobyte, as a task or an event is. " * 16


def sync_records_per_second(records: int = RECORDS) -> float:
    """Records of 1 KB in pages of a hundred, through the ledger, the way out and a stand-in on this machine.

    Needs a migrated database and key files; leaves nothing behind but the project's audit.
    """
    with a_shelf_of(records) as (project, _):
        started = time.perf_counter()
        while Job.objects.due(timezone.now()).filter(kind="sync").exists():
            work.work_off(started=time.monotonic())
        seconds = time.perf_counter() - started
        stored = Record.objects.filter(project=project, is_deleted=False).count()
        state = SyncState.objects.get(project=project)
    if stored != records or state.phase != "idle":
        raise AssertionError(f"{stored} of {records} records, {state.phase}: {state.error_message}")
    return records / seconds


@contextmanager
def a_shelf_of(records: int) -> Iterator[tuple[Project, shelves.Shelf]]:
    shelves.install()
    project = Project.objects.create(slug=f"bench-{time.time_ns()}", name="Bench")
    before = dict(settings.UPSTREAMS)
    with shelves.Shelf() as shelf:
        shelf.page_size = A_PAGE
        shelf.fill(records, text=TEXT)
        settings.UPSTREAMS = {**before, "shelf": shelf.url}
        try:
            connected(project)
            yield project, shelf
        finally:
            settings.UPSTREAMS = before
            project.delete()
            shelves.uninstall()


def connected(project: Project) -> Any:
    offer = connect.Offer(
        entry=registry.entry("shelf", project.pk), project=project, fields={"apiKey": shelves.KEY}, label="Bench",
        test=False,
    )  # fmt: skip
    connection = connect.connect(offer, SYSTEM).connection
    Job.objects.exclude(kind=sync.KIND).filter(state="queued").delete()
    sync.ask(connection, "shelf", ["things"])
    return connection
