"""An agent asks a person to connect a service."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import Connection, ConnectRequest
from integrations import registry
from integrations.runtime import asking
from navi.audit.actor import Actor
from tests.hub.browsers import browser_of
from tests.standins.todoist import KEY

WRONG = "ffffffffffffffffffffffffffffffffffffffff"


@pytest.fixture
def ask(acme, alice, todoist):
    """Ada asks for Todoist."""

    def make(for_user=None, reconnects=None):
        ada = Actor("agent", "adas-token-1", "Ada", alice.pk)
        owner = for_user.pk if for_user else None
        return asking.ask(
            registry.entry("todoist", acme.pk), acme, ada, for_user=owner, reconnects=reconnects
        )

    return make


def address(asked):
    return f"/connect/{asked.pk}"


def give_code(browser, asked, code=None):
    return browser.post(address(asked), {"user_code": code or asked.user_code})


def test_the_page_says_who_asks_for_what_and_where_it_will_live(bob, ask):
    page = browser_of(bob).get(address(ask()))

    assert "Ada asks you to connect Todoist" in page.text
    assert "API key" in page.text and "Only the project Acme" in page.text
    assert 'name="apiKey"' not in page.text


def test_the_code_opens_the_dialog_and_the_key_finishes_it(bob, acme, ask):
    asked, browser = ask(), browser_of(bob)

    assert give_code(browser, asked).headers["Location"] == address(asked)
    assert 'name="apiKey"' in browser.get(address(asked)).text
    answer = browser.post(address(asked), {"apiKey": KEY})

    asked.refresh_from_db()
    assert "Todoist is connected" in answer.text and KEY not in answer.text
    assert asked.state == "done" and asked.connection.project == acme
    assert asked.result["capabilities"]


def test_without_the_code_a_key_is_not_taken(bob, ask):
    answer = browser_of(bob).post(address(ask()), {"apiKey": KEY})

    assert "The code your agent shows you" in answer.text
    assert not Connection.objects.exists()


def test_a_wrong_code_is_said_and_five_end_it(bob, ask):
    asked, browser = ask(), browser_of(bob)

    assert give_code(browser, asked, "BBBB-BBBB").status_code == 422
    for _ in range(4):
        answer = give_code(browser, asked, "BBBB-BBBB")

    assert "wrong five times" in answer.text
    assert "expired" in give_code(browser, asked).text


def test_a_wrong_key_leaves_the_request_open(bob, ask):
    asked, browser = ask(), browser_of(bob)
    give_code(browser, asked)

    answer = browser.post(address(asked), {"apiKey": WRONG})

    asked.refresh_from_db()
    assert answer.status_code == 422 and WRONG not in answer.text
    assert asked.is_open and not Connection.objects.exists()


def test_it_is_finished_once(bob, ask):
    asked, browser = ask(), browser_of(bob)
    give_code(browser, asked)
    browser.post(address(asked), {"apiKey": KEY})

    again = browser.post(address(asked), {"apiKey": WRONG})

    assert "Todoist is connected" in again.text and "nothing left to do" in again.text
    assert Connection.objects.count() == 1


def test_for_all_projects_of_a_person_only_that_person_finishes_it(alice, adam, ask):
    asked, browser = ask(for_user=alice), browser_of(alice)
    assert browser_of(adam).get(address(asked)).status_code == 403

    give_code(browser, asked)
    browser.post(address(asked), {"apiKey": KEY})

    assert Connection.objects.get().user == alice


def test_nobody_replaces_another_persons_own_key(alice, adam, ask, acme, connected):
    own = connected("todoist", acme, for_user=alice, apiKey=KEY)

    assert browser_of(adam).get(address(ask(reconnects=own))).status_code == 403
    assert browser_of(alice).get(address(ask(reconnects=own))).status_code == 200


def test_a_viewer_may_not_and_a_stranger_finds_nothing(vera, charlie, ask):
    asked = ask()

    assert give_code(browser_of(vera), asked).status_code == 403
    assert browser_of(vera).post(f"{address(asked)}/decline").status_code == 403
    assert browser_of(charlie).get(address(asked)).status_code == 404
    assert browser_of(charlie).post(f"{address(asked)}/decline").status_code == 404


def test_declined_the_agent_is_told(bob, ask):
    asked = ask()

    answer = browser_of(bob).post(f"{address(asked)}/decline")

    asked.refresh_from_db()
    assert "It was declined" in answer.text
    assert (asked.state, asked.result) == ("failed", {"reason": "Bob declined."})


def test_after_half_an_hour_it_is_over(bob, ask):
    asked = ask()
    ConnectRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert "This request has expired" in browser_of(bob).get(address(asked)).text
