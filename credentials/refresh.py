"""Refresh a grant so that it cannot be lost: one asks, the others wait, a working token is never withheld.

The protocol (house.md, "Refresh"): a lease on the connection's row lets one process ask (asker.py); its
answer is sealed and stored as it came; only then is it read and put in force, if the generation is still the
one it was asked for. Whoever finds a stored answer that nobody read takes it up without asking again.
"""

from __future__ import annotations

import random
import time

from django.utils import timezone

from credentials import waiting
from credentials.asker import Asker, Freshness, Gone, reload, saved_answers, take_lease
from credentials.life import busy, needs_refresh, note_doubt, refuse_hopeless, still_works
from credentials.models import Connection
from navi.audit.problems import Problem
from navi.net.errors import VendorError
from navi.net.remote import Remote

LOSERS_WAIT = 25.0


def fresh(
    connection: Connection, remote: Remote, *, min_ttl: float = 0, refused_generation: int | None = None
) -> Freshness:
    """The connection with an access token that lives for `min_ttl` more seconds, or as long as can be had.

    `refused_generation` is the one whose token the vendor has just refused: it is refreshed whatever its age.
    Raises Reconnect (a person is needed), TryLater (with `retry_at`), Problem; never for a token that works.
    """
    if not needs_refresh(connection, min_ttl, refused_generation):
        return Freshness(connection)
    try:
        return refreshed(connection, remote, was_refused=refused_generation is not None)
    except (VendorError, Problem) as error:
        if refused_generation is not None or isinstance(error, Gone) or not still_works(connection):
            raise
        vendors = error if isinstance(error, VendorError) else None
        return Freshness(connection, trouble=error.message, error=vendors)


def refreshed(connection: Connection, remote: Remote, *, was_refused: bool) -> Freshness:
    """By us, where we get the lease; else by whoever has it."""
    refuse_hopeless(connection, remote)
    lease = take_lease(connection)
    if lease:
        note_doubt(connection)
        return Asker(connection, remote, lease).ask()
    if not was_refused and still_works(connection):
        return Freshness(connection)
    return waited_for(connection, remote)


def ahead(connection: Connection, remote: Remote) -> Freshness:
    """Renew it before its end, or take up an answer that was saved; nobody waits for this one.

    Raises Reconnect, TryLater, Problem.
    """
    is_due = connection.refresh_at is not None and connection.refresh_at <= timezone.now()
    if not saved_answers(connection).exists():
        if not is_due:  # another was faster
            return Freshness(connection)
        refuse_hopeless(connection, remote)
    lease = take_lease(connection)
    return Asker(connection, remote, lease).ask(is_due=is_due) if lease else Freshness(connection)


def waited_for(connection: Connection, remote: Remote) -> Freshness:
    """Look at the row until another's refresh is there. Raises TryLater after LOSERS_WAIT."""
    until = time.monotonic() + LOSERS_WAIT
    with waiting.place(busy(remote)):
        while time.monotonic() < until:
            time.sleep(random.uniform(0.05, 0.15))  # noqa: S311 - spreads the looks, keeps no secret
            found = moved_on(connection, remote)
            if found:
                return found
    raise busy(remote)


def moved_on(connection: Connection, remote: Remote) -> Freshness | None:
    """What the row says now; None while somebody still asks."""
    seen = connection.generation
    reload(connection)
    if connection.generation != seen:
        return Freshness(connection)
    refuse_hopeless(connection, remote)
    lease = take_lease(connection)
    return Asker(connection, remote, lease).ask() if lease else None
