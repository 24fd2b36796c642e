"""A connection goes, a connection returns: noted here once each, told by integrations/runtime/telling.py.

Both are called inside a short transaction, so they write a row and put a job on the ledger, no more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from credentials.models import Connection
from integrations.models import CALM_AFTER, Illness, NoticeDelivery
from navi.audit.actor import SYSTEM
from navi.audit.record import record
from navi.audit.redact import redact
from navi.jobs.ledger import enqueue

GATHER = "notices"  # the job that makes one summary of an owner's news
GATHER_FOR = timedelta(seconds=60)
# An outage shows connection by connection, over an hour or so: whoever had many summaries hears less often.
MANY_SUMMARIES, GATHER_LONGER = 5, timedelta(minutes=10)
FLAPS = 3  # so many times an hour are told one by one


@transaction.atomic
def went(connection: Connection, reason: str) -> None:
    """The connection needs a person. Said again while it does, it changes nothing."""
    if Illness.objects.open_of(connection).exists():
        return
    now = timezone.now()
    illness = begun(connection, reason, now)
    # Of several processes that get here at once the constraint `one_illness_at_a_time` lets one through.
    Illness.objects.bulk_create([illness], ignore_conflicts=True)
    if not Illness.objects.filter(pk=illness.pk).exists():
        return
    remember(connection, "connection.needs_reconnect", {"reason": illness.reason})
    if illness.kind != Illness.Kind.SINGLE:
        close_flaps_before(illness)
    tell_soon(connection, now)


@transaction.atomic
def returned(connection: Connection) -> None:
    """The connection works again, by itself or reconnected. Without an illness it changes nothing."""
    now = timezone.now()
    if Illness.objects.open_of(connection).update(ended_at=now, changed_at=now):
        remember(connection, "connection.recovered")
        tell_soon(connection, now)


def remember(connection: Connection, event: str, detail: dict[str, str] | None = None) -> None:
    record(
        event, actor=SYSTEM, project=connection.project, provider=connection.provider, connection=connection,
        detail=detail,
    )  # fmt: skip


def begun(connection: Connection, reason: str, at: datetime) -> Illness:
    lately = Illness.objects.filter(connection=connection.pk, began_at__gt=at - CALM_AFTER)
    kinds = list(lately.values_list("kind", flat=True))
    return Illness(
        connection_id=connection.pk,
        reason=redact(reason)[:300],
        kind=kind_after(kinds),
        times=len(kinds) + 1,
        began_at=at,
        changed_at=at,
    )


def kind_after(kinds: list[str]) -> str:
    """How an illness is told after these of the last hour: one by one, as flapping, then no more."""
    if len(kinds) < FLAPS:
        return Illness.Kind.SINGLE
    is_told = any(kind != Illness.Kind.SINGLE for kind in kinds)
    return Illness.Kind.FOLDED if is_told else Illness.Kind.FLAPPING


def close_flaps_before(illness: Illness) -> None:
    """Only the last of a flapping still has an end to tell."""
    flaps = Illness.objects.filter(connection=illness.connection_id, is_closed=False)
    flaps.exclude(pk=illness.pk).exclude(kind=Illness.Kind.SINGLE).update(is_closed=True)


# --- when


def tell_soon(connection: Connection, at: datetime) -> None:
    """One summary for all that happens to this owner's connections in the meantime."""
    enqueue(GATHER, owner_of(connection), due_at=at + patience(connection, at))


def owner_of(connection: Connection) -> str:
    """`project:<id>` or `person:<id>`: whose summary it belongs to."""
    is_project = connection.project_id is not None
    return f"project:{connection.project_id}" if is_project else f"person:{connection.user_id}"


def patience(connection: Connection, at: datetime) -> timedelta:
    own = {"project": connection.project_id} if connection.project_id else {"person": connection.user_id}
    lately = NoticeDelivery.objects.filter(**own, created_at__gt=at - timedelta(hours=1))
    if not connection.project_id:
        lately = lately.filter(project=None)
    summaries = lately.order_by().values("created_at").distinct().count()
    return GATHER_LONGER if summaries >= MANY_SUMMARIES else GATHER_FOR
