"""What happened to connections becomes one summary per owner and place, each sent by a job of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from credentials.models import Connection, State
from integrations import registry
from integrations.models import CALM_AFTER, Illness, NoticeDelivery
from integrations.runtime import notice_mail, notice_settings, notice_webhook
from integrations.runtime.notices import GATHER
from integrations.runtime.recovery import link_for
from navi.audit.problems import Problem
from navi.jobs.handlers import every_minute, register
from navi.jobs.ledger import enqueue
from navi.projects import roles
from navi.projects.models import Membership, Project, User

WENT, RETURNED = "connection.needs_reconnect", "connection.recovered"
MAIL, WEBHOOK = "notice-mail", "notice-webhook"
LATE = timedelta(minutes=15)
KEPT = timedelta(days=90)


@dataclass(frozen=True)
class News:
    """One thing that happened to one connection, as it is frozen in a NoticeDelivery."""

    id: str  # stays the same over all tries, so that a receiver sees what it has seen
    type: str
    at: str
    provider: str
    service: str
    connection: str
    label: str
    scope: str
    reason: str
    link: str
    times: int


def register_all() -> None:
    register(GATHER, gather, lease=timedelta(minutes=2))
    register(MAIL, notice_mail.send, lease=timedelta(minutes=2), max_attempts=5)
    register(WEBHOOK, notice_webhook.send_all, lease=timedelta(minutes=2), max_attempts=5)
    every_minute(catch_up)


# --- gathering


@transaction.atomic
def gather(owner: str) -> None:
    """Turn all that this owner has not heard into deliveries, each thing once."""
    at = timezone.now()
    kind, _, key = owner.partition(":")
    project = Project.objects.filter(pk=key).first() if kind == "project" else None
    person = User.objects.filter(pk=key).first() if kind == "person" else None
    if project is None and person is None:
        return
    found = [(illness, list(news_of(illness, at))) for illness in unsaid(kind, key, at)]
    slug = project.slug if project else slug_for(person)
    told = [(illness, tell(illness, type, slug)) for illness, types in found for type in types]
    deliveries = list(for_project(project, told, at) if project else for_person(person, told, at))
    NoticeDelivery.objects.bulk_create(deliveries)
    note_said([illness for illness, _ in found], at, was_told=bool(deliveries))
    send_soon(deliveries)


def unsaid(kind: str, key: str, at: datetime) -> list[Illness]:
    rows = Illness.objects.unsaid(at).of_owner(**{f"{kind}_id": key})
    return list(rows.select_for_update(of=("self",)).select_related("connection").order_by("changed_at"))


def news_of(illness: Illness, at: datetime) -> Iterator[str]:
    """What of this illness is to be told now: that it began, that it ended, both."""
    if illness.connection.state == State.REVOKED:
        return  # somebody disconnected it meanwhile
    is_over = illness.ended_at is not None
    if illness.said_at is None and not (is_over and illness.kind == Illness.Kind.FOLDED):
        yield WENT
    if is_over and has_its_end_told(illness, at):
        yield RETURNED


def has_its_end_told(illness: Illness, at: datetime) -> bool:
    """Of what flaps only the end that lasts."""
    return illness.kind == Illness.Kind.SINGLE or illness.began_at <= at - CALM_AFTER


def note_said(ill: Iterable[Illness], at: datetime, *, was_told: bool) -> None:
    """Where nobody was told of the beginning, nobody is told of the end."""
    rows = {illness.pk: illness for illness in ill}
    Illness.objects.filter(pk__in=rows, said_at=None).update(said_at=at)
    over = [
        pk
        for pk, illness in rows.items()
        if not was_told
        or illness.connection.state == State.REVOKED
        or (illness.ended_at is not None and has_its_end_told(illness, at))
    ]
    Illness.objects.filter(pk__in=over).update(is_closed=True)


def tell(illness: Illness, type: str, slug: str) -> News:
    connection = illness.connection
    is_new = type == WENT
    at = illness.began_at if is_new else illness.ended_at or illness.changed_at
    return News(
        id=f"msg_{illness.pk.hex}_{'went' if is_new else 'returned'}",
        type=type,
        at=at.isoformat(),
        provider=connection.provider,
        service=service_of(connection),
        connection=str(connection.pk),
        label=connection.label,
        scope=connection.scope,
        reason=illness.reason if is_new else "",
        link=link_to(connection, slug, is_new),
        times=illness.times if is_new and illness.kind == Illness.Kind.FLAPPING else 1,
    )


def service_of(connection: Connection) -> str:
    """What people call it. A custom provider may have been removed meanwhile."""
    try:
        return registry.entry(connection.provider, connection.project_id).name
    except Problem:
        return connection.provider


def link_to(connection: Connection, slug: str, needs_repair: bool) -> str:
    """Where it is repaired, or looked at; sign-in is asked for there."""
    wanted = connection.pk if needs_repair else None
    return link_for("reauth_required", slug, connection.provider, wanted) or str(settings.BASE_URL)


def slug_for(person: User | None) -> str:
    """A person's own connection is repaired in any project of theirs."""
    first = Project.objects.of(person).first() if person else None
    return first.slug if first else ""


