"""What is odd about GitHub."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.plugins.github import facts as room
from integrations.plugins.github.facts import SIGN_IN
from integrations.plugins.github.plugin import plugin
from integrations.sdk import (
    Client,
    Headers,
    Identity,
    InvalidArguments,
    MissingScopes,
    Reconnect,
    Refused,
    Response,
    TryLater,
)
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import signed_in
from tests.standins.github import FINE_GRAINED, TOKEN, GithubStandin


@pytest.fixture(scope="module")
def running() -> Iterator[GithubStandin]:
    with GithubStandin() as standin:
        yield standin


@pytest.fixture
def github(running: GithubStandin) -> GithubStandin:
    running.reset()
    return running


@pytest.fixture
def alice(github: GithubStandin) -> Client:
    return signed_in(plugin, github, "api_key", token=TOKEN)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def whoami(client: Client) -> Identity:
    assert plugin.health_function
    return plugin.health_function(client)


# --- who


def test_the_command_line_comes_first_then_a_token_then_oauth():
    assert plugin.own_provider
    told = plugin.own_provider.manifest()

    assert told["authTypes"] == ["cli", "api_key", "oauth"]
    assert told["cli"] == {"command": "gh", "authCommand": "gh auth login", "checkCommand": "gh auth status"}
    assert [field["key"] for field in told["credentials"]] == ["token"]


def test_health_tells_the_login_and_a_classic_tokens_scopes():
    assert replay(plugin, "health") == Identity(label="alice", account_id="1001", scopes=("read:org", "repo"))


def test_nobody_can_tell_the_scopes_of_a_fine_grained_token(github: GithubStandin):
    assert replay(plugin, "health", "health_of_a_fine_grained_token").scopes is None
    assert whoami(signed_in(plugin, github, "api_key", token=FINE_GRAINED)).scopes is None


def test_a_sign_in_is_whose_it_is(github: GithubStandin):
    pair = github.grant("public_repo", person="bob")

    found = whoami(signed_in(plugin, github, "oauth", access_token=pair.access))

    assert (found.label, found.account_id, found.scopes) == ("bob", "1002", ("public_repo",))


# --- repositories and issues


def test_the_next_page_is_read_out_of_the_link_header():
    page = replay(plugin, "list_repositories")

    assert [one["repository"] for one in page["repositories"]] == ["acme/door", "alice/diary"]
    assert page["next_cursor"] == "2"


def test_the_cursor_leads_through_all_repositories(alice: Client):
    first = run(alice, "list_repositories", limit=2)
    second = run(alice, "list_repositories", limit=2, cursor=first["next_cursor"])

    names = [one["repository"] for page in (first, second) for one in page["repositories"]]
    assert names == ["alice/garden", "alice/diary", "acme/door"]
    assert second["next_cursor"] is None


def test_repositories_can_be_chosen_from(alice: Client):
    labels = [choice.label for choice in plugin.discoveries["repositories"](alice)]

    assert labels == ["alice/garden", "alice/diary", "acme/door"]


def test_pull_requests_are_no_issues_and_a_lost_author_is_none():
    found = replay(plugin, "list_issues")["issues"]

    assert [(issue["title"], issue["author"]) for issue in found] == [
        ("Oil the hinges", None),
        ("The door does not close", "alice"),
    ]


def test_an_issue_is_opened_with_its_labels():
    assert replay(plugin, "create_issue")["labels"] == ["house"]


def test_an_opened_issue_is_listed(alice: Client):
    made = run(alice, "create_issue", repository="acme/door", title="Fix the bell", assignees=["bob"])

    found = run(alice, "list_issues", repository="acme/door", assignee="bob")["issues"]
    assert [issue["number"] for issue in found] == [made["number"]]


def test_an_issue_that_may_have_been_opened_is_not_opened_again(alice: Client, github: GithubStandin):
    github.lose_next("/repos/acme/door/issues")

    with pytest.raises(TryLater) as trouble:
        run(alice, "create_issue", repository="acme/door", title="Fix the bell")

    assert trouble.value.sent
    assert len(github.issues["acme/door"]) == 4


@pytest.mark.parametrize("name", ["door", "acme/..", "acme/.", "acme/door/pulls", "../user", "acme/door?x=1"])
def test_a_name_cannot_lead_to_another_address(name: str):
    with pytest.raises(InvalidArguments) as refusal:
        plugin.actions["list_issues"].validate({"repository": name})

    assert refusal.value.field == "repository"


@pytest.mark.parametrize("name", ["acme/door", "acme/.github", "a/b.c_d-e"])
def test_names_may_look_like_this(name: str):
    assert plugin.actions["list_issues"].validate({"repository": name})["repository"] == name


# --- what goes wrong


def test_a_revoked_token_needs_a_person():
    with pytest.raises(Reconnect) as trouble:
        replay(plugin, "health", "token_revoked")

    assert trouble.value.status == 401


@pytest.mark.parametrize("payload", ["hour_is_used_up", "secondary_limit"])
def test_a_limit_comes_as_403_and_is_no_refusal(payload: str):
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_repositories", payload)

    assert trouble.value.code == "rate_limited"


@pytest.mark.parametrize("status", [403, 429])
def test_the_hours_limit_ends_when_github_says(alice: Client, github: GithubStandin, status: int):
    github.rate_limit_next(reset_in=600, status=status)

    with pytest.raises(TryLater) as trouble:
        run(alice, "list_repositories")

    assert trouble.value.retry_at
    left = trouble.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=601)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (403, {"Retry-After": "20"}, 20),
        (403, {"Retry-After": "9" * 30}, 3600),
        (429, {}, 60),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 30}, 3600),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000"}, 0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, 60),
    ],
)
def test_the_wait_is_what_github_says_within_reason(status: int, headers: dict[str, str], seconds: int):
    now = datetime.now(UTC)

    moment = room.free_again_at(Response(status, Headers(headers)), "API rate limit exceeded", now)

    assert moment
    assert abs((moment - now).total_seconds() - seconds) < 2


def test_a_scope_that_is_missing_is_the_least_that_would_do():
    with pytest.raises(MissingScopes) as trouble:
        replay(plugin, "create_issue", "scope_is_missing")

    assert trouble.value.scopes == ("public_repo",)


def test_a_sign_in_without_the_scope_is_told_so(github: GithubStandin):
    client = signed_in(plugin, github, "oauth", access_token=github.grant("read:user").access)

    with pytest.raises(MissingScopes):
        run(client, "create_issue", repository="acme/door", title="Fix the bell")


def test_a_fine_grained_token_is_told_the_permission_in_words():
    with pytest.raises(Refused, match="issues=write"):
        replay(plugin, "create_issue", "permission_is_missing")


def test_single_sign_on_comes_with_the_address_to_open():
    with pytest.raises(Refused, match=r"https://github\.com/orgs/acme/sso\?authorization_request="):
        replay(plugin, "create_issue", "organisation_wants_single_sign_on")


def test_what_is_wrong_with_an_argument_is_told():
    with pytest.raises(Refused, match="title is too long") as refusal:
        replay(plugin, "create_issue", "title_is_wrong")

    assert (refusal.value.status, refusal.value.field) == (422, "title")


def test_what_is_not_seen_may_be_private():
    with pytest.raises(Refused, match="may not see it"):
        replay(plugin, "list_issues", "repository_is_not_seen")


# --- signing in


def test_the_least_is_asked_for_and_the_rest_only_ticked():
    assert set(plugin.scopes) == {"public_repo"}
    assert set(plugin.all_scopes) == set(SIGN_IN.scopes)


def test_repo_includes_public_repo():
    assert "public_repo" in SIGN_IN.covered(["repo"])


@pytest.mark.parametrize("token", [TOKEN, FINE_GRAINED, "gho_" + "a" * 36])
def test_tokens_may_look_like_this(token: str):
    assert token_field().complaint(token) is None


@pytest.mark.parametrize("token", ["0123456789abcdef" * 2, "glpat-0123456789abcdefghij", "ghr_" + "a" * 36])
def test_what_belongs_elsewhere_is_caught(token: str):
    assert "github_pat_" in (token_field().complaint(token) or "")


def token_field():
    assert plugin.own_provider
    return plugin.own_provider.auth_of("api_key").fields[0]
