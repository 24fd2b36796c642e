"""What a stranger who has learnt an address tries at the door, and what a vendor's words try in the pages."""

from __future__ import annotations

import base64
import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import (
    ActionRule,
    CustomProvider,
    Delivery,
    IntegrationDefault,
    Provider,
    WebhookEndpoint,
)
from integrations.runtime import endpoints, hearing, inbound, jwks, lines, registering
from integrations.sdk import Headers, Hmac, Incoming, SignedJwt, TryLater
from integrations.sdk.signatures import proves
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from tests.api.conftest import error_of
from tests.hooks.test_endpoints import CallerStandin, acmes_caller, standin
from tests.hub.browsers import browser_of

__all__ = ["CallerStandin", "acmes_caller", "standin"]
pytestmark = pytest.mark.django_db
PAGE = "/p/acme/webhooks"
SECRET = "wombat-wombat-wombat-1"


def send(
    endpoint: Any, method: str = "POST", body: bytes = b"{}", query: str = "", headers: Any = None
) -> Any:
    path = f"/hooks/{endpoint.key}" + (f"?{query}" if query else "")
    client = Client(raise_request_exception=False)
    return client.generic(method, path, body, content_type="application/json", headers=headers or {})


@pytest.fixture
def intranet(acme):
    """`intranet("asana")`: an endpoint of a custom provider that signs so."""
    CustomProvider.objects.create(
        project=acme, slug="intranet", name="Intranet", base_url="https://intranet.example"
    )

    def make(scheme, secret=SECRET):
        return endpoints.create(acme, "intranet", SYSTEM, scheme=scheme, secret=secret).endpoint

    return make


# --- handshakes


@pytest.mark.parametrize(
    ("scheme", "method"), [("microsoft", "POST"), ("dropbox", "GET"), ("trello", "HEAD")]
)
def test_whoever_greets_again_and_again_does_not_fill_the_audit(intranet, scheme, method):
    endpoint = intranet(scheme)
    answers = [send(endpoint, method, b"", "validationToken=x&challenge=y").status_code for _ in range(5)]

    assert answers == [200] * 5
    assert AuditEvent.objects.filter(event="webhook.greeted").count() == 1
    assert WebhookEndpoint.objects.get().state == "waiting"


def test_a_strangers_handshake_does_not_replace_the_secret_that_a_person_brought(intranet):
    answer = send(intranet("asana"), headers={"X-Hook-Secret": "the-strangers-own"})

    assert answer.status_code == 404
    assert lines.live(WebhookEndpoint.objects.get()) == [SECRET]


def test_a_secret_is_not_kept_where_nobody_could_remember_it(intranet, monkeypatch):
    def away(*_, **__):
        raise Problem("audit_unavailable", "away")

    endpoint = intranet("asana", secret="")
    monkeypatch.setattr(inbound, "record", away)
    first = send(endpoint, headers={"X-Hook-Secret": SECRET})
    monkeypatch.undo()

    assert (first.status_code, lines.live(WebhookEndpoint.objects.get())) == (503, [])
    assert send(endpoint, headers={"X-Hook-Secret": SECRET})["X-Hook-Secret"] == SECRET


def test_once_the_vendor_has_answered_nobody_else_brings_a_secret(acmes_caller, acme, standin):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    WebhookEndpoint.objects.update(renew_at=timezone.now() - timedelta(seconds=1))
    registering.run_job(str(made.endpoint.pk))

    assert send(made.endpoint, headers={"X-Call-Secret": "the-thiefs-own-secret"}).status_code == 404


# --- what nobody has proven


def test_a_thousand_fields_are_refused_as_everything_is(made):
    many = send(made.endpoint, query="&".join(["a"] * 2000))
    nobody = Client().post("/hooks/" + "0" * 32, b"{}", content_type="application/json")

    assert (many.status_code, many.content) == (nobody.status_code, nobody.content)


def test_a_strangers_large_json_is_not_unfolded(intranet):
    body = b"[" + b"{}," * 1_500_000 + b"{}]"
    greeted, timed = intranet("slack"), Hmac("X-Sign", timestamp_field="at", tolerance=60)
    tracemalloc.start()
    refused = send(greeted, body=body)
    proven = proves(timed, Incoming("POST", Headers({"X-Sign": "0" * 64}), {}, body), [SECRET], now=0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (refused.status_code, proven) == (404, False)
    assert most < 30 * 2**20


def test_while_the_vendors_keys_are_away_nobody_waits_for_them_one_by_one(monkeypatch):
    class Away:
        asked = 0

        def send(self, *_, **__):
            self.asked += 1
            raise TryLater("down")

    away = Away()
    monkeypatch.setattr(jwks, "outbound", lambda **_: away)
    jwks.start_anew()
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"k"}').decode().rstrip("=")
    incoming = Incoming("POST", Headers({"Authorization": f"Bearer {head}.e30.e30"}), {}, b"{}")
    proof = SignedJwt("https://www.googleapis.com/oauth2/v3/certs", ("https://accounts.google.com",))
    for _ in range(3):
        with pytest.raises(TryLater):
            jwks.proves(proof, incoming, upstream_of="google", email=None)
    jwks.start_anew()

    assert away.asked == 1


