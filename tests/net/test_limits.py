"""Retry-After in all its forms, backoff, and one shared budget per account."""

import heapq
import itertools
import random
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navi.net.answer import Headers, Response
from navi.net.auth import Basic, Bearer, Header, NoAuth, Query, authorization, params
from navi.net.errors import TryLater
from navi.net.limits import Limiter, MemoryStore, OrMemory, StoreDown, WaitingRoom
from navi.net.pace import Allowance
from navi.net.retry import backoff, retry_after

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALICE = ("todoist", "alice")
BOB = ("todoist", "bob")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5", 5),
        ("0", 0),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("300", 300),
        ("301", 300),
        ("9999999999", 300),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Saturday, 21-Nov-26 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 13:00:30 +0100", 30),
        ("Sat, 21 Nov 2026 12:00:30", 30),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_understood(written, seconds):
    assert retry_after({"Retry-After": written}, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    ["", "-5", "soon", "NaN", "inf", "1e3", "٣", "5 seconds", "0x10", "99999999999", "5, 10",
     "Sat, 99 Nov 2026 12:00:30 GMT", "Sat, 21 Nov 99999 12:00:30 GMT", "\x00"],
)  # fmt: skip
def test_garbage_in_retry_after_is_none(written):
    assert retry_after({"retry-after": written}, NOW) is None


def test_an_absent_retry_after_is_none():
    assert retry_after({}, NOW) is None
    assert retry_after(Headers({"RETRY-AFTER": "3"}), NOW) == NOW + timedelta(seconds=3)


def test_backoff_is_anything_up_to_a_doubling_bound():
    assert [backoff(attempt, lambda: 1.0) for attempt in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert backoff(5, lambda: 0.0) == 0


def limited(retry="60"):
    return Response(429, Headers({"Retry-After": retry} if retry else {}))


def never(event, seconds):
    raise AssertionError(f"waited for {seconds} s")


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self):
        self.moment = NOW
        self.waits = []

    def now(self):
        return self.moment

    def wait(self, event, seconds):
        self.waits.append(seconds)
        self.moment += timedelta(seconds=seconds)

    @property
    def seconds(self):
        return (self.moment - NOW).total_seconds()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return Limiter(MemoryStore(), now=clock.now, wait=clock.wait, chance=lambda: 0.5)


def call(limiter, answer=None, key=ALICE, deadline=30.0):
    limiter.before(key, deadline)
    limiter.after(key, answer or Response(200))


def known(limiter):
    return limiter.store.allowances[ALICE]


# --- pauses


def test_a_pause_beyond_the_deadline_is_told_at_once():
    limiter = Limiter(MemoryStore(), now=lambda: NOW, wait=never)
    call(limiter, limited("60"))

    with pytest.raises(TryLater) as trouble:
        limiter.before(ALICE, 30)

    assert (trouble.value.code, trouble.value.retry_at) == ("rate_limited", NOW + timedelta(seconds=60))


def test_a_pause_within_the_deadline_is_waited_out_and_spread(limiter, clock):
    call(limiter, limited("10"))
    call(limiter, limited("10"))
    limiter.before(ALICE, 10.5)

    assert clock.waits == [11.0, 10.25]


def test_a_pause_of_one_account_is_not_the_others():
    limiter = Limiter(MemoryStore(), now=lambda: NOW, wait=never)
    call(limiter, limited())

    limiter.before(BOB, 0)


def test_an_earlier_pause_never_shortens_a_later_one(limiter):
    limiter.pause(ALICE, NOW + timedelta(seconds=60))
    limiter.pause(ALICE, NOW + timedelta(seconds=5))

    assert limiter.pause_left(ALICE) == 60


def test_a_pause_of_another_process_holds_here_too(clock):
    store = MemoryStore()
    here, there = [Limiter(store, now=clock.now, wait=clock.wait, chance=lambda: 0.0) for _ in range(2)]
    call(here)
    call(there, limited("7"))
    clock.moment += timedelta(seconds=1)
    call(here)

    assert clock.seconds == 7


@pytest.mark.parametrize(
    ("written", "seconds"), [("-5", 2), ("soon", 2), ("", 2), ("9999999999", 300), ("0", 0),
                             ("Sat, 21 Nov 2026 12:00:30 GMT", 30), ("Sat, 21 Nov 2026 11:00:00 GMT", 0)],
)  # fmt: skip
def test_every_form_of_retry_after_makes_a_pause(limiter, written, seconds):
    call(limiter, limited(written))

    assert limiter.pause_left(ALICE) == seconds


