import contextlib

import pytest
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory

from navi.audit.models import AuditEvent
from navi.audit.record import AuditUnavailable
from navi.projects import receivers
from navi.projects.address import address_of


@pytest.fixture
def request_of_alice(rf: RequestFactory):
    request = rf.post("/sign-in", REMOTE_ADDR="192.0.2.9")
    request.session, request.user = SessionStore(), AnonymousUser()
    return request


def test_signing_in_and_out_is_remembered(alice, request_of_alice):
    login(request_of_alice, alice, backend="django.contrib.auth.backends.ModelBackend")
    logout(request_of_alice)

    signed_in, signed_out = AuditEvent.objects.order_by("at")

    assert (signed_in.event, signed_out.event) == ("session.signed_in", "session.signed_out")
    assert (signed_in.actor_id, signed_in.actor_label, signed_in.ip) == (str(alice.pk), "Alice", "192.0.2.9")


def test_a_failed_sign_in_keeps_two_letters_of_the_name_and_none_of_the_password(alice, request_of_alice):
    authenticate(request_of_alice, username="alice@example.org", password="my secret guess")

    event = AuditEvent.objects.get()

    assert (event.event, event.outcome, event.actor_label) == ("session.failed", "refused", "al…")
    kept = repr(AuditEvent.objects.values().get())
    assert "guess" not in kept and "example" not in kept


def test_a_lock_is_remembered(alice, request_of_alice, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        with contextlib.suppress(PermissionDenied):
            authenticate(request_of_alice, username="alice@example.org", password="my secret guess")

    locked = AuditEvent.objects.get(event="session.locked")
    assert (locked.actor_label, locked.ip) == ("al…", "192.0.2.9")


def test_alice_can_always_sign_out(alice, request_of_alice, monkeypatch):
    login(request_of_alice, alice, backend="django.contrib.auth.backends.ModelBackend")

    def unavailable(*_, **__):
        raise AuditUnavailable("The audit is away.")

    monkeypatch.setattr(receivers, "record", unavailable)
    logout(request_of_alice)

    assert request_of_alice.session.is_empty()


def test_a_stranger_who_signs_out_is_no_event(db, request_of_alice):
    logout(request_of_alice)

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, "203.0.113.1", "192.0.2.9"),
        (1, "198.51.100.6, 203.0.113.1", "203.0.113.1"),
        (2, "198.51.100.6, 203.0.113.1, 10.0.0.2", "203.0.113.1"),
        (2, "203.0.113.1", "192.0.2.9"),
        (1, None, "192.0.2.9"),
    ],
)
def test_only_trusted_proxies_tell_the_address(rf, settings, proxies, forwarded, seen):
    settings.TRUSTED_PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}

    assert address_of(rf.get("/", REMOTE_ADDR="192.0.2.9", **headers)) == seen
