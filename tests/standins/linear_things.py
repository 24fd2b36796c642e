"""What a workspace of the Linear stand-in is made of, and how it is filtered and paged.

Attributes are named like the schema's fields, in snake case. A list becomes a connection on its way out.
"""

import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from graphql import GraphQLError

PRIORITIES = ["No priority", "Urgent", "High", "Medium", "Low"]
STATES = {
    "Backlog": "backlog",
    "Todo": "unstarted",
    "In Progress": "started",
    "Done": "completed",
    "Canceled": "canceled",
}

Input = Mapping[str, Any]
UNKNOWN = object()


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
    archived_at: str | None = None


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
class ProjectStatus(Entity):
    name: str
    type: str
    color: str = "#bec2c8"
    position: int = 0


@dataclass(kw_only=True, eq=False)
class Project(Entity):
    name: str
    status: ProjectStatus
    organization: Organization
    teams: list[Team] = field(default_factory=list)
    lead: User | None = None
    start_date: str | None = None
    target_date: str | None = None

    @property
    def accessible_teams(self) -> list[Team]:
        return self.teams

    @property
    def slug_id(self) -> str:
        return self.id[:12].replace("-", "")

    @property
    def url(self) -> str:
        name = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
        return f"https://linear.app/{self.organization.url_key}/project/{name}-{self.slug_id}"


@dataclass(kw_only=True, eq=False)
class Webhook(Entity):
    url: str
    secret: str
    resource_types: list[str]
    label: str | None = None
    enabled: bool = True
    all_public_teams: bool = False
    team: Team | None = None

    def hears_of(self, kind: str, team: Team | None) -> bool:
        is_its_team = self.all_public_teams if self.team is None else self.team is team
        return self.enabled and kind in self.resource_types and (is_its_team or team is None)


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
    project: Project | None = None
    trashed: bool | None = None
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
    webhook: Webhook | None = None
    entity: Issue | None = None
    entity_id: str = ""
    success: bool = True


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
    there = [thing for thing in reversed(things) if include_archived or thing.archived_at is None]
    wanted = [thing for thing in there if matches(thing, filter or {})]
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


def snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


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
