"""The Notices of a project's settings."""

import re

import pytest
from django.core import mail
from django.utils import timezone
from standardwebhooks import Webhook

from credentials.client import outbound
from integrations.models import NoticeDelivery, NoticeSettings
from integrations.runtime import notice_settings, notice_webhook
from navi.audit.models import AuditEvent
from navi.projects.rights import actor_for
from tests.conftest import fresh_way_out
from tests.hub.browsers import HTMX, browser_of, few_queries, text_of
from tests.standins.server import Standin, answer_with

SETTINGS = "/p/acme/settings"
NOTICES = "/p/acme/settings/notices"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


class Receiver(Standin):
    def answer(self, request):
        return answer_with(200, "taken")


@pytest.fixture
def receiver(settings, monkeypatch):
    """It stands on this machine, where only a test lets Navi call a webhook."""
    with Receiver() as standin:
        settings.OUTBOUND_ALLOW = standin.url.removeprefix("http://")
        fresh_way_out()
        monkeypatch.setattr(notice_webhook, "way_out", outbound)
        yield standin


@pytest.fixture
def secret(receiver, acme, alice):
    """Acme has a webhook; this is its secret."""
    url = f"{receiver.url}/hidden/path"
    return notice_settings.put_webhook(acme, url, actor=actor_for(alice, acme))


@pytest.fixture
def mail_server(settings):
    settings.EMAIL_IS_SET_UP = True


def page_for(person):
    return text_of(browser_of(person).get(SETTINGS))


# --- looking


def test_without_a_mail_server_the_page_says_who_could_set_one_up(alice, acme):
    page = page_for(alice)

    assert "The operator of this Navi has not set up e-mail." in page
    assert "Add a webhook" in page
    assert "Send me a test" not in page


def test_alice_finds_e_mail_switched_on_where_there_is_a_mail_server(alice, acme, mail_server):
    page = page_for(alice)

    assert re.search(r'role="switch" id="notices-email"[^>]* checked', page)
    assert "Send me a test" in page


@pytest.mark.parametrize("name", ["bob", "vera"])
def test_members_see_what_there_is_but_neither_path_nor_secret_nor_buttons(
    name, request, acme, secret, mail_server
):
    page = page_for(request.getfixturevalue(name))

    assert "127.0.0.1" in page
    assert "Admins and owners of this project can change this." in page
    for hidden in ("/hidden/path", secret, "Rotate secret", "Send a test", "Send me a test", "notices-email"):
        assert hidden not in page


def test_the_settings_stay_quick(alice, acme, secret, mail_server):
    browser = browser_of(alice)
    with few_queries():
        browser.get(SETTINGS)


def test_how_the_last_notice_ended_is_shown(alice, acme, secret):
    facts = {"project": acme, "channel": "webhook", "ended_at": timezone.now()}
    NoticeDelivery.objects.create(**facts, state="sent")
    NoticeDelivery.objects.create(**facts, state="failed", last_error="The receiver answered (500).")

    page = page_for(alice)

    assert "Last notice failed" in page
    assert "The receiver answered (500)." in page
    assert "Last notice sent" not in page


# --- e-mail


def test_adam_switches_e_mail_off_and_on(adam, acme, mail_server):
    browser = browser_of(adam)

    for value, is_on in (("off", False), ("on", True)):
        answer = browser.post(f"{NOTICES}/email", {"email": ["off", value]}, headers=HTMX)

        assert answer.status_code == 200
        assert NoticeSettings.objects.get().email_enabled is is_on
    assert "Notices by e-mail are on." in answer["HX-Trigger"]
    assert AuditEvent.objects.filter(event="notice.settings_changed").count() == 2


def test_without_script_it_is_a_plain_form(alice, acme, mail_server):
    browser = browser_of(alice)

    answer = browser.post(f"{NOTICES}/email", {"email": "off"})

    assert (answer.status_code, answer["Location"]) == (303, SETTINGS)
    assert "Notices by e-mail are off." in text_of(browser.get(SETTINGS))


def test_a_test_by_mail_goes_to_whoever_asks(adam, acme, mail_server):
    answer = browser_of(adam).post(f"{NOTICES}/email/test", headers=HTMX)

    assert [message.to for message in mail.outbox] == [["adam@example.org"]]
    assert "Look into adam@example.org." in text_of(answer)
    assert "notice-good" in text_of(answer)


def test_a_mail_server_that_is_not_there_is_said(alice, acme, settings, mail_server):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    answer = browser_of(alice).post(f"{NOTICES}/email/test", headers=HTMX)

    assert "The mail server could not be reached" in text_of(answer)
    assert "notice-bad" in text_of(answer)


