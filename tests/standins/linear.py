"""A Linear on this machine: the GraphQL endpoint over a small workspace in memory.

Run it by hand: python -m tests.standins.linear --port 9002 --key lin_api_0123456789abcdef
"""

import hashlib
import operator
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSyntaxError,
    execute_sync,
    get_named_type,
    is_non_null_type,
    parse,
    validate,
)

from tests.contracts import linear_schema
from tests.standins.grants import Endpoint, OAuthProblem, OAuthStandin, Pair
from tests.standins.linear_subset import SUBSET
from tests.standins.server import Request, Response, answer_with, run

API_KEY = "lin_api_0123456789abcdef0123456789abcdef01234567"
OAUTH_TOKEN = "lin_oauth_0123456789abcdef0123456789abcdef01234567"
REQUESTS_AN_HOUR, COMPLEXITY_AN_HOUR = 2_500, 3_000_000
PRIORITIES = ["No priority", "Urgent", "High", "Medium", "Low"]
STATES = {
    "Backlog": "backlog",
    "Todo": "unstarted",
    "In Progress": "started",
    "Done": "completed",
    "Canceled": "canceled",
}

Input = Mapping[str, Any]


@cache
def schema() -> GraphQLSchema:
    """Speak Linear's whole schema where it is at hand, and the part of it kept here otherwise."""
    if linear_schema.is_at_hand():
        return linear_schema.schema()
    return linear_schema.built(SUBSET)


# What a workspace holds. Attributes are named like the schema's fields, in snake case.
# A list becomes a connection on its way out, see `resolve`.


