"""An agent asks a person for access that is granted at the vendor's page."""

import pytest

from credentials.models import Connection
from integrations import registry
from integrations.runtime import asking
from navi.audit.actor import Actor
from tests.hub import oauth
from tests.hub.browsers import HTMX, browser_of

CALENDAR = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"


@pytest.fixture
def asked(acme, alice, googles_app):
    """Ada asks for Google's calendars."""
    ada = Actor("agent", "adas-token-1", "Ada", alice.pk)
    return asking.ask(registry.entry("google", acme.pk), acme, ada, for_user=None, scopes=[CALENDAR])


@pytest.fixture
def bobs(bob, asked):
    """Bob's browser, in which he has entered the code."""
    browser = browser_of(bob)
    browser.post(f"/connect/{asked.pk}", {"user_code": asked.user_code})
    return browser


def begin(browser, asked, headers=HTMX, **form):
    return browser.post(
        f"/connect/{asked.pk}?kind=oauth", {"services": ["google-calendar"], **form}, headers=headers
    )


def test_before_the_code_it_says_who_asks_for_what(bob, asked):
    page = browser_of(bob).get(f"/connect/{asked.pk}")

    assert "Ada asks you to connect Google" in page.text
    assert "See the list of your calendars" in page.text and "you sign in at Google" in page.text


def test_without_the_code_nothing_begins(bob, asked):
    answer = begin(browser_of(bob), asked)

    assert "The code your agent shows" in answer.text and "data-oauth-go" not in answer.text


def test_what_the_agent_needs_is_ticked(bobs, asked):
    told = bobs.get(f"/connect/{asked.pk}").context["dialog"]["oauth"]["services"]

    assert [one["value"] for one in told if one["ticked"]] == ["google-calendar"]


def test_bob_signs_in_and_the_agent_is_told(bobs, asked, acme):
    back = bobs.get(oauth.agreed(oauth.vendors_address(begin(bobs, asked))))

    asked.refresh_from_db()
    assert "Google is connected" in back.text
    assert (asked.state, asked.connection.project) == ("done", acme)
    assert "google-calendar.list_calendars" in asked.result["capabilities"]


def test_the_page_that_waits_shows_that_it_is_done(bobs, asked):
    bobs.get(oauth.agreed(oauth.vendors_address(begin(bobs, asked))))

    assert "Connected as alice@example.org" in oauth.wait(bobs).text
    assert "nothing left to do here" in bobs.get(f"/connect/{asked.pk}").text


def test_it_works_in_one_tab_without_script(bobs, asked):
    begun = begin(bobs, asked, headers={})

    page = bobs.get(oauth.agreed(oauth.vendors_address(begun)), follow=True)

    assert "Connected as alice@example.org" in page.text


def test_a_no_leaves_the_request_open_to_try_again(bobs, asked, google):
    google.deny_next()
    bobs.get(oauth.agreed(oauth.vendors_address(begin(bobs, asked))))

    answer = oauth.wait(bobs)
    asked.refresh_from_db()

    assert asked.is_open and f"/connect/{asked.pk}?kind=oauth" in answer.text
    assert not Connection.objects.exists()


def test_an_agent_that_asks_for_github_leaves_the_way_to_the_person(bob, acme, alice, githubs_app):
    ada = Actor("agent", "adas-token-1", "Ada", alice.pk)
    asked = asking.ask(registry.entry("github", acme.pk), acme, ada, for_user=None)
    browser = browser_of(bob)
    browser.post(f"/connect/{asked.pk}", {"user_code": asked.user_code})

    ways = browser.get(f"/connect/{asked.pk}").context["dialog"]["ways"]

    assert [way["url"] for way in ways] == [
        f"/connect/{asked.pk}?kind={kind}" for kind in ("cli", "api_key", "oauth")
    ]
    assert 'name="token"' in browser.get(ways[1]["url"]).text
