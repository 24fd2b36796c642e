"""Integrations: status, toggles, health; custom providers; what would fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.models import Connection
from credentials.resolve import candidates, choose
from integrations import policy, registry
from integrations.models import CustomProvider
from integrations.registry import Entry
from integrations.runtime import custom, health, preflight, toggles
from navi.api import answers, serializers, shapes
from navi.api.base import AgentView, answer
from navi.api.views.credentials import usable_connection
from navi.audit.problems import Problem
from navi.projects.rules import Rule

HISTORY = 30


class Status(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.INTEGRATIONS}
    is_list = True

    @extend_schema(operation_id="integrationsStatus", tags=["integrations"])
    def get(self, request: Request) -> Response:
        """Every integration: what is connected, what is switched on and why, and its health."""
        found = self.seen_entries()
        place: dict[str, Any] = {"project_id": self.project.pk, "user_id": self.actor.user_id}
        standings = policy.standings(found, **place)
        rows: dict[str, list[Connection]] = {}
        for row in Connection.objects.reachable(**place).in_order_of_resolution():
            rows.setdefault(row.provider, []).append(row)
        told = [shapes.integration(entry, standings[entry.slug], rows.get(entry.slug, [])) for entry in found]
        return answer({"integrations": told})


class OneView(AgentView):
    def entry(self) -> Entry:
        return registry.entry(self.kwargs["provider"], self.project.pk)

    def rows(self, entry: Entry) -> list[Connection]:
        return candidates(entry.slug, project_id=self.project.pk, user_id=self.actor.user_id)

    def standing(self, entry: Entry) -> policy.Standing:
        return policy.standing(entry, project_id=self.project.pk, user_id=self.actor.user_id)

    def status(self, entry: Entry) -> Response:
        rows = self.rows(entry)
        told = shapes.integration(entry, self.standing(entry), rows)
        return answer({**told, "health": self.health(entry, rows), **shapes.credential_status(rows)})

    def switched(self, entry: Entry, body: Mapping[str, Any], **changes: bool | None) -> Response:
        owner = self.owner_of(body["scope"], entry.slug)
        toggles.switch(
            entry, actor=self.actor, project=self.project, for_user=owner, plugin=body["plugin"], **changes
        )
        return self.status(entry)

    def health(self, entry: Entry, rows: list[Connection]) -> dict[str, object]:
        row = choose(rows).connection
        history = list(row.checks.all()[:HISTORY]) if row else []
        return shapes.health(entry, row, history, is_enabled=self.standing(entry).effective.enabled)


class OneStatus(OneView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.INTEGRATION}

    @extend_schema(operation_id="integrationStatus", tags=["integrations"])
    def get(self, request: Request, provider: str) -> Response:
        """One integration, with its health in detail."""
        return self.status(self.entry())


class Switch(OneView):
    navi_rule = Rule({"POST": "scope:manage"})
    answers = {"POST": answers.INTEGRATION}
    enabled = True

    @extend_schema(operation_id="switchIntegration", tags=["integrations"], request=serializers.Scoped)
    def post(self, request: Request, provider: str) -> Response:
        """Switch it, or one plugin of it, on: for the project, or for all projects of the token's owner."""
        entry = self.entry()
        return self.switched(entry, self.body(serializers.Scoped).validated_data, enabled=self.enabled)


class SwitchOff(Switch):
    enabled = False

    @extend_schema(operation_id="switchIntegrationOff", tags=["integrations"], request=serializers.Scoped)
    def post(self, request: Request, provider: str) -> Response:
        """Switch it, or one plugin of it, off: for the project, or for all projects of the token's owner."""
        return super().post(request, provider)


class Settings(OneView):
    navi_rule = Rule({"POST": "scope:manage"})
    answers = {"POST": answers.INTEGRATION}

    @extend_schema(operation_id="changeIntegration", tags=["integrations"], request=serializers.ChangeToggles)
    def post(self, request: Request, provider: str) -> Response:
        """Switch MCP and skill; null inherits."""
        entry = self.entry()
        body = self.body(serializers.ChangeToggles).validated_data
        names = {"mcpEnabled": "mcp_enabled", "skillEnabled": "skill_enabled"}
        changes = {ours: body[theirs] for theirs, ours in names.items() if theirs in body}
        if not changes:
            raise Problem("invalid_input", "Give mcpEnabled or skillEnabled.")
        return self.switched(entry, body, **changes)


