"""The OpenAPI schema as a page that people and agents read without any script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator


@dataclass(frozen=True)
class Parameter:
    """One input: where it goes, what it is called, what it is."""

    name: str
    place: str  # path, query, header, body
    kind: str
    required: bool
    words: str


@dataclass(frozen=True)
class Operation:
    """One method at one address."""

    anchor: str
    method: str
    path: str
    words: str
    scope: str
    parameters: tuple[Parameter, ...]
    example: str


@dataclass
class Group:
    title: str
    operations: list[Operation] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")


@lru_cache(maxsize=1)
def groups() -> tuple[Group, ...]:
    """All operations by their tag, in the order of the URL configuration."""
    generator: Any = SchemaGenerator
    schema = generator().get_schema(public=True)
    found: dict[str, Group] = {}
    for path, methods in schema["paths"].items():
        for method, facts in methods.items():
            title = facts.get("tags", ["other"])[0].capitalize()
            found.setdefault(title, Group(title)).operations.append(operation(path, method, facts, schema))
    return tuple(found.values())


def operation(path: str, method: str, facts: Mapping[str, Any], schema: Mapping[str, Any]) -> Operation:
    parameters = (*outside(facts), *inside(facts, schema))
    return Operation(
        anchor=facts["operationId"],
        method=method.upper(),
        path=path,
        words=facts.get("description", ""),
        scope=facts.get("x-navi-scope", ""),
        parameters=parameters,
        example=curl(path, method.upper(), parameters),
    )


def outside(facts: Mapping[str, Any]) -> Iterator[Parameter]:
    """Parameters in the path, the query and the headers."""
    for one in facts.get("parameters", []):
        kind = one.get("schema", {}).get("type", "string")
        yield Parameter(one["name"], one["in"], kind, one.get("required", False), one.get("description", ""))


def inside(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Parameter]:
    """Fields of the JSON body."""
    content = facts.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = followed(content.get("schema", {}), schema)
    for name, about in body.get("properties", {}).items():
        about = followed(about, schema)
        is_required = name in body.get("required", [])
        yield Parameter(name, "body", kind_of(about), is_required, about.get("description", ""))


def followed(about: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, where there is only a reference to it."""
    reference = about.get("$ref") or next((one.get("$ref") for one in about.get("allOf", [])), None)
    if not reference:
        return about
    found: Any = schema
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **({"description": about["description"]} if "description" in about else {})}


def kind_of(about: Mapping[str, Any]) -> str:
    if "enum" in about:
        return " | ".join(str(value) for value in about["enum"])
    return str(about.get("type", "any"))


def curl(path: str, method: str, parameters: tuple[Parameter, ...]) -> str:
    """A call to copy: required things only."""
    for one in parameters:
        path = path.replace("{" + one.name + "}", f"<{one.name}>") if one.place == "path" else path
    head = "curl -s" if method == "GET" else f"curl -s -X {method}"
    lines = [f'{head} "$NAVI{path}"', '  -H "Authorization: Bearer $NAVI_TOKEN"']
    if method in {"POST", "PUT", "DELETE"}:
        body = {
            one.name: PLACEHOLDERS.get(one.kind, "…")
            for one in parameters
            if one.place == "body" and one.required
        }
        lines += ['  -H "Content-Type: application/json"', f"  -d '{json.dumps(body, ensure_ascii=False)}'"]
    return " \\\n".join(lines)


PLACEHOLDERS: Mapping[str, Any] = {"object": {}, "array": [], "boolean": True, "integer": 0}
