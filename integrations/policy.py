"""May this actor do this here? Toggles, token scopes, the operator's blocks."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.db import connection as database
from django.db.models import Q

from credentials.models import Connection, Secret
from integrations.models import IntegrationDefault
from integrations.models import Provider as ProviderRow
from integrations.registry import Entry
from integrations.sdk import Defaults, Plugin
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.projects import roles
from navi.projects.written_out import WrittenOut

NAMES = ("enabled", "mcp_enabled", "skill_enabled")
WORDS = {"enabled": "switched on", "mcp_enabled": "MCP", "skill_enabled": "skill"}


@dataclass(frozen=True)
class Toggles:
    """The three switches at one place; None inherits."""

    enabled: bool | None = None
    mcp_enabled: bool | None = None
    skill_enabled: bool | None = None

    @classmethod
    def of(cls, row: Any) -> Toggles:
        return cls(row.enabled, row.mcp_enabled, row.skill_enabled) if row else cls()


@dataclass(frozen=True)
class Effective:
    """What holds in the end, and for each switch where it comes from: project, global, operator, plugin."""

    enabled: bool
    mcp_enabled: bool
    skill_enabled: bool
    origin: Mapping[str, str]
    is_blocked: bool = False
    blocked_reason: str = ""
    off_name: str = ""  # of the plugin that is switched off while its provider is on


@dataclass(frozen=True)
class Standing:
    """All that is set for one provider: by the operator, by the person, by the project."""

    defaults: Defaults
    operator: ProviderRow | None
    person: Toggles
    project: Toggles
    # By the plugin's slug, what the person and what the project set for it alone.
    of_plugins: Mapping[str, tuple[Toggles, Toggles]] = field(default_factory=dict)
    may_be_ruled: bool = True  # False: it is known that no rule of the project asks or denies anything
    may_be_partly_off: bool = True  # False: it is known that nothing is switched off for a plugin alone

    @property
    def effective(self) -> Effective:
        operator = Toggles.of(self.operator)
        plugin = Toggles(self.defaults.enabled, self.defaults.mcp, self.defaults.skill)
        levels = (
            ("project", self.project),
            ("global", self.person),
            ("operator", operator),
            ("plugin", plugin),
        )
        values, origin = {}, {}
        for name in NAMES:
            origin[name], values[name] = next(
                (level, getattr(toggles, name))
                for level, toggles in levels
                if getattr(toggles, name) is not None
            )
        row = self.operator
        blocked = (row.is_blocked, row.blocked_reason) if row else (False, "")
        return Effective(**values, origin=origin, is_blocked=blocked[0], blocked_reason=blocked[1])

    def effective_of(self, plugin: Plugin) -> Effective:
        """What holds for one plugin of a family: it can be off where its provider is on, never the reverse."""
        effective = self.effective
        person, project = self.of_plugins.get(plugin.slug, (Toggles(), Toggles()))
        own = {name: first_said(name, (("project", project), ("global", person))) for name in NAMES}
        off = {name: level for name, (level, value) in own.items() if value is False}
        off = {name: level for name, level in off.items() if getattr(effective, name)}
        switches: dict[str, Any] = dict.fromkeys(off, False)
        return replace(
            effective, **switches, origin={**effective.origin, **off},
            off_name=plugin.name if "enabled" in off else "",
        )  # fmt: skip


def first_said(name: str, levels: Sequence[tuple[str, Toggles]]) -> tuple[str, bool | None]:
    """The first level that says something about a switch, and what."""
    said = ((level, getattr(toggles, name)) for level, toggles in levels)
    return next((one for one in said if one[1] is not None), ("", None))


def standings(found: list[Entry], *, project_id: uuid.UUID, user_id: uuid.UUID | None) -> dict[str, Standing]:
    """The standing of every provider in this project: two queries, however many providers."""
    operators = {row.slug: row for row in ProviderRow.objects.all()}
    own = Q(user_id=user_id) if user_id else Q(pk__in=[])
    rows: dict[str, list[IntegrationDefault]] = {}
    for row in IntegrationDefault.objects.filter(Q(project_id=project_id) | own):
        rows.setdefault(row.provider, []).append(row)
    return {
        entry.slug: standing_in(entry, operators.get(entry.slug), rows.get(entry.slug, [])) for entry in found
    }


def standing(entry: Entry, *, project_id: uuid.UUID, user_id: uuid.UUID | None) -> Standing:
    """The standing of one provider: two queries."""
    own = Q(user_id=user_id) if user_id else Q(pk__in=[])
    rows = IntegrationDefault.objects.filter(Q(project_id=project_id) | own, provider=entry.slug)
    return standing_in(entry, ProviderRow.objects.filter(slug=entry.slug).first(), rows)


def standing_in(entry: Entry, operator: ProviderRow | None, rows: Iterable[IntegrationDefault]) -> Standing:
    """The standing by these rows of one provider and its plugins."""
    by_place = {(row.plugin, row.project_id is not None): Toggles.of(row) for row in rows}
    person, project = by_place.get(("", False), Toggles()), by_place.get(("", True), Toggles())
    of_plugins = {
        slug: (by_place.get((slug, False), Toggles()), by_place.get((slug, True), Toggles()))
        for slug, _ in by_place
        if slug
    }
    partly_off = any(False in (one.enabled, other.enabled) for one, other in of_plugins.values())
    return Standing(
        entry.provider.defaults, operator, person, project, of_plugins, may_be_partly_off=partly_off
    )


def is_on(entry: Entry, plugin: Plugin, *, project_id: uuid.UUID) -> bool:
    """May it work by itself in this project, for nobody in particular (syncs, webhooks)? Two queries."""
    effective = standing(entry, project_id=project_id, user_id=None).effective_of(plugin)
    return effective.enabled and not effective.is_blocked and not entry.provider.awaits_approval


WITH_STANDING = WrittenOut(
    Connection,
    "c",
    """
    SELECT {columns}, s.seal_owner, s.fields, of_project.enabled, of_person.enabled,
           operator.enabled, operator.is_blocked, operator.blocked_reason,
           EXISTS (SELECT 1 FROM integrations_actionrule rule
                    WHERE rule.project_id = %s AND rule.effect <> 'allow'),
           EXISTS (SELECT 1 FROM integrations_integrationdefault part
                    WHERE part.provider = c.provider AND part.plugin <> '' AND NOT part.enabled
                      AND (part.project_id = %s OR part.user_id = %s))
      FROM credentials_connection c
      LEFT JOIN credentials_secret s ON s.id = c.current_id
      LEFT JOIN integrations_integrationdefault of_project
        ON of_project.provider = c.provider AND of_project.plugin = '' AND of_project.project_id = %s
      LEFT JOIN integrations_integrationdefault of_person
        ON of_person.provider = c.provider AND of_person.plugin = '' AND of_person.user_id = %s
      LEFT JOIN integrations_provider operator ON operator.slug = c.provider
     WHERE c.provider = %s AND c.state NOT IN ('pending', 'revoked') AND (c.project_id = %s OR c.user_id = %s)
     ORDER BY CASE WHEN c.project_id IS NULL THEN 1 ELSE 0 END, c.is_default DESC, c.created_at
    """,
)


class Beside(NamedTuple):
    """What is read along with a connection: its secret, and what is set for its provider."""

    secret_owner: str | None
    secret_fields: bytes | None
    by_project: bool | None
    by_person: bool | None
    by_operator: bool | None
    is_blocked: bool | None
    blocked_reason: str | None
    may_be_ruled: bool
    may_be_partly_off: bool


def candidates_with_standing(
    entry: Entry, *, project_id: uuid.UUID, user_id: uuid.UUID | None
) -> tuple[list[Connection], Standing | None]:
    """As credentials.resolve.candidates, and what is set for the provider, if anything is connected: one query."""
    prepared = Connection._meta.pk.get_db_prep_value
    project, user = prepared(project_id, database), prepared(user_id, database)
    found = [
        (row, Beside(*beside))
        for row, beside in WITH_STANDING.rows(
            [project, project, user, project, user, entry.slug, project, user]
        )
    ]
    standing = standing_beside(found[0][1], entry) if found else None
    return [with_secret(row, beside) for row, beside in found], standing


def with_secret(row: Connection, beside: Beside) -> Connection:
    """The connection with the secret that was joined to it."""
    if row.current_id and beside.secret_fields is not None:
        secret = Secret(pk=row.current_id, connection=row, seal_owner=beside.secret_owner or "")
        secret.fields = beside.secret_fields
        row.current = secret
    return row


def standing_beside(beside: Beside, entry: Entry) -> Standing:
    """The standing that was read along with a connection: only `enabled` and blocks."""
    operator = ProviderRow(
        slug=entry.slug,
        enabled=truth(beside.by_operator),
        is_blocked=bool(beside.is_blocked),
        blocked_reason=beside.blocked_reason or "",
    )
    person, project = Toggles(truth(beside.by_person)), Toggles(truth(beside.by_project))
    return Standing(
        entry.provider.defaults, operator, person, project, may_be_ruled=bool(beside.may_be_ruled),
        may_be_partly_off=bool(beside.may_be_partly_off),
    )  # fmt: skip


def truth(value: Any) -> bool | None:
    """SQLite tells truth as 0 and 1."""
    return None if value is None else bool(value)


def check_scope(actor: Actor, verb: str, provider: str | None = None) -> None:
    """Raises Problem `out_of_scope` where an agent's token lacks the verb for this provider."""
    if actor.kind != "agent" or roles.allows(actor.scopes, verb, provider):
        return
    wanted = f"{verb}:{provider}" if provider else verb
    raise Problem(
        "out_of_scope",
        f"This token has not got the scope “{verb}”{f' (or “{wanted}”)' if provider else ''}. "
        "A person can make one that has, on the project's Agents page.",
        provider=provider or "",
    )


