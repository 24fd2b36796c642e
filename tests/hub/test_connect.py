"""Connecting, testing, editing and disconnecting an account in the hub."""

import json

import pytest

from credentials.models import Connection, Secret, State
from integrations.models import ActionRun, HealthCheck, Milestone
from integrations.models import Provider as ProviderRow
from navi.audit.models import AuditEvent
from tests.hub.browsers import HTMX, browser_of
from tests.standins.todoist import KEY

HERE = "/p/acme/integrations/todoist"
WRONG = "ffffffffffffffffffffffffffffffffffffffff"
SHEET = {**HTMX, "HX-Target": "sheet"}


def connect(browser, key=KEY, *, scope="project", headers=None, **more):
    return browser.post(f"{HERE}/connect", {"apiKey": key, "scope": scope, **more}, headers=headers or {})


@pytest.fixture
def alices_todoist(connected, alice, acme, todoist):
    """Alice's own account, for all her projects."""
    return connected("todoist", acme, for_user=alice, apiKey=KEY, label="alice@example.org")


# --- the dialog


def test_the_dialog_asks_what_the_provider_needs_and_where_it_may_be_used(bob, acme):
    answer = browser_of(bob).get(f"{HERE}/connect", headers=HTMX)

    assert "<html" not in answer.text and "Connect Todoist" in answer.text
    assert (
        'name="apiKey"' in answer.text
        and "All my projects" in answer.text
        and "Only this project" in answer.text
    )
    assert answer.context["dialog"]["guide"]["open"]


def test_without_script_the_dialog_is_a_page(bob, acme):
    assert "<html" in browser_of(bob).get(f"{HERE}/connect").text


def test_the_guide_is_closed_for_somebody_who_has_done_it_before(bob, acme, todoist):
    browser = browser_of(bob)
    connect(browser)

    assert not browser.get(f"{HERE}/connect", headers=HTMX).context["dialog"]["guide"]["open"]


def test_a_viewer_connects_nothing(vera, acme, todoist):
    browser = browser_of(vera)

    assert browser.get(f"{HERE}/connect").status_code == 403
    assert connect(browser).status_code == 403
    assert connect(browser, scope="user").status_code == 403
    assert not Connection.objects.exists()


def test_a_stranger_connects_nothing(charlie, acme, todoist):
    assert connect(browser_of(charlie)).status_code == 404


def test_an_unknown_provider_is_404(bob, acme):
    assert browser_of(bob).get("/p/acme/integrations/nothing/connect").status_code == 404


def test_a_blocked_provider_is_not_connected(bob, acme, todoist):
    ProviderRow.objects.filter(slug="todoist").update(is_blocked=True)

    answer = connect(browser_of(bob), headers=HTMX)

    assert answer.status_code == 403 and "blocked" in answer.headers["HX-Trigger"]
    assert not Connection.objects.exists()


# --- connecting


def test_a_member_connects_the_project_and_sees_what_it_can_do(bob, acme, todoist):
    answer = connect(browser_of(bob), headers=HTMX)

    row = Connection.objects.get()
    assert (row.project, row.user, row.state, row.created_by) == (acme, None, State.ACTIVE, bob)
    assert f"Connected as {row.label}" in answer.text
    assert "connections-changed" in answer.headers["HX-Trigger"]
    assert "List projects" in answer.context["done"]["can"]
    assert "/api/actions/todoist.list_projects" in answer.text and KEY not in answer.text


def test_an_account_for_all_my_projects_is_the_persons_own(bob, acme, todoist):
    connect(browser_of(bob), scope="user")

    row = Connection.objects.get()
    assert (row.project, row.user) == (None, bob)


def test_without_script_connecting_leads_to_the_same_screen(bob, acme, todoist):
    browser = browser_of(bob)
    answer = connect(browser)

    row = Connection.objects.get()
    assert answer.headers["Location"] == f"{HERE}/connections/{row.pk}/connected"
    assert f"Connected as {row.label}" in browser.get(answer.headers["Location"]).text


