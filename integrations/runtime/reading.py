"""Give stored records to readers: in the order of their changes, deletions included, never one left out."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.db.models.functions import Length

from credentials.vault import Unreadable
from integrations import policy, registry, ruling
from integrations.models import Record
from integrations.registry import Entry
from integrations.sdk import Plugin
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.projects.models import Project

LIMIT, MOST = 100, 500
LARGEST_PAGE = 8 * 1024 * 1024  # sealed bytes
FORM = "r1"
Point = tuple[int, uuid.UUID]
START: Point = (0, uuid.UUID(int=0))


@dataclass(frozen=True)
class Wish:
    """Which records of one kind somebody wants."""

    cursor: str = ""
    since: datetime | None = None
    part: str | None = None
    limit: int = LIMIT


@dataclass(frozen=True)
class Found:
    """A page: its records, the cursor after them (also where nothing is left), and whether there are more."""

    records: Sequence[Record]
    next: str
    has_more: bool


def check_readable(actor: Actor, project: Project, entry: Entry, plugin: Plugin) -> None:
    """What is kept of a service is read under the same switches and rules as the service itself.

    Raises Problem: blocked, disabled, approval_denied.
    """
    standing = policy.standing(entry, project_id=project.pk, user_id=actor.user_id)
    policy.check_open(entry, standing.effective_of(plugin))
    found = ruling.rules_for(actor, project.pk).ruling(plugin.slug)
    if found.asks or found.denies:
        words = f"{found.reason} So this agent does not read what is kept of {plugin.name}."
        raise Problem("approval_denied", words, provider=entry.slug)


def read(project: Project, plugin: Plugin, kind: str, wish: Wish) -> Found:
    """One page of records. Raises Problem: unknown kind, bad cursor."""
    if kind not in plugin.record_kinds:
        has = ", ".join(plugin.record_kinds) or "none"
        raise Problem("unknown", f"{plugin.name} has no records of “{kind}”; it has {has}.", field="kind")
    after = point_of(wish.cursor) if wish.cursor else START
    points, has_more = chosen(project, plugin, kind, wish, after)
    rows = Record.objects.in_bulk([pk for _, pk in points])
    # One that changed between the two looks comes again at its new place; one that was forgotten is gone.
    found = [rows[pk] for _, pk in points if pk in rows]
    return Found(found, cursor_of(points[-1] if points else after), has_more)


def chosen(project: Project, plugin: Plugin, kind: str, wish: Wish, after: Point) -> tuple[list[Point], bool]:
    """Where the records of the page stand: as many as are wanted, and as fit into one answer."""
    rows = Record.objects.filter(project=project, plugin=plugin.slug, kind=kind)
    rows = rows.filter(Q(sequence__gt=after[0]) | Q(sequence=after[0], pk__gt=after[1]))
    if wish.since:
        rows = rows.filter(changed_at__gte=wish.since)
    if wish.part is not None:
        rows = rows.filter(part=wish.part)
    limit = max(1, min(wish.limit, MOST))
    ordered = rows.order_by("sequence", "pk").annotate(size=Length("data"))
    found = list(ordered.values_list("sequence", "pk", "size")[: limit + 1])
    points: list[Point] = []
    total = 0
    for sequence, pk, size in found[:limit]:
        total += size or 0
        if points and total > LARGEST_PAGE:
            break
        points.append((sequence, pk))
    return points, len(points) < len(found)


def cursor_of(point: Point) -> str:
    text = f"{FORM}:{point[0]}:{point[1].hex}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def point_of(cursor: str) -> Point:
    """Raises Problem `invalid_input`."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        form, sequence, pk = (
            base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(":")
        )
        point = int(sequence), uuid.UUID(hex=pk)
    except ValueError:
        raise bad_cursor() from None
    if form != FORM or not 0 <= point[0] < 2**63 or cursor_of(point) != cursor:
        raise bad_cursor()
    return point


def bad_cursor() -> Problem:
    words = "This cursor is none of ours. Leave it out to read from the beginning."
    return Problem("invalid_input", words, field="cursor")


def content_of(row: Record) -> Any:
    """What a record holds, in clear. Raises VaultSealed."""
    try:
        return row.data.reveal()
    except Unreadable:
        return {"leftOut": "This record cannot be opened. The next full read of its sync writes it anew."}


def plugin_here(slug: str, project: Project) -> Plugin:
    """Raises Problem `unknown`."""
    return registry.plugin(slug, project.pk)[1]
