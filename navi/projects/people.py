"""Projects, the people in them, and the links by which people come in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count, islice

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from navi.audit.actor import Actor
from navi.audit.record import record
from navi.keyring import KeyringProblem
from navi.projects import codes, roles
from navi.projects.checks import AccountExists, checked_email, checked_name, checked_role, new_person
from navi.projects.errors import (
    AlreadyMember,
    Conflict,
    InvalidInput,
    InvitationClosed,
    LastOwner,
    NotAllowed,
    PepperMissing,
)
from navi.projects.models import AgentToken, Invitation, Membership, Project, User
from navi.projects.rights import actor_for, is_person, require, require_rank
from navi.projects.signals import member_gone

INVITATION_LIFE, INVITATION_LIFE_MOST = timedelta(days=7), timedelta(days=30)
OPERATOR_LINK_LIFE = timedelta(hours=24)
# Words that an address of ours uses where a project's slug could stand.
RESERVED_SLUGS = frozenset(
    {"admin", "api", "cli", "help", "hooks", "join", "llms", "mcp", "new", "oauth", "p", "settings"}
    | {"set-up", "sign-in", "sign-out", "static"}
)

# --- projects


def create_project(name: str, owner: User, *, actor: Actor, slug: str | None = None) -> Project:
    """A project with its first owner. Without a slug, one is made from the name."""
    name = checked_name(name, most=120)
    with transaction.atomic():
        project = with_chosen_slug(name, slug) if slug else with_free_slug(name)
        Membership.objects.create(project=project, user=owner, role=roles.OWNER)
        record("project.created", actor=actor, project=project, detail={"name": name, "owner": str(owner.pk)})
    return project


def rename(project: Project, name: str, *, actor: Actor) -> None:
    """A new name; the slug, and with it every address, stays."""
    require(actor, "project.update")
    detail = {"name": checked_name(name, most=120), "was": project.name}
    with transaction.atomic():
        project.rename(detail["name"])
        record("project.updated", actor=actor, project=project, detail=detail)


def archive(project: Project, *, actor: Actor) -> None:
    """The project leaves the lists, and its agents' tokens open nothing any more."""
    require(actor, "project.delete")
    with transaction.atomic():
        if Project.objects.locked(project).archived_at is None:
            project.archive(at=timezone.now())
            record("project.archived", actor=actor, project=project)


def with_chosen_slug(name: str, slug: str) -> Project:
    if slug != slugify(slug) or len(slug) > 60:
        raise InvalidInput("A slug has small letters, digits and hyphens, 60 at most.", field="slug")
    project = None if slug in RESERVED_SLUGS else created_unless_taken(name, slug)
    if project is None:
        raise Conflict(f"The slug {slug} is taken. Choose another one.", field="slug")
    return project


def with_free_slug(name: str) -> Project:
    taken = set(Project.objects.values_list("slug", flat=True)) | RESERVED_SLUGS
    free = (slug for slug in slugs_for(name) if slug not in taken)
    for slug in islice(free, 20):
        if project := created_unless_taken(name, slug):
            return project
    raise Conflict("Many projects of this name were made just now. Try again.", field="name")


def slugs_for(name: str) -> Iterator[str]:
    """acme, acme-2, acme-3, …"""
    base = slugify(name)[:50].strip("-") or "project"
    yield base
    yield from (f"{base}-{number}" for number in count(2))


def created_unless_taken(name: str, slug: str) -> Project | None:
    try:
        with transaction.atomic():
            return Project.objects.create(name=name, slug=slug)
    except IntegrityError:
        return None


# --- invitations


def invite(
    project: Project,
    role: str,
    email: str = "",
    *,
    actor: Actor,
    expires_in: timedelta = INVITATION_LIFE,
) -> tuple[Invitation, str]:
    """A link that makes one member, and its code, which is shown once."""
    require(actor, "members.manage")
    require_rank(actor, checked_role(role))
    email = checked_email(email) if email.strip() else ""
    if email and project.memberships.filter(user__email__iexact=email).exists():
        raise AlreadyMember("This person is a member already.", field="email")
    if not timedelta(0) < expires_in <= INVITATION_LIFE_MOST:
        raise InvalidInput("An invitation stays open for 30 days at most.", field="expires_in")
    inviter = User.objects.filter(pk=actor.user_id).first() if actor.user_id else None
    invitation = Invitation(project=project, role=role, email=email, invited_by=inviter)
    with transaction.atomic():
        text = keep_fresh_code(invitation, expires_in)
        detail = {"invitation": invitation.public_id, "role": role, "email": email}
        record("member.invited", actor=actor, project=project, detail=detail)
    return invitation, text