def test_connecting_works_with_the_csrf_token_of_the_form_alone(bob, acme, todoist):
    browser = browser_of(bob, enforce_csrf_checks=True)
    page = browser.get(f"{HERE}/connect")

    assert connect(browser).status_code == 403
    assert connect(browser, csrfmiddlewaretoken=str(page.context["csrf_token"])).status_code == 303


def test_the_first_check_is_remembered(bob, acme, todoist):
    connect(browser_of(bob))

    assert HealthCheck.objects.get().asked_by == "connect"


def test_a_wrong_key_gets_the_vendors_words_at_its_field_and_is_kept_nowhere(bob, acme, todoist):
    answer = connect(browser_of(bob), WRONG, headers=HTMX)

    assert answer.status_code == 422
    assert "accept" in answer.text and 'aria-invalid="true"' in answer.text
    assert "Nothing was saved." in answer.text and WRONG not in answer.text
    assert not Connection.objects.exists() and not Secret.objects.exists()


def test_what_else_was_typed_stays(bob, acme, todoist):
    answer = connect(browser_of(bob), WRONG, label="Garden", headers=HTMX)

    assert 'value="Garden"' in answer.text
    assert answer.context["scope_field"].options[1].selected


def test_a_key_of_another_vendor_is_recognised(bob, acme, todoist):
    answer = connect(browser_of(bob), "xoxb-1234567890-abcdefghij", headers=HTMX)

    assert answer.status_code == 422 and "This looks like a Slack bot token" in answer.text
    assert not todoist.requests