def test_a_token_of_nothing_but_brackets_is_a_no():
    deep = base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=")
    incoming = Incoming("POST", Headers({"Authorization": f"Bearer {deep}.e30.e30"}), {}, b"{}")

    assert not jwks.proves(SignedJwt("https://x", ("x",)), incoming, upstream_of="google", email=None)


# --- what is switched off


def test_what_the_operator_has_switched_off_does_not_listen_unless_the_project_switched_it_on(vendor, acme):
    Provider.objects.create(slug="pinger", enabled=False)
    refused = vendor.send().status_code
    IntegrationDefault.objects.create(project=acme, provider="pinger", enabled=True)

    assert (refused, vendor.send().status_code) == (404, 200)


def shut_by_operator(acme):
    Provider.objects.create(slug="caller", is_blocked=True)


def shut_by_project(acme):
    IntegrationDefault.objects.create(project=acme, provider="caller", plugin="caller", enabled=False)


@pytest.mark.parametrize("shut", [shut_by_operator, shut_by_project])
def test_what_is_shut_registers_nothing_and_renews_nothing(acmes_caller, acme, standin, shut):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    WebhookEndpoint.objects.update(renew_at=timezone.now() - timedelta(seconds=1))
    shut(acme)
    registering.run_job(str(made.endpoint.pk))

    assert len(standin.channels) == 1
    for act in (
        lambda: endpoints.create(acme, "caller", SYSTEM, resource="room 2"),
        lambda: endpoints.rotate(made.endpoint, SYSTEM),
    ):
        with pytest.raises(Problem) as refusal:
            act()
        assert refusal.value.code in {"blocked", "disabled"}
    assert len(standin.channels) == 1


@pytest.mark.parametrize("effect", ["ask", "deny"])
def test_an_agent_that_a_rule_watches_registers_nothing_at_the_vendor(
    ada, acmes_caller, acme, standin, effect
):
    ActionRule.objects.create(project=acme, plugin="caller", effect=effect)
    by_api = ada.post("/api/webhooks", {"plugin": "caller", "resource": "room 1"})

    assert error_of(by_api)["code"] == "blocked"
    assert standin.channels == {}


def test_a_resource_does_not_lead_to_another_address_of_the_vendor(acmes_caller, acme, standin):
    with pytest.raises(Problem) as refusal:
        endpoints.create(acme, "caller", SYSTEM, resource="acme/site/forks?")

    assert refusal.value.code == "invalid_input"


# --- looking at it


ODD = {
    "deep": b'{"type":"ping","text":' + b"[" * 800 + b"]" * 800 + b"}",
    "deeper": b"[" * 100_000,
    "halves": b'{"type":"ping\\ud800","text":"\\ud800 \\u0000","\\udfff":1}',
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "no numbers": b"[1e999, NaN, -Infinity, " + b"9" * 4000 + b"]",
    "a page": b'{"type":"<script>alert(1)</script>","text":"\\"><img src=x onerror=alert(1)>"}',
}


@pytest.mark.parametrize("body", ODD.values(), ids=list(ODD))
def test_whatever_a_vendor_signs_can_be_looked_at(vendor, alice, ada, body):
    vendor.send(body=body)
    row = Delivery.objects.get()
    hearing.process(str(row.pk))
    pages = [browser_of(alice).get(path) for path in (PAGE, f"{PAGE}/deliveries/{row.pk}")]

    assert [page.status_code for page in pages] == [200, 200]
    assert not any("<script>alert" in page.text or "<img src=x" in page.text for page in pages)
    assert ada.get(f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}").status_code == 200


@pytest.mark.parametrize(
    ("scheme", "body"),
    [("figma", {"passcode": SECRET}), ("microsoft", {"value": [{"clientState": SECRET}]})],
)
def test_a_secret_that_travels_in_the_body_is_on_no_page(intranet, alice, ada, scheme, body):
    accepted = send(intranet(scheme), body=json.dumps(body).encode())
    row = Delivery.objects.get()

    assert accepted.status_code == 200
    assert SECRET not in browser_of(alice).get(f"{PAGE}/deliveries/{row.pk}").text
    assert SECRET not in ada.get(f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}").content.decode()


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_place_before_all_time_is_none_of_ours(made, alice, ada, at):
    def cursor(between):
        return base64.urlsafe_b64encode(f"{at}{between}{made.endpoint.pk}".encode()).decode()

    by_api = ada.get(f"/api/webhooks/{made.endpoint.pk}/deliveries", cursor=cursor("|"))
    by_page = browser_of(alice).get(PAGE, {"before": cursor(" ")})

    assert error_of(by_api)["code"] == "invalid_input"
    assert by_page.status_code < 500
