"""Agent tokens: issued, rotated, revoked, and recognised on every call."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from navi.audit.actor import Actor
from navi.audit.record import record
from navi.keyring import KeyringProblem
from navi.projects import codes, rights, roles, uses
from navi.projects.checks import checked_name
from navi.projects.errors import BadToken, Conflict, InvalidInput, NotAllowed, PepperMissing, ScopeNotAllowed
from navi.projects.models import OVERLAP_MOST, AgentToken, Project, User, secret_digest

LIFE, LIFE_MOST = timedelta(days=90), timedelta(days=366)
OVERLAP = timedelta(hours=24)
Expiry = datetime | Literal["never"] | None


def authenticate(text: str, ip: str = "", at: datetime | None = None) -> tuple[AgentToken, Actor]:
    """The token in this text and the agent that carries it: one query. Raises BadToken.

    A wrong form never reaches the database; an unknown id costs the same comparison as a wrong secret.
    """
    code = codes.parse(text, kind="at")
    if code is None:
        raise BadToken("malformed")
    at = at or timezone.now()
    token = recognised(code)
    reason = reason_against(token, at)
    if reason:
        raise BadToken(reason)
    uses.note_use(token.public_id, ip, at=at)
    return token, agent_of(token, ip)


def agent_of(token: AgentToken, ip: str = "") -> Actor:
    """The agent that carries this token (one of `for_request`)."""
    scopes = roles.cut(token.owner_role, token.scopes)
    return Actor("agent", token.public_id, token.name, token.owner_id, token.owner_role, scopes, ip)


def agent_now(public_id: str, *, project_id: uuid.UUID) -> Actor:
    """The agent as its token is now, for work that it left behind: one query. Raises BadToken."""
    token = AgentToken.objects.for_request(public_id)
    if token is None or token.project_id != project_id:
        raise BadToken("unknown")
    if reason := reason_against(token, timezone.now()):
        raise BadToken(reason)
    return agent_of(token)


def recognised(code: codes.Code) -> AgentToken:
    """The row that this code opens."""
    token = AgentToken.objects.for_request(code.public_id)
    try:
        opens = token.opens_with(code) if token else opens_nothing(code)
    except KeyringProblem:
        raise PepperMissing from None
    if token is None or not opens:
        raise BadToken("wrong secret" if token else "unknown")
    return token


def opens_nothing(code: codes.Code) -> bool:
    """False, for the price of a real comparison."""
    digest, _ = secret_digest(code)
    return hmac.compare_digest(bytes(len(digest)), digest)


def reason_against(token: AgentToken, at: datetime) -> str:
    """Why this token opens nothing now; empty where it does."""
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= at:
        return "expired"
    if not token.owner_is_active:
        return "owner deactivated"
    if token.owner_role is None:
        return "owner left the project"
    return "project archived" if token.project_is_archived else ""


def issue(
    project: Project,
    owner: User,
    name: str,
    scopes: Iterable[str],
    expires_at: Expiry = None,
    *,
    actor: Actor,
) -> tuple[AgentToken, str]:
    """A new token and its text, which is shown once. Without an expiry it lives 90 days.

    People make tokens for themselves: a token reaches its owner's own connections.
    """
    is_owner = rights.is_person(actor, owner)
    if not (is_owner or actor.kind == "system"):
        raise NotAllowed("A token reaches its owner's own connections, so only its owner can create it.")
    token = AgentToken(project=project, owner=owner, name=checked_name(name, most=80))
    token.expires_at = checked_expiry(expires_at, at=timezone.now())
    with transaction.atomic():
        role = role_for_tokens(owner, Project.objects.locked(project))
        token.scopes = checked_scopes(scopes, role=role, is_owner=is_owner)
        text = keep_fresh_code(token)
        record("token.created", actor=actor, project=project, detail=told(token))
    return token, text


def rotate(token: AgentToken, overlap: timedelta = OVERLAP, *, actor: Actor) -> tuple[AgentToken, str]:
    """A successor with the same name, scopes and length of life; the old secret lives on for the overlap."""
    if not rights.is_person(actor, token.owner):
        raise NotAllowed("Only its owner can rotate a token. You can revoke it.")
    if not timedelta(0) <= overlap <= OVERLAP_MOST:
        raise InvalidInput("The overlap is at most 7 days.", field="overlap")
    at = timezone.now()
    with transaction.atomic():
        role_for_tokens(token.owner, Project.objects.locked(token.project))
        old = AgentToken.objects.get(pk=token.pk)
        if old.state_at(at) != "active":
            raise Conflict("This token has ended or was rotated before. Rotate the newest, or create one.")
        fresh = AgentToken(family=old.family, project=token.project, owner=token.owner, name=old.name)
        fresh.scopes, fresh.expires_at = old.scopes, same_life(old, at=at)
        text = keep_fresh_code(fresh)
        old.end_soon(at=at, overlap=overlap, successor=fresh)
        detail = told(fresh) | {"replaces": old.public_id, "old_expires_at": old.expires_at}
        record("token.rotated", actor=actor, project=token.project, detail=detail)
    token.refresh_from_db()
    return fresh, text


def revoke(token: AgentToken, actor: Actor) -> int:
    """End every living secret of the token's family at once; how many there were."""
    if not rights.is_person(actor, token.owner):
        rights.require(actor, "tokens.manage")
    with transaction.atomic():
        Project.objects.locked(token.project)  # a rotation under way would add to the family
        ended = token.revoke_family(at=timezone.now())
        if ended:
            detail = told(token) | {"ended": ended}
            record("token.revoked", actor=actor, project=token.project, detail=detail)
    token.refresh_from_db()
    return ended


