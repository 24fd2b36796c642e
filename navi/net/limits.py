"""One budget per vendor account, shared by all processes; a place in a fair line; few calls at first."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from navi.net.answer import Response
from navi.net.errors import TryLater
from navi.net.pace import LONG_AGO, SHORTEST_WINDOW, Allowance
from navi.net.retry import LONGEST_WAIT, retry_after

logger = logging.getLogger(__name__)

# provider, account
Key = tuple[str, str]

CALLS_PER_PROVIDER = 20
# Half of a web process's 64 threads.
WAITING_THREADS = 32
PAUSE_SECONDS = 2.0
SPREAD_SECONDS = 2.0

# Nobody tells a limit beforehand, and whatever is under way when it is reached is refused: so the calls under
# way grow with the calls that went well, and what is refused stays a tenth of what the vendor allows.
FIRST_CALLS = 2
PROVEN_PER_PLACE = 10
ROUND_TRIP_SECONDS = 0.05
# A call that is under way for longer is not refused any more: it works, or hands a long answer on.
REFUSED_WITHIN = timedelta(seconds=1)
FORGOTTEN_AFTER = timedelta(minutes=10)
PASSED_REMEMBERED = 500
MOST_ACCOUNTS = 1000

# How old what a process knows of an account may be: while its calls are few, and when all went well for long.
FRESH_SECONDS, FRESH_SECONDS_GROWN = 0.05, 0.5
TRIES = 8
LOOK_AGAIN_SECONDS = 1.0
STORE_REST_SECONDS = 10.0


class StoreDown(Exception):
    """A shared store does not answer."""


class Store(Protocol):
    """Where allowances are remembered; one shared by all processes lets them all hold back."""

    def read(self, key: Key) -> Allowance | None:
        """What is known of the account; None where it never met a limit."""

    def replace(self, key: Key, seen: Allowance, new: Allowance) -> bool:
        """Remember `new`, if `seen` is still what is known (its version tells); else False."""


class MemoryStore:
    """What this process alone knows."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.allowances: dict[Key, Allowance] = {}

    def read(self, key: Key) -> Allowance | None:
        return self.allowances.get(key)

    def replace(self, key: Key, seen: Allowance, new: Allowance) -> bool:
        with self.lock:
            if self.allowances.get(key, Allowance()).version != seen.version:
                return False
            self.allowances[key] = new
            return True

    def keep(self, key: Key, allowance: Allowance | None) -> None:
        """Remember it, whatever was known."""
        with self.lock:
            if allowance:
                self.allowances[key] = allowance