# --- to whom

Told = list[tuple[Illness, News]]


def for_project(project: Project, told: Told, at: datetime) -> Iterator[NoticeDelivery]:
    """To owners and admins all of it, to other members what they connected; and the webhook's calls."""
    if project.archived_at or not told:
        return
    chosen = notice_settings.of(project)
    make = partial(NoticeDelivery, project=project, created_at=at, next_try_at=at)
    if notice_settings.mails(chosen):
        for person, news in by_person(project, told):
            yield make(person=person, channel=NoticeDelivery.Channel.EMAIL, news=frozen(news))
    if chosen.has_webhook:
        yield make(channel=NoticeDelivery.Channel.WEBHOOK, news=frozen(news for _, news in told))


def by_person(project: Project, told: Told) -> Iterator[tuple[User, list[News]]]:
    members = Membership.objects.filter(project=project, user__is_active=True).select_related("user")
    for member in members:
        sees_all = member.role in {roles.OWNER, roles.ADMIN}
        own = [news for illness, news in told if sees_all or is_of(illness, member.user_id)]
        if own:
            yield member.user, own


def is_of(illness: Illness, person_id: uuid.UUID) -> bool:
    return illness.connection.created_by_id == person_id


def for_person(person: User | None, told: Told, at: datetime) -> Iterator[NoticeDelivery]:
    """Their own connections concern nobody else."""
    if told and person and person.is_active and settings.EMAIL_IS_SET_UP:
        yield NoticeDelivery(
            person=person, channel=NoticeDelivery.Channel.EMAIL, news=frozen(news for _, news in told),
            created_at=at, next_try_at=at,
        )  # fmt: skip


def frozen(news: Iterable[News]) -> list[dict[str, Any]]:
    return [asdict(one) for one in news]


# --- on its way


def send_soon(deliveries: Iterable[NoticeDelivery]) -> None:
    """A mail is a job of its own; a project's calls go one after the other, so that they arrive in order."""
    for delivery in deliveries:
        if delivery.channel == NoticeDelivery.Channel.WEBHOOK:
            enqueue(WEBHOOK, str(delivery.project_id))
        else:
            enqueue(MAIL, str(delivery.pk))


def catch_up() -> None:
    """Each minute: what a lost job left behind, what flapped and has come to rest, what is old."""
    now = timezone.now()
    left = Illness.objects.unsaid(now).filter(changed_at__lt=now - LATE).order_by()
    for project, person in left.values_list("connection__project", "connection__user").distinct():
        enqueue(GATHER, f"project:{project}" if project else f"person:{person}")
    waiting = NoticeDelivery.objects.filter(state=NoticeDelivery.State.WAITING, next_try_at__lt=now - LATE)
    send_soon(waiting.defer("news"))
    NoticeDelivery.objects.filter(created_at__lt=now - KEPT).delete()
    Illness.objects.filter(is_closed=True, changed_at__lt=now - KEPT).delete()
