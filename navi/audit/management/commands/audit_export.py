"""Write the audit to standard output."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from navi.audit.actor import Actor
from navi.audit.export import csv_rows, json_lines
from navi.audit.models import AuditEvent, AuditEventQuerySet
from navi.audit.record import record

OPERATOR = Actor("operator", "shell", "Operator at the command line")


class Command(BaseCommand):
    help = "Write audit events to standard output, oldest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["csv", "jsonl"], default="jsonl")
        parser.add_argument("--project", default="", help="slug or id; default: everything")
        parser.add_argument(
            "--since", default="", help="a day or a moment, as in 2026-11-01 or 2026-11-01T08:00"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = in_project(AuditEvent.objects.oldest_first(), options["project"])
        rows = rows.filtered(since=moment(options["since"]))
        detail = {name: options[name] for name in ("format", "project", "since") if options[name]}
        record("audit.exported", actor=OPERATOR, detail=detail)
        for line in csv_rows(rows) if options["format"] == "csv" else json_lines(rows):
            self.stdout.write(line, ending="")


def in_project(rows: AuditEventQuerySet, project: str) -> AuditEventQuerySet:
    if not project:
        return rows
    try:
        return rows.in_project(uuid.UUID(project))
    except ValueError:
        return rows.filter(project_slug=project)


def moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--since is {text!r}; write it as 2026-11-01 or 2026-11-01T08:00.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
