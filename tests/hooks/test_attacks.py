"""What a stranger, or a vendor that means harm, tries at the door."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from django.test import Client

from integrations.models import CustomProvider, Delivery, IntegrationDefault, Provider, WebhookEndpoint
from integrations.runtime import endpoints, inbox, jwks, lines
from integrations.sdk import Headers, Incoming, SignedJwt, TryLater
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem

pytestmark = pytest.mark.django_db


def hook(endpoint, method="POST", body=b"{}", query="", **headers):
    path = f"/hooks/{endpoint.key}" + (f"?{query}" if query else "")
    return Client(raise_request_exception=False).generic(method, path, body, content_type="application/json", headers=headers)


def custom(acme, scheme, **more):
    CustomProvider.objects.get_or_create(
        project=acme, slug="intranet", defaults={"name": "Intranet", "base_url": "https://intranet.example"}
    )
    return endpoints.create(acme, "intranet", SYSTEM, scheme=scheme, **more)


def test_too_many_fields(made):
    answer = hook(made.endpoint, query="&".join(["a"] * 2000))
    assert answer.status_code == 404, answer.content


@pytest.mark.parametrize("scheme", ["microsoft", "dropbox", "trello"])
def test_whoever_greets_again_and_again_does_not_fill_the_audit(acme, scheme):
    made = custom(acme, scheme, secret="0123456789abcdef")
    before = AuditEvent.objects.count()
    for n in range(20):
        r = hook(made.endpoint, "HEAD" if scheme == "trello" else "GET", b"", "validationToken=x&challenge=y")
        assert r.status_code == 200
    assert AuditEvent.objects.count() - before <= 1


def test_a_secret_that_a_person_brought_is_not_overwritten_by_a_stranger(acme):
    made = custom(acme, "asana", secret="0123456789abcdef")
    r = hook(made.endpoint, **{"X-Hook-Secret": "the-strangers-own"})
    assert r.status_code == 404
    assert lines.live(WebhookEndpoint.objects.get()) == ["0123456789abcdef"]


def test_deep_json_signed(vendor, acme, alice, ada):
    from tests.hub.browsers import browser_of
    for depth in (200, 450, 800, 950, 3000):
        body = b'{"type":"ping","text":' + b"[" * depth + b"]" * depth + b"}"
        assert vendor.send(body=body).status_code == 200
    from integrations.runtime import hearing
    for row in Delivery.objects.all():
        hearing.process(str(row.pk))
        row.refresh_from_db()
        print(row.size, row.state, row.last_error)
        a = ada.get(f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}")
        b = browser_of(alice).get(f"/p/acme/webhooks/deliveries/{row.pk}")
        print(a.status_code, b.status_code)
        assert a.status_code == 200 and b.status_code == 200


def test_lone_surrogates(vendor, acme, alice, ada):
    from tests.hub.browsers import browser_of
    from integrations.runtime import hearing
    body = b'{"type":"ping\\ud800","text":"\\ud800 \\u0000", "\\udfff": 1}'
    assert vendor.send(body=body).status_code == 200
    row = Delivery.objects.get()
    hearing.process(str(row.pk))
    row.refresh_from_db()
    print(row.state, row.last_error)
    assert browser_of(alice).get(f"/p/acme/webhooks").status_code == 200
    a = ada.get(f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}")
    print(a.status_code)
    b = browser_of(alice).get(f"/p/acme/webhooks/deliveries/{row.pk}")
    print(b.status_code)
    r = ada.get("/api/records/pinger/pings")
    print(r.status_code, r.content[:300])
    assert a.status_code == 200 and b.status_code == 200


def test_surrogates_in_headers_and_bytes(vendor, acme, alice, ada):
    from tests.hub.browsers import browser_of
    assert vendor.send(body=b"\xff\xfe\x00 not json").status_code == 200
    assert vendor.send(body=b"").status_code == 200
    assert vendor.send(body=b"null").status_code == 200
    assert vendor.send(body=b"[1e999, NaN, Infinity]").status_code == 200
    from integrations.runtime import hearing
    for row in Delivery.objects.all():
        hearing.process(str(row.pk))
        a = ada.get(f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}")
        b = browser_of(alice).get(f"/p/acme/webhooks/deliveries/{row.pk}")
        print(row.size, a.status_code, b.status_code, a.content[:200])
        assert a.status_code == 200 and b.status_code == 200


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00+00:00:01", "2026-W01-1T00:00:00+00:00"])
def test_cursors(made, alice, ada, at):
    from tests.hub.browsers import browser_of
    uid = "00000000-0000-0000-0000-000000000000"
    api = base64.urlsafe_b64encode(f"{at}|{uid}".encode()).decode()
    hub = base64.urlsafe_b64encode(f"{at} {uid}".encode()).decode()
    a = ada.get(f"/api/webhooks/{made.endpoint.pk}/deliveries?cursor={api}")
    b = browser_of(alice).get("/p/acme/webhooks", {"before": hub})
    c = browser_of(alice).get("/p/acme/webhooks", {"before": "é\0", "type": "\0", "state": "\0", "endpoint": "\0"})
    print(a.status_code, b.status_code, c.status_code)
    assert a.status_code < 500 and b.status_code < 500 and c.status_code < 500


def test_deep_jwt_header():
    deep = base64.urlsafe_b64encode(b"[" * 6000).decode().rstrip("=")
    incoming = Incoming("POST", Headers({"Authorization": f"Bearer {deep}.e30.e30"}), {}, b"{}", "https://x/")
    proof = SignedJwt("https://www.googleapis.com/oauth2/v3/certs", ("x",), "e")
    assert not jwks.proves(proof, incoming, upstream_of="google", email="a@b")


def test_shared_token_in_body_is_hidden(acme, alice, ada):
    from tests.hub.browsers import browser_of
    for scheme, body in (("figma", lambda s: {"passcode": s}), ("microsoft", lambda s: {"value": [{"clientState": s}]})):
        made = custom(acme, scheme, secret="wombat-wombat-1")
        assert hook(made.endpoint, body=json.dumps(body("wombat-wombat-1")).encode()).status_code == 200
        row = Delivery.objects.get(endpoint=made.endpoint)
        a = ada.get(f"/api/webhooks/{row.endpoint_id}/deliveries/{row.pk}")
        b = browser_of(alice).get(f"/p/acme/webhooks/deliveries/{row.pk}")
        assert b"wombat" not in a.content
        assert "wombat" not in b.text


def test_operator_off(vendor):
    Provider.objects.update_or_create(slug="pinger", defaults={"enabled": False})
    from integrations import policy, registry
    entry, plugin = registry.plugin("pinger", None)
    assert not policy.is_on(entry, plugin, project_id=vendor.endpoint.project_id)
    assert vendor.send().status_code == 404


def test_jwks_down(monkeypatch):
    asked = []
    class Out:
        def send(self, *a, **k):
            asked.append(1)
            raise TryLater("down")
    monkeypatch.setattr(jwks, "outbound", lambda **_: Out())
    jwks.start_anew()
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"k"}').decode().rstrip("=")
    incoming = Incoming("POST", Headers({"Authorization": f"Bearer {head}.e30.e30"}), {}, b"{}", "https://x/")
    proof = SignedJwt("https://www.googleapis.com/oauth2/v3/certs", ("x",), "e")
    for _ in range(10):
        with pytest.raises(TryLater):
            jwks.proves(proof, incoming, upstream_of="google", email="a@b")
    jwks.start_anew()
    assert len(asked) == 1


def test_big_body_memory(acme):
    import tracemalloc
    made = custom(acme, "slack", secret="0123456789abcdef")
    body = b"[" + b"{}," * 1_700_000 + b"{}]"
    tracemalloc.start()
    r = hook(made.endpoint, body=body)
    print(r.status_code, tracemalloc.get_traced_memory()[1] / 2**20, len(body))
    tracemalloc.stop()
    assert r.status_code == 404
    assert 0
