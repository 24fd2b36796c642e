"""How long an access token lives, when it is renewed, and what stands in the way of renewing it."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from credentials.grant import Grant
from credentials.models import USABLE, Connection
from navi.net.errors import Reconnect, TryLater
from navi.net.remote import Remote

SPARE = 30.0  # seconds before its end in which a token is renewed rather than used
SHARE_OF_LIFE = 0.2
AHEAD = 0.8
AHEAD_JITTER = 0.1
FIRST_HOLD, LONGEST_HOLD = 5.0, 300.0
# No pause is set that long; one that ends later was set by a clock that has gone back since.
LONGEST_PAUSE = timedelta(minutes=15)

CLOCKS_DIFFER = timedelta(seconds=60)
doubted_at: dict[uuid.UUID, float] = {}


class StillHeld(TryLater):
    """It is too early; why, was told when the pause began."""


class GivenUp(Reconnect):
    """A person is needed, as was told before."""


def needs_refresh(connection: Connection, min_ttl: float = 0, refused_generation: int | None = None) -> bool:
    """Has the token less than `min_ttl` seconds left, or did the vendor refuse just this generation's?"""
    if refused_generation is not None:
        return connection.generation == refused_generation
    if connection.expires_at is None:
        return False
    if is_of_the_future(connection):
        return True
    return seconds_left(connection) < max(min_ttl_of(connection, min_ttl), spare(connection))


def is_of_the_future(connection: Connection) -> bool:
    """Was it issued by a clock that is ahead of ours, so that its end cannot be told?

    Where the clocks of two processes differ, each would renew what the other has renewed: once a minute is enough.
    """
    if connection.issued_at is None or connection.issued_at <= timezone.now() + CLOCKS_DIFFER:
        return False
    return time.monotonic() - doubted_at.get(connection.pk, float("-inf")) > CLOCKS_DIFFER.total_seconds()


def note_doubt(connection: Connection) -> None:
    if is_of_the_future(connection):
        doubted_at[connection.pk] = time.monotonic()


def min_ttl_of(connection: Connection, asked: float) -> float:
    """What is asked for, at most a fifth of the token's life."""
    return min(asked, SHARE_OF_LIFE * life_of(connection))


def spare(connection: Connection) -> float:
    """Seconds at the end of a token's life that nobody relies on; short-lived ones have none to spare."""
    return SPARE if life_of(connection) * SHARE_OF_LIFE > SPARE else 0.0


def life_of(connection: Connection) -> float:
    if connection.expires_at is None or connection.issued_at is None:
        return 0.0
    return max(0.0, (connection.expires_at - connection.issued_at).total_seconds())


def seconds_left(connection: Connection) -> float:
    """Seconds until the access token ends; endless where nobody said."""
    if connection.expires_at is None:
        return float("inf")
    return (connection.expires_at - timezone.now()).total_seconds()


def still_works(connection: Connection) -> bool:
    return connection.state in USABLE and seconds_left(connection) > 0


def refuse_hopeless(connection: Connection, remote: Remote) -> None:
    """Raise where no question would help: Reconnect, a person is needed; TryLater, it is too early."""
    name = remote.title
    if connection.state not in USABLE or connection.refusals > 1:
        raise GivenUp(connection.state_reason or f"{name} no longer renews this access. Reconnect it.")
    now = timezone.now()
    if connection.hold_until and now < connection.hold_until <= now + LONGEST_PAUSE:
        words = connection.state_reason or f"{name} could not renew the access. Navi tries again by itself."
        raise StillHeld(words, retry_at=connection.hold_until)


def busy(remote: Remote) -> TryLater:
    """Another one asks."""
    at = timezone.now() + timedelta(seconds=random.uniform(1, 3))  # noqa: S311 - spreads questions
    words = f"The access to {remote.title} is being renewed. Try again in a moment."
    return TryLater(words, code="busy", retry_at=at)


def times_of(granted: Grant, fields: Mapping[str, str], moment: datetime) -> dict[str, Any]:
    """When the token was given, when it ends, and when Navi renews it by itself."""
    if granted.life is None:
        return {"issued_at": moment, "expires_at": None, "refresh_at": None}
    share = AHEAD * random.uniform(1 - AHEAD_JITTER, 1 + AHEAD_JITTER)  # noqa: S311 - spreads questions
    ahead = moment + timedelta(seconds=granted.life * share) if fields.get("refresh_token") else None
    ends_at = moment + timedelta(seconds=granted.life)
    return {"issued_at": moment, "expires_at": ends_at, "refresh_at": ahead}


def hold_for(failures: int) -> timedelta:
    """How long to wait after a failure that had so many before it: exponential, full jitter above a floor."""
    bound = min(LONGEST_HOLD, FIRST_HOLD * 2.0 ** min(failures, 10))
    return timedelta(seconds=FIRST_HOLD / 2 + random.uniform(0, bound))  # noqa: S311 - spreads questions