def open_invitation(code_text: str) -> Invitation:
    """The invitation to a project that this code opens. Raises InvitationClosed."""
    invitation = by_code(code_text)
    if invitation.project is None or invitation.project.archived_at or not inviter_may_still(invitation):
        raise InvitationClosed
    return invitation


def accept(code_text: str, user: User, ip: str = "") -> Membership:
    """Make this person a member. The link works once."""
    invitation = open_invitation(code_text)
    if invitation.email and invitation.email.lower() != user.email.lower():
        raise NotAllowed("This invitation is for another e-mail address. Sign in with that one.")
    project, at = invitation.project, timezone.now()
    assert project is not None  # noqa: S101  (open_invitation saw to it)
    with transaction.atomic():
        Project.objects.locked(project)
        if project.memberships.filter(user=user).exists():
            raise AlreadyMember("You are a member of this project already.")
        if not invitation.consume(user=user, at=at):
            raise InvitationClosed
        membership = Membership.objects.create(project=project, user=user, role=invitation.role)
        detail = {"invitation": invitation.public_id, "user": str(user.pk), "role": invitation.role}
        record("member.joined", actor=actor_for(user, project, ip), project=project, detail=detail)
    return membership


def sign_up(code_text: str, *, email: str, name: str, password: str, ip: str = "") -> User:
    """An account for an invited person who has none, and their membership: both or neither."""
    open_invitation(code_text)
    user = new_person(email=email, name=name, password=password)
    with transaction.atomic():
        accept(code_text, saved(user), ip)
    return user


def revoke_invitation(invitation: Invitation, *, actor: Actor) -> None:
    require(actor, "members.manage")
    require_rank(actor, invitation.role)
    with transaction.atomic():
        if Invitation.objects.filter(pk=invitation.pk).revoke(at=timezone.now()):
            detail = {"invitation": invitation.public_id, "email": invitation.email}
            record("invitation.revoked", actor=actor, project=invitation.project, detail=detail)


def by_code(code_text: str) -> Invitation:
    """The open invitation of this code; whatever is wrong with it, the answer is the same."""
    try:
        invitation = Invitation.objects.by_code(codes.parse(code_text, kind="inv"))
    except KeyringProblem:
        raise PepperMissing from None
    if not isinstance(invitation, Invitation) or not invitation.is_open:
        raise InvitationClosed
    return invitation


def inviter_may_still(invitation: Invitation) -> bool:
    """An invitation is worth what its inviter could give now."""
    inviter, project = invitation.invited_by, invitation.project
    if inviter is None or project is None:
        return True
    actor = actor_for(inviter, project)
    try:
        require(actor, "members.manage")
        require_rank(actor, invitation.role)
    except NotAllowed:
        return False
    return inviter.is_active


# --- members


def add_member(project: Project, user: User, role: str, *, actor: Actor) -> Membership:
    """A member without an invitation: for operators."""
    require(actor, "members.manage")
    require_rank(actor, checked_role(role))
    with transaction.atomic():
        Project.objects.locked(project)
        if project.memberships.filter(user=user).exists():
            raise AlreadyMember("This person is a member already.", field="user")
        membership = Membership.objects.create(project=project, user=user, role=role)
        detail = {"user": str(user.pk), "role": role}
        record("member.joined", actor=actor, project=project, detail=detail)
    return membership


def change_role(membership: Membership, role: str, *, actor: Actor) -> None:
    """Another role, never above the actor's own; the last owner stays one."""
    require(actor, "members.manage")
    checked_role(role)
    with transaction.atomic():
        fresh = locked(membership)
        require_rank(actor, fresh.role, role)
        if fresh.role == role:
            return
        if role != roles.OWNER:
            require_another_owner(fresh)
        detail = {"user": str(fresh.user_id), "role": role, "was": fresh.role}
        fresh.change_role(role)
        record("member.role_changed", actor=actor, project=fresh.project, detail=detail)
    membership.role = role


