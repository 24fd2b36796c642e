"""What holds for every plugin that is installed, whoever wrote it."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations import registry
from integrations.sdk import Action, InvalidArguments, Plugin, Provider
from integrations.sdk.facts import Field
from integrations.sdk.quality import findings, icon_trouble, tier_of
from integrations.sdk.testing import HEALTH, Sent, exchanges_in, replayed

PLUGINS = list(registry.installed().plugins.values())
ACTIONS = [action for plugin in PLUGINS for action in plugin.actions.values()]
# The names of the seeds: IntegrationProvider, and the manifest of a plugin.
PROVIDER_NAMES = {
    "id", "name", "description", "category", "icon", "color", "authType", "credentials", "api", "skill",
    "setupSkill", "healthCheck", "defaults", "mcp",
}  # fmt: skip
PLUGIN_NAMES = {"id", "name", "auth", "scopes", "capabilities", "webhook", "settings", "actions"}
# A plugin talks to Navi through the sdk, and to the world through its client.
FORBIDDEN = {
    "django", "rest_framework", "httpx", "httpx2", "httpcore2", "requests", "aiohttp", "urllib3", "socket",
    "ssl", "subprocess", "multiprocessing", "ctypes", "pickle", "http", "ftplib", "smtplib", "asyncio", "os",
    "shutil", "importlib", "navi", "credentials", "mcp_servers", "skills",
}  # fmt: skip
READING = {"list", "get", "search", "read", "find", "viewer", "whoami", "fetch", "count"}
WRITING = {
    "create", "add", "update", "set", "edit", "delete", "remove", "complete", "reopen", "close", "comment", "send",
    "post", "reply", "move", "archive", "assign", "label", "upload", "invite", "merge", "trash",
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "open"}

every_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.slug)
every_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)


def provider_of(plugin: Plugin) -> Provider:
    return registry.installed().entries[plugin.provider].provider


def fields_of(plugin: Plugin) -> list[Field]:
    return [field for auth in provider_of(plugin).auth for field in auth.fields]


# --- facts


@every_plugin
def test_the_manifest_is_json_with_the_seeds_names(plugin: Plugin):
    provider = provider_of(plugin)

    its, providers = json.loads(json.dumps([plugin.manifest(provider), provider.manifest()], allow_nan=False))

    assert its.keys() >= PLUGIN_NAMES
    assert providers.keys() >= PROVIDER_NAMES
    assert (its["id"], providers["id"]) == (plugin.slug, plugin.provider)


@every_plugin
def test_the_slug_is_the_folders_name(plugin: Plugin):
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", plugin.slug)
    assert plugin.folder.name.replace("_", "-") == plugin.slug


@every_plugin
def test_every_address_is_https(plugin: Plugin):
    provider = provider_of(plugin)
    addresses = [plugin.base_url or provider.base_url, provider.docs_url, provider.mcp and provider.mcp.url]
    addresses += [field.help_url for field in fields_of(plugin)]
    addresses += [step.url for step in provider.guide.steps]

    assert [address for address in addresses if address and not address.startswith("https://")] == []


@every_plugin
def test_the_guide_leads_to_the_vendor(plugin: Plugin):
    steps = provider_of(plugin).guide.steps

    assert steps
    assert all(step.text for step in steps)
    assert any(step.url for step in steps)


@every_plugin
def test_every_field_says_what_it_is_and_where_to_find_it(plugin: Plugin):
    for field in fields_of(plugin):
        assert field.label
        assert field.help_url or field.hint
        re.compile(field.pattern)


@every_plugin
def test_what_is_secret_is_typed_unseen(plugin: Plugin):
    for auth in provider_of(plugin).auth:
        assert not auth.fields or "password" in {field.type for field in auth.fields}


@every_plugin
def test_the_icon_is_a_safe_drawing(plugin: Plugin):
    assert plugin.icon
    assert icon_trouble(plugin.icon.read_bytes()) is None


@every_plugin
def test_somebody_can_ask_who_we_are(plugin: Plugin):
    assert plugin.health_function or provider_of(plugin).identity


@every_plugin
def test_it_is_bronze_at_least(plugin: Plugin):
    assert tier_of(findings(plugin, provider_of(plugin))) != "none"


# --- actions


@every_action
def test_agents_are_told_what_it_does(action: Action):
    assert len(action.description) >= 40
    assert action.title


@every_action
def test_every_parameter_is_explained(action: Action):
    properties = action.input_schema["properties"]

    assert [name for name, schema in properties.items() if not schema.get("description")] == []


@every_action
def test_the_schema_takes_nothing_unknown(action: Action):
    assert action.input_schema["type"] == "object"
    assert action.input_schema["additionalProperties"] is False


@every_action
def test_an_unknown_argument_is_refused_by_name(action: Action):
    with pytest.raises(InvalidArguments) as refusal:
        action.validate({"no_such_argument": 1})

    assert "no_such_argument" in {error["field"] for error in refusal.value.errors}


@every_action
def test_a_missing_argument_is_refused_by_name(action: Action):
    required = set(action.input_schema.get("required", []))
    if not required:
        assert action.validate({}) is not None
        return

    with pytest.raises(InvalidArguments) as refusal:
        action.validate({})

    assert {error["field"] for error in refusal.value.errors} == required


@every_action
def test_an_argument_of_another_type_is_refused_by_name(action: Action):
    for name in action.input_schema["properties"]:
        with pytest.raises(InvalidArguments) as refusal:
            action.validate({name: {"neither": "text", "nor": ["number"]}})

        assert name in {error["field"].partition(".")[0] for error in refusal.value.errors}


@every_action
def test_a_refusal_never_repeats_the_value(action: Action):
    for name in action.input_schema["properties"]:
        with pytest.raises(InvalidArguments) as refusal:
            action.validate({name: {"secret": "hunter2"}})

        assert "hunter2" not in str(refusal.value)


@every_action
def test_what_changes_something_is_marked(action: Action):
    verb = action.name.partition("_")[0]

    assert verb not in WRITING or action.verb != "run"
    assert verb not in READING or action.verb == "run"
    assert action.try_with is None or action.verb == "run"


@every_action
def test_what_only_reads_sends_nothing_that_changes(action: Action):
    sent = replayed(action.plugin, action.name, exchanges_in(action.plugin, action.name), {}).sent

    assert any(may_change(request) for request in sent) or action.verb == "run"
    assert not any(surely_changes(request) for request in sent) or action.verb != "run"


def may_change(request: Sent) -> bool:
    return request.method not in {"GET", "HEAD"}


def surely_changes(request: Sent) -> bool:
    is_mutation = isinstance(request.json, dict) and str(request.json.get("query")).lstrip().startswith(
        "mutation"
    )
    return request.method in {"PUT", "PATCH", "DELETE"} or is_mutation


@every_action
def test_its_schemas_are_json_schema(action: Action):
    for schema in filter(None, (action.input_schema, action.output_schema)):
        assert json.loads(json.dumps(schema, allow_nan=False)) == schema
        assert unresolved(schema, schema) == []


def unresolved(schema: Any, root: dict[str, Any]) -> list[str]:
    """References inside a schema that lead nowhere."""
    if isinstance(schema, dict):
        lost = [schema["$ref"]] if "$ref" in schema and not leads_somewhere(schema["$ref"], root) else []
        return lost + [item for inner in schema.values() for item in unresolved(inner, root)]
    return [item for inner in schema for item in unresolved(inner, root)] if isinstance(schema, list) else []


def leads_somewhere(reference: str, root: dict[str, Any]) -> bool:
    return reference.removeprefix("#/$defs/") in root.get("$defs", {})


@every_action
def test_what_is_tried_first_fits(action: Action):
    assert action.try_with is None or action.validate(action.try_with) is not None


@every_plugin
def test_its_recordings_play(plugin: Plugin):
    for name in (HEALTH, *plugin.actions):
        done = replayed(plugin, name, exchanges_in(plugin, name), {})

        assert done.error is None
        assert done.sent


# --- what it leans on


def sources(plugin: Plugin) -> Iterator[Path]:
    for folder in {plugin.folder, provider_of(plugin).folder or plugin.folder}:
        yield from (path for path in folder.rglob("*.py") if "tests" not in path.relative_to(folder).parts)


@every_plugin
def test_it_leans_on_the_sdk_only(plugin: Plugin):
    for path in sources(plugin):
        for module in imported(ast.parse(path.read_text(encoding="utf-8"))):
            top, is_sdk = module.partition(".")[0], module.partition(".sdk")[0] == "integrations"
            assert top not in FORBIDDEN, f"{path.name} imports {module}"
            is_own_room = f"{module}.".startswith(f"integrations.plugins.{path.parent.name}.")
            assert top != "integrations" or is_sdk or is_own_room, f"{path.name} imports {module}"
            assert module != "urllib.request", f"{path.name} imports {module}"


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "integrations.plugins" if node.level else node.module or ""


@every_plugin
def test_it_neither_runs_text_nor_reads_files(plugin: Plugin):
    for path in sources(plugin):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

        assert {call.id for call in calls if isinstance(call, ast.Name)} & FORBIDDEN_CALLS == set(), path.name


# --- the guards themselves


@pytest.mark.parametrize(
    "drawing",
    [
        b"<svg><script>alert(1)</script></svg>",
        b'<svg onload="alert(1)"/>',
        b'<svg><image href="https://elsewhere.example/x.png"/></svg>',
        b'<svg xmlns:x="http://www.w3.org/1999/xlink"><use x:href="https://elsewhere.example/#a"/></svg>',
        b'<svg><rect fill="url(https://elsewhere.example/a)"/></svg>',
        b'<svg><rect style="background: red"/></svg>',
        b"<svg><style>@import 'x'</style></svg>",
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>',
        b"<svg><foreignObject/></svg>",
        b"<html/>",
        b"<svg>",
        b"<svg>" + b" " * 9000 + b"</svg>",
    ],
)
def test_an_unsafe_drawing_is_noticed(drawing: bytes):
    assert icon_trouble(drawing)
