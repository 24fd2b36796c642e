from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from navi.audit.models import AuditEvent
from navi.projects.models import User
from tests.hub.browsers import HTMX, browser_of, few_queries, password_of, text_of


def attempt(client, email, password, **more):
    return client.post("/sign-in", {"username": email, "password": password, **more})


def test_alice_signs_in_and_lands_in_her_project(alice, acme):
    client = browser_of()

    answer = attempt(client, alice.email, password_of(alice))

    assert (answer.status_code, answer["Location"]) == (303, "/")
    assert client.get("/")["Location"] == "/p/acme/integrations"
    assert AuditEvent.objects.filter(event="session.signed_in", actor_label="Alice").exists()


def test_alice_may_write_her_address_in_capitals(alice):
    assert attempt(browser_of(), "ALICE@Example.org ", password_of(alice)).status_code == 303


def test_signing_in_gives_the_session_a_new_key(alice):
    client = browser_of()
    client.get("/sign-in")
    session = client.session
    session["planted"] = True
    session.save()
    before = client.session.session_key

    attempt(client, alice.email, password_of(alice))

    assert client.session.session_key != before


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(alice, known):
    email = alice.email if known else "nobody@example.org"

    answer = attempt(browser_of(), email, "a wrong guess")

    assert answer.status_code == 422
    assert "This email and password do not fit together." in text_of(answer)
    assert "a wrong guess" not in text_of(answer)


def test_a_disabled_person_gets_the_same_answer(alice):
    alice.disable()

    answer = attempt(browser_of(), alice.email, password_of(alice))

    assert answer.status_code == 422
    assert "This email and password do not fit together." in text_of(answer)


@pytest.mark.parametrize("known", [True, False])
def test_after_ten_wrong_passwords_the_name_rests(alice, known):
    client, email = browser_of(), alice.email if known else "nobody@example.org"
    answers = [attempt(client, email, f"guess {number}") for number in range(10)]

    locked = attempt(client, email, password_of(alice))

    assert {answer.status_code for answer in answers[:9]} == {422}
    assert (answers[9].status_code, locked.status_code) == (429, 429)
    assert "Signing in rests for 15 minutes." in text_of(locked)
    assert locked["Retry-After"] == "900"
    assert AuditEvent.objects.filter(event="session.locked").exists()


def test_capitals_are_no_way_around_the_lock(alice):
    client = browser_of()
    spellings = [alice.email, alice.email.upper(), alice.email.title(), f" {alice.email}"]
    for number in range(10):
        attempt(client, spellings[number % 4], f"guess {number}")

    assert attempt(client, alice.email, password_of(alice)).status_code == 429


def test_a_lock_holds_for_one_address_only(alice):
    for number in range(10):
        attempt(browser_of(REMOTE_ADDR="192.0.2.66"), alice.email, f"guess {number}")

    elsewhere = attempt(browser_of(REMOTE_ADDR="192.0.2.7"), alice.email, password_of(alice))

    assert elsewhere.status_code == 303


def test_the_lock_ends_after_fifteen_minutes(alice):
    client = browser_of()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(10):
            attempt(client, alice.email, f"guess {number}")
        clock.shift(timedelta(minutes=16))

        answer = attempt(client, alice.email, password_of(alice))

    assert answer.status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/\\evil.example",
    ],
)
def test_next_never_leads_to_another_host(alice, elsewhere):
    answer = attempt(browser_of(), alice.email, password_of(alice), next=elsewhere)

    assert answer["Location"] == "/"
    assert "evil" not in text_of(browser_of().get("/sign-in", {"next": elsewhere}))


def test_next_leads_back_to_where_alice_wanted_to_go(alice, acme):
    client = browser_of()
    asked = client.get("/p/acme/agents?x=1")
    page = client.get(asked["Location"])

    answer = attempt(client, alice.email, password_of(alice), next=page.context["next"])

    assert answer["Location"] == "/p/acme/agents?x=1"


