"""Tokens at the stand-ins: what is true of all, and how Linear and Todoist treat a refresh token shown twice."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - a browser, and a client that nobody here wrote
import pytest

from tests.standins.grants import OAuthStandin
from tests.standins.linear import LinearStandin
from tests.standins.todoist import TodoistStandin

CALLBACK = "https://navi.example/oauth/callback"


@pytest.fixture(scope="module")
def linears() -> Iterator[LinearStandin]:
    with LinearStandin() as standin:
        yield standin


@pytest.fixture
def linear(linears: LinearStandin) -> LinearStandin:
    linears.reset()
    return linears


@pytest.fixture(scope="module")
def todoists() -> Iterator[TodoistStandin]:
    with TodoistStandin() as standin:
        yield standin


@pytest.fixture
def todoist(todoists: TodoistStandin) -> TodoistStandin:
    todoists.reset()
    return todoists


def led_back(standin: OAuthStandin, scope: str, **more: str) -> dict[str, str]:
    """What the browser brings back."""
    asked = {
        "client_id": standin.client_id,
        "redirect_uri": CALLBACK,
        "scope": scope,
        "state": "a-state",
        **more,
    }
    back = httpx.get(f"{standin.url}{standin.authorize_path}", params=asked).headers["Location"]
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


def ask(standin: OAuthStandin, **form: str) -> httpx.Response:
    app = {"client_id": standin.client_id, "client_secret": standin.client_secret}
    return httpx.post(f"{standin.url}{standin.token_path}", data={**app, **form})


def signed_in(standin: OAuthStandin, scope: str) -> Any:
    code = led_back(standin, scope)["code"]
    return ask(standin, grant_type="authorization_code", code=code, redirect_uri=CALLBACK).json()


def refresh(standin: OAuthStandin, token: str) -> httpx.Response:
    return ask(standin, grant_type="refresh_token", refresh_token=token)


def linears_viewer(linear: LinearStandin, token: str) -> httpx.Response:
    asked = {"query": "{ viewer { email } }"}
    return httpx.post(f"{linear.url}/graphql", json=asked, headers={"Authorization": f"Bearer {token}"})


def todoists_user(todoist: TodoistStandin, token: str) -> httpx.Response:
    return httpx.get(f"{todoist.url}/api/v1/user", headers={"Authorization": f"Bearer {token}"})


# --- Linear


def test_linear_grants_read_to_everybody_and_says_spaces(linear):
    told = signed_in(linear, "issues:create,comments:create")

    assert told["scope"] == "read issues:create comments:create"
    assert told["expires_in"] == 86399
    assert (
        linears_viewer(linear, told["access_token"]).json()["data"]["viewer"]["email"] == "alice@example.org"
    )


def test_linear_sees_whose_token_it_is(linear):
    linear.sign_in("bob")

    told = signed_in(linear, "read")

    assert linears_viewer(linear, told["access_token"]).json()["data"]["viewer"]["email"] == "bob@example.org"


def test_linear_answers_the_same_refresh_the_same_for_half_an_hour(linear):
    old = signed_in(linear, "read")["refresh_token"]
    new = refresh(linear, old).json()

    linear.wind(1790)
    assert refresh(linear, old).json() == new

    linear.wind(20)
    refusal = refresh(linear, old)
    assert (refusal.status_code, refusal.json()["error"]) == (400, "invalid_grant")
    assert refresh(linear, new["refresh_token"]).status_code == 200


def test_linear_needs_no_secret_where_a_verifier_fits(linear):
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    code = led_back(linear, "read", code_challenge=challenge, code_challenge_method="S256")["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}

    answer = httpx.post(f"{linear.url}/oauth/token", data={"client_id": linear.client_id, **form})

    assert answer.json()["token_type"] == "Bearer"


def test_linear_reads_forms_only(linear):
    answer = httpx.post(f"{linear.url}/oauth/token", json={"grant_type": "refresh_token"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_linear_says_when_a_token_was_revoked_before(linear):
    token = signed_in(linear, "read")["access_token"]
    form = {"token": token}

    assert httpx.post(f"{linear.url}/oauth/revoke", data=form).status_code == 200
    assert httpx.post(f"{linear.url}/oauth/revoke", data=form).status_code == 400
    assert linears_viewer(linear, token).status_code == 401


# --- Todoist


def test_todoist_says_commas_both_ways(todoist):
    told = signed_in(todoist, "data:read_write,data:delete")

    assert told["scope"] == "data:read_write,data:delete"
    assert todoists_user(todoist, told["access_token"]).json()["email"] == "alice@example.org"


def test_todoist_gives_the_same_access_token_without_a_refresh_token_for_a_minute(todoist):
    old = signed_in(todoist, "data:read_write")["refresh_token"]
    new = refresh(todoist, old).json()

    todoist.wind(50)
    again = refresh(todoist, old).json()

    assert again["access_token"] == new["access_token"]
    assert "refresh_token" not in again


def test_todoist_ends_everything_when_a_used_token_comes_late(todoist):
    told = signed_in(todoist, "data:read_write")
    bobs = todoist.grant("data:read_write", person="bob")
    new = refresh(todoist, told["refresh_token"]).json()

    todoist.wind(61)

    assert refresh(todoist, told["refresh_token"]).json() == {"error": "invalid_grant"}
    assert refresh(todoist, new["refresh_token"]).json() == {"error": "invalid_grant"}
    assert todoists_user(todoist, new["access_token"]).status_code == 401
    assert todoists_user(todoist, bobs.access).json()["email"] == "bob@example.org"


def test_an_old_app_of_todoists_gets_ten_years_and_no_refresh_token(todoist):
    todoist.turn_on("is_legacy")

    told = signed_in(todoist, "data:read_write")

    assert told.keys() == {"access_token", "token_type", "expires_in"}
    assert told["expires_in"] == 315360000


def test_todoist_revokes_for_who_shows_the_app(todoist):
    told = signed_in(todoist, "data:read_write")
    asked = {"token": told["refresh_token"], "token_type_hint": "refresh_token"}

    stranger = httpx.post(f"{todoist.url}/api/v1/revoke", data=asked, auth=("another", "app"))
    own = httpx.post(
        f"{todoist.url}/api/v1/revoke", data=asked, auth=(todoist.client_id, todoist.client_secret)
    )

    assert (stranger.status_code, own.status_code) == (401, 200)
    assert todoists_user(todoist, told["access_token"]).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"code": "wrong"}, "bad_authorization_code"),
        ({"client_secret": "wrong"}, "incorrect_application_credentials"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_todoist_has_words_of_its_own(todoist, wrong, error):
    asked = {"code": led_back(todoist, "data:read")["code"], "redirect_uri": CALLBACK}

    assert ask(todoist, **(asked | wrong)).json() == {"error": error}


# --- all of them


@pytest.mark.parametrize("vendor", ["linear", "todoist"])
class TestStrings:
    @pytest.fixture
    def standin(self, vendor, request) -> Any:
        return request.getfixturevalue(vendor)

    def test_a_person_may_say_no(self, standin):
        standin.deny_next()

        assert led_back(standin, "read") == {"error": "access_denied", "state": "a-state"}
        assert "code" in led_back(standin, "read")

    def test_a_person_may_untick(self, standin):
        standin.agree_only_to(["data:read", "read"])

        told = signed_in(
            standin, "read,issues:create" if isinstance(standin, LinearStandin) else "data:read,task:add"
        )

        assert told["scope"] in {"read", "data:read"}

    def test_a_code_serves_once_and_for_ten_minutes(self, standin):
        used, old = led_back(standin, "read")["code"], led_back(standin, "read")["code"]

        assert ask(standin, code=used, redirect_uri=CALLBACK).status_code == 200
        assert ask(standin, code=used, redirect_uri=CALLBACK).status_code == 400
        standin.wind(601)
        assert ask(standin, code=old, redirect_uri=CALLBACK).status_code == 400

    def test_access_tokens_end_and_refresh_tokens_live_on(self, standin):
        pair = standin.grant("read")

        standin.expire()

        assert standin.scopes_of(pair.access) is None
        assert refresh(standin, pair.refresh).status_code == 200

    def test_a_killed_grant_is_over(self, standin):
        pair, bobs = standin.grant("read"), standin.grant("read", person="bob")

        standin.kill("alice")

        assert standin.scopes_of(pair.access) is None
        assert standin.scopes_of(bobs.access) is not None
        assert refresh(standin, pair.refresh).status_code == 400

    def test_a_lost_answer_was_a_done_deed(self, standin):
        pair = standin.grant("read")
        standin.lose_next(standin.token_path)

        assert refresh(standin, pair.refresh).status_code == 502
        assert pair.successor is not None

    def test_a_broken_endpoint_does_nothing(self, standin):
        pair = standin.grant("read")
        standin.break_next(standin.token_path, 503, b"<html>Down</html>", Retry_After="5")

        answer = refresh(standin, pair.refresh)

        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert pair.successor is None
        assert len(standin.asked(standin.token_path)) == 1

    def test_a_held_answer_is_a_done_deed(self, standin):
        pair = standin.grant("read")
        standin.hold(standin.token_path, 60)

        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{standin.url}{standin.token_path}",
                data={
                    "client_id": standin.client_id,
                    "client_secret": standin.client_secret,
                    "grant_type": "refresh_token",
                    "refresh_token": pair.refresh,
                },
                timeout=0.3,
            )

        end = time.monotonic() + 50  # before the answer leaves
        while pair.successor is None and time.monotonic() < end:
            time.sleep(0.01)
        assert pair.successor is not None

    def test_strings_are_pulled_from_another_process(self, standin):
        pair = standin.grant("read")

        httpx.post(f"{standin.url}/_standin/wind", json={"seconds": 90000})

        assert standin.scopes_of(pair.access) is None

    def test_reset_forgets_it_all(self, standin):
        pair = standin.grant("read")
        standin.turn_on("lifetime", 5)
        standin.wind(1000)

        standin.reset()

        assert standin.scopes_of(pair.access) is None
        assert standin.lifetime == type(standin).lifetime
