"""Plugins' settings as forms, drawn from their declared schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from integrations.runtime import discover, toggles
from integrations.runtime.plan import lacking_of
from integrations.sdk import InvalidArguments, Plugin
from integrations.sdk.schema import json_schema
from navi.hub import discovered, fields
from navi.hub.cards import url_in
from navi.hub.details import Found
from navi.hub.doors import ProjectRequest
from navi.hub.fields import Field, Form

KINDS = {"integer": "number", "number": "number", "boolean": "checkbox"}


def sections(request: ProjectRequest, found: Found, forms: Mapping[str, Form]) -> list[dict[str, Any]]:
    """What provider.html takes as `settings`: a section for each plugin that has any, those in `forms` as they are.

    One query for what is kept of choices, one for each plugin's settings.
    """
    plugins = [plugin for plugin in found.entry.plugins if plugin.settings]
    kept = discover.kept(found.serving) if plugins and found.serving else {}
    return [section(request, found, plugin, forms.get(plugin.slug), kept) for plugin in plugins]


def section(
    request: ProjectRequest,
    found: Found,
    plugin: Plugin,
    form: Form | None,
    kept: Mapping[tuple[str, str], Any],
) -> dict[str, Any]:
    form = form or settings_form(plugin, toggles.settings_of(plugin, request.project))
    may = request.may("integrations.manage")
    resources = discoveries_of(plugin)
    return {
        "plugin": plugin.slug,
        "name": plugin.name if len(found.entry.plugins) > 1 else "",
        "form": form,
        "fields": [
            {"field": field, "choices": choices_told(request, found, plugin, field, resources, kept)} for field in form
        ],
        "error": form.error,
        "action_url": url_in(request, "provider-settings", plugin.provider, plugin=plugin.slug),
        "may_change": may,
        "note": "" if may else "Admins and owners of this project can change this.",
    }  # fmt: skip


def choices_told(
    request: ProjectRequest,
    found: Found,
    plugin: Plugin,
    field: Field,
    resources: Mapping[str, str],
    kept: Mapping[tuple[str, str], Any],
) -> dict[str, Any] | None:
    """What _choices.html takes, where the vendor knows the choices."""
    resource = resources.get(field.name)
    if resource is None:
        return None
    account = found.serving
    known = discovered.Known(
        kept.get((plugin.slug, resource)), not_granted(plugin, found), is_connected=account is not None
    )
    return discovered.told(request, found.entry, plugin, field, resource, known)


def not_granted(plugin: Plugin, found: Found) -> dict[str, str] | None:
    """The vendor is not asked for what the account did not allow: one product of a family, say."""
    account = found.serving
    if account is None or not lacking_of(list(plugin.scopes), account, found.entry):
        return None
    words = f"{account.label} has not granted what {plugin.name} needs."
    return {"message": words, "fix": "Add it under Permissions on this page.", "url": ""}


def discoveries_of(plugin: Plugin) -> dict[str, str]:
    """Which settings are chosen from which discovery."""
    if plugin.settings is None:
        return {}
    properties = json_schema(plugin.settings).get("properties", {})
    named = {name: facts.get("discovers") for name, facts in properties.items()}
    return {name: resource for name, resource in named.items() if resource in plugin.discoveries}


def settings_form(plugin: Plugin, values: Mapping[str, Any]) -> Form:
    if plugin.settings is None:
        return Form()
    schema = json_schema(plugin.settings)
    required, resources = set(schema.get("required", ())), discoveries_of(plugin)
    return Form(*(
        field_of(name, facts_in(facts, schema), values.get(name), required=name in required, finds=name in resources)
        for name, facts in schema.get("properties", {}).items()
    ))  # fmt: skip


def facts_in(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The property without detours: a reference followed, "or null" left out."""
    choices = [one for one in facts.get("anyOf", ()) if one.get("type") != "null"]
    merged = {**(choices[0] if choices else {}), **facts}
    reference = merged.get("$ref", "").rpartition("/")[2]
    return {**schema.get("$defs", {}).get(reference, {}), **merged}


def field_of(
    name: str, facts: Mapping[str, Any], value: Any, *, required: bool, finds: bool = False
) -> Field:
    label = str(facts.get("title") or name.replace("_", " ").capitalize())
    about = {"hint": facts.get("description", ""), "required": required}
    if finds and facts.get("type") == "array":
        return Field(name, label, type="choices", value=[str(one) for one in value or ()], **about)
    if finds:
        return Field(name, label, type="pick", value="" if value is None else str(value), **about)
    if "enum" in facts:
        return fields.choice(
            name, label, [(str(one), str(one)) for one in facts["enum"]], str(value), **about
        )
    if facts.get("type") == "array":
        chosen = [str(one) for one in value or ()]
        options = facts_in(facts.get("items", {}), {}).get("enum")
        if options:
            choices = [(str(one), str(one)) for one in options]
            return fields.choice(name, label, choices, chosen, look="checkboxes", **about)
        about["hint"] = f"{about['hint']} One on each line.".strip()
        return fields.area(name, label, value="\n".join(chosen), **about)
    kind = KINDS.get(str(facts.get("type")), "text")
    if kind == "checkbox":
        return fields.checkbox(name, label, value=bool(value), hint=about["hint"])
    return fields.text(name, label, type=kind, value="" if value is None else value, **about)


def read(plugin: Plugin, form: Form) -> dict[str, Any]:
    """What was typed, as the schema's types; an empty field is left to its default."""
    assert plugin.settings is not None  # noqa: S101 - a form is drawn only where there are settings
    schema = json_schema(plugin.settings)
    found = {}
    for name, facts in schema.get("properties", {}).items():
        typed = form.values.get(name)
        if typed is None or typed == "":
            continue
        found[name] = typed_value(typed, facts_in(facts, schema))
    return found


def typed_value(typed: Any, facts: Mapping[str, Any]) -> Any:
    if facts.get("type") == "array" and isinstance(typed, str):
        return [line.strip() for line in typed.splitlines() if line.strip()]
    if facts.get("type") in {"integer", "number"}:
        try:
            return json.loads(typed)
        except ValueError:
            return typed
    return typed


def refused(form: Form, problem: InvalidArguments) -> Form:
    """The form with the schema's complaints, each at its field."""
    for error in problem.errors:
        form = form.wrong(error["field"].partition(".")[0], error["message"])
    return form
