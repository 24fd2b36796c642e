"""The hub's doors for a sign-in: the button, the vendor's pages, and the callback that browsers are sent to."""

from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import pytest
from django.test import Client

from credentials.models import Connection, OAuthAttempt
from navi.projects.models import Membership
from tests.hub.browsers import HTMX, browser_of, password_of
from tests.real import signing_in
from tests.real.signing_in import token_of
from tests.real.vendors import CALLBACK

START = "/p/acme/integrations/notes/oauth"
WISH = {"label": "", "scope": "project", "scopes": "notes:read"}


@pytest.fixture
def alices_hub(alice, notes):
    return browser_of(alice)


def begun(hub: Client, **more: str) -> str:
    """The vendor's address on the page that follows the button."""
    page = hub.post(START, {**WISH, **more})
    assert page.status_code == 200, page.text
    return str(page.context["vendor_url"])


def come_back(hub: Client, back: dict[str, str], **more: str):
    return hub.get(f"{urlsplit(CALLBACK).path}?{urlencode({**back, **more})}")


def test_alice_connects_in_one_tab(alices_hub, notes, acme, alices_browser):
    back = alices_browser.agree(begun(alices_hub))

    landed = come_back(alices_hub, back)
    page = alices_hub.get(landed.url, follow=True)

    connection = Connection.objects.get()
    assert landed.status_code == 303 and page.status_code == 200
    assert page.redirect_chain[-1][0].endswith(f"/connections/{connection.pk}/connected")
    assert "notes:read" in connection.scopes and notes.person(token_of(connection)) == "alice"


def test_alice_connects_in_a_second_window_while_the_first_waits(alices_hub, notes, acme, alices_browser):
    waiting = alices_hub.post(START, WISH, headers=HTMX).context["waiting"]
    before = alices_hub.get(waiting["wait_url"], headers=HTMX)
    back = alices_browser.agree(waiting["vendor_url"])

    window = come_back(alices_hub, back)
    after = alices_hub.get(waiting["wait_url"], headers=HTMX)

    assert before.status_code == 204
    assert window.status_code == 200 and "Signed in as Alice at Notes" in window.text
    assert after.status_code == 200 and "Alice at Notes" in after.text


def test_the_page_after_the_callback_holds_no_code_and_tells_nobody(alices_hub, acme, alices_browser):
    waiting = alices_hub.post(START, WISH, headers=HTMX).context["waiting"]
    back = alices_browser.agree(waiting["vendor_url"])

    window = come_back(alices_hub, back)

    assert not any(value in window.text for value in (back["code"], back["state"]))
    assert window["Referrer-Policy"] == "no-referrer" and "no-store" in window["Cache-Control"]


def test_alice_pastes_the_address_that_her_browser_could_not_open(alices_hub, acme, alices_browser):
    waiting = alices_hub.post(START, WISH, headers=HTMX).context["waiting"]
    back = alices_browser.agree(waiting["vendor_url"])

    page = alices_hub.post(waiting["wait_url"], {"address": f"{CALLBACK}?{urlencode(back)}"}, headers=HTMX)

    assert page.status_code == 200 and Connection.objects.get().label == "Alice at Notes"


def test_alice_denies_and_reads_so(alices_hub, acme, alices_browser):
    back = alices_browser.deny(begun(alices_hub))

    page = alices_hub.get(come_back(alices_hub, back).url)

    assert "Nobody allowed the access at Notes" in page.text and not Connection.objects.exists()


# --- who comes


def test_nothing_begins_without_the_hubs_own_form(alice, acme, notes):
    hub = Client(enforce_csrf_checks=True)
    hub.force_login(alice)

    assert hub.post(START, WISH).status_code == 403
    assert hub.get(START).status_code == 405
    assert not OAuthAttempt.objects.exists()


def test_vera_who_only_looks_cannot_begin(vera, acme, notes):
    assert browser_of(vera).post(START, WISH).status_code == 403


def test_alice_signed_out_meanwhile_and_signs_in_again(alices_hub, alice, acme, alices_browser):
    back = alices_browser.agree(begun(alices_hub))
    alices_hub.logout()

    sent = come_back(alices_hub, back)
    signed_in = alices_hub.post(
        "/sign-in", {"username": alice.email, "password": password_of(alice), **next_of(sent)}
    )
    page = alices_hub.get(signed_in.url)

    assert sent.status_code == 303 and back["code"] not in sent.url
    assert "Signed in as Alice at Notes" in page.text
    assert Connection.objects.get().project == acme


