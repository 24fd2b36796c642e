"""A process dies after the vendor's answer to a sign-in was saved, or before there was one."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.utils import timezone

from credentials.models import Connection, OAuthAttempt
from integrations import registry
from integrations.runtime import connect, consent
from navi.projects.rights import actor_for
from tests.hub import oauth


class KilledError(BaseException):
    """As sudden as kill -9."""


@pytest.fixture
def back(alice, acme, googles_app):
    """Alice has agreed at Google; what her browser brings back."""
    entry = registry.entry("google", acme.pk)
    wish = consent.Wish(entry, acme, alice, scopes=tuple(entry.plugins[0].scopes))
    _, address = consent.begin(wish, actor_for(alice, acme))
    return dict(parse_qsl(urlsplit(oauth.agreed(address)).query))


def killed(*args, **kwargs):
    raise KilledError


def minutes_pass():
    OAuthAttempt.objects.update(consumed_at=timezone.now() - timedelta(minutes=5))


def test_the_saved_answer_is_taken_up_without_asking_again(back, alice, acme, google, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr(connect, "connect", killed)
        with pytest.raises(KilledError):
            consent.finish(back, user=alice, actor=actor_for(alice, acme))
    asked = len(google.asked("/token"))
    minutes_pass()

    consent.run_job(str(oauth.attempt().pk))

    assert oauth.attempt().outcome == "done"
    assert Connection.objects.get().label == "alice@example.org"
    assert len(google.asked("/token")) == asked


def test_without_an_answer_alice_is_told_to_begin_again(back, alice, acme, monkeypatch):
    with monkeypatch.context() as dying:
        dying.setattr(consent, "exchanged", killed)
        with pytest.raises(KilledError):
            consent.finish(back, user=alice, actor=actor_for(alice, acme))
    minutes_pass()

    consent.run_job(str(oauth.attempt().pk))

    assert (oauth.attempt().outcome, oauth.attempt().code) == ("failed", "vendor_unavailable")
    assert "Begin it again" in oauth.attempt().message
    assert not Connection.objects.exists()


def test_one_that_is_being_finished_is_left_alone(back, alice, acme):
    OAuthAttempt.objects.update(outcome="working", consumed_at=timezone.now())

    consent.run_job(str(oauth.attempt().pk))

    assert oauth.attempt().outcome == "working"
