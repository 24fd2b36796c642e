"""Google's discovery documents, to hold requests and answers against.

The documents are 800 KB; tests use the part of them kept beside this file. Where the whole is at hand,
`python -m tests.contracts.google_discovery` takes the part anew, for METHODS.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.contracts import CONTRACTS

DOCUMENTS = {
    "gmail": "google-gmail.v1.json",
    "calendar": "google-calendar.v3.json",
    "drive": "google-drive.v3.json",
    "sheets": "google-sheets.v4.json",
}
METHODS = (
    "gmail.users.drafts.create",
    "gmail.users.getProfile",
    "gmail.users.history.list",
    "gmail.users.labels.create",
    "gmail.users.labels.list",
    "gmail.users.messages.attachments.get",
    "gmail.users.messages.get",
    "gmail.users.messages.list",
    "gmail.users.messages.send",
    "gmail.users.stop",
    "gmail.users.threads.get",
    "gmail.users.threads.list",
    "gmail.users.threads.modify",
    "gmail.users.watch",
    "calendar.calendarList.list",
    "calendar.channels.stop",
    "calendar.events.delete",
    "calendar.events.get",
    "calendar.events.insert",
    "calendar.events.instances",
    "calendar.events.list",
    "calendar.events.patch",
    "calendar.events.watch",
    "calendar.freebusy.query",
    "drive.changes.getStartPageToken",
    "drive.changes.list",
    "drive.files.create",
    "drive.files.export",
    "drive.files.get",
    "drive.files.list",
    "sheets.spreadsheets.create",
    "sheets.spreadsheets.get",
    "sheets.spreadsheets.values.append",
    "sheets.spreadsheets.values.get",
    "sheets.spreadsheets.values.update",
)
EXTRACT = Path(__file__).with_name("google_extract.json")
ABSENT = f"{CONTRACTS} has no Google discovery documents; point NAVI_CONTRACTS at a folder with them."
# What every method takes, and is told once for each API.
COMMON = {"alt", "fields", "prettyPrint", "quotaUser", "uploadType"}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "any": (object,),
}  # fmt: skip

Facts = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request, understood: which method, with what in its path."""

    api: str
    method: str
    facts: Mapping[str, Any]
    values: Mapping[str, str]
    is_upload: bool = False


# --- reading


@cache
def extract() -> Facts:
    found: Facts = json.loads(EXTRACT.read_text(encoding="utf-8"))
    return found


def asked(http_method: str, path: str) -> Asked | None:
    """What a request asks for; None for what is not in the extract. The path is as it went out."""
    for api, document in extract()["apis"].items():
        for name, facts in document["methods"].items():
            if facts["httpMethod"] != http_method:
                continue
            for place in (facts["path"], facts.get("upload")):
                if place and (found := re.fullmatch(pattern(place), path)):
                    values = {key: unquote(value) for key, value in found.groupdict().items()}
                    return Asked(api, name, facts, values, place == facts.get("upload"))
    return None


def pattern(path: str) -> str:
    """A path of the document, such as v4/spreadsheets/{spreadsheetId}, as a regular expression."""
    parts = re.split(r"\{\+?(\w+)\}", path)
    return "".join(f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))


def wrong_with_query(facts: Mapping[str, Any], raw_query: str) -> Iterator[str]:
    """What Google would not take among the parameters of a request."""
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    for name, value in pairs:
        known = facts["parameters"].get(name)
        if known is None or known["location"] != "query":
            yield from () if name in COMMON else (f"{name} is not known",)
        elif not fits(value, known):
            yield f"{name} may not be {value!r}"
        elif not known.get("repeated") and [key for key, _ in pairs].count(name) > 1:
            yield f"{name} is there twice"


def fits(value: str, known: Mapping[str, Any]) -> bool:
    if known["type"] == "integer":
        least, most = int(known.get("minimum", 0)), int(known.get("maximum", 2**31))
        return value.isdecimal() and least <= int(value) <= most
    if known["type"] == "boolean":
        return value in {"true", "false"}
    return value in known.get("enum", [value])


def wrong_with_request(asked: Asked, raw_query: str, body: Any) -> list[str]:
    """All that Google would not take of a request: its parameters, and what its JSON holds."""
    found = list(wrong_with_query(asked.facts, raw_query))
    schema = asked.facts.get("request")
    if body is None or schema is None:
        return found + (["a body where none is taken"] if body is not None else [])
    # A patch takes null for what is to be forgotten.
    return found + list(wrong_with_answer(asked.api, schema, without_nulls(body)))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return value