def test_a_pause_in_the_vendors_own_words_lasts_five_minutes_at_most(limiter):
    limiter.pause(ALICE, NOW + timedelta(days=1))

    assert limiter.pause_left(ALICE) == 300


def test_blind_pauses_double_while_nothing_passes(limiter, clock):
    pauses = []
    for _ in range(9):
        call(limiter, limited(None), deadline=1000)
        pauses.append(limiter.pause_left(ALICE))
    call(limiter, deadline=1000)
    call(limiter, limited(None))

    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert limiter.pause_left(ALICE) == 2


def test_a_clock_that_was_set_back_holds_nobody_up(limiter, clock):
    call(limiter, limited("60"))
    clock.moment -= timedelta(hours=3)

    limiter.before(ALICE, 0)


# --- the pace that a 429 teaches


def ten_pass(limiter, clock):
    """A vendor that lets ten pass in two seconds."""
    for _ in range(10):
        call(limiter)
    call(limiter, limited("2"))
    clock.moment += timedelta(seconds=2.1)


def gaps(limiter, clock, number):
    started = []
    for _ in range(number):
        call(limiter)
        started.append(clock.seconds)
    return [later - earlier for earlier, later in pairwise(started)]


def test_what_passed_before_a_429_is_the_pace_afterwards(limiter, clock):
    ten_pass(limiter, clock)

    assert gaps(limiter, clock, 30)[1:] == pytest.approx([0.2154] * 28, abs=0.001)


def test_processes_add_up_what_passed_in_each(clock):
    store = MemoryStore()
    first, second, third = [
        Limiter(store, now=clock.now, wait=clock.wait, chance=lambda: 0.0) for _ in range(3)
    ]
    for _ in range(5):
        call(first)
        call(second)
    call(first, limited("2"))
    call(second, limited("2"))
    clock.moment += timedelta(seconds=2.1)
    call(third)
    call(second)

    assert store.allowances[ALICE].calls == 10


def test_a_pace_is_kept_ten_minutes_and_then_forgotten_gradually(limiter, clock):
    ten_pass(limiter, clock)
    allowance = known(limiter)
    after = [allowance.interval(NOW + timedelta(minutes=minutes)) for minutes in (1, 9, 12, 15, 21)]

    assert after == pytest.approx([0.2154, 0.2154, 0.0539, 0.0067, 0], abs=0.001)


def test_a_429_in_spite_of_the_pace_makes_it_slower(limiter, clock):
    ten_pass(limiter, clock)
    gaps(limiter, clock, 20)
    call(limiter, limited("1"))

    assert known(limiter).apart == pytest.approx(0.2154 * 1.1, abs=0.001)


def test_a_429_to_a_call_from_before_the_pause_teaches_nothing_new(clock):
    callers = [0]
    limiter = Limiter(MemoryStore(), now=clock.now, wait=clock.wait, caller=lambda: callers[0])
    limiter.before(ALICE, 30)
    clock.moment += timedelta(seconds=1)
    callers[0] = 1
    ten_pass(limiter, clock)
    learned = known(limiter)
    callers[0] = 0
    limiter.after(ALICE, limited("0"))

    assert known(limiter).calls == learned.calls == 10
    assert known(limiter).episode == 1


def test_a_429_where_nothing_of_ours_passed_teaches_no_pace(limiter, clock):
    call(limiter, limited("60"))
    clock.moment += timedelta(seconds=61)

    assert gaps(limiter, clock, 5) == pytest.approx([0.025] * 4)


def test_a_turn_beyond_the_deadline_is_told_with_its_moment(limiter, clock):
    ten_pass(limiter, clock)
    call(limiter)
    with pytest.raises(TryLater) as trouble:
        limiter.before(ALICE, 0.1)

    assert trouble.value.code == "rate_limited"
    assert trouble.value.retry_at > clock.moment + timedelta(seconds=0.1)


