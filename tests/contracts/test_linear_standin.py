"""The Linear stand-in, held to Linear's published schema."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from tests.contracts import linear_schema
from tests.contracts.linear_schema import validate_query
from tests.standins import linear as standins
from tests.standins.linear import API_KEY, OAUTH_TOKEN, LinearStandin, id_for
from tests.standins.linear_subset import SUBSET

needs_the_contract = pytest.mark.skipif(not linear_schema.is_at_hand(), reason=linear_schema.ABSENT)

WHO_AM_I = "query { viewer { id name email } organization { id name urlKey } }"
LIST = """
query Issues($filter: IssueFilter, $first: Int, $after: String) {
  issues(filter: $filter, first: $first, after: $after) {
    nodes {
      id identifier title url priorityLabel
      state { name type } team { key } assignee { name } labels { nodes { name } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
SEARCH = """
query Search($term: String!, $teamId: String) {
  searchIssues(term: $term, teamId: $teamId, first: 10) {
    nodes { identifier title }
    totalCount
    pageInfo { hasNextPage }
  }
}
"""
DISCOVER = """
query Discover {
  teams { nodes { id key name states { nodes { id name type } } } }
  workflowStates(first: 100) { nodes { id name type team { key } } }
  issueLabels { nodes { id name } }
  users { nodes { id name email active } }
}
"""
READ = """
query Issue($id: String!) {
  issue(id: $id) { id identifier title description comments { nodes { id body user { name } } } }
}
"""
CREATE = """
mutation Create($input: IssueCreateInput!) {
  issueCreate(input: $input) {
    success lastSyncId
    issue { id identifier url title priority assignee { name } labels { nodes { name } } state { name } }
  }
}
"""
UPDATE = """
mutation Update($id: String!, $input: IssueUpdateInput!) {
  issueUpdate(id: $id, input: $input) { success issue { identifier state { name } } }
}
"""
COMMENT = """
mutation Comment($input: CommentCreateInput!) {
  commentCreate(input: $input) { success comment { id url body } }
}
"""
ENG, OPS = id_for("ENG"), id_for("OPS")


@pytest.fixture(scope="module")
def running() -> Iterator[LinearStandin]:
    with LinearStandin() as standin:
        yield standin


@pytest.fixture
def linear(running: LinearStandin) -> LinearStandin:
    running.reset()
    return running


class Asking:
    """Ask the stand-in with one credential."""

    def __init__(self, client: httpx2.Client, authorization: str) -> None:
        self.client, self.authorization = client, authorization

    def __call__(self, query: str, **variables: object) -> httpx2.Response:
        body = {"query": query, "variables": variables}
        return self.client.post("/graphql", json=body, headers={"Authorization": self.authorization})


@pytest.fixture
def client(linear: LinearStandin) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=linear.url) as client:
        yield client


@pytest.fixture
def alice(client: httpx2.Client) -> Asking:
    return Asking(client, API_KEY)


def test_the_health_check_names_alice_and_her_workspace(alice):
    response = alice(WHO_AM_I)

    assert response.json() == {
        "data": {
            "viewer": {"id": id_for("Alice"), "name": "Alice", "email": "alice@example.org"},
            "organization": {"id": id_for("organization"), "name": "Navi Test", "urlKey": "navi-test"},
        }
    }
    assert int(response.headers["X-RateLimit-Requests-Reset"]) > time.time() * 1000


def test_an_oauth_token_goes_out_as_bearer(client):
    assert Asking(client, f"Bearer {OAUTH_TOKEN}")(WHO_AM_I).status_code == 200
    assert Asking(client, OAUTH_TOKEN)(WHO_AM_I).status_code == 401


def test_alices_api_key_behind_the_word_bearer_is_refused(client):
    response = Asking(client, f"Bearer {API_KEY}")(WHO_AM_I)

    assert response.status_code == 400
    assert "Remove the Bearer prefix" in response.json()["errors"][0]["message"]


def test_charlies_key_is_refused_as_documented(client):
    response = Asking(client, "lin_api_charlie")(WHO_AM_I)

    assert response.status_code == 401
    assert response.json() == {
        "errors": [
            {
                "message": "Authentication required, not authenticated",
                "extensions": {
                    "type": "authentication error",
                    "code": "AUTHENTICATION_ERROR",
                    "statusCode": 401,
                    "userError": True,
                    "userPresentableMessage": "You need to authenticate to access this operation.",
                    "http": {"status": 401},
                },
            }
        ]
    }


def test_adas_token_may_create_issues_and_not_comment(client, linear):
    linear.accept_keys({OAUTH_TOKEN: {"read", "issues:create"}})
    ada = Asking(client, f"Bearer {OAUTH_TOKEN}")

    assert "errors" not in ada(CREATE, input={"teamId": ENG, "title": "Sand the floor"}).json()
    assert codes(ada(COMMENT, input={"issueId": "ENG-1", "body": "Hello"})) == ["FORBIDDEN"]


def test_alice_pages_through_her_issues_newest_first(alice):
    first = alice(LIST, first=2).json()["data"]["issues"]
    rest = alice(LIST, first=2, after=first["pageInfo"]["endCursor"]).json()["data"]["issues"]

    assert [issue["identifier"] for issue in first["nodes"]] == ["ENG-3", "ENG-2"]
    assert first["pageInfo"]["hasNextPage"]
    assert [issue["identifier"] for issue in rest["nodes"]] == ["ENG-1"]
    assert not rest["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"title": {"containsIgnoreCase": "DOOR"}}, ["ENG-2", "ENG-1"]),
        ({"team": {"key": {"eq": "OPS"}}}, []),
        ({"assignee": {"null": True}, "number": {"gt": 2}}, ["ENG-3"]),
        ({"assignee": {"isMe": {"eq": True}}}, []),
        ({"or": [{"number": {"eq": 1}}, {"title": {"startsWith": "Oil"}}]}, ["ENG-3", "ENG-1"]),
        ({"state": {"type": {"nin": ["completed", "canceled"]}}}, ["ENG-3", "ENG-2", "ENG-1"]),
        ({"labels": {"some": {"name": {"eq": "Bug"}}}}, []),
    ],
)
def test_alice_filters_her_issues(alice, wanted, found):
    issues = alice(LIST, filter=wanted).json()["data"]["issues"]["nodes"]

    assert [issue["identifier"] for issue in issues] == found


def test_alice_searches_her_issues(alice):
    found = alice(SEARCH, term="door").json()["data"]["searchIssues"]
    elsewhere = alice(SEARCH, term="door", teamId=OPS).json()["data"]["searchIssues"]

    assert ([issue["identifier"] for issue in found["nodes"]], found["totalCount"]) == (["ENG-2", "ENG-1"], 2)
    assert elsewhere["nodes"] == []


def test_alice_discovers_teams_states_labels_and_users(alice):
    data = alice(DISCOVER).json()["data"]

    assert {team["key"] for team in data["teams"]["nodes"]} == {"ENG", "OPS"}
    assert len(data["workflowStates"]["nodes"]) == 10
    assert {label["name"] for label in data["issueLabels"]["nodes"]} == {"Bug", "Feature"}
    assert {user["name"] for user in data["users"]["nodes"]} == {"Alice", "Bob", "Ada"}


def test_alice_creates_an_issue_for_bob(alice):
    wanted = {
        "teamId": OPS,
        "title": "Sand the floor",
        "description": "Before **winter**",
        "priority": 2,
        "assigneeId": id_for("Bob"),
        "labelIds": [id_for("label Bug")],
        "stateId": id_for("OPS Todo"),
    }

    created = alice(CREATE, input=wanted).json()["data"]["issueCreate"]

    issue = created["issue"]
    assert created["success"]
    assert (issue["identifier"], issue["title"], issue["priority"]) == ("OPS-1", "Sand the floor", 2)
    assert issue["url"] == "https://linear.app/navi-test/issue/OPS-1/sand-the-floor"
    assert issue["assignee"] == {"name": "Bob"}
    assert issue["labels"]["nodes"] == [{"name": "Bug"}]
    assert issue["state"] == {"name": "Todo"}


def test_creating_twice_with_one_id_makes_one_issue(alice, linear):
    wanted = {"id": str(uuid4()), "teamId": ENG, "title": "Sand the floor"}

    first, again = alice(CREATE, input=wanted), alice(CREATE, input=wanted)

    assert first.json()["data"]["issueCreate"]["issue"]["id"] == wanted["id"]
    assert again.status_code == 200
    assert again.json()["data"] is None
    error = again.json()["errors"][0]
    assert error["message"] == "conflict on insert of Issue"
    assert error["path"] == ["issueCreate"]
    assert error["extensions"]["code"] == "INPUT_ERROR"
    assert (
        error["extensions"]["userPresentableMessage"]
        == f"Entity Issue with id {wanted['id']} already exists."
    )
    assert len(linear.workspace.issues) == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"teamId": id_for("nowhere")}, "Entity not found: Team"),
        ({"assigneeId": id_for("Charlie")}, "Entity not found: User"),
        ({"stateId": id_for("OPS Todo")}, "Entity not found: WorkflowState"),
        (
            {"labelIds": [id_for("label Nonsense")]},
            "Entity not found: IssueLabel: labelIds contained an entry",
        ),
        ({"title": " "}, "Argument Validation Error"),
        ({"priority": 5}, "Argument Validation Error"),
        ({"id": "not-a-uuid"}, "Argument Validation Error"),
    ],
)
def test_an_issue_linear_would_not_take_is_an_input_error(alice, linear, wrong, message):
    response = alice(CREATE, input={"teamId": ENG, "title": "Sand the floor", **wrong})

    assert (response.status_code, codes(response)) == (200, ["INPUT_ERROR"])
    assert response.json()["errors"][0]["message"].startswith(message)
    assert len(linear.workspace.issues) == 3


