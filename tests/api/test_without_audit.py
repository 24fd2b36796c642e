"""Where an event cannot be written, nothing leaves and nothing changes."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection

from credentials.models import Connection
from integrations.models import CustomProvider, IntegrationDefault
from tests.canary.journey import without_audit
from tests.standins.todoist import KEY

OTHER_KEY = "f" * 40
# What is remembered of a try is not what was tried.
MAY_GROW = {"Milestone", "AuditEvent", "HealthCheck", "Job", "ActionRun", "OrmQ"}
WIKI = {"name": "Wiki", "baseUrl": "https://wiki.example.com"}


@pytest.fixture
def no_audit(transactional_db, ada, acmes_todoist, acme, todoist):
    """The database takes no more events."""
    todoist.accept_keys([KEY, OTHER_KEY])
    CustomProvider.objects.create(
        project=acme, slug="intranet", name="Intranet", base_url="https://in.example"
    )
    ada.get("/api/credentials/todoist/token")
    without_audit(True)
    yield
    without_audit(False)


def rows():
    return {
        model._meta.object_name: list(model._base_manager.order_by("pk").values_list(*fields_of(model)))
        for model in apps.get_models()
        if model._meta.object_name not in MAY_GROW
    }


def fields_of(model):
    """What a person or an agent decides; when something was last used is nobody's decision."""
    passing = {
        "last_used_at",
        "last_used_from",
        "last_check_at",
        "next_check_at",
        "last_success_at",
        "health_since",
    }
    return [field.attname for field in model._meta.concrete_fields if field.attname not in passing]


CHANGES = {
    "a key": ("POST", "/api/credentials/todoist", {"credentials": {"apiKey": OTHER_KEY}}),
    "a key for all projects": ("POST", "/api/credentials/todoist", {"credentials": {"apiKey": KEY}, "scope": "user"}),
    "a reconnect": (
        "POST", "/api/credentials/todoist", {"credentials": {"apiKey": OTHER_KEY}, "connection": "alice@example.org"},
    ),
    "a disconnect": ("DELETE", "/api/credentials/todoist", {}),
    "a request to connect": ("POST", "/api/credentials/todoist/connect", {}),
    "a switch": ("POST", "/api/integrations/todoist/disable", {}),
    "a setting": ("POST", "/api/integrations/todoist/settings", {"mcpEnabled": False}),
    "a custom provider": ("POST", "/api/providers/custom", WIKI),
    "a change of one": ("PUT", "/api/providers/custom/intranet", WIKI),
    "the end of one": ("DELETE", "/api/providers/custom/intranet", {}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_changes(ada, no_audit, error, change):
    method, path, body = change
    before = rows()
    answer = getattr(ada, method.lower())(path, body)

    assert (answer.status_code, error(answer)["code"]) == (503, "audit_unavailable")
    assert rows() == before


def test_no_credential_leaves(ada, no_audit, error):
    answer = ada.get("/api/credentials/todoist/token")

    assert (answer.status_code, error(answer)["code"]) == (503, "audit_unavailable")
    assert KEY not in answer.content.decode()


def test_no_answer_of_a_vendor_leaves(ada, no_audit, error):
    for answer in (
        ada.post("/api/actions/todoist.list_projects"),
        ada.get("/api/proxy/todoist/user"),
        ada.get("/api/plugins/todoist/discover/projects"),
    ):
        assert (answer.status_code, error(answer)["code"]) == (503, "audit_unavailable")


def test_what_needs_no_event_still_works(ada, no_audit):
    for path in ("/api/integrations/status", "/api/credentials/todoist", "/api/audit", "/api/actions"):
        assert ada.get(path).status_code == 200


def test_a_write_that_happened_can_be_asked_for_afterwards(ada, no_audit, todoist, error):
    """The vendor had it done before the event could not be written; the key tells, and it is not done twice."""
    before = len(todoist.tasks)
    lost = ada.post("/api/actions/todoist.create_task", {"content": "Buy milk"}, idempotency_key="k1")
    without_audit(False)
    found = ada.post("/api/actions/todoist.create_task", {"content": "Buy milk"}, idempotency_key="k1")
    without_audit(True)

    assert error(lost)["code"] == "audit_unavailable"
    assert (found.status_code, found.json()["result"]["content"]) == (200, "Buy milk")
    assert len(todoist.tasks) == before + 1


def test_every_released_credential_has_its_event(ada, acmes_todoist):
    """As many events as answers, also with refusals between."""
    from navi.audit.models import AuditEvent

    answers = [
        ada.get("/api/credentials/todoist/token", connection=name)
        for name in [""] * 5 + ["alice@example.org"] * 7
    ]
    released = sum(answer.status_code == 200 for answer in answers)

    events = AuditEvent.objects.filter(event="secret.released")
    assert (events.filter(outcome="ok").count(), events.count()) == (released, 12)
    assert not IntegrationDefault.objects.exists() and Connection.objects.count() == 1
    assert connection.is_usable()