def moment() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def id_for(name: str) -> str:
    """Make the same UUID (version 4, as Linear's are) for the same name, every time."""
    return str(UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


@dataclass(kw_only=True, eq=False)
class Entity:
    id: str
    created_at: str = field(default_factory=moment)
    updated_at: str = field(default_factory=moment)


@dataclass(kw_only=True, eq=False)
class Organization(Entity):
    name: str
    url_key: str
    user_count: int


@dataclass(kw_only=True, eq=False)
class User(Entity):
    name: str
    organization: Organization
    is_me: bool = False
    admin: bool = False
    app: bool = False
    active: bool = True
    guest: bool = False

    @property
    def display_name(self) -> str:
        return self.name.lower()

    @property
    def email(self) -> str:
        return f"{self.name.lower()}@example.org"

    @property
    def url(self) -> str:
        return f"https://linear.app/{self.organization.url_key}/profiles/{self.display_name}"


@dataclass(kw_only=True, eq=False)
class Team(Entity):
    key: str
    name: str
    organization: Organization
    private: bool = False
    states: list["WorkflowState"] = field(default_factory=list)
    labels: list["IssueLabel"] = field(default_factory=list)
    members: list[User] = field(default_factory=list)
    issues: list["Issue"] = field(default_factory=list)

    @property
    def display_name(self) -> str:
        return self.name


@dataclass(kw_only=True, eq=False)
class WorkflowState(Entity):
    name: str
    type: str
    position: int
    team: Team
    color: str = "#bec2c8"


@dataclass(kw_only=True, eq=False)
class IssueLabel(Entity):
    name: str
    team: Team | None = None
    color: str = "#eb5757"
    is_group: bool = False


@dataclass(kw_only=True, eq=False)
class Issue(Entity):
    number: int
    title: str
    team: Team
    state: WorkflowState
    creator: User
    description: str | None = None
    priority: int = 0
    estimate: int | None = None
    due_date: str | None = None
    assignee: User | None = None
    parent: "Issue | None" = None
    labels: list[IssueLabel] = field(default_factory=list)
    comments: list["Comment"] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        return f"{self.team.key}-{self.number}"

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    @property
    def url(self) -> str:
        return f"https://linear.app/{self.team.organization.url_key}/issue/{self.identifier}/{self.slug}"

    @property
    def branch_name(self) -> str:
        return f"alice/{self.identifier.lower()}-{self.slug}"

    @property
    def priority_label(self) -> str:
        return PRIORITIES[self.priority]

    @property
    def label_ids(self) -> list[str]:
        return [label.id for label in self.labels]


@dataclass(kw_only=True, eq=False)
class Comment(Entity):
    body: str
    issue: Issue
    user: User
    parent: "Comment | None" = None

    @property
    def issue_id(self) -> str:
        return self.issue.id

    @property
    def parent_id(self) -> str | None:
        return self.parent.id if self.parent else None

    @property
    def url(self) -> str:
        return f"{self.issue.url}#comment-{self.id[:8]}"


@dataclass(frozen=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True)
class Edge:
    node: Entity
    cursor: str


@dataclass(frozen=True)
class Connection:
    nodes: tuple[Entity, ...]
    edges: tuple[Edge, ...]
    page_info: PageInfo
    total_count: int


@dataclass(frozen=True)
class Payload:
    last_sync_id: int
    issue: Issue | None = None
    comment: Comment | None = None
    success: bool = True


class Workspace:
    """Navi Test: Alice administers it, Bob is a member, Ada is an agent; teams ENG and OPS."""

    def __init__(self) -> None:
        self.organization = Organization(
            id=id_for("organization"), name="Navi Test", url_key="navi-test", user_count=3
        )
        self.viewer = self._user("Alice", is_me=True, admin=True)
        self.users = [self.viewer, self._user("Bob"), self._user("Ada", app=True)]
        self.teams = [self._team("ENG", "Engineering"), self._team("OPS", "Operations")]
        self.workflow_states = [state for team in self.teams for state in team.states]
        self.issue_labels = [IssueLabel(id=id_for(f"label {name}"), name=name) for name in ("Bug", "Feature")]
        self.issues: list[Issue] = []
        self._comments: dict[str, Comment] = {}
        self._sync_id = 0
        for title in ("The door does not close", "Paint the door", "Oil the hinges"):
            self.issue_create({"teamId": id_for("ENG"), "title": title, "id": id_for(title)})

    def _user(self, name: str, **facts: Any) -> User:
        return User(id=id_for(name), name=name, organization=self.organization, **facts)

    def _team(self, key: str, name: str) -> Team:
        team = Team(
            id=id_for(key), key=key, name=name, organization=self.organization, members=list(self.users)
        )
        team.states = [
            WorkflowState(id=id_for(f"{key} {name}"), name=name, type=type, position=position, team=team)
            for position, (name, type) in enumerate(STATES.items())
        ]
        return team

    def see_as(self, person: str) -> None:
        """Let the person ask whose token it is."""
        self.viewer = next(user for user in self.users if user.display_name == person)
        for user in self.users:
            user.is_me = user is self.viewer

    # Queries.

    def team(self, id: str) -> Team:
        return found(self.teams, "Team", id)

    def issue(self, id: str) -> Issue:
        named = [issue for issue in self.issues if issue.identifier == id]
        return named[0] if named else found(self.issues, "Issue", id)

    def search_issues(self, term: str, team_id: str | None = None, **arguments: Any) -> Connection:
        arguments.pop("include_comments", None)
        words = term.lower()
        hits = [
            issue
            for issue in self.issues
            if words in f"{issue.identifier} {issue.title} {issue.description or ''}".lower()
            and team_id in (None, issue.team.id)
        ]
        return connection(hits, **arguments)

    # Mutations.

    def issue_create(self, input: Input) -> Payload:
        team = found(self.teams, "Team", input["teamId"])
        id = new_id("Issue", input.get("id"), self.issues)
        if not (input.get("title") or "").strip():
            raise invalid("Argument Validation Error", "title should not be empty.")
        number = 1 + max((issue.number for issue in team.issues), default=0)
        issue = Issue(
            id=id, number=number, title=input["title"], team=team, state=team.states[0], creator=self.viewer
        )
        self._change(issue, input)
        team.issues.append(issue)
        self.issues.append(issue)
        return self._synced(issue=issue)

    def issue_update(self, id: str, input: Input) -> Payload:
        issue = self.issue(id)
        self._change(issue, input)
        issue.updated_at = moment()
        return self._synced(issue=issue)

    def comment_create(self, input: Input) -> Payload:
        if not input.get("issueId"):
            raise invalid("Argument Validation Error", "issueId should not be empty.")
        if not (input.get("body") or "").strip():
            raise invalid("Argument Validation Error", "body should not be empty.")
        issue = self.issue(input["issueId"])
        comments = list(self._comments.values())
        id = new_id("Comment", input.get("id"), comments)
        parent = found(comments, "Comment", input["parentId"]) if input.get("parentId") else None
        comment = Comment(id=id, body=input["body"], issue=issue, user=self.viewer, parent=parent)
        self._comments[id] = comment
        issue.comments.append(comment)
        return self._synced(comment=comment)

    def _change(self, issue: Issue, input: Input) -> None:
        # Everything is looked up before anything is changed: a refusal leaves the issue as it was.
        changes: dict[str, Any] = {
            name: input[field_name]
            for field_name, name in PLAIN_FIELDS.items()
            if input.get(field_name) is not None
        }
        if changes.get("priority", 0) not in range(5):
            raise invalid("Argument Validation Error", "priority must be one of 0, 1, 2, 3, 4.")
        if input.get("assigneeId"):
            changes["assignee"] = found(self.users, "User", input["assigneeId"])
        if input.get("stateId"):
            changes["state"] = found(issue.team.states, "WorkflowState", input["stateId"])
        if input.get("parentId"):
            changes["parent"] = self.issue(input["parentId"])
        if input.get("labelIds") is not None:
            changes["labels"] = self._labels(input["labelIds"])
        for name, value in changes.items():
            setattr(issue, name, value)

    def _labels(self, ids: list[str]) -> list[IssueLabel]:
        labels = [label for label in self.issue_labels if label.id in ids]
        if len(labels) < len(set(ids)):
            words = "labelIds contained an entry that could not be found."
            raise invalid(f"Entity not found: IssueLabel: {words}", words)
        return labels

    def _synced(self, **changed: Any) -> Payload:
        self._sync_id += 1
        return Payload(last_sync_id=self._sync_id, **changed)


PLAIN_FIELDS = {
    "title": "title",
    "description": "description",
    "priority": "priority",
    "estimate": "estimate",
    "dueDate": "due_date",
}


Found = TypeVar("Found", bound=Entity)


def found(things: list[Found], kind: str, id: str) -> Found:
    for thing in things:
        if thing.id == id:
            return thing
    raise invalid(f"Entity not found: {kind}", f"Could not find referenced {kind}.")


def new_id(kind: str, wanted: str | None, taken: list[Any]) -> str:
    if wanted is None:
        return str(uuid4())
    try:
        UUID(wanted)
    except ValueError:
        raise invalid("Argument Validation Error", "id must be a UUID.") from None
    if any(thing.id == wanted for thing in taken):
        raise invalid(f"conflict on insert of {kind}", f"Entity {kind} with id {wanted} already exists.")
    return wanted


# Connections: filter, newest first, one page.


def connection(
    things: list[Any],
    filter: Input | None = None,
    first: int = 50,
    after: str | None = None,
    order_by: str = "createdAt",
    include_archived: bool = False,
    **unknown: Any,
) -> Connection:
    if unknown:
        raise NotImplementedError(f"The Linear stand-in does not page by {', '.join(unknown)}.")
    if not 1 <= first <= 250:
        raise invalid("Argument Validation Error", "first must not be less than 1 or greater than 250.")
    wanted = [thing for thing in reversed(things) if matches(thing, filter or {})]
    wanted.sort(key=operator.attrgetter(snake(order_by)), reverse=True)
    start = place_after(wanted, after)
    nodes = tuple(wanted[start : start + first])
    return Connection(
        nodes=nodes,
        edges=tuple(Edge(node, node.id) for node in nodes),
        page_info=PageInfo(
            has_next_page=len(wanted) > start + first,
            has_previous_page=start > 0,
            start_cursor=nodes[0].id if nodes else None,
            end_cursor=nodes[-1].id if nodes else None,
        ),
        total_count=len(wanted),
    )


def place_after(things: list[Any], cursor: str | None) -> int:
    if cursor is None:
        return 0
    ids = [thing.id for thing in things]
    if cursor not in ids:
        raise invalid("Argument Validation Error", "after must be a cursor of this connection.")
    return ids.index(cursor) + 1


COMPARATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "in": lambda value, others: value in others,
    "nin": lambda value, others: value not in others,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "null": lambda value, wanted: (value is None) == wanted,
    "eqIgnoreCase": lambda value, other: value.lower() == other.lower(),
    "contains": operator.contains,
    "containsIgnoreCase": lambda value, other: other.lower() in value.lower(),
    "startsWith": lambda value, other: value.startswith(other),
    "endsWith": lambda value, other: value.endswith(other),
}


