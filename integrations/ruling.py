"""What a project's rules say to an agent's call: allow, ask a person, or deny. The most specific one decides."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q

from integrations.models import ActionRule, Effect
from integrations.registry import Entry
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.projects.models import AgentToken

# Of two that are equally specific the stricter decides.
STRICTNESS = {Effect.ALLOW: 0, Effect.ASK: 1, Effect.DENY: 2}
Point = tuple[str, str, str]  # plugin, action, tool


@dataclass(frozen=True)
class Ruling:
    """What holds for one thing, by which rule (None: nothing is said, so it is allowed), in words."""

    effect: str = Effect.ALLOW
    rule: ActionRule | None = None
    reason: str = ""

    @property
    def asks(self) -> bool:
        return self.effect == Effect.ASK

    @property
    def denies(self) -> bool:
        return self.effect == Effect.DENY


ALLOWED = Ruling()


@dataclass(frozen=True)
class Rules:
    """Those of a project that may concern one actor."""

    rows: Sequence[ActionRule]

    def ruling(self, plugin: str, action: str = "", tool: str = "") -> Ruling:
        """The most specific rule's word; where none says anything it is allowed."""
        fitting = [row for row in self.rows if fits(row, plugin, action, tool)]
        if not fitting:
            return ALLOWED
        rule = max(fitting, key=weight)
        return Ruling(rule.effect, rule, words_of(rule))

    def covering(self, plugins: Iterable[str]) -> Ruling:
        """The first ask or deny that holds for any part of these plugins.

        A rule that a more specific "allow" takes back in all it covers does not count.
        """
        slugs = list(plugins)
        said = [(row.plugin, row.action, row.tool) for row in self.rows if row.plugin in slugs]
        points: list[Point] = [*((slug, "", "") for slug in slugs), *said]
        found = (self.ruling(*point) for point in points)
        return next((ruling for ruling in found if ruling.effect != Effect.ALLOW), ALLOWED)


NO_RULES = Rules(())


def fits(rule: ActionRule, plugin: str, action: str, tool: str) -> bool:
    """Empty stands for all."""
    named = ((rule.plugin, plugin), (rule.action, action), (rule.tool, tool))
    return all(not wanted or wanted == given for wanted, given in named)


def weight(rule: ActionRule) -> tuple[bool, bool, bool, int]:
    """One that names the token, then the action or tool, then the plugin, is more specific."""
    effect = STRICTNESS[Effect(rule.effect)]
    return rule.token_id is not None, bool(rule.action or rule.tool), bool(rule.plugin), effect


def name_of(rule: ActionRule) -> str:
    """ask for todoist.create_task, deny everything, …"""
    thing = f"{rule.plugin}.{rule.action or rule.tool}".strip(".") or "everything"
    verb = {"allow": "allow", "ask": "ask for", "deny": "deny"}[rule.effect]
    return f"{verb} {thing}" + (" with this token" if rule.token_id else "")


def words_of(rule: ActionRule) -> str:
    return f"A rule of this project says “{name_of(rule)}”{f': {rule.note}' if rule.note else ''}."


# --- asking the database


def rules_for(actor: Actor, project_id: uuid.UUID) -> Rules:
    """The rules for this actor here: one query. They are for agents; a person in the hub decides for themselves."""
    return rules_of(project_id, token_id=actor.id) if actor.kind == "agent" else NO_RULES


def rules_of(project_id: uuid.UUID, *, token_id: str | None) -> Rules:
    """`token_id` is a token's public id. A rule for a token holds for all that it is rotated to."""
    of_all = Q(token=None)
    family = AgentToken.objects.filter(public_id=token_id or "").values("family")
    rows = ActionRule.objects.filter(of_all | Q(token__family__in=family), project_id=project_id)
    return Rules(list(rows))


def ruling(
    project_id: uuid.UUID, *, plugin: str, action: str = "", tool: str = "", token_id: str | None = None
) -> Ruling:
    """May this token's agent do this: one query."""
    return rules_of(project_id, token_id=token_id).ruling(plugin, action, tool)


def covers(actor: Actor, entry: Entry, project_id: uuid.UUID) -> Ruling:
    """The ask or deny rule that covers the provider, or any of its plugins, for this actor: one query."""
    return rules_for(actor, project_id).covering(plugin.slug for plugin in entry.plugins)


# --- refusing


def check_allowed(found: Ruling, *, provider: str = "") -> None:
    """Raises Problem `approval_denied` where a rule denies it."""
    if found.denies:
        words = f"{found.reason} An admin can change it on the project's Approvals page."
        raise Problem("approval_denied", words, provider=provider)


def check_uncovered(actor: Actor, entry: Entry, project_id: uuid.UUID) -> None:
    """Raises Problem `blocked`: what goes around the actions is refused while a rule watches over them."""
    found = covers(actor, entry, project_id)
    if found.rule is not None and found.effect != Effect.ALLOW:
        words = (
            f"{found.reason} So this agent reaches {entry.name} by its actions only (see GET /api/actions)."
        )
        raise Problem("blocked", words, provider=entry.slug)
