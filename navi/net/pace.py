"""What one account at a vendor may still call, as its 429s taught. Pure arithmetic: moments in, moments out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from navi.net.retry import LONGEST_WAIT

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

# Calls reach the vendor a little later or earlier after each other than they left us.
JITTER_SECONDS = 0.1
# Of what passed before a 429, a part is not used: late calls may catch up by so much.
SPARE = 1 / 40
SHORTEST_WINDOW = 1.0
# A slower pace is not kept: a vendor's long pause says more than a guess about minutes.
SLOWEST_SECONDS = 5.0
SLOWER = 1.1
PACE_HOLDS = timedelta(minutes=10)
PACE_HALVES = timedelta(minutes=1)
PACE_IS_FORGOTTEN = timedelta(minutes=20)
# A pause that moves by less is the same pause, told by a second call that was under way.
SAME_PAUSE = timedelta(milliseconds=50)


@dataclass(frozen=True)
class Allowance:
    """A pause the vendor asked for, and the pace that it seems to bear.

    `calls` passed in the `seconds` before the 429 of `limited_at`; calls start at least `apart` seconds one
    after another, the next one at `next_at`. An `episode` is one 429 with those of the calls that were under
    way beside it; `version` counts changes.
    """

    paused_until: datetime = LONG_AGO
    next_at: datetime = LONG_AGO
    limited_at: datetime = LONG_AGO
    calls: int = 0
    seconds: float = SHORTEST_WINDOW
    apart: float = 0.0
    turns: int = 0
    is_whole: bool = False
    episode: int = 0
    version: int = 0

    def pause_left(self, now: datetime) -> float:
        """Seconds of pause left, 0 where there is none. A pause longer than any is a clock that jumped."""
        left = self.paused_until - now
        return max(0.0, left.total_seconds()) if left <= LONGEST_WAIT + SAME_PAUSE else 0.0

    def interval(self, now: datetime) -> float:
        """Seconds between calls, 0 where nothing holds them apart; forgotten gradually after the last 429."""
        since = now - self.limited_at
        if not self.episode or since >= PACE_IS_FORGOTTEN:
            return 0.0
        learned = (self.seconds + JITTER_SECONDS) / self.calls / (1 - SPARE) if self.calls else 0.0
        learned = learned if learned <= SLOWEST_SECONDS else 0.0
        return float(max(learned, self.apart) * 0.5 ** max(0.0, (since - PACE_HOLDS) / PACE_HALVES))

    def turn_in(self, now: datetime) -> float:
        """Seconds until the next call may start; a pause is not looked at."""
        left = (self.next_at - now).total_seconds()
        return max(0.0, left) if left <= LONGEST_WAIT.total_seconds() + SLOWEST_SECONDS else 0.0

    def turn_taken(self, now: datetime) -> Allowance:
        """After a call took the turn that is due; a late one lets the next ones catch up a little."""
        due = max(min(self.next_at, now), now - timedelta(seconds=self.seconds * SPARE))
        return self.changed(next_at=due + timedelta(seconds=self.interval(now)), turns=self.turns + 1)

    def limited(
        self, now: datetime, until: datetime, seconds: float, passed: int, refused: int = 1
    ) -> Allowance:
        """After a 429 that begins an episode: `passed` calls of this process went well in `seconds` before it."""
        begun = self.changed(
            paused_until=max(until, self.paused_until) if self.pause_left(now) else until,
            next_at=until,
            limited_at=now,
            # Limited in spite of a pace: whatever is counted now, it was too fast.
            apart=min(SLOWEST_SECONDS, self.interval(now) * SLOWER),
            turns=0,
            episode=self.episode + 1,
        )
        seconds = max(SHORTEST_WINDOW, seconds)
        if not self.interval(now):
            return replace(begun, calls=passed, seconds=seconds, is_whole=False)
        return begun.recounted(self.turns - refused, seconds, since=now - self.paused_until)

    def recounted(self, passed: int, seconds: float, since: timedelta) -> Allowance:
        """All processes took turns: those of the time since the pause say what passed, if that was short.

        A pace that held for longer than a window is nearly right.
        """
        if (
            passed <= 0
            or since.total_seconds() > seconds * 1.5
            or passed / seconds > self.calls / self.seconds
        ):
            return replace(self, is_whole=True)
        return replace(self, calls=passed, seconds=seconds, is_whole=True)

    def paused(self, until: datetime) -> Allowance:
        """With a pause until then at least."""
        if until <= self.paused_until + SAME_PAUSE:
            return self
        return self.changed(paused_until=until, next_at=max(until, self.next_at))

    def counted(self, more: int) -> Allowance:
        """After a process told of more calls that passed before the 429."""
        return self.changed(calls=self.calls + more) if more > 0 else self

    def changed(self, **fields: datetime | float) -> Allowance:
        return replace(self, **fields, version=self.version + 1)  # type: ignore[arg-type]

    def is_episode_of(self, started_at: datetime, now: datetime) -> bool:
        """Does a 429 now, to a call of `started_at`, say only what is known already?"""
        return self.pause_left(now) > 0 or (self.episode > 0 and started_at <= self.limited_at <= now)