def check_scope_of_some(actor: Actor, verb: str) -> None:
    """Raises Problem `out_of_scope` where an agent's token has the verb for no provider at all."""
    if actor.kind == "agent" and not roles.allows_some(actor.scopes, verb):
        check_scope(actor, verb)


def sees(actor: Actor, entry: Entry) -> bool:
    """May the actor read about this provider? A list leaves out the others."""
    return actor.kind != "agent" or roles.allows(actor.scopes, "read", entry.slug)


def check_right(actor: Actor, right: str) -> None:
    """Raises Problem `out_of_scope` where a person's role has not got the right."""
    if actor.kind == "person" and not roles.may(actor.role, right):
        raise Problem(
            "out_of_scope", "Your role in this project does not allow this. Ask an admin or the owner."
        )


def check_not_blocked(entry: Entry) -> None:
    """Raises Problem `blocked` where the operator lets nobody use the provider: one query."""
    row = ProviderRow.objects.filter(slug=entry.slug, is_blocked=True).first()
    if row:
        raise blocked(entry, row.blocked_reason)


def blocked(entry: Entry, reason: str) -> Problem:
    words = f"An operator has blocked {entry.name}. {reason}".strip()
    return Problem("blocked", words, provider=entry.slug)


def check_open(entry: Entry, effective: Effective) -> None:
    """Raises Problem `blocked` or `disabled`: may the provider be used here at all?"""
    if effective.is_blocked:
        raise blocked(entry, effective.blocked_reason)
    if not effective.enabled:
        where = {"project": "in this project", "global": "for all your projects"}
        place = where.get(effective.origin["enabled"], "by default")
        name = effective.off_name or entry.name
        raise Problem("disabled", f"{name} is switched off {place}.", provider=entry.slug)
    check_approved(entry)


def check_whole(entry: Entry, *, project_id: uuid.UUID, user_id: uuid.UUID | None) -> None:
    """Raises Problem `disabled` where a plugin is off: the family's credential would open that one too."""
    found = standing(entry, project_id=project_id, user_id=user_id)
    for plugin in entry.plugins:
        effective = found.effective_of(plugin)
        if effective.off_name:
            words = (
                f"{effective.off_name} is switched off here, and a credential of {entry.name} would open it too. "
                "Use the actions and the proxy of what is on."
            )
            raise Problem("disabled", words, provider=entry.slug)


def check_approved(entry: Entry) -> None:
    if entry.provider.awaits_approval:
        words = f"{entry.name} lies inside the network. An operator has to approve it in the admin first."
        raise Problem("blocked", words, provider=entry.slug)


PERSONS_RIGHT = {"run": "actions.try", "write": "actions.try", "destructive": "actions.try_destructive"}


def check(actor: Actor, entry: Entry, effective: Effective, verb: str) -> None:
    """May this actor use this provider in this way? Raises Problem blocked, disabled or out_of_scope."""
    check_scope(actor, verb, entry.slug)
    check_right(actor, PERSONS_RIGHT.get(verb, "integrations.view"))
    check_open(entry, effective)
