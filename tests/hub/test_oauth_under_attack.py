"""What a stranger, a vendor, or bad luck may try while a grant comes and goes."""

import json
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.utils import timezone

from credentials import social
from credentials.grant import Grant, read
from credentials.models import Connection, ConnectRequest, OAuthApp, OAuthAttempt
from integrations import registry
from integrations.runtime import connect, consent
from integrations.sdk import OAuth2, Remote, Revoke, TryLater
from navi.audit.problems import Problem
from navi.projects.models import Membership
from navi.projects.rights import actor_for
from tests.hub import oauth
from tests.hub.browsers import browser_of

FACTS = OAuth2(authorize_url="https://a.example/authorize", token_url="https://a.example/token")


@pytest.fixture
def bobs(bob, acme, googles_app):
    """Bob has agreed at Google; what his browser brings back."""
    entry = registry.entry("google", acme.pk)
    wish = consent.Wish(entry, acme, bob, scopes=tuple(entry.plugins[0].scopes))
    _, address = consent.begin(wish, actor_for(bob, acme))
    return dict(parse_qsl(urlsplit(oauth.agreed(address)).query))


def finished(back, person, project):
    return consent.finish(back, user=person, actor=actor_for(person, project))


def test_bob_was_removed_while_he_signed_in(bobs, bob, acme):
    Membership.objects.filter(user=bob).delete()

    attempt = finished(bobs, bob, acme)

    assert (attempt.outcome, attempt.code) == ("failed", "blocked")
    assert not Connection.objects.exists()


def test_the_project_was_archived_while_he_signed_in(bobs, bob, acme):
    acme.archived_at = timezone.now()
    acme.save()

    assert finished(bobs, bob, acme).code == "blocked"