def test_alice_moves_an_issue_on_by_its_identifier(alice):
    done = alice(UPDATE, id="ENG-1", input={"stateId": id_for("ENG Done")}).json()["data"]["issueUpdate"]

    assert done == {"success": True, "issue": {"identifier": "ENG-1", "state": {"name": "Done"}}}


def test_alice_comments_once_with_one_id(alice):
    wanted = {"id": str(uuid4()), "issueId": "ENG-1", "body": "Oil first"}

    made, again = alice(COMMENT, input=wanted), alice(COMMENT, input=wanted)

    assert made.json()["data"]["commentCreate"]["success"]
    assert again.json()["errors"][0]["message"] == "conflict on insert of Comment"
    issue = alice(READ, id="ENG-1").json()["data"]["issue"]
    assert issue["comments"]["nodes"] == [
        {"id": wanted["id"], "body": "Oil first", "user": {"name": "Alice"}}
    ]


def test_an_issue_that_is_not_there_is_an_input_error(alice):
    response = alice(READ, id="ENG-99")

    assert (response.status_code, codes(response)) == (200, ["INPUT_ERROR"])
    assert response.json()["errors"][0]["message"] == "Entity not found: Issue"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("query { viewer { shoeSize } }", "GRAPHQL_VALIDATION_FAILED"),
        ("mutation { issueCreate(input: {title: 1}) { success } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { viewer {", "GRAPHQL_PARSE_FAILED"),
        ("query A($id: String!) { issue(id: $id) { id } }", "BAD_USER_INPUT"),
    ],
)
def test_a_bad_query_is_refused_before_it_runs(alice, query, code):
    response = alice(query)

    assert response.status_code == 400
    assert set(codes(response)) == {code}
    assert "data" not in response.json()


