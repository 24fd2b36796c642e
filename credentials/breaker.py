"""Tells a vendor's outage from dead grants: refreshes that fail in numbers stop for a while.

An outage can look like a refusal of every grant. While the breaker is open one refresh in half a minute goes
out as a probe, and nothing is taken for dead.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.db.models import F, Q

from credentials.models import Breaker, OAuthApp
from navi.net.remote import Remote

WINDOW = timedelta(minutes=1)
TRIES_LEAST = 20
PROBE_EVERY = timedelta(seconds=30)
# A vendor that answers cleanly for so long, and refuses every grant, means it.
BELIEVED_AFTER = timedelta(minutes=10)
BELIEVED_FOR = timedelta(hours=6)
CONFIRMATIONS_MOST = 50
CONFIRMATIONS_WITHIN = timedelta(minutes=10)
UNCOUNTED = {"tries": 0, "failures": 0, "refusals": 0}


def key_of(remote: Remote, app: OAuthApp | None) -> str:
    """What fails together: a provider, or one custom provider of one project; a project's own app by itself."""
    own = str(app.pk) if app and app.project_id else ""
    key = " ".join(part for part in (remote.provider, remote.bound_to, own) if part)
    return key if len(key) <= 120 else hashlib.sha256(key.encode()).hexdigest()


def closed_or_probe(key: str, *, at: datetime) -> datetime | None:
    """None: go ahead. Else when to come back."""
    row = Breaker.objects.filter(pk=key).exclude(opened_at=None).first()
    if row is None:
        return None
    is_due = Q(probed_at=None) | Q(probed_at__lte=at - PROBE_EVERY)
    if Breaker.objects.filter(is_due, pk=row.pk).update(probed_at=at):
        return None
    return (row.probed_at or at) + PROBE_EVERY


def is_open(key: str) -> bool:
    return Breaker.objects.filter(pk=key).exclude(opened_at=None).exists()


def note_success(key: str, *, at: datetime) -> None:
    """A grant was refreshed: the vendor works, and refuses whom it refuses for a reason."""
    if is_open(key):
        Breaker.objects.filter(pk=key).update(opened_at=None, probed_at=None, window_at=at, **UNCOUNTED)
    count(key, at=at)


def note_trouble(key: str, *, at: datetime) -> None:
    """The token endpoint failed, or said nothing that can be understood."""
    count(key, at=at, failures=1)
    # Only from here on can it be said again that it answers cleanly.
    Breaker.objects.filter(pk=key).exclude(opened_at=None).update(opened_at=at, **UNCOUNTED)
    open_if_many(key, at=at)


def note_refusal(key: str, *, at: datetime) -> None:
    """The token endpoint cleanly refused a grant."""
    count(key, at=at, failures=1, refusals=1)
    rows = Breaker.objects.filter(pk=key)
    rows.filter(opened_at__lte=at - BELIEVED_AFTER, failures=F("refusals")).update(
        opened_at=None,
        probed_at=None,
        believed_until=at + BELIEVED_FOR,
        window_at=at,
        **UNCOUNTED,
    )
    open_if_many(key, at=at)


def count(key: str, *, at: datetime, failures: int = 0, refusals: int = 0) -> None:
    Breaker.objects.get_or_create(pk=key, defaults={"window_at": at})
    stale = Breaker.objects.filter(pk=key, opened_at=None, window_at__lte=at - WINDOW)
    stale.update(window_at=at, **UNCOUNTED)
    Breaker.objects.filter(pk=key).update(
        tries=F("tries") + 1, failures=F("failures") + failures, refusals=F("refusals") + refusals
    )


def open_if_many(key: str, *, at: datetime) -> None:
    """More than half of at least twenty within a minute."""
    rows = Breaker.objects.filter(pk=key, opened_at=None, tries__gte=TRIES_LEAST)
    doubted = rows.filter(Q(believed_until=None) | Q(believed_until__lte=at))
    believed = rows.filter(believed_until__gt=at)
    opened = {"opened_at": at, "probed_at": at, **UNCOUNTED}
    doubted.filter(failures__gt=F("tries") / 2).update(**opened)
    believed.filter(failures__gt=F("refusals") + F("tries") / 2).update(**opened)


def may_confirm(key: str, *, at: datetime) -> bool:
    """May a refused grant be asked for once more now? At most fifty in ten minutes.

    While it is open only when a further refusal would be believed, so that no grant is asked for a third time.
    """
    since = at - CONFIRMATIONS_WITHIN
    closed_or_ripe = Q(opened_at=None) | Q(opened_at__lte=at - BELIEVED_AFTER, failures=F("refusals"))
    rows = Breaker.objects.filter(closed_or_ripe, pk=key)
    is_over = Q(confirmations_at=None) | Q(confirmations_at__lte=since)
    if rows.filter(is_over).update(confirmations=1, confirmations_at=at):
        return True
    going_on = rows.filter(confirmations_at__gt=since, confirmations__lt=CONFIRMATIONS_MOST)
    return bool(going_on.update(confirmations=F("confirmations") + 1))
