"""The rules behind approvals: added, changed, removed by the project's admins."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from integrations.models import ActionRule
from integrations.runtime import rules
from navi.audit.problems import Problem
from navi.hub import approving, replies
from navi.hub.doors import ProjectRequest, in_project, own
from navi.hub.fields import Form, choice, text
from navi.projects.models import AgentToken

EFFECTS = (
    ("ask", "Ask a person", "The call waits under Approvals for up to a day"),
    ("deny", "Deny", "The call is refused at once"),
    ("allow", "Allow", "Takes back a less specific rule"),
)


@in_project(GET="integrations.manage", POST="integrations.manage")
def add(request: ProjectRequest) -> HttpResponse:
    """About everything, a plugin or an action; for every token or one."""
    form = rule_form(request)
    if request.method == "POST":
        form = form.filled(request.POST)
        try:
            create(request, form.values)
        except Problem as problem:
            form = form.refused(problem, names={"plugin": "thing", "action": "thing"})
        else:
            return replies.again(request, "The rule holds from now on.", to=here(request))
    return dialog(request, form, title="Add a rule", button="Add rule")


def create(request: ProjectRequest, values: Mapping[str, Any]) -> None:
    plugin, _, action = values["thing"].partition(".")
    rules.create(
        request.project, request.actor, effect=values["effect"], plugin=plugin, action=action,
        token=token_of(request, values["token"]), note=values["note"],
    )  # fmt: skip


@in_project(GET="integrations.manage", POST="integrations.manage")
def edit(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    """Another effect or note; what it is about stays."""
    rule: ActionRule = own(ActionRule.objects.in_project(request.project).select_related("token"), pk)
    form = Form(effect_field(rule.effect), note_field(rule.note))
    if request.method == "POST":
        form = form.filled(request.POST)
        try:
            rules.change(rule, request.actor, effect=form.values["effect"], note=form.values["note"])
        except Problem as problem:
            form = form.refused(problem)
        else:
            return replies.again(request, "The rule is changed.", to=here(request))
    about = approving.thing_of(rule) + (f", with the token {rule.token.name}" if rule.token else "")
    return dialog(request, form, title="Change the rule", button="Save", lead=about)


@in_project(GET="integrations.manage", POST="integrations.manage")
def delete(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    rule: ActionRule = own(ActionRule.objects.in_project(request.project).select_related("token"), pk)
    if request.method == "POST":
        rules.delete(rule, request.actor)
        return replies.again(request, "The rule is removed.", to=here(request))
    confirm = {
        "title": "Remove the rule",
        "message": f"“{rule.get_effect_display()}” no longer holds for: {approving.thing_of(rule)}.",
        "points": ["Where no other rule says anything, agents may do it without being asked."],
        "action_url": request.path,
        "cancel_url": here(request),
        "button": "Remove",
    }
    return answer(request, "hub/_confirm_dialog.html", {"confirm": confirm})


# --- the form


def rule_form(request: ProjectRequest) -> Form:
    named = [(value, label) for value, label in approving.things(request).items()]
    tokens = [("", "Every token"), *((str(token.pk), token.name) for token in living_tokens(request))]
    return Form(
        choice("thing", "About", named, request.GET.get("thing", ""), required=False),
        choice("token", "For", tokens, "", required=False),
        effect_field("ask"),
        note_field(""),
    )


def effect_field(value: str) -> Any:
    return choice("effect", "What happens", EFFECTS, value, look="radio")


def note_field(value: str) -> Any:
    hint = "Agents are told it with the refusal, people with the question."
    return text("note", "Why", value=value, required=False, hint=hint)


def living_tokens(request: ProjectRequest) -> list[AgentToken]:
    rows = AgentToken.objects.filter(project=request.project, replaced_by=None).living(timezone.now())
    return list(rows.order_by("name"))


def token_of(request: ProjectRequest, chosen: str) -> AgentToken | None:
    """The token that was chosen among those offered. Raises Problem."""
    if not chosen:
        return None
    found = next((token for token in living_tokens(request) if str(token.pk) == chosen), None)
    if found is None:
        raise Problem("invalid_input", "This token is gone. Choose another one.", field="token")
    return found


def here(request: ProjectRequest) -> str:
    return reverse("hub:approvals", args=[request.project.slug]) + "#rules"


def dialog(request: ProjectRequest, form: Form, *, title: str, button: str, lead: str = "") -> HttpResponse:
    told = {
        "title": title, "lead": lead, "button": button, "action_url": request.path,
        "cancel_url": here(request), "error": form.error,
    }  # fmt: skip
    status = 422 if form.is_wrong else 200
    return answer(request, "hub/_rule_form.html", {"dialog": told, "form": form}, status=status)


def answer(
    request: ProjectRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    back = {"url": here(request), "label": "Approvals"}
    around = {"page_title": "Rules", **context}
    return replies.dialog(request, template, around, back=back, status=status)
