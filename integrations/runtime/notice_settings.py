"""How a project is told: who may change it, and what a test of it finds."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from credentials.vault import Unreadable, VaultSealed
from integrations.models import NoticeSettings
from integrations.runtime import notice_mail, notice_webhook
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.net.errors import Blocked, VendorError
from navi.net.guard import vet
from navi.net.urls import parse
from navi.projects.models import Project, User
from navi.projects.rights import require

OVERLAP = timedelta(hours=24)
LONGEST_URL = 1000


@dataclass(frozen=True)
class Outcome:
    """What a test found, in words for the person who asked."""

    ok: bool
    message: str


def of(project: Project) -> NoticeSettings:
    """The project's choice; what holds without one is not stored."""
    return NoticeSettings.objects.filter(project=project).first() or NoticeSettings(project=project)


def mails(chosen: NoticeSettings) -> bool:
    return bool(settings.EMAIL_IS_SET_UP and chosen.email_enabled)


# --- changing


def switch_email(project: Project, on: bool, *, actor: Actor) -> None:
    with changing(project, actor, {"email": "on" if on else "off"}) as chosen:
        chosen.switch_email(on)


def put_webhook(project: Project, url: str, *, actor: Actor) -> str:
    """Set the address. Returns the secret where it is new, else an empty text. Raises Problem."""
    require(actor, "project.update")
    host = checked(url)
    with changing(project, actor, {"webhook": "set", "host": host}) as chosen:
        kept = opened(chosen) if chosen.has_webhook else {}
        fresh = "" if kept else new_secret()
        chosen.keep_webhook({"secret": fresh, **kept, "url": url}, host=host)
    return fresh


def rotate(project: Project, *, actor: Actor) -> str:
    """A new secret. For a day calls are signed with the old one too."""
    with changing(project, actor, {"webhook": "secret rotated"}) as chosen:
        kept = opened(chosen)
        fresh = new_secret()
        until = (timezone.now() + OVERLAP).isoformat()
        rotated = {**kept, "secret": fresh, "former": kept["secret"], "former_until": until}
        chosen.keep_webhook(rotated, host=chosen.webhook_host)
    return fresh


def remove_webhook(project: Project, *, actor: Actor) -> None:
    with changing(project, actor, {"webhook": "removed"}) as chosen:
        chosen.forget_webhook()


@contextmanager
def changing(project: Project, actor: Actor, detail: dict[str, Any]) -> Iterator[NoticeSettings]:
    """The row, locked; what the block changes is remembered with it."""
    require(actor, "project.update")
    with transaction.atomic():
        NoticeSettings.objects.get_or_create(project=project)
        yield NoticeSettings.objects.select_for_update().get(project=project)
        record("notice.settings_changed", actor=actor, project=project, detail=detail)


def opened(chosen: NoticeSettings) -> dict[str, Any]:
    """Address and secret in clear. Raises Problem."""
    if not chosen.has_webhook:
        raise Problem("conflict", "This project has no webhook any more.")
    try:
        kept: dict[str, Any] = chosen.webhook.reveal()
    except VaultSealed as problem:
        raise Problem("sealed", f"Navi cannot open secrets now: {problem}") from None
    except Unreadable:
        raise Problem("conflict", "The stored webhook is damaged. Remove it and add it again.") from None
    return kept


def new_secret() -> str:
    """As Standard Webhooks wants it: 24 to 64 random bytes in base64 behind `whsec_`."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def checked(url: str) -> str:
    """The host of an address that Navi may call. Raises Problem that names the field."""
    if not url or len(url) > LONGEST_URL:
        raise Problem("invalid_input", "Give the address that Navi shall call.", field="url")
    way_out = notice_webhook.way_out()
    try:
        place = parse(url)
        vet(url, policy=way_out.policy, resolve=way_out.resolve)
    except Blocked as no:
        raise Problem("invalid_input", no.message, field="url") from None
    except VendorError as trouble:
        raise Problem("invalid_input", trouble.message, field="url") from None
    return place.host


# --- trying


def test_email(project: Project, person: User, *, actor: Actor) -> Outcome:
    """A mail to the person who asks."""
    require(actor, "project.update")
    if not settings.EMAIL_IS_SET_UP:
        return Outcome(False, "The operator of this Navi has not set up e-mail.")
    return tried(
        lambda: notice_mail.deliver(notice_mail.test(project, person)),
        f"The mail server took it. Look into {person.email}.",
    )


def test_webhook(project: Project, *, actor: Actor) -> Outcome:
    """One signed call of the type `notice.test`."""
    require(actor, "project.update")
    chosen = of(project)
    now = timezone.now()
    return tried(
        lambda: notice_webhook.call(opened(chosen), notice_webhook.test(project, at=now), at=now),
        f"{chosen.webhook_host} took the signed test.",
    )


def tried(act: Callable[[], object], words: str) -> Outcome:
    try:
        act()
    except (notice_mail.NotTaken, VendorError, Problem) as trouble:
        return Outcome(False, trouble.message)
    return Outcome(True, words)