# --- webhook


def test_alice_adds_a_webhook_and_sees_its_secret_once(alice, acme, receiver):
    browser = browser_of(alice)

    answer = browser.post(f"{NOTICES}/webhook", {"url": f"{receiver.url}/navi"}, headers=HTMX)

    (secret,) = SECRET.findall(text_of(answer))
    assert "no-store" in answer["Cache-Control"]
    assert answer["HX-Trigger"] == "notices-changed"
    browser.post(f"{NOTICES}/webhook/test")
    (request,) = receiver.requests
    assert Webhook(secret).verify(request.body, dict(request.headers))["type"] == "notice.test"
    for address in (SETTINGS, NOTICES, f"{NOTICES}/webhook", f"{NOTICES}/webhook/rotate"):
        assert not SECRET.search(text_of(browser.get(address, headers=HTMX)))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "Give the address"),
        ("http://127.0.0.1:1/navi", "not on the public internet"),
        ("https://169.254.169.254/latest", "metadata service"),
        ("https://intranet/navi", "a name of the local network"),
        ("http://203.0.113.7/navi", ""),
        ("https://user:pass@example.org/navi", "user name or password"),
        ("ftp://example.org", "only http and https"),
        ("nonsense", "not a complete http(s) address"),
    ],
)
def test_an_address_that_navi_may_not_call_is_refused_at_the_field(alice, acme, url, words):
    answer = browser_of(alice).post(f"{NOTICES}/webhook", {"url": url}, headers=HTMX)

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in text_of(answer)
    assert words in text_of(answer)
    assert not NoticeSettings.objects.filter(webhook_host__gt="").exists()


def test_another_address_keeps_the_secret(alice, acme, secret, receiver):
    answer = browser_of(alice).post(f"{NOTICES}/webhook", {"url": f"{receiver.url}/b"}, headers=HTMX)

    assert answer.status_code == 204
    kept = NoticeSettings.objects.get().webhook.reveal()
    assert (kept["url"], kept["secret"]) == (f"{receiver.url}/b", secret)


def test_rotating_shows_the_new_secret_once(alice, acme, secret):
    browser = browser_of(alice)

    asked = browser.get(f"{NOTICES}/webhook/rotate")
    answer = browser.post(f"{NOTICES}/webhook/rotate", headers=HTMX)

    assert "For 24 hours" in text_of(asked)
    (fresh,) = SECRET.findall(text_of(answer))
    kept = NoticeSettings.objects.get().webhook.reveal()
    assert (kept["secret"], kept["former"]) == (fresh, secret)


def test_a_removed_webhook_is_gone_with_its_secret(alice, acme, secret):
    answer = browser_of(alice).post(f"{NOTICES}/webhook/remove")

    assert answer.status_code == 303
    assert not NoticeSettings.objects.get().webhook
    assert "Add a webhook" in page_for(alice)


def test_rotating_what_is_gone_says_so(alice, acme):
    browser = browser_of(alice)

    browser.post(f"{NOTICES}/webhook/rotate")

    assert "This project has no webhook any more." in text_of(browser.get(SETTINGS))


def test_what_the_receiver_answers_is_shown(alice, acme, secret, receiver):
    receiver.fail_next(500, "secret words of the receiver")

    answer = browser_of(alice).post(f"{NOTICES}/webhook/test", headers=HTMX)

    assert "receiver answered (500)" in text_of(answer)
    assert "secret words" not in text_of(answer)


def test_a_test_without_a_webhook_says_that_there_is_none(alice, acme):
    answer = browser_of(alice).post(f"{NOTICES}/webhook/test", headers=HTMX)

    assert "This project has no webhook any more." in text_of(answer)


def test_the_audit_knows_who_changed_what_but_no_path(alice, acme, secret):
    event = AuditEvent.objects.get(event="notice.settings_changed")

    assert (event.actor_label, event.detail) == ("Alice", {"webhook": "set", "host": "127.0.0.1"})


# --- who may


@pytest.mark.parametrize(
    "path", ["email", "email/test", "webhook", "webhook/test", "webhook/rotate", "webhook/remove"]
)
def test_bob_and_vera_change_nothing(bob, vera, acme, path):
    for person in (bob, vera):
        assert browser_of(person).post(f"{NOTICES}/{path}").status_code == 403

    assert not NoticeSettings.objects.exists()
    assert mail.outbox == []


def test_charlie_finds_nothing_here(charlie, acme):
    assert browser_of(charlie).get(NOTICES).status_code == 404
    assert browser_of(charlie).post(f"{NOTICES}/webhook").status_code == 404