class HealthCheck(OneView):
    navi_rule = Rule({"POST": "scope:run"})
    answers = {"POST": answers.HEALTH_DETAIL}

    @extend_schema(operation_id="runHealthCheck", tags=["integrations"], request=serializers.TestCredentials)
    def post(self, request: Request, provider: str) -> Response:
        """Run a health check now."""
        entry = self.entry()
        body = self.body(serializers.TestCredentials).validated_data
        row = usable_connection(self, entry, body["connection"])
        health.check(row, entry, actor=self.actor, asked_by="agent")
        return answer(self.health(entry, [row]))


class Health(OneView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.HEALTH_DETAIL}

    @extend_schema(operation_id="getHealth", tags=["integrations"])
    def get(self, request: Request, provider: str) -> Response:
        """The last known health, and the checks before it."""
        entry = self.entry()
        return answer(self.health(entry, self.rows(entry)))


@contextmanager
def named_as_sent() -> Iterator[None]:
    """A refusal names the field as the agent wrote it."""
    try:
        yield
    except Problem as problem:
        sent = {ours: theirs for theirs, ours in serializers.CUSTOM_NAMES.items()}.get(problem.field or "")
        if sent and problem.field:
            problem.message = problem.message.replace(problem.field, sent)
            problem.field = sent
        raise


class Customs(AgentView):
    navi_rule = Rule({"GET": "scope:read", "POST": "scope:manage"})
    answers = {"GET": answers.CUSTOMS, "POST": answers.CUSTOM}
    statuses = {"POST": 201}

    @extend_schema(operation_id="listCustomProviders", tags=["custom providers"])
    def get(self, request: Request) -> Response:
        """The project's custom providers."""
        rows = CustomProvider.objects.filter(project=self.project)
        return answer({"providers": [shapes.custom(row) for row in rows]})

    @extend_schema(
        operation_id="createCustomProvider", tags=["custom providers"], request=serializers.CustomProviderBody
    )
    def post(self, request: Request) -> Response:
        """Describe a provider: it behaves like any other."""
        values = self.body(serializers.CustomProviderBody).model_values()
        with named_as_sent():
            return answer(shapes.custom(custom.create(self.project, values, self.actor)), 201)


class Custom(AgentView):
    navi_rule = Rule({"GET": "scope:read", "PUT": "scope:manage", "DELETE": "scope:manage"})
    answers = {"GET": answers.CUSTOM, "PUT": answers.CUSTOM, "DELETE": None}
    statuses = {"DELETE": 204}

    def row(self) -> CustomProvider:
        found = CustomProvider.objects.filter(project=self.project, slug=self.kwargs["slug"]).first()
        if found is None:
            raise Problem("unknown", "There is no such custom provider here.")
        return found

    @extend_schema(operation_id="getCustomProvider", tags=["custom providers"])
    def get(self, request: Request, slug: str) -> Response:
        """One custom provider."""
        return answer(shapes.custom(self.row()))

    @extend_schema(
        operation_id="changeCustomProvider", tags=["custom providers"], request=serializers.CustomProviderBody
    )
    def put(self, request: Request, slug: str) -> Response:
        """Change it. Another address needs a reconnect."""
        row = self.row()
        values = self.body(serializers.CustomProviderBody).model_values()
        with named_as_sent():
            return answer(shapes.custom(custom.change(row, values, self.actor)))

    @extend_schema(operation_id="deleteCustomProvider", tags=["custom providers"])
    def delete(self, request: Request, slug: str) -> Response:
        """Remove it with its connections."""
        custom.remove(self.row(), self.actor)
        return answer(None, 204)


class Preflight(AgentView):
    navi_rule = Rule({"POST": "scope:read"})
    answers = {"POST": answers.PREFLIGHT}
    is_list = True

    @extend_schema(operation_id="preflight", tags=["integrations"], request=serializers.Preflight)
    def post(self, request: Request) -> Response:
        """What would fail in the time ahead, and the fix for each."""
        body = self.body(serializers.Preflight).validated_data
        return answer(preflight.preflight(self.actor, self.project, body["needs"], seconds=body["for"]))
