"""The API's schema is whole and true, and its page loads nothing from elsewhere."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from navi.audit.problems import CODES
from navi.projects.roles import SCOPES
from navi.wsgi import application
from tests.authorization.matrix import undone
from tests.authorization.routes import routes
from tests.standins.todoist import KEY, TodoistStandin

# What is no part of the API: its own description, and what answers everywhere else.
NOT_DESCRIBED = {"api/schema", "api/docs", "api/<path>"}


def generated() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        schema: dict[str, Any] = SchemaGenerator().get_schema(public=True)
        return schema


SCHEMA = generated()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in SCHEMA["paths"].items()
    for method, operation in methods.items()
}


def test_it_is_generated_without_a_warning_and_is_valid():
    GENERATOR_STATS.reset()
    schema = SchemaGenerator().get_schema(public=True)

    assert not dict(GENERATOR_STATS._warn_cache) and not dict(GENERATOR_STATS._error_cache)
    validate_schema(schema)


def test_every_route_is_described_with_its_methods():
    described = {
        (path.strip("/"), method.upper()) for path, methods in SCHEMA["paths"].items() for method in methods
    }
    there = {
        (
            re.sub(r"<(\w+)>", lambda found: "{" + {"pk": "id"}.get(found[1], found[1]) + "}", route.path),
            method,
        )
        for route in routes(get_resolver().url_patterns)
        if route.is_api and route.path not in NOT_DESCRIBED
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if route.needed(method)
    }

    assert described == there


def test_every_operation_has_a_name_of_its_own():
    names = Counter(operation["operationId"] for operation in OPERATIONS.values())

    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_says_what_it_does_and_what_it_needs(operation):
    assert operation["description"].strip()
    assert operation["x-navi-scope"] in {*SCOPES, "run, write or destructive"}
    assert (operation["x-navi-scope"] == "proxy") == ("proxy" in operation["tags"])
    assert operation["security"] == [{"agentToken": []}]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_documents_its_answer_and_its_errors(operation):
    usual = [status for status in operation["responses"] if status != "default"]
    errors = operation["responses"]["default"]["content"]["application/json"]["schema"]

    assert errors == {"$ref": "#/components/schemas/ErrorAnswer"}
    # 202 beside the answer: the call waits, for a person or in a queue.
    assert len(usual) == 1 or usual == ["200", "202"]
    assert usual[0] == "204" or operation["responses"][usual[0]]["content"]


def test_what_a_disconnect_takes_is_described():
    body = OPERATIONS["DELETE /api/credentials/{provider}"]["requestBody"]["content"]["application/json"][
        "schema"
    ]

    assert set(body["properties"]) == {"scope", "connection", "projectId"}


def test_the_codes_are_the_closed_list():
    error = SCHEMA["components"]["schemas"]["ErrorAnswer"]["properties"]["error"]

    assert set(error["properties"]["code"]["enum"]) == set(CODES)
    assert set(error["properties"]["action"]["enum"]) == {meaning.action for meaning in CODES.values()}
    assert "retry" in error["properties"]["action"]["enum"]


def test_tokens_are_described_and_no_example_holds_one():
    scheme = SCHEMA["components"]["securitySchemes"]["agentToken"]

    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert not re.search(r"navi_at_[0-9A-Za-z]{12}_", str(SCHEMA))


def test_the_schema_is_served(db):
    answer = Client().get("/api/schema")

    assert answer.status_code == 200
    assert yaml.safe_load(answer.content)["paths"].keys() == SCHEMA["paths"].keys()


# --- the page


class Loaded(HTMLParser):
    """What a page loads, and whether it holds code of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.inline: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "embed"} and facts.get("src"):
            self.sources.append(str(facts["src"]))
        if tag == "link":
            self.sources.append(str(facts["href"]))
        self.inline += [f"{tag} {name}" for name in facts if name.startswith("on") or name == "style"]
        self.inside = tag if tag in {"script", "style"} and not facts.get("src") else ""

    def handle_data(self, data: str) -> None:
        if self.inside and data.strip():
            self.inline.append(f"{self.inside}: {data[:60]}")


@pytest.fixture
def page(db) -> Any:
    return Client().get("/api/docs")


def test_the_page_loads_nothing_from_elsewhere(page):
    loaded = Loaded()
    loaded.feed(page.content.decode())

    assert page.status_code == 200
    assert loaded.sources
    assert [source for source in loaded.sources if not source.startswith("/")] == []
    assert [source for source in loaded.sources if source.startswith("//")] == []


def test_the_page_runs_under_the_policy_without_code_of_its_own(page):
    loaded = Loaded()
    loaded.feed(page.content.decode())

    assert loaded.inline == []
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_the_page_shows_every_operation(page):
    shown = page.content.decode()

    missing = [
        operation["operationId"]
        for operation in OPERATIONS.values()
        if f'id="{operation["operationId"]}"' not in shown
    ]
    assert missing == []


def test_what_the_page_loads_is_there(page):
    loaded = Loaded()
    loaded.feed(page.content.decode())

    assert {
        source: Client().get(source).status_code for source in loaded.sources if "/static/" in source
    } == dict.fromkeys((source for source in loaded.sources if "/static/" in source), 200)


# --- whatever is asked


configured = SchemathesisConfig.from_dict({"generation": {"max-examples": 10, "allow-x00": True}})
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    described = schemathesis.openapi.from_dict(SCHEMA, config=configured)
described.app = application


@pytest.fixture
def everything(db, ada, acme, connected, settings):
    """Ada with a full token, an account, and a Todoist that answers."""
    # The application ends its connections after each request; here all is one transaction.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    with TodoistStandin() as todoist:
        settings.UPSTREAMS = {"todoist": todoist.url}
        settings.ALLOWED_HOSTS = ["*"]
        connected("todoist", acme, apiKey=KEY, label="alice@example.org")
        yield todoist
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.slow
@described.exclude(operation_id_regex="^proxy").parametrize()
@hypothesis_settings(
    max_examples=10, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_any_request_gets_a_described_answer(case, everything, adas_token):
    # Real providers and plugins often enough, that something happens beyond "there is no such".
    for name, known in (
        ("provider", "todoist"),
        ("plugin", "todoist"),
        ("action", "list_projects"),
        ("resource", "projects"),
    ):
        if name in (case.path_parameters or {}) and len(str(case.path_parameters[name])) % 2:
            case.path_parameters[name] = known
    if "wait" in (case.query or {}):
        case.query["wait"] = 0

    with undone():
        response = case.call(headers={"Authorization": f"Bearer {adas_token}"})

    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
    if response.status_code in {502, 503, 504}:  # the vendor's, or Navi's own that passes
        checks.remove(not_a_server_error)
    case.validate_response(response, checks=checks)
    assert response.status_code != 500
    assert response.headers["x-request-id"]
