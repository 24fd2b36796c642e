"""Olga's browser at the admin, and rows of every kind to look at there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from credentials.models import Connection, Secret
from integrations.models import CustomProvider
from navi.audit.models import AuditEvent

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def fresh_figures() -> None:
    """The first page keeps its figures for a minute; no test sees another one's."""
    cache.clear()


class Browser(Client):
    """A person at the admin's pages."""

    def list_of(self, model: str, **query: str) -> Any:
        return self.get(reverse(f"admin:{model}_changelist"), query)

    def open(self, model: str, row: Any, page: str = "change") -> Any:
        return self.get(reverse(f"admin:{model}_{page}", args=[row.pk]))

    def change(self, model: str, row: Any, **values: Any) -> Any:
        return self.post(reverse(f"admin:{model}_change", args=[row.pk]), values, follow=True)

    def act(self, model: str, action: str, *rows: Any, **values: Any) -> Any:
        chosen = [str(row.pk) for row in rows]
        page = reverse(f"admin:{model}_changelist")
        return self.post(page, {"action": action, "_selected_action": chosen, **values}, follow=True)


@pytest.fixture
def browser_of(db: None) -> Any:
    def sign_in(person: Any) -> Browser:
        browser = Browser()
        browser.force_login(person, backend=BACKEND)
        return browser

    return sign_in


@pytest.fixture
def admin(browser_of: Any, olga: Any) -> Any:
    """Olga, who may do everything."""
    return browser_of(olga)


@pytest.fixture
def steve(person: Any) -> Any:
    """An operator with few rights: he may look at connections."""
    steve = person("Steve", is_staff=True)
    steve.user_permissions.add(Permission.objects.get(codename="view_connection"))
    return steve


@pytest.fixture
def account(db: None) -> Any:
    """Make a connection as it lies in the database: `account("todoist", project=acme, apiKey="…")`."""

    def make(provider: str, *, project: Any = None, user: Any = None, apiKey: str = "", **facts: Any) -> Any:
        facts = {"label": "alice@example.org", "state": "active", "health": "healthy", **facts}
        connection = Connection.objects.create(provider=provider, project=project, user=user, **facts)
        if apiKey:
            connection.flip_to(Secret.keep(connection, {"apiKey": apiKey}, bound_to=""))
        return connection

    return make


@pytest.fixture
def crm(acme: Any, bob: Any) -> Any:
    """A custom provider inside the network that waits for Olga."""
    return CustomProvider.objects.create(
        project=acme, slug="crm", name="CRM", base_url="http://10.1.2.3:8080", is_inside=True, created_by=bob
    )


@pytest.fixture
def remembered() -> Any:
    """The newest event of this name."""

    def find(event: str) -> Any:
        return AuditEvent.objects.filter(event=event).newest_first().first()

    return find


@pytest.fixture
def now() -> Any:
    return timezone.now()