def test_a_flood_is_answered_with_400_and_ratelimited(alice, linear):
    linear.rate_limit_next(reset_in=60)

    limited, after = alice(WHO_AM_I), alice(WHO_AM_I)

    assert (limited.status_code, codes(limited)) == (400, ["RATELIMITED"])
    assert limited.headers["X-RateLimit-Requests-Remaining"] == "0"
    wait = int(limited.headers["X-RateLimit-Requests-Reset"]) / 1000 - time.time()
    assert 50 < wait < 70
    assert after.status_code == 200


def test_archived_issues_are_listed_only_where_they_are_asked_for(alice, linear):
    linear.workspace.issue_archive("ENG-1")
    listing = "query A($all: Boolean) { issues(includeArchived: $all) { nodes { identifier archivedAt } } }"

    there, all_of_them = (
        alice(listing, all=every).json()["data"]["issues"]["nodes"] for every in (False, True)
    )

    assert {issue["identifier"] for issue in there} == {"ENG-2", "ENG-3"}
    assert {issue["identifier"] for issue in all_of_them if issue["archivedAt"]} == {"ENG-1"}


def test_changes_are_asked_for_by_their_moment(alice):
    def since(moment):
        return alice(LIST, filter={"updatedAt": {"gte": moment}}).json()["data"]["issues"]["nodes"]

    assert (len(since("2020-01-01T00:00:00.000Z")), len(since("2100-01-01T00:00:00.000Z"))) == (3, 0)


