"""Write down what happened. If it cannot be written, nothing leaves the house."""

from __future__ import annotations

import ipaddress
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import Error
from django.db.models import CharField
from django.http import Http404

from navi.audit.actor import Actor
from navi.audit.detail import fitted
from navi.audit.events import EVENTS
from navi.audit.middleware import current_request_id
from navi.audit.models import AuditEvent, Outcome
from navi.audit.problems import CODES, Problem
from navi.audit.redact import redact_shapes

WIDTHS: dict[str, int] = {
    f.name: f.max_length
    for f in AuditEvent._meta.concrete_fields
    if isinstance(f, CharField) and f.max_length
}

# Control characters, half surrogate pairs, and what turns the direction of the writing around.
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


class AuditUnavailable(Problem):
    """The event could not be written, so what it tells of must not leave (503)."""

    def __init__(self, message: str = "Navi cannot write its audit now, so nothing is handed out.") -> None:
        super().__init__("audit_unavailable", message)


def record(
    event: str,
    *,
    actor: Actor,
    project: Any = None,
    outcome: str = Outcome.OK,
    code: str = "",
    provider: str = "",
    plugin: str = "",
    action: str = "",
    connection: Any = None,
    duration_ms: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Remember one event, in one INSERT.

    `project` has a pk and a slug, `connection` a pk and a label. Credentials in `detail` are masked, and
    beyond 4 KiB it is cut. Raises AuditUnavailable where the database does not take it, and ValueError for
    an event that is not in EVENTS.
    """
    if event not in EVENTS:
        raise ValueError(f"There is no event {event!r}; add it to navi/audit/events.py.")
    row = AuditEvent(
        id=uuid.uuid4(),
        event=event,
        outcome=Outcome(outcome).value,
        code=cut("code", code),
        actor_kind=actor.kind,
        actor_id=cut("actor_id", actor.id),
        actor_label=label("actor_label", actor.label),
        project_id=project.pk if project is not None else None,
        project_slug=cut("project_slug", project.slug) if project is not None else "",
        provider=cut("provider", provider),
        plugin=cut("plugin", plugin),
        action=cut("action", action),
        connection_id=connection.pk if connection is not None else None,
        connection_label=label("connection_label", connection.label) if connection is not None else "",
        request_id=current_request_id.get(),
        ip=address(actor.ip),
        duration_ms=duration_ms,
        detail=fitted(detail) if detail else {},
    )
    try:
        row.save(force_insert=True)
    except Error as problem:
        raise AuditUnavailable from problem
    return row


@dataclass
class Record:
    """An event that is still happening; whoever knows more writes it here."""

    event: str
    actor: Actor
    project: Any = None
    outcome: str = ""  # empty: told by whether, and what, the block raises
    code: str = ""
    provider: str = ""
    plugin: str = ""
    action: str = ""
    connection: Any = None
    detail: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    is_told: bool = False  # another event says it already

    def write(self) -> AuditEvent | None:
        if self.is_told:
            return None
        return record(
            self.event,
            actor=self.actor,
            project=self.project,
            outcome=self.outcome or Outcome.OK,
            code=self.code,
            provider=self.provider,
            plugin=self.plugin,
            action=self.action,
            connection=self.connection,
            duration_ms=round((time.monotonic() - self.started) * 1000),
            detail=self.detail,
        )

    def ended_by(self, problem: BaseException) -> None:
        code = getattr(problem, "code", "")
        self.code = self.code or (code if isinstance(code, str) else "")
        self.outcome = self.outcome or outcome_of(problem, self.code)


@contextmanager
def recorded(
    event: str,
    *,
    actor: Actor,
    project: Any = None,
    provider: str = "",
    plugin: str = "",
    action: str = "",
    connection: Any = None,
    detail: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Remember what the block does: one event at its end, also when it raises.

    Raises AuditUnavailable instead of the block's own outcome where that event cannot be written.
    """
    if event not in EVENTS:
        raise ValueError(f"There is no event {event!r}; add it to navi/audit/events.py.")
    happening = Record(
        event,
        actor=actor,
        project=project,
        provider=provider,
        plugin=plugin,
        action=action,
        connection=connection,
        detail=dict(detail or {}),
    )
    try:
        yield happening
    except BaseException as problem:
        happening.ended_by(problem)
        happening.write()
        raise
    happening.write()


def outcome_of(problem: BaseException, code: str) -> Outcome:
    """Refused: Navi or the vendor said no. Failed: something broke on the way."""
    if isinstance(problem, PermissionDenied | Http404):
        return Outcome.REFUSED
    meaning = CODES.get(code)
    said_no = meaning is not None and meaning.status < 500 and code != "rate_limited"
    return Outcome.REFUSED if said_no else Outcome.FAILED


@lru_cache(maxsize=1024)
def label(name: str, text: str) -> str:
    return cut(name, redact_shapes(text))


def cut(name: str, text: str) -> str:
    """The text as its column takes it: PostgreSQL refuses what is too long, and NUL."""
    text, width = UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", str(text)), WIDTHS[name]
    return text if len(text) <= width else text[: width - 1] + "…"


@lru_cache(maxsize=1024)
def address(ip: str) -> str | None:
    """The address in one spelling; None where it is none (a test client, a Unix socket)."""
    try:
        parsed = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
