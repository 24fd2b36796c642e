"""Providers that people described: they sign in any known way, and greet as their vendors do."""

from __future__ import annotations

import json
import time

import pytest
from django.test import Client

from integrations.models import CustomProvider, Delivery, WebhookEndpoint
from integrations.runtime import endpoints
from integrations.sdk import Headers, Incoming, SharedToken
from integrations.sdk.schemes import SCHEMES
from integrations.sdk.signatures import signature
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from tests.hooks.test_signatures import timestamped

pytestmark = pytest.mark.django_db
SECRET = "the-vendors-own-secret-1"


@pytest.fixture
def intranet(acme):
    return CustomProvider.objects.create(
        project=acme, slug="intranet", name="Intranet", base_url="https://intranet.example"
    )


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "asana"])
def test_a_custom_provider_signs_in_any_known_way(intranet, acme, scheme):
    made = endpoints.create(
        acme, "intranet", SYSTEM, scheme=scheme, secret=SECRET if scheme == "zoom" else ""
    )
    secret = made.secret or SECRET
    proof = SCHEMES[scheme].proof
    if isinstance(proof, SharedToken):
        body = json.dumps({"value": [{"clientState": secret}], "passcode": secret}).encode()
        headers = {proof.header: secret} if proof.header else {}
    elif scheme in {"hubspot", "trello"}:
        body, now = b"{}", str(int(time.time() * 1000))
        wanted = Incoming("POST", Headers(), {}, body, made.url)
        headers = {
            proof.header: signature(proof, wanted, secret, timestamp=now),
            proof.timestamp_in or "X": now,
        }
    else:
        body, now = b"{}", str(int(time.time()))
        headers = dict(timestamped(proof, secret, body, now).headers.pairs)

    answer = Client().post(
        f"/hooks/{made.endpoint.key}", body, content_type="application/json",
        headers={name: value for name, value in headers.items() if name},
    )  # fmt: skip

    assert answer.status_code == 200
    assert Delivery.objects.count() == 1


def test_a_custom_provider_must_say_how_it_signs(intranet, acme):
    with pytest.raises(Problem, match="Say how it signs"):
        endpoints.create(acme, "intranet", SYSTEM)


def test_microsofts_validation_token_comes_back_as_text(intranet, acme):
    made = endpoints.create(acme, "intranet", SYSTEM, scheme="microsoft")

    answer = Client().post(f"/hooks/{made.endpoint.key}?validationToken=%3Cb%3Ehello%3C%2Fb%3E")

    assert (answer.status_code, answer.content) == (200, b"<b>hello</b>")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox"


@pytest.mark.parametrize("token", ["x" * 1025, "é", "a%00b", ""])
def test_an_odd_validation_token_is_refused(intranet, acme, token):
    made = endpoints.create(acme, "intranet", SYSTEM, scheme="microsoft")

    answer = Client().post(f"/hooks/{made.endpoint.key}?validationToken={token}")

    assert answer.status_code == 404


def test_a_secret_that_a_handshake_brought_is_shown_once(intranet, acme):
    made = endpoints.create(acme, "intranet", SYSTEM, scheme="asana")
    Client().post(f"/hooks/{made.endpoint.key}", headers={"X-Hook-Secret": SECRET})
    endpoint = WebhookEndpoint.objects.get()

    assert endpoints.has_something_to_show(endpoint)
    assert endpoints.take_shown(endpoint) == SECRET
    assert endpoints.take_shown(endpoint) is None
    assert AuditEvent.objects.filter(event="webhook.greeted").count() == 1


def test_a_rotation_opens_for_another_handshake_and_the_old_secret_stays(intranet, acme):
    made = endpoints.create(acme, "intranet", SYSTEM, scheme="asana")
    path = f"/hooks/{made.endpoint.key}"
    Client().post(path, headers={"X-Hook-Secret": SECRET})
    proof = SCHEMES["asana"].proof

    endpoints.rotate(WebhookEndpoint.objects.get(), SYSTEM)
    answer = Client().post(path, headers={"X-Hook-Secret": "another-secret"})

    codes = []
    for number, secret in enumerate((SECRET, "another-secret")):
        body = b'{"n": %d}' % number
        signed = signature(proof, Incoming("POST", Headers(), {}, body), secret)  # type: ignore[arg-type]
        codes.append(
            Client()
            .post(path, body, content_type="application/json", headers={"X-Hook-Signature": signed})
            .status_code
        )
    assert answer.headers["X-Hook-Secret"] == "another-secret"
    assert codes == [200, 200]
