import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin as django_admin
from django.urls import reverse

from navi.admin_site import NaviAdminSite, ago


def test_the_admin_is_navis():
    assert django_admin.site.__class__ is NaviAdminSite


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/admin/", "/admin/login/?next=/admin/", "/admin/credentials/connection/"])
def test_a_stranger_is_sent_to_sign_in_at_the_hub(client, page):
    answer = client.get(page)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in?next=%2Fadmin%2F") or "next=/admin/" in answer["Location"]


def test_after_signing_in_nobody_is_sent_to_another_site(client, db):
    answer = client.get("/admin/login/?next=https://evil.example/")

    assert answer["Location"] == "/sign-in?next=%2Fadmin%2F"


@pytest.mark.parametrize(
    "page", ["/admin/", "/admin/login/", "/admin/credentials/connection/", "/admin/jsi18n/"]
)
def test_bob_is_refused_and_not_sent_in_circles(browser_of, bob, page):
    answer = browser_of(bob).get(page)

    assert answer.status_code == 403


def test_the_admins_own_form_for_signing_in_takes_no_password(client, olga):
    answer = client.post("/admin/login/", {"username": olga.email, "password": "Olga walks 7 dogs"})

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in")
    assert "_auth_user_id" not in client.session


def test_an_operator_who_is_signed_in_goes_where_they_wanted(admin):
    answer = admin.get("/admin/login/?next=/admin/jobs/job/")

    assert answer["Location"] == "/admin/jobs/job/"


def test_changing_a_password_leads_to_the_hub(admin):
    assert admin.get("/admin/password_change/")["Location"] == reverse("hub:password")


def test_signing_out_ends_at_the_hub(admin):
    answer = admin.post("/admin/logout/")

    assert answer["Location"] == settings.LOGOUT_REDIRECT_URL
    assert "_auth_user_id" not in admin.session


def test_the_header_leads_back_to_the_hub(admin):
    page = admin.get("/admin/").text

    assert '<a href="/">Back to the hub</a>' in page
    assert "Operators" in page


def test_what_axes_keeps_has_no_page():
    assert not [model for model in django_admin.site._registry if model._meta.app_label == "axes"]


def test_no_page_carries_a_script_or_style_of_its_own(admin, account, acme, crm):
    connection = account("todoist", project=acme)
    pages = [
        admin.get("/admin/"),
        admin.list_of("credentials_connection"),
        admin.open("credentials_connection", connection),
        admin.open("integrations_customprovider", crm, "delete"),
        admin.act("credentials_connection", "revoke", connection),
        admin.act("integrations_customprovider", "approve", crm),
    ]

    for answer in pages:
        assert answer.status_code == 200
        assert not re.search(
            r"<style|<script(?![^>]*\bsrc=)(?![^>]*application/json)|\sstyle=|\son\w+=", answer.text
        )
        policy = answer["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


def test_the_admins_colours_are_the_hubs():
    static = Path(settings.BASE_DIR) / "navi" / "hub" / "static"
    hub, theme = (tokens_of(static / name) for name in ("hub/hub.css", "admin_theme/theme.css"))

    assert theme.pop("--ink") == hub["--accent"]
    ours = {name: value for name, value in theme.items() if name in hub and "light-dark" in value}
    assert ours == {name: hub[name] for name in ours}
    assert len(ours) > 20


def tokens_of(sheet):
    found = re.findall(r"^  (--[\w-]+): ([^;]+);", sheet.read_text(), re.MULTILINE)
    return dict(reversed(found))  # the first of each: later ones are for single places


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20, "now"), (60, "1 min ago"), (-300, "in 5 min"), (7200, "2 h ago"), (3 * 86400, "3 days ago")],
)
def test_a_moment_is_told_as_an_age(now, seconds, words):
    assert ago(now - timedelta(seconds=seconds), now) == words