def matches(thing: Entity, filter: Input) -> bool:
    return all(satisfies(thing, name, condition) for name, condition in filter.items())


def satisfies(thing: Entity, name: str, condition: Any) -> bool:
    if name in {"and", "or"}:
        return (all if name == "and" else any)(matches(thing, part) for part in condition)
    if name == "null":
        return condition is False
    value = getattr(thing, snake(name), UNKNOWN)
    if value is UNKNOWN:
        raise NotImplementedError(f"The Linear stand-in does not filter {type(thing).__name__} by {name}.")
    if value is None:
        return condition.get("null") is True
    if isinstance(value, Entity):
        return matches(value, condition)
    if isinstance(value, list):
        return all(holds_for(value, how, part) for how, part in condition.items())
    return all(compares(value, how, other) for how, other in condition.items())


def holds_for(things: list[Any], how: str, condition: Any) -> bool:
    """Judge a collection: by `some`, `every` or `length`; a bare field means some."""
    if how == "length":
        return all(compares(len(things), name, other) for name, other in condition.items())
    if how in {"some", "every"}:
        return (any if how == "some" else all)(matches(thing, condition) for thing in things)
    return any(satisfies(thing, how, condition) for thing in things)


def compares(value: Any, how: str, other: Any) -> bool:
    if how not in COMPARATORS:
        raise NotImplementedError(f"The Linear stand-in does not compare by {how}.")
    return COMPARATORS[how](value, other)


