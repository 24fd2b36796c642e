"""Endpoints from their making to their end: secrets, handshakes, registration at the vendor, renewal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import WebhookEndpoint
from integrations.runtime import connect, endpoints, lines, registering
from integrations.sdk import Headers, Incoming, TryLater
from integrations.sdk.signatures import signature
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.jobs.models import Job

pytestmark = pytest.mark.django_db
SECRET = "the-vendors-own-secret-1"


# --- a vendor that registers, and calls while it does


class CallerStandin:
    """Takes channels; greets the address with a secret before it answers, as Asana does."""

    def __init__(self) -> None:
        self.channels: dict[str, dict[str, Any]] = {}
        self.is_down, self.seconds, self.greeted = False, 1000, [0]
        self.secrets = iter(f"the-vendors-own-secret-{number}" for number in range(1, 99))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = outer.made(body)
                self.say(status, answer)

            def do_DELETE(self) -> None:
                found = outer.channels.pop(self.path.rpartition("/")[2], None)
                self.say(200 if found else 404, {})

            def say(self, status: int, answer: Any) -> None:
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def made(self, body: Any) -> tuple[int, Any]:
        if self.is_down:
            return 503, {"error": "down"}
        # The tests' database is one connection, so the handshake is made by the test's own thread: see `greeting`.
        name = f"c{len(self.channels) + 1}-{len(self.greeted)}"
        self.channels[name] = {**body, "secret": next(self.secrets)}
        self.greeted.append(1)
        return 201, {"id": name, "seconds": self.seconds}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def standin(settings: Any) -> Iterator[CallerStandin]:
    found = CallerStandin()
    settings.UPSTREAMS = {**settings.UPSTREAMS, "caller": found.url}
    yield found
    found.close()


@pytest.fixture
def acmes_caller(our_plugins, connected, acme, standin):
    return connected("caller", acme, apiKey="caller-key-1234567890abcdef", label="caller@example.org")


@pytest.fixture
def greets_meanwhile(monkeypatch, standin):
    """The vendor's handshake arrives before its answer to our registration does."""
    asked = registering.client_of

    def client_of(line):
        client = asked(line)
        secret = f"the-vendors-own-secret-{len(standin.greeted)}"
        answer = Client().post(f"/hooks/{line.endpoint.key}", headers={"X-Call-Secret": secret})
        greets_meanwhile_answers.append((answer.status_code, answer.headers.get("X-Call-Secret")))
        return client

    greets_meanwhile_answers: list[Any] = []
    monkeypatch.setattr(registering, "client_of", client_of)
    return greets_meanwhile_answers


def call(endpoint, secret, id="c1"):
    body = b'{"type": "rang"}'
    proof: Any = lines.line_of(endpoint).webhook.proof
    made = signature(proof, Incoming("POST", Headers(), {}, body), secret)
    headers = {"X-Call-Signature": made, "X-Call-Id": id}
    return Client().post(f"/hooks/{endpoint.key}", body, content_type="application/json", headers=headers)


def test_a_handshake_during_the_registration_brings_the_secret(acmes_caller, acme, standin, greets_meanwhile):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")

    endpoint = WebhookEndpoint.objects.get()
    assert made.secret is None
    assert greets_meanwhile == [(200, "the-vendors-own-secret-1")]
    assert endpoint.state == "active"
    assert [channel["url"] for channel in standin.channels.values()] == [made.url]
    assert endpoint.registration == {"id": next(iter(standin.channels))}
    assert call(endpoint, "the-vendors-own-secret-1").status_code == 200


def test_a_handshake_that_comes_later_brings_nothing(acmes_caller, acme, standin, greets_meanwhile):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")

    answer = Client().post(f"/hooks/{made.endpoint.key}", headers={"X-Call-Secret": "the-thiefs-own-secret"})

    assert answer.status_code == 404
    assert call(made.endpoint, "the-thiefs-own-secret").status_code == 404


def test_a_registration_that_fails_leaves_nothing(acmes_caller, acme, standin):
    standin.is_down = True

    with pytest.raises(TryLater):
        endpoints.create(acme, "caller", SYSTEM, resource="room 1")

    assert not WebhookEndpoint.objects.exists()
    assert AuditEvent.objects.filter(event="webhook.failed").count() == 1


def test_it_is_registered_for_something_and_once(acmes_caller, acme, standin):
    with pytest.raises(Problem, match="Say for which of the rooms"):
        endpoints.create(acme, "caller", SYSTEM)
    endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    with pytest.raises(Problem, match="already"):
        endpoints.create(acme, "caller", SYSTEM, resource="room 1")


def test_it_is_renewed_in_the_last_fifth_of_its_life(acmes_caller, acme, standin):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")

    ends, renewed = made.endpoint.expires_at, made.endpoint.renew_at
    assert ends
    assert renewed
    left = (ends - renewed).total_seconds()
    assert 100 < left < 300