def test_the_job_that_finishes_cut_off_sign_ins_asks_the_same(bobs, bob, acme, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    with monkeypatch.context() as dying:
        dying.setattr(connect, "connect", killed)
        with pytest.raises(KilledError):
            finished(bobs, bob, acme)
    OAuthAttempt.objects.update(consumed_at=timezone.now() - timedelta(minutes=5))
    Membership.objects.filter(user=bob).delete()

    consent.run_job(str(oauth.attempt().pk))

    assert oauth.attempt().code == "blocked"
    assert not Connection.objects.exists()


def test_a_request_that_alice_declined_meanwhile_connects_nothing(bobs, bob, acme):
    asked = ConnectRequest.objects.create(
        provider="google", project=acme, asked_by="Ada", token_public_id="abcdefghijkl", user_code="BCDF-GHJK",
        expires_at=timezone.now() + timedelta(minutes=5), state="failed",
    )  # fmt: skip
    OAuthAttempt.objects.update(asked=asked)

    assert finished(bobs, bob, acme).code == "conflict"
    assert not Connection.objects.exists()


def test_the_app_was_removed_while_the_code_was_exchanged(bobs, bob, acme, monkeypatch):
    exchange = social.exchange

    def removed(*args, **kwargs):
        OAuthApp.objects.all().delete()
        return exchange(*args, **kwargs)

    monkeypatch.setattr(social, "exchange", removed)

    attempt = finished(bobs, bob, acme)

    assert (attempt.outcome, attempt.code) == ("failed", "conflict")
    assert not Connection.objects.exists()


def test_a_401_to_an_odd_address_ends_no_grant_that_cannot_be_renewed(ada, bob, github, githubs_app, acme):
    oauth.connect(browser_of(bob), provider="github", scopes=["public_repo"])
    row = Connection.objects.get()
    Connection.objects.update(issued_at=timezone.now() - timedelta(hours=1))
    github.break_next("/app", 401, {"message": "A JSON web token could not be decoded"})

    answer = ada.get("/api/proxy/github/app")

    row.refresh_from_db()
    assert answer.status_code == 401
    assert (row.state, row.refusals) == ("active", 0)


@pytest.mark.parametrize("said", ["a\x00b", "x\ud800y", "ä", "a" * 301, 'q"q'])
def test_scopes_that_no_row_can_hold_are_left_out(said):
    body = json.dumps({"access_token": "t", "scope": f"read {said}"})

    assert read(200, body.encode(), FACTS).scopes == ("read",)


def test_no_more_than_a_hundred_scopes_are_kept():
    body = json.dumps({"access_token": "t", "scope": " ".join(map(str, range(1000)))})

    assert len(read(200, body.encode(), FACTS).scopes or ()) == 100


@pytest.mark.parametrize(
    "odd",
    [
        {"user_code": "A" * 60}, {"user_code": "A\x00B"}, {"user_code": ["A"]}, {"expires_in": None},
        {"verification_uri": "http://[x"}, {"verification_uri": "javascript:alert(1)"}, {"device_code": ""},
        {"verification_uri": "https://a.example/" + "a" * 400},
    ],
)  # fmt: skip
def test_an_odd_answer_to_the_device_flow_is_the_vendors_trouble(github, odd):
    usual = {
        "device_code": "d", "user_code": "AB-CD", "verification_uri": "https://a.example/d", "expires_in": 900,
        "interval": 5,
    }  # fmt: skip
    github.break_next("/login/device/code", 200, {**usual, **odd})
    remote = registry.entry("github", None).remote(auth_kind="oauth")

    with pytest.raises(TryLater):
        social.ask_for_device(remote, social.App("navi"), [])


@pytest.mark.parametrize(("said", "life"), [(-(10**30), 1), (10**30, 1800), (900, 900)])
def test_a_devices_life_is_kept_within_reason(said, life):
    answer = {
        "device_code": "d",
        "user_code": "AB",
        "verification_uri": "https://a.example",
        "expires_in": said,
    }

    assert social.device_in(answer).life == life


def test_a_scope_cannot_add_parameters_to_the_question():
    remote = Remote("a", "https://a.example", FACTS.sent_as, oauth=FACTS)
    asking = social.Asking(
        "s", "v" * 43, "https://navi.example/oauth/callback", ["read&redirect_uri=https://evil.example#"]
    )

    asked = parse_qsl(urlsplit(social.authorize_url(remote, social.App("navi"), asking)).query)

    assert [value for name, value in asked if name == "redirect_uri"] == [
        "https://navi.example/oauth/callback"
    ]
    assert ("scope", "read&redirect_uri=https://evil.example#") in asked


@pytest.mark.parametrize(
    "url", ["https://a.example/{x}", "https://a.example/{client_id:>99}", "https://a.example/{0}"]
)
def test_a_revocation_address_is_no_format(url):
    facts = OAuth2(
        authorize_url="https://a.example/authorize", token_url="https://a.example/token", revoke=Revoke(url)
    )
    made = social.backend(Remote("a", "https://a.example", FACTS.sent_as, oauth=facts), social.App("navi"))

    assert made.revoke_token_url("token", "") == url


def test_a_slow_look_at_a_device_does_not_undo_what_a_quicker_one_has_connected(bobs, bob, acme):
    attempt = OAuthAttempt.objects.get()
    finished(bobs, bob, acme)

    told = consent.failed(attempt, TryLater("late"), actor_for(bob, acme))

    assert told.outcome == "done"
    assert oauth.attempt().outcome == "done"


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_disconnected_while_it_was_reconnected_is_told_so(
    acmes_google, bob, acme, google
):
    entry = registry.entry("google", acme.pk)
    offer = connect.Offer(
        entry=entry, project=acme, fields={"access_token": "t"}, auth_kind="oauth", reconnects=acmes_google,
        grant=connect.Granted(Grant({"access_token": "t"}), acmes_google.app, []),
    )  # fmt: skip
    Connection.objects.all().delete()

    with pytest.raises(Problem, match="disconnected"):
        connect.connect(offer, actor_for(bob, acme))