# --- steps


def role_for_tokens(owner: User, project: Project) -> str:
    """The owner's role in the project, if it lets them have tokens there."""
    if project.archived_at:
        raise Conflict("This project is archived.")
    role = project.role_of(owner)
    if role is None or not owner.is_active:
        raise NotAllowed("Only members of the project have agent tokens in it.")
    if not roles.may(role, "tokens.own"):
        raise NotAllowed(f"{roles.LABELS[role]}s have no agent tokens. Ask an admin for another role.")
    return role


def keep_fresh_code(token: AgentToken) -> str:
    code = codes.mint("at")
    try:
        token.keep(code)
    except KeyringProblem:
        raise PepperMissing from None
    token.save()
    return code.text


def checked_scopes(scopes: Iterable[str], *, role: str, is_owner: bool) -> list[str]:
    """The scopes without doubles, if each is of the list and its owner holds it."""
    asked = list(dict.fromkeys(scopes))
    if not asked:
        raise InvalidInput("Choose at least one scope.", field="scopes")
    if unknown := roles.unknown_scopes(asked):
        message = f"There is no scope {unknown[0]!r:.80}. A scope is one of {', '.join(roles.SCOPES)}, "
        raise ScopeNotAllowed("invalid_input", message + "alone or as scope:provider.", scopes=unknown)
    if beyond := roles.beyond(role, asked):
        message = f"{roles.LABELS[role]}s cannot grant the scope {beyond[0]!r}."
        raise ScopeNotAllowed("out_of_scope", message, scopes=beyond)
    personal = [scope for scope in asked if roles.verb_of(scope) == "global"]
    if personal and not is_owner:
        message = f"Only the token's owner can grant the scope {personal[0]!r}."
        raise ScopeNotAllowed("out_of_scope", message, scopes=personal)
    return asked


def checked_expiry(asked: Expiry, *, at: datetime) -> datetime | None:
    if asked is None:
        return at + LIFE
    if asked == "never":
        if settings.TOKENS_MAY_LIVE_FOREVER:
            return None
        raise InvalidInput("A token lives at most one year here.", field="expires_at")
    if timezone.is_naive(asked):
        raise InvalidInput("The expiry needs a time zone.", field="expires_at")
    if not at < asked <= at + LIFE_MOST:
        raise InvalidInput("The expiry lies between now and a year from now.", field="expires_at")
    return asked


def same_life(token: AgentToken, *, at: datetime) -> datetime | None:
    """A successor lives as long as its forerunner was meant to, within today's limits."""
    if token.expires_at is None:
        return None if settings.TOKENS_MAY_LIVE_FOREVER else at + LIFE
    return at + min(token.expires_at - token.created_at, LIFE_MOST)


def told(token: AgentToken) -> dict[str, object]:
    """What the audit keeps of a token."""
    facts = {"public_id": token.public_id, "name": token.name, "owner": str(token.owner_id)}
    return facts | {"scopes": token.scopes, "expires_at": token.expires_at}
