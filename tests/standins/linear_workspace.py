"""The workspace of the Linear stand-in: what can be asked of it, what changes it, and whom it tells."""

import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID, uuid4

from tests.standins.linear_things import (
    STATES,
    Comment,
    Connection,
    Entity,
    Input,
    Issue,
    IssueLabel,
    Organization,
    Payload,
    Project,
    ProjectStatus,
    Team,
    User,
    Webhook,
    WorkflowState,
    connection,
    id_for,
    invalid,
    moment,
    refusal,
    snake,
)


class Workspace:
    """Navi Test: Alice administers it, Bob is a member, Ada is an agent; teams ENG and OPS."""

    def __init__(self, tell: Callable[[Webhook, dict[str, Any]], None]) -> None:
        self.tell = tell
        self.webhooks: list[Webhook] = []
        self.organization = Organization(
            id=id_for("organization"), name="Navi Test", url_key="navi-test", user_count=3
        )
        self.viewer = self._user("Alice", is_me=True, admin=True)
        self.users = [self.viewer, self._user("Bob"), self._user("Ada", app=True)]
        self.teams = [self._team("ENG", "Engineering"), self._team("OPS", "Operations")]
        self.workflow_states = [state for team in self.teams for state in team.states]
        self.issue_labels = [IssueLabel(id=id_for(f"label {name}"), name=name) for name in ("Bug", "Feature")]
        statuses = [ProjectStatus(id=id_for(f"status {name}"), name=name, type=type)
                    for name, type in (("Planned", "planned"), ("In Progress", "started"))]  # fmt: skip
        self.projects = [
            Project(id=id_for(name), name=name, status=status, organization=self.organization, teams=[team])
            for name, status, team in zip(("Doors", "Floors"), statuses, self.teams, strict=True)
        ]
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
        self._told("Issue", "create", shown_issue(issue), team, issue.url)
        return self._synced(issue=issue)

    def issue_update(self, id: str, input: Input) -> Payload:
        issue = self.issue(id)
        before = shown_issue(issue)
        self._change(issue, input)
        issue.updated_at = moment()
        self._told("Issue", "update", shown_issue(issue), issue.team, issue.url, before)
        return self._synced(issue=issue)

    def issue_archive(self, id: str, *, trash: bool = False) -> Payload:
        issue = self.issue(id)
        issue.archived_at = issue.updated_at = moment()
        issue.trashed = trash or None
        self._told("Issue", "remove" if trash else "update", shown_issue(issue), issue.team, issue.url)
        return self._synced(entity=issue)

    def issue_delete(self, id: str, *, permanently_delete: bool = False) -> Payload:
        """To the trash; for good, it is not there any more and no question about changes shows it."""
        if not permanently_delete:
            return self.issue_archive(id, trash=True)
        issue = self.issue(id)
        self.issues.remove(issue)
        issue.team.issues.remove(issue)
        self._told("Issue", "remove", shown_issue(issue), issue.team, issue.url)
        return self._synced(entity=None)

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
        data = {"id": id, "body": comment.body, "issueId": issue.id, "userId": comment.user.id,
                "createdAt": comment.created_at, "updatedAt": comment.updated_at}  # fmt: skip
        self._told("Comment", "create", data, issue.team, comment.url)
        return self._synced(comment=comment)

    def webhook_create(self, input: Input) -> Payload:
        self._only_admins()
        id = new_id("Webhook", input.get("id"), self.webhooks)
        if bool(input.get("teamId")) == bool(input.get("allPublicTeams")):
            raise invalid("Argument Validation Error", "Give teamId or allPublicTeams.")
        team = found(self.teams, "Team", input["teamId"]) if input.get("teamId") else None
        hook = Webhook(
            id=id, url=input["url"], secret=input.get("secret") or f"lin_wh_{secrets.token_hex(16)}",
            resource_types=list(input["resourceTypes"]), label=input.get("label"), team=team,
            enabled=input.get("enabled", True), all_public_teams=bool(input.get("allPublicTeams")),
        )  # fmt: skip
        self.webhooks.append(hook)
        return self._synced(webhook=hook)

    def webhook_update(self, id: str, input: Input) -> Payload:
        self._only_admins()
        hook = found(self.webhooks, "Webhook", id)
        for name in ("url", "secret", "resourceTypes", "label", "enabled"):
            if input.get(name) is not None:
                setattr(hook, snake(name), input[name])
        return self._synced(webhook=hook)

    def webhook_delete(self, id: str) -> Payload:
        self._only_admins()
        self.webhooks.remove(found(self.webhooks, "Webhook", id))
        return self._synced(entity_id=id)

    def webhook(self, id: str) -> Webhook:
        return found(self.webhooks, "Webhook", id)

    def _only_admins(self) -> None:
        if not self.viewer.admin:
            raise refusal("Access denied", "forbidden", "FORBIDDEN", 403, "Only admins can do this.")

    def _told(
        self, kind: str, action: str, data: dict[str, Any], team: Team | None, url: str,
        before: Input | None = None,
    ) -> None:  # fmt: skip
        said = self.message(kind, action, data, url)
        if before is not None:
            said["updatedFrom"] = {name: old for name, old in before.items() if data.get(name) != old}
        for hook in self.webhooks:
            if hook.hears_of(kind, team):
                self.tell(hook, said | {"webhookId": hook.id})

    def message(self, kind: str, action: str, data: dict[str, Any], url: str) -> dict[str, Any]:
        actor = {"id": self.viewer.id, "type": "user", "name": self.viewer.name, "email": self.viewer.email}
        return {
            "action": action, "type": kind, "actor": actor, "createdAt": moment(), "data": data, "url": url,
            "organizationId": self.organization.id, "webhookTimestamp": int(time.time() * 1000),
        }  # fmt: skip

    def _change(self, issue: Issue, input: Input) -> None:
        # Everything is looked up before anything is changed: a refusal leaves the issue as it was.
        changes: dict[str, Any] = {
            name: input[field_name]
            for field_name, name in PLAIN_FIELDS.items()
            if input.get(field_name) is not None
        }
        if changes.get("priority", 0) not in range(5):
            raise invalid("Argument Validation Error", "priority must be one of 0, 1, 2, 3, 4.")
        if input.get("projectId"):
            changes["project"] = found(self.projects, "Project", input["projectId"])
        if input.get("assigneeId"):
            changes["assignee"] = found(self.users, "User", input["assigneeId"])
        if input.get("stateId"):
            changes["state"] = found(issue.team.states, "WorkflowState", input["stateId"])
        if input.get("parentId"):
            changes["parent"] = self.issue(input["parentId"])
        if input.get("labelIds") is not None:
            changes["labels"] = self._labels(input["labelIds"])
        if input.get("addedLabelIds") or input.get("removedLabelIds"):
            kept = [label for label in issue.labels if label.id not in (input.get("removedLabelIds") or ())]
            added = self._labels(input.get("addedLabelIds") or [])
            changes["labels"] = kept + [label for label in added if label not in kept]
        changes |= {CLEARED[name]: None for name in CLEARED if name in input and input[name] is None}
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


CLEARED = {
    "assigneeId": "assignee", "projectId": "project", "parentId": "parent", "estimate": "estimate",
    "dueDate": "due_date",
}  # fmt: skip
PLAIN_FIELDS = {
    "title": "title",
    "description": "description",
    "priority": "priority",
    "estimate": "estimate",
    "dueDate": "due_date",
}


def shown_issue(issue: Issue) -> dict[str, Any]:
    """As webhooks write an issue."""
    return {
        "id": issue.id, "identifier": issue.identifier, "number": issue.number, "title": issue.title,
        "description": issue.description, "priority": issue.priority, "priorityLabel": issue.priority_label,
        "createdAt": issue.created_at, "updatedAt": issue.updated_at, "archivedAt": issue.archived_at,
        "trashed": issue.trashed, "dueDate": issue.due_date, "teamId": issue.team.id,
        "stateId": issue.state.id, "assigneeId": issue.assignee.id if issue.assignee else None,
        "labelIds": issue.label_ids, "url": issue.url,
        "team": {"id": issue.team.id, "key": issue.team.key, "name": issue.team.name},
        "state": {"id": issue.state.id, "name": issue.state.name, "type": issue.state.type},
    }  # fmt: skip


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