# From the schema to the workspace.

UNKNOWN = object()
SCOPES = {"issueCreate": "issues:create", "commentCreate": "comments:create", "issueUpdate": "write"}


def snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    if isinstance(source, Workspace):
        check_scope(info)
    value = getattr(source, snake(info.field_name), UNKNOWN)
    values = {snake(name): value for name, value in arguments.items() if value is not None}
    if isinstance(value, list) and get_named_type(info.return_type).name.endswith("Connection"):
        return connection(value, **values)
    if callable(value):
        return value(**values)
    if value is UNKNOWN and (isinstance(source, Workspace) or is_non_null_type(info.return_type)):
        raise NotImplementedError(f"The Linear stand-in has no {info.parent_type.name}.{info.field_name}.")
    return None if value is UNKNOWN else value


def check_scope(info: GraphQLResolveInfo) -> None:
    scope = SCOPES.get(info.field_name, "write" if info.parent_type.name == "Mutation" else "read")
    granted = info.context
    if not {"*", scope} & granted and not (scope != "read" and "write" in granted):
        raise refusal(f"Invalid scope: `{scope}` required", "forbidden", "FORBIDDEN", 403)


# Refusals in Linear's error shape.


def refusal(
    message: str, type: str, code: str, status: int, presentable: str | None = None, **extra: Any
) -> GraphQLError:
    extensions = {
        "type": type,
        "code": code,
        "statusCode": status,
        "userError": True,
        "userPresentableMessage": presentable or message,
        **extra,
    }
    return GraphQLError(message, extensions=extensions)


def invalid(message: str, presentable: str) -> GraphQLError:
    return refusal(message, "invalid input", "INPUT_ERROR", 400, presentable)


def unauthenticated() -> Response:
    error = refusal(
        "Authentication required, not authenticated",
        "authentication error",
        "AUTHENTICATION_ERROR",
        401,
        "You need to authenticate to access this operation.",
        http={"status": 401},
    )
    return answer_with(401, {"errors": [error.formatted]})


def key_sent_as_bearer() -> Response:
    message = (
        "It looks like you're trying to use an API key as a Bearer token. "
        "Remove the Bearer prefix from the Authorization header."
    )
    return answer_with(400, {"errors": [invalid(message, message).formatted]})


def bad_request(errors: list[GraphQLError], code: str) -> Response:
    extensions = {
        "http": {"status": 400, "headers": {}},
        "code": code,
        "type": "graphql error",
        "userError": True,
    }
    return answer_with(400, {"errors": [error.formatted | {"extensions": extensions} for error in errors]})


