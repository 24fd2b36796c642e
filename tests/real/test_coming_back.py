"""What may be wrong with a sign-in that comes back, seen with authorization servers that nobody here wrote."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import time_machine
from django.utils import timezone

from credentials.models import Connection, OAuthApp, OAuthAttempt
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects.models import Membership, Project
from tests.real import signing_in
from tests.real.signing_in import app_of, token_of
from tests.real.vendors import CLIENTS

State = OAuthAttempt.State


def changed(address: str, **params: str | None) -> str:
    """The address with these parameters; None takes one away."""
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **params}
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def refused(person, project, back) -> Problem:
    with pytest.raises(Problem) as caught:
        signing_in.finish(person, project, back)
    return caught.value


# --- the person


def test_alice_denies(notes, alice, acme, alices_browser):
    back = alices_browser.deny(signing_in.begin(alice, acme))

    attempt = signing_in.finish(alice, acme, back)

    assert back["error"] == "access_denied"
    assert (attempt.outcome, attempt.code) == (State.FAILED, "invalid_credentials")
    assert "Nobody allowed the access at Notes" in attempt.message
    assert not Connection.objects.exists()
    assert AuditEvent.objects.filter(event="consent.failed", outcome="failed").count() == 1


def test_alice_denies_and_then_agrees(notes, alice, acme, alices_browser):
    signing_in.finish(alice, acme, alices_browser.deny(signing_in.begin(alice, acme)))

    assert signing_in.connected(alice, acme, alices_browser).label == "Alice at Notes"


def test_bob_cannot_finish_what_alice_began_and_she_still_can(notes, alice, bob, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))

    problem = refused(bob, acme, back)
    connection = signing_in.finished(alice, acme, back)

    assert "Somebody else began this sign-in" in problem.message
    assert connection.created_by == alice


def test_alice_does_not_get_bobs_account_by_a_callback_that_bob_prepared(
    notes, alice, bob, acme, bobs_browser
):
    """A login CSRF: Bob agrees with his account and has Alice's browser open the callback."""
    back = bobs_browser.agree(signing_in.begin(bob, acme))

    refused(alice, acme, back)

    assert not Connection.objects.exists()


# --- the state


def test_a_callback_shown_again_is_refused_and_the_connection_stays(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))
    connection = signing_in.finished(alice, acme, back)

    problem = refused(alice, acme, back)

    assert "was finished before" in problem.message
    assert OAuthAttempt.objects.get().outcome == State.DONE
    # Had the code been sent again, the vendor would have ended what was given for it.
    assert notes.person(token_of(connection)) == "alice"


@pytest.mark.django_db(transaction=True)
def test_a_callback_that_the_browser_sends_four_times_at_once_connects_once(
    notes, alice, acme, alices_browser
):
    back = alices_browser.agree(signing_in.begin(alice, acme))

    def come_back() -> str:
        try:
            return signing_in.finish(alice, acme, back).outcome
        except Problem as problem:
            return problem.message.partition(",")[0]

    found = signing_in.at_once(4, come_back)

    assert sorted(found) == ["This sign-in was finished before"] * 3 + ["done"]
    assert notes.person(token_of(Connection.objects.get())) == "alice"


@pytest.mark.parametrize("state", ["", "invented", "a" * 300, "\0"])
def test_a_state_that_navi_did_not_give_touches_nothing(state, notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))

    problem = refused(alice, acme, {**back, "state": state})

    assert "does not know this sign-in" in problem.message
    assert signing_in.finish(alice, acme, back).outcome == State.DONE


def test_a_changed_state_is_refused_and_the_right_one_still_works(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))
    other = "B" if back["state"][0] == "A" else "A"

    refused(alice, acme, {**back, "state": other + back["state"][1:]})

    assert signing_in.finish(alice, acme, back).outcome == State.DONE