class OrMemory:
    """A shared store, and while that does not answer, what this process remembers: no call fails for it."""

    def __init__(self, shared: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.shared = shared
        self.memory = MemoryStore()
        self.clock = clock
        self.rests_until = float("-inf")
        self.is_told = False

    def read(self, key: Key) -> Allowance | None:
        try:
            found = self.awake().read(key)
        except StoreDown as trouble:
            self.rest(trouble)
            return self.memory.read(key)
        self.is_told = False
        self.memory.keep(key, found)
        return found

    def replace(self, key: Key, seen: Allowance, new: Allowance) -> bool:
        try:
            is_replaced = self.awake().replace(key, seen, new)
        except StoreDown as trouble:
            self.rest(trouble)
            return self.memory.replace(key, seen, new)
        self.memory.keep(key, new if is_replaced else None)
        return is_replaced

    def awake(self) -> Store:
        """The shared store, unless it rests after trouble: it may take long to fail."""
        if self.clock() < self.rests_until:
            raise StoreDown
        return self.shared

    def rest(self, trouble: StoreDown) -> None:
        if self.clock() < self.rests_until:
            return
        self.rests_until = self.clock() + STORE_REST_SECONDS
        if not self.is_told:
            self.is_told = True
            logger.warning("Limits of vendors are kept per process for now: their store fails (%s).", trouble)


class WaitingRoom:
    """The threads of this process that wait; beyond `seats` nobody is let in, so that others can be served."""

    def __init__(self, seats: int = WAITING_THREADS) -> None:
        self.free = threading.BoundedSemaphore(seats)

    @contextmanager
    def seat(self, retry_at: datetime) -> Iterator[None]:
        """Wait inside. Raises TryLater `busy` where every seat is taken."""
        if not self.free.acquire(blocking=False):
            raise busy("Too many calls wait for their turn.", retry_at)
        try:
            yield
        finally:
            self.free.release()


def busy(words: str, retry_at: datetime) -> TryLater:
    return TryLater(f"{words} Try again in a moment.", code="busy", retry_at=retry_at)


@dataclass(eq=False)
class Account:
    """What this process knows of one account and has under way there."""

    key: Key
    allowance: Allowance = field(default_factory=Allowance)
    read_at: datetime = LONG_AGO
    started_at: datetime = LONG_AGO
    calls: list[tuple[int, datetime]] = field(default_factory=list)
    proven: int = 0
    passed: deque[datetime] = field(default_factory=lambda: deque(maxlen=PASSED_REMEMBERED))
    told: tuple[int, int] = (0, 0)

    def most(self, calls: int) -> int:
        """How many may be under way."""
        return min(calls, FIRST_CALLS + self.proven // PROVEN_PER_PLACE)

    @property
    def under_way(self) -> int:
        return len(self.calls)

    def may_be_refused(self, now: datetime) -> int:
        """How many calls are under way whose answer may still be a 429."""
        return sum(abs(now - started_at) < REFUSED_WITHIN for _, started_at in self.calls)

    def call_of(self, caller: int) -> tuple[int, datetime]:
        """The caller's last call under way; an answer may end in another thread than it began in."""
        return next((call for call in reversed(self.calls) if call[0] == caller), self.calls[0])

    def gap(self, calls: int) -> timedelta:
        """How far apart calls start while they are few: a refusal of the first may hold back the second."""
        most = self.most(calls)
        return timedelta(seconds=0 if most == calls else ROUND_TRIP_SECONDS / most)

    def answered(self, response: Response | None, now: datetime) -> None:
        """Remember a call that the vendor let pass. Some tell of their limits by a 400 or 403."""
        if (
            response is not None
            and response.status_code < 500
            and response.status_code not in (400, 403, 429)
        ):
            self.passed.append(now)
            self.proven += 1

    def shrink(self) -> None:
        """Half as many at once from now on."""
        self.proven = max(0, self.under_way // 2 - FIRST_CALLS) * PROVEN_PER_PLACE

    def passed_between(self, start: datetime, end: datetime) -> int:
        """How many calls passed; an estimate where they were more than are remembered."""
        count = sum(start <= moment <= end for moment in self.passed)
        if len(self.passed) < PASSED_REMEMBERED or self.passed[0] <= start:
            return count
        return round(count * ((end - start) / max(end - self.passed[0], timedelta(milliseconds=1))))

    def passed_before(self, allowance: Allowance) -> int:
        """How many passed here in the window before its 429; during the pause only late answers arrive."""
        start = allowance.limited_at - timedelta(seconds=allowance.seconds)
        return self.passed_between(start, max(allowance.paused_until, allowance.limited_at))

    def untold(self, allowance: Allowance) -> int:
        """How many of those the allowance does not count yet."""
        if not allowance.episode or allowance.is_whole:
            return 0
        told = self.told[1] if self.told[0] == allowance.episode else 0
        return self.passed_before(allowance) - told

    def read(self, seen: Allowance, now: datetime) -> None:
        """Note what the store holds; a pause of our own that is not written yet goes on."""
        if seen.version >= self.allowance.version or not self.allowance.pause_left(now):
            self.allowance, self.read_at = seen, now

    def wrote(self, seen: Allowance, new: Allowance, now: datetime) -> None:
        """Note what the store holds now, and how many of our calls it counts."""
        is_same = seen.episode == new.episode
        told = self.told[1] if self.told[0] == new.episode else 0
        self.told = (new.episode, new.calls - seen.calls + told if is_same else new.calls)
        self.allowance, self.read_at = new, now

    def is_idle(self, now: datetime) -> bool:
        return not self.under_way and now - self.started_at > FORGOTTEN_AFTER


@dataclass(eq=False)
class Ticket:
    """A call's place in the line. Who has the least time left is first: a call sent back keeps its place."""

    account: Account
    until: datetime
    number: int
    wake: threading.Event = field(default_factory=threading.Event)
    wants_place: bool = False
    is_blocked: bool = False

    def __lt__(self, other: Ticket) -> bool:
        return (self.until, self.number) < (other.until, other.number)


@dataclass
class Line:
    """The calls to one provider in this process: waiting and under way."""

    tickets: list[Ticket] = field(default_factory=list)
    under_way: int = 0

    def before(self, ticket: Ticket) -> Iterator[Ticket]:
        return itertools.takewhile(lambda other: other is not ticket, self.tickets)

    def ahead_of(self, ticket: Ticket) -> int:
        """How many calls of the same account come first."""
        return sum(other.account is ticket.account for other in self.before(ticket))

    def places_taken(self, ticket: Ticket) -> int:
        """By calls under way, and by those that came before and wait for one."""
        return self.under_way + sum(other.wants_place for other in self.before(ticket))

    def wake_blocked(self) -> None:
        """Let those look again who wait for a place, and nobody else: who waits for a turn has a moment."""
        for ticket in self.tickets:
            if ticket.is_blocked:
                ticket.wake.set()

    def wake_next(self, account: Account) -> None:
        """Let the account's next in line look."""
        following = next((ticket for ticket in self.tickets if ticket.account is account), None)
        if following:
            following.wake.set()

    def wake_all(self, account: Account) -> None:
        for ticket in self.tickets:
            if ticket.account is account:
                ticket.wake.set()


@dataclass(frozen=True)
class Hurdle:
    """Why a call may not start yet, and when at the earliest it may.

    `is_limit` tells a vendor's limit from our own; where not `is_timed`, another call's end clears it.
    """

    earliest: datetime
    is_limit: bool = False
    is_timed: bool = True
    spread: float = 0.0

    def refusal(self, now: datetime) -> TryLater:
        if not self.is_limit:
            retry_at = now + timedelta(seconds=PAUSE_SECONDS)
            return busy("Many calls to this service are under way.", retry_at)
        retry_at = max(self.earliest, now)
        words = f"The service asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC."
        return TryLater(words, code="rate_limited", retry_at=retry_at)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Limiter:
    """Lets calls through: `before` each one, `after` each one, in the same thread.

    A vendor's 429 pauses its account for everybody, and teaches a pace that everybody keeps for some time. At
    most `calls` are under way per provider in this process, two at first. First come, first served.
    """

    def __init__(
        self,
        store: Store,
        *,
        calls: int = CALLS_PER_PROVIDER,
        room: WaitingRoom | None = None,
        now: Callable[[], datetime] = utc_now,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
        chance: Callable[[], float] = random.random,
        caller: Callable[[], int] = threading.get_ident,
    ) -> None:
        self.store = store
        self.calls = calls
        self.room = room or WaitingRoom()
        self.now = now
        self.wait = wait
        self.chance = chance
        self.caller = caller
        self.lock = threading.Lock()
        self.numbers = itertools.count()
        self.lines: defaultdict[str, Line] = defaultdict(Line)
        self.accounts: dict[Key, Account] = {}

    def before(self, key: Key, deadline: float) -> None:
        """Wait for a turn, at most `deadline` seconds; every return needs one `after`.

        Raises TryLater, at once where the wait would be longer: `rate_limited` or `busy`, with `retry_at`.
        """
        with self.in_line(key, deadline) as ticket:
            hurdle = self.look(ticket)
            if hurdle:
                self.refuse_if_too_late(ticket, hurdle)
                # Whoever waits now is through or gone by the time this call's own would have ended.
                with self.room.seat(ticket.until + timedelta(seconds=1)):
                    self.wait_for_turn(ticket, hurdle)

    def after(self, key: Key, response: Response | None) -> None:
        """Give the place back, and learn from a 429. None stands for a call without answer."""
        if response is not None:
            self.heard(key, response)
        account = self.accounts[key]
        with self.lock:
            account.answered(response, self.now())
            self.give_back(account)

    def heard(self, key: Key, response: Response) -> None:
        """Learn from a 429 as soon as its headers are there: a stream's end may come late, or never."""
        if response.status_code == 429:
            account, now = self.accounts[key], self.now()
            self.learn(account, retry_after(response.headers, now), account.call_of(self.caller())[1])

    def pause(self, key: Key, until: datetime) -> None:
        """Hold this account's calls back: for vendors that say "slow down" in words of their own."""
        now = self.now()
        with self.lock:
            account = self.account(key)
        self.learn(account, min(max(until, now), now + LONGEST_WAIT), now)

    def pause_left(self, key: Key) -> float:
        """Seconds of pause left, 0 where there is none."""
        return (self.store.read(key) or Allowance()).pause_left(self.now())

    # Waiting.

    @contextmanager
    def in_line(self, key: Key, deadline: float) -> Iterator[Ticket]:
        until = self.now() + timedelta(seconds=deadline)
        with self.lock:
            line = self.lines[key[0]]
            ticket = Ticket(self.account(key), until, next(self.numbers))
            insort(line.tickets, ticket)
        try:
            yield ticket
        finally:
            with self.lock:
                line.tickets.remove(ticket)
                line.wake_next(ticket.account)

    def account(self, key: Key) -> Account:
        if key not in self.accounts and len(self.accounts) >= MOST_ACCOUNTS:
            self.forget_idle(self.now())
        return self.accounts.setdefault(key, Account(key))

    def forget_idle(self, now: datetime) -> None:
        waiting = {ticket.account for line in self.lines.values() for ticket in line.tickets}
        for account in list(self.accounts.values()):
            if account.is_idle(now) and account not in waiting:
                del self.accounts[account.key]

    def wait_for_turn(self, ticket: Ticket, hurdle: Hurdle | None) -> None:
        while hurdle:
            self.refuse_if_too_late(ticket, hurdle)
            self.wait(ticket.wake, self.seconds_for(hurdle, ticket))
            hurdle = self.look(ticket)

    def refuse_if_too_late(self, ticket: Ticket, hurdle: Hurdle) -> None:
        now = self.now()
        if now >= ticket.until or (hurdle.is_limit and hurdle.earliest > ticket.until):
            raise hurdle.refusal(now)

    def seconds_for(self, hurdle: Hurdle, ticket: Ticket) -> float:
        """How long to wait before looking again; spread, so that processes do not come back as one."""
        now = self.now()
        left = (ticket.until - now).total_seconds()
        if not hurdle.is_timed:
            return min(left, LOOK_AGAIN_SECONDS)
        seconds = max(0.0, (hurdle.earliest - now).total_seconds())
        return min(left, seconds + self.chance() * min(hurdle.spread, max(0.0, left - seconds)))

    def look(self, ticket: Ticket) -> Hurdle | None:
        """What keeps the call from starting. None: it has its place and its turn, and must start."""
        ticket.wake.clear()
        account = ticket.account
        with self.lock:
            ticket.wants_place = ticket.is_blocked = False
            ahead = self.lines[account.key[0]].ahead_of(ticket)
        if ahead:
            return self.behind(account, ahead)
        self.refresh(account)
        return self.pause_of(account) or self.take_place(ticket) or self.take_turn_or_leave(account)

    def behind(self, account: Account, ahead: int) -> Hurdle:
        now, allowance = self.now(), account.allowance
        seconds = allowance.pause_left(now) + ahead * allowance.interval(now)
        return Hurdle(now + timedelta(seconds=seconds), is_limit=seconds > 0, is_timed=False)

    def pause_of(self, account: Account) -> Hurdle | None:
        now = self.now()
        left = account.allowance.pause_left(now)
        if not left:
            return None
        spread = min(account.allowance.interval(now) or SPREAD_SECONDS, SPREAD_SECONDS)
        return Hurdle(now + timedelta(seconds=left), is_limit=True, spread=spread)

    # Places: how many calls are under way.

    def take_place(self, ticket: Ticket) -> Hurdle | None:
        account, now = ticket.account, self.now()
        with self.lock:
            line = self.lines[account.key[0]]
            if account.is_idle(now):
                account.proven = 0
            ticket.wants_place = line.places_taken(ticket) >= self.calls
            ticket.is_blocked = ticket.wants_place or account.may_be_refused(now) >= account.most(self.calls)
            if ticket.is_blocked:
                return Hurdle(now, is_timed=False)
            gap = account.gap(self.calls)
            if now < account.started_at + gap <= now + gap:
                return Hurdle(account.started_at + gap)
            line.under_way += 1
            account.calls.append((self.caller(), now))
        return None

    def give_back(self, account: Account) -> None:
        line = self.lines[account.key[0]]
        line.under_way -= 1
        account.calls.remove(account.call_of(self.caller()))
        line.wake_blocked()

    # Turns: the pace that all processes keep.

    def take_turn_or_leave(self, account: Account) -> Hurdle | None:
        """Take a turn, or give the place back."""
        is_mine = False
        try:
            hurdle = self.take_turn(account)
            is_mine = hurdle is None
            return hurdle
        finally:
            with self.lock:
                if is_mine:
                    account.started_at = self.now()
                else:
                    self.give_back(account)

    def take_turn(self, account: Account) -> Hurdle | None:
        """Take the account's next turn from the store; nothing to take where no pace is learned."""
        allowance = account.allowance
        if not allowance.counted(account.untold(allowance)).interval(self.now()):
            return None
        for _ in range(TRIES):
            seen, now = self.read(account), self.now()
            if hurdle := self.pause_of(account):
                return hurdle
            new = seen.counted(account.untold(seen))
            wait = new.turn_in(now)
            new = new if wait else new.turn_taken(now)
            if self.replace(account, seen, new):
                return Hurdle(now + timedelta(seconds=wait), is_limit=True) if wait else None
        # Many processes take turns at this very moment.
        return Hurdle(self.now() + timedelta(seconds=self.chance() * ROUND_TRIP_SECONDS), is_limit=True)

    def learn(self, account: Account, until: datetime | None, started_at: datetime) -> None:
        """Remember a refusal: here at once, then for all."""
        with self.lock:
            known = account.allowance
            account.allowance = self.lesson(account, known, until, started_at)
            if account.allowance is known:
                return
            if account.allowance.episode != known.episode:
                account.shrink()
        self.spread_word(account, until, started_at)
        with self.lock:
            self.lines[account.key[0]].wake_all(account)

    def spread_word(self, account: Account, until: datetime | None, started_at: datetime) -> None:
        for _ in range(TRIES):
            seen = self.store.read(account.key) or Allowance()
            new = self.lesson(account, seen, until, started_at)
            if self.replace(account, seen, new):
                return

    def lesson(
        self, account: Account, seen: Allowance, until: datetime | None, started_at: datetime
    ) -> Allowance:
        """What a 429 to a call of `started_at` teaches; `until` as the vendor asked for, None where it did not."""
        now = self.now()
        if seen.is_episode_of(started_at, now):
            return seen.counted(account.untold(seen)).paused(until or seen.paused_until)
        seconds = self.blind_window(account, seen, now) if until is None else (until - now).total_seconds()
        window = timedelta(seconds=max(SHORTEST_WINDOW, seconds))
        passed = account.passed_between(now - window, now)
        until = until or now + timedelta(seconds=seconds)
        return seen.limited(now, until, seconds, passed, refused=account.under_way)

    def blind_window(self, account: Account, seen: Allowance, now: datetime) -> float:
        """Seconds of pause where the vendor names none: twice the last, if nothing passed since then."""
        is_recent = seen.episode and now - seen.paused_until < timedelta(seconds=60)
        if not is_recent or account.passed_between(seen.limited_at, now):
            return PAUSE_SECONDS
        last = max(PAUSE_SECONDS, (seen.paused_until - seen.limited_at).total_seconds())
        return min(2 * last, LONGEST_WAIT.total_seconds())

    # The store, and what is remembered of it for a moment.

    def refresh(self, account: Account) -> None:
        is_grown = account.most(self.calls) == self.calls
        fresh = timedelta(seconds=FRESH_SECONDS_GROWN if is_grown else FRESH_SECONDS)
        if not timedelta(0) <= self.now() - account.read_at < fresh:
            self.read(account)

    def read(self, account: Account) -> Allowance:
        seen = self.store.read(account.key) or Allowance()
        with self.lock:
            account.read(seen, self.now())
        return seen

    def replace(self, account: Account, seen: Allowance, new: Allowance) -> bool:
        if new is not seen and not self.store.replace(account.key, seen, new):
            return False
        with self.lock:
            account.wrote(seen, new, self.now())
        return True
