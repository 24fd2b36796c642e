"""Agents look after webhooks: with the scope for it, in their own project, and never see a secret twice."""

from __future__ import annotations

import pytest

from integrations.models import ActionRule, Delivery, WebhookEndpoint
from tests.hooks.conftest import Vendor

pytestmark = pytest.mark.django_db


@pytest.fixture
def added(ada, acmes_pinger):
    return ada.post("/api/webhooks", {"plugin": "pinger", "label": "Pings"}).json()


@pytest.fixture
def sends(added):
    return Vendor(WebhookEndpoint.objects.get(), added["secret"])


def test_ada_adds_a_webhook_and_sees_its_secret_once(ada, added, settings):
    listed = ada.get("/api/webhooks").json()["webhooks"]

    key = WebhookEndpoint.objects.get().key
    assert added["url"] == f"{settings.BASE_URL}/hooks/{key}"
    assert len(added["secret"]) == 64
    assert [one["id"] for one in listed] == [added["id"]]
    assert added["secret"] not in str(listed)


def test_a_rotation_answers_the_new_secret(ada, added, sends):
    answer = ada.post(f"/api/webhooks/{added['id']}/rotate", {"overlapHours": 1})

    assert answer.status_code == 200
    assert answer.json()["secret"] != added["secret"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert sends.send().status_code == 200


def test_ada_pauses_resumes_and_removes_it(ada, added, sends):
    path = f"/api/webhooks/{added['id']}"
    paused = ada.post(f"{path}/pause").json()["paused"], sends.send().status_code
    resumed = ada.post(f"{path}/resume").json()["paused"], sends.send().status_code
    removed = ada.delete(path).status_code, sends.send().status_code

    assert (paused, resumed, removed) == ((True, 404), (False, 200), (204, 404))


def test_deliveries_come_in_pages_and_by_state(ada, added, sends, process_all, monkeypatch):
    from integrations.runtime import inbox

    monkeypatch.setattr(inbox.page, "__kwdefaults__", {"state": "", "cursor": "", "size": 2})
    for number in range(5):
        sends.send(id=f"p{number}", type="nothing" if number == 3 else "ping")
    process_all()
    path = f"/api/webhooks/{added['id']}/deliveries"
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ada.get(path, **({"cursor": cursor} if cursor else {})).json()
        found += [one["vendorId"] for one in page["deliveries"]]
        cursor = page["next"]

    assert found == ["p4", "p3", "p2", "p1", "p0"]
    assert [one["vendorId"] for one in ada.get(path, state="ignored").json()["deliveries"]] == ["p3"]
    assert ada.get(path, state="odd").status_code == 400
    assert ada.get(path, cursor="odd\0").status_code == 400


def test_a_delivery_is_shown_without_what_is_secret(ada, added, sends):
    sends.send(id="p1", text="hello", password="hunter2hunter2", again=added["secret"])
    pk = Delivery.objects.get().pk

    told = ada.get(f"/api/webhooks/{added['id']}/deliveries/{pk}").json()

    assert told["payload"]["text"] == "hello"
    assert told["headers"]["x-ping-id"] == "p1"
    assert "hunter2" not in str(told)
    assert added["secret"] not in str(told)


def test_a_dead_letter_is_replayed(ada, added, sends, process_all):
    sends.send(id="p1", text="hello")
    Delivery.objects.update(state="dead", last_error="The plugin has a fault.")
    pk = Delivery.objects.get().pk

    answer = ada.post(f"/api/webhooks/{added['id']}/deliveries/{pk}/replay")
    process_all()

    assert (answer.status_code, answer.json()["state"], answer.json()["replays"]) == (200, "received", 1)
    assert Delivery.objects.get().state == "processed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"plugin": "silent"}, "plugin"),
        ({"plugin": "no-such"}, "plugin"),
        ({"plugin": "pinger", "connection": "no-such"}, "connection"),
        ({"plugin": "pinger", "resource": "a\0b"}, "resource"),
        ({"plugin": "pinger", "secret": "é" * 20}, "secret"),
    ],
)
def test_what_cannot_be_is_said(ada, acmes_pinger, body, field):
    answer = ada.post("/api/webhooks", body)

    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["field"] == field


def test_a_token_of_another_vendor_reaches_none_of_it(ada, api, token_of, alice, acme, added):
    limited = api(token_of(alice, acme, "webhooks:github"))

    assert limited.get("/api/webhooks").json() == {"webhooks": []}
    assert limited.post("/api/webhooks", {"plugin": "pinger"}).status_code == 403
    assert limited.get(f"/api/webhooks/{added['id']}").status_code == 403
    assert limited.delete(f"/api/webhooks/{added['id']}").status_code == 403


def test_charlies_agent_finds_none_of_it(api, token_of, charlie, elsewhere, added):
    stranger = api(token_of(charlie, elsewhere, "webhooks"))

    assert stranger.get(f"/api/webhooks/{added['id']}").status_code == 404
    assert stranger.get("/api/webhooks").json() == {"webhooks": []}


def test_what_a_rule_keeps_from_an_agent_it_does_not_read_in_the_inbox(ada, acme, endpoint, vendor):
    vendor.send(id="1")
    row = Delivery.objects.get()
    ActionRule.objects.create(project=acme, plugin="pinger", effect="deny")

    answer = ada.get(f"/api/webhooks/{endpoint.pk}/deliveries/{row.pk}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "approval_denied")
