"""A project's rules for its agents: made, changed and taken back by its admins, each time remembered."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from integrations import registry
from integrations.models import ActionRule, Effect
from integrations.ruling import name_of
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.projects.models import AgentToken, Project
from navi.projects.rights import require

NOTE_LONGEST = 200
RIGHT = "integrations.manage"


def create(
    project: Project,
    actor: Actor,
    *,
    effect: str,
    plugin: str = "",
    action: str = "",
    tool: str = "",
    token: AgentToken | None = None,
    note: str = "",
) -> ActionRule:
    """A new rule. Raises Problem: out_of_scope, invalid_input, conflict where there is one for the same."""
    require(actor, RIGHT)
    check_effect(effect)
    check_named(project, plugin, action, token)
    rule = ActionRule(
        project=project, plugin=plugin, action=action, tool=tool, token=token, effect=effect, note=tidy(note),
        created_by=actor.label[:160],
    )  # fmt: skip
    try:
        with transaction.atomic():
            rule.save(force_insert=True)
            told("rule.created", rule, actor)
    except IntegrityError:
        raise Problem("conflict", "There is a rule for this already. Change that one.") from None
    return rule


def change(rule: ActionRule, actor: Actor, *, effect: str, note: str | None = None) -> None:
    """Another effect for the same things. Raises Problem."""
    require(actor, RIGHT)
    check_effect(effect)
    before = rule.effect
    rule.effect, rule.note = effect, rule.note if note is None else tidy(note)
    with transaction.atomic():
        rule.save(update_fields=["effect", "note"])
        told("rule.updated", rule, actor, was=before)


def always_allow(project: Project, actor: Actor, *, plugin: str, action: str, token: AgentToken) -> None:
    """From now on this token does this without being asked about."""
    same = {"plugin": plugin, "action": action, "tool": "", "token": token}
    known = ActionRule.objects.in_project(project).filter(**same).first()
    if known is None:
        create(project, actor, effect=Effect.ALLOW, plugin=plugin, action=action, token=token)
    elif known.effect != Effect.ALLOW:
        change(known, actor, effect=Effect.ALLOW)


def delete(rule: ActionRule, actor: Actor) -> None:
    require(actor, RIGHT)
    with transaction.atomic():
        told("rule.deleted", rule, actor)
        rule.delete()


# --- checks


def check_effect(effect: str) -> None:
    if effect not in Effect.values:
        raise Problem("invalid_input", "Choose allow, ask or deny.", field="effect")


def check_named(project: Project, plugin: str, action: str, token: AgentToken | None) -> None:
    """A rule that names what is not there would protect nothing, and look as if it did."""
    if token is not None and token.project_id != project.pk:
        raise Problem("invalid_input", "This token is not of this project.", field="token")
    try:
        if action:
            registry.action(plugin, action, project.pk)
        elif plugin:
            registry.plugin(plugin, project.pk)
    except Problem:
        words = "There is no such plugin here." if not action else "There is no such action here."
        raise Problem("invalid_input", words, field="action" if action else "plugin") from None


def tidy(note: str) -> str:
    return note.replace("\0", "").strip()[:NOTE_LONGEST]


def told(event: str, rule: ActionRule, actor: Actor, **more: Any) -> None:
    token = {"token": rule.token.public_id, "token_name": rule.token.name} if rule.token else {}
    detail = {
        "rule": name_of(rule),
        "effect": rule.effect,
        "tool": rule.tool,
        "note": rule.note,
        **token,
        **more,
    }
    record(
        event, actor=actor, project=rule.project, plugin=rule.plugin, action=rule.action,
        detail={name: value for name, value in detail.items() if value},
    )  # fmt: skip
