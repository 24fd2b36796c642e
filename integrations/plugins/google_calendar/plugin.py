"""Google Calendar: calendars and events, through API v3 (https://developers.google.com/workspace/calendar/api)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from integrations.sdk import (
    Choice,
    Client,
    Described,
    Plugin,
    Refused,
    TypedDict,
    every,
    path_part,
)

AUTH = "https://www.googleapis.com/auth/calendar"
READ_LIST = f"{AUTH}.calendarlist.readonly"
READ_EVENTS = f"{AUTH}.events.readonly"

plugin = Plugin(
    slug="google-calendar",
    provider="google",
    name="Google Calendar",
    description="Calendars and events: list them.",
    category="Calendar",
    base_url="https://www.googleapis.com/calendar/v3",
    # events.readonly does not open the list of calendars, and the other way round.
    scopes={
        READ_LIST: "See the list of your calendars",
        READ_EVENTS: "See the events of all your calendars",
    },
    more_scopes={f"{AUTH}.events": "See and change the events of all your calendars"},
)

# --- what agents see


class Calendar(TypedDict):
    """`access` is freeBusyReader, reader, writer, writerWithoutPrivateAccess or owner."""

    id: str
    name: str
    is_primary: bool
    access: str
    time_zone: str


class Calendars(TypedDict):
    calendars: list[Calendar]
    next_cursor: str | None


class Attendee(TypedDict):
    """`response` is needsAction, declined, tentative or accepted."""

    email: str
    name: str
    response: str


class Event(TypedDict):
    """An event of whole days has days as `start` and `end`, the end being the day after the last."""

    id: str
    title: str
    start: str
    end: str
    is_all_day: bool
    status: str
    location: str
    description: str
    organizer: str
    attendees: list[Attendee]
    meeting_url: str | None
    recurring_event_id: str | None
    url: str


class Events(TypedDict):
    events: list[Event]
    time_zone: str
    next_cursor: str | None


def seen_calendar(found: dict[str, Any]) -> Calendar:
    return {
        "id": found["id"],
        # People may give a calendar of somebody else a name of their own.
        "name": found.get("summaryOverride") or found.get("summary", ""),
        "is_primary": bool(found.get("primary")),
        "access": found["accessRole"],
        "time_zone": found.get("timeZone", ""),
    }


def seen_event(found: dict[str, Any]) -> Event:
    start, end = found.get("start") or {}, found.get("end") or {}
    return {
        "id": found["id"],
        # Of a private event in a calendar of somebody else, only the times are told.
        "title": found.get("summary", ""),
        "start": start.get("dateTime") or start.get("date", ""),
        "end": end.get("dateTime") or end.get("date", ""),
        "is_all_day": "date" in start,
        "status": found.get("status", ""),
        "location": found.get("location", ""),
        "description": found.get("description", ""),
        "organizer": (found.get("organizer") or {}).get("email", ""),
        "attendees": [seen_attendee(person) for person in found.get("attendees", [])],
        "meeting_url": found.get("hangoutLink"),
        "recurring_event_id": found.get("recurringEventId"),
        "url": found.get("htmlLink", ""),
    }


def seen_attendee(found: dict[str, Any]) -> Attendee:
    return {
        "email": found.get("email", ""),
        "name": found.get("displayName", ""),
        "response": found.get("responseStatus", "needsAction"),
    }


Cursor = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
Limit = Annotated[int, Described(ge=1, le=250, description="How many to return at most, 1 to 250")]

# --- discovery


@plugin.discovers("calendars")
def calendars(calendar: Client) -> list[Choice]:
    found = every(lambda cursor: list_calendars(calendar, cursor=cursor, limit=250), "calendars")
    return [Choice(id=one["id"], label=one["name"] or one["id"]) for one in found]


# --- actions


@plugin.action(scopes=(READ_LIST,), try_with={})
def list_calendars(calendar: Client, limit: Limit = 100, cursor: Cursor = None) -> Calendars:
    """List the calendars of the account: its own and those it is subscribed to, with their ids.

    Use it to find the `calendar_id` that list_events takes; the person's own one is also called "primary".
    `next_cursor` is null on the last page; otherwise call again with it as `cursor`.
    """
    page = calendar.get("/users/me/calendarList", params={"maxResults": limit, "pageToken": cursor}).json()
    return {
        "calendars": [seen_calendar(found) for found in page.get("items", [])],
        "next_cursor": page.get("nextPageToken"),
    }


@plugin.action(scopes=(READ_EVENTS,))
def list_events(
    calendar: Client,
    after: Annotated[
        datetime, Described(description="Only events that end after this moment: 2026-11-22T00:00:00+01:00")
    ],
    before: Annotated[
        datetime | None, Described(description="Only events that start before this moment")
    ] = None,
    calendar_id: Annotated[
        str, Described(description="From list_calendars; “primary” is the person's own", min_length=1)
    ] = "primary",
    query: Annotated[
        str | None,
        Described(description="Words to look for in title, description, place and attendees", min_length=1),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Events:
    """List the events of one calendar from a moment on, the earliest first, with times, people and link.

    Recurring events come as their single dates. Moments need an offset from UTC or a Z. `time_zone` is the
    calendar's. `next_cursor` is null on the last page; otherwise call again with the same arguments and it
    as `cursor`.
    """
    wanted = {
        "timeMin": written(after, "after"),
        "timeMax": before and written(before, "before"),
        "q": query,
        # Only single dates can be sorted by their start.
        "singleEvents": True,
        "orderBy": "startTime",
        "maxResults": limit,
        "pageToken": cursor,
    }
    # Most ids are e-mail addresses, and those of holidays hold a #.
    page = calendar.get(f"/calendars/{path_part(calendar_id)}/events", params=wanted).json()
    return {
        "events": [seen_event(found) for found in page.get("items", [])],
        "time_zone": page.get("timeZone", ""),
        "next_cursor": page.get("nextPageToken"),
    }


def written(moment: datetime, field: str) -> str:
    """A moment as Google takes it. Raises Refused where the offset is missing."""
    if moment.tzinfo is None:
        raise Refused(f"Say the offset from UTC, such as {moment.isoformat()}Z.", field=field)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
