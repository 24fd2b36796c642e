"""What all API views share."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credentials.models import Connection
from integrations import policy, registry
from integrations.registry import Entry
from navi.api import serializers
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.projects import roles
from navi.projects.models import AgentToken, Project
from navi.projects.rules import Rule

B = TypeVar("B", bound=serializers.Body)
WAITS_MOST = 25  # seconds


class AgentView(APIView):
    """One address for agents. `navi_rule` names the scope each method needs."""

    navi_rule: Rule
    answers: Mapping[str, Any] = {}
    statuses: Mapping[str, int] = {}
    more_answers: Mapping[str, Mapping[int, Any]] = {}  # by method and status, beside the usual one
    is_list = False  # a list, or a thing that names several providers: a limited token gets its part
    http_method_names = ["get", "head", "post", "put", "delete"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.refuse_other_project(request.query_params.get("projectId"))

    @property
    def actor(self) -> Actor:
        return self.request.user  # type: ignore[return-value]

    @property
    def project(self) -> Project:
        token: AgentToken = self.request.auth  # type: ignore[assignment]
        return token.project

    def seen_entries(self) -> list[Entry]:
        """The project's providers that this token may read about."""
        return [entry for entry in registry.entries(self.project.pk) if policy.sees(self.actor, entry)]

    def connections_seen(self) -> dict[str, list[Connection]]:
        """By provider, in the order of resolution: one query."""
        rows = Connection.objects.reachable(project_id=self.project.pk, user_id=self.actor.user_id)
        found: dict[str, list[Connection]] = {}
        for row in rows.in_order_of_resolution():
            found.setdefault(row.provider, []).append(row)
        return found

    def standings(self, found: list[Entry]) -> dict[str, policy.Standing]:
        """What is switched on here, by provider: two queries."""
        return policy.standings(found, project_id=self.project.pk, user_id=self.actor.user_id)

    def body(self, kind: type[B]) -> B:
        """The checked body. Raises ValidationError, Problem."""
        parsed = kind(data=self.request.data)
        parsed.is_valid(raise_exception=True)
        self.refuse_other_project(parsed.validated_data.get("projectId"))
        return parsed

    def arguments(self) -> dict[str, Any]:
        """The whole body, where its fields are not ours to know."""
        data: Any = self.request.data
        return dict(data)

    def refuse_other_project(self, asked: str | None) -> None:
        if asked and asked not in {str(self.project.pk), self.project.pk.hex, self.project.slug}:
            raise Problem("unknown", "There is no such project for this token.", field="projectId")

    def owner_of(self, scope: str, provider: str) -> uuid.UUID | None:
        """None for the project; the person for all their projects, where the token may. Raises Problem."""
        if scope == "project":
            return None
        if not roles.allows(self.actor.scopes, "global", provider):
            raise Problem(
                "out_of_scope", "This token has not got the scope “global”, which reaches beyond the project."
            )
        return self.actor.user_id

    def own_connection(self, wanted: str, provider: str, scope: str | None = None) -> Connection:
        """A connection that the token may change: the project's, or its owner's with `global`."""
        rows = Connection.objects.reachable(project_id=self.project.pk, user_id=self.actor.user_id)
        rows = rows.filter(provider=provider).select_related("current").in_order_of_resolution()
        of_scope = [row for row in rows if scope is None or (row.scope == "project") == (scope == "project")]
        found = named(of_scope, wanted)
        if found.user_id:
            self.owner_of("user", provider)
        return found


def named(rows: list[Connection], wanted: str) -> Connection:
    """The one of this id, or of this label where only one has it. Raises Problem."""
    by_id = [row for row in rows if wanted in {str(row.pk), row.pk.hex}]
    found = by_id or [row for row in rows if row.label == wanted]
    if len(found) == 1:
        return found[0]
    words = (
        "Several connections have this label; name one by its id."
        if found
        else "There is no such connection here."
    )
    raise Problem("invalid_input" if found else "unknown", words, field="connection")


def answer(data: Any, status: int = 200, *, is_private: bool = False) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Authorization"} if is_private else {}
    return Response(data, status=status, headers=headers)


def seconds_to_wait(request: Request) -> int:
    """What `?wait=` asks for, 0 to 25; what is no number is no wish to wait."""
    text = request.query_params.get("wait", "")
    return min(int(text), WAITS_MOST) if text.isascii() and text.isdigit() and len(text) < 10 else 0
