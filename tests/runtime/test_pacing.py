"""Five hundred connections that are due at the start do not knock at once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from integrations.runtime.pacing import A_SECOND, spread

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_no_provider_is_asked_more_often_than_ten_times_a_second():
    due = [(number, "google" if number % 3 else "linear") for number in range(500)]

    begins = spread(due, at=NOW)

    seconds = Counter((due[int(pk)][1], at.replace(microsecond=0)) for pk, at in begins.items())
    assert max(seconds.values()) == A_SECOND
    assert len(begins) == 500


def test_what_finds_no_place_within_the_minute_waits_for_the_next():
    begins = spread([(number, "google") for number in range(10_000)], at=NOW)

    assert len(begins) == 60 * A_SECOND
    assert max(begins.values()) == NOW + timedelta(seconds=59)


def test_the_one_that_waits_longest_goes_first():
    begins = spread([("late", "google"), *[(number, "google") for number in range(50)]], at=NOW)

    assert begins["late"] == NOW
