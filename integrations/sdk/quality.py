"""How good a plugin is, computed from its facts: bronze works, silver explains itself, gold is a pleasure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from integrations.sdk.facts import Provider
from integrations.sdk.plugin import Plugin
from integrations.sdk.recognise import KNOWN
from integrations.sdk.schema import json_schema
from integrations.sdk.testing import HEALTH, Exchange, PayloadError, read

TIERS = ("bronze", "silver", "gold")
SHORTEST_DOCSTRING = 40
BIGGEST_ICON = 8 * 1024
SAFE_TAGS = {
    "svg", "title", "desc", "g", "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "text",
    "tspan", "defs", "use", "clipPath", "mask", "linearGradient", "radialGradient", "stop",
}  # fmt: skip

Look = Callable[[Plugin, Provider], Iterator[str]]


@dataclass(frozen=True)
class Check:
    """One thing a plugin should have. `missing` yields what lacks it, `how` says how to add it."""

    tier: str
    name: str
    missing: Look
    how: str


@dataclass(frozen=True)
class Finding:
    """What one check found; nothing missing means it is met."""

    tier: str
    check: str
    missing: tuple[str, ...]
    how: str

    @property
    def is_met(self) -> bool:
        return not self.missing

    def manifest(self) -> dict[str, Any]:
        found = {"tier": self.tier, "check": self.check, "met": self.is_met}
        return found if self.is_met else {**found, "missing": list(self.missing), "how": self.how}


def findings(plugin: Plugin, provider: Provider) -> list[Finding]:
    """What all checks say about a plugin, in the order of the tiers."""
    return [
        Finding(check.tier, check.name, tuple(check.missing(plugin, provider)), check.how) for check in CHECKS
    ]


def tier_of(found: list[Finding]) -> str:
    """The highest tier whose checks, and those below it, are met; "none" where bronze is not."""
    reached = "none"
    for tier in TIERS:
        if not all(finding.is_met for finding in found if finding.tier == tier):
            return reached
        reached = tier
    return reached


# --- bronze: it works


def folder(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if plugin.folder.name.replace("_", "-") != plugin.slug:
        yield f"the folder is called {plugin.folder.name}, the slug {plugin.slug}"


def health(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if plugin.health_function is None and provider.identity is None:
        yield "a health check"


def actions(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if not plugin.actions:
        yield "an action"


def docstrings(plugin: Plugin, provider: Provider) -> Iterator[str]:
    for action in plugin.actions.values():
        if len(action.description) < SHORTEST_DOCSTRING:
            yield f"{action.name}: {len(action.description)} characters"


def icon(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if plugin.icon is None:
        yield "icon.svg"
    elif trouble := icon_trouble(plugin.icon.read_bytes()):
        yield trouble


def fields(plugin: Plugin, provider: Provider) -> Iterator[str]:
    for auth in provider.auth:
        for item in auth.fields:
            if not (item.label and (item.help_url or item.hint)):
                yield item.key


def tests(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if not list(plugin.folder.glob("tests/test_*.py")):
        yield "tests/test_….py"


def payloads(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if not payload_files(plugin):
        yield "a payload"
    for path in shared_files(plugin, provider):
        try:
            read(path)
        except PayloadError as problem:
            yield str(problem)


def no_living_secret(plugin: Plugin, provider: Provider) -> Iterator[str]:
    for path in shared_files(plugin, provider):
        for meaning in known_secrets(path, provider.slug):
            yield f"{path.name} holds what looks like {meaning}"


# --- silver: it explains itself


def guide(plugin: Plugin, provider: Provider) -> Iterator[str]:
    steps = provider.guide.steps
    if not steps:
        yield "steps"
    elif not any(step.url.startswith("https://") for step in steps):
        yield "an https link"
    if not provider.guide.enables:
        yield "enables"


def errors(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if provider.errors is None:
        yield "errors"


def words(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if not (plugin.description or provider.description):
        yield "description"
    if not provider.docs_url:
        yield "docs_url"


def parameters(plugin: Plugin, provider: Provider) -> Iterator[str]:
    for action in plugin.actions.values():
        for name, schema in action.input_schema.get("properties", {}).items():
            if not schema.get("description"):
                yield f"{action.name}.{name}"


def first_try(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if plugin.first_try is None:
        yield "a reading action with try_with"


def payload_of_each(plugin: Plugin, provider: Provider) -> Iterator[str]:
    names = {name for path in shared_files(plugin, provider) for name in (path.stem, path.parent.name)}
    yield from (f"payloads/{name}.json" for name in (HEALTH, *plugin.actions) if name not in names)


def payload_of_each_sync(plugin: Plugin, provider: Provider) -> Iterator[str]:
    names = {name for path in shared_files(plugin, provider) for name in (path.stem, path.parent.name)}
    pulled = [kind for kind, sync in plugin.syncs.items() if sync.direction == "pull"]
    yield from (f"payloads/{kind}.json" for kind in pulled if kind not in names)


def webhook(plugin: Plugin, provider: Provider) -> Iterator[str]:
    """A webhook that nobody can set up, or that nothing follows from, is none."""
    hook = plugin.webhook
    if hook is None:
        return
    if hook.hear_function is None:
        yield "a function under hears"
    if not hook.steps and hook.register_function is None:
        yield "steps, or a function under registers"


# --- gold: a pleasure


def trouble(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if len(provider.guide.trouble) < 2:
        yield "two entries in guide.trouble"


def patterns(plugin: Plugin, provider: Provider) -> Iterator[str]:
    for auth in provider.auth:
        yield from (item.key for item in auth.fields if item.required and not item.pattern)


def refusals(plugin: Plugin, provider: Provider) -> Iterator[str]:
    answers = [exchange.response for exchange in exchanges(plugin)]
    if not any(answer["status"] >= 400 for answer in answers):
        yield "a payload with a status of 400 or more"


def results(plugin: Plugin, provider: Provider) -> Iterator[str]:
    for action in plugin.actions.values():
        if action.output_schema is None:
            yield action.name


def settings(plugin: Plugin, provider: Provider) -> Iterator[str]:
    schema = json_schema(plugin.settings) if plugin.settings else {}
    for name, facts in schema.get("properties", {}).items():
        if not facts.get("description"):
            yield name
        wanted = facts.get("discovers")
        if wanted and wanted not in plugin.discoveries:
            yield f"{name}: nothing discovers {wanted}"


def discovery(plugin: Plugin, provider: Provider) -> Iterator[str]:
    if not plugin.discoveries and not plugin.nothing_to_list:
        yield "a function under @plugin.discovers"


CHECKS: tuple[Check, ...] = (
    Check("bronze", "folder", folder, "Name the folder for the slug."),
    Check("bronze", "health", health, "Add a function under @plugin.health that asks the vendor who we are."),
    Check("bronze", "actions", actions, "Add a function under @plugin.action()."),
    Check("bronze", "docstrings", docstrings, "Say in a sentence or two what it returns and when to use it."),
    Check(
        "bronze", "icon", icon, "Put a drawing into icon.svg: no script, nothing from outside, up to 8 KB."
    ),
    Check("bronze", "fields", fields, "Give the Field a label, and a help_url or a hint."),
    Check("bronze", "tests", tests, "Write tests/test_<slug>.py with replay(plugin, ...)."),
    Check("bronze", "payloads", payloads, "Put what the vendor answers into payloads/<action>.json."),
    Check("bronze", "secrets", no_living_secret, "Replace it by an invented value, and revoke it."),
    Check("silver", "guide", guide, "Give Guide(...) steps, one with the https link of the vendor's page."),
    Check(
        "silver", "errors", errors, "Give errors=, a function from an answer to Reconnect, TryLater, Refused."
    ),
    Check("silver", "words", words, "Give the Plugin a description, and the docs_url of the vendor."),
    Check("silver", "parameters", parameters, 'Annotate it: Annotated[str, Described(description="…")].'),
    Check("silver", "first try", first_try, "Give a harmless reading action try_with={...}."),
    Check(
        "silver", "payload of each action", payload_of_each, "Record it, then plugin_replay <slug> <action>."
    ),
    Check(
        "silver", "payload of each sync", payload_of_each_sync, "Record a page of the sync under its kind."
    ),
    Check(
        "silver", "webhook", webhook, "Say what follows from an event, and how the vendor is told to call."
    ),
    Check("gold", "trouble", trouble, "Say in Guide(trouble={...}) what people trip over, and what helps."),
    Check("gold", "patterns", patterns, "Give the Field a pattern that only what may be right can match."),
    Check("gold", "refusals", refusals, "Record a refusal: a revoked key, a limit, a wrong argument."),
    Check("gold", "results", results, "Return a TypedDict instead of dict; agents see what comes back."),
    Check("gold", "settings", settings, "Describe each setting; where it is a choice, name its discovery."),
    Check(
        "gold",
        "discovery",
        discovery,
        "List what can be chosen from, such as projects; or say in nothing_to_list why the vendor cannot.",
    ),
)


# --- what lies in the folder


def payload_files(plugin: Plugin) -> list[Path]:
    return sorted(plugin.folder.glob("payloads/**/*.json"))


def shared_files(plugin: Plugin, provider: Provider) -> list[Path]:
    """Its payloads, and those that a family keeps for all."""
    shared = provider.folder.glob("payloads/**/*.json") if provider.folder else ()
    return sorted({*payload_files(plugin), *shared})


def exchanges(plugin: Plugin) -> Iterator[Exchange]:
    for path in payload_files(plugin):
        try:
            yield from read(path)
        except PayloadError:
            continue  # `payloads` tells it.


def icon_trouble(content: bytes) -> str | None:
    """Why a drawing is not fit to be shown; None where it is."""
    if len(content) > BIGGEST_ICON:
        return f"it has {len(content)} bytes"
    if b"<!" in content or b"<?xml-stylesheet" in content:
        return "it has a declaration, a comment or a style sheet"
    try:
        drawing = ElementTree.fromstring(content)  # noqa: S314 - without declarations there are no entities
    except ElementTree.ParseError as problem:
        return f"it is no XML: {problem}"
    if local_name(drawing.tag) != "svg":
        return "it is no SVG"
    return next((said for element in drawing.iter() if (said := element_trouble(element))), None)


def element_trouble(element: ElementTree.Element) -> str | None:
    if local_name(element.tag) not in SAFE_TAGS:
        return f"it has <{local_name(element.tag)}>"
    for name, value in element.attrib.items():
        plain = local_name(name).lower()
        leads_out = plain == "href" and not value.startswith("#")
        if (
            plain.startswith("on")
            or plain == "style"
            or leads_out
            or re.search(r"url\(\s*['\"]?[^#'\"\s]", value)
        ):
            return f"it has {plain}={value[:40]!r}"
    return None


def local_name(name: str) -> str:
    return name.rpartition("}")[2]


def known_secrets(path: Path, provider: str) -> Iterator[str]:
    """What values in a payload are known as. Forty hex digits are a commit, except at their own vendor."""
    for word in {word for text in texts_in(json_or_none(path)) for word in re.split(r"[^\w.:-]+", text)}:
        for pattern, meaning, slug in KNOWN:
            is_telling = slug == provider or not pattern.pattern.startswith("[0-9a-f]")
            if is_telling and pattern.fullmatch(word):
                yield meaning


def json_or_none(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # `payloads` tells it.


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts_in(inner)


def summary(plugin: Plugin, found: list[Finding]) -> Mapping[str, Any]:
    return {
        "plugin": plugin.slug,
        "tier": tier_of(found),
        "checks": [finding.manifest() for finding in found],
    }