def test_a_renewal_makes_the_new_one_before_it_ends_the_old(acmes_caller, acme, standin, greets_meanwhile):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    before = dict(made.endpoint.registration)
    WebhookEndpoint.objects.update(renew_at=timezone.now() - timedelta(seconds=1))
    endpoints.enqueue_renewals()

    registering.run_job(str(made.endpoint.pk))

    endpoint = WebhookEndpoint.objects.get()
    assert Job.objects.filter(kind="webhook_renew").exists()
    assert endpoint.registration != before
    assert list(standin.channels) == [endpoint.registration["id"]]
    assert endpoint.renew_at
    assert endpoint.renew_at > timezone.now()
    assert AuditEvent.objects.filter(event="webhook.renewed").count() == 1
    # What the old registration signed is still on its way.
    assert call(endpoint, "the-vendors-own-secret-1", "a").status_code == 200
    assert call(endpoint, "the-vendors-own-secret-2", "b").status_code == 200


def test_a_renewal_that_fails_is_told_and_tried_again(acmes_caller, acme, standin):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    standin.is_down = True
    WebhookEndpoint.objects.update(renew_at=timezone.now() - timedelta(seconds=1))

    registering.run_job(str(made.endpoint.pk))

    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.state == "active"
    assert endpoint.state_reason
    assert endpoint.renew_at
    assert endpoint.renew_at > timezone.now()
    assert AuditEvent.objects.filter(event="webhook.failed").count() == 1


def test_past_its_end_it_is_expired_and_comes_back(acmes_caller, acme, standin):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    standin.is_down = True
    past = timezone.now() - timedelta(seconds=1)
    WebhookEndpoint.objects.update(renew_at=past, expires_at=past)
    registering.run_job(str(made.endpoint.pk))
    was = WebhookEndpoint.objects.get().state
    standin.is_down = False
    WebhookEndpoint.objects.update(renew_at=past)

    registering.run_job(str(made.endpoint.pk))

    assert was == "expired"
    assert WebhookEndpoint.objects.get().state == "active"


def test_a_disconnect_tells_the_vendor_to_stop_first(acmes_caller, acme, standin):
    endpoints.create(acme, "caller", SYSTEM, resource="room 1")

    connect.disconnect(acmes_caller, SYSTEM, project=acme)

    assert standin.channels == {}
    assert not WebhookEndpoint.objects.exists()
    assert AuditEvent.objects.filter(event="webhook.deleted").count() == 1


def test_a_vendor_that_is_down_does_not_keep_it_from_being_removed(acmes_caller, acme, standin):
    made = endpoints.create(acme, "caller", SYSTEM, resource="room 1")
    standin.close()

    words = endpoints.delete(made.endpoint, SYSTEM)

    assert "Remove the webhook at Caller" in words
    assert not WebhookEndpoint.objects.exists()


# --- secrets of ours


def test_the_secret_is_shown_once_and_kept_sealed(made):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM integrations_webhookendpoint")
        stored = bytes(cursor.fetchone()[0])

    assert len(made.secret) == 64
    assert made.secret.encode() not in stored
    assert "secret" not in repr(made)


def test_after_a_rotation_both_secrets_count_until_the_overlap_ends(vendor, endpoint):
    old = vendor.secret

    made = endpoints.rotate(endpoint, SYSTEM)

    assert made.secret != old
    assert vendor.send(secret=old).status_code == 200
    assert vendor.send(secret=made.secret).status_code == 200


def test_an_old_secret_ends_with_its_overlap(vendor, endpoint):
    made = endpoints.rotate(endpoint, SYSTEM, overlap=timedelta(0))

    assert vendor.send(secret=vendor.secret).status_code == 404
    assert vendor.send(secret=made.secret).status_code == 200


def test_at_most_two_secrets_live(vendor, endpoint):
    second = endpoints.rotate(endpoint, SYSTEM).secret
    third = endpoints.rotate(WebhookEndpoint.objects.get(), SYSTEM).secret

    codes = [vendor.send(secret=one).status_code for one in (vendor.secret, second, third)]
    assert codes == [404, 200, 200]


def test_the_overlap_has_an_end(endpoint):
    with pytest.raises(Problem, match="seven days"):
        endpoints.rotate(endpoint, SYSTEM, overlap=timedelta(days=8))


# --- whose account


def test_an_account_of_a_person_gets_no_webhooks(our_plugins, connected, acme, alice):
    connected("pinger", acme, for_user=alice, apiKey="pinger-key-1234567890abcdef")

    with pytest.raises(Problem, match="for this project"):
        endpoints.create(acme, "pinger", SYSTEM)


def test_a_plugin_that_takes_no_calls_has_no_endpoints(acme, our_plugins):
    with pytest.raises(Problem, match="takes no webhooks"):
        endpoints.create(acme, "silent", SYSTEM)