def test_only_admins_create_webhooks(client, linear):
    creating = "mutation A($input: WebhookCreateInput!) { webhookCreate(input: $input) { success } }"
    wanted = {"url": "https://navi.example/hooks/1", "resourceTypes": ["Issue"], "allPublicTeams": True}
    bobs = linear.grant("read", "write", "admin", person="bob").access
    alices = linear.grant("read", "write", "admin").access

    assert codes(Asking(client, f"Bearer {bobs}")(creating, input=wanted)) == ["FORBIDDEN"]
    assert "errors" not in Asking(client, f"Bearer {alices}")(creating, input=wanted).json()
    assert len(linear.workspace.webhooks) == 1


@needs_the_contract
def test_what_linear_knows_and_the_stand_in_does_not_is_said_aloud(alice):
    response = alice("query { rateLimitStatus { kind } }")

    assert response.status_code == 501
    assert "has no Query.rateLimitStatus" in response.text


@needs_the_contract
@pytest.mark.parametrize("query", [WHO_AM_I, LIST, SEARCH, DISCOVER, READ, CREATE, UPDATE, COMMENT])
def test_every_query_of_these_tests_is_one_linear_would_take(query):
    assert validate_query(query) == []


@needs_the_contract
def test_a_misspelt_field_is_found_by_its_place():
    [message] = validate_query("query { viewer { nmae } }")

    assert message.startswith("Cannot query field 'nmae' on type 'User'.")
    assert "1:18" in message


@needs_the_contract
def test_what_is_no_graphql_is_one_message():
    assert len(validate_query("query {")) == 1


@needs_the_contract
def test_the_part_kept_here_is_a_part_of_the_whole():
    whole = linear_schema.schema()

    for name, type in linear_schema.built(SUBSET).type_map.items():
        if (
            isinstance(type, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType)
            and name[0] != "_"
        ):
            assert described(type).items() <= described(whole.type_map[name]).items(), name


def test_the_stand_in_speaks_the_part_kept_here_where_the_whole_is_absent(alice, monkeypatch):
    part = linear_schema.built(SUBSET)
    monkeypatch.setattr(standins, "schema", lambda: part)

    answers = [
        alice(WHO_AM_I),
        alice(LIST),
        alice(SEARCH, term="door"),
        alice(DISCOVER),
        alice(CREATE, input={"teamId": ENG, "title": "Sand the floor"}),
        alice(UPDATE, id="ENG-1", input={"priority": 1}),
        alice(COMMENT, input={"issueId": "ENG-1", "body": "Hello"}),
        alice(READ, id="ENG-1"),
    ]

    assert [(answer.status_code, answer.json().get("errors")) for answer in answers] == [(200, None)] * 8


def codes(response: httpx2.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json()["errors"]]


def described(type: Any) -> dict[str, str]:
    """Write a type as `field: Type` and `field(argument): Type`, to compare two schemas by."""
    fields = {name: str(field.type) for name, field in type.fields.items()}
    arguments = {
        f"{name}({argument})": str(given.type)
        for name, field in type.fields.items()
        for argument, given in getattr(field, "args", {}).items()
    }
    return fields | arguments
