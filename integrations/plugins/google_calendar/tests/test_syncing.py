"""Events that come home: a window at first, sync tokens, channels."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_calendar.plugin import READ_EVENTS, plugin
from integrations.sdk import (
    Client,
    Event,
    Headers,
    Incoming,
    Item,
    Page,
    Place,
    Refused,
    StartOver,
    Subscription,
    Webhook,
)
from integrations.sdk.signatures import proves
from integrations.sdk.testing import pull
from tests.plugins.clients import client_at
from tests.standins.google import GoogleStandin
from tests.standins.google_data import TEAM
from tests.standins.server import Request, Response, Standin

LONG = {"days": 3650}
EVENING = ("2026-11-26T18:00:00+01:00", "2026-11-26T19:00:00+01:00")


@pytest.fixture(scope="module")
def running() -> Iterator[GoogleStandin]:
    with GoogleStandin() as standin:
        yield standin


@pytest.fixture
def google(running: GoogleStandin) -> GoogleStandin:
    running.reset()
    return running


@pytest.fixture
def alice(google: GoogleStandin) -> Client:
    return client_at(plugin, google, google.grant(READ_EVENTS).access)


@pytest.fixture
def hook() -> Webhook:
    assert plugin.webhook
    return plugin.webhook


def page(client: Client, cursor: Any, part: str = "primary") -> Page:
    function = plugin.syncs["events"].function
    assert function
    return function(client, Place(json.loads(json.dumps(cursor)), part, LONG))


def read(client: Client, cursor: Any = None, part: str = "primary") -> tuple[dict[str, Item], Any, int]:
    """All items of a run by id, the cursor it ends with, and how many pages it took."""
    items: dict[str, Item] = {}
    pages, more = 0, True
    while more:
        found = page(client, cursor, part)
        items |= {item.id: item for item in found.items}
        cursor, pages, more = found.cursor, pages + 1, found.more
    return items, cursor, pages


# --- reading


def test_each_chosen_calendar_is_a_part():
    sync = plugin.syncs["events"]

    assert sync.parts_of({}) == ("primary",)
    assert sync.parts_of({"calendars": ["primary", TEAM, TEAM]}) == ("primary", TEAM)


def test_at_first_a_window_is_read_and_afterwards_the_token_goes_alone(alice: Client, google: GoogleStandin):
    items, cursor, _ = read(alice)
    read(alice, cursor)

    first, second = google.requests[-2:]
    assert items["dentist1"].data["title"] == "Dentist"
    assert ("timeMin" in first.query, "syncToken" in first.query) == (True, False)
    assert ("timeMin" in second.query, "syncToken" in second.query) == (False, True)
    # What is asked beside it stays the same, as Google wants.
    assert first.query["singleEvents"] == second.query["singleEvents"] == "false"


def test_a_series_comes_as_a_series(alice: Client):
    items, _, _ = read(alice, part=TEAM)

    assert items["review1"].data["recurrence"] == ["RRULE:FREQ=WEEKLY;COUNT=1"]


def test_what_changed_and_what_is_gone_is_told(alice: Client, google: GoogleStandin):
    _, cursor, _ = read(alice)
    new = google.put_event("Yoga", *EVENING)
    google.remove_event("dentist1")

    items, cursor, _ = read(alice, cursor)

    assert items.keys() == {new, "dentist1"}
    assert items["dentist1"].is_deleted
    assert read(alice, cursor)[0] == {}


def test_a_cancelled_date_of_a_series_is_kept(alice: Client, google: GoogleStandin):
    _, cursor, _ = read(alice, part=TEAM)
    google.remove_event("review1_20261124T090000Z", calendar=TEAM)

    [item] = read(alice, cursor, TEAM)[0].values()

    assert not item.is_deleted
    assert (item.data["status"], item.data["recurring_event_id"]) == ("cancelled", "review1")
    assert item.data["original_start"] == "2026-11-24T10:00:00+01:00"


def test_a_full_calendar_comes_page_by_page(alice: Client, google: GoogleStandin):
    for number in range(250):
        google.put_event(f"Number {number}", *EVENING)

    items, cursor, pages = read(alice)

    assert (len(items), pages, cursor.keys()) == (252, 2, {"token"})


def test_a_token_that_has_expired_starts_over(alice: Client, google: GoogleStandin):
    _, cursor, _ = read(alice)
    google.expire_sync_tokens()

    with pytest.raises(StartOver):
        page(alice, cursor)


def test_a_calendar_that_is_gone_is_told(alice: Client):
    with pytest.raises(Refused, match="Not Found"):
        page(alice, None, "gone@group.calendar.google.com")


def test_the_recordings_are_read():
    first = pull(plugin, "events", part="primary")
    token = {"token": "eyJjYWxlbmRhciI6ICJhbGljZUBleGFtcGxlLm9yZyIsICJ2ZXJzaW9uIjogMSwgImVwb2NoIjogMX0"}
    later = pull(plugin, "events", "changes_of_events", part="primary", cursor=token)

    assert first.cursor == token
    assert sorted(item.is_deleted for item in later.items) == [False, True]
    with pytest.raises(StartOver):
        pull(plugin, "events", "sync_token_is_too_old", part="primary", cursor=token)


# --- channels


class Inbox(Standin):
    """An address that Google may call."""

    def answer(self, request: Request) -> Response:
        return Response(200)

    @property
    def came(self) -> list[Incoming]:
        return [
            Incoming(one.method, Headers(list(one.headers.items())), one.query, one.body)
            for one in self.requests
        ]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        yield running


def subscribe(
    hook: Webhook, client: Client, url: str, resource: str = "primary", id: str = "channel-1"
) -> Any:
    assert hook.register_function
    return hook.register_function(client, Subscription(url=url, secret="s" * 43, resource=resource, id=id))


def test_a_channel_greets_and_then_tells(alice: Client, google: GoogleStandin, hook: Webhook, inbox: Inbox):
    registered = subscribe(hook, alice, inbox.url)
    google.put_event("Yoga", *EVENING)
    assert google.post.arrived() == [200, 200]

    greeting, news = inbox.came
    assert hook.greet_function
    assert hook.hear_function
    assert hook.greet_function(greeting)
    assert hook.greet_function(news) is None
    assert all(proves(hook.proof, each, ["s" * 43], now=0) for each in inbox.came)  # type: ignore[arg-type]
    assert [hook.delivery_id(each) for each in inbox.came] == ["channel-1:1", "channel-1:2"]
    assert hook.number
    assert hook.number(news) == "2"
    event = Event(hook.event_type(news), hook.delivery_id(news), news, "primary", registered.facts)
    heard = hook.hear_function(event)
    assert (heard.syncs, heard.part, heard.is_ignored) == (("events",), "primary", False)
    assert 6.9 < (registered.expires_at.timestamp() - google.now()) / 86400 <= 7


def test_a_channel_of_another_calendar_is_not_heard_here(
    alice: Client, google: GoogleStandin, hook: Webhook, inbox: Inbox
):
    own, _ = subscribe(hook, alice, inbox.url), subscribe(hook, alice, inbox.url, TEAM, "channel-2")
    google.post.arrived()

    assert hook.hear_function
    assert hook.hear_function(Event("x", "y", inbox.came[1], "primary", own.facts)).is_ignored


def test_the_channel_before_is_still_heard_after_a_renewal(
    alice: Client, google: GoogleStandin, hook: Webhook, inbox: Inbox
):
    subscribe(hook, alice, inbox.url)
    renewed = subscribe(hook, alice, inbox.url, id="channel-2")
    google.post.arrived()

    assert hook.hear_function
    assert not hook.hear_function(Event("x", "y", inbox.came[0], "primary", renewed.facts)).is_ignored


def test_a_channel_is_ended_and_one_that_ended_is_no_trouble(
    alice: Client, google: GoogleStandin, hook: Webhook
):
    registered = subscribe(hook, alice, "http://127.0.0.1:9/hooks/x")
    google.post.arrived()

    assert hook.unregister_function
    for _ in range(2):
        hook.unregister_function(alice, registered.facts)

    assert google.people["alice"]["channels"] == {}


def test_google_calls_no_plain_address(alice: Client, hook: Webhook):
    with pytest.raises(Refused, match="must be HTTPS"):
        subscribe(hook, alice, "http://navi.example/hooks/x")
