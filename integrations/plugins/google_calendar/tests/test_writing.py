"""Events that agents make, change and delete."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_calendar.plugin import READ_BUSY, READ_EVENTS, WRITE, plugin
from integrations.sdk import Client, InvalidArguments, MissingScopes, Refused
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at
from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import HOLIDAYS, TEAM

EVENTS = "/calendar/v3/calendars/primary/events"
FRIDAY = "2026-11-27T18:00:00+01:00"


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
    return client_at(plugin, google, TOKEN)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def create(client: Client, **more: Any) -> Any:
    return run(client, "create_event", **{"title": "Yoga", "start": FRIDAY, **more})


# --- making


def test_an_event_takes_an_hour_unless_it_says_otherwise(alice: Client):
    made = create(alice)

    assert (made["start"], made["end"]) == (FRIDAY, "2026-11-27T19:00:00+01:00")
    assert made["id"] == REQUEST_KEY.replace("-", "")


def test_whole_days_end_on_the_day_after(alice: Client):
    one, three = create(alice, start="2026-11-27"), None
    assert (one["is_all_day"], one["end"]) == (True, "2026-11-28")

    run(alice, "delete_event", event_id=one["id"])
    three = run(alice, "update_event", event_id="trip1", start="2026-12-01", end="2026-12-04")
    assert (three["start"], three["end"]) == ("2026-12-01", "2026-12-04")


def test_a_time_of_the_clock_needs_its_zone(alice: Client, google: GoogleStandin):
    create(alice, start="2026-11-27T18:00:00", time_zone="Europe/Berlin")

    assert google.requests[-1].json()["start"] == {
        "dateTime": "2026-11-27T18:00:00",
        "timeZone": "Europe/Berlin",
    }


def test_a_series_comes_as_its_dates(alice: Client):
    made = create(alice, time_zone="Europe/Berlin", recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])

    dates = run(alice, "list_dates", event_id=made["id"])["events"]

    assert made["recurrence"] == ["RRULE:FREQ=WEEKLY;COUNT=3"]
    assert [one["start"][:10] for one in dates] == ["2026-11-27", "2026-12-04", "2026-12-11"]
    assert {one["recurring_event_id"] for one in dates} == {made["id"]}


def test_people_are_invited_and_written_to_only_on_demand(alice: Client, google: GoogleStandin):
    made = create(alice, attendees=["anna@example.org"])

    assert [person["response"] for person in made["attendees"]] == ["needsAction"]
    assert google.requests[-1].query["sendUpdates"] == "none"


def test_reminders_and_a_meeting_come_along(alice: Client, google: GoogleStandin):
    made = create(alice, reminder_minutes=[10, 60], with_meeting_link=True)

    body = google.requests[-1].json()
    assert made["meeting_url"] == "https://meet.google.com/abc-defg-hij"
    assert [one["minutes"] for one in body["reminders"]["overrides"]] == [10, 60]
    assert google.requests[-1].query["conferenceDataVersion"] == "1"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"start": "2026-11-27", "end": FRIDAY}, "end"),
        ({"end": "2026-11-28"}, "end"),
        ({"end": FRIDAY}, "end"),
        ({"end": "2026-11-27T19:00:00"}, "end"),
        ({"start": "2026-11-27", "end": "2026-11-27"}, "end"),
        ({"start": "2026-11-27T18:00:00"}, "start"),
        ({"start": "2026-02-30"}, "start"),
        ({"recurrence": ["RRULE:FREQ=DAILY"]}, "time_zone"),
    ],
)
def test_times_that_do_not_fit_are_refused_before_anything_is_sent(
    alice: Client, google: GoogleStandin, more: dict[str, Any], field: str
):
    with pytest.raises(Refused) as refusal:
        create(alice, **more)

    assert refusal.value.field == field
    assert google.requests == []


@pytest.mark.parametrize("start", ["tomorrow", "2026-11-27 18:00", "20261127", ""])
def test_a_start_is_a_day_or_a_moment(start: str):
    with pytest.raises(InvalidArguments):
        plugin.actions["create_event"].validate({"title": "Yoga", "start": start})


# --- once


def test_the_same_call_makes_one_event(alice: Client, google: GoogleStandin):
    first, second = create(alice), create(alice)

    assert first == second
    assert len(google.people["alice"]["events"]["alice@example.org"]) == 3


def test_an_event_whose_answer_was_lost_is_made_once(alice: Client, google: GoogleStandin):
    google.lose_next(EVENTS)

    made = create(alice)

    assert made["title"] == "Yoga"
    assert len(google.people["alice"]["events"]["alice@example.org"]) == 3
    assert plugin.actions["create_event"].idempotent


def test_an_event_that_was_made_and_deleted_is_not_made_anew(alice: Client):
    run(alice, "delete_event", event_id=create(alice)["id"])

    assert create(alice)["status"] == "cancelled"


def test_what_is_there_already_is_read():
    assert replay(plugin, "create_event", "event_is_made_already")["title"] == "Lunch"


# --- changing


def test_only_what_is_given_changes(alice: Client):
    changed = run(alice, "update_event", event_id="dentist1", title="Dentist, again", location="")

    assert (changed["title"], changed["location"]) == ("Dentist, again", "")
    assert changed["start"] == "2026-11-23T09:00:00+01:00"


def test_an_hour_becomes_a_day(alice: Client):
    changed = run(alice, "update_event", event_id="dentist1", start="2026-11-23", end="2026-11-24")

    assert (changed["is_all_day"], changed["start"]) == (True, "2026-11-23")


def test_an_event_that_somebody_else_changed_is_left_alone(alice: Client, google: GoogleStandin):
    read = run(alice, "get_event", event_id="dentist1")
    google.move_event("dentist1", "2026-11-23T10:00:00+01:00", "2026-11-23T11:00:00+01:00")

    with pytest.raises(Refused, match="Somebody has changed this event") as refusal:
        run(alice, "update_event", event_id="dentist1", title="Mine", etag=read["etag"])

    assert (refusal.value.status, refusal.value.field) == (412, "etag")
    assert run(alice, "get_event", event_id="dentist1")["title"] == "Dentist"


def test_one_date_of_a_series_moves_alone(alice: Client):
    made = create(alice, time_zone="Europe/Berlin", recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    second = run(alice, "list_dates", event_id=made["id"])["events"][1]

    run(alice, "update_event", event_id=second["id"], title="Judo")

    found = run(alice, "list_events", after="2026-11-27T00:00:00Z", before="2026-11-29T12:00:00Z")["events"]
    assert [one["title"] for one in found if not one["is_all_day"]] == ["Yoga", "Judo"]


@pytest.mark.parametrize("arguments", [{}, {"start": FRIDAY}, {"end": FRIDAY}])
def test_a_change_has_to_be_whole(alice: Client, google: GoogleStandin, arguments: dict[str, Any]):
    with pytest.raises(Refused):
        run(alice, "update_event", event_id="dentist1", **arguments)

    assert google.requests == []


@pytest.mark.parametrize("etag", ['"1"\r\nX: y', "1", '""'])
def test_an_etag_holds_no_header(etag: str):
    with pytest.raises(InvalidArguments):
        plugin.actions["update_event"].validate({"event_id": "dentist1", "title": "x", "etag": etag})


# --- deleting


def test_what_is_gone_already_is_no_trouble(alice: Client):
    first, second = (run(alice, "delete_event", event_id="dentist1") for _ in range(2))

    assert (first["was_there"], second["was_there"]) == (True, False)


def test_what_never_was_is_refused(alice: Client):
    with pytest.raises(Refused, match="Not Found"):
        run(alice, "delete_event", event_id="nothing1")


def test_the_recordings_of_refusals_are_understood():
    with pytest.raises(Refused, match="Somebody has changed"):
        replay(plugin, "update_event", "event_has_changed")
    assert replay(plugin, "delete_event", "event_is_gone")["was_there"] is False


def test_a_calendar_that_may_only_be_read_is_left_alone(alice: Client):
    with pytest.raises(Refused, match="writer access"):
        create(alice, calendar_id=HOLIDAYS)


# --- free and busy


def test_busy_times_of_several_people_are_told(alice: Client):
    wanted = {"after": "2026-11-23T00:00:00Z", "before": "2026-11-25T00:00:00Z"}
    own, team, nobody = run(
        alice, "list_busy_times", **wanted, calendar_ids=["primary", TEAM, "nobody@example.org"]
    )["calendars"]

    assert own["busy"] == [{"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:00:00Z"}]
    assert team["busy"][0]["start"] == "2026-11-24T09:00:00Z"
    assert (nobody["busy"], nobody["problem"]) == ([], "notFound")


@pytest.mark.parametrize(
    ("scope", "action", "arguments"),
    [
        (WRITE, "create_event", {"title": "Yoga", "start": FRIDAY}),
        (WRITE, "update_event", {"event_id": "dentist1", "title": "x"}),
        (WRITE, "delete_event", {"event_id": "dentist1"}),
        (READ_BUSY, "list_busy_times", {"after": FRIDAY, "before": "2026-11-28T00:00:00Z"}),
    ],
)
def test_more_than_reading_needs_its_own_yes(
    google: GoogleStandin, scope: str, action: str, arguments: dict[str, Any]
):
    reader, other = (client_at(plugin, google, google.grant(one).access) for one in (READ_EVENTS, scope))

    with pytest.raises(MissingScopes):
        run(reader, action, **arguments)
    assert run(other, action, **arguments)
