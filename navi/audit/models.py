"""What happened: append-only events, sealed into a chain of batches.

Events hold ids and frozen text, no foreign keys: they outlive the people and projects they name.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import Lock
from typing import Any, ClassVar, NoReturn, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models import Q
from django.utils import timezone

PAGE = 50


@dataclass(frozen=True)
class Link:
    """The end of a chain: what the next batch has to follow."""

    number: int
    mac: str


BEGINNING = Link(0, "")


class AppendOnly(Exception):
    """Audit events are written once and never changed."""


class BadCursor(ValueError):
    """Not a place in a list that Navi has handed out."""


Row = TypeVar("Row", bound=models.Model)


class AppendOnlyQuerySet(models.QuerySet[Row]):
    """Rows are added and read. Sealing and pruning go through the model's `ledger` instead."""

    def update(self, **values: Any) -> NoReturn:
        raise AppendOnly("The audit is never changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("The audit is never deleted, only pruned: manage.py audit_prune.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("The audit is never changed.")

    update.queryset_only = delete.queryset_only = True  # type: ignore[attr-defined]


class AppendOnlyModel(models.Model):
    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("The audit is never changed.")
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("The audit is never deleted, only pruned: manage.py audit_prune.")


class Outcome(models.TextChoices):
    OK = "ok", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class AuditEventQuerySet(AppendOnlyQuerySet["AuditEvent"]):
    def in_project(self, project_id: uuid.UUID) -> AuditEventQuerySet:
        return self.filter(project_id=project_id)

    def unsealed(self) -> AuditEventQuerySet:
        return self.filter(batch=None)

    def newest_first(self) -> AuditEventQuerySet:
        return self.order_by("-at", "-id")

    def oldest_first(self) -> AuditEventQuerySet:
        return self.order_by("at", "id")

    def filtered(
        self,
        *,
        event: str = "",
        outcome: str = "",
        provider: str = "",
        actor: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        text: str = "",
    ) -> AuditEventQuerySet:
        """Those that fit everything given; what is empty is not asked.

        `event` is a name or the part before its dot, `actor` an id or a part of a label, `since` belongs to
        the span and `until` does not, and `text` is sought in what a list shows.
        """
        rows = self
        if event:
            rows = rows.filter(event=event) if "." in event else rows.filter(event__startswith=f"{event}.")
        if outcome:
            rows = rows.filter(outcome=outcome)
        if provider:
            rows = rows.filter(provider=provider)
        if actor:
            rows = rows.filter(Q(actor_id=actor) | Q(actor_label__icontains=actor))
        if since:
            rows = rows.filter(at__gte=since)
        if until:
            rows = rows.filter(at__lt=until)
        if text:
            shown = ["event", "code", "actor_label", "provider", "plugin", "action", "connection_label"]
            wanted = Q(request_id=text) | Q(actor_id=text)
            for name in shown:
                wanted |= Q(**{f"{name}__icontains": text})
            rows = rows.filter(wanted)
        return rows

    def after(self, cursor: str) -> AuditEventQuerySet:
        """What comes after this place in the list, newest first. Raises BadCursor."""
        if not cursor:
            return self.newest_first()
        at, last_id = place(cursor)
        return self.filter(Q(at__lt=at) | Q(at=at, id__lt=last_id), at__lte=at).newest_first()

    def page(self, cursor: str = "", *, size: int = PAGE) -> tuple[list[AuditEvent], str]:
        """One page, newest first, and the cursor of the next; that is empty on the last page."""
        rows = list(self.after(cursor)[: size + 1])
        return rows[:size], rows[size - 1].cursor if len(rows) > size else ""


def place(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        at, _, last_id = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").partition("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("without a time zone")
        return moment, uuid.UUID(last_id)
    except (ValueError, binascii.Error):
        raise BadCursor("This place in the list is not known; start again from its beginning.") from None


@cache
def insert_statement() -> str:
    fields = AuditEvent._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join(["%s"] * len(fields))
    return f'INSERT INTO "{AuditEvent._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608 - our own names


# SQLite lets one write at a time and makes the others sleep and look again; threads that queue up wait less.
WRITING = Lock()


def one_writer() -> AbstractContextManager[Any]:
    return WRITING if connection.vendor == "sqlite" and not connection.in_atomic_block else nullcontext()


class AuditEvent(AppendOnlyModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now)
    event = models.CharField(max_length=60)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OK)
    code = models.CharField(max_length=40, blank=True)  # the error code of contract.md, when not ok
    actor_kind = models.CharField(max_length=10, blank=True)  # agent, person, operator, system
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=160, blank=True)
    project_id = models.UUIDField(null=True)
    project_slug = models.CharField(max_length=60, blank=True)
    provider = models.CharField(max_length=60, blank=True)
    plugin = models.CharField(max_length=60, blank=True)
    action = models.CharField(max_length=80, blank=True)
    connection_id = models.UUIDField(null=True)
    connection_label = models.CharField(max_length=160, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    ip = models.GenericIPAddressField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    detail = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    batch = models.ForeignKey("AuditBatch", models.PROTECT, null=True, editable=False, related_name="events")

    objects = AuditEventQuerySet.as_manager()
    ledger: ClassVar[models.Manager[AuditEvent]] = models.Manager()  # for sealing and pruning only

    class Meta:
        indexes = [
            models.Index(fields=["project_id", "-at"], name="audit_project_at"),
            models.Index(fields=["event", "-at"], name="audit_event_at"),
            models.Index(fields=["-at"], name="audit_at"),
            models.Index(fields=["batch"], name="audit_batch", condition=models.Q(batch=None)),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """One INSERT, written out once: every release of a secret waits for it."""
        if not self._state.adding:
            raise AppendOnly("The audit is never changed.")
        fields = self._meta.concrete_fields
        values = [field.get_db_prep_save(getattr(self, field.attname), connection) for field in fields]
        with one_writer(), connection.cursor() as cursor:
            cursor.execute(insert_statement(), values)
        self._state.adding, self._state.db = False, connection.alias

    def __str__(self) -> str:
        return f"{self.event} {self.outcome} at {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def cursor(self) -> str:
        """The place of this event in a list, newest first."""
        return base64.urlsafe_b64encode(f"{self.at.isoformat()}|{self.id.hex}".encode()).decode()


class BatchQuerySet(AppendOnlyQuerySet["AuditBatch"]):
    def newest(self) -> AuditBatch | None:
        """The last batch of the chain, without its leaves."""
        return self.defer("leaves").order_by("-number").first()

    def next_after(self, number: int) -> AuditBatch | None:
        return self.filter(number__gt=number).order_by("number").first()


class AuditBatch(AppendOnlyModel):
    """A sealed minute: which events it holds, and an HMAC over them and the batch before."""

    number = models.PositiveBigIntegerField(primary_key=True)
    sealed_at = models.DateTimeField()
    leaves = models.JSONField()  # [[event id, HMAC of its content in hex], …] in the order of ids
    key_id = models.CharField(max_length=12)
    previous_mac = models.CharField(max_length=64, blank=True)
    mac = models.CharField(max_length=64)

    objects = BatchQuerySet.as_manager()
    ledger: ClassVar[models.Manager[AuditBatch]] = models.Manager()  # for sealing and pruning only

    class Meta:
        ordering = ["number"]
        verbose_name_plural = "audit batches"

    def __str__(self) -> str:
        return f"Batch {self.number}"

    @property
    def link(self) -> Link:
        return Link(self.number, self.mac)


class CheckpointQuerySet(models.QuerySet["AuditCheckpoint"]):
    def newest(self) -> AuditCheckpoint | None:
        return self.order_by("-number").first()


class AuditCheckpoint(models.Model):
    """Where the chain begins after pruning: the last batch that was dropped. One row at most."""

    number = models.PositiveBigIntegerField(primary_key=True)  # of the last batch dropped
    mac = models.CharField(max_length=64)  # of that batch
    pruned_until = models.DateTimeField()  # when that batch was sealed
    pruned_at = models.DateTimeField()
    events = models.PositiveBigIntegerField()  # dropped so far, over all prunings
    key_id = models.CharField(max_length=12)
    signature = models.CharField(max_length=64)

    objects = CheckpointQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Pruned until {self.pruned_until:%Y-%m-%d %H:%M}"

    @property
    def link(self) -> Link:
        return Link(self.number, self.mac)
