"""Where vendors send browsers back to: whose sign-in it is, and what it never does."""

import logging

import pytest
from django.contrib.sessions.models import Session

from credentials.models import Connection, OAuthAttempt
from navi.projects.models import Membership
from tests.hub import oauth
from tests.hub.browsers import HTMX, browser_of, password_of

pytestmark = pytest.mark.usefixtures("acme")


def came_back(browser, **form):
    """Bob has agreed at Google; the address that his browser is led to."""
    return oauth.agreed(oauth.vendors_address(oauth.begin(browser, services=["gmail"], **form)))


def test_nothing_of_the_answer_may_be_kept_or_told_on(bob, googles_app):
    browser = browser_of(bob)

    answer = browser.get(came_back(browser))

    assert (
        answer.headers["Referrer-Policy"] == "no-referrer" and "no-store" in answer.headers["Cache-Control"]
    )
    assert "code=" not in answer.text and "state=" not in answer.text


@pytest.mark.parametrize("query", ["", "?state=", "?state=unknown&code=x", "?code=x", f"?state={'x' * 5000}"])
def test_an_unknown_sign_in_is_told_in_words(bob, query):
    answer = browser_of(bob).get(f"/oauth/callback{query}")

    assert answer.status_code == 400 and "Navi does not know this sign-in" in answer.text


def test_a_code_works_once(bob, googles_app):
    browser = browser_of(bob)
    address = came_back(browser)
    browser.get(address)

    again = browser.get(address)

    assert again.status_code == 400 and "finished before" in again.text
    assert Connection.objects.count() == 1


def test_somebody_else_does_not_finish_it(bob, adam, googles_app):
    address = came_back(browser_of(bob))

    answer = browser_of(adam).get(address)

    assert answer.status_code == 400 and "Somebody else began this sign-in" in answer.text
    assert oauth.attempt().is_open and not Connection.objects.exists()


def test_it_comes_back_by_its_own_address_alone(bob, googles_app):
    browser = browser_of(bob)
    address = came_back(browser)

    other = address.replace("/oauth/callback", "/oauth/callback/7d1c1a52-6a0e-4f5e-8d61-7a7b6e2a9d11")

    assert browser.get(other).status_code == 400
    assert oauth.attempt().is_open


@pytest.mark.parametrize("role", ["viewer", None])
def test_who_may_no_longer_connect_finishes_nothing(bob, acme, googles_app, role):
    browser = browser_of(bob)
    address = came_back(browser)
    mine = Membership.objects.filter(project=acme, user=bob)
    mine.update(role=role) if role else mine.delete()

    answer = browser.get(address)

    assert answer.status_code == 400 and not Connection.objects.exists()
    assert oauth.attempt().is_open


def test_a_forged_host_changes_nothing(bob, googles_app, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.BASE_URL = "https://navi.example"
    browser = browser_of(bob)

    answer = oauth.begin(browser, services=["gmail"], headers={**HTMX, "Host": "evil.example"})

    address = oauth.asked_for(oauth.vendors_address(answer))["redirect_uri"]
    assert address == "https://navi.example/oauth/callback"


def test_it_leads_nowhere_else(bob, googles_app):
    browser = browser_of(bob)

    answer = browser.get(
        f"{came_back(browser)}&next=https://evil.example/&redirect_uri=https://evil.example/"
    )

    assert answer.status_code == 200 and "evil" not in answer.text


# --- not signed in


def test_after_signing_in_again_the_way_goes_on(bob, googles_app):
    browser = browser_of(bob)
    address = came_back(browser)
    browser.logout()

    to = browser.get(address)
    assert to.status_code == 303 and to.headers["Location"] == "/sign-in?next=%2Foauth%2Fcallback"
    signed_in = {"username": bob.email, "password": password_of(bob), "next": "/oauth/callback"}
    back = browser.post("/sign-in", signed_in, follow=True)

    assert "Google is connected" in back.text
    assert Connection.objects.count() == 1
    assert browser.get("/oauth/callback").status_code == 400


def test_a_stranger_with_a_made_up_state_gets_no_session(db):
    answer = browser_of().get("/oauth/callback?state=made-up&code=x")

    assert answer.status_code == 400 and not Session.objects.exists()


def test_no_log_holds_the_code(bob, googles_app, caplog):
    caplog.set_level(logging.DEBUG)
    browser = browser_of(bob)
    address = came_back(browser)
    code = oauth.asked_for(address)["code"]

    browser.get(address)
    browser.get(address)

    assert code not in caplog.text
    assert code not in str(list(OAuthAttempt.objects.values()))
