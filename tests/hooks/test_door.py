"""One answer for everything that is not a vendor's: whatever is wrong, nobody outside learns what."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client

from integrations.models import Delivery, WebhookEndpoint
from integrations.runtime import endpoints, lines
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.wsgi import with_length
from tests.contracts import CONTRACTS

pytestmark = pytest.mark.django_db
BODY = b'{"type": "ping"}'
LARGEST = 5 * 2**20


def seen(answer):
    """All that the outside sees, but for what differs each time."""
    headers = {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
    return answer.status_code, headers, answer.content, sorted(answer.cookies)


def nobody(path="/hooks/" + "0" * 32):
    return seen(Client().post(path, BODY, content_type="application/json"))


@pytest.fixture
def refused():
    return nobody()


def signed(vendor, body=BODY, **headers):
    return {"X-Ping-Signature": vendor.sign(body), "X-Ping-Id": "p1", **headers}


WRONG = {
    "unsigned": lambda vendor: vendor.post(BODY, {}),
    "an empty signature": lambda vendor: vendor.post(BODY, {"X-Ping-Signature": ""}),
    "another secret": lambda vendor: vendor.send(secret="another"),
    "changed bytes": lambda vendor: vendor.post(BODY + b" ", signed(vendor)),
    "truncated": lambda vendor: vendor.post(BODY[:-1], signed(vendor)),
    "re-encoded": lambda vendor: vendor.post(json.dumps(json.loads(BODY), indent=1).encode(), signed(vendor)),
    "a non-ASCII signature": lambda vendor: vendor.post(BODY, {"X-Ping-Signature": "sha256=" + "é" * 64}),
    "capital hex": lambda vendor: vendor.post(BODY, {"X-Ping-Signature": vendor.sign(BODY).upper()}),
    "two signatures": lambda vendor: vendor.post(BODY, {"X-Ping-Signature": f"{vendor.sign(BODY)},{vendor.sign(BODY)}"}),
    "a GET": lambda vendor: vendor.client.get(vendor.path, headers=signed(vendor, b"")),
    "oversized": lambda vendor: vendor.send(body=b"x" * (LARGEST + 1)),
    "compressed": lambda vendor: vendor.post(BODY, signed(vendor, **{"Content-Encoding": "gzip"})),
    "a long query": lambda vendor: vendor.post(BODY, signed(vendor), vendor.path + "?" + "q" * 5000),
    "a slash more": lambda vendor: vendor.post(BODY, signed(vendor), vendor.path + "x"),
    "capitals in the key": lambda vendor: vendor.post(BODY, signed(vendor), f"/hooks/{vendor.endpoint.key.upper()}F"),
}  # fmt: skip


@pytest.mark.parametrize("how", WRONG)
def test_every_refusal_is_the_same(vendor, refused, how):
    assert seen(WRONG[how](vendor)) == refused
    assert not Delivery.objects.exists()


def closed_by(change):
    def close(vendor):
        change(vendor.endpoint)
        return vendor.send()

    return close


def pause(endpoint):
    endpoints.pause(endpoint, SYSTEM)


def switch_off(endpoint):
    type(endpoint.connection).objects.update(enabled=False)


def archive(endpoint):
    from django.utils import timezone

    type(endpoint.project).objects.update(archived_at=timezone.now())


def block(endpoint):
    from integrations.models import Provider

    Provider.objects.update_or_create(slug="pinger", defaults={"is_blocked": True})


def remove(endpoint):
    endpoints.delete(endpoint, SYSTEM)


@pytest.mark.parametrize("change", [pause, switch_off, archive, block, remove])
def test_what_is_closed_answers_as_if_it_were_not_there(vendor, refused, change):
    sent_before = vendor.post(BODY, signed(vendor)).status_code
    header = signed(vendor)
    change(vendor.endpoint)

    assert sent_before == 200
    assert seen(vendor.post(BODY, header)) == refused


def test_it_says_404_and_nothing_more(refused):
    status, headers, body, cookies = refused

    assert (status, json.loads(body)) == (404, {"error": "There is nothing at this address."})
    assert headers["Cache-Control"] == "no-store"
    assert cookies == []


@pytest.mark.parametrize("length", ["17", "15", "+16", "1_6", "١٦", "999999999999", "-1", "0"])
def test_a_body_of_another_length_than_announced_is_refused(vendor, refused, length):
    from django.core.handlers.wsgi import WSGIRequest

    from navi.hooks.views import hook

    client: Any = Client()
    environ = client._base_environ(
        PATH_INFO=vendor.path, REQUEST_METHOD="POST", HTTP_X_PING_SIGNATURE=vendor.sign(BODY)
    )
    environ |= {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(BODY)}

    answer = hook(WSGIRequest(environ), key=vendor.endpoint.key)

    assert (answer.status_code, answer.content) == (404, refused[2])
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(("size", "is_taken"), [(3 * 2**20, True), (LARGEST, True), (LARGEST + 1, False)])
def test_a_chunked_body_is_whole_or_refused(size, is_taken):
    """gunicorn hands a chunked body over without a length; Django would read it as empty."""
    read = SimpleNamespace(length=None)

    def application(environ, start_response):
        read.length = int(environ["CONTENT_LENGTH"])
        return []

    with_length(application)(
        {"HTTP_TRANSFER_ENCODING": "chunked", "PATH_INFO": "/hooks/k", "wsgi.input": io.BytesIO(b"x" * size)},
        lambda *_: None,
    )

    assert (read.length <= LARGEST) is is_taken
    assert read.length == min(size, LARGEST + 1)


def test_sessions_tokens_and_cookies_have_no_part_in_it(vendor, alice, adas_token, refused):
    vendor.client.force_login(alice)
    before = Session.objects.count()
    stranger = Client(headers={"authorization": f"Bearer {adas_token}"})
    stranger.cookies.load({"navi_session": "odd", "navi_csrf": "x"})

    good = vendor.send()
    bad = stranger.post(vendor.path, BODY, content_type="application/json")

    assert (good.status_code, sorted(good.cookies)) == (200, [])
    assert seen(bad) == refused
    assert Session.objects.count() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_are_not_taken_anywhere(vendor, method):
    real, none = (getattr(Client(), method)(path) for path in (vendor.path, "/hooks/" + "0" * 32))

    assert real.status_code == 405
    assert seen(real) == seen(none)


def test_a_database_that_is_away_makes_the_vendor_come_again(vendor, monkeypatch):
    def away(*_, **__):
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(lines, "endpoint_of", away)

    answer = vendor.send()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_without_the_keys_the_vendor_comes_again(vendor, settings, tmp_path):
    from navi.keyring import KeyFiles

    header = signed(vendor)
    settings.NAVI_KEYS = KeyFiles(tmp_path / "gone")

    answer = vendor.post(BODY, header)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert not Delivery.objects.exists()


def test_refusals_are_counted_and_the_audit_is_told_once_a_minute(vendor):
    for _ in range(5):
        vendor.post(BODY, {})

    assert WebhookEndpoint.objects.get().refused_count == 5
    assert AuditEvent.objects.filter(event="webhook.refused").count() == 1


def test_a_delivery_costs_few_queries(vendor, django_assert_max_num_queries):
    vendor.send()

    # The endpoint; a savepoint (tests: the whole is one transaction), two inserts and its release.
    with django_assert_max_num_queries(8):
        vendor.send()


# --- GitHub's own examples


def examples():
    found = json.loads((CONTRACTS / "github-webhook-examples.json").read_text())
    return [(event["name"], example) for event in found for example in event["examples"]]


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the vendors' contracts are not here")
def test_every_example_payload_of_github_is_accepted_as_github_signs_it(connected, acme, ada):
    account = connected("github", acme, token="ghp_" + "a1" * 18)
    made = endpoints.create(acme, "github", SYSTEM, connection=str(account.pk), by_hand=True)
    client = Client()
    assert made.secret

    answers = []
    for name, payload in examples():
        body = json.dumps(payload).encode()
        proof = hmac.new(made.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "X-Hub-Signature-256": f"sha256={proof}", "X-GitHub-Event": name, "X-GitHub-Delivery": str(uuid.uuid4()),
        }  # fmt: skip
        answers.append(
            client.post(f"/hooks/{made.endpoint.key}", body, content_type="application/json", headers=headers)
        )

    assert len(answers) > 10
    assert {answer.status_code for answer in answers} == {200}
    assert Delivery.objects.count() == len(answers)