def test_without_a_429_nothing_is_written_and_little_is_read(clock):
    class Watched(MemoryStore):
        reads = 0

        def read(self, key):
            self.reads += 1
            return super().read(key)

        def replace(self, key, seen, new):
            raise AssertionError("written")

    store = Watched()
    limiter = Limiter(store, now=clock.now, wait=clock.wait)
    for _ in range(1000):
        call(limiter)
        clock.moment += timedelta(milliseconds=1)

    assert store.reads < 200


moments = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=60)


@given(passed=st.integers(1, 200), seconds=st.floats(1, 5), steps=moments)
def test_no_window_ever_holds_more_calls_than_the_pace(passed, seconds, steps):
    allowance = Allowance().limited(NOW, NOW, seconds, passed)
    now, taken = NOW, []
    for step in steps:
        now += timedelta(seconds=step * seconds / passed)
        while not allowance.turn_in(now):
            allowance = allowance.turn_taken(now)
            taken.append(now)

    for place, start in enumerate(taken):
        within = sum(start <= moment < start + timedelta(seconds=seconds) for moment in taken[place:])
        assert within <= passed


# --- a whole vendor, many agents and processes, in time that does not pass


class World:
    """Agents of several processes and a vendor with a limit nobody knows; events in the order of time."""

    def __init__(self, seed, *, processes, agents, most, seconds, latency, tells=True, fixed=False):
        self.now, self.events, self.numbers = 0.0, [], itertools.count()
        self.steps = itertools.count()
        self.fixed, chance = fixed, random.Random(seed)
        self.began_at = chance.random() * seconds
        self.chance, self.most, self.seconds, self.latency, self.tells = chance, most, seconds, latency, tells
        self.passed, self.refused, self.ended, self.waiting, self.turn = [], 0, {}, {}, 0
        store = MemoryStore()
        self.limiters = [
            Limiter(store, now=self.clock, chance=chance.random, caller=lambda: self.turn)
            for _ in range(processes)
        ]
        for agent in range(agents):
            self.at(agent * 0.001, self.arrive, agent, 1000.0 + agent * 0.001)

    def clock(self):
        return NOW + timedelta(seconds=self.now)

    def at(self, moment, what, *details):
        heapq.heappush(self.events, (moment, next(self.numbers), what, details))

    def limiter(self, agent):
        return self.limiters[agent % len(self.limiters)]

    def run(self):
        while self.events:
            assert next(self.steps) < 100_000, "somebody waits for ever"
            self.now, _, what, details = heapq.heappop(self.events)
            what(*details)
            while woken := [agent for agent, (ticket, _, _) in self.waiting.items() if ticket.wake.is_set()]:
                self.look(woken[0])
        return self

    def arrive(self, agent, until):
        place = ExitStack()
        ticket = place.enter_context(self.limiter(agent).in_line(ALICE, until - self.now))
        self.waiting[agent] = (ticket, place, until)
        self.look(agent)

    def look(self, agent, number=None):
        if agent not in self.waiting:
            return
        self.turn = agent
        limiter, (ticket, place, until) = self.limiter(agent), self.waiting[agent]
        hurdle = limiter.look(ticket)
        if hurdle:
            limiter.refuse_if_too_late(ticket, hurdle)
            self.at(self.now + limiter.seconds_for(hurdle, ticket), self.look, agent)
            return
        del self.waiting[agent]
        place.close()
        self.at(self.now + self.latency * self.chance.random(), self.receive, agent, until)

    def receive(self, agent, until):
        since = self.now - self.seconds
        if self.fixed:
            since = (self.now + self.began_at) // self.seconds * self.seconds - self.began_at
        is_free = sum(moment > since for moment in self.passed) < self.most
        self.passed += [self.now] * is_free
        self.refused += not is_free
        answer = Response(200) if is_free else limited(f"{self.seconds:.3f}" if self.tells else None)
        self.at(self.now + self.latency * self.chance.random(), self.hear, agent, answer, until)

    def hear(self, agent, answer, until):
        self.turn = agent
        self.limiter(agent).after(ALICE, answer)
        if answer.status_code == 200:
            self.ended[agent] = self.now
        else:
            asked = self.seconds if self.tells else 2.0
            self.at(self.now + asked + 0.5 * self.chance.random(), self.arrive, agent, until)


