"""Google calls Navi: from its own announcement, through the door and the sync, to the records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from credentials.models import Connection
from integrations import registry
from integrations.models import Delivery, Record, SyncState, WebhookEndpoint
from integrations.runtime import endpoints, hearing, jwks, sync, sync_schedule, toggles
from navi.audit.actor import SYSTEM
from tests.hub import oauth
from tests.hub.browsers import browser_of
from tests.hub.conftest import google, googles_app
from tests.standins.google import GoogleStandin
from tests.standins.google_push import signed

__all__ = ["google", "googles_app"]
TOPIC, PUSHER = "projects/navi/topics/navi", "pusher@navi.iam.gserviceaccount.com"


@pytest.fixture
def acmes_google(acme: Any, bob: Any, googles_app: Any) -> Connection:
    """The project's Google account, connected by Bob for Gmail and Calendar."""
    oauth.connect(browser_of(bob), services=["gmail", "google-calendar"])
    jwks.start_anew()
    return Connection.objects.get(provider="google")


@pytest.fixture
def come(google: GoogleStandin, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Let what Google announced come in at the door, here and now."""
    monkeypatch.setattr(google.post, "deliver", lambda: None)
    door = Client(raise_request_exception=False)

    def receive() -> list[int]:
        found = []
        while google.post._waiting:
            notice = google.post._waiting.popleft()
            path = notice.url.removeprefix(django_settings.BASE_URL)
            kind = notice.headers.get("Content-Type", "")
            found.append(
                door.generic("POST", path, notice.body, content_type=kind, headers=notice.headers).status_code
            )
        return found

    return receive


@pytest.fixture
def work(acme: Any) -> Callable[[], None]:
    """Do what the worker would: hear what came, then read all syncs to their end."""

    def do() -> None:
        for delivery in Delivery.objects.filter(state="received"):
            hearing.process(str(delivery.pk))
        for state in SyncState.objects.filter(project=acme):
            for _ in range(5):
                sync.run_job(str(state.pk))

    return do


def records(kind: str) -> set[str]:
    """The titles, or subjects, of what is kept."""
    kept = [row.data.reveal() for row in Record.objects.filter(kind=kind, is_deleted=False)]
    return {data.get("title") or data["subject"] for data in kept}


def test_an_event_made_at_google_becomes_a_record(
    acme: Any, acmes_google: Connection, google: GoogleStandin, come: Any, work: Any
):
    endpoint = endpoints.create(acme, "google-calendar", SYSTEM, resource="primary").endpoint
    sync_schedule.arrange(acme)
    assert come() == [200]
    work()
    google.put_event("Yoga", "2026-11-26T18:00:00+01:00", "2026-11-26T19:00:00+01:00", person="alice")

    assert come() == [200]
    work()

    assert "Yoga" in records("events")
    assert Delivery.objects.get().summary == "Events of primary changed"
    assert WebhookEndpoint.objects.get(pk=endpoint.pk).expires_at


def test_mail_that_comes_in_at_google_becomes_a_record(
    acme: Any, acmes_google: Connection, google: GoogleStandin, come: Any, work: Any
):
    _, gmail = registry.plugin("gmail", acme.pk)
    wanted = {"push_topic": TOPIC, "push_service_account": PUSHER}
    toggles.save_settings(gmail, acme, wanted, SYSTEM)
    google.subscribe(TOPIC, "to be known", PUSHER)
    made = endpoints.create(acme, "gmail", SYSTEM)
    google.subscribe(TOPIC, made.url, PUSHER)
    sync_schedule.arrange(acme)
    work()
    google.receive_mail("Invoice 12")

    assert come() == [200]
    work()

    assert made.secret is None
    assert "Invoice 12" in records("messages")
    stranger = {"Authorization": f"Bearer {signed('eve@evil.iam.gserviceaccount.com', made.url)}"}
    path = made.url.removeprefix(django_settings.BASE_URL)
    assert (
        Client().generic("POST", path, b"{}", content_type="application/json", headers=stranger).status_code
        == 404
    )
