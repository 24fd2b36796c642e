"""A webhook's secrets and contents lie sealed, and nowhere else: not in rows, jobs, audit, logs or answers."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from integrations.models import WebhookEndpoint
from integrations.runtime import endpoints, hearing
from navi.audit.actor import SYSTEM
from tests.canary.scanner import Scanner
from tests.hooks.conftest import Vendor
from tests.test_canary import Lines, at_rest

pytestmark = pytest.mark.django_db
SAID = "CANARY-content-of-a-delivery-8f31"


@pytest.fixture
def lines() -> Any:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_secrets_and_contents_are_found_nowhere(ada, acmes_pinger, acme, process_all, lines):
    added = ada.post("/api/webhooks", {"plugin": "pinger"}).json()
    endpoint = WebhookEndpoint.objects.get()
    vendor = Vendor(endpoint, added["secret"])
    answers = [
        vendor.send(id="p1", text=SAID), vendor.send(id="p1", text=SAID), vendor.send(type="broken", text=SAID),
        vendor.send(type="revoked"), vendor.post(SAID.encode(), {"X-Ping-Signature": added["secret"]}),
    ]  # fmt: skip
    process_all()
    rotated = endpoints.rotate(endpoint, SYSTEM).secret
    assert rotated
    answers.append(vendor.send(secret=rotated, id="p9", text=SAID))
    process_all()
    answers.append(ada.get("/api/webhooks"))
    answers.append(ada.get(f"/api/webhooks/{endpoint.pk}/deliveries"))
    hearing.forget_old()

    scanner = Scanner({"secret": added["secret"], "new secret": rotated, "content": SAID})
    assert scanner.hits("\n".join(lines).encode()) == set()
    assert {str(hit) for answer in answers for hit in scanner.hits(answer.content)} == set()
    assert {f"{place}: {hit}" for place, data in at_rest() for hit in scanner.hits(data)} == set()
