"""Is a request what a vendor's OpenAPI document describes? Path, method, names in the query, and the body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.contracts import CONTRACTS
from tests.standins.server import Request


def described(file: str) -> Described:
    """A vendor's description; the test is skipped where it is not at hand."""
    path = CONTRACTS / file
    if not path.is_file():
        pytest.skip(f"{file} is not at hand (NAVI_CONTRACTS).")
    return Described(json.loads(path.read_text()))


class Described:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def complaints(self, request: Request) -> list[str]:
        """What is wrong with a request; an empty list where nothing is."""
        name = f"{request.method} {request.path}"
        operation = self.operation(request)
        if operation is None:
            return [f"{name}: nothing is described there"]
        return [
            f"{name}: {said}"
            for said in (*self.of_query(operation, request), *self.of_body(operation, request))
        ]

    def operation(self, request: Request) -> Mapping[str, Any] | None:
        """The most literal path that fits: /users/me before /users/{user_id}."""
        fitting = [path for path in self.document["paths"] if fits(path, request.path)]
        for path in sorted(fitting, key=lambda path: path.count("{")):
            if found := self.document["paths"][path].get(request.method.lower()):
                return {"parameters": [], **found}
        return None

    def of_query(self, operation: Mapping[str, Any], request: Request) -> Iterator[str]:
        known = {
            one["name"]: one for one in map(self.followed, operation["parameters"]) if one["in"] == "query"
        }
        for name, value in request.query.items():
            if name not in known:
                yield f"the query has no {name}"
                continue
            schema = known[name].get("schema", {})
            yield from self.wrong(schema, typed(value, schema), name)
        yield from (
            f"the query lacks {name}"
            for name, one in known.items()
            if one.get("required") and name not in request.query
        )

    def of_body(self, operation: Mapping[str, Any], request: Request) -> Iterator[str]:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            if request.body:
                yield "it takes no body"
            return
        sent = request.json() if request.body else {}
        schema = self.followed(content["schema"])
        yield from self.wrong(schema, sent, "body")
        # The descriptions allow more than they name; what they do not name is none of ours.
        for name in sent.keys() - properties_of(schema):
            yield f"the body has no {name}"

    def wrong(self, schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
        # References begin at the document's root.
        whole = {**with_null(schema), "components": with_null(self.document.get("components", {}))}
        for error in jsonschema.Draft202012Validator(whole).iter_errors(value):
            yield f"{place}.{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"

    def followed(self, thing: Any) -> Any:
        while "$ref" in thing:
            found: Any = self.document
            for part in thing["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            thing = found
        return thing


def fits(path: str, asked: str) -> bool:
    pattern = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in path.split("/"))
    return re.fullmatch(pattern, unquote(asked)) is not None


def typed(value: str, schema: Mapping[str, Any]) -> Any:
    """A query says everything as text."""
    if schema.get("type") in {"integer", "number"} and value.lstrip("-").isdecimal():
        return int(value)
    return {"true": True, "false": False}.get(value, value) if schema.get("type") == "boolean" else value


def properties_of(schema: Mapping[str, Any]) -> set[str]:
    parts = [*schema.get("oneOf", []), *schema.get("anyOf", []), *schema.get("allOf", [])]
    return set(schema.get("properties", {})).union(*(properties_of(part) for part in parts))


def with_null(schema: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema says a type."""
    if isinstance(schema, list):
        return [with_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: with_null(value) for name, value in schema.items() if name != "nullable"}
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        found |= {"enum": [*found["enum"], None]} if "enum" in found else {}
    return found
