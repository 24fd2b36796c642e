"""Google Calendar: calendars and events, through API v3 (https://developers.google.com/workspace/calendar/api)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict

from integrations.plugins.google_calendar.events import Event, body_of, seen_event, whole, written
from integrations.sdk import (
    Choice,
    Client,
    Described,
    Greeting,
    Heard,
    Incoming,
    Item,
    Page,
    Place,
    Plugin,
    Refused,
    Registered,
    Reply,
    RequestKey,
    SharedToken,
    StartOver,
    Step,
    Subscription,
    TypedDict,
    Webhook,
    every,
    given,
    path_part,
)
from integrations.sdk import Event as Delivered

AUTH = "https://www.googleapis.com/auth/calendar"
READ_LIST = f"{AUTH}.calendarlist.readonly"
READ_EVENTS = f"{AUTH}.events.readonly"
READ_BUSY = f"{AUTH}.freebusy"
WRITE = f"{AUTH}.events"
RULE = r"^(RRULE|EXRULE|RDATE|EXDATE)[:;]\S+$"
CHANNELS_LIVE = timedelta(days=7)
WHEN = r"^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$"


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    calendars: list[str] = Described(
        default=["primary"],
        max_length=50,
        description="Which calendars are synced and watched; “primary” is the person's own",
        json_schema_extra={"discovers": "calendars"},
    )
    days: int = Described(
        default=365,
        ge=1,
        le=3650,
        description="How many days back a full reading goes, 1 to 3650; what is ahead is always read, what is "
        "older is not kept beyond it",
    )


plugin = Plugin(
    slug="google-calendar",
    provider="google",
    name="Google Calendar",
    description="Calendars and events: read them, make, change and delete them, see when people are busy.",
    category="Calendar",
    base_url="https://www.googleapis.com/calendar/v3",
    # events.readonly does not open the list of calendars, and the other way round.
    scopes={
        READ_LIST: "See the list of your calendars",
        READ_EVENTS: "See the events of all your calendars",
    },
    more_scopes={
        READ_BUSY: "See when your calendars are free or busy",
        WRITE: "See and change the events of all your calendars",
    },
    settings=Settings,
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


class Events(TypedDict):
    events: list[Event]
    time_zone: str
    next_cursor: str | None


class Deleted(TypedDict):
    """`was_there` is false where it had been deleted before."""

    id: str
    was_there: bool


class Span(TypedDict):
    start: str
    end: str


class Busy(TypedDict):
    """`problem` is Google's word where it could not look, such as notFound; null where it could."""

    calendar_id: str
    busy: list[Span]
    problem: str | None


class FreeBusy(TypedDict):
    calendars: list[Busy]


def seen_calendar(found: dict[str, Any]) -> Calendar:
    return {
        "id": found["id"],
        # People may give a calendar of somebody else a name of their own.
        "name": found.get("summaryOverride") or found.get("summary", ""),
        "is_primary": bool(found.get("primary")),
        "access": found["accessRole"],
        "time_zone": found.get("timeZone", ""),
    }


def seen_busy(id: str, found: dict[str, Any]) -> Busy:
    errors = found.get("errors") or [{}]
    spans: list[Span] = [{"start": span["start"], "end": span["end"]} for span in found.get("busy", [])]
    return {"calendar_id": id, "busy": spans, "problem": errors[0].get("reason")}


# --- what agents say

Cursor = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
Limit = Annotated[int, Described(ge=1, le=250, description="How many to return at most, 1 to 250")]
CalendarId = Annotated[
    str, Described(description="From list_calendars; “primary” is the person's own", min_length=1)
]
EventId = Annotated[
    str, Described(description="The event's id, from list_events", pattern=r"^[A-Za-z0-9_-]{1,1024}$")
]
Start = Annotated[
    str,
    Described(
        description="A day (2026-11-23) for whole days, or a moment (2026-11-23T09:00:00+01:00)", pattern=WHEN
    ),
]
End = Annotated[
    str | None,
    Described(
        description="As `start`; of whole days the day after the last. Left out: one day, or one hour",
        pattern=WHEN,
    ),
]
TimeZone = Annotated[
    str | None,
    Described(
        description="Such as Europe/Berlin: for moments without an offset, and for what recurs", max_length=64
    ),
]
People = Annotated[list[str], Described(description="E-mail addresses of those invited", max_length=200)]
Rules = Annotated[
    list[Annotated[str, Described(pattern=RULE)]],
    Described(description="Rules by which it recurs, RFC 5545: RRULE:FREQ=WEEKLY;COUNT=10", max_length=20),
]
Minutes = Annotated[
    list[Annotated[int, Described(ge=0, le=40320)]] | None,
    Described(
        description="Reminders, in minutes before the start; [] for none; left out: as usual in the calendar",
        max_length=5,
    ),
]
NewStart = Annotated[
    str | None, Described(description="As in create_event; give `end` with it", pattern=WHEN)
]
NewRules = Annotated[
    list[Annotated[str, Described(pattern=RULE)]] | None,
    Described(
        description="All rules by which it recurs from now on; [] makes it a single event", max_length=20
    ),
]
NewPeople = Annotated[
    list[str] | None,
    Described(description="All who are invited: who is left out here is uninvited", max_length=200),
]
Notify = Annotated[
    Literal["all", "externalOnly", "none"],
    Described(description="Who of the invited gets mail about it: all, those without Google Calendar, none"),
]
Words = Annotated[
    str | None, Described(description="What it is about; may hold simple HTML", max_length=8192)
]
Where = Annotated[str | None, Described(description="Where it takes place", max_length=1024)]

