"""Work of the clock, spread out: a restart must not become a rush on one vendor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

A_SECOND = 10  # of one provider
WITHIN = timedelta(seconds=60)


def spread(
    due: Iterable[tuple[object, str]], *, at: datetime, within: timedelta = WITHIN
) -> dict[str, datetime]:
    """When each (id, provider) may begin: so many of one provider in a second, and those that find no place
    `within` the time are left for the next minute."""
    begun: dict[str, int] = {}
    found = {}
    for pk, provider in due:
        begun[provider] = begun.get(provider, -1) + 1
        pause = timedelta(seconds=begun[provider] // A_SECOND)
        if pause < within:
            found[str(pk)] = at + pause
    return found
