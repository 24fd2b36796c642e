"""When to call again."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(minutes=5)
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 8.0
SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When Retry-After says to come back: seconds or an HTTP date, at most five minutes from `now`.

    None where it is absent or makes no sense; a moment already past is `now`. Header names in any case.
    """
    written = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    moment = seconds_from(written, now) or moment_of(written)
    return None if moment is None else min(max(moment, now), now + LONGEST_WAIT)


def seconds_from(written: str, now: datetime) -> datetime | None:
    if not SECONDS.fullmatch(written):
        return None
    return now + min(timedelta(seconds=math.ceil(float(written) * 1000) / 1000), LONGEST_WAIT)


def moment_of(written: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(written)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def backoff(attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait after failed try `attempt` (from 0), full jitter: from 0 up to a doubling bound."""
    return random() * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**attempt)
