"""Events as Google Calendar tells them, and as it takes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from integrations.sdk import Refused, TypedDict, given


class Attendee(TypedDict):
    """`response` is needsAction, declined, tentative or accepted."""

    email: str
    name: str
    response: str


class Event(TypedDict):
    """An event of whole days has days as `start` and `end`, the end being the day after the last.

    `recurrence` are the rules (RFC 5545) of a series; `recurring_event_id` names the series of a single date,
    `original_start` where that date was at first. `etag` changes with every change.
    """

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
    recurrence: list[str]
    recurring_event_id: str | None
    original_start: str | None
    etag: str
    url: str


def seen_event(found: dict[str, Any]) -> Event:
    start, end = found.get("start") or {}, found.get("end") or {}
    return {
        "id": found["id"],
        # Of a private event in a calendar of somebody else, only the times are told.
        "title": found.get("summary", ""),
        "start": bound_of(start),
        "end": bound_of(end),
        "is_all_day": "date" in start,
        "status": found.get("status", ""),
        "location": found.get("location", ""),
        "description": found.get("description", ""),
        "organizer": (found.get("organizer") or {}).get("email", ""),
        "attendees": [seen_attendee(person) for person in found.get("attendees", [])],
        "meeting_url": found.get("hangoutLink"),
        "recurrence": found.get("recurrence", []),
        "recurring_event_id": found.get("recurringEventId"),
        "original_start": bound_of(found.get("originalStartTime") or {}) or None,
        "etag": found.get("etag", ""),
        "url": found.get("htmlLink", ""),
    }


def seen_attendee(found: dict[str, Any]) -> Attendee:
    return {
        "email": found.get("email", ""),
        "name": found.get("displayName", ""),
        "response": found.get("responseStatus", "needsAction"),
    }


def bound_of(found: dict[str, Any]) -> str:
    return str(found.get("dateTime") or found.get("date", ""))


# --- writing


def body_of(
    *,
    title: str | None = None,
    start: str | None = None,
    end: str | None = None,
    time_zone: str | None = None,
    description: str | None = None,
    location: str | None = None,
    attendees: list[str] | None = None,
    recurrence: list[str] | None = None,
    reminder_minutes: list[int] | None = None,
) -> dict[str, Any]:
    """What was given, as Google takes it. Raises Refused."""
    return given(
        {
            "summary": title,
            "description": description,
            "location": location,
            "attendees": None if attendees is None else [{"email": email} for email in attendees],
            "recurrence": recurrence,
            "reminders": reminders_of(reminder_minutes),
            **(bounds_of(start, end, time_zone, repeats=bool(recurrence)) if start else {}),
        }
    )


def reminders_of(minutes: list[int] | None) -> dict[str, Any] | None:
    """None keeps the calendar's usual ones, an empty list means none at all."""
    if minutes is None:
        return None
    return {"useDefault": False, "overrides": [{"method": "popup", "minutes": each} for each in minutes]}


def bounds_of(start: str, end: str | None, time_zone: str | None, *, repeats: bool) -> dict[str, Any]:
    """Start and end, both days or both moments. Raises Refused where they do not fit together."""
    first, last = read(start, "start"), read(end, "end") if end else None
    if isinstance(first, datetime) and isinstance(last, datetime | None):
        return moments(first, last or first + timedelta(hours=1), time_zone, repeats=repeats)
    if isinstance(first, datetime) or isinstance(last, datetime):
        raise Refused("Give both as days, or both with a time.", field="end")
    last = last or first + timedelta(days=1)
    if last <= first:
        raise Refused("The end is the day after the last one, so it lies after the start.", field="end")
    return {"start": {"date": first.isoformat()}, "end": {"date": last.isoformat()}}


def moments(first: datetime, last: datetime, time_zone: str | None, *, repeats: bool) -> dict[str, Any]:
    if (first.tzinfo is None) != (last.tzinfo is None):
        raise Refused("Say the offset from UTC for both or for neither.", field="end")
    if first.tzinfo is None and not time_zone:
        raise Refused(
            f"Say the offset from UTC, such as {first.isoformat()}Z, or a time_zone.", field="start"
        )
    if repeats and not time_zone:
        # Without one Google could not tell which hour it is after the clocks change.
        raise Refused("What recurs needs a time_zone, such as Europe/Berlin.", field="time_zone")
    if last <= first:
        raise Refused("The end must lie after the start.", field="end")
    start, end = (given({"dateTime": each.isoformat(), "timeZone": time_zone}) for each in (first, last))
    return {"start": start, "end": end}


def whole(bound: dict[str, Any]) -> dict[str, Any]:
    """A bound that replaces another kind: a patch keeps what it does not name, and a day is no moment."""
    return {"date": None, "dateTime": None, "timeZone": None, **bound}


def read(text: str, field: str) -> date | datetime:
    try:
        return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
    except ValueError:
        raise Refused(
            "Write a day (2026-11-23) or a moment (2026-11-23T09:00:00+01:00).", field=field
        ) from None


def written(moment: datetime, field: str) -> str:
    """A moment as Google takes it. Raises Refused where the offset is missing."""
    if moment.tzinfo is None:
        raise Refused(f"Say the offset from UTC, such as {moment.isoformat()}Z.", field=field)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
