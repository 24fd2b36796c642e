"""Approvals and rules as their pages show them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from credentials.vault import Unreadable, VaultSealed
from integrations import registry
from integrations.models import ActionRule, ActionRun, Approval
from integrations.models.runs import ApprovalQuerySet
from integrations.ruling import weight
from navi.audit.problems import Problem
from navi.hub.doors import ProjectRequest
from navi.projects.models import AgentToken

SHOWN = 50  # waiting ones; the others follow when these are decided
PAGE = 20
KEPT = timedelta(days=30)
LONG = 160
# What could make arguments look like others: controls, what turns the direction of the writing around, what is
# not seen at all (soft hyphens, fillers, tags), and halves of surrogate pairs, which no page can be made of.
TRICKS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# How an end is drawn: shape and word.
ENDS = {
    Approval.State.GRANTED: ("unknown", "Approved, being done"),
    Approval.State.DENIED: ("failed", "Denied"),
    Approval.State.EXPIRED: ("disabled", "Expired"),
}
OUTCOMES = {
    ActionRun.State.SUCCEEDED: ("healthy", "Approved and done"),
    ActionRun.State.QUEUED: ("unknown", "Approved, in its queue"),
    ActionRun.State.RUNNING: ("unknown", "Approved, being done"),
    ActionRun.State.FAILED: ("degraded", "Approved, but it failed"),
    ActionRun.State.OUTCOME_UNKNOWN: ("degraded", "Approved, outcome unknown"),
}
EFFECTS = {"allow": ("healthy", "Allow"), "ask": ("degraded", "Ask a person"), "deny": ("failed", "Deny")}


def in_reach(request: ProjectRequest) -> ApprovalQuerySet:
    """All of the project for those who manage it; for others those of their own tokens."""
    rows = Approval.objects.in_project(request.project).select_related("run__connection", "rule")
    if request.may("integrations.manage"):
        return rows
    own = AgentToken.objects.filter(project=request.project, owner=request.user)
    return rows.filter(run__actor_id__in=own.values("public_id"))


# --- what waits


def waiting(request: ProjectRequest) -> list[Approval]:
    """The oldest first."""
    return list(in_reach(request).waiting(timezone.now()).order_by("asked_at")[:SHOWN])


def told(request: ProjectRequest, rows: Iterable[Approval]) -> list[dict[str, Any]]:
    """Each as _approval.html takes it: one query more for the tokens' owners."""
    rows = list(rows)
    owners = owners_of(request, rows)
    return [one_told(request, row, owners.get(row.run.actor_id, "")) for row in rows]


def owners_of(request: ProjectRequest, rows: Iterable[Approval]) -> dict[str, str]:
    """By the token's public id."""
    wanted = {row.run.actor_id for row in rows}
    found = AgentToken.objects.filter(project=request.project, public_id__in=wanted).select_related("owner")
    return {token.public_id: str(token.owner) for token in found}


def one_told(request: ProjectRequest, row: Approval, owner: str) -> dict[str, Any]:
    run, slug = row.run, request.project.slug
    arguments = arguments_of(run)
    return {
        "id": str(run.pk),
        "pk": str(row.pk),
        **what(run),
        "arguments": arguments,
        "is_readable": arguments is not None,
        "account": run.connection.label if run.connection else "",
        "agent": run.actor_label,
        "owner": owner,
        "reason": row.reason,
        "queue": run.queue,
        "asked_at": row.asked_at,
        "expires_at": row.expires_at,
        "grant_url": reverse("hub:approval-grant", args=[slug, row.pk]),
        "deny_url": reverse("hub:approval-deny", args=[slug, row.pk]),
        "always_url": reverse("hub:approval-always", args=[slug, row.pk])
        if request.may("integrations.manage")
        else "",
    }


def what(run: ActionRun) -> dict[str, str]:
    """The action in words, and what it may do."""
    name = f"{run.plugin}.{run.action}"
    try:
        entry, action = registry.action(run.plugin, run.action, run.project_id)
    except Problem:
        return {"title": name, "name": name, "provider": run.plugin, "risk": "", "icon": run.plugin}
    risk = "destroy" if action.destroys else "write" if action.writes else ""
    return {"title": action.title, "name": name, "provider": entry.name, "risk": risk, "icon": entry.slug}


