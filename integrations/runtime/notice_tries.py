"""How often a delivery is tried, and what is remembered of how it ended: for mails and webhooks alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials.models import Connection
from integrations.models import NoticeDelivery
from navi.audit.actor import SYSTEM
from navi.audit.record import record
from navi.jobs.handlers import Later

# Between one try and the next; the ledger's tick makes the first about a minute.
PAUSES = (timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))


def wait_for_turn(delivery: NoticeDelivery) -> None:
    """News that come in meanwhile ring the same job: they do not shorten a pause."""
    if delivery.next_try_at > timezone.now():
        raise Later(delivery.next_try_at)


def begin(delivery: NoticeDelivery) -> bool:
    """Count a try. False, and it is over, where all of them were used up, the last ones by being cut off."""
    if delivery.tries > len(PAUSES):
        failed(delivery, "It was cut off each time.", is_final=True)
        return False
    delivery.begin_try()
    return True


def failed(delivery: NoticeDelivery, reason: str, *, is_final: bool = False) -> None:
    """Raise Later where there is another try; after the last one it is over, and the audit says so."""
    at = timezone.now()
    if is_final or delivery.tries > len(PAUSES):
        with transaction.atomic():
            delivery.end(NoticeDelivery.State.FAILED, at=at, error=reason)
            remember("notice.failed", delivery, outcome="failed", reason=reason)
        return
    delivery.wait_until(at + PAUSES[delivery.tries - 1], error=reason)
    raise Later(delivery.next_try_at)


def sent(delivery: NoticeDelivery) -> None:
    with transaction.atomic():
        delivery.end(NoticeDelivery.State.SENT, at=timezone.now())
        remember("notice.sent", delivery)


def remember(event: str, delivery: NoticeDelivery, *, outcome: str = "ok", reason: str = "") -> None:
    """Who was told by what means about how many; one connection is named."""
    told: dict[str, Any] = {"channel": delivery.channel, "news": len(delivery.news)}
    told |= {"user": str(delivery.person_id)} if delivery.person_id else {}
    told |= {"reason": reason, "arrived": delivery.done} if reason else {}
    only = delivery.news[0] if len(delivery.news) == 1 else None
    record(
        event,
        actor=SYSTEM,
        project=delivery.project,
        outcome=outcome,
        provider=only["provider"] if only else "",
        connection=Connection.objects.filter(pk=only["connection"]).first() if only else None,
        detail=told | ({"type": only["type"]} if only else {}),
    )
