"""The OAuth app of a project: who sets it up, what is shown of it, what serves whom."""

import pytest

from credentials.models import OAuthApp
from integrations import registry
from integrations.runtime import oauth_apps
from navi.audit.actor import SYSTEM
from navi.audit.models import AuditEvent
from tests.hub import oauth
from tests.hub.browsers import HTMX, browser_of
from tests.hub.oauth import HERE

APP = f"{HERE}/oauth-app"
SECRET = "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d"
pytestmark = pytest.mark.usefixtures("acme", "google")


def save(browser, client_id="acme.apps.example", client_secret=SECRET, **more):
    return browser.post(APP, {"client_id": client_id, "client_secret": client_secret, **more}, headers=HTMX)


def secret_of(app):
    return app.secret.reveal()["client_secret"]


@pytest.fixture
def acmes_app(acme, google):
    entry = registry.entry("google", acme.pk)
    return oauth_apps.save(
        entry, acme, client_id=google.client_id, client_secret=google.client_secret, actor=SYSTEM
    )


def test_without_an_app_an_admin_is_led_to_adding_one(adam):
    answer = browser_of(adam).get(f"{HERE}/connect", headers=HTMX)

    assert "No OAuth app yet: add one once" in answer.text and APP in answer.text
    assert "Continue to Google" not in answer.text


def test_a_member_reads_who_can(bob):
    answer = browser_of(bob).get(f"{HERE}/connect", headers=HTMX)

    assert "only owners and admins may do this" in answer.text and APP not in answer.text


def test_beginning_without_an_app_is_refused_in_words(bob):
    answer = oauth.begin(browser_of(bob), services=["gmail"])

    assert answer.status_code == 422 and "No OAuth app is set up for Google yet" in answer.text


def test_the_dialog_tells_the_redirect_address_and_the_vendors_steps(adam, settings):
    answer = browser_of(adam).get(APP, headers=HTMX)

    assert f"{settings.BASE_URL}/oauth/callback" in answer.text
    assert "console.cloud.google.com" in answer.text and "Google Auth Platform" in answer.text


def test_the_link_of_an_error_opens_it(adam, bob):
    assert browser_of(adam).get(f"{HERE}?oauth_app=1").context["open_dialog"] == APP
    assert "/connect" in browser_of(bob).get(f"{HERE}?oauth_app=1").context["open_dialog"]


def test_an_admin_adds_one_and_goes_straight_on_to_connecting(adam, acme):
    answer = save(browser_of(adam))

    app = OAuthApp.objects.get()
    assert (app.project, app.client_id, secret_of(app)) == (acme, "acme.apps.example", SECRET)
    assert "Continue to Google" in answer.text and SECRET not in answer.text
    assert AuditEvent.objects.filter(event="oauth_app.created").exists()


def test_without_script_saving_leads_to_connecting(adam):
    answer = browser_of(adam).post(APP, {"client_id": "acme.apps.example", "client_secret": SECRET})

    assert answer.status_code == 303 and answer.headers["Location"] == f"{HERE}/connect?kind=oauth"


def test_its_secret_is_never_shown_and_an_empty_one_keeps_it(adam, acmes_app):
    browser = browser_of(adam)
    kept = secret_of(acmes_app)

    page = browser.get(APP)
    save(browser, client_id=acmes_app.client_id, client_secret="")

    assert acmes_app.client_id in page.text and kept not in page.text
    assert secret_of(OAuthApp.objects.get()) == kept


def test_a_public_client_has_none(adam):
    save(browser_of(adam), client_secret="", is_public="on")

    assert secret_of(OAuthApp.objects.get()) == ""


def test_a_missing_secret_is_said_at_its_field(adam):
    answer = save(browser_of(adam), client_secret="")

    assert answer.status_code == 422 and "The client secret is missing." in answer.text
    assert not OAuthApp.objects.exists()


def test_another_client_id_takes_another_secret(adam, acmes_app):
    answer = save(browser_of(adam), client_id="another.apps.example", client_secret="")

    assert answer.status_code == 422 and "Enter it too" in answer.text


def test_a_secret_does_not_come_back_after_a_mistake(adam):
    answer = save(browser_of(adam), client_id="")

    assert answer.status_code == 422 and SECRET not in answer.text


def test_members_and_strangers_set_up_nothing(bob, vera, charlie):
    for browser, status in ((browser_of(bob), 403), (browser_of(vera), 403), (browser_of(charlie), 404)):
        assert browser.get(APP).status_code == status
        assert save(browser).status_code == status
        assert browser.post(f"{APP}/remove").status_code == status


def test_with_only_the_projects_app_an_account_is_for_this_project(bob, acmes_app):
    answer = browser_of(bob).get(f"{HERE}/connect", headers=HTMX)

    everywhere, here = answer.context["scope_field"].options
    assert everywhere.disabled and here.selected


def test_the_instances_app_serves_until_the_project_has_its_own(adam, googles_app):
    browser = browser_of(adam)
    before = browser.get(f"{HERE}/connect", headers=HTMX)
    save(browser)
    after = browser.get(f"{HERE}/connect", headers=HTMX)

    assert "the instance's OAuth app" in before.text and "Use your own instead" in before.text
    assert "this project's OAuth app" in after.text


def test_it_is_removed_after_a_question(adam, acmes_app):
    browser = browser_of(adam)
    question = browser.get(f"{APP}/remove", headers=HTMX)

    answer = browser.post(f"{APP}/remove", headers=HTMX)

    assert "Remove the OAuth app of Google" in question.text
    assert answer.status_code == 204 and not OAuthApp.objects.exists()
    assert browser.get(f"{APP}/remove").status_code == 404


def test_the_question_tells_which_connections_will_need_somebody(bob, adam, acmes_app):
    oauth.connect(browser_of(bob), services=["gmail"])

    question = browser_of(adam).get(f"{APP}/remove", headers=HTMX)

    assert "One connection made through it" in question.text


def test_a_provider_without_oauth_has_no_such_page(adam, acme, monkeypatch):
    from integrations.sdk import ApiKey, Plugin
    from tests.hub.test_provider import install

    install(monkeypatch, Plugin(slug="x", name="X", base_url="https://api.example.com", auth=ApiKey()))

    answer = browser_of(adam).get("/p/acme/integrations/x/oauth-app", headers=HTMX)

    assert answer.status_code == 400 and "not connected by OAuth" in answer.headers["HX-Trigger"]