def test_a_callback_without_a_state_is_refused(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))
    del back["state"]

    refused(alice, acme, back)

    assert OAuthAttempt.objects.get().outcome == State.PENDING


def test_after_ten_minutes_a_sign_in_is_over(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))

    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        problem = refused(alice, acme, back)

    assert "longer than ten minutes" in problem.message
    assert not Connection.objects.exists()


def test_the_vendors_state_comes_back_as_navi_sent_it(notes, alice, acme, alices_browser):
    address = signing_in.begin(alice, acme)

    back = alices_browser.agree(address)

    assert back["state"] == dict(parse_qsl(urlsplit(address).query))["state"]


# --- the code


def test_a_code_of_another_sign_in_gives_nothing(notes, alice, acme, alices_browser, bobs_browser):
    """PKCE stops it: Bob's code was given for another challenge."""
    alices = alices_browser.agree(signing_in.begin(alice, acme))
    bobs = bobs_browser.agree(signing_in.begin(alice, acme))

    attempt = signing_in.finish(alice, acme, {**alices, "code": bobs["code"]})

    assert (attempt.outcome, attempt.code) == (State.FAILED, "invalid_credentials")
    assert "invalid_grant" in attempt.message
    assert not Connection.objects.exists()


def test_a_stolen_code_is_worth_nothing_without_the_verifier(notes, alice, acme, alices_browser):
    code = alices_browser.agree(signing_in.begin(alice, acme))["code"]

    assert notes.redeemed(CLIENTS["body"], code=code, code_verifier="a" * 64) == "invalid_grant"


def test_a_question_without_its_challenge_gives_nothing(notes, alice, acme, alices_browser):
    """A PKCE downgrade: somebody between takes the challenge away."""
    stripped = changed(signing_in.begin(alice, acme), code_challenge=None, code_challenge_method=None)

    attempt = signing_in.finish(alice, acme, alices_browser.agree(stripped))

    assert (attempt.outcome, attempt.code) == (State.FAILED, "invalid_credentials")
    assert "invalid_request" in attempt.message


def test_a_question_with_a_plain_challenge_gives_nothing(notes, alice, acme, alices_browser):
    weakened = changed(signing_in.begin(alice, acme), code_challenge_method="plain")

    attempt = signing_in.finish(alice, acme, alices_browser.agree(weakened))

    assert attempt.outcome == State.FAILED and not Connection.objects.exists()


def test_a_callback_without_a_code_is_no_grant(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))
    del back["code"]

    attempt = signing_in.finish(alice, acme, back)

    assert (attempt.outcome, attempt.message) == (State.FAILED, "Notes sent no code. Begin again.")


def test_hostile_parameters_of_the_callback_change_nothing(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))
    hostile = {
        "redirect_uri": "https://evil.example/", "next": "https://evil.example/", "client_id": "evil",
        "access_token": "evil", "scope": "everything", "project": "elsewhere", "code_verifier": "evil",
    }  # fmt: skip

    connection = signing_in.finished(alice, acme, {**back, **hostile})

    assert connection.project == acme and "everything" not in connection.scopes


# --- several at a time


def test_two_tabs_are_finished_in_reverse_order(notes, alice, acme, alices_browser):
    first = alices_browser.agree(signing_in.begin(alice, acme, label="first tab"))
    second = alices_browser.agree(signing_in.begin(alice, acme, label="second tab"))

    later = signing_in.finished(alice, acme, second)
    earlier = signing_in.finished(alice, acme, first)

    # The same account: one connection, as it was told last.
    assert later.pk == earlier.pk and Connection.objects.get().label == "first tab"
    assert notes.person(token_of(earlier)) == "alice"


