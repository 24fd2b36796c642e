"""What is odd about Google Calendar."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_calendar.plugin import READ_EVENTS, plugin
from integrations.sdk import Client, MissingScopes, Refused
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at
from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import HOLIDAYS, TEAM

MONDAY = "2026-11-23T00:00:00+01:00"


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


# --- calendars


def test_a_calendar_goes_by_the_name_its_reader_gave_it():
    own, team = replay(plugin, "list_calendars")["calendars"]

    assert (own["is_primary"], own["access"]) == (True, "owner")
    assert (team["name"], team["access"]) == ("Our team", "writer")


def test_the_cursor_leads_through_all_calendars(alice: Client):
    first = run(alice, "list_calendars", limit=2)
    second = run(alice, "list_calendars", limit=2, cursor=first["next_cursor"])

    assert [one["id"] for page in (first, second) for one in page["calendars"]] == [
        "alice@example.org",
        TEAM,
        HOLIDAYS,
    ]
    assert second["next_cursor"] is None


def test_calendars_can_be_chosen_from(alice: Client):
    assert [choice.label for choice in plugin.discoveries["calendars"](alice)] == [
        "Alice",
        "Our team",
        "Holidays in Germany",
    ]


# --- events


def test_hours_and_days_are_told_apart():
    dentist, review, trip = replay(plugin, "list_events")["events"]

    assert (dentist["start"], dentist["is_all_day"]) == ("2026-11-23T09:00:00+01:00", False)
    assert (trip["start"], trip["end"], trip["is_all_day"]) == ("2026-11-27", "2026-11-30", True)
    assert (review["recurring_event_id"], review["meeting_url"]) == (
        "review1",
        "https://meet.google.com/abc-defg-hij",
    )
    assert [person["response"] for person in review["attendees"]] == ["accepted", "needsAction"]


def test_the_id_of_a_calendar_is_one_part_of_the_path():
    assert replay(plugin, "list_events", "events_of_holidays")["events"] == []


@pytest.mark.parametrize("calendar_id", [TEAM, HOLIDAYS, "alice@example.org"])
def test_a_calendar_with_signs_in_its_id_is_found(alice: Client, calendar_id: str):
    assert run(alice, "list_events", after=MONDAY, calendar_id=calendar_id)["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize("calendar_id", ["../../users/me/calendarList", "..", "primary/events?x=1"])
def test_an_id_cannot_lead_to_another_address(alice: Client, google: GoogleStandin, calendar_id: str):
    with pytest.raises(Exception, match=r"(?i)not found|does not call"):
        run(alice, "list_events", after=MONDAY, calendar_id=calendar_id)

    assert google.asked("/calendar/v3/users/me/calendarList") == []


def test_of_a_private_event_only_the_times_are_told():
    [event] = replay(plugin, "list_events", "event_is_private")["events"]

    assert (event["title"], event["organizer"], event["start"][:10]) == ("", "", "2026-11-24")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, ["Dentist", "Trip to the sea"]),
        ({"before": "2026-11-25T00:00:00Z"}, ["Dentist"]),
        ({"after": "2026-11-24T00:00:00Z"}, ["Trip to the sea"]),
        ({"query": "sea"}, ["Trip to the sea"]),
        ({"calendar_id": TEAM}, ["Review"]),
        ({"query": "zebra"}, []),
    ],
)
def test_events_are_narrowed_down(alice: Client, arguments: dict[str, Any], found: list[str]):
    page = run(alice, "list_events", **{"after": MONDAY, **arguments})

    assert [event["title"] for event in page["events"]] == found


def test_the_cursor_leads_through_all_events(alice: Client):
    first = run(alice, "list_events", after=MONDAY, limit=1)
    second = run(alice, "list_events", after=MONDAY, limit=1, cursor=first["next_cursor"])

    assert [page["events"][0]["title"] for page in (first, second)] == ["Dentist", "Trip to the sea"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("field", ["after", "before"])
def test_a_moment_without_an_offset_is_refused_before_anything_is_sent(
    alice: Client, google: GoogleStandin, field: str
):
    with pytest.raises(Refused, match="offset") as refusal:
        run(alice, "list_events", **{"after": MONDAY, field: "2026-11-23T00:00:00"})

    assert refusal.value.field == field
    assert google.requests == []


# --- what goes wrong


def test_a_calendar_that_is_not_there_is_refused():
    with pytest.raises(Refused, match="Not Found") as refusal:
        replay(plugin, "list_events", "no_such_calendar")

    assert refusal.value.status == 404


def test_who_may_read_events_may_not_list_calendars(google: GoogleStandin):
    reader = client_at(plugin, google, google.grant(READ_EVENTS).access)

    assert run(reader, "list_events", after=MONDAY)["events"]
    with pytest.raises(MissingScopes):
        run(reader, "list_calendars")