def test_a_missing_key_is_named(bob, acme, todoist):
    assert "API token is missing." in connect(browser_of(bob), "", headers=HTMX).text


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe", b"[" * 1000])
def test_a_vendor_that_answers_nonsense_is_no_fault_of_navi(bob, acme, todoist, body):
    todoist.fail_next(200, body, times=5)

    answer = connect(browser_of(bob), headers=HTMX)

    assert answer.status_code == 422 and "Nothing was saved." in answer.text
    assert not Connection.objects.exists()


def test_a_vendor_that_is_down_keeps_nobody_from_trying_later(bob, acme, todoist):
    todoist.fail_next(503, b"", times=5)

    answer = connect(browser_of(bob), headers=HTMX)

    assert answer.status_code == 422 and "Try again" in answer.text
    assert not Connection.objects.exists()


# --- "Test connection"


def test_a_key_is_tested_and_stored_nowhere(bob, acme, todoist):
    answer = browser_of(bob).post(f"{HERE}/connect/test", {"apiKey": KEY}, headers=HTMX)

    assert "answered in" in answer.text and "Nothing is saved yet." in answer.text
    assert len(todoist.requests) == 1
    assert not Connection.objects.exists() and not Secret.objects.exists()
    assert AuditEvent.objects.get(event="connection.tested").actor_label == "Bob"


def test_a_wrong_key_fails_the_test_without_coming_back(bob, acme, todoist):
    answer = browser_of(bob).post(f"{HERE}/connect/test", {"apiKey": WRONG}, headers=HTMX)

    assert "accept" in answer.text and WRONG not in answer.text


def test_without_script_the_test_shows_the_page_again(bob, acme, todoist):
    todoist.accept_keys([WRONG])
    answer = browser_of(bob).post(f"{HERE}/connect/test", {"apiKey": WRONG})

    assert "<html" in answer.text and "answered in" in answer.text and WRONG not in answer.text


def test_in_the_edit_dialog_without_a_new_key_the_stored_one_is_tested(bob, acmes_todoist):
    answer = browser_of(bob).post(
        f"{HERE}/connect/test?reconnect={acmes_todoist.pk}", {"apiKey": ""}, headers=HTMX
    )

    assert "alice@example.org works." in answer.text


# --- the stored one


def test_the_card_says_what_a_test_of_the_stored_key_found(bob, acmes_todoist):
    where = {**HTMX, "HX-Target": "card-todoist"}
    answer = browser_of(bob).post(f"{HERE}/connections/{acmes_todoist.pk}/test", headers=where)

    assert answer.context["card"]["test_result"]["ok"] and "alice@example.org works." in answer.text
    assert HealthCheck.objects.get().asked_by == "person"


def test_a_failed_test_makes_the_card_red_and_fills_the_strip_above(bob, acmes_todoist, todoist):
    todoist.accept_keys(["another"])

    answer = browser_of(bob).post(f"{HERE}/connections/{acmes_todoist.pk}/test", headers=HTMX)

    assert answer.status_code == 200 and "card-failed" in answer.text
    assert "Needs attention" in answer.text
    assert 'id="nav-count-integrations" hx-swap-oob="true"> <span class="count' in answer.text


def test_without_script_a_test_answers_with_a_message(bob, acmes_todoist):
    answer = browser_of(bob).post(f"{HERE}/connections/{acmes_todoist.pk}/test", follow=True)

    assert "alice@example.org works." in answer.text


def test_another_persons_own_account_is_404(bob, alices_todoist):
    for part in ("test", "edit", "default", "disconnect"):
        assert browser_of(bob).post(f"{HERE}/connections/{alices_todoist.pk}/{part}").status_code == 404
    assert browser_of(bob).get(f"{HERE}/connect?reconnect={alices_todoist.pk}").status_code == 404


def test_an_account_of_another_project_is_404(alice, charlie, acme, elsewhere, connected, todoist):
    theirs = connected("todoist", elsewhere, apiKey=KEY)

    for part in ("test", "edit", "default", "disconnect"):
        assert browser_of(alice).post(f"{HERE}/connections/{theirs.pk}/{part}").status_code == 404


def test_the_right_account_under_the_wrong_provider_is_404(alice, acmes_todoist):
    assert (
        browser_of(alice).post(f"/p/acme/integrations/linear/connections/{acmes_todoist.pk}/test").status_code
        == 404
    )


@pytest.mark.parametrize("part", ["edit", "default", "disconnect"])
def test_a_member_does_not_change_the_projects_account(bob, acmes_todoist, part):
    assert browser_of(bob).post(f"{HERE}/connections/{acmes_todoist.pk}/{part}").status_code == 403
    assert Connection.objects.filter(pk=acmes_todoist.pk).exists()


# --- reconnecting


def test_a_reconnect_keeps_the_account_and_its_name(bob, acmes_todoist, todoist):
    todoist.accept_keys([WRONG])
    answer = browser_of(bob).post(
        f"{HERE}/connect?reconnect={acmes_todoist.pk}", {"apiKey": WRONG}, headers=HTMX
    )

    row = Connection.objects.get()
    assert answer.status_code == 200 and (row.pk, row.label) == (acmes_todoist.pk, "alice@example.org")
    assert row.generation == acmes_todoist.generation + 1


def test_a_failed_reconnect_harms_nothing(bob, acmes_todoist):
    answer = browser_of(bob).post(
        f"{HERE}/connect?reconnect={acmes_todoist.pk}", {"apiKey": WRONG}, headers=HTMX
    )

    assert answer.status_code == 422
    assert Connection.objects.get().current_id == acmes_todoist.current_id and Secret.objects.count() == 1


# --- editing


def test_a_manager_names_it_and_switches_it_off(adam, acmes_todoist):
    address = f"{HERE}/connections/{acmes_todoist.pk}/edit"
    assert "Saved key" in browser_of(adam).get(address, headers=HTMX).text

    answer = browser_of(adam).post(address, {"label": "Team"}, headers=HTMX)

    row = Connection.objects.get()
    assert (row.label, row.enabled) == ("Team", False)
    assert set(json.loads(answer.headers["HX-Trigger"])) == {"closeModal", "connections-changed", "toast"}
    events = AuditEvent.objects.filter(connection_id=row.pk).values_list("event", flat=True)
    assert {"connection.edited", "connection.disabled"} <= set(events)


def test_a_name_is_needed(adam, acmes_todoist):
    answer = browser_of(adam).post(
        f"{HERE}/connections/{acmes_todoist.pk}/edit", {"label": " "}, headers=HTMX
    )

    assert answer.status_code == 422 and "Give it a name" in answer.text


def test_a_new_key_is_tested_before_it_replaces_the_old_one(adam, acmes_todoist):
    form = {"label": "Team", "apiKey": WRONG, "enabled": "on"}
    answer = browser_of(adam).post(f"{HERE}/connections/{acmes_todoist.pk}/edit", form, headers=HTMX)

    row = Connection.objects.get()
    assert answer.status_code == 422 and WRONG not in answer.text
    assert (row.label, row.current_id) == ("alice@example.org", acmes_todoist.current_id)


def test_one_of_two_accounts_becomes_the_default(adam, acme, acmes_todoist, connected):
    second = connected("todoist", acme, apiKey=WRONG, label="Second")

    browser_of(adam).post(f"{HERE}/connections/{second.pk}/default")

    assert Connection.objects.get(is_default=True) == second


# --- disconnecting


def test_the_dialog_says_who_uses_it(adam, acmes_todoist, ada):
    ada.post("/api/actions/todoist.list_projects")

    told = (
        browser_of(adam)
        .get(f"{HERE}/connections/{acmes_todoist.pk}/disconnect", headers=HTMX)
        .context["disconnect"]
    )

    assert told["agents"] == ["Ada"] and told["projects"] == ["Acme"] and not told["falls_back_to"]


def test_disconnecting_closes_the_dialog_and_refreshes_the_page(adam, acmes_todoist):
    answer = browser_of(adam).post(f"{HERE}/connections/{acmes_todoist.pk}/disconnect", headers=HTMX)

    assert not answer.content and "closeModal" in answer.headers["HX-Trigger"]
    assert not Connection.objects.exists() and not Secret.objects.exists()


def test_on_a_page_of_its_own_disconnecting_leads_away(adam, acmes_todoist):
    answer = browser_of(adam).post(f"{HERE}/connections/{acmes_todoist.pk}/disconnect", headers=SHEET)

    assert answer.headers["HX-Redirect"] == "/p/acme/integrations"


def test_an_account_of_all_projects_goes_only_when_its_name_is_typed(alice, alices_todoist):
    address = f"{HERE}/connections/{alices_todoist.pk}/disconnect"
    answer = browser_of(alice).post(address, {"confirm": "yes"}, headers=HTMX)
    assert answer.status_code == 422 and "Nothing was disconnected." in answer.text

    assert browser_of(alice).post(address, {"confirm": "todoist"}).status_code == 303
    assert not Connection.objects.exists()


def test_the_dialog_says_what_takes_over(alice, acmes_todoist, alices_todoist):
    told = browser_of(alice).get(f"{HERE}/connections/{acmes_todoist.pk}/disconnect").context["disconnect"]

    assert told["falls_back_to"] == "alice@example.org (your key for all projects)"


# --- the first use


def test_try_it_asks_the_vendor_and_shows_the_answer(bob, acmes_todoist):
    answer = browser_of(bob).post(f"{HERE}/try", headers=HTMX)

    assert "todoist.list_projects" in answer.text and "Inbox" in answer.text
    assert ActionRun.objects.get().actor_label == "Bob"
    assert Milestone.objects.filter(kind="first_use").exists()


def test_try_it_without_script_is_a_page(bob, acmes_todoist):
    assert "<html" in browser_of(bob).post(f"{HERE}/try").text


def test_try_it_tells_what_the_vendor_refuses(bob, acmes_todoist, todoist):
    todoist.accept_keys(["another"])

    answer = browser_of(bob).post(f"{HERE}/try", headers=HTMX)

    assert answer.status_code == 200 and "accept" in answer.text and "Reconnect it" in answer.text


def test_a_viewer_tries_nothing(vera, acmes_todoist, todoist):
    assert browser_of(vera).post(f"{HERE}/try").status_code == 403
    assert not todoist.requests


def test_one_answer_from_one_to_five_is_kept(bob, acme):
    assert "Thank you" in browser_of(bob).post(f"{HERE}/satisfaction", {"rating": "4"}, headers=HTMX).text
    assert Milestone.objects.get(kind="satisfaction").value == 4

    assert browser_of(bob).post(f"{HERE}/satisfaction", {"rating": "6"}, headers=HTMX).status_code == 400
    assert Milestone.objects.count() == 1
