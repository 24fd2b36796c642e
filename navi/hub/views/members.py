"""The people of a project: their roles, and the links by which others come in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from navi.audit.problems import Problem
from navi.hub import replies
from navi.hub.doors import ProjectRequest, in_project, own
from navi.hub.fields import Form, choice, email
from navi.hub.navigation import initials
from navi.hub.sentences import a_role
from navi.hub.views.account import ROLE_TEXTS
from navi.projects import people, roles
from navi.projects.models import Invitation, Membership

# --- the list


@in_project(GET="members.view")
def members(request: ProjectRequest) -> HttpResponse:
    return members_page(request, invite_form(request))


def members_page(
    request: ProjectRequest, form: Form, fresh_links: dict[UUID, str] | None = None
) -> HttpResponse:
    may_manage = request.may("members.manage")
    context = {
        "page_title": "Members",
        "members": [told(membership, request) for membership in memberships_of(request)],
        "roles": [{"value": role, "label": roles.LABELS[role]} for role in roles_to_give(request)],
        "invite": {"action_url": here(request, "invite"), "error": form.error} if may_manage else None,
        "form": form,
        "invitations": open_invitations(request, fresh_links or {}) if may_manage else [],
        "role_help": [{"label": roles.LABELS[role], "text": ROLE_TEXTS[role]} for role in roles.ROLES],
        "leave_url": here(request, "leave"),
    }
    return render(request, "hub/members.html", context, status=422 if form.is_wrong else 200)


def memberships_of(request: ProjectRequest) -> list[Membership]:
    rows = request.project.memberships.select_related("user").order_by(Lower("user__name"), "user__email")
    return sorted(rows, key=lambda membership: roles.rank(membership.role))


def told(membership: Membership, request: ProjectRequest) -> dict[str, Any]:
    user, slug = membership.user, request.project.slug
    return {
        "id": str(membership.pk),
        "name": str(user),
        "email": user.email,
        "initials": initials(str(user)),
        "role": membership.role,
        "role_label": roles.LABELS[membership.role],
        "is_you": user == request.user,
        "is_disabled": not user.is_active,
        "last_seen_at": user.last_login,
        "may_change": may_change(membership, request),
        "role_url": reverse("hub:member-role", args=[slug, membership.pk]),
        "remove_url": reverse("hub:remove-member", args=[slug, membership.pk]),
    }


def may_change(membership: Membership, request: ProjectRequest) -> bool:
    """Not oneself, and nobody above oneself."""
    is_below = roles.rank(membership.role) >= roles.rank(request.role)
    return request.may("members.manage") and is_below and membership.user != request.user


def roles_to_give(request: ProjectRequest) -> list[str]:
    return [role for role in roles.ROLES if roles.rank(role) >= roles.rank(request.role)]


def here(request: ProjectRequest, name: str = "members") -> str:
    return reverse(f"hub:{name}", args=[request.project.slug])


# --- roles


@in_project(POST="members.manage")
def member_role(request: ProjectRequest, pk: UUID) -> HttpResponse:
    """A refused change loads the page anew, so that the choice shows what is."""
    membership = own(request.project.memberships.select_related("user", "project"), pk)
    role = request.POST.get("role", "")
    try:
        people.change_role(membership, role, actor=request.actor)
    except Problem as problem:
        return replies.again(request, problem.message, to=here(request), is_wrong=True)
    words = f"{membership.user} is {a_role(role)} now."
    if membership.user == request.user:
        return replies.again(request, words, to=here(request))
    return replies.done(request, words, to=here(request))


@in_project(GET="members.manage", POST="members.manage")
def remove_member(request: ProjectRequest, pk: UUID) -> HttpResponse:
    membership = own(request.project.memberships.select_related("user", "project"), pk)
    name = str(membership.user)
    confirm = {
        "title": f"Remove {name}",
        "message": f"{name} loses access at once, and the tokens of their agents stop working here.",
        "points": ["Connections they made for this project stay.", "Their own keys leave with them."],
        "button": "Remove",
        "keep": "Keep them",
    }
    return end(request, membership, confirm, words=f"{name} is removed.", to=here(request))


@in_project(GET="project.view", POST="project.view")
def leave(request: ProjectRequest) -> HttpResponse:
    membership = request.project.memberships.select_related("user", "project").get(user=request.user)
    confirm = {
        "title": f"Leave {request.project.name}",
        "message": "You lose access at once. To come back, somebody has to invite you.",
        "points": ["Your agents' tokens here end at once.", "Your keys for all projects leave with you."],
        "button": "Leave",
        "keep": "Stay",
    }
    words = f"You have left {request.project.name}."
    return end(request, membership, confirm, words=words, to=reverse("hub:projects"))


def end(
    request: ProjectRequest, membership: Membership, confirm: dict[str, Any], *, words: str, to: str
) -> HttpResponse:
    """Ask, then end a membership."""
    error = None
    if request.method == "POST":
        try:
            people.remove_member(membership, actor=request.actor)
            return replies.go(request, words, to=to)
        except Problem as problem:
            error = {"message": problem.message}
    confirm = {**confirm, "action_url": request.path, "cancel_url": here(request), "error": error}
    back = {"url": here(request), "label": "Members"}
    status = 422 if error else 200
    return replies.dialog(request, "hub/_confirm_dialog.html", {"confirm": confirm}, back=back, status=status)


# --- invitations


@in_project(POST="members.manage")
def invite(request: ProjectRequest) -> HttpResponse:
    """The link is in this answer and in no other."""
    form = invite_form(request).filled(request.POST)
    try:
        invitation, code = people.invite(
            request.project, form.values["role"], form.values["email"], actor=request.actor
        )
    except Problem as problem:
        return members_page(request, form.refused(problem))
    link = settings.BASE_URL + reverse("hub:invitation", args=[code])
    return members_page(request, invite_form(request), {invitation.pk: link})


def invite_form(request: ProjectRequest) -> Form:
    hint = "Only this person can use the link then. Without one, whoever has the link."
    given = [(role, roles.LABELS[role]) for role in reversed(roles_to_give(request))]
    usual = roles.MEMBER if request.may("members.manage") else roles.VIEWER
    return Form(email(hint=hint, required=False, autocomplete="off"), choice("role", "Role", given, usual))


def open_invitations(request: ProjectRequest, fresh_links: dict[UUID, str]) -> list[dict[str, Any]]:
    rows = (
        Invitation.objects.filter(project=request.project).open(timezone.now()).select_related("invited_by")
    )
    return [
        {
            "id": str(row.pk),
            "email": row.email,
            "role_label": roles.LABELS[row.role],
            "expires_at": row.expires_at,
            "invited_by": str(row.invited_by or "an operator"),
            "revoke_url": reverse("hub:revoke-invitation", args=[request.project.slug, row.pk]),
            "may_revoke": row.role in roles_to_give(request),
            "link": fresh_links.get(row.pk, ""),
        }
        for row in rows
    ]


@in_project(POST="members.manage")
def revoke_invitation(request: ProjectRequest, pk: UUID) -> HttpResponse:
    invitation = own(Invitation.objects.filter(project=request.project).select_related("project"), pk)
    people.revoke_invitation(invitation, actor=request.actor)
    return replies.go(request, "The invitation is withdrawn; its link opens nothing.", to=here(request))
