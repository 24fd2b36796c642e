"""Switch an integration, or part of it, on and off: for a person, for a project."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from pydantic_core import to_jsonable_python

from integrations.models import IntegrationDefault, PluginSettings
from integrations.policy import NAMES
from integrations.registry import Entry
from integrations.sdk import InvalidArguments, Plugin
from integrations.sdk.schema import validate
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record


def switch(
    entry: Entry,
    *,
    actor: Actor,
    project: Any,
    for_user: uuid.UUID | None,
    plugin: str = "",
    **changes: bool | None,
) -> None:
    """Set toggles of one provider, or of one plugin inside it, for a project or for a person in all their
    projects; None inherits. Raises Problem."""
    unknown = set(changes) - set(NAMES)
    if unknown:
        raise Problem("invalid_input", f"There is no toggle {', '.join(sorted(unknown))}.")
    owner = {"user_id": for_user, "project": None} if for_user else {"project": project, "user_id": None}
    with transaction.atomic():
        row, _ = IntegrationDefault.objects.select_for_update().get_or_create(
            provider=entry.slug, plugin=plugin_in(entry, plugin), **owner
        )
        for name, value in changes.items():
            setattr(row, name, value)
        row.save(update_fields=list(changes))
        record(
            event_of(changes), actor=actor, project=project, provider=entry.slug, plugin=plugin,
            detail={"scope": "global" if for_user else "project", **changes},
        )  # fmt: skip
        if not for_user:
            tell_syncs(project, entry.slug)


def plugin_in(entry: Entry, slug: str) -> str:
    """The plugin as its provider knows it; "" is all of them. Raises Problem."""
    known = [plugin.slug for plugin in entry.plugins]
    if slug and slug not in known:
        words = f"{entry.name} has no plugin “{slug[:60]}”; it has {', '.join(known) or 'none'}."
        raise Problem("invalid_input", words, field="plugin", provider=entry.slug)
    return slug


def event_of(changes: dict[str, bool | None]) -> str:
    if set(changes) == {"enabled"} and changes["enabled"] is not None:
        return "integration.enabled" if changes["enabled"] else "integration.disabled"
    return "integration.settings_changed"


# --- a plugin's own settings


def settings_of(plugin: Plugin, project: Any) -> dict[str, Any]:
    """The stored settings over the declared defaults; what no longer fits falls back to its default."""
    if plugin.settings is None:
        return {}
    row = PluginSettings.objects.filter(plugin=plugin.slug, project=project).first()
    fields = plugin.settings.model_fields
    stored = {key: value for key, value in (row.values if row else {}).items() if key in fields}
    try:
        return told(validate(plugin.settings, stored))
    except InvalidArguments as problem:
        broken = {error["field"].partition(".")[0] for error in problem.errors}
    usual = {
        key: about.get_default(call_default_factory=True)
        for key, about in fields.items()
        if not about.is_required()
    }
    return told({**usual, **{key: value for key, value in stored.items() if key not in broken}})


def told(values: Any) -> dict[str, Any]:
    """The values as JSON has them: a date is text."""
    found: dict[str, Any] = to_jsonable_python(values)
    return found


def save_settings(plugin: Plugin, project: Any, values: dict[str, Any], actor: Actor) -> dict[str, Any]:
    """Validate and store. Raises Problem `invalid_input`, InvalidArguments."""
    if plugin.settings is None:
        raise Problem("invalid_input", f"{plugin.name} has no settings.")
    for key in values:
        if key not in plugin.settings.model_fields:
            raise Problem("invalid_input", f"{plugin.name} has no setting “{key}”.", field=key)
    checked = told(validate(plugin.settings, values))
    with transaction.atomic():
        PluginSettings.objects.update_or_create(
            plugin=plugin.slug, project=project, defaults={"values": checked}
        )
        record(
            "plugin.settings_changed", actor=actor, project=project, provider=plugin.provider, plugin=plugin.slug,
            detail={"fields": sorted(values)},
        )  # fmt: skip
        tell_syncs(project, plugin.provider)
    return checked


def tell_syncs(project: Any, provider: str) -> None:
    """What is synced follows from switches and settings."""
    from integrations.runtime import sync_schedule  # which reads settings from here

    sync_schedule.changed(project, provider)
