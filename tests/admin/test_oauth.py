"""The operators' pages for OAuth apps and sign-ins."""

import pytest

from credentials.models import OAuthApp, OAuthAttempt
from navi.audit.models import AuditEvent

MODEL = "credentials_oauthapp"
ADD = "/admin/credentials/oauthapp/add/"
SECRET = "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d"


def secret_of(app):
    return app.secret.reveal()["client_secret"]


def add(admin, **values):
    usual = {"provider": "google", "project": "", "client_id": "navi.apps.example", "client_secret": SECRET}
    return admin.post(ADD, {**usual, **values}, follow=True)


@pytest.fixture
def googles_app(admin):
    add(admin)
    return OAuthApp.objects.get()


def test_olga_adds_the_instances_app(admin, remembered, olga):
    answer = add(admin)

    app = OAuthApp.objects.get()
    assert (app.provider, app.project, app.client_id, secret_of(app)) == (
        "google",
        None,
        "navi.apps.example",
        SECRET,
    )
    assert SECRET not in answer.text
    assert remembered("oauth_app.created").actor_label == str(olga)


def test_olga_adds_an_app_of_one_project(admin, acme):
    add(admin, project=str(acme.pk))

    assert OAuthApp.objects.get().project == acme


def test_only_providers_with_oauth_are_offered(admin):
    page = admin.get(ADD).text

    assert 'value="google"' in page and 'value="custom' not in page


def test_the_page_tells_redirect_address_and_steps_and_no_secret(admin, googles_app, settings):
    page = admin.open(MODEL, googles_app).text

    assert f"{settings.BASE_URL}/oauth/callback" in page
    assert "Google Auth Platform" in page and "console.cloud.google.com" in page
    assert SECRET not in page


def test_an_empty_secret_keeps_the_stored_one(admin, googles_app):
    admin.change(MODEL, googles_app, client_id=googles_app.client_id, client_secret="")

    assert secret_of(OAuthApp.objects.get()) == SECRET


def test_another_client_id_takes_another_secret(admin, googles_app):
    answer = admin.change(MODEL, googles_app, client_id="another.apps.example", client_secret="")

    assert "Enter it too" in answer.text
    assert OAuthApp.objects.get().client_id == googles_app.client_id


def test_olga_replaces_the_secret(admin, googles_app, remembered):
    admin.change(MODEL, googles_app, client_id=googles_app.client_id, client_secret="GOCSPX-another")

    assert secret_of(OAuthApp.objects.get()) == "GOCSPX-another"
    assert remembered("oauth_app.updated")
    assert not [event for event in AuditEvent.objects.all() if "GOCSPX" in str(event.detail)]


def test_a_missing_secret_is_said(admin):
    answer = add(admin, client_secret="")

    assert "The client secret is missing." in answer.text
    assert not OAuthApp.objects.exists()


def test_a_public_client_needs_none(admin):
    add(admin, client_secret="", is_public="on")

    assert secret_of(OAuthApp.objects.get()) == ""


def test_a_second_app_of_the_same_place_is_refused_or_replaces_nothing_unseen(admin, googles_app):
    add(admin, client_id="second.apps.example")

    assert OAuthApp.objects.count() == 1


def test_olga_removes_an_app(admin, googles_app, remembered):
    admin.post(f"/admin/credentials/oauthapp/{googles_app.pk}/delete/", {"post": "yes"})

    assert not OAuthApp.objects.exists()
    assert remembered("oauth_app.deleted")


def test_sign_ins_are_looked_at_and_not_changed(admin, googles_app, acme, alice, now):
    attempt = OAuthAttempt.objects.create(
        provider="google", project=acme, user=alice, app=googles_app, state_hash="0" * 64,
        kept={"verifier": "v"}, expires_at=now,
    )  # fmt: skip

    assert "Waiting for the vendor" in admin.list_of("credentials_oauthattempt").text
    page = admin.open("credentials_oauthattempt", attempt)
    assert page.status_code == 200 and 'name="_save"' not in page.text
    assert admin.get("/admin/credentials/oauthattempt/add/").status_code == 403
