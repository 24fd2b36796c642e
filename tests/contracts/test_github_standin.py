"""The GitHub stand-in, held to what PyGithub makes of it, and to GitHub's own description of its answers."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - a browser, a device, and what the client does not ask
import pytest
from github import Auth, BadCredentialsException, Github, GithubException, UnknownObjectException

from tests.contracts.linear_schema import REPOSITORY
from tests.standins.github import DEVICE_GRANT, FINE_GRAINED, TOKEN, GithubStandin

CALLBACK = "https://navi.example/oauth/callback"
DESCRIBED = Path(os.environ.get("NAVI_CONTRACTS", REPOSITORY.parent / "shared/contracts"))


@pytest.fixture(scope="module")
def running() -> Iterator[GithubStandin]:
    with GithubStandin() as standin:
        yield standin


@pytest.fixture
def github(running: GithubStandin) -> GithubStandin:
    running.reset()
    return running


def client(github: GithubStandin, token: str | None = None) -> Github:
    auth = Auth.Token(token) if token else None
    return Github(
        auth=auth, base_url=github.url, retry=None, seconds_between_requests=None, seconds_between_writes=None
    )


@pytest.fixture
def alice(github: GithubStandin) -> Iterator[Github]:
    with client(github, TOKEN) as made:
        yield made


def code_for(github: GithubStandin, scope: str, **more: str) -> str:
    """Alice's browser: to GitHub, and back with a code."""
    asked = {
        "client_id": github.client_id,
        "redirect_uri": CALLBACK,
        "scope": scope,
        "state": "a-state",
        **more,
    }
    back = httpx.get(f"{github.url}/login/oauth/authorize", params=asked).headers["Location"]
    return parse_qs(urlsplit(back).query)["code"][0]


def post(github: GithubStandin, path: str, accept: str = "application/json", **form: str) -> httpx.Response:
    return httpx.post(f"{github.url}{path}", data=form, headers={"Accept": accept})


def as_app(github: GithubStandin, method: str, path: str, token: str) -> httpx.Response:
    return httpx.request(
        method,
        f"{github.url}/applications/{github.client_id}/{path}",
        json={"access_token": token},
        auth=(github.client_id, github.client_secret),
    )


# --- the API


def test_alice_is_who_she_is(alice):
    me = alice.get_user()

    assert (me.login, me.id) == ("alice", 1001)
    assert alice.oauth_scopes == ["read:org", "repo"]


def test_a_fine_grained_token_tells_no_scopes(github):
    with client(github, FINE_GRAINED) as made:
        assert made.get_user().login == "alice"
        assert made.oauth_scopes is None


def test_repositories_come_page_by_page(alice, github):
    alice.per_page = 2

    names = [one.full_name for one in alice.get_user().get_repos()]

    assert names == ["alice/garden", "alice/diary", "acme/door"]
    assert len(github.asked("/user/repos")) == 2


def test_alice_opens_an_issue_and_finds_it_again(alice):
    door = alice.get_repo("acme/door")

    made = door.create_issue("Fix the bell", body="It is silent.", labels=["house"], assignees=["bob"])

    found = door.get_issue(made.number)
    assert (found.title, found.body, found.user.login) == ("Fix the bell", "It is silent.", "alice")
    assert [label.name for label in found.labels] == ["house"]
    assert made.number in [issue.number for issue in door.get_issues(state="open", labels=["house"])]


def test_pull_requests_are_among_the_issues(alice):
    issues = list(alice.get_repo("acme/door").get_issues())

    assert [issue.pull_request is not None for issue in issues] == [False, True, False]


def test_what_is_wrong_is_told(alice, github):
    with pytest.raises(BadCredentialsException):
        client(github, "ghp_" + "0" * 36).get_user().login  # noqa: B018 - it is asked for when it is read
    with pytest.raises(UnknownObjectException):
        alice.get_repo("acme/cellar")
    with pytest.raises(GithubException) as refusal:
        alice.get_repo("acme/door").create_issue("")
    assert (refusal.value.status, refusal.value.message) == (422, "Validation Failed")


def test_private_repositories_want_the_scope_repo(github):
    with client(github, github.grant("public_repo").access) as narrow:
        names = [one.full_name for one in narrow.get_user().get_repos()]

    assert names == ["alice/garden", "acme/door"]


def test_a_request_without_a_user_agent_is_refused(github):
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}) as nameless:
        del nameless.headers["User-Agent"]
        assert nameless.get(f"{github.url}/user").status_code == 403


