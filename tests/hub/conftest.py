"""Vendors whose own page people sign in at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integrations import registry
from integrations.runtime import oauth_apps
from navi.audit.actor import SYSTEM


@pytest.fixture
def google(settings: Any) -> Iterator[Any]:
    """A Google on this machine."""
    from tests.standins.google import GoogleStandin

    with GoogleStandin() as standin:
        settings.UPSTREAMS = {**settings.UPSTREAMS, "google": standin.url}
        yield standin


@pytest.fixture
def googles_app(db: None, google: Any) -> Any:
    """The instance's OAuth app at Google."""
    entry = registry.entry("google", None)
    secret = google.client_secret
    return oauth_apps.save(entry, None, client_id=google.client_id, client_secret=secret, actor=SYSTEM)


@pytest.fixture
def github(settings: Any) -> Iterator[Any]:
    """A GitHub on this machine, which knows the device flow."""
    from tests.standins.github import GithubStandin

    with GithubStandin() as standin:
        settings.UPSTREAMS = {**settings.UPSTREAMS, "github": standin.url}
        yield standin


@pytest.fixture
def githubs_app(db: None, github: Any) -> Any:
    entry = registry.entry("github", None)
    secret = github.client_secret
    return oauth_apps.save(entry, None, client_id=github.client_id, client_secret=secret, actor=SYSTEM)


@pytest.fixture
def acmes_google(acme: Any, bob: Any, googles_app: Any) -> Any:
    """The project's Google account, connected by Bob for Gmail alone."""
    from credentials.models import Connection
    from tests.hub import oauth
    from tests.hub.browsers import browser_of

    oauth.connect(browser_of(bob), services=["gmail"])
    return Connection.objects.get(provider="google")