def arguments_of(run: ActionRun) -> list[dict[str, str]] | None:
    """Every argument as it will be sent; None where they cannot be opened now."""
    try:
        found = run.arguments.reveal() if run.arguments else None
    except (VaultSealed, Unreadable):
        return None
    return None if found is None else [argument(name, value) for name, value in found.items()]


def argument(name: str, value: Any) -> dict[str, str]:
    """How one argument is shown: in a line, folded where it is long, as JSON where it has parts."""
    label = visible(name.replace("_", " ").capitalize())
    if isinstance(value, dict | list):
        text = visible(json.dumps(value, indent=2, ensure_ascii=False))
        return {"name": label, "text": text, "look": "json", "start": text[:LONG]}
    text = visible(value if isinstance(value, str) else json.dumps(value))
    is_long = len(text) > LONG or "\n" in text
    return {"name": label, "text": text, "look": "long" if is_long else "line", "start": beginning(text)}


def beginning(text: str) -> str:
    first = text.strip().partition("\n")[0][:LONG]
    return f"{first} …" if len(first) < len(text) else first


def visible(text: str) -> str:
    """The text with its invisible signs spelled out: what is approved is what is read."""
    return TRICKS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


# --- what is decided


def decided(request: ProjectRequest, page: int) -> dict[str, Any]:
    """A page of those decided or expired within 30 days, the newest first."""
    now = timezone.now()
    rows = in_reach(request).exclude(state=Approval.State.WAITING).filter(asked_at__gt=now - KEPT)
    found = list(rows.order_by("-asked_at")[(page - 1) * PAGE : page * PAGE + 1])
    here = reverse("hub:approvals", args=[request.project.slug])
    return {
        "rows": [ended(row) for row in found[:PAGE]],
        "newer_url": f"{here}?page={page - 1}#decided" if page > 1 else "",
        "older_url": f"{here}?page={page + 1}#decided" if len(found) > PAGE else "",
    }


def ended(row: Approval) -> dict[str, Any]:
    state, word = end_of(row)
    return {
        "id": str(row.run_id),
        **what(row.run),
        "health": {"state": state, "word": word},
        "agent": row.run.actor_label,
        "account": row.run.connection.label if row.run.connection else "",
        "by": row.decided_by,
        "at": row.decided_at or row.expires_at,
        "note": row.note,
    }


def end_of(row: Approval) -> tuple[str, str]:
    if row.state == Approval.State.USED:
        return OUTCOMES.get(ActionRun.State(row.run.state), ("unknown", "Approved"))
    return ENDS.get(Approval.State(row.state), ("unknown", row.get_state_display()))


# --- rules


def rules_told(request: ProjectRequest) -> list[dict[str, Any]]:
    """The project's rules, the most specific first."""
    rows = ActionRule.objects.in_project(request.project).select_related("token")
    return [rule_told(request, row) for row in sorted(rows, key=weight, reverse=True)]


def rule_told(request: ProjectRequest, rule: ActionRule) -> dict[str, Any]:
    slug = request.project.slug
    state, word = EFFECTS[rule.effect]
    return {
        "id": str(rule.pk),
        "health": {"state": state, "word": word},
        "thing": thing_of(rule),
        "token": rule.token.name if rule.token else "",
        "note": rule.note,
        "by": rule.created_by,
        "edit_url": reverse("hub:rule-edit", args=[slug, rule.pk]),
        "delete_url": reverse("hub:rule-delete", args=[slug, rule.pk]),
    }


def thing_of(rule: ActionRule) -> str:
    if rule.action or rule.tool:
        known = registry.installed().plugins.get(rule.plugin)
        action = known.actions.get(rule.action) if known else None
        return f"{name_of(rule.plugin)}: {action.title if action else rule.action or rule.tool}"
    return f"All of {name_of(rule.plugin)}" if rule.plugin else "Everything"


def name_of(plugin: str) -> str:
    known = registry.installed().plugins.get(plugin)
    return known.name if known else plugin


def things(request: ProjectRequest) -> Mapping[str, str]:
    """What a rule may be about, as the form offers it: everything, a plugin, one of its actions."""
    found = {"": "Everything"}
    for entry in registry.entries(request.project.pk):
        for plugin in entry.plugins:
            if plugin.actions:
                found[plugin.slug] = f"All of {plugin.name}"
                found |= {one.id: f"{plugin.name}: {one.title}" for one in plugin.actions.values()}
    return found
