"""Connecting by OAuth: begin in the dialog, say yes at the vendor, come back, be connected."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import Connection, OAuthAttempt
from integrations import registry
from integrations.models import Provider as ProviderRow
from integrations.runtime import cli_logins
from navi.audit.actor import Actor
from tests.hub import oauth
from tests.hub.browsers import HTMX, browser_of
from tests.hub.oauth import HERE

AUTH = "https://www.googleapis.com/auth"
GMAIL, SEND = f"{AUTH}/gmail.readonly", f"{AUTH}/gmail.send"
pytestmark = pytest.mark.usefixtures("acme")


def dialog_of(browser, query="", provider="google"):
    return browser.get(f"/p/acme/integrations/{provider}/connect{query}", headers=HTMX)


# --- the dialog


def test_the_dialog_tells_what_each_service_asks_for_and_presumes_nothing(bob, googles_app):
    told = dialog_of(browser_of(bob)).context["dialog"]["oauth"]["services"]

    assert [one["label"] for one in told][:2] == ["Gmail", "Google Calendar"]
    assert told[0]["asks"] == ["Read your mail and its settings"]
    assert not any(one["ticked"] for one in told)


def test_coming_for_one_service_it_is_ticked(bob, googles_app):
    told = dialog_of(browser_of(bob), "?services=google-calendar").context["dialog"]["oauth"]["services"]

    assert [one["value"] for one in told if one["ticked"]] == ["google-calendar"]


def test_the_whole_dialog_asks_few_questions_of_the_database(bob, googles_app, django_assert_max_num_queries):
    browser = browser_of(bob)

    with django_assert_max_num_queries(10):
        dialog_of(browser)


def test_a_single_service_comes_with_what_it_needs_and_offers_more(bob, githubs_app):
    told = dialog_of(browser_of(bob), "?kind=oauth", "github").context["dialog"]["oauth"]

    assert [one["value"] for one in told["basics"] if one["ticked"]] == ["public_repo"]
    assert "repo" in [one["value"] for one in told["further"] if not one["ticked"]]


def test_several_ways_of_signing_in_stand_side_by_side(bob, githubs_app):
    dialog = dialog_of(browser_of(bob), provider="github").context["dialog"]

    assert [way["label"] for way in dialog["ways"]] == ["GitHub CLI", "Access token", "OAuth"]
    assert [way["label"] for way in dialog["ways"] if way["current"]] == ["OAuth"]


def test_a_viewer_begins_nothing_and_a_stranger_finds_nothing(vera, charlie, googles_app):
    assert oauth.begin(browser_of(vera), services=["gmail"]).status_code == 403
    assert oauth.begin(browser_of(charlie), services=["gmail"]).status_code == 404
    assert not OAuthAttempt.objects.exists()


def test_nothing_ticked_is_said(bob, googles_app):
    answer = oauth.begin(browser_of(bob))

    assert answer.status_code == 422 and "Choose at least one thing" in answer.text
    assert not OAuthAttempt.objects.exists()


def test_a_permission_that_the_vendor_does_not_have_is_refused(bob, googles_app):
    answer = oauth.begin(browser_of(bob), services=["gmail"], scopes=["everything"])

    assert answer.status_code == 422 and "no permission called everything" in answer.text


def test_a_blocked_provider_is_not_begun(bob, googles_app):
    ProviderRow.objects.filter(slug="google").update(is_blocked=True)

    assert oauth.begin(browser_of(bob), services=["gmail"]).status_code == 403


# --- connecting


def test_bob_connects_gmail_and_nothing_of_calendar_is_asked(bob, acme, googles_app):
    browser = browser_of(bob)

    answer = oauth.begin(browser, services=["gmail"])
    address = oauth.vendors_address(answer)
    back = browser.get(oauth.agreed(address))

    assert GMAIL in oauth.asked_for(address)["scope"] and "calendar" not in oauth.asked_for(address)["scope"]
    row = Connection.objects.get()
    assert (row.project, row.label, row.auth_kind) == (acme, "alice@example.org", "oauth")
    assert "Google is connected" in back.text and "code=" not in back.text


def test_more_is_asked_for_where_it_is_ticked(bob, googles_app):
    answer = oauth.begin(browser_of(bob), services=["gmail"], scopes=[SEND])

    assert {GMAIL, SEND} <= set(oauth.asked_for(oauth.vendors_address(answer))["scope"].split())


def test_an_account_for_all_my_projects_is_the_persons_own(bob, googles_app):
    oauth.connect(browser_of(bob), services=["gmail"], scope="user", label="Work mail")

    row = Connection.objects.get()
    assert (row.project, row.user, row.label) == (None, bob, "Work mail")


def test_the_dialog_that_waits_goes_on_by_itself(bob, googles_app):
    browser = browser_of(bob)
    begun = oauth.begin(browser, services=["gmail"])

    assert oauth.wait(browser).status_code == 204
    browser.get(oauth.agreed(oauth.vendors_address(begun)))
    answer = oauth.wait(browser)

    assert "Connected as alice@example.org" in answer.text
    assert "connections-changed" in answer.headers["HX-Trigger"]


def test_without_script_all_happens_in_one_tab(bob, googles_app):
    browser = browser_of(bob)
    begun = oauth.begin(browser, services=["gmail"], headers={})

    assert "On to Google" in begun.text and begun.headers["Referrer-Policy"] == "no-referrer"
    back = browser.get(oauth.agreed(oauth.vendors_address(begun)), follow=True)

    assert "Connected as alice@example.org" in back.text and "<html" in back.text


def test_without_script_the_page_that_waits_looks_by_itself(bob, googles_app):
    browser = browser_of(bob)
    oauth.begin(browser, services=["gmail"], headers={})

    page = oauth.wait(browser, headers={})

    assert 'http-equiv="refresh"' in page.text and "Waiting for Google" in page.text


def test_a_no_at_the_vendor_is_told_with_what_was_ticked(bob, google, googles_app):
    google.deny_next()
    browser = browser_of(bob)

    back = oauth.connect(browser, services=["gmail"], label="Work")
    answer = oauth.wait(browser)

    assert "was not connected" in back.text and "Nobody allowed the access" in back.text
    assert answer.status_code == 200 and "Nobody allowed the access" in answer.text
    assert answer.context["dialog"]["oauth"]["services"][0]["ticked"] and 'value="Work"' in answer.text
    assert not Connection.objects.exists()


def test_after_ten_minutes_it_is_over(bob, googles_app):
    browser = browser_of(bob)
    oauth.begin(browser, services=["gmail"])
    OAuthAttempt.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    answer = oauth.wait(browser)

    assert answer.status_code == 200 and "took longer" in answer.text


def test_nobody_looks_at_another_persons_sign_in(bob, adam, charlie, googles_app):
    oauth.begin(browser_of(bob), services=["gmail"])

    assert oauth.wait(browser_of(adam)).status_code == 404
    assert oauth.wait(browser_of(charlie)).status_code == 404
    assert browser_of(bob).get(f"/p/acme/integrations/github/oauth/{oauth.attempt().pk}").status_code == 404


def test_an_attempt_whose_account_was_disconnected_since_says_so(bob, acmes_google):
    acmes_google.delete()

    assert "disconnected it since" in oauth.wait(browser_of(bob)).text


# --- a browser that cannot reach Navi


def test_the_address_of_a_page_that_did_not_load_finishes_it(bob, googles_app):
    browser = browser_of(bob)
    begun = oauth.begin(browser, services=["gmail"])
    ended_at = f"http://127.0.0.1:8000{oauth.agreed(oauth.vendors_address(begun))}"

    answer = browser.post(f"{HERE}/oauth/{oauth.attempt().pk}", {"address": ended_at}, headers=HTMX)

    assert "Connected as alice@example.org" in answer.text


@pytest.mark.parametrize("address", ["", "https://example.org/", "not an address"])
def test_another_address_is_refused_in_words(bob, googles_app, address):
    browser = browser_of(bob)
    oauth.begin(browser, services=["gmail"])

    answer = browser.post(f"{HERE}/oauth/{oauth.attempt().pk}", {"address": address}, headers=HTMX)

    assert answer.status_code == 422 and "Copy it whole" in answer.text
    assert oauth.attempt().is_open


def test_the_address_of_another_sign_in_is_refused(bob, googles_app):
    browser = browser_of(bob)
    other = oauth.agreed(oauth.vendors_address(oauth.begin(browser, services=["gmail"])))
    oauth.begin(browser, services=["gmail"])

    answer = browser.post(f"{HERE}/oauth/{oauth.attempt().pk}", {"address": other}, headers=HTMX)

    assert answer.status_code == 422 and "another sign-in" in answer.text
    assert not Connection.objects.exists()


# --- a code on another device


def test_a_code_is_shown_and_the_page_goes_on_once_it_was_entered(bob, github, githubs_app):
    browser = browser_of(bob)

    shown = oauth.begin(browser, provider="github", scopes=["public_repo"], how="code")
    code = oauth.attempt().user_code
    assert code in shown.text and "github.com/login/device" in shown.text.replace(
        github.url, "https://github.com"
    )
    assert oauth.wait(browser, provider="github").status_code == 204
    github.decide(code)
    OAuthAttempt.objects.update(polled_at=timezone.now() - timedelta(minutes=1))
    github.wind(60)
    answer = oauth.wait(browser, provider="github")

    assert "GitHub is connected" in answer.text
    assert Connection.objects.get().auth_kind == "oauth"


def test_without_script_a_code_is_a_page(bob, githubs_app):
    browser = browser_of(bob)

    answer = oauth.begin(browser, provider="github", scopes=["public_repo"], how="code", headers={})
    page = browser.get(answer.headers["Location"])

    assert answer.status_code == 303 and oauth.attempt().user_code in page.text


def reported(bob, acme, **said):
    """Bob's agent has told of its login."""
    entry = registry.entry("github", acme.pk)
    return cli_logins.report(entry, Actor("agent", "bobs-token-1", "Ada", bob.pk), project=acme, **said)


