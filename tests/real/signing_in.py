"""The way of a sign-in, step by step, with a person in the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection
from django.utils import timezone

from credentials.models import Connection, OAuthApp, OAuthAttempt, Secret
from integrations import registry
from integrations.runtime import consent
from navi.projects.rights import actor_for
from tests.real.strangers_browser import Browser
from tests.real.vendors import CLIENTS

Found = TypeVar("Found")


def app_at(client: str, project: Any = None) -> OAuthApp:
    """Navi's OAuth app at the vendor, for a project or for all."""
    known = CLIENTS[client]
    secret = {"client_secret": known.client_secret}
    return OAuthApp.objects.create(
        provider="notes", project=project, client_id=known.client_id, secret=secret
    )


def begin(person: Any, project: Any, **wish: Any) -> str:
    """Begin, and give the vendor's address."""
    entry = registry.entry("notes", project.pk)
    wished = consent.Wish(entry, project, person, **wish)
    return consent.begin(wished, actor_for(person, project))[1]


def finish(person: Any, project: Any, back: dict[str, str]) -> OAuthAttempt:
    """Come back with what the vendor sent."""
    return consent.finish(back, user=person, actor=actor_for(person, project))


def finished(person: Any, project: Any, back: dict[str, str]) -> Connection:
    """Come back, and be connected."""
    attempt = finish(person, project, back)
    assert attempt.outcome == OAuthAttempt.State.DONE and attempt.connection, attempt.message
    return attempt.connection


def connect(person: Any, project: Any, browser: Browser, **wish: Any) -> OAuthAttempt:
    return finish(person, project, browser.agree(begin(person, project, **wish)))


def connected(person: Any, project: Any, browser: Browser, **wish: Any) -> Connection:
    return finished(person, project, browser.agree(begin(person, project, **wish)))


def app_of(row: Connection) -> str:
    """The client ID that it was connected with."""
    assert row.app is not None
    return row.app.client_id


def token_of(row: Connection, name: str = "access_token") -> str:
    row = Connection.objects.select_related("current").get(pk=row.pk)
    assert row.current is not None
    return str(row.current.fields.reveal()["fields"][name])


def spoil_secret() -> None:
    """As if somebody had made a new secret at the vendor's and forgotten to tell Navi."""
    for app in OAuthApp.objects.all():
        app.secret = {"client_secret": "yesterdays-secret"}
        app.save()


def spoil_token(row: Connection) -> None:
    """As if the vendor had forgotten the access token, some minutes after it gave it."""
    secret = Secret.objects.get(connection=row)
    kept = secret.fields.reveal()
    secret.fields = {**kept, "fields": {**kept["fields"], "access_token": "forgotten"}}
    secret.save()
    Connection.objects.update(issued_at=timezone.now() - timedelta(minutes=5))


def at_once(times: int, work: Callable[[], Found]) -> list[Found]:
    """Do it in so many threads at the same moment; what each found. Needs a transactional database."""
    start = threading.Barrier(times)

    def one(_: int) -> Found:
        start.wait(timeout=30)
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(one, range(times)))
