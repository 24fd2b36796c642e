"""How far a plugin has come in a project: installed, connected, configured, running, and what stands in its way.

The five steps of every plugin, and where each is remembered:

    install     the registry finds it        provider.installed
    connect     an account is connected      connection.connected
    configure   its settings are complete    plugin.settings_changed
    run         agents, schedules, webhooks  action.run, sync.run, delivery.processed, …
    disconnect  the account is gone          connection.disconnected
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from credentials.models import Connection, Health
from credentials.resolve import choose
from integrations.models import PluginSettings, SyncState
from integrations.policy import Standing
from integrations.registry import Entry
from integrations.sdk import InvalidArguments, Plugin
from integrations.sdk.schema import validate

State = Literal["available", "connected", "configured", "running", "paused", "needs_attention"]
Step = Literal["install", "connect", "configure", "run"]
STEPS: tuple[Step, ...] = ("install", "connect", "configure", "run")


@dataclass(frozen=True)
class Stage:
    """The state of a plugin, the last step that it has reached, and in words what is missing or wrong."""

    state: State
    step: Step
    reason: str = ""


@dataclass(frozen=True)
class Known:
    """What is stored about a project's plugins, by their slug."""

    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    syncs: Mapping[str, Collection[tuple[str, bool]]] = field(default_factory=dict)  # (phase, is_paused)


def known_in(project: Any) -> Known:
    """Two queries, however many plugins there are."""
    rows = SyncState.objects.in_project(project).order_by().values_list("plugin", "phase", "is_paused")
    syncs: dict[str, set[tuple[str, bool]]] = {}
    for plugin, phase, is_paused in rows.distinct():
        syncs.setdefault(plugin, set()).add((phase, is_paused))
    return Known(dict(PluginSettings.objects.filter(project=project).values_list("plugin", "values")), syncs)


def stage(
    plugin: Plugin, entry: Entry, connections: Sequence[Connection], standing: Standing, known: Known
) -> Stage:
    """Where the plugin is; `connections` are in the order of resolution. No query."""
    row = choose(connections).connection
    if row is None:
        return Stage("available", "install", "No account is connected.")
    if trouble := trouble_of(row, entry):
        return Stage("needs_attention", "connect", trouble)
    if off := why_off(plugin, entry, standing, row):
        return Stage("paused", "run", off)
    if missing := missing_settings(plugin, known):
        return Stage("connected", "configure", f"{plugin.name} needs settings: {', '.join(missing)}.")
    return stage_of_work(plugin, known)


def trouble_of(row: Connection, entry: Entry) -> str:
    if row.enabled and (not row.is_usable or row.health == Health.FAILED):
        return row.state_reason or row.health_reason or f"{entry.name} does not accept the account any more."
    return ""


def why_off(plugin: Plugin, entry: Entry, standing: Standing, row: Connection) -> str:
    effective = standing.effective_of(plugin)
    if effective.is_blocked or entry.provider.awaits_approval:
        return f"An operator keeps {entry.name} closed."
    if not effective.enabled:
        return f"{effective.off_name or entry.name} is switched off."
    return "" if row.enabled else f"The account {row.label} is switched off."


def missing_settings(plugin: Plugin, known: Known) -> list[str]:
    """The names of settings that have to be made, or made anew."""
    if plugin.settings is None:
        return []
    fields = plugin.settings.model_fields
    stored = {key: value for key, value in known.settings.get(plugin.slug, {}).items() if key in fields}
    try:
        validate(plugin.settings, stored)
    except InvalidArguments as problem:
        return list(dict.fromkeys(error["field"].partition(".")[0] for error in problem.errors))
    return []


def stage_of_work(plugin: Plugin, known: Known) -> Stage:
    syncs = known.syncs.get(plugin.slug, ())
    if any(phase == SyncState.Phase.FAILED and not is_paused for phase, is_paused in syncs):
        return Stage("needs_attention", "run", "A sync has failed.")
    if syncs and all(is_paused for _, is_paused in syncs):
        return Stage("paused", "run", "Its syncs are paused.")
    if plugin.actions or plugin.webhook or syncs:
        return Stage("running", "run")
    return Stage("configured", "configure")
