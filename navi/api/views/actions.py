"""Plugins and their actions, runs, the proxy, the project's audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import registry, ruling
from integrations.registry import Entry
from integrations.runtime import execute, lifecycle, proxy, pushing, toggles
from integrations.runtime.discover import discover
from integrations.runtime.runs import Waits
from integrations.sdk import Call, VendorError
from navi.api import answers, shapes
from navi.api.answers import KEPT
from navi.api.base import AgentView, answer
from navi.api.views.runs import done
from navi.audit.middleware import current_request_id
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects.rules import Rule

KEY_LONGEST = 200
ORIGIN = re.compile(r"\Ahttps?://[^/]*", re.IGNORECASE)  # through a forward proxy the whole address comes


class Plugins(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.PLUGINS}
    is_list = True

    @extend_schema(operation_id="listPlugins", tags=["plugins"])
    def get(self, request: Request) -> Response:
        """The manifests of all plugins."""
        return answer({"plugins": manifests(self, self.seen_entries())})


class Plugin(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.PLUGIN}

    @extend_schema(operation_id="getPlugin", tags=["plugins"])
    def get(self, request: Request, plugin: str) -> Response:
        """One plugin's manifest."""
        entry, _ = registry.plugin(plugin, self.project.pk)
        return answer(next(told for told in manifests(self, [entry]) if told["id"] == plugin))


def manifests(view: AgentView, found: list[Entry]) -> list[dict[str, Any]]:
    """Every plugin of these providers, with how far it has come: five queries."""
    rows, standings, known = view.connections_seen(), view.standings(found), lifecycle.known_in(view.project)
    return [
        shapes.plugin(plugin, entry, stage, standings[entry.slug])
        for entry in found
        for plugin in entry.plugins
        for stage in [lifecycle.stage(plugin, entry, rows.get(entry.slug, []), standings[entry.slug], known)]
    ]


class PluginSettings(AgentView):
    navi_rule = Rule({"GET": "scope:read", "PUT": "scope:manage"})
    answers = {"GET": answers.SETTINGS, "PUT": answers.SETTINGS}

    @extend_schema(operation_id="getPluginSettings", tags=["plugins"])
    def get(self, request: Request, plugin: str) -> Response:
        """The plugin's settings in this project."""
        _, found = registry.plugin(plugin, self.project.pk)
        return answer({"settings": toggles.settings_of(found, self.project)})

    @extend_schema(
        operation_id="savePluginSettings", tags=["plugins"], request={"application/json": {"type": "object"}}
    )
    def put(self, request: Request, plugin: str) -> Response:
        """Replace them; validated against the plugin's schema."""
        _, found = registry.plugin(plugin, self.project.pk)
        return answer({"settings": toggles.save_settings(found, self.project, self.arguments(), self.actor)})


class Discover(AgentView):
    navi_rule = Rule({"GET": "scope:run"})
    answers = {"GET": answers.CHOICES}

    @extend_schema(
        operation_id="discover",
        tags=["plugins"],
        parameters=[
            OpenApiParameter("refresh", str, description="1: ask the vendor now."),
            OpenApiParameter("connection", str, description="Id or label of one of several connections."),
        ],
    )
    def get(self, request: Request, plugin: str, resource: str) -> Response:
        """Resources to choose from, as the vendor told them within ten minutes; older ones while it is down."""
        query = request.query_params
        call = Call(self.actor, self.project, plugin, connection=query.get("connection") or None)
        return answer(
            shapes.found(resource, discover(call, resource, refresh=is_yes(query.get("refresh", ""))))
        )


def is_yes(asked: str) -> bool:
    """A switch in the query. Raises Problem."""
    if asked.lower() not in {"", "0", "false", "1", "true"}:
        raise Problem("invalid_input", "“refresh” is 1 or 0.", field="refresh")
    return asked.lower() in {"1", "true"}


class Actions(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.ACTIONS}
    is_list = True

    @extend_schema(operation_id="listActions", tags=["actions"])
    def get(self, request: Request) -> Response:
        """The catalogue: every action with its JSON Schemas, what it needs, and whether it writes."""
        found = self.seen_entries()
        standings, rules = self.standings(found), ruling.rules_for(self.actor, self.project.pk)
        told = [
            shapes.action(action, standings[entry.slug], rules)
            for entry in found
            for plugin in entry.plugins
            for action in plugin.actions.values()
        ]
        return answer({"actions": told})


