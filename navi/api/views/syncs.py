"""Synced records, and the syncs that bring them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from integrations import registry
from integrations.models import Record
from integrations.runtime import reading, sync_asking
from integrations.runtime.sync_asking import Told, Wanted
from integrations.sdk import Plugin
from navi.api import answers, serializers
from navi.api.base import AgentView, answer
from navi.api.errors import iso
from navi.api.views.actions import moment
from navi.audit.problems import Problem
from navi.projects.rules import Rule


class Records(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.RECORDS}

    @extend_schema(
        operation_id="listRecords",
        tags=["records"],
        parameters=[
            OpenApiParameter("cursor", str, description="`next` of the page before: what changed after it."),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="Only what changed since then."),
            OpenApiParameter("part", str, description="One part of the sync, such as a calendar's id."),
            OpenApiParameter(
                "limit", int, description=f"At most {reading.MOST}; {reading.LIMIT} if left out."
            ),
        ],
    )
    def get(self, request: Request, plugin: str, kind: str) -> Response:
        """Records in the order of their changes, deletions included. Keep `next` and come back with it."""
        entry, found = registry.plugin(plugin, self.project.pk)
        reading.check_readable(self.actor, self.project, entry, found)
        page = reading.read(self.project, found, kind, wish_of(request))
        told = [record(row) for row in page.records]
        return answer({"records": told, "next": page.next, "hasMore": page.has_more}, is_private=True)


def wish_of(request: Request) -> reading.Wish:
    """Raises Problem `invalid_input`."""
    query = request.query_params
    for name in ("cursor", "part"):
        if "\0" in query.get(name, ""):
            raise Problem("invalid_input", f"“{name}” holds a character that no text has.", field=name)
    return reading.Wish(
        cursor=query.get("cursor", ""),
        since=moment(query["since"], "since") if query.get("since") else None,
        part=query.get("part"),
        limit=limit_of(query.get("limit", "")),
    )


def limit_of(text: str) -> int:
    if not text:
        return reading.LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= reading.MOST):
        words = f"“limit” is a number from 1 to {reading.MOST}."
        raise Problem("invalid_input", words, field="limit")
    return int(text)


def record(row: Record) -> dict[str, Any]:
    return {
        "id": row.external_id,
        "part": row.part,
        "data": reading.content_of(row),
        "deleted": row.is_deleted,
        "changedAt": iso(row.changed_at),
        "connection": str(row.connection_id),
    }


class Syncs(AgentView):
    navi_rule = Rule({"GET": "scope:sync", "POST": "scope:sync"})
    answers = {"GET": answers.SYNCS, "POST": answers.SYNCS}
    statuses = {"POST": 202}

    @extend_schema(operation_id="listSyncs", tags=["sync"])
    def get(self, request: Request, plugin: str) -> Response:
        """How each sync of a plugin fares: what it read, when it ran, when it runs next."""
        _, found = registry.plugin(plugin, self.project.pk)
        return self.told(found, sync_asking.states(self.project, plugin))

    @extend_schema(operation_id="runSyncs", tags=["sync"], request=serializers.AskForSync)
    def post(self, request: Request, plugin: str) -> Response:
        """Run them now; a run under way is followed by one more. `full` reads everything again."""
        _, found = registry.plugin(plugin, self.project.pk)
        given = self.body(serializers.AskForSync).validated_data
        wanted = Wanted(given["kinds"], given["part"], given["connection"] or "")
        rows = sync_asking.request(self.project, found, wanted, actor=self.actor, full=given["full"])
        return self.told(found, rows, status=202)

    def told(self, plugin: Plugin, rows: Any, status: int = 200) -> Response:
        return answer({"syncs": [state(one) for one in sync_asking.told(rows, plugin)]}, status=status)


def state(told: Told) -> dict[str, Any]:
    row = told.state
    error = {"code": row.error_code, "message": row.error_message} if row.error_code else None
    return {
        "id": str(row.pk),
        "plugin": row.plugin,
        "kind": row.kind,
        "title": told.title,
        "part": row.part,
        "partLabel": told.part_label,
        "connection": str(row.connection_id),
        "direction": told.direction,
        "phase": row.phase,
        "paused": row.is_paused,
        "full": row.is_full,
        "pages": row.pages,
        "seen": row.seen,
        "changed": row.changed,
        "deleted": row.deleted,
        "total": row.total,
        "recordCount": told.records,
        "startedAt": iso(row.started_at),
        "finishedAt": iso(row.finished_at),
        "succeededAt": iso(row.succeeded_at),
        "nextRunAt": None if row.is_paused else iso(row.next_run_at),
        "error": error,
    }