worlds = st.fixed_dictionaries({
    "processes": st.integers(1, 3), "agents": st.integers(1, 60), "most": st.integers(3, 30),
    "seconds": st.floats(1, 10), "latency": st.floats(0.0005, 0.1), "tells": st.booleans(),
})  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), facts=worlds)
def test_every_agent_ends_and_few_are_refused(seed, facts):
    world = World(seed, **facts).run()

    assert len(world.ended) == facts["agents"]
    assert not any(line.under_way or line.tickets for one in world.limiters for line in one.lines.values())
    # Without Retry-After a window much longer than the pause has to be found out.
    assert world.refused <= (8 * facts["processes"] + facts["most"] if facts["tells"] else 40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), latency=st.floats(0.0005, 0.05), fixed=st.booleans(), tells=st.booleans())
def test_sixty_agents_at_ten_in_two_seconds_end_within_fifteen(seed, latency, fixed, tells):
    facts = {"latency": latency, "fixed": fixed, "tells": tells}
    world = World(seed, processes=2, agents=60, most=10, seconds=2.0, **facts).run()

    # Of a vendor that counts in fixed windows, a burst across their boundary gets twice as much: the first pace
    # is too fast then, and a second 429 corrects it.
    assert max(world.ended.values()) <= (18 if fixed else 15)
    assert world.refused <= (8 if fixed else 5)
    for process in range(2):
        ends = sorted(range(process, 60, 2), key=world.ended.__getitem__)
        assert max(ends.index(agent) - agent // 2 for agent in ends) <= 5


# --- places and the line


def test_places_are_counted_for_the_provider_not_the_account():
    limiter = Limiter(MemoryStore(), calls=2)
    limiter.before(ALICE, 0)
    limiter.before(BOB, 0)

    with pytest.raises(TryLater) as trouble:
        limiter.before(ALICE, 0.05)
    limiter.after(BOB, None)
    limiter.before(ALICE, 0)
    limiter.before(("github", "alice"), 0)

    assert trouble.value.code == "busy"
    assert trouble.value.retry_at


def test_few_calls_are_under_way_at_first_and_more_as_they_pass(limiter, clock):
    def under_way():
        count = 0
        while True:
            clock.moment += timedelta(seconds=0.03)
            try:
                limiter.before(ALICE, 0.05)
            except TryLater:
                break
            count += 1
        for _ in range(count):
            limiter.after(ALICE, None)
        return count

    counts = []
    for _ in range(8):
        counts.append(under_way())
        for _ in range(25):
            call(limiter)

    assert counts == [2, 4, 7, 9, 12, 14, 17, 19]


def test_long_answers_do_not_hold_up_an_account(limiter, clock):
    for _ in range(2):
        limiter.before(ALICE, 5)
    clock.moment += timedelta(seconds=1)

    limiter.before(ALICE, 0)


def test_a_429_halves_the_calls_under_way(limiter, clock):
    for _ in range(200):
        call(limiter)
    for _ in range(12):
        limiter.before(ALICE, 5)
    limiter.after(ALICE, limited("1"))

    assert limiter.accounts[ALICE].most(20) == 6


def test_beyond_the_seats_nobody_waits(clock):
    limiter = Limiter(MemoryStore(), calls=1, room=WaitingRoom(1))
    limiter.before(ALICE, 5)
    waiter = threading.Thread(target=lambda: call(limiter))
    waiter.start()
    until = time.monotonic() + 25
    while limiter.room.free._value and time.monotonic() < until:
        time.sleep(0.01)

    asked_at = datetime.now(UTC)
    with pytest.raises(TryLater) as trouble:
        limiter.before(BOB, 30)
    told_at = datetime.now(UTC)
    limiter.after(ALICE, None)
    waiter.join()

    assert trouble.value.code == "busy"
    # Later than the call's own deadline: a client that tries again by itself would wait outside.
    assert trouble.value.retry_at
    assert asked_at <= trouble.value.retry_at - timedelta(seconds=31) <= told_at


def test_an_account_that_waits_for_a_place_is_not_passed_by_newcomers(clock):
    limiter = Limiter(MemoryStore(), calls=1, now=clock.now)
    limiter.before(ALICE, 5)
    with limiter.in_line(BOB, 5) as bobs, limiter.in_line(("todoist", "carol"), 5) as carols:
        assert limiter.look(bobs)
        limiter.after(ALICE, None)

        assert limiter.look(carols)
        assert limiter.look(bobs) is None


def test_calls_of_an_account_start_in_the_order_of_their_coming():
    limiter = Limiter(MemoryStore(), calls=1)
    limiter.before(ALICE, 10)
    served = []

    def agent(number):
        # Who has the least time left is first; ten seconds apart, no slow start of a thread changes the order.
        limiter.before(ALICE, 60 + 10 * number)
        served.append(number)
        limiter.after(ALICE, Response(200))

    agents = [threading.Thread(target=agent, args=[number]) for number in range(20)]
    for thread in agents:
        thread.start()
    until = time.monotonic() + 50
    while len(limiter.lines["todoist"].tickets) < 20 and time.monotonic() < until:
        time.sleep(0.01)
    with limiter.lock:
        limiter.give_back(limiter.accounts[ALICE])
    for thread in agents:
        thread.join()

    assert served == list(range(20))


def test_fifty_agents_share_a_budget_and_all_finish():
    limiter = Limiter(MemoryStore(), calls=5, room=WaitingRoom(50), chance=lambda: 0.05)
    lock, seen = threading.Lock(), {"under_way": 0, "most": 0, "served": 0, "calls_while_paused": 0}
    pause_ends_at, is_full = time.monotonic() + 0.4, threading.Event()

    def agent():
        limiter.before(ALICE, 60)
        with lock:
            seen["under_way"] += 1
            seen["most"] = max(seen["most"], seen["under_way"])
            seen["calls_while_paused"] += time.monotonic() < pause_ends_at - 0.05
            if seen["most"] == 5:
                is_full.set()
            is_late = seen["served"] > 30
        # By now five are let in at once; on a slow machine the first would be gone before the fifth comes.
        is_full.wait(20 if is_late else 0.1)
        time.sleep(0.02)
        with lock:
            seen["under_way"] -= 1
            seen["served"] += 1
        limiter.after(ALICE, Response(200))

    call(limiter, limited("0.4"))
    agents = [threading.Thread(target=agent) for _ in range(50)]
    for thread in agents:
        thread.start()
    for thread in agents:
        thread.join()

    assert seen == {"under_way": 0, "most": 5, "served": 50, "calls_while_paused": 0}


def test_accounts_that_nobody_uses_are_forgotten(limiter, clock):
    for number in range(1000):
        call(limiter, key=("todoist", str(number)))
    clock.moment += timedelta(hours=1)
    call(limiter)

    assert list(limiter.accounts) == [ALICE]


# --- a store that fails


class Broken:
    """A shared store that works while it is up."""

    def __init__(self):
        self.memory, self.is_up, self.asked = MemoryStore(), True, 0

    def read(self, key):
        return self.answering().read(key)

    def replace(self, key, seen, new):
        return self.answering().replace(key, seen, new)

    def answering(self):
        self.asked += 1
        if not self.is_up:
            raise StoreDown("gone")
        return self.memory


def test_a_store_that_fails_fails_no_call_and_is_told_once(clock, caplog):
    shared = Broken()
    limiter = Limiter(OrMemory(shared, clock=lambda: clock.seconds), now=clock.now, wait=clock.wait)
    ten_pass(limiter, clock)
    shared.is_up = False
    asked = shared.asked
    gaps(limiter, clock, 20)
    call(limiter, limited("7"))

    assert limiter.pause_left(ALICE) == 7
    assert shared.asked - asked <= 2
    assert len(caplog.records) == 1


def test_a_store_that_comes_back_is_used_again(clock):
    shared = Broken()
    limiter = Limiter(OrMemory(shared, clock=lambda: clock.seconds), now=clock.now, wait=clock.wait)
    shared.is_up = False
    call(limiter)
    shared.is_up = True
    clock.moment += timedelta(seconds=11)
    call(limiter, limited("7"))

    assert shared.memory.allowances[ALICE].pause_left(clock.moment) == 7


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        (Bearer(), "Bearer k"),
        (Header("authorization"), "k"),
        (Header("X-Key"), None),
        (Basic("=u"), "Basic dTpw"),
        (Query("key"), None),
        (NoAuth(), None),
    ],
)
def test_the_ready_header_value_is_told_where_there_is_one(scheme, value):
    assert authorization(scheme, {"apiKey": "k", "password": "p"}) == value
    assert params(scheme, {"apiKey": "k"}) == ({"key": "k"} if isinstance(scheme, Query) else {})