@pytest.mark.skipif(not DESCRIBED.is_dir(), reason="GitHub's description is not at hand (NAVI_CONTRACTS).")
@pytest.mark.parametrize(
    ("path", "described", "of_list"),
    [("/user", "/user", False), ("/repos/acme/door/issues", "/repos/{owner}/{repo}/issues", True)],
)
def test_every_field_is_one_that_github_describes(github, path, described, of_list):
    answer = httpx.get(f"{github.url}{path}", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    document = json.loads((DESCRIBED / "github-rest-subset.json").read_text())
    told = document["paths"][described]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    known = fields_of(document, told["items"] if of_list else told)

    assert set(answer[0] if of_list else answer) <= known


def fields_of(document: Any, schema: Any) -> set[str]:
    if "$ref" in schema:
        return fields_of(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    parts = [*schema.get("oneOf", []), *schema.get("anyOf", []), *schema.get("allOf", [])]
    return set(schema.get("properties", {})).union(*(fields_of(document, part) for part in parts))


# --- OAuth


def test_pygithub_gets_a_token_for_a_code(github):
    app = client(github).get_oauth_application(github.client_id, github.client_secret)

    token = app.get_access_token(code_for(github, "public_repo read:user"))

    assert (token.type, token.scope) == ("bearer", "public_repo,read:user")
    assert token.expires_in is None
    with client(github, token.token) as made:
        assert made.get_user().login == "alice"


def test_a_code_serves_once_and_the_refusal_comes_with_status_200(github):
    app = client(github).get_oauth_application(github.client_id, github.client_secret)
    code = code_for(github, "public_repo")
    app.get_access_token(code)

    with pytest.raises(BadCredentialsException) as refusal:
        app.get_access_token(code)

    assert (refusal.value.status, refusal.value.data["error"]) == (200, "bad_verification_code")


def test_a_verifier_has_to_fit(github):
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    app = client(github).get_oauth_application(github.client_id, github.client_secret)
    question = {"code_challenge": challenge, "code_challenge_method": "S256"}

    assert app.get_access_token(code_for(github, "repo", **question), code_verifier=verifier).token
    with pytest.raises(BadCredentialsException):
        app.get_access_token(code_for(github, "repo", **question), code_verifier="another")


def test_who_does_not_ask_for_json_gets_a_form(github):
    answer = post(
        github, "/login/oauth/access_token", accept="*/*", client_id=github.client_id,
        client_secret=github.client_secret, code=code_for(github, "repo"), redirect_uri=CALLBACK,
    )  # fmt: skip

    assert answer.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert parse_qs(answer.text)["token_type"] == ["bearer"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"client_secret": "another"}, "incorrect_client_credentials"),
        ({"redirect_uri": "https://elsewhere.example/"}, "redirect_uri_mismatch"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_refusals_come_with_status_200(github, wrong, error):
    asked = {
        "client_id": github.client_id,
        "client_secret": github.client_secret,
        "code": code_for(github, "repo"),
        "redirect_uri": CALLBACK,
    }

    answer = post(github, "/login/oauth/access_token", **(asked | wrong))

    assert (answer.status_code, answer.json()["error"]) == (200, error)


def test_an_app_checks_and_ends_a_token(github):
    token, other = github.grant("repo").access, github.grant("repo").access

    assert as_app(github, "POST", "token", token).json()["user"]["login"] == "alice"
    assert as_app(github, "DELETE", "token", token).status_code == 204
    assert as_app(github, "DELETE", "token", token).status_code == 404
    assert as_app(github, "POST", "token", other).status_code == 200


# --- the device flow


@pytest.fixture
def device(github: GithubStandin) -> Any:
    told = post(github, "/login/device/code", client_id=github.client_id, scope="repo").json()
    assert (told["expires_in"], told["interval"]) == (900, 5)
    return told


def poll(github: GithubStandin, device: dict[str, Any]) -> Any:
    return post(
        github, "/login/oauth/access_token",
        client_id=github.client_id, device_code=device["device_code"], grant_type=DEVICE_GRANT,
    ).json()  # fmt: skip


def test_a_device_waits_until_the_person_agrees(github, device):
    assert poll(github, device)["error"] == "authorization_pending"

    github.decide(device["user_code"])
    github.wind(5)

    assert poll(github, device)["scope"] == "repo"
    github.wind(5)
    assert poll(github, device)["error"] == "incorrect_device_code"


def test_a_device_that_asks_too_often_has_to_slow_down(github, device):
    poll(github, device)

    assert poll(github, device)["error"] == "slow_down"
    github.wind(6)
    assert poll(github, device)["error"] == "slow_down"
    github.wind(30)
    assert poll(github, device)["error"] == "authorization_pending"


def test_a_person_may_say_no(github, device):
    github.decide(device["user_code"], "deny")

    assert poll(github, device)["error"] == "access_denied"


def test_a_device_code_ends(github, device):
    github.wind(901)

    assert poll(github, device)["error"] == "expired_token"