def wrong_with_answer(api: str, schema: Mapping[str, Any], value: Any, place: str = "") -> Iterator[str]:
    """Where a value is not what the document promises; what it does not tell of is wrong too."""
    schemas = extract()["apis"][api]["schemas"]
    if "$ref" in schema:
        yield from wrong_with_answer(api, schemas[schema["$ref"]], value, place)
    elif schema["type"] == "object":
        yield from wrong_with_object(api, schema, value, place)
    elif schema["type"] == "array":
        if not isinstance(value, list):
            yield f"{place} is no list"
            return
        for number, item in enumerate(value):
            yield from wrong_with_answer(api, schema["items"], item, f"{place}[{number}]")
    elif not isinstance(value, TYPES[schema["type"]]) or not is_number_in_text(schema, value):
        yield f"{place} is {value!r}, and not {schema['type']}"


def wrong_with_object(api: str, schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place} is no object"
        return
    others = schema.get("additionalProperties")
    for name, inner in value.items():
        known = schema.get("properties", {}).get(name, others)
        if known is None:
            yield f"{place}.{name} is not known"
        else:
            yield from wrong_with_answer(api, known, inner, f"{place}.{name}")


def is_number_in_text(schema: Mapping[str, Any], value: Any) -> bool:
    # JSON has no 64 bits in JavaScript, so Google writes such numbers as text.
    return "int64" not in schema.get("format", "") or bool(re.fullmatch(r"-?\d+", str(value)))


# --- taking the part


def is_at_hand() -> bool:
    return all((CONTRACTS / name).is_file() for name in DOCUMENTS.values())


def taken() -> Facts:
    """The part of the documents that METHODS need, without their descriptions."""
    return {
        "source": "Google API discovery documents, as in google-api-python-client 2.202.0",
        "licence": "Apache-2.0",
        "apis": {api: part(json.loads((CONTRACTS / name).read_text())) for api, name in DOCUMENTS.items()},
    }


def part(document: Facts) -> Facts:
    wanted = {name: facts for name, facts in methods_in(document) if name in METHODS}
    place = "/" + document["servicePath"]
    schemas: Facts = {}
    for facts in wanted.values():
        for one in ("request", "response"):
            if one in facts:
                add_schemas(schemas, facts[one]["$ref"], document["schemas"])
    return {
        "methods": {name: method(facts, place) for name, facts in sorted(wanted.items())},
        "schemas": dict(sorted(schemas.items())),
    }


def methods_in(resource: Facts) -> Iterator[tuple[str, Facts]]:
    for facts in resource.get("methods", {}).values():
        yield facts["id"], facts
    for inner in resource.get("resources", {}).values():
        yield from methods_in(inner)


def method(facts: Facts, place: str) -> Facts:
    told = ("type", "location", "required", "repeated", "enum", "minimum", "maximum")
    parameters = {
        name: {key: known[key] for key in told if key in known}
        for name, known in facts.get("parameters", {}).items()
    }
    upload = facts.get("mediaUpload", {}).get("protocols", {}).get("simple", {}).get("path")
    return {
        "httpMethod": facts["httpMethod"],
        "path": place + facts["path"],
        "scopes": facts["scopes"],
        "parameters": parameters,
        **({"upload": upload} if upload else {}),
        **{name: {"$ref": facts[name]["$ref"]} for name in ("request", "response") if name in facts},
    }


def add_schemas(schemas: Facts, name: str, known: Facts) -> None:
    if name in schemas:
        return
    schemas[name] = shape(known[name])
    for found in re.findall(r'"\$ref": "(\w+)"', json.dumps(schemas[name])):
        add_schemas(schemas, found, known)


def shape(schema: Facts) -> Facts:
    """What a value looks like, and no words about it."""
    kept: Facts = {key: schema[key] for key in ("$ref", "type", "format") if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: shape(inner) for name, inner in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            kept[key] = shape(schema[key])
    return kept


if __name__ == "__main__":
    EXTRACT.write_text(json.dumps(taken(), indent=1) + "\n", encoding="utf-8")
    print(f"{EXTRACT.name} has {EXTRACT.stat().st_size} bytes.")
