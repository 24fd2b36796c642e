"""Calls of agents that wait for a person, and what became of them."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from integrations.models import Approval
from integrations.runtime import approvals as flow
from integrations.runtime import rules
from navi.audit.problems import Problem
from navi.hub import approving, replies
from navi.hub.answers import explained, toast
from navi.hub.doors import ProjectRequest, in_project, own
from navi.hub.fields import storable
from navi.projects.models import AgentToken


@in_project(GET="integrations.view")
def approvals(request: ProjectRequest) -> HttpResponse:
    """What waits, what was decided, and for admins the rules behind it."""
    may_manage = request.may("integrations.manage")
    slug = request.project.slug
    context = {
        "page_title": "Approvals",
        **waiting_context(request),
        "decided": approving.decided(request, page_of(request)),
        "rules": approving.rules_told(request) if may_manage else None,
        "new_rule_url": reverse("hub:rule-new", args=[slug]) if may_manage else "",
        "help_url": "/help/approvals",
    }
    return render(request, "hub/approvals.html", context)


def waiting_context(request: ProjectRequest) -> dict[str, Any]:
    return {
        "waiting": approving.told(request, approving.waiting(request)),
        "refresh_url": reverse("hub:approvals-waiting", args=[request.project.slug]),
        "is_all": request.may("integrations.manage"),
    }


def page_of(request: ProjectRequest) -> int:
    asked = request.GET.get("page", "")
    return max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 1


@in_project(GET="integrations.view")
def waiting(request: ProjectRequest) -> HttpResponse:
    """What has come or gone since the page was drawn: rows that stay are not touched, nor a note in them."""
    if not replies.wants_fragment(request):
        return replies.see_other(reverse("hub:approvals", args=[request.project.slug]))
    rows = approving.waiting(request)
    known = {storable(one) for one in request.GET.getlist("known") if one}
    now = {str(row.run_id) for row in rows}
    if known == now:
        return HttpResponse(status=204)
    if not known or not now:
        return render(request, "hub/_approvals_waiting.html", {**waiting_context(request), "is_oob": True})
    fresh = [row for row in rows if str(row.run_id) not in known]
    gone = sorted(one for one in known - now if is_id(one))
    context = {"fresh": approving.told(request, fresh), "gone": gone}
    return render(request, "hub/_approvals_changed.html", context)


def is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


@in_project(POST="tokens.own")
@explained
def grant(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    """This call, once."""
    approval = found(request, pk)
    flow.grant(approval, request.actor, note=note_of(request))
    return answered(request, approval, "Approved. It happens once, exactly as shown.")


@in_project(POST="tokens.own")
@explained
def deny(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    approval = found(request, pk)
    flow.deny(approval, request.actor, note=note_of(request))
    return answered(request, approval, "Denied. The agent is told.")


@in_project(POST="integrations.manage")
@explained
def always(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    """This call, and from now on this action for this token without being asked."""
    approval = found(request, pk)
    run = approval.run
    token = AgentToken.objects.filter(project=request.project, public_id=run.actor_id).first()
    if token is None:
        raise Problem("conflict", "This agent's token is gone.")
    flow.grant(approval, request.actor, note=note_of(request))
    rules.always_allow(request.project, request.actor, plugin=run.plugin, action=run.action, token=token)
    return answered(request, approval, f"Approved. {token.name} is no longer asked about this action.")


def found(request: ProjectRequest, pk: uuid.UUID) -> Approval:
    approval: Approval = own(approving.in_reach(request), pk)
    return approval


def note_of(request: ProjectRequest) -> str:
    return storable(request.POST.get("note", ""))


def answered(request: ProjectRequest, approval: Approval, words: str) -> HttpResponse:
    """The row as it stands now, in the place where it waited."""
    if not replies.wants_fragment(request):
        return replies.go(request, words, to=reverse("hub:approvals", args=[request.project.slug]))
    row = approving.ended(approving.in_reach(request).get(pk=approval.pk))
    return toast(render(request, "hub/_approval_decided.html", {"row": row, "is_fresh": True}), words)
