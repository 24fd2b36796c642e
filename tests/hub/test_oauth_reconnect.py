"""Accounts that were connected by OAuth: more permissions, repair, how their cards look, their end."""

from datetime import timedelta

from django.utils import timezone

from credentials.models import Connection, State
from tests.hub import oauth
from tests.hub.browsers import HTMX, browser_of
from tests.hub.oauth import HERE

AUTH = "https://www.googleapis.com/auth"
EVENTS, LIST = f"{AUTH}/calendar.events.readonly", f"{AUTH}/calendar.calendarlist.readonly"
GMAIL = f"{AUTH}/gmail.readonly"


def grants(browser):
    return {one["name"]: one for one in browser.get(HERE).context["grants"]}


def card(browser):
    return next(
        one for one in browser.get("/p/acme/integrations").context["connected"] if one["id"] == "google"
    )


def reconnect(browser, row, **form):
    answer = oauth.begin(browser, again=str(row.pk), **form)
    assert answer.status_code == 200, answer.text
    return answer, browser.get(oauth.agreed(oauth.vendors_address(answer)))


# --- services


def test_the_page_tells_service_by_service(bob, acmes_google):
    told = grants(browser_of(bob))

    assert told["Gmail"]["state"] == "granted"
    assert (
        told["Google Calendar"]["state"] == "none"
        and "services=google-calendar" in told["Google Calendar"]["add_url"]
    )


def test_calendar_is_added_to_the_same_account_and_gmail_stays(bob, acmes_google):
    browser = browser_of(bob)

    answer, _ = reconnect(browser, acmes_google, services=["google-calendar"])

    assert {GMAIL, EVENTS, LIST} <= set(oauth.asked_for(oauth.vendors_address(answer))["scope"].split())
    row = Connection.objects.get()
    assert row.pk == acmes_google.pk
    assert grants(browser)["Google Calendar"]["state"] == "granted"


def test_what_was_left_unticked_at_google_is_told_as_missing(bob, google, acmes_google):
    google.agree_only_to([GMAIL, EVENTS])
    browser = browser_of(bob)
    reconnect(browser, acmes_google, services=["google-calendar"])

    told = grants(browser)["Google Calendar"]

    assert (told["state"], told["missing"]) == ("partly", ["See the list of your calendars"])
    assert card(browser)["missing_permissions"] == ["See the list of your calendars"]
    page = browser.get(HERE).context["actions"]
    why = next(one["why_not"] for one in page if one["name"] == "google-calendar.list_calendars")
    assert why == "The account has not granted: See the list of your calendars."


def test_what_is_granted_is_ticked_for_good(bob, acmes_google):
    answer = browser_of(bob).get(f"{HERE}/connect?reconnect={acmes_google.pk}", headers=HTMX)

    gmail, calendar = answer.context["dialog"]["oauth"]["services"][:2]
    assert gmail["granted"] and not calendar["ticked"]


def test_the_card_shows_services_in_use_and_permissions_in_words(bob, acmes_google):
    told = card(browser_of(bob))

    assert told["services"] == ["Gmail"]
    assert told["permissions"] == ["Read your mail and its settings"]
    assert told["missing_permissions"] == []


def test_a_viewer_sees_the_grants_and_adds_nothing(vera, acmes_google):
    assert grants(browser_of(vera))["Google Calendar"]["add_url"] == ""


# --- repair


def broken(row, **facts):
    changes = {"state": State.REAUTH_REQUIRED, "state_reason": "Google no longer renews this access.",
               "health": "failed", "health_reason": "Google no longer renews this access.", **facts}  # fmt: skip
    Connection.objects.filter(pk=row.pk).update(**changes)


def test_the_link_of_an_error_opens_the_repair_of_exactly_this_account(bob, acmes_google):
    broken(acmes_google)
    browser = browser_of(bob)

    page = browser.get(f"{HERE}?reconnect={acmes_google.pk}")

    assert f"reconnect={acmes_google.pk}" in page.context["open_dialog"]
    dialog = browser.get(page.context["open_dialog"], headers=HTMX)
    assert dialog.context["dialog"]["kind"] == "oauth" and "Reconnect Google" in dialog.text