def test_somebody_signed_in_is_not_asked_again(alice):
    assert browser_of(alice).get("/sign-in?next=/projects")["Location"] == "/projects"


def test_a_dialog_of_an_ended_session_takes_the_whole_page_to_the_sign_in(acme):
    headers = {**HTMX, "HX-Current-URL": "http://testserver/p/acme/agents?q=1"}

    answer = browser_of().get("/p/acme/agents/new", headers=headers, follow=True)

    assert answer["HX-Redirect"] == "/sign-in?next=%2Fp%2Facme%2Fagents%3Fq%3D1"
    assert text_of(answer) == ""


def test_the_page_names_the_link_of_the_first_start_while_nobody_has_an_account(db):
    assert "Nobody has an account here yet." in text_of(browser_of().get("/sign-in"))


def test_the_page_says_nothing_of_it_once_there_is_an_operator(olga):
    assert "Nobody has an account" not in text_of(browser_of().get("/sign-in"))


def test_alice_signs_out_by_a_form_and_not_by_a_link(alice):
    client = browser_of(alice)

    link = client.get("/sign-out")
    form = client.post("/sign-out")

    assert (link.status_code, form.status_code, form["Location"]) == (405, 303, "/sign-in")
    assert "_auth_user_id" not in client.session


def test_signing_in_needs_the_forms_own_mark(alice):
    answer = attempt(Client(enforce_csrf_checks=True), alice.email, password_of(alice))

    assert answer.status_code == 403
    assert "this page was open for too long" in text_of(answer)
    assert answer["X-Request-Id"] in text_of(answer)


def test_pages_of_people_are_stored_nowhere(alice, acme):
    for address in ("/projects", "/account", "/p/acme/agents", "/p/acme/activity", "/sign-in"):
        assert "no-store" in browser_of(alice).get(address)["Cache-Control"]


# --- the password


def change(client, person, fresh="a quiet river bank", **more):
    given = {"old_password": password_of(person), "new_password1": fresh, "new_password2": fresh}
    return client.post("/account/password", {**given, **more})


def test_a_new_password_ends_the_other_sessions_and_not_this_one(alice):
    here, there = browser_of(alice), browser_of(alice)

    answer = change(here, alice)

    assert (answer.status_code, answer["Location"]) == (303, "/account")
    assert here.get("/account").status_code == 200
    assert there.get("/account")["Location"] == "/sign-in?next=/account"
    assert AuditEvent.objects.filter(event="password.changed", actor_label="Alice").exists()
    assert attempt(browser_of(), alice.email, "a quiet river bank").status_code == 303


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"old_password": "not mine"}, "Your old password was entered incorrectly."),
        ({"new_password2": "another river"}, "The two password fields didn"),
        ({"new_password1": "short", "new_password2": "short"}, "This password is too short."),
        ({"new_password1": "password123", "new_password2": "password123"}, "This password is too common."),
    ],
)
def test_a_password_that_does_not_do_changes_nothing(alice, typed, words):
    answer = change(browser_of(alice), alice, **typed)

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert "a quiet river bank" not in text_of(answer)
    assert User.objects.get().check_password(password_of(alice))


def test_alice_changes_her_name(alice):
    answer = browser_of(alice).post("/account", {"name": " Alice  Liddell "})

    alice.refresh_from_db()
    assert (answer.status_code, alice.name) == (303, "Alice Liddell")
    assert AuditEvent.objects.filter(event="user.updated").count() == 1


def test_a_name_of_nothing_is_refused_at_its_field(alice):
    answer = browser_of(alice).post("/account", {"name": "  "})

    assert answer.status_code == 422
    assert "Give a name of at most 120 letters." in text_of(answer)


def test_the_account_page_asks_few_questions(alice):
    client = browser_of(alice)

    with few_queries():
        assert client.get("/account").status_code == 200