class LinearStandin(OAuthStandin):
    """A Linear on this machine."""

    # A key that starts with lin_api_ goes out bare, any other is an OAuth token and goes out as Bearer.
    keys = (API_KEY, OAUTH_TOKEN)
    separator = ","
    encodings = frozenset({"form"})
    secret_is_optional = True  # with PKCE
    lifetime = 86399
    reuse_grace = 1800.0

    # OAuth: https://linear.app/developers/oauth-2-0-authentication

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {("POST", "/oauth/revoke"): self.revoke}

    def agreed(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("read", *scopes)))  # Linear always grants read.

    def access_token(self, kind: str) -> str:
        return f"lin_oauth_{secrets.token_hex(32)}"

    def refresh_token(self, kind: str) -> str:
        return f"lin_refresh_{secrets.token_hex(32)}"

    def told(self, pair: Pair) -> dict[str, Any]:
        # Commas on the way to Linear, spaces on the way back.
        lasting = {"expires_in": self.lifetime, "refresh_token": pair.refresh}
        return {
            "access_token": pair.access,
            "token_type": "Bearer",
            "scope": " ".join(pair.scopes),
            **lasting,
        }

    def reused(self, pair: Pair) -> Response:
        """Within half an hour the same question gets the same answer."""
        if pair.successor is None or self.since_use(pair) > self.reuse_grace:
            raise OAuthProblem("invalid_grant", "The refresh token was used before.")
        return answer_with(200, self.told(pair.successor))

    def refusal(self, problem: OAuthProblem) -> Response:
        error = {"bad_code": "invalid_grant", "bad_redirect_uri": "invalid_grant"}.get(
            problem.error, problem.error
        )
        return super().refusal(OAuthProblem(error, problem.description))

    def revoke(self, request: Request) -> Response:
        try:
            form = self.form_of(request)
        except OAuthProblem as problem:
            return self.refusal(problem)
        token = form.get("token") or form.get("access_token") or ""
        if not token:
            return answer_with(401, {"error": "invalid_request", "error_description": "No token."})
        if not self.end(token):
            return answer_with(400, {"error": "invalid_request", "error_description": "Already revoked."})
        return answer_with(200, {})

    def start(self) -> Self:
        schema()  # Read before the first question comes, so that it is not answered too late.
        return super().start()

    def rate_limit_next(self, reset_in: float = 3600, retry_after: int | None = None, times: int = 1) -> None:
        """Answer the next requests with Linear's refusal: HTTP 400, code RATELIMITED."""
        error = refusal("Rate limit exceeded", "ratelimited", "RATELIMITED", 429)
        headers = self._budget(remaining=0, reset_in=reset_in)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        self.fail_next(400, {"errors": [error.formatted]}, headers, times)

    def seed(self) -> None:
        self.workspace = Workspace()

    def api(self, request: Request) -> Response:
        if (request.method, request.path) != ("POST", "/graphql"):
            return answer_with(404, "Not found")
        header = request.headers["Authorization"] or ""
        key, is_bearer = header.removeprefix("Bearer "), header.startswith("Bearer ")
        if is_bearer and key.startswith("lin_api_"):
            return key_sent_as_bearer()
        scopes = self.scopes_of(key)
        if scopes is None or is_bearer == key.startswith("lin_api_"):
            return unauthenticated()
        self.workspace.see_as(self.person_of(key))
        response = self._execute(request, scopes)
        headers = {**self._budget(REQUESTS_AN_HOUR - len(self.requests)), **response.headers}
        return Response(response.status, response.body, headers)

    def _execute(self, request: Request, scopes: frozenset[str]) -> Response:
        asked = json_object(request)
        if "query" not in asked:
            message = "POST body missing, invalid Content-Type, or JSON object has no keys."
            return bad_request([GraphQLError(message)], "BAD_REQUEST")
        try:
            document = parse(asked["query"])
        except GraphQLSyntaxError as error:
            return bad_request([error], "GRAPHQL_PARSE_FAILED")
        if errors := validate(schema(), document):
            return bad_request(errors, "GRAPHQL_VALIDATION_FAILED")
        result = execute_sync(
            schema(),
            document,
            root_value=self.workspace,
            context_value=scopes,
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
            field_resolver=resolve,
        )
        return answered(result.data, result.errors or [])

    def _budget(self, remaining: int, reset_in: float = 3600) -> dict[str, str]:
        # Linear counts resets in epoch milliseconds.
        reset = str(int((time.time() + reset_in) * 1000))
        return {
            "X-RateLimit-Requests-Limit": str(REQUESTS_AN_HOUR),
            "X-RateLimit-Requests-Remaining": str(remaining),
            "X-RateLimit-Requests-Reset": reset,
            "X-Complexity": "1",
            "X-RateLimit-Complexity-Limit": str(COMPLEXITY_AN_HOUR),
            "X-RateLimit-Complexity-Remaining": str(COMPLEXITY_AN_HOUR if remaining else 0),
            "X-RateLimit-Complexity-Reset": reset,
        }


def json_object(request: Request) -> Input:
    if request.headers.get_content_type() != "application/json":
        return {}
    try:
        body = request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def answered(data: Any, errors: list[GraphQLError]) -> Response:
    """Answer 200 even with errors, as Linear does once a query has begun to run."""
    for error in errors:
        if error.path is None:
            return bad_request(errors, "BAD_USER_INPUT")
        if not isinstance(error.original_error, GraphQLError | None):
            # Not Linear speaking: the test asks for more than this stand-in knows.
            return answer_with(501, f"{error.path}: {error.original_error}")
    is_forbidden = any((error.extensions or {}).get("code") == "FORBIDDEN" for error in errors)
    body = {"errors": [error.formatted for error in errors]} if errors else {}
    return answer_with(400 if is_forbidden else 200, body | {"data": data})


if __name__ == "__main__":
    run(LinearStandin)
