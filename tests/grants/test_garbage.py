"""A token endpoint answers with what is no grant: a good credential stays, and goes on serving (R5, R20)."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import State
from integrations.sdk import TryLater
from tests.grants.house import access_of, again, answers_of, fields_of, held_no_more, served
from tests.grants.vendor import TOKEN

pytestmark = pytest.mark.django_db

NEW = {"access_token": "a-new-access-token", "refresh_token": "a-new-refresh-token", "token_type": "Bearer"}
LEFT = 600.0


def said(**changes):
    """The usual answer with something else in it; None leaves a field out."""
    body = {**NEW, "expires_in": 3600, "scope": "read", **changes}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


NO_GRANT = {
    "500": (500, b""),
    "500 with a grant in it": (500, said()),
    "HTML": (200, b"<!doctype html><p>Maintenance"),
    "nothing": (200, b""),
    "an array": (200, b"[]"),
    "no access token": (200, said(access_token=None)),
    "an empty access token": (200, said(access_token="")),
    "an access token of several lines": (200, said(access_token="a\r\nX-Evil: 1")),
    "a number for a token": (200, said(access_token=7)),
    "token_type mac": (200, said(token_type="mac")),
    "token_type of another type": (200, said(token_type=["Bearer"])),
    "an error beside the tokens": (200, said(error="temporarily_unavailable")),
    "not a number for a life": (200, b'{"access_token": "a-new-access-token", "expires_in": NaN}'),
    "the same key twice": (200, b'{"access_token": "a-new-access-token", "access_token": "b"}'),
    "deep nesting": (200, b"[" * 100_000),
    "half a surrogate pair in UTF-16": (200, said().decode().encode("utf-16")),
    "a redirect": (302, b""),
    "403 from a firewall": (403, b"Forbidden"),
    "2 MB": (200, b" " * 2_000_000),
}


@pytest.mark.parametrize("answer", NO_GRANT)
def test_an_answer_without_a_grant_harms_nobody(acmes, vendor, long_holds, answer):
    connection = acmes("strict", left=LEFT)
    before = fields_of(connection)
    vendor.break_next(TOKEN, *NO_GRANT[answer])

    found = [access_of(served(connection, min_ttl=700)) for _ in range(3)]

    row = again(connection)
    assert set(found) == {before["access_token"]}
    assert fields_of(connection) == before
    assert (row.generation, row.refusals, answers_of(connection).count()) == (1, 0, 0)
    held_no_more(connection)
    assert access_of(served(connection, min_ttl=700)) == vendor.living[-1].access


def test_a_vendor_that_accepts_and_never_answers_holds_up_nobody_else(acmes, vendor, long_holds, monkeypatch):
    monkeypatch.setattr("credentials.social.DEADLINE", 3.0)  # the question has to be sent in it
    connection = acmes("lenient", left=LEFT)
    old = access_of(connection)
    vendor.hold(TOKEN, 60)

    found = [access_of(served(connection, min_ttl=700)) for _ in range(3)]

    row = again(connection)
    assert (set(found), vendor.refreshes) == ({old}, 1)
    assert (row.lease_until, row.asked_at is None) == (None, False)


def test_without_a_token_that_works_a_hanging_vendor_means_a_wait_with_a_time(
    acmes, vendor, long_holds, monkeypatch
):
    monkeypatch.setattr("credentials.social.DEADLINE", 3.0)  # the question has to be sent in it
    connection = acmes("lenient")
    vendor.hold(TOKEN, 60)

    for _ in range(3):
        with pytest.raises(TryLater) as told:
            served(connection)
        assert told.value.retry_at

    assert vendor.refreshes == 1
    vendor.hold(TOKEN, 0)
    monkeypatch.setattr("credentials.social.DEADLINE", 25.0)
    held_no_more(connection)
    assert access_of(served(connection)) == vendor.pairs[-1].access


LIVES = {
    "a string": ("3600", 3600),
    "a fraction": (1799.5, 1799),
    "nothing": (None, 3600),
    "zero": (0, 3600),
    "less than a second": (0.5, 3600),
    "less than nothing": (-1, 3600),
    "true": (True, 3600),
    "words": ("an hour", 3600),
    "a list": ([3600], 3600),
}


@pytest.mark.parametrize("kind", LIVES)
def test_a_life_that_makes_no_sense_is_as_long_as_the_one_before(acmes, vendor, kind):
    connection = acmes("strict", left=LEFT)
    life, expected = LIVES[kind]
    vendor.break_next(TOKEN, 200, said(expires_in=life))

    served(connection, min_ttl=700)

    row = again(connection)
    assert fields_of(connection) == {name: NEW[name] for name in ("access_token", "refresh_token")}
    assert (row.expires_at - row.issued_at).total_seconds() == expected
    assert timezone.now() < row.refresh_at < row.expires_at


@pytest.mark.parametrize("life", [b"1e18", b"1e400", b"99999999999999999999999"])
def test_an_endless_life_is_bounded_or_refused(acmes, vendor, life):
    connection = acmes("strict", left=LEFT)
    old = access_of(connection)
    vendor.break_next(TOKEN, 200, said(expires_in=77777).replace(b"77777", life))

    served(connection, min_ttl=700)

    row = again(connection)
    assert access_of(connection) in {old, NEW["access_token"]}
    assert row.expires_at < timezone.now() + timedelta(days=3651)


@pytest.mark.parametrize("value", [None, "", 7, {"a": 1}, "\x00", "two\nlines"])
def test_a_refresh_token_that_is_none_leaves_the_old_one(acmes, vendor, value):
    connection = acmes("steady", left=LEFT)
    old = fields_of(connection)["refresh_token"]
    vendor.break_next(TOKEN, 200, said(refresh_token=value))

    served(connection, min_ttl=700)

    assert fields_of(connection) == {"access_token": NEW["access_token"], "refresh_token": old}


@pytest.mark.parametrize("value", ["with spaces in it", "~!@#$%^&*()_+{}|:<>?", "x" * 16384])
def test_a_refresh_token_may_look_as_it_likes(acmes, vendor, value):
    connection = acmes("strict", left=LEFT)
    vendor.break_next(TOKEN, 200, said(refresh_token=value))

    served(connection, min_ttl=700)

    assert fields_of(connection)["refresh_token"] == value


def test_fewer_scopes_are_written_down_and_the_pair_is_kept_whole(acmes, vendor):
    connection = acmes("strict", left=LEFT)
    type(connection).objects.update(scopes=["read", "write"])
    vendor.break_next(TOKEN, 200, said(scope="read"))

    served(connection, min_ttl=700)

    row = again(connection)
    assert (row.scopes, row.state) == (["read"], State.ACTIVE)
    assert fields_of(connection)["refresh_token"] == NEW["refresh_token"]


@pytest.mark.parametrize("scope", [None, "", 7])
def test_scopes_that_nobody_told_stay(acmes, vendor, scope):
    connection = acmes("strict", left=LEFT)
    vendor.break_next(TOKEN, 200, said(scope=scope))

    served(connection, min_ttl=700)

    assert again(connection).scopes == ["read"]
