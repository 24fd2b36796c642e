"""Credentials: their status, saving, testing, handing out, and asking a person for them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from credentials.models import Connection
from credentials.resolve import candidates, choose
from integrations import policy, registry
from integrations.registry import Entry
from integrations.runtime import asking, cli_logins, connect, health, release
from integrations.sdk import Call
from navi.api import answers, serializers, shapes
from navi.api.base import AgentView, answer, seconds_to_wait
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.projects.rules import Rule

CONNECTION = OpenApiParameter("connection", str, description="Id or label of one of several connections.")


class Providers(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.PROVIDERS}
    is_list = True

    @extend_schema(operation_id="listProviders", tags=["credentials"])
    def get(self, request: Request) -> Response:
        """All providers, with what is connected here."""
        rows = Connection.objects.reachable(project_id=self.project.pk, user_id=self.actor.user_id)
        by_provider: dict[str, list[Connection]] = {}
        for row in rows.in_order_of_resolution():
            by_provider.setdefault(row.provider, []).append(row)
        found = self.seen_entries()
        return answer(
            {"providers": [shapes.provider(entry, by_provider.get(entry.slug, [])) for entry in found]}
        )


class Credentials(AgentView):
    navi_rule = Rule({"GET": "scope:read", "POST": "scope:credentials", "DELETE": "scope:credentials"})
    answers = {"GET": answers.CREDENTIALS, "POST": answers.SAVED, "DELETE": None}
    statuses = {"POST": 201, "DELETE": 204}

    @extend_schema(operation_id="credentialStatus", tags=["credentials"])
    def get(self, request: Request, provider: str) -> Response:
        """What is connected at this provider, and which fields it takes; never a value."""
        entry = registry.entry(provider, self.project.pk)
        found = candidates(entry.slug, project_id=self.project.pk, user_id=self.actor.user_id)
        serving = choose(found).connection
        return answer(
            {
                "provider": entry.slug,
                "name": entry.name,
                "label": serving.label if serving else None,
                "scope": serving.scope if serving else None,
                "fields": [item.key for auth in entry.provider.auth for item in auth.fields],
                **shapes.credential_status(found),
            }
        )

    @extend_schema(operation_id="saveCredentials", tags=["credentials"], request=serializers.SaveCredentials)
    def post(self, request: Request, provider: str) -> Response:
        """Check the format, test at the vendor, and only then store. `?test=false` skips the test."""
        entry = registry.entry(provider, self.project.pk)
        body = self.body(serializers.SaveCredentials).validated_data
        reconnects = self.own_connection(body["connection"], entry.slug) if body["connection"] else None
        connected = connect.connect(self.offer(entry, body, reconnects), self.actor)
        row = connected.connection
        return answer(
            {**shapes.connection(row), "provider": entry.slug, "latencyMs": connected.latency_ms}, 201
        )

    def offer(self, entry: Entry, body: dict[str, Any], reconnects: Connection | None) -> connect.Offer:
        return connect.Offer(
            entry=entry,
            project=self.project,
            fields=body["credentials"],
            for_user=reconnects.user_id if reconnects else self.owner_of(body["scope"], entry.slug),
            label=body["label"],
            make_default=body["makeDefault"],
            reconnects=reconnects,
            auth_kind=kind_that_takes(entry, body["credentials"]),
            test=self.request.query_params.get("test", "true") != "false",
        )

    @extend_schema(
        operation_id="deleteCredentials", tags=["credentials"], request=serializers.DeleteCredentials
    )
    def delete(self, request: Request, provider: str) -> Response:
        """Disconnect: the named connection, or the default of the scope."""
        entry = registry.entry(provider, self.project.pk)
        body = self.body(serializers.DeleteCredentials).validated_data
        connect.disconnect(self.doomed(entry, body), self.actor, project=self.project)
        return answer(None, 204)

    def doomed(self, entry: Entry, body: dict[str, Any]) -> Connection:
        if body["connection"]:
            scope = body["scope"] if "scope" in self.request.data else None
            return self.own_connection(body["connection"], entry.slug, scope)
        owner = self.owner_of(body["scope"], entry.slug)
        found = candidates(entry.slug, project_id=self.project.pk, user_id=self.actor.user_id)
        of_scope = [row for row in found if (row.user_id == owner if owner else row.project_id)]
        chosen = choose(of_scope).connection
        if chosen is None:
            raise Problem("not_connected", f"{entry.name} is not connected here.", provider=entry.slug)
        return chosen


def kind_that_takes(entry: Entry, fields: dict[str, Any]) -> str:
    """The way of signing in that has these fields; the first that takes any."""
    pasted = [auth for auth in entry.provider.auth if auth.fields]
    for auth in pasted:
        if set(fields) <= {item.key for item in auth.fields}:
            return auth.kind
    return pasted[0].kind if pasted else entry.provider.auth[0].kind


class Test(AgentView):
    navi_rule = Rule({"POST": "scope:credentials"})
    answers = {"POST": answers.TESTED}

    @extend_schema(operation_id="testCredentials", tags=["credentials"], request=serializers.TestCredentials)
    def post(self, request: Request, provider: str) -> Response:
        """Ask the vendor now, with the stored credentials."""
        entry = registry.entry(provider, self.project.pk)
        body = self.body(serializers.TestCredentials).validated_data
        row = usable_connection(self, entry, body["connection"])
        finding = health.check(row, entry, actor=self.actor, asked_by="agent")
        record("connection.tested", actor=self.actor, project=self.project, provider=entry.slug, connection=row,
               outcome="ok" if finding.ok else "failed", duration_ms=finding.latency_ms)  # fmt: skip
        if finding.error:
            raise finding.error
        return answer(
            {
                "ok": True,
                "account": row.label,
                **asking.capabilities(entry, row),
                "latencyMs": finding.latency_ms,
            }
        )


class Login(AgentView):
    navi_rule = Rule({"POST": "scope:connect"})
    answers = {"POST": answers.CONNECTION}

    @extend_schema(operation_id="reportLogin", tags=["credentials"], request=serializers.CliLogin)
    def post(self, request: Request, provider: str) -> Response:
        """Tell of a login that lives on the agent's own machine (`gh`); no secret passes, none is stored.

        It is noted among the connections of the token's owner, for which the token has the scope `global`.
        """
        entry = registry.entry(provider, self.project.pk)
        body = self.body(serializers.CliLogin).validated_data
        self.owner_of("user", entry.slug)
        row = cli_logins.report(
            entry, self.actor, project=self.project, ok=body["ok"], account=body["account"]
        )
        return answer(shapes.connection(row))


def usable_connection(view: AgentView, entry: Entry, wanted: str | None) -> Connection:
    """The one to ask the vendor with, also where it needs a person. Raises Problem."""
    policy.check_not_blocked(entry)
    policy.check_approved(entry)
    found = candidates(entry.slug, project_id=view.project.pk, user_id=view.actor.user_id)
    chosen = choose(found, wanted).connection
    if chosen is None:
        raise Problem("not_connected", f"{entry.name} is not connected here yet.", provider=entry.slug)
    return chosen


class Token(AgentView):
    navi_rule = Rule({"GET": "scope:secret"})
    answers = {"GET": answers.TOKEN}

    @extend_schema(
        operation_id="getToken",
        tags=["credentials"],
        parameters=[
            CONNECTION,
            OpenApiParameter("minTtl", int, description="Seconds the token must still live."),
            OpenApiParameter("purpose", str, description="What it is for; kept in the audit."),
        ],
    )
    def get(self, request: Request, provider: str) -> Response:
        """The credential in clear, ready to use. Its audit event is written before it leaves."""
        query = request.query_params
        call = Call(self.actor, self.project, provider, connection=query.get("connection"))
        released = release.release(call, purpose=query.get("purpose", ""), min_ttl=seconds_in(query))
        return answer(shapes.released(released), is_private=True)


def seconds_in(query: Mapping[str, str]) -> int:
    """`minTtl` as it was sent. Raises Problem."""
    said = query.get("minTtl", "0")
    if not re.fullmatch(r"[0-9]{1,7}", said, re.ASCII):
        raise Problem("invalid_input", "minTtl is a number of seconds, such as 300.", field="minTtl")
    return int(said)


class Explain(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.EXPLAINED}

    @extend_schema(operation_id="explainCredentials", tags=["credentials"], parameters=[CONNECTION])
    def get(self, request: Request, provider: str) -> Response:
        """Which connection would be used, why that one, and what it shadows."""
        entry = registry.entry(provider, self.project.pk)
        found = candidates(entry.slug, project_id=self.project.pk, user_id=self.actor.user_id)
        standing = policy.standing(entry, project_id=self.project.pk, user_id=self.actor.user_id).effective
        resolution = choose(found, request.query_params.get("connection"))
        facts = {"provider": entry.slug, "enabled": standing.enabled and not standing.is_blocked}
        return answer({**facts, "enabledBy": standing.origin["enabled"], **shapes.resolution(resolution)})


class AskToConnect(AgentView):
    navi_rule = Rule({"POST": "scope:connect"})
    answers = {"POST": answers.ASKED}
    statuses = {"POST": 201}

    @extend_schema(operation_id="askToConnect", tags=["credentials"], request=serializers.AskToConnect)
    def post(self, request: Request, provider: str) -> Response:
        """A link on which a signed-in person connects it; the secret never passes through the agent."""
        entry = registry.entry(provider, self.project.pk)
        body = self.body(serializers.AskToConnect).validated_data
        reconnects = self.own_row(body["connection"], entry) if body["connection"] else None
        for_user = self.actor.user_id if body["scope"] != "project" else None
        asked = asking.ask(
            entry, self.project, self.actor, for_user=for_user, scopes=body["scopes"], reconnects=reconnects
        )
        return answer(asking.told(asked), 201)

    def own_row(self, wanted: str, entry: Entry) -> Connection:
        found = candidates(entry.slug, project_id=self.project.pk, user_id=self.actor.user_id)
        chosen = choose(found, wanted).connection
        assert chosen is not None  # noqa: S101 - choose() raises where a name finds nothing
        return chosen


class ConnectState(AgentView):
    navi_rule = Rule({"GET": "scope:connect"})
    answers = {"GET": answers.ASKED_STATE}

    @extend_schema(
        operation_id="connectState",
        tags=["credentials"],
        parameters=[OpenApiParameter("wait", int, description="Seconds to wait for an end, at most 25.")],
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """How far it is: pending, done, failed or expired."""
        return answer(asking.wait_for(pk, self.project, self.actor, seconds_to_wait(request)))
