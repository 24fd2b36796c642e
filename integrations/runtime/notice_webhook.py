"""News by webhook, in the form of Standard Webhooks: signed, with an id that stays the same over all tries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from credentials.client import outbound
from credentials.vault import Unreadable, VaultSealed
from integrations.models import NoticeDelivery, NoticeSettings
from integrations.runtime import notice_tries
from navi.audit.redact import remember
from navi.jobs.handlers import Later
from navi.net.errors import TryLater, VendorError
from navi.net.outbound import Outbound
from navi.projects.models import Project

DEADLINE = 15.0
AT_ONCE = timedelta(seconds=60)  # a long list goes on in the next run, so that other jobs get their turn


def send_all(project_id: str) -> None:
    """Make the project's calls one after the other. A job; raises Later while the receiver fails."""
    until = time.monotonic() + AT_ONCE.total_seconds()
    while (delivery := next_of(project_id)) is not None:
        notice_tries.wait_for_turn(delivery)
        send(delivery, until)


def next_of(project_id: str) -> NoticeDelivery | None:
    waiting = NoticeDelivery.objects.filter(
        project_id=project_id, channel=NoticeDelivery.Channel.WEBHOOK, state=NoticeDelivery.State.WAITING
    )
    return waiting.select_related("project").order_by("created_at", "pk").first()


def send(delivery: NoticeDelivery, until: float) -> None:
    """Make the calls of one list that are not made yet."""
    for news in delivery.news[delivery.done :]:
        if time.monotonic() > until:
            raise Later(timezone.now())
        if not is_wanted(delivery):
            delivery.end(NoticeDelivery.State.DROPPED, at=timezone.now())
            return
        if not notice_tries.begin(delivery):
            return
        try:
            call(kept_for(delivery), message(delivery.project, news), at=timezone.now())
        except VendorError as trouble:
            notice_tries.failed(delivery, trouble.message)
            return
        delivery.advance(at=timezone.now())
    notice_tries.sent(delivery)


def is_wanted(delivery: NoticeDelivery) -> bool:
    """The webhook may have been removed meanwhile, the project archived."""
    chosen = NoticeSettings.objects.filter(project=delivery.project, project__archived_at=None).first()
    return chosen is not None and chosen.has_webhook


def kept_for(delivery: NoticeDelivery) -> dict[str, Any]:
    """Address and secret as they are now. Raises TryLater."""
    try:
        kept: dict[str, Any] = NoticeSettings.objects.get(project=delivery.project).webhook.reveal()
    except (VaultSealed, Unreadable):
        raise TryLater("Navi cannot open the webhook's secret now.") from None
    return kept


def way_out() -> Outbound:
    """To the public internet only: the address is a project's choice, NAVI_OUTBOUND_ALLOW the operator's."""
    return outbound(inside=False)


def call(kept: Mapping[str, Any], told: Mapping[str, Any], *, at: datetime) -> None:
    """One signed POST. Raises TryLater and Blocked, also where the answer is not a 2xx."""
    remember([kept["secret"], kept.get("former", ""), kept["url"]])
    body = json.dumps(told["body"], separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Navi-Webhook",
        **signed(told["id"], body, list(secrets_of(kept, at)), at=at),
    }
    sending = way_out().stream("POST", kept["url"], headers=headers, content=body, deadline=DEADLINE)
    with sending as answer:
        # What it says beside the status is of no use here, and may be long: it is left unread.
        if not 200 <= answer.status_code < 300:
            words = "redirected, which is not followed" if 300 <= answer.status_code < 400 else "answered"
            raise TryLater(f"The webhook's receiver {words} ({answer.status_code}).", sent=True)


def signed(message_id: str, body: bytes, secrets: list[str], *, at: datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, one per secret."""
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (hmac.new(key_of(secret), content, hashlib.sha256).digest() for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in signatures),
    }


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def secrets_of(kept: Mapping[str, Any], at: datetime) -> Iterator[str]:
    """The secret, and the one from before a rotation while it counts."""
    yield kept["secret"]
    if kept.get("former") and datetime.fromisoformat(kept["former_until"]) > at:
        yield kept["former"]


# --- what is said


def message(project: Project | None, news: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "project": project.slug if project else None,
        "provider": news["provider"],
        "connection": {"id": news["connection"], "label": news["label"], "scope": news["scope"]},
        "reason": news["reason"],
        "link": news["link"],
    }
    # Only where it flaps: after this call nothing is said until it has been steady for an hour.
    told |= {"timesWithinAnHour": news["times"]} if news["times"] > 1 else {}
    return {"id": news["id"], "body": {"type": news["type"], "timestamp": news["at"], "data": told}}


def test(project: Project, *, at: datetime) -> dict[str, Any]:
    body = {"type": "notice.test", "timestamp": at.isoformat(), "data": {"project": project.slug}}
    return {"id": f"msg_{uuid.uuid4().hex}_test", "body": body}