def test_a_reconnect_keeps_the_account_and_what_was_decided_about_it(bob, acmes_google):
    Connection.objects.filter(pk=acmes_google.pk).update(label="Team mail")
    broken(acmes_google)
    browser = browser_of(bob)

    reconnect(browser, acmes_google)

    row = Connection.objects.get()
    assert (row.pk, row.label, row.is_default, row.state) == (
        acmes_google.pk,
        "Team mail",
        True,
        State.ACTIVE,
    )


def test_another_account_does_not_take_its_place(bob, google, acmes_google):
    google.sign_in("bob")
    browser = browser_of(bob)

    reconnect(browser, acmes_google)

    assert "Connect it as another account instead" in oauth.wait(browser).text
    assert Connection.objects.get().label == acmes_google.label


def test_the_strip_lists_it_with_the_way_to_repair_it(bob, acmes_google):
    broken(acmes_google)

    attention = browser_of(bob).get("/p/acme/integrations").context["attention"]

    assert [one["name"] for one in attention] == ["Google"]
    assert f"reconnect={acmes_google.pk}" in attention[0]["url"]


def test_an_access_that_works_until_its_end_asks_for_a_person_before_that(bob, acmes_google):
    until = timezone.now() + timedelta(minutes=40)
    broken(acmes_google, state=State.DEGRADED, health="degraded", refusals=2, expires_at=until)
    browser = browser_of(bob)

    told = card(browser)

    assert told["main_action"]["kind"] == "reconnect" and told["health"]["state"] == "degraded"
    assert f"works until {until:%H:%M} UTC" in told["error"]["fix"]
    assert browser.get("/p/acme/integrations").context["attention"][0]["state"] == "degraded"


def test_a_renewal_that_is_held_back_says_when_navi_tries_again(bob, acmes_google):
    later = timezone.now() + timedelta(minutes=4)
    broken(acmes_google, state=State.DEGRADED, health="degraded", hold_until=later, next_check_at=None)

    action = card(browser_of(bob))["main_action"]

    assert action["kind"] == "retrying" and action["retry_at"] == later


def test_nobody_repairs_another_persons_own_account(bob, adam, acme, googles_app):
    oauth.connect(browser_of(bob), services=["gmail"], scope="user")
    own = Connection.objects.get()

    assert oauth.begin(browser_of(adam), again=str(own.pk)).status_code == 404


def test_editing_an_account_asks_for_no_key(bob, adam, acmes_google):
    browser = browser_of(adam)
    address = f"{HERE}/connections/{acmes_google.pk}/edit"

    dialog = browser.get(address, headers=HTMX)
    assert 'name="label"' in dialog.text and "data-popup" not in dialog.text
    answer = browser.post(address, {"label": "Team mail", "enabled": "on"}, headers=HTMX)

    assert answer.status_code == 204
    assert Connection.objects.get().label == "Team mail"


# --- the end


def disconnect(browser, row, headers=HTMX):
    return browser.post(f"{HERE}/connections/{row.pk}/disconnect", headers=headers)


def test_disconnecting_says_that_the_access_ends_at_the_vendor(adam, google, acmes_google):
    browser = browser_of(adam)

    dialog = browser.get(f"{HERE}/connections/{acmes_google.pk}/disconnect", headers=HTMX)
    answer = disconnect(browser, acmes_google)

    assert "Ended at Google, and deleted here" in dialog.text
    assert '"kind": "good"' in answer.headers["HX-Trigger"] and google.asked("/revoke")


def test_where_the_vendor_could_not_be_told_the_person_is(adam, google, acmes_google):
    google.break_next("/revoke", 500, times=9)

    answer = disconnect(browser_of(adam), acmes_google)

    assert not Connection.objects.exists()
    assert "Remove Navi in your account settings there" in answer.headers["HX-Trigger"]
    assert '"kind": "warn"' in answer.headers["HX-Trigger"]


def test_without_script_the_page_says_so(adam, google, acmes_google):
    google.break_next("/revoke", 500, times=9)

    browser = browser_of(adam)
    page = browser.get(disconnect(browser, acmes_google, headers={}).headers["Location"])

    assert "Remove Navi in your account settings there" in page.text
