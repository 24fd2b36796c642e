"""A shelf, Alice's account there, and a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.grants.conftest import database_url
from tests.sync import shelf as shelves
from tests.sync.crew import Crew
from tests.sync.shelf import KEY, Shelf


@pytest.fixture(autouse=True)
def known_plugin() -> Iterator[None]:
    shelves.install()
    yield
    shelves.uninstall()


@pytest.fixture
def shelf(settings: Any) -> Iterator[Shelf]:
    with Shelf() as standin:
        settings.UPSTREAMS = {"shelf": standin.url}
        yield standin


@pytest.fixture
def acmes_shelf(connected: Any, acme: Any, shelf: Shelf) -> Any:
    """The project's account at the shelf; its syncs are due."""
    return connected("shelf", acme, apiKey=KEY, label="alice@example.org")


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the plugin's sync do something else."""
    return lambda function: monkeypatch.setitem(shelves.plugin.syncs, "things", shelves.behaves(function))


@pytest.fixture
def the_sync(acmes_shelf: Any) -> Callable[[], Any]:
    """Its one state, as it is now."""
    from integrations.models import SyncState

    return lambda: SyncState.objects.get(connection=acmes_shelf, kind="things", part="")


@pytest.fixture
def work_off() -> Callable[[], object]:
    """What a worker does when it hears the bell; other handlers have nothing to do here."""
    from navi.jobs import work
    from navi.jobs.models import Job

    def do() -> None:
        Job.objects.exclude(kind__in=["sync", "sync_leave"]).delete()
        while Job.objects.due(timezone.now()).exists():
            work.work_off(started=time.monotonic())

    return do


@pytest.fixture
def sync_now(the_sync: Any, acmes_shelf: Any, work_off: Any) -> Callable[[], Any]:
    """Ask, and let a worker do it; the state afterwards."""
    from integrations.runtime import sync

    def do() -> Any:
        sync.ask(acmes_shelf, "shelf", ["things"])
        work_off()
        return the_sync()

    return do


@pytest.fixture
def time_passes() -> Callable[..., None]:
    """Let the pauses of syncs and jobs pass."""
    from integrations.models import SyncState
    from navi.jobs.models import Job

    def do() -> None:
        long_ago = timezone.now() - timedelta(minutes=1)
        SyncState.objects.update(next_run_at=long_ago)
        Job.objects.filter(state="queued").update(due_at=long_ago)

    return do


@pytest.fixture
def living(acme: Any) -> Callable[..., dict[str, Any]]:
    """What Navi has: id and content of every record that is there."""
    from integrations.models import Record

    def look(kind: str = "things", part: str = "") -> dict[str, Any]:
        rows = Record.objects.filter(project=acme, kind=kind, part=part, is_deleted=False)
        return {row.external_id: row.data.reveal() for row in rows}

    return look


@pytest.fixture(scope="session")
def environment(django_db_setup: Any, key_files: Any) -> dict[str, str]:
    return {"DATABASE_URL": database_url(), "NAVI_DATA_DIR": str(key_files.directory)}


@pytest.fixture(scope="session")
def crew(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    log: Path = tmp_path_factory.mktemp("sync-crew") / "log"
    with Crew(environment, log) as found:
        yield found