def test_bob_who_signs_in_instead_gets_nothing_and_alice_still_can(
    alices_hub, alice, bob, acme, alices_browser
):
    back = alices_browser.agree(begun(alices_hub))
    alices_hub.logout()
    sent = come_back(alices_hub, back)

    signed_in = alices_hub.post(
        "/sign-in", {"username": bob.email, "password": password_of(bob), **next_of(sent)}
    )
    page = alices_hub.get(signed_in.url)

    assert page.status_code == 400 and "Somebody else began this sign-in" in page.text
    assert not Connection.objects.exists()
    assert "Signed in as Alice" in come_back(browser_of(alice), back).text


def next_of(sent) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(sent.url).query).items()}


def test_a_stranger_with_an_invented_state_gets_no_session(db, settings, notes):
    hub = Client()

    page = come_back(hub, {"state": "invented", "code": "invented"})

    assert page.status_code == 400 and settings.SESSION_COOKIE_NAME not in hub.cookies
    assert "does not know this sign-in" in page.text


def test_bob_brings_alices_answer_to_his_own_hub(alices_hub, alice, bob, acme, alices_browser):
    back = alices_browser.agree(begun(alices_hub))

    bobs = come_back(browser_of(bob), back)
    alices = come_back(alices_hub, back)

    assert bobs.status_code == 400 and "Somebody else" in bobs.text
    assert alices.status_code == 303 and Connection.objects.get().created_by == alice


def test_an_answer_shown_again_is_refused_and_the_connection_stays(alices_hub, notes, acme, alices_browser):
    back = alices_browser.agree(begun(alices_hub))
    come_back(alices_hub, back)

    again = come_back(alices_hub, back)

    assert again.status_code == 400 and "was finished before" in again.text
    assert notes.person(token_of(Connection.objects.get())) == "alice"


def test_bob_who_has_left_the_project_meanwhile_connects_nothing(bob, acme, notes, bobs_browser):
    hub = browser_of(bob)
    back = bobs_browser.agree(begun(hub))
    Membership.objects.filter(user=bob).delete()

    page = come_back(hub, back)

    assert page.status_code == 400 and not Connection.objects.exists()


# --- what an attacker adds


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_nobody_is_led_elsewhere_by_what_is_added(evil, alices_hub, acme, alices_browser):
    added = {"next": evil, "redirect_uri": evil, "redirect": evil, "return_to": evil}
    address = begun(alices_hub, **added)
    back = alices_browser.agree(address)

    landed = come_back(alices_hub, back, **added)

    assert parse_qs(urlsplit(address).query)["redirect_uri"] == [CALLBACK]
    assert landed.status_code == 303 and landed.url.startswith("/p/acme/integrations/notes/oauth/")


def test_after_signing_in_nobody_is_led_elsewhere(alices_hub, alice, acme, alices_browser):
    back = alices_browser.agree(begun(alices_hub))
    alices_hub.logout()

    sent = come_back(alices_hub, back, next="https://evil.example/")

    assert next_of(sent) == {"next": urlsplit(CALLBACK).path}


def test_an_answer_at_another_vendors_callback_is_refused(alices_hub, acme, alices_browser):
    """A mix-up: providers that people described have a callback of their own."""
    back = alices_browser.agree(begun(alices_hub))

    wrong = alices_hub.get(f"{urlsplit(CALLBACK).path}/{uuid4()}?{urlencode(back)}")

    assert wrong.status_code == 400 and "wrong address" in wrong.text
    assert come_back(alices_hub, back).status_code == 303 and Connection.objects.count() == 1


def test_another_host_header_does_not_move_the_callback(alice, acme, notes, settings, alices_browser):
    settings.ALLOWED_HOSTS = ["*"]
    hub = Client(headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
    hub.force_login(alice)

    address = begun(hub)
    attempt = signing_in.finish(alice, acme, alices_browser.agree(address))

    assert parse_qs(urlsplit(address).query)["redirect_uri"] == [CALLBACK]
    assert attempt.outcome == OAuthAttempt.State.DONE, attempt.message