def test_two_projects_at_once_each_get_their_own(notes, alice, acme, alices_browser, bobs_browser):
    second = Project.objects.create(slug="second", name="Second")
    Membership.objects.create(project=second, user=alice, role="owner")
    signing_in.app_at("of another project", second)
    to_acme = alices_browser.agree(signing_in.begin(alice, acme))
    to_second = bobs_browser.agree(signing_in.begin(alice, second))

    in_second = signing_in.finished(alice, second, to_second)
    in_acme = signing_in.finished(alice, acme, to_acme)

    assert (in_acme.project, in_acme.label) == (acme, "Alice at Notes")
    assert (in_second.project, in_second.label) == (second, "Bob at Notes")
    assert (app_of(in_acme), app_of(in_second)) == ("navi-body", "navi-second")
    assert notes.person(token_of(in_acme)) == "alice" and notes.person(token_of(in_second)) == "bob"


# --- who answers (RFC 9207)


@pytest.fixture
def promising(vendor, offered):
    """The vendor promises to say who it is."""
    return offered(vendor, issuer=vendor.origin)


def test_an_answer_that_says_whose_it_is_connects(promising, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))

    attempt = signing_in.finish(alice, acme, back)

    assert back["iss"] == promising.origin and attempt.outcome == State.DONE


@pytest.mark.parametrize("iss", [None, "", "https://evil.example", "{origin}/", "{origin}.evil.example"])
def test_an_answer_of_somebody_else_is_refused_and_its_code_is_not_sent(
    iss, promising, alice, acme, alices_browser
):
    address = signing_in.begin(alice, acme)
    verifier = OAuthAttempt.objects.get().kept.reveal()["verifier"]
    back = alices_browser.agree(address)
    del back["iss"]
    said = {} if iss is None else {"iss": iss.format(origin=promising.origin)}

    attempt = signing_in.finish(alice, acme, {**back, **said})

    assert (attempt.outcome, attempt.code) == (State.FAILED, "invalid_input")
    assert "did not come from Notes" in attempt.message
    # Nobody has used it: the vendor still takes it.
    assert promising.redeemed(CLIENTS["body"], code=back["code"], code_verifier=verifier) == ""


def test_an_error_of_somebody_else_is_refused_too(promising, alice, acme, alices_browser):
    back = alices_browser.deny(signing_in.begin(alice, acme))

    attempt = signing_in.finish(alice, acme, {**back, "iss": "https://evil.example"})

    assert "did not come from Notes" in attempt.message


# --- the ways there


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_endpoint_that_sends_elsewhere_is_not_followed(
    status, toolkit_running, offered, alice, acme, alices_browser
):
    toolkit = offered(toolkit_running, token_url=f"{toolkit_running.origin}/moved/{status}/token/")
    address = signing_in.begin(alice, acme)
    verifier = OAuthAttempt.objects.get().kept.reveal()["verifier"]
    back = alices_browser.agree(address)

    attempt = signing_in.finish(alice, acme, back)

    assert (attempt.outcome, attempt.code) == (State.FAILED, "vendor_unavailable")
    assert not Connection.objects.exists()
    assert toolkit.redeemed(CLIENTS["body"], code=back["code"], code_verifier=verifier) == ""


def test_the_operators_detour_is_taken_to_the_vendors_pages_and_to_its_tokens(
    vendor, offered, settings, alice, acme, alices_browser, ada
):
    offered(vendor, origin="https://notes.example")
    settings.UPSTREAMS = {"notes": vendor.origin}

    address = signing_in.begin(alice, acme)
    connection = signing_in.finished(alice, acme, alices_browser.agree(address))

    assert address.startswith(vendor.origin + vendor.authorize + "?")
    assert vendor.person(token_of(connection)) == "alice"
    signing_in.spoil_token(connection)
    assert ada.post("/api/actions/notes.whoami").status_code == 200


def test_an_app_that_was_taken_away_while_alice_agreed_ends_the_sign_in(notes, alice, acme, alices_browser):
    back = alices_browser.agree(signing_in.begin(alice, acme))
    OAuthApp.objects.all().delete()

    assert "does not know this sign-in" in refused(alice, acme, back).message
