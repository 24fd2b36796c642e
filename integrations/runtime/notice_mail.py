"""News by e-mail: one summary to one person, in words and with one link per connection."""

from __future__ import annotations

import smtplib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from integrations.models import NoticeDelivery, NoticeSettings
from integrations.runtime import notice_tries
from navi.projects.models import Membership, Project, User

LISTED = 20
OUTAGE = 5  # so many accounts of one service at once look like trouble at the service
NO_REPLY = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


class NotTaken(Exception):
    """The mail server did not take the mail. `is_final`: it will not take it later either."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.message, self.is_final = message, is_final


@dataclass(frozen=True)
class Line:
    """Where one connection stands after all the news of it."""

    service: str
    label: str
    reason: str
    link: str
    times: int
    at: datetime
    is_gone: bool


def send(delivery_id: str) -> None:
    """Send one summary, once. A job; raises Later where there is another try."""
    waiting = NoticeDelivery.objects.filter(pk=delivery_id, state=NoticeDelivery.State.WAITING)
    delivery = waiting.select_related("project", "person").first()
    if delivery is None:
        return
    notice_tries.wait_for_turn(delivery)
    person = delivery.person
    if person is None or not is_wanted(delivery, person):
        delivery.end(NoticeDelivery.State.DROPPED, at=timezone.now())
    elif notice_tries.begin(delivery):
        send_to(person, delivery)


def send_to(person: User, delivery: NoticeDelivery) -> None:
    try:
        deliver(written(delivery, person))
    except NotTaken as trouble:
        notice_tries.failed(delivery, trouble.message, is_final=trouble.is_final)
    else:
        notice_tries.sent(delivery)


def is_wanted(delivery: NoticeDelivery, person: User) -> bool:
    """Mails may have been switched off meanwhile, and people may have left."""
    project = delivery.project
    if not person.is_active or not settings.EMAIL_IS_SET_UP:
        return False
    if project is None:
        return True
    is_member = Membership.objects.filter(project=project, user=person).exists()
    is_off = NoticeSettings.objects.filter(project=project, email_enabled=False).exists()
    return is_member and not is_off and project.archived_at is None


def deliver(message: EmailMessage) -> None:
    """Hand it to the mail server. Raises NotTaken, without the server's own words."""
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as refusal:
        codes = [code for code, _ in refusal.recipients.values()]
        words = "The mail server does not take mail to this address."
        raise NotTaken(f"{words} ({codes[0]})", is_final=min(codes) >= 500) from None
    except smtplib.SMTPAuthenticationError:
        raise NotTaken("The mail server does not take Navi's user name and password.") from None
    except smtplib.SMTPResponseException as refusal:
        raise NotTaken(f"The mail server answered {refusal.smtp_code}.") from None
    except smtplib.SMTPNotSupportedError:
        raise NotTaken("The mail server does not offer what NAVI_EMAIL_URL asks for.") from None
    except (smtplib.SMTPException, OSError):
        # OSError: no route, no answer in time, a certificate that is not valid.
        raise NotTaken("The mail server could not be reached, or broke off.") from None


# --- words


def written(delivery: NoticeDelivery, person: User) -> EmailMessage:
    """The summary as a mail. Its Message-ID stays the same over all tries."""
    lines = lines_of(delivery.news)
    gone, back = [line for line in lines if line.is_gone], [line for line in lines if not line.is_gone]
    where = plain(delivery.project.name, 28) if delivery.project else "Navi"
    subject = f"{where}: {headline(gone, back)}"
    context = {
        "headline": f"{headline(gone, back)}.",
        "is_single": len(lines) == 1,
        "gone": gone[:LISTED],
        "back": back[:LISTED],
        "more_gone": max(0, len(gone) - LISTED),
        "more_back": max(0, len(back) - LISTED),
        "is_outage": is_outage(gone),
        "project": where if delivery.project else "",
        **links(delivery.project),
    }
    body = render_to_string("mail/notice.txt", context)
    headers = {**NO_REPLY, "Message-ID": f"<{delivery.pk}@{urlsplit(settings.BASE_URL).hostname}>"}
    return EmailMessage(subject, body, to=[person.email], headers=headers)


def test(project: Project, person: User) -> EmailMessage:
    body = render_to_string("mail/notice_test.txt", {"project": plain(project.name), **links(project)})
    subject = f"{plain(project.name, 28)}: notices arrive here"
    return EmailMessage(subject, body, to=[person.email], headers=NO_REPLY)


def links(project: Project | None) -> dict[str, str]:
    if project is None:
        return {"all_url": str(settings.BASE_URL), "settings_url": ""}
    place = f"{settings.BASE_URL}{reverse('hub:integrations', args=[project.slug])}"
    choice = f"{settings.BASE_URL}{reverse('hub:project-settings', args=[project.slug])}#notices"
    return {"all_url": place, "settings_url": choice}


def headline(gone: Sequence[Line], back: Sequence[Line]) -> str:
    """Short enough for the list of mails on a phone."""
    match len(gone), len(back):
        case 1, 0:
            return f"{gone[0].service} needs you"
        case 0, 1:
            return f"{back[0].service} works again"
        case _, 0:
            return f"{len(gone)} connections need you"
        case 0, _:
            return f"{len(back)} connections work again"
    return f"{len(gone)} need you, {len(back)} work again"


def lines_of(news: Iterable[dict[str, Any]]) -> list[Line]:
    """One line per connection: what was told of it last holds."""
    last = {one["connection"]: one for one in news}
    return [
        Line(
            service=plain(one["service"], 60),
            label=plain(one["label"], 100),
            reason=plain(one["reason"], 300),
            link=one["link"],
            times=one["times"],
            at=datetime.fromisoformat(one["at"]),
            is_gone=one["type"] == "connection.needs_reconnect",
        )
        for one in last.values()
    ]


def is_outage(gone: Sequence[Line]) -> bool:
    services = [line.service for line in gone]
    return any(services.count(service) >= OUTAGE for service in set(services))


def plain(text: str, most: int = 200) -> str:
    """One line, without what a mail program would make a link of: the only links are ours."""
    kept = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    line = " ".join(kept.split()).replace("://", ": //").replace("www.", "www ")
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
