"""Where the budgets of accounts are kept: in the database, or in Redis where there is one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseTrouble

from credentials.models import Budget
from navi.net.limits import Key, Store, StoreDown
from navi.net.pace import LONG_AGO, PACE_IS_FORGOTTEN, Allowance

if TYPE_CHECKING:
    from redis import Redis

COLUMNS = tuple(field.name for field in fields(Allowance))
MOMENTS = ("paused_until", "next_at", "limited_at")
CLOCK_HOLDS_SECONDS = 60.0
REDIS_SECONDS = 1.0
# A budget is kept until its pace is forgotten, and a little longer.
REDIS_KEEPS = PACE_IS_FORGOTTEN * 2
REPLACE_IN_REDIS = """
local kept = redis.call('GET', KEYS[1])
local version = kept and cjson.decode(kept).version or 0
if version ~= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


def store() -> Store:
    """The store that all processes of this Navi share."""
    return RedisStore(settings.REDIS_URL) if settings.REDIS_URL else DatabaseStore()


class DatabaseStore:
    """Budgets as rows; one change is one conditional UPDATE."""

    def __init__(self) -> None:
        # SQLite is a file of this machine and has no clock of its own.
        self.clock = Clock(None if connection.vendor == "sqlite" else asked_of_database)

    def read(self, key: Key) -> Allowance | None:
        with database_answering():
            row = Budget.objects.filter(provider=key[0], account=key[1]).values(*COLUMNS).first()
            return self.clock.here(Allowance(**row)) if row else None

    def replace(self, key: Key, seen: Allowance, new: Allowance) -> bool:
        with database_answering():
            if not seen.version:
                first = Budget(
                    provider=key[0],
                    account=key[1],
                    paused_until=LONG_AGO,
                    next_at=LONG_AGO,
                    limited_at=LONG_AGO,
                )
                Budget.objects.bulk_create([first], ignore_conflicts=True)
            there = self.clock.there(new)
            rows = Budget.objects.filter(provider=key[0], account=key[1], version=seen.version)
            return bool(rows.update(**{name: getattr(there, name) for name in COLUMNS}))


class RedisStore:
    """Budgets as short JSON texts that end by themselves."""

    def __init__(self, url: str, prefix: str = "navi:budget") -> None:
        self.url = url
        self.prefix = prefix
        self.clock = Clock(self.asked)
        self.lock = threading.Lock()
        self.redis: Redis | None = None

    def read(self, key: Key) -> Allowance | None:
        with redis_answering():
            kept: Any = self.connected().get(self.name(key))
            return self.clock.here(read_back(kept)) if kept else None

    def replace(self, key: Key, seen: Allowance, new: Allowance) -> bool:
        with redis_answering():
            text = written(self.clock.there(new))
            keeps = round(REDIS_KEEPS.total_seconds() * 1000)
            arguments = (str(seen.version), text, str(keeps))
            return bool(self.connected().eval(REPLACE_IN_REDIS, 1, self.name(key), *arguments))

    def name(self, key: Key) -> str:
        return f"{self.prefix}:{key[0]}:{key[1]}"

    def connected(self) -> Redis:
        """Made on first use: a process that forks afterwards shares no socket, and redis is an extra."""
        from redis import Redis

        with self.lock:
            self.redis = self.redis or Redis.from_url(
                self.url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
            )
        return self.redis

    def asked(self) -> datetime:
        seconds, micros = self.connected().time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)


class Clock:
    """The store's clock, for machines whose clocks differ: what is kept is told by the store's."""

    def __init__(self, ask: Callable[[], datetime] | None) -> None:
        self.ask = ask
        self.ahead = timedelta(0)
        self.asked_at = float("-inf")

    def here(self, allowance: Allowance) -> Allowance:
        """With moments of this machine's clock."""
        return moved(allowance, -self.difference())

    def there(self, allowance: Allowance) -> Allowance:
        """With moments of the store's clock."""
        return moved(allowance, self.difference())

    def difference(self) -> timedelta:
        if self.ask and time.monotonic() - self.asked_at > CLOCK_HOLDS_SECONDS:
            asked_at = datetime.now(UTC)
            answer = self.ask()
            self.ahead = answer - asked_at - (datetime.now(UTC) - asked_at) / 2
            self.asked_at = time.monotonic()
        return self.ahead


def moved(allowance: Allowance, by: timedelta) -> Allowance:
    return (
        replace(allowance, **{name: getattr(allowance, name) + by for name in MOMENTS}) if by else allowance
    )


def asked_of_database() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def written(allowance: Allowance) -> str:
    facts = {name: getattr(allowance, name) for name in COLUMNS}
    return json.dumps(facts | {name: facts[name].isoformat() for name in MOMENTS})


def read_back(text: str | bytes) -> Allowance:
    facts = json.loads(text)
    return Allowance(**facts | {name: datetime.fromisoformat(facts[name]) for name in MOMENTS})


@contextmanager
def database_answering() -> Iterator[None]:
    """Raises StoreDown where the database does not; a broken connection is left behind."""
    try:
        yield
    except DatabaseTrouble as trouble:
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        raise StoreDown(type(trouble).__name__) from trouble


@contextmanager
def redis_answering() -> Iterator[None]:
    """Raises StoreDown where Redis does not answer, or holds something else."""
    from redis import RedisError

    try:
        yield
    except (RedisError, OSError, ValueError, TypeError, LookupError) as trouble:
        raise StoreDown(type(trouble).__name__) from trouble
