"""Acme and Elsewhere, everybody who may knock, and what they may find. Made once for all calls of a module."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

from django.test import Client
from django.utils import timezone

from credentials.models import Connection, ConnectRequest, OAuthApp, OAuthAttempt
from integrations import registry
from integrations.models import (
    ActionRule,
    ActionRun,
    Approval,
    CustomProvider,
    Delivery,
    SyncState,
    WebhookEndpoint,
)
from integrations.runtime import connect
from navi.audit.actor import SYSTEM
from navi.projects import codes, tokens
from navi.projects.models import AgentToken, Invitation, Membership, Project, User
from navi.projects.rights import actor_for
from navi.projects.roles import ADMIN, MEMBER, OWNER, SCOPES, VIEWER
from tests.standins.todoist import KEY

# One for all: a client sets up the whole middleware, which takes 40 ms.
CLIENT = Client(raise_request_exception=False)


@dataclass(frozen=True)
class Principal:
    """Who knocks: with a session, with an agent's token, with both, with neither."""

    name: str
    role: str | None = None  # in Acme
    cookies: Mapping[str, str] = field(default_factory=dict)
    user: Any = None
    is_operator: bool = False

    def send(self, method: str, path: str, *, token: str | None = None) -> Any:
        CLIENT.cookies = SimpleCookie(dict(self.cookies))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        kind = "" if method in {"GET", "HEAD", "OPTIONS"} else content_type(path)
        return CLIENT.generic(method, path, b"", content_type=kind, headers=headers)


def content_type(path: str) -> str:
    return "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"


@dataclass
class World:
    acme: Project
    elsewhere: Project
    people: dict[str, Principal]
    scoped: dict[str, str]  # a token of Alice with this scope alone
    without: dict[str, str]  # a token of Alice with every scope but this
    dead: dict[str, str]  # why it opens nothing → a token with all scopes
    charlies_token: str
    things: dict[str, Any]  # Acme's, by kind
    foreign: dict[str, Any]  # Elsewhere's, by the same kind
    own: dict[str, dict[str, Any]]  # a member's own of these kinds, by their name
    filled: dict[str, Any] = field(default_factory=dict)  # what matrix.py found to open each route


def made() -> World:
    """Everything in the database. The caller undoes it."""
    users = {
        name: person(name) for name in ("Alice", "Adam", "Bob", "Vera", "Charlie", "Rita", "Dora", "Dirk")
    }
    oscar, olga = person("Oscar", is_staff=True), person("Olga", is_staff=True, is_superuser=True)
    acme = project("acme", {users["Alice"]: OWNER, users["Adam"]: ADMIN, users["Bob"]: MEMBER,
                            users["Vera"]: VIEWER, users["Rita"]: ADMIN, users["Dora"]: ADMIN,
                            users["Dirk"]: MEMBER})  # fmt: skip
    elsewhere = project("elsewhere", {users["Charlie"]: OWNER})
    alice, charlie = users["Alice"], users["Charlie"]
    people = {
        "anonymous": Principal("anonymous"),
        "stranger": Principal("stranger", None, session(charlie), charlie),
        "viewer": Principal("viewer", VIEWER, session(users["Vera"]), users["Vera"]),
        "member": Principal("member", MEMBER, session(users["Bob"]), users["Bob"]),
        "admin": Principal("admin", ADMIN, session(users["Adam"]), users["Adam"]),
        "owner": Principal("owner", OWNER, session(alice), alice),
        "staff": Principal("staff", None, session(oscar), oscar, is_operator=True),
        "superuser": Principal("superuser", None, session(olga), olga, is_operator=True),
        "disabled person": Principal("disabled person", None, session(users["Dirk"])),
    }
    world = World(
        acme=acme,
        elsewhere=elsewhere,
        people=people,
        scoped={scope: token(alice, acme, scope) for scope in SCOPES},
        without={scope: token(alice, acme, *(set(SCOPES) - {scope})) for scope in SCOPES},
        dead=dead_tokens(users, acme),
        charlies_token=token(charlie, elsewhere, *SCOPES),
        things=things(acme, alice),
        foreign=things(elsewhere, charlie),
        own={role: own_things(acme, people[role].user) for role in ("member", "admin", "owner")},
    )
    ActionRun.objects.filter(pk=world.things["run"]).update(actor_id=public_id(world.scoped["read"]))
    ActionRun.objects.filter(pk=world.things["held run"]).update(actor_id=public_id(world.scoped["run"]))
    users["Dirk"].disable()
    return world


def person(name: str, **extra: Any) -> User:
    user = User(email=f"{name.lower()}@example.org", name=name, **extra)
    user.set_unusable_password()
    user.save()
    return user


def project(slug: str, members: Mapping[User, str]) -> Project:
    made = Project.objects.create(slug=slug, name=slug.title())
    for user, role in members.items():
        Membership.objects.create(project=made, user=user, role=role)
    return made


def session(user: User) -> dict[str, str]:
    CLIENT.cookies = SimpleCookie()
    CLIENT.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return {name: morsel.value for name, morsel in CLIENT.cookies.items()}


def token(owner: User, project: Project, *scopes: str) -> str:
    _, text = tokens.issue(project, owner, "Ada", scopes, actor=actor_for(owner, project))
    return text


def public_id(text: str) -> str:
    code = codes.parse(text, kind="at")
    assert code
    return code.public_id


