"""What is odd about Linear."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from integrations.plugins.linear import documents
from integrations.plugins.linear.facts import full_again_at, version_4
from integrations.plugins.linear.plugin import SIGN_IN, plugin
from integrations.sdk import Client, Headers, Identity, MissingScopes, Reconnect, Refused, Response, TryLater
from integrations.sdk.testing import HEALTH, REQUEST_KEY, exchanges_in, replay, replayed
from tests.contracts import linear_schema
from tests.plugins.clients import client_at, signed_in
from tests.standins.linear import API_KEY, LinearStandin, id_for

DOCUMENTS = {
    name: text
    for name, text in vars(documents).items()
    if name.isupper() and isinstance(text, str) and text.strip().startswith(("query", "mutation"))
}


@pytest.fixture(scope="module")
def running() -> Iterator[LinearStandin]:
    with LinearStandin() as standin:
        yield standin


@pytest.fixture
def linear(running: LinearStandin) -> LinearStandin:
    running.reset()
    return running


@pytest.fixture
def alice(linear: LinearStandin) -> Client:
    return client_at(plugin, linear, API_KEY)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


# --- what is asked


@pytest.mark.skipif(not linear_schema.is_at_hand(), reason=linear_schema.ABSENT)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_linear_would_understand(name: str):
    assert linear_schema.validate_query(DOCUMENTS[name]) == []


@pytest.mark.skipif(not linear_schema.is_at_hand(), reason=linear_schema.ABSENT)
@pytest.mark.parametrize("name", [HEALTH, *plugin.actions])
def test_linear_would_take_what_goes_along(name: str):
    sent = replayed(plugin, name, exchanges_in(plugin, name), {}).sent

    assert [wrong for request in sent for wrong in linear_schema.validate_request(request.json)] == []


def test_the_key_goes_out_bare(alice: Client, linear: LinearStandin):
    assert plugin.health_function
    plugin.health_function(alice)

    assert linear.requests[-1].headers["Authorization"] == API_KEY


def test_health_tells_person_and_workspace():
    assert replay(plugin, "health") == Identity(
        label="alice@example.org",
        account_id="9d3f6c1e-8f3b-4d54-a7a8-1c2d3e4f5a6b",
        workspace="Navi Test",
    )


def test_the_viewer_is_the_keys_owner():
    assert replay(plugin, "viewer")["url"] == "https://linear.app/navi-test"


# --- reading


def test_teams_come_with_their_states():
    page = replay(plugin, "list_teams")

    assert page["teams"][0]["key"] == "ENG"
    assert {"name": "In Progress", "type": "started"} in page["teams"][0]["states"]
    assert page["next_cursor"]


def test_the_cursor_leads_through_all_teams(alice: Client):
    first = run(alice, "list_teams", first=1)
    second = run(alice, "list_teams", first=1, after=first["next_cursor"])

    assert {team["key"] for page in (first, second) for team in page["teams"]} == {"ENG", "OPS"}
    assert second["next_cursor"] is None


def test_teams_can_be_chosen_from(alice: Client):
    labels = {choice.label for choice in plugin.discoveries["teams"](alice)}

    assert labels == {"Engineering (ENG)", "Operations (OPS)"}


def test_what_teams_are_made_of_is_listed(alice: Client):
    assert [one["name"] for one in run(alice, "list_projects", team="eng")["projects"]] == ["Doors"]
    assert {one["team"] for one in run(alice, "list_states", team="OPS")["states"]} == {"OPS"}
    assert {one["name"] for one in run(alice, "list_labels", team="OPS")["labels"]} == {"Bug", "Feature"}
    assert {one["email"] for one in run(alice, "list_users")["users"]} >= {
        "alice@example.org",
        "bob@example.org",
    }


@pytest.mark.parametrize(
    ("resource", "label"),
    [
        ("projects", "Doors"),
        ("states", "In Progress (ENG)"),
        ("labels", "Bug"),
        ("users", "Bob (bob@example.org)"),
    ],
)
def test_each_can_be_chosen_from(alice: Client, resource: str, label: str):
    assert label in {choice.label for choice in plugin.discoveries[resource](alice)}


def test_comments_are_listed_page_by_page(alice: Client):
    for words in ("one", "two", "three"):
        linear_comment(alice, words)

    first = run(alice, "list_comments", issue="ENG-1", first=2)
    rest = run(alice, "list_comments", issue="ENG-1", first=2, after=first["next_cursor"])

    assert [one["body"] for page in (first, rest) for one in page["comments"]] == ["three", "two", "one"]
    assert rest["next_cursor"] is None


def linear_comment(client: Client, words: str) -> None:
    its = plugin.actions["comment"]
    its.run(client, its.validate({"issue": "ENG-1", "body": words}), request_key=str(uuid4()))


def test_a_search_in_a_team_filters_by_it():
    # searchIssues' own teamId would only rank that team's issues higher.
    assert [issue["identifier"] for issue in replay(plugin, "search_issues")["issues"]] == ["ENG-12"]


def test_issues_are_found_by_words(alice: Client):
    titles = [issue["title"] for issue in run(alice, "search_issues", term="door", team="eng")["issues"]]

    assert sorted(titles) == ["Paint the door", "The door does not close"]


def test_an_issue_nobody_works_on_has_no_assignee():
    hers, nobodys = replay(plugin, "list_issues")["issues"]

    assert (hers["assignee"], hers["priority"], hers["labels"]) == ("alice@example.org", 1, ["Bug"])
    assert (nobodys["assignee"], nobodys["due_date"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, 4),
        ({"team_key": "eng"}, 3),
        ({"team_key": "OPS"}, 1),
        ({"assignee": "me"}, 1),
        ({"assignee": "Bob@example.org"}, 0),
        ({"state": "in progress"}, 1),
        ({"state_type": "started", "team_key": "OPS", "assignee": "me"}, 1),
        ({"state_type": "backlog"}, 3),
    ],
)
def test_issues_are_narrowed_down(alice: Client, arguments: dict[str, Any], found: int):
    run(alice, "create_issue", team="OPS", title="Fix the bell", assignee="me", state="In Progress")

    assert len(run(alice, "list_issues", **arguments)["issues"]) == found


def test_comments_are_read_oldest_first():
    issue = replay(plugin, "get_issue")

    assert [comment["author"] for comment in issue["comments"]] == [None, "Alice"]
    assert (issue["description"], issue["parent"]) == ("It sticks.", "ENG-2")


def test_an_issue_is_read_by_identifier_and_by_id(alice: Client):
    by_identifier = run(alice, "get_issue", issue="ENG-1")

    assert run(alice, "get_issue", issue=by_identifier["id"]) == by_identifier


# --- writing


def test_names_become_ids(alice: Client, linear: LinearStandin):
    made = run(
        alice, "create_issue", team="ops", title="Fix the bell", description="It is silent.", priority=2,
        assignee="bob@example.org", state="todo", labels=["Bug", id_for("label Feature")],
        due_date="2026-12-01", parent="ENG-1",
    )  # fmt: skip

    issue = linear.workspace.issues[-1]
    assert (made["identifier"], made["assignee"], made["state"]) == ("OPS-1", "bob@example.org", "Todo")
    assert (issue.description, issue.due_date, issue.priority) == ("It is silent.", "2026-12-01", 2)
    assert [label.name for label in issue.labels] == ["Bug", "Feature"]
    assert issue.parent
    assert issue.parent.identifier == "ENG-1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("team", "NOPE"),
        ("state", "Nowhere"),
        ("assignee", "eve@example.org"),
        ("labels", ["Bug", "Nonsense"]),
    ],
)
def test_a_name_nobody_knows_is_refused_before_anything_is_made(
    alice: Client, linear: LinearStandin, field: str, value: Any
):
    with pytest.raises(Refused) as refusal:
        run(alice, "create_issue", **{"team": "ENG", "title": "Fix the bell", field: value})

    assert refusal.value.field == field
    assert len(linear.workspace.issues) == 3


def test_a_team_nobody_knows_is_named():
    with pytest.raises(Refused, match="“NOPE”"):
        replay(plugin, "create_issue", "no_such_team")


def test_an_issue_is_created_with_an_id_of_ours():
    assert replay(plugin, "create_issue")["id"] == REQUEST_KEY


def test_the_same_call_again_gives_the_same_issue():
    assert replay(plugin, "create_issue", "issue_was_created_by_an_earlier_try")["identifier"] == "ENG-12"


def test_two_tries_make_one_issue(alice: Client, linear: LinearStandin):
    first = run(alice, "create_issue", team="ENG", title="Fix the bell")
    second = run(alice, "create_issue", team="ENG", title="Fix the bell")

    assert first == second
    assert len(linear.workspace.issues) == 4


def test_an_answer_lost_on_the_way_does_not_make_two_issues(alice: Client, linear: LinearStandin):
    linear.fail_next(502, "Bad gateway", times=2)

    run(alice, "create_issue", team=id_for("ENG"), title="Fix the bell")

    assert len(linear.requests) == 3
    assert len(linear.workspace.issues) == 4


def test_only_what_carries_an_id_of_ours_may_be_repeated_after_a_crash():
    assert {name for name, action in plugin.actions.items() if action.idempotent} == {
        "create_issue",
        "comment",
    }


def test_an_issue_is_moved_on_and_given_away(alice: Client, linear: LinearStandin):
    run(
        alice,
        "create_issue",
        team="ENG",
        title="Fix the bell",
        assignee="me",
        labels=["Bug"],
        project="doors",
    )

    changed = run(
        alice, "update_issue", issue="ENG-4", state="done", assignee="bob@example.org", priority=1,
        add_labels=["Feature"], remove_labels=["Bug"], due_date="2026-12-01", estimate=3,
    )  # fmt: skip

    assert (changed["state"], changed["assignee"], changed["labels"]) == (
        "Done",
        "bob@example.org",
        ["Feature"],
    )
    assert (changed["title"], changed["project"], changed["priority"]) == ("Fix the bell", "Doors", 1)
    assert linear.workspace.issues[-1].estimate == 3


def test_what_is_cleared_is_empty_and_the_rest_stays(alice: Client):
    run(alice, "create_issue", team="ENG", title="Fix the bell", assignee="me", due_date="2026-12-01")

    changed = run(alice, "update_issue", issue="ENG-4", clear=["assignee", "due_date"])

    assert (changed["assignee"], changed["due_date"], changed["title"]) == (None, None, "Fix the bell")


def test_changing_nothing_is_refused(alice: Client):
    with pytest.raises(Refused, match="what to change"):
        run(alice, "update_issue", issue="ENG-1")


def test_to_give_and_to_clear_at_once_is_refused(alice: Client):
    with pytest.raises(Refused, match="not both") as refusal:
        run(alice, "update_issue", issue="ENG-1", assignee="me", clear=["assignee"])

    assert refusal.value.field == "assignee"


@pytest.mark.parametrize(("field", "value"), [("add_labels", ["Nonsense"]), ("project", "Nowhere")])
def test_a_new_name_nobody_knows_changes_nothing(alice: Client, field: str, value: Any):
    before = run(alice, "get_issue", issue="ENG-1")

    with pytest.raises(Refused) as refusal:
        run(alice, "update_issue", issue="ENG-1", title="Other", **{field: value})

    assert refusal.value.field == field
    assert run(alice, "get_issue", issue="ENG-1") == before


def test_the_same_comment_again_gives_the_same_comment():
    assert replay(plugin, "comment")["id"] == REQUEST_KEY
    assert replay(plugin, "comment", "comment_was_made_by_an_earlier_try")["id"] == REQUEST_KEY


def test_two_tries_make_one_comment(alice: Client):
    first = run(alice, "comment", issue="ENG-1", body="The hinge is bent.")
    answer = run(alice, "comment", issue="ENG-1", body="The hinge is bent.")

    assert first == answer
    assert run(alice, "get_issue", issue="ENG-1")["comments"] == [first]


def test_ids_of_ours_are_version_4_and_stay_the_same():
    # An idempotency key becomes a UUID of version 5.
    key = "886313e1-3b8a-5372-9b90-0c9aee199e5d"

    assert UUID(version_4(key)).version == 4
    assert version_4(key) == version_4(key) != version_4(REQUEST_KEY)


# --- what goes wrong


def test_a_revoked_key_needs_a_person():
    with pytest.raises(Reconnect) as trouble:
        replay(plugin, "health", "key_revoked")

    assert trouble.value.status == 401


def test_a_limit_comes_as_status_400():
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_teams", "too_many_calls")

    assert (trouble.value.status, trouble.value.code) == (400, "rate_limited")


def test_resets_are_told_in_milliseconds(alice: Client, linear: LinearStandin):
    linear.rate_limit_next(reset_in=600)

    with pytest.raises(TryLater) as trouble:
        run(alice, "list_teams")

    assert trouble.value.retry_at
    left = trouble.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=601)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "20"}, 20),
        ({"Retry-After": "99999999999999"}, 3600),
        ({}, 60),
        ({"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": "soon"}, 60),
        ({"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": "9" * 30}, 3600),
        ({"X-RateLimit-Requests-Remaining": "0", "X-RateLimit-Requests-Reset": "1000"}, 0),
        # Of two budgets only the empty one counts.
        (
            {
                "X-RateLimit-Requests-Remaining": "7",
                "X-RateLimit-Requests-Reset": "in 3000 s",
                "X-RateLimit-Endpoint-Requests-Remaining": "0",
                "X-RateLimit-Endpoint-Requests-Reset": "in 30 s",
            },
            30,
        ),
    ],
)
def test_the_wait_is_what_linear_says_within_reason(headers: dict[str, str], seconds: int):
    now = datetime.now(UTC)
    sent = {name: moment(text, now) for name, text in headers.items()}

    wait = full_again_at(Response(400, Headers(sent)), now) - now

    assert abs(wait.total_seconds() - seconds) < 20


def moment(text: str, now: datetime) -> str:
    """`in 30 s` as Linear writes a moment: milliseconds since 1970."""
    if not text.startswith("in "):
        return text
    return str(int(now.timestamp() + int(text.split()[1])) * 1000)


def test_a_key_that_may_only_read_is_told_what_it_lacks():
    with pytest.raises(MissingScopes) as trouble:
        replay(plugin, "create_issue", "key_may_only_read")

    assert trouble.value.scopes == ("issues:create",)


def test_what_is_forbidden_for_another_reason_is_refused(alice: Client, linear: LinearStandin):
    error = {"message": "Access denied", "extensions": {"type": "forbidden", "code": "FORBIDDEN"}}
    linear.fail_next(403, {"errors": [error]})

    with pytest.raises(Refused, match="Access denied"):
        run(alice, "list_teams")


def test_linears_words_for_people_are_passed_on():
    # This comes with status 200.
    with pytest.raises(Refused, match="Could not find referenced Issue"):
        replay(plugin, "get_issue", "unknown_issue")


def test_trouble_inside_linear_passes(alice: Client, linear: LinearStandin):
    error = {"message": "lock timeout", "extensions": {"type": "lock timeout", "statusCode": 500}}
    linear.fail_next(200, {"errors": [error], "data": None})

    with pytest.raises(TryLater):
        run(alice, "list_teams")


@pytest.mark.parametrize("body", [[], {}, {"data": None}, "<html>"])
def test_an_answer_without_data_is_tried_later(alice: Client, linear: LinearStandin, body: object):
    linear.fail_next(200, body)

    with pytest.raises(TryLater, match="cannot read"):
        run(alice, "list_teams")


def test_a_key_in_linears_words_is_hidden(alice: Client, linear: LinearStandin):
    linear.fail_next(200, {"errors": [{"message": f"The key {API_KEY} is odd"}]})

    with pytest.raises(Refused) as refusal:
        run(alice, "list_teams")

    assert API_KEY not in refusal.value.message


# --- signing in


def test_a_sign_in_goes_out_as_bearer(linear: LinearStandin):
    client = signed_in(plugin, linear, "oauth", access_token=linear.grant("read", person="bob").access)

    assert plugin.health_function
    assert plugin.health_function(client).label == "bob@example.org"
    assert linear.requests[-1].headers["Authorization"].startswith("Bearer lin_oauth_")


def test_a_sign_in_that_ended_needs_a_person(linear: LinearStandin):
    client = signed_in(plugin, linear, "oauth", access_token=linear.grant("read").access)
    linear.kill()

    with pytest.raises(Reconnect):
        run(client, "list_teams")


def test_a_sign_in_without_the_scope_is_told_so(linear: LinearStandin):
    client = signed_in(plugin, linear, "oauth", access_token=linear.grant("read").access)

    with pytest.raises(MissingScopes) as trouble:
        run(client, "create_issue", team=id_for("ENG"), title="Fix the bell")

    assert trouble.value.scopes == ("issues:create",)


def test_write_includes_creating():
    assert SIGN_IN.covered(["write"]) >= {"read", "issues:create", "comments:create"}
    assert set(plugin.all_scopes) == set(SIGN_IN.scopes)


# --- the form


@pytest.mark.parametrize("key", [API_KEY, "lin_api_short", "AbCdEfGhIjKlMnOpQrStUvWx"])
def test_keys_may_look_like_this(key: str):
    assert api_key().complaint(key) is None


@pytest.mark.parametrize(
    "key",
    ["0123456789abcdef" * 2 + "01234567", "lin_oauth_0123456789abcdef", "ntn_0123456789abcdefghij", "x"],
)
def test_what_belongs_elsewhere_is_caught(key: str):
    assert "lin_api_" in (api_key().complaint(key) or "")


def api_key():
    assert plugin.own_provider
    return plugin.own_provider.auth[0].fields[0]
