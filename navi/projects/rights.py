"""Who acts, and whether their role lets them."""

from __future__ import annotations

from navi.audit.actor import Actor
from navi.projects import roles
from navi.projects.errors import NotAllowed
from navi.projects.models import Project, User


def actor_for(user: User, project: Project | None = None, ip: str = "") -> Actor:
    """This person as an actor, with their role in the project at hand.

    A superuser acts as the operator outside projects and in those they are no member of.
    """
    role = project.role_of(user) if project else None
    if role is None and user.is_superuser:
        return operator_for(user, ip)
    return Actor("person", str(user.pk), str(user), user_id=user.pk, role=role, ip=ip)


def operator_for(user: User, ip: str = "") -> Actor:
    """This person at an operator's page or command."""
    return Actor("operator", str(user.pk), str(user), user_id=user.pk, ip=ip)


def is_house(actor: Actor) -> bool:
    """The operator, or Navi itself: above the roles of a project."""
    return actor.kind in {"operator", "system"}


def is_person(actor: Actor, user: User) -> bool:
    """Is this the person, and not an agent that carries their token?"""
    return actor.kind in {"person", "operator"} and actor.user_id == user.pk


def may(actor: Actor, right: str) -> bool:
    """An agent never holds the rights of people; its scopes say what it may."""
    return is_house(actor) or (actor.kind == "person" and roles.may(actor.role, right))


def require(actor: Actor, right: str) -> None:
    if not may(actor, right):
        holders = [f"{roles.LABELS[role].lower()}s" for role in roles.ROLES if roles.may(role, right)]
        raise NotAllowed(f"Only {' and '.join(holders[-2:])} of this project may do this. Ask one of them.")


def require_rank(actor: Actor, *asked: str) -> None:
    """Nobody gives, takes or touches a role above their own."""
    for role in asked:
        if not is_house(actor) and (actor.role is None or roles.rank(role) < roles.rank(actor.role)):
            raise NotAllowed(f"Only an {roles.LABELS[role].lower()} may do this. Ask one of them.")