def dead_tokens(users: Mapping[str, User], acme: Project) -> dict[str, str]:
    """One for each reason why a token opens nothing."""
    found = {
        why: token(users[name], acme, *SCOPES)
        for why, name in (
            ("expired", "Alice"), ("revoked", "Alice"), ("owner removed", "Rita"), ("owner disabled", "Dora"),
        )
    }  # fmt: skip
    rows = {why: AgentToken.objects.filter(public_id=public_id(text)) for why, text in found.items()}
    rows["expired"].update(expires_at=timezone.now() - timedelta(seconds=1))
    rows["revoked"].update(revoked_at=timezone.now())
    Membership.objects.filter(user=users["Rita"]).delete()
    users["Dora"].disable()
    living = codes.mint("at")
    return {**found, "never issued": living.text, "malformed": found["revoked"][:-1]}


def things(project: Project, owner: User) -> dict[str, Any]:
    """One of each kind that an address may name."""
    kept = connection(project, owner)
    agent = AgentToken.objects.filter(public_id=public_id(token(owner, project, "read"))).get()
    custom = CustomProvider.objects.create(
        project=project,
        slug=f"intranet-of-{project.slug}",
        name="Intranet",
        base_url="https://intranet.example",
    )
    invitation, code = invited(project, owner)
    asked = ConnectRequest.objects.create(
        provider="todoist", project=project, asked_by="Ada", token_public_id=agent.public_id,
        user_code="BCDF-GHJK", expires_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    member = Membership.objects.create(project=project, user=person(f"Vito of {project.slug}".replace(" ", "-")),
                                       role=VIEWER)  # fmt: skip
    return {
        "connection": kept.pk, "token": agent.pk, "custom": custom.slug, "custom id": custom.pk,
        "invitation": invitation.pk, "code": code, "asked": asked.pk, "membership": member.pk,
        "operators code": invited(None, owner)[1],
        "attempt": attempt(project, owner, app_of(project)).pk,
        **inbox(project),
        "sync": SyncState.objects.filter(project=project, plugin="todoist", kind="tasks").get().pk,
        "approval": approval(project, agent).pk,
        "held run": approval(project, agent).run_id,
        "rule": ActionRule.objects.create(project=project, plugin="jira", effect="allow").pk,
        "run": ActionRun.objects.create(
            project=project, seal_owner=project.pk, actor_id=agent.public_id, plugin="todoist",
            action="list_projects", arguments_hash="", answer={"result": 1},
        ).pk,
    }  # fmt: skip


def inbox(project: Project) -> dict[str, Any]:
    endpoint = WebhookEndpoint.objects.create(
        project=project, provider="todoist", plugin="todoist", secrets={"live": []}
    )
    delivery = Delivery.objects.create(
        endpoint=endpoint, vendor_id="d1", seal_owner=project.pk, state="processed",
        body={"text": "{}", "headers": {}},
    )  # fmt: skip
    return {"webhook": endpoint.pk, "delivery": delivery.pk}


def own_things(project: Project, user: User) -> dict[str, Any]:
    """What a member may change because it is theirs."""
    agent = AgentToken.objects.get(public_id=public_id(token(user, project, "read")))
    return {
        "approval": approval(project, agent).pk,
        "token": agent.pk, "connection": connection(project, user, is_personal=True).pk,
        "attempt": attempt(project, user, OAuthApp.objects.get(project=project)).pk,
    }  # fmt: skip


def held_run(project: Project, agent: AgentToken) -> ActionRun:
    """A call that waits for a person, or for its agent to take it up."""
    return ActionRun.objects.create(
        project=project, seal_owner=project.pk, actor_id=agent.public_id, actor_label="Ada", plugin="todoist",
        action="list_projects", arguments_hash="", arguments={}, state=ActionRun.State.AWAITING_APPROVAL,
    )  # fmt: skip


def approval(project: Project, agent: AgentToken, run: ActionRun | None = None) -> Approval:
    run = run or held_run(project, agent)
    tomorrow = timezone.now() + timedelta(days=1)
    return Approval.objects.create(run=run, arguments_hash="", expires_at=tomorrow)


def connection(project: Project, owner: User, *, is_personal: bool = False) -> Connection:
    offer = connect.Offer(
        entry=registry.entry("todoist", project.pk), project=project, fields={"apiKey": KEY}, label="Team",
        for_user=owner.pk if is_personal else None, test=False,
    )  # fmt: skip
    return connect.connect(offer, SYSTEM).connection


def app_of(project: Project) -> OAuthApp:
    secret = {"client_secret": "a secret of the app"}
    return OAuthApp.objects.create(provider="todoist", project=project, client_id="navi", secret=secret)


def attempt(project: Project, user: User, app: OAuthApp) -> OAuthAttempt:
    """A sign-in under way, which only the person who began it may see."""
    return OAuthAttempt.objects.create(
        provider="todoist", project=project, user=user, app=app, state_hash=uuid.uuid4().hex,
        kept={"verifier": "v", "redirect_uri": "r"}, expires_at=timezone.now() + timedelta(minutes=10),
    )  # fmt: skip


def invited(project: Project | None, owner: User) -> tuple[Invitation, str]:
    code = codes.mint("inv")
    row = Invitation(project=project, invited_by=owner, expires_at=timezone.now() + timedelta(days=1))
    row.keep(code)
    row.save()
    return row, code.text