def remove_member(membership: Membership, *, actor: Actor) -> None:
    """Somebody leaves, or is removed; their agents' tokens here end at once."""
    leaves = is_person(actor, membership.user)
    if not leaves:
        require(actor, "members.manage")
    with transaction.atomic():
        fresh, at = locked(membership), timezone.now()
        if not leaves:
            require_rank(actor, fresh.role)
        require_another_owner(fresh)
        project, user = fresh.project, fresh.user
        fresh.delete()
        ended = AgentToken.objects.end_rights_in(project, user, at=at)
        detail = {"user": str(user.pk), "role": fresh.role, "tokens_ended": ended}
        record("member.left" if leaves else "member.removed", actor=actor, project=project, detail=detail)
        member_gone.send(Membership, project=project, user=user, actor=actor, at=at)


def locked(membership: Membership) -> Membership:
    """The membership as it is now, while nobody else changes the project's members."""
    Project.objects.locked(membership.project)
    fresh = Membership.objects.select_related("project", "user").filter(pk=membership.pk).first()
    if fresh is None:
        raise Conflict("This person has left the project already.")
    return fresh


def require_another_owner(membership: Membership) -> None:
    if membership.role == roles.OWNER:
        others = Membership.objects.owners(membership.project).exclude(pk=membership.pk)
        if not others.exists():
            raise LastOwner


# --- operators


def first_operator_link() -> str | None:
    """The address where the first operator makes their account; None once there is one."""
    if User.objects.operators().exists():
        return None
    invitation = Invitation(project=None)
    with transaction.atomic():
        Invitation.objects.for_operators().revoke(at=timezone.now())
        text = keep_fresh_code(invitation, OPERATOR_LINK_LIFE)
    return f"{settings.BASE_URL}/set-up/{text}"


def open_set_up(code_text: str) -> Invitation:
    """The first operator's link, while it is open and needed. Raises InvitationClosed."""
    invitation = by_code(code_text)
    if invitation.project is not None or User.objects.operators().exists():
        raise InvitationClosed
    return invitation


def make_operator(code_text: str, *, email: str, name: str, password: str, ip: str = "") -> User:
    """The first operator, from the link of the first start. There is only one first."""
    open_set_up(code_text)
    user = new_person(email=email, name=name, password=password)
    user.is_staff = user.is_superuser = True
    with transaction.atomic():
        # Two links may be open for a moment, so two people wait for each other here.
        list(Invitation.objects.for_operators().select_for_update().order_by("pk"))
        invitation = open_set_up(code_text)
        if not invitation.consume(user=saved(user), at=timezone.now()):
            raise InvitationClosed
        Invitation.objects.for_operators().revoke(at=timezone.now())
        record("operator.created", actor=actor_for(user, ip=ip), detail={"email": user.email})
    return user


def appoint_operator(user: User, *, actor: Actor) -> None:
    if not (user.is_superuser and user.is_staff and user.is_active):
        with transaction.atomic():
            user.become_operator()
            record("operator.created", actor=actor, detail={"email": user.email})


def set_active(user: User, is_active: bool, *, actor: Actor) -> None:
    """Let somebody in again, or keep them and their agents out."""
    if not is_active and is_person(actor, user):
        raise Conflict("You cannot disable yourself. Ask another operator.")
    if user.is_active == is_active:
        return
    with transaction.atomic():
        user.enable() if is_active else user.disable()
        event = "user.enabled" if is_active else "user.disabled"
        record(event, actor=actor, detail={"user": str(user.pk), "email": user.email})


# --- steps


def saved(user: User) -> User:
    """The new account, unless somebody with this address was faster."""
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise AccountExists from None
    return user


def keep_fresh_code(invitation: Invitation, life: timedelta) -> str:
    code = codes.mint("inv")
    try:
        invitation.keep(code)
    except KeyringProblem:
        raise PepperMissing from None
    invitation.expires_at = timezone.now() + life
    invitation.save()
    return code.text