class Action(AgentView):
    navi_rule = Rule({"GET": "scope:read", "POST": "action"})
    answers = {"GET": answers.LISTED_ACTION, "POST": answers.RESULT}
    more_answers = {"POST": {202: KEPT}}

    @extend_schema(operation_id="getAction", tags=["actions"])
    def get(self, request: Request, plugin: str, action: str) -> Response:
        """One action."""
        entry, found = registry.action(plugin, action, self.project.pk)
        rules = ruling.rules_for(self.actor, self.project.pk)
        return answer(shapes.action(found, self.standings([entry])[entry.slug], rules))

    @extend_schema(
        operation_id="runAction",
        tags=["actions"],
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER),
            OpenApiParameter("connection", str, description="Id or label of one of several connections."),
            OpenApiParameter("queue", str, description="Send it with this push sync, on its schedule (202)."),
            OpenApiParameter("Navi-Queue", str, OpenApiParameter.HEADER, description="The same as a header."),
        ],
        request={"application/json": {"type": "object"}},
    )
    def post(self, request: Request, plugin: str, action: str) -> Response:
        """Run it. The body holds the arguments by name.

        202 where a rule asks a person first, or where the call goes into a queue: the run's id tells later
        what became of it.
        """
        call = Call(
            self.actor, self.project, plugin, action, arguments=self.arguments(),
            connection=request.query_params.get("connection"), idempotency_key=idempotency_key(request),
            request_id=current_request_id.get(),
        )  # fmt: skip
        queue = request.headers.get("Navi-Queue") or request.query_params.get("queue")
        try:
            return done(pushing.queue(call, queue) if queue else execute.run(call))
        except Waits as kept:
            return answer(shapes.kept(kept.run, self.project), 202)


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_LONGEST and key.isascii() and key.isprintable()):
        raise Problem("invalid_input", f"The Idempotency-Key has 1 to {KEY_LONGEST} printable characters.")
    return key


class Proxy(AgentView):
    navi_rule = Rule({"ANY": "scope:proxy"})
    parser_classes = ()
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    operation_name = "proxy"

    def forward(self, request: Request, plugin: str, path: str) -> HttpResponseBase:
        """The vendor's answer to the same request below its base URL, with the credential put in."""
        raw = raw_path(request, plugin, path)
        body = request._request.body or None
        call = Call(self.actor, self.project, plugin, connection=request.headers.get("X-Navi-Connection"))
        headers = {
            name: value for name, value in request.headers.items() if name.lower() != "x-navi-connection"
        }
        return streamed(
            proxy.forward(call, str(request.method), raw, request.META.get("QUERY_STRING", ""), headers, body)
        )

    get = head = post = put = patch = delete = extend_schema(tags=["proxy"], request=OpenApiTypes.ANY)(
        forward
    )


def raw_path(request: Request, plugin: str, path: str) -> str:
    """The path as it was sent: an encoded slash in a calendar's id must stay encoded."""
    raw = request.META.get("RAW_URI") or request.META.get("REQUEST_URI")
    if not raw:
        return quote("/" + path, safe="/:@!$&'()*+,;=~")
    whole = ORIGIN.sub("", raw.partition("?")[0])
    before, found, after = whole.partition(f"/api/proxy/{plugin}/")
    if not found or before:
        raise Problem("invalid_input", "Write /api/proxy/<plugin>/ without encoded characters.")
    return f"/{after}"


def streamed(forwarded: proxy.Forwarded) -> HttpResponseBase:
    response = StreamingHttpResponse(Safely(forwarded.body), status=forwarded.status)
    response.headers.pop("Content-Type", None)
    for name, value in forwarded.headers.items():
        response[name] = value
    response["X-Navi-Upstream"] = "1"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    response["Cache-Control"] = "no-store"
    return response


class Safely:
    """The body; where the vendor breaks off, the connection does too, so that the agent does not take half for all."""

    def __init__(self, body: proxy.Body) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.body
        except VendorError as error:
            raise ConnectionAbortedError(error.message) from None

    def close(self) -> None:
        self.body.close()


class Audit(AgentView):
    navi_rule = Rule({"GET": "scope:audit"})
    answers = {"GET": answers.EVENTS}

    @extend_schema(
        operation_id="listAudit",
        tags=["audit"],
        parameters=[
            OpenApiParameter(name, str)
            for name in ("event", "outcome", "provider", "actor", "since", "until", "cursor")
        ],
    )
    def get(self, request: Request) -> Response:
        """The project's events, newest first. `next` is the cursor of the page after."""
        query = request.query_params
        known = {
            name: query[name]
            for name in ("event", "outcome", "provider", "actor", "since", "until")
            if name in query
        }
        rows = AuditEvent.objects.in_project(self.project.pk).filtered(**moments(known))
        try:
            page, following = rows.page(query.get("cursor", ""))
        except ValueError:
            raise Problem("invalid_input", "The cursor is not one of ours.", field="cursor") from None
        return answer({"events": [shapes.event(row) for row in page], "next": following or None})


def moments(known: dict[str, str]) -> dict[str, Any]:
    for name, value in known.items():
        if "\0" in value:
            raise Problem("invalid_input", f"“{name}” holds a character that no text has.", field=name)
    return {
        name: moment(value, name) if name in {"since", "until"} else value for name, value in known.items()
    }


def moment(text: str, name: str) -> datetime:
    try:
        found = parse_datetime(text)
        if found is not None:
            return (make_aware(found) if is_naive(found) else found).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Problem("invalid_input", f"“{name}” is no time; write it as 2026-11-21T10:00:00Z.", field=name)