def check_again(browser):
    return browser.post("/p/acme/integrations/github/connect?kind=cli", headers=HTMX)


def test_a_login_that_was_reported_is_found(bob, acme):
    reported(bob, acme, ok=True, account="bob-at-github")

    answer = check_again(browser_of(bob))

    assert answer.status_code == 200 and "GitHub is signed in as bob-at-github" in answer.text


def test_a_login_that_was_reported_as_gone_says_why(bob, acme):
    reported(bob, acme, ok=False)

    answer = check_again(browser_of(bob))

    assert answer.status_code == 422 and "gh is not signed in on that machine." in answer.text


def test_nobody_is_told_of_another_persons_login(bob, adam, acme):
    reported(bob, acme, ok=True, account="bob-at-github")

    assert "no machine has reported it" in check_again(browser_of(adam)).text


def test_a_login_of_the_command_line_is_told_and_nothing_is_stored(bob, github):
    browser = browser_of(bob)
    dialog = dialog_of(browser, "?kind=cli", "github")
    answer = browser.post("/p/acme/integrations/github/connect?kind=cli", headers=HTMX)

    assert "gh auth login" in dialog.text and "navi-integrations test github" in dialog.text
    assert answer.status_code == 422 and "no machine has reported it" in answer.text
    assert not Connection.objects.exists()