# --- discovery


@plugin.discovers("calendars")
def calendars(calendar: Client) -> list[Choice]:
    found = every(lambda cursor: list_calendars(calendar, cursor=cursor, limit=250), "calendars")
    # "primary" is the same calendar whoever is connected, and what is synced and watched at first.
    return [
        Choice(id="primary" if one["is_primary"] else one["id"], label=one["name"] or one["id"])
        for one in found
    ]


# --- reading


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
    calendar_id: CalendarId = "primary",
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
    return seen_events(calendar.get(place_of(calendar_id), params=wanted).json())


@plugin.action(scopes=(READ_EVENTS,))
def list_dates(
    calendar: Client,
    event_id: EventId,
    after: Annotated[datetime | None, Described(description="Only dates that end after this moment")] = None,
    before: Annotated[
        datetime | None, Described(description="Only dates that start before this moment")
    ] = None,
    calendar_id: CalendarId = "primary",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Events:
    """List the single dates of one recurring event, with their ids: to change or cancel just one of them.

    `event_id` is the series', which each of its dates names as `recurring_event_id`.
    """
    wanted = {
        "timeMin": after and written(after, "after"),
        "timeMax": before and written(before, "before"),
        "maxResults": limit,
        "pageToken": cursor,
    }
    return seen_events(calendar.get(f"{place_of(calendar_id, event_id)}/instances", params=wanted).json())


@plugin.action(scopes=(READ_EVENTS,))
def get_event(calendar: Client, event_id: EventId, calendar_id: CalendarId = "primary") -> Event:
    """Read one event with its people, times, rules and `etag`. A deleted one has the status cancelled."""
    return seen_event(calendar.get(place_of(calendar_id, event_id)).json())


@plugin.action(scopes=(READ_BUSY,))
def list_busy_times(
    calendar: Client,
    after: Annotated[datetime, Described(description="From this moment on: 2026-11-23T08:00:00+01:00")],
    before: Annotated[datetime, Described(description="Up to this moment")],
    calendar_ids: Annotated[
        list[str],
        Described(
            description="Whose: ids from list_calendars or people's e-mail addresses",
            min_length=1,
            max_length=50,
        ),
    ] = ["primary"],  # noqa: B006 - pydantic copies it
) -> FreeBusy:
    """Say when calendars are busy between two moments, and nothing about with what.

    Use it to find a time that suits several people; what is not listed is free.
    """
    body = {
        "timeMin": written(after, "after"),
        "timeMax": written(before, "before"),
        "items": [{"id": id} for id in calendar_ids],
    }
    found = calendar.post("/freeBusy", json=body, idempotent=True).json()
    return {"calendars": [seen_busy(id, one) for id, one in found.get("calendars", {}).items()]}


def seen_events(page: dict[str, Any]) -> Events:
    return {
        "events": [seen_event(found) for found in page.get("items", [])],
        "time_zone": page.get("timeZone", ""),
        "next_cursor": page.get("nextPageToken"),
    }


def place_of(calendar_id: str, event_id: str = "") -> str:
    """The path of a calendar's events. Most ids are e-mail addresses, and those of holidays hold a #."""
    events = f"/calendars/{path_part(calendar_id)}/events"
    return f"{events}/{path_part(event_id)}" if event_id else events


# --- writing


@plugin.action(writes=True, idempotent=True, scopes=(WRITE,))
def create_event(
    calendar: Client,
    title: Annotated[str, Described(description="What people see in the calendar", max_length=1024)],
    start: Start,
    key: RequestKey,
    end: End = None,
    time_zone: TimeZone = None,
    calendar_id: CalendarId = "primary",
    description: Words = None,
    location: Where = None,
    attendees: People = [],  # noqa: B006
    recurrence: Rules = [],  # noqa: B006
    reminder_minutes: Minutes = None,
    with_meeting_link: Annotated[bool, Described(description="Also make a Google Meet link")] = False,
    notify: Notify = "none",
) -> Event:
    """Put an event into a calendar: for an hour, for whole days, or recurring; and return it.

    Inviting people is writing to them: they get mail only with `notify`. The same call with the same
    Idempotency-Key never makes a second event.
    """
    body = body_of(
        title=title, start=start, end=end, time_zone=time_zone, description=description, location=location,
        attendees=attendees or None, recurrence=recurrence or None, reminder_minutes=reminder_minutes,
    )  # fmt: skip
    # An id may hold 0-9 and a-v; of a UUID without dashes nobody else makes the same.
    body["id"] = key.replace("-", "").lower()
    if with_meeting_link:
        solution = {"type": "hangoutsMeet"}
        body["conferenceData"] = {
            "createRequest": {"requestId": body["id"], "conferenceSolutionKey": solution}
        }
    asked = {"sendUpdates": notify, "conferenceDataVersion": 1 if with_meeting_link else None}
    try:
        made = calendar.post(place_of(calendar_id), params=asked, json=body, idempotent=True)
    except Refused as refusal:
        if refusal.status != 409:
            raise
        # It is there: an earlier try of this same call has made it.
        made = calendar.get(place_of(calendar_id, body["id"]))
    return seen_event(made.json())


@plugin.action(writes=True, scopes=(WRITE,))
def update_event(
    calendar: Client,
    event_id: EventId,
    calendar_id: CalendarId = "primary",
    title: Annotated[
        str | None, Described(description="What people see in the calendar", max_length=1024)
    ] = None,
    start: NewStart = None,
    end: End = None,
    time_zone: TimeZone = None,
    description: Words = None,
    location: Where = None,
    attendees: NewPeople = None,
    recurrence: NewRules = None,
    reminder_minutes: Minutes = None,
    notify: Notify = "none",
    etag: Annotated[
        str | None,
        Described(
            description="Change it only if it is still as read: the event's `etag`",
            pattern=r'^"[^"\r\n]{1,200}"$',
        ),
    ] = None,
) -> Event:
    """Change what is given of an event, leave the rest, and return it. A new start needs its end too.

    The id of a series changes all of its dates, that of a single date (see list_dates) only this one.
    """
    if (end and not start) or (start and not end):
        raise Refused("Give start and end together.", field="start" if end else "end")
    body = body_of(
        title=title, start=start, end=end, time_zone=time_zone, description=description, location=location,
        attendees=attendees, recurrence=recurrence, reminder_minutes=reminder_minutes,
    )  # fmt: skip
    if not body:
        raise Refused("Say what to change.")
    body |= {name: whole(body[name]) for name in ("start", "end") if name in body}
    headers = given({"If-Match": etag})
    place = place_of(calendar_id, event_id)
    try:
        found = calendar.patch(place, params={"sendUpdates": notify}, json=body, headers=headers)
    except Refused as refusal:
        if refusal.status != 412:
            raise
        words = "Somebody has changed this event since it was read. Read it again with get_event."
        raise Refused(words, status=412, field="etag") from None
    return seen_event(found.json())


@plugin.action(destroys=True, scopes=(WRITE,))
def delete_event(
    calendar: Client, event_id: EventId, calendar_id: CalendarId = "primary", notify: Notify = "none"
) -> Deleted:
    """Delete an event, a whole series, or one date of a series. One that is gone already is no trouble.

    Where people were invited it is cancelled for them, and `notify` says who is told by mail.
    """
    try:
        calendar.delete(place_of(calendar_id, event_id), params={"sendUpdates": notify})
    except Refused as refusal:
        if refusal.status != 410:
            raise
        return {"id": event_id, "was_there": False}
    return {"id": event_id, "was_there": True}


# --- sync


def chosen(settings: Mapping[str, Any]) -> list[str]:
    return Settings.model_validate(settings).calendars


@plugin.sync("events", scopes=(READ_EVENTS,), parts=chosen)
def events(calendar: Client, place: Place) -> Page:
    """The events of one calendar: a window at first, then what changed, by Google's sync token.

    Series come as series with their exceptions. As single dates an endless one would have no end, and each
    change of it would be a change of all its dates.
    """
    cursor = place.cursor or {"since": window(place.settings)}
    # A sync token goes with no window. Google's guide reads with one at first, and without it afterwards.
    asked = {
        "singleEvents": False,
        "maxResults": 250,
        "timeMin": cursor.get("since"),
        "syncToken": cursor.get("token"),
        "pageToken": cursor.get("page"),
    }
    try:
        page = calendar.get(place_of(place.part or "primary"), params=asked).json()
    except Refused as refusal:
        # The token has expired, or who may see what has changed; or a page's token after a long pause.
        if refusal.status == 410 or (refusal.status == 400 and asked["pageToken"]):
            raise StartOver from None
        raise
    items = [item_of(found) for found in page.get("items", [])]
    if token := page.get("nextPageToken"):
        return Page(items, {**cursor, "page": token}, more=True)
    return Page(items, {"token": page["nextSyncToken"]})


def window(settings: Mapping[str, Any]) -> str:
    since = datetime.now(UTC) - timedelta(days=Settings.model_validate(settings).days)
    return written(since.replace(microsecond=0), "days")


def item_of(found: dict[str, Any]) -> Item:
    """Of what was deleted Google tells little more than the id.

    A cancelled date of a series is kept: without it, the series would seem to take place then.
    """
    if found.get("status") == "cancelled" and not found.get("recurringEventId"):
        return Item(found["id"], is_deleted=True)
    return Item(found["id"], seen_event(found))


# --- push

webhook = plugin.receives(
    Webhook(
        # https://developers.google.com/workspace/calendar/api/guides/push
        proof=SharedToken(header="X-Goog-Channel-Token"),
        delivery_id=lambda incoming: ":".join(
            (incoming.headers.get("X-Goog-Channel-ID", ""), incoming.headers.get("X-Goog-Message-Number", ""))
        ).strip(":"),
        event_type=lambda incoming: f"calendar.{incoming.headers.get('X-Goog-Resource-State', 'unknown')}",
        number=lambda incoming: incoming.headers.get("X-Goog-Message-Number", ""),
        resource="calendars",
        scopes=(READ_EVENTS,),
        is_greeting_signed=True,
        steps=(
            Step("Navi opens a channel for each calendar, and a new one before it ends after a week."),
            Step(
                "Google calls only https addresses with a certificate that browsers trust: NAVI_BASE_URL has to be one."
            ),
        ),
    )
)


@webhook.greets
def greet(incoming: Incoming) -> Greeting | None:
    """A channel's first message says only that it is open."""
    if incoming.headers.get("X-Goog-Resource-State") != "sync":
        return None
    return Greeting(Reply(200))


@webhook.registers
def watch(calendar: Client, subscription: Subscription) -> Registered:
    """Open a channel. Google renews none: the next one begins before this one ends."""
    body = {
        "id": subscription.id,
        "type": "web_hook",
        "address": subscription.url,
        "token": subscription.secret,
        "params": {"ttl": str(int(CHANNELS_LIVE.total_seconds()))},
    }
    calendar_id = subscription.resource or "primary"
    found = calendar.post(f"{place_of(calendar_id)}/watch", json=body).json()
    facts = {"channel": found["id"], "resource": found["resourceId"], "calendar": calendar_id}
    return Registered(facts, moment_of(found.get("expiration")))


def moment_of(milliseconds: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC) if milliseconds else None


@webhook.unregisters
def unwatch(calendar: Client, facts: Mapping[str, Any]) -> None:
    body = {"id": facts["channel"], "resourceId": facts["resource"]}
    try:
        calendar.post("/channels/stop", json=body, idempotent=True)
    except Refused as refusal:
        if refusal.status != 404:  # It has ended by itself.
            raise


@webhook.hears
def hear(event: Delivered) -> Heard:
    """Google says only that something changed: the sync reads what. The body is empty.

    A channel that was followed by another lives on for a while, and what it says is as good; but one for
    another calendar has no business at this endpoint.
    """
    headers, known = event.incoming.headers, event.registration
    if known.get("resource") and headers.get("X-Goog-Resource-ID") != known["resource"]:
        return Heard(summary="A channel of another calendar", is_ignored=True)
    if headers.get("X-Goog-Resource-State") == "not_exists":
        return Heard(summary=f"The calendar {event.resource} is gone", syncs=("events",), part=event.resource)
    return Heard(summary=f"Events of {event.resource} changed", syncs=("events",), part=event.resource)
