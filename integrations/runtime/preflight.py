"""What would fail in the time ahead, and the fix for each: asked before a long run begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from credentials.models import Connection
from credentials.resolve import connection_for
from integrations import policy, registry, ruling
from integrations.registry import Entry
from integrations.runtime.plan import check_granted, lacking_of
from integrations.runtime.recovery import next_step
from integrations.sdk import Action
from navi.audit.actor import Actor
from navi.audit.problems import Problem


def preflight(
    actor: Actor, project: Any, needs: Sequence[Mapping[str, Any]], *, seconds: int
) -> dict[str, Any]:
    """Every need, with what would stand in its way. No vendor is asked."""
    found = [need_told(actor, project, need) for need in needs]
    return {"ok": all(one["ok"] for one in found), "for": seconds, "needs": found}


def need_told(actor: Actor, project: Any, need: Mapping[str, Any]) -> dict[str, Any]:
    problems = [told(problem, project) for problem in obstacles(actor, project, need)]
    return {"provider": need["provider"], "ok": not problems, "problems": problems}


def told(problem: Problem, project: Any) -> dict[str, Any]:
    step = next_step(problem, project_slug=project.slug)
    return {
        "code": step.code, "message": step.message, "action": step.action, "link": step.link, "cli": step.cli,
        "missingScopes": list(step.missing_scopes),
    }  # fmt: skip


def obstacles(actor: Actor, project: Any, need: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        entry = registry.entry(need["provider"], project.pk)
        standing = policy.standing(entry, project_id=project.pk, user_id=actor.user_id)
        policy.check_open(entry, standing.effective)
        person = entry.person(actor.user_id)
        connection = connection_for(entry.slug, name=entry.name, project_id=project.pk, user_id=person)
    except Problem as problem:
        yield problem
        return
    yield from lacking_scopes(need, connection, entry)
    for name in need["actions"]:
        yield from obstacles_of_action(actor, project, name, connection, entry, standing)


def lacking_scopes(need: Mapping[str, Any], connection: Connection, entry: Entry) -> Iterator[Problem]:
    lacking = lacking_of(need["scopes"], connection, entry)
    if lacking:
        words = f"The connected {entry.name} account has not granted {', '.join(lacking)}."
        yield Problem("missing_scopes", words, missing_scopes=lacking, provider=entry.slug)


def obstacles_of_action(
    actor: Actor, project: Any, name: str, connection: Connection, entry: Entry, standing: policy.Standing
) -> Iterator[Problem]:
    plugin, dot, action_name = name.rpartition(".")
    try:
        found, action = registry.action(plugin if dot else entry.plugins[0].slug, action_name, project.pk)
        if found.slug != entry.slug:
            words = f"The action {name} belongs to {found.name}. List it as a need of its own."
            raise Problem("invalid_input", words, field="actions")
        policy.check_open(entry, standing.effective_of(action.plugin))
        policy.check_scope(actor, action.verb, entry.slug)
        check_rules(actor, project, action)
        check_granted(action, connection, entry)
    except Problem as problem:
        yield problem


def check_rules(actor: Actor, project: Any, action: Action) -> None:
    """Raises Problem where a rule denies it, or has a person asked first."""
    found = ruling.rules_for(actor, project.pk).ruling(action.plugin.slug, action.name)
    ruling.check_allowed(found, provider=action.plugin.provider)
    if found.asks:
        words = f"{found.reason} Each call of {action.id} waits for a person."
        raise Problem("approval_required", words, provider=action.plugin.provider)
