"""Alice owns the project Acme, Bob is a member, Charlie is a stranger; Ada is an agent with Alice's token."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection, connections

from navi.audit.actor import Actor
from navi.audit.models import AuditBatch, AuditCheckpoint, AuditEvent
from navi.audit.record import record
from navi.audit.seal import seal_batch
from navi.keyring import KeyFiles

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def keys(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.NAVI_KEYS = KeyFiles(tmp_path)
    settings.NAVI_KEYS.create("keyring")
    settings.NAVI_KEYS.create("pepper")
    return settings.NAVI_KEYS


@pytest.fixture
def alice():
    return Actor("person", "7d1f", "Alice", role="owner", ip="192.0.2.10")


@pytest.fixture
def bob():
    return Actor("person", "b0b0", "Bob", role="member")


@pytest.fixture
def charlie():
    return Actor("person", "c4a1", "Charlie")


@pytest.fixture
def ada():
    return Actor("agent", "ADAADAADAADA", "Ada (Alice)", role="owner", ip="2001:DB8::7")


@pytest.fixture
def acme():
    return SimpleNamespace(pk=uuid.UUID(int=1), slug="acme")


@pytest.fixture
def alices_gmail():
    return SimpleNamespace(pk=uuid.UUID(int=2), label="alice@example.org")


@pytest.fixture
def minute(db, alice, acme, django_capture_on_commit_callbacks) -> Callable[..., AuditBatch]:
    """`minute(3)`: three things happen, and the minute in which they did is sealed."""
    passed = 0

    def minute(events: int = 2) -> AuditBatch:
        nonlocal passed
        passed += 1
        for _ in range(events):
            record("action.run", actor=alice, project=acme, detail={"minute": passed})
        with django_capture_on_commit_callbacks(execute=True):
            batch = seal_batch(NOON + timedelta(minutes=passed))
        assert batch is not None
        return batch

    return minute


@pytest.fixture
def file_database(transactional_db, monkeypatch, tmp_path):
    """A database that threads share. SQLite in memory locks whole tables without waiting; a file does not."""
    if connection.vendor == "sqlite":
        here = {**connections.settings["default"], "NAME": tmp_path / "navi.sqlite3"}
        monkeypatch.setitem(connections.settings, "default", here)
        together(make_tables)


def make_tables():
    with connection.schema_editor() as editor:
        for model in (AuditBatch, AuditEvent, AuditCheckpoint):
            editor.create_model(model)


def together(*works):
    """Run each in a thread of its own with its own connection, at the same time, and return their results."""
    results, problems = [None] * len(works), []
    gate = threading.Barrier(len(works))

    def run(place, work):
        try:
            gate.wait(60)
            results[place] = work()
        except BaseException as problem:
            problems.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if problems:
        raise problems[0]
    return results
