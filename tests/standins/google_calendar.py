"""The stand-in's Calendar: events with ids and etags, series, sync tokens, channels that really call."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.standins.google_shape import (
    Answer,
    Fields,
    Notice,
    Problem,
    Query,
    base64url,
    one_of,
    shown,
    unknown,
    wrong,
)
from tests.standins.server import Response

EVENT_ID = re.compile(r"[0-9a-v]{5,1024}")
NOT_WITH_A_TOKEN = {
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax", "updatedMin",
}  # fmt: skip
A_WEEK = 7 * 24 * 3600
MOST_DATES = 730

# --- calendars


def list_calendars(mine: Fields, values: Fields, query: Query) -> Fields:
    page = query.page(mine["calendars"], min(query.number("maxResults", 100), 250), "items")
    page = page if "nextPageToken" in page else {**page, "nextSyncToken": "CPDAlvWDx70CEPDAlvWDx70CGAU="}
    return {"kind": "calendar#calendarList", "etag": '"p1"', **page}


def calendar_in(mine: Fields, values: Fields) -> Fields:
    wanted = mine["primary"] if values["calendarId"] == "primary" else values["calendarId"]
    return one_of(mine["calendars"], wanted)


def events_in(mine: Fields, values: Fields) -> list[Fields]:
    events: list[Fields] = mine["events"].setdefault(calendar_in(mine, values)["id"], [])
    return events


def writable(mine: Fields, values: Fields) -> Fields:
    calendar = calendar_in(mine, values)
    if calendar["accessRole"] not in {"owner", "writer"}:
        raise Problem(403, "requiredAccessLevel", "You need to have writer access to this calendar.")
    return calendar


# --- reading


def list_events(mine: Fields, values: Fields, query: Query) -> Fields:
    singles = query.one.get("singleEvents") == "true"
    if query.one.get("orderBy") == "startTime" and not singles:
        raise wrong("The requested ordering is not available for the particular query.")
    calendar, events = calendar_in(mine, values), events_in(mine, values)
    since = since_token(mine, calendar, query)
    if since is None:
        found = [event for event in events if event["status"] != "cancelled" or "recurringEventId" in event]
    else:
        found = [event for event in events if event["_version"] > since]
    return told(mine, calendar, query, [one for event in found for one in dates_of(event, events, singles)])


def list_instances(mine: Fields, values: Fields, query: Query) -> Fields:
    events = events_in(mine, values)
    series = one_of(events, values["eventId"])
    return told(mine, calendar_in(mine, values), query, list(dates_of(series, events, singles=True)))


def told(mine: Fields, calendar: Fields, query: Query, events: list[Fields]) -> Fields:
    least, most = moment(query, "timeMin"), moment(query, "timeMax")
    found = [
        event
        for event in events
        if (least is None or "recurrence" in event or when(event, "end") > least)
        and (most is None or when(event, "start") < most)
        and query.one.get("q", "").lower() in event.get("summary", "").lower()
    ]
    found.sort(key=lambda event: when(event, "start"))
    page = query.page([shown(event) for event in found], min(query.number("maxResults", 250), 2500), "items")
    if "nextPageToken" not in page:
        page["nextSyncToken"] = token_for(mine, calendar)
    facts = {name: calendar[name] for name in ("summary", "timeZone", "accessRole")}
    return {"kind": "calendar#events", "etag": f'"p{mine["version"]}"', **facts, **page}


def dates_of(event: Fields, events: list[Fields], singles: bool) -> Iterator[Fields]:
    """An event as it is, or the single dates of a series but for those that differ."""
    if not singles:
        yield event
    elif "recurrence" not in event:
        if event["status"] != "cancelled":
            yield event
    else:
        differing = {one["id"] for one in events if one.get("recurringEventId") == event["id"]}
        yield from (date for date in repeated(event) if date["id"] not in differing)


def repeated(series: Fields) -> Iterator[Fields]:
    """A little of RFC 5545: FREQ DAILY or WEEKLY, INTERVAL, COUNT and UNTIL."""
    rule = next(
        (line for line in series["recurrence"] if line.startswith("RRULE:")), "RRULE:FREQ=DAILY;COUNT=1"
    )
    parts = dict(piece.split("=") for piece in rule.removeprefix("RRULE:").split(";"))
    step = timedelta(days=7 if parts["FREQ"] == "WEEKLY" else 1) * int(parts.get("INTERVAL", 1))
    until = parts.get("UNTIL", "99991231")[:8]
    for number in range(min(int(parts.get("COUNT", MOST_DATES)), MOST_DATES)):
        start, end = (moved(series[name], step * number) for name in ("start", "end"))
        stamp = stamp_of(start)
        if stamp[:8] > until:
            return
        left = {name: value for name, value in series.items() if name != "recurrence"}
        yield {
            **left, "id": f"{series['id']}_{stamp}", "start": start, "end": end,
            "recurringEventId": series["id"], "originalStartTime": start,
        }  # fmt: skip


def moved(bound: Fields, by: timedelta) -> Fields:
    if "date" in bound:
        return {"date": (datetime.fromisoformat(bound["date"]) + by).date().isoformat()}
    return {**bound, "dateTime": (datetime.fromisoformat(bound["dateTime"]) + by).isoformat()}


def stamp_of(bound: Fields) -> str:
    if "date" in bound:
        return str(bound["date"]).replace("-", "")
    return f"{datetime.fromisoformat(bound['dateTime']).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def get_event(mine: Fields, values: Fields, query: Query) -> Fields:
    return shown(found_event(mine, values))


def found_event(mine: Fields, values: Fields) -> Fields:
    """An event that is stored, or one date of a series."""
    events, id = events_in(mine, values), values["eventId"]
    if stored := next((event for event in events if event["id"] == id), None):
        return stored
    series = next((event for event in events if event["id"] == id.rpartition("_")[0]), {})
    dates = repeated(series) if "recurrence" in series else iter(())
    if date := next((one for one in dates if one["id"] == id), None):
        return date
    raise unknown()


def moment(query: Query, name: str) -> datetime | None:
    written = query.one.get(name)
    if written is None:
        return None
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise wrong("Bad Request")
    return found


def when(event: Fields, bound: str) -> datetime:
    # Of what is deleted, only the id may be left.
    value = event.get(bound) or {"date": "9999-01-01" if bound == "end" else "0001-01-02"}
    found = datetime.fromisoformat(value.get("date") or value["dateTime"])
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def free_busy(mine: Fields, values: Fields, query: Query) -> Fields:
    asked = query.body
    least, most = (datetime.fromisoformat(asked[name]) for name in ("timeMin", "timeMax"))
    calendars = {one["id"]: busy_in(mine, one["id"], least, most) for one in asked.get("items", [])}
    return {
        "kind": "calendar#freeBusy",
        "timeMin": asked["timeMin"],
        "timeMax": asked["timeMax"],
        "calendars": calendars,
    }


def busy_in(mine: Fields, id: str, least: datetime, most: datetime) -> Fields:
    wanted = mine["primary"] if id == "primary" else id
    if wanted not in mine["events"]:
        return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
    events = mine["events"][wanted]
    found = [one for event in events for one in dates_of(event, events, singles=True)]
    spans = sorted(
        (max(when(one, "start"), least), min(when(one, "end"), most))
        for one in found
        if when(one, "start") < most and when(one, "end") > least and one.get("transparency") != "transparent"
    )
    return {"busy": [{"start": in_utc(start), "end": in_utc(end)} for start, end in spans]}


def in_utc(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- sync tokens


def token_for(mine: Fields, calendar: Fields) -> str:
    said = {"calendar": calendar["id"], "version": mine["version"], "epoch": mine["epoch"]}
    return base64url(json.dumps(said).encode())


def since_token(mine: Fields, calendar: Fields, query: Query) -> int | None:
    """The version a sync token stands for; None where there is none."""
    token = query.one.get("syncToken")
    if token is None:
        return None
    if clashing := NOT_WITH_A_TOKEN & query.one.keys():
        raise wrong(f"Sync token cannot be used with {', '.join(sorted(clashing))}.")
    try:
        said = json.loads(base64_text(token))
    except ValueError:
        said = {}
    if (said.get("calendar"), said.get("epoch")) != (calendar["id"], mine["epoch"]):
        raise Problem(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
    return int(said["version"])


def base64_text(token: str) -> str:
    return base64.urlsafe_b64decode(token + "==").decode()


# --- writing


def insert_event(mine: Fields, values: Fields, query: Query) -> Fields:
    calendar, events, body = writable(mine, values), events_in(mine, values), dict(query.body)
    id = body.setdefault("id", secrets.token_hex(13))
    if not EVENT_ID.fullmatch(id):
        raise Problem(400, "invalid", "Invalid resource id value.")
    if any(event["id"] == id for event in events):
        raise Problem(409, "duplicate", "The requested identifier already exists.", "ALREADY_EXISTS")
    check_bounds(body)
    event = complete(mine, body, query)
    events.append(event)
    changed(mine, calendar, event, query)
    return shown(event)


def check_bounds(body: Fields) -> None:
    for name in ("start", "end"):
        bound = body.get(name) or {}
        if ("date" in bound) == ("dateTime" in bound):
            raise Problem(400, "required", f"Missing {name} time.")
        if (
            "dateTime" in bound
            and "timeZone" not in bound
            and not datetime.fromisoformat(bound["dateTime"]).tzinfo
        ):
            raise Problem(400, "required", f"Missing time zone definition for {name} time.")
        if "recurrence" in body and "dateTime" in bound and "timeZone" not in bound:
            raise Problem(400, "required", f"Missing time zone definition for {name} time.")
    if when(body, "end") < when(body, "start"):
        raise Problem(400, "timeRangeEmpty", "The specified time range is empty.")


def complete(mine: Fields, body: Fields, query: Query) -> Fields:
    """What Google adds to an event that is new."""
    created = in_utc(query.moment.replace(microsecond=0))
    email = mine["primary"]
    conference = body.pop("conferenceData", None)
    more = {"hangoutLink": "https://meet.google.com/abc-defg-hij"} if conference else {}
    if "attendees" in body:
        body["attendees"] = [{"responseStatus": "needsAction", **person} for person in body["attendees"]]
    return {
        "kind": "calendar#event",
        "status": "confirmed",
        "htmlLink": f"https://www.google.com/calendar/event?eid={body['id']}",
        "created": created,
        "creator": {"email": email, "self": True},
        "organizer": {"email": email, "self": True},
        "iCalUID": f"{body['id']}@google.com",
        "sequence": 0,
        "reminders": {"useDefault": True},
        "eventType": "default",
        **body,
        **more,
    }


def patch_event(mine: Fields, values: Fields, query: Query) -> Fields:
    calendar, event = writable(mine, values), found_event(mine, values)
    if event["status"] == "cancelled":
        raise unknown()
    if query.request.headers.get("If-Match", event["etag"]) not in {event["etag"], "*"}:
        raise Problem(412, "conditionNotMet", "Precondition Failed")
    merged = merge(event, query.body)
    check_bounds(merged)
    event = keep(mine, values, event, merged)
    changed(mine, calendar, event, query)
    return shown(event)


def merge(old: Fields, new: Fields) -> Fields:
    merged = {
        **old,
        **{
            name: merge(old.get(name, {}), value) if isinstance(value, dict) else value
            for name, value in new.items()
        },
    }
    return {name: value for name, value in merged.items() if value is not None}


def keep(mine: Fields, values: Fields, event: Fields, changed: Fields) -> Fields:
    """Change it where it is stored; one date of a series becomes an event of its own."""
    events = events_in(mine, values)
    stored = next((one for one in events if one["id"] == event["id"]), None)
    if stored is None:
        events.append(changed)
        return changed
    stored.clear()
    stored.update(changed)
    return stored


def delete_event(mine: Fields, values: Fields, query: Query) -> Response:
    calendar, event = writable(mine, values), found_event(mine, values)
    if event["status"] == "cancelled":
        raise Problem(410, "deleted", "Resource has been deleted")
    cancel(mine, calendar, values, event, query)
    return Response(204)


def cancel(mine: Fields, calendar: Fields, values: Fields, event: Fields, query: Query) -> None:
    """Of what is deleted, the id stays; of one date of a series also which it was."""
    left = ("kind", "id", "recurringEventId", "originalStartTime")
    brief = {name: event[name] for name in left if name in event} | {"status": "cancelled"}
    changed(mine, calendar, keep(mine, values, event, brief), query)


def changed(mine: Fields, calendar: Fields, event: Fields, query: Query) -> None:
    mine["version"] += 1
    event["_version"] = mine["version"]
    event["etag"] = f'"{3_500_000_000_000_000 + mine["version"]}"'
    if event["status"] != "cancelled":
        event["updated"] = query.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for channel in mine["channels"].values():
        if channel["calendar"] == calendar["id"] and channel["ends_at"] > query.now:
            query.tell(notice(channel, "exists"))


# --- channels


def watch(mine: Fields, values: Fields, query: Query) -> Fields:
    calendar, body = calendar_in(mine, values), query.body
    if body.get("type") != "web_hook" or not body.get("address", "").startswith(
        ("https://", "http://127.0.0.1")
    ):
        raise Problem(
            400, "push.webhookUrlNotHttps", "WebHook callback must be HTTPS: " + body.get("address", "")
        )
    if not re.fullmatch(r"[A-Za-z0-9\-_+/=]{1,64}", body.get("id", "")):
        raise Problem(400, "channelIdInvalid", "Channel id is not valid")
    if body["id"] in mine["channels"]:
        raise Problem(400, "channelIdNotUnique", f"Channel id {body['id']} not unique")
    ttl = min(int(body.get("params", {}).get("ttl", A_WEEK)), 30 * 24 * 3600)
    resource = base64url(calendar["id"].encode())[:27]
    channel = {
        "id": body["id"], "resource": resource, "calendar": calendar["id"], "address": body["address"],
        "token": body.get("token", ""), "ends_at": query.now + ttl, "numbers": count(1),
    }  # fmt: skip
    mine["channels"][body["id"]] = channel
    query.tell(notice(channel, "sync"))
    uri = f"https://www.googleapis.com/calendar/v3/calendars/{calendar['id']}/events?alt=json"
    answer = {"kind": "api#channel", "id": body["id"], "resourceId": resource, "resourceUri": uri}
    return {**answer, "token": channel["token"], "expiration": str(int(channel["ends_at"] * 1000))}


def notice(channel: Fields, state: str) -> Notice:
    """A notification: nothing in the body, all in the headers. Google's numbers leave some out."""
    number = next(channel["numbers"])
    ends = datetime.fromtimestamp(channel["ends_at"], UTC)
    headers = {
        "X-Goog-Channel-ID": channel["id"],
        "X-Goog-Channel-Expiration": f"{ends:%a, %d %b %Y %H:%M:%S} GMT",
        "X-Goog-Resource-ID": channel["resource"],
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": f"https://www.googleapis.com/calendar/v3/calendars/{channel['calendar']}/events",
        "X-Goog-Message-Number": str(number),
        **({"X-Goog-Channel-Token": channel["token"]} if channel["token"] else {}),
    }
    return Notice(channel["address"], headers)


def stop(mine: Fields, values: Fields, query: Query) -> Response:
    channel: Any = mine["channels"].get(query.body.get("id"))
    if channel is None or channel["resource"] != query.body.get("resourceId"):
        raise unknown(f"Channel '{query.body.get('id')}' not found for project")
    del mine["channels"][channel["id"]]
    return Response(204)


ANSWERS: dict[str, Answer] = {
    "calendar.calendarList.list": list_calendars,
    "calendar.events.list": list_events,
    "calendar.events.instances": list_instances,
    "calendar.events.get": get_event,
    "calendar.events.insert": insert_event,
    "calendar.events.patch": patch_event,
    "calendar.events.delete": delete_event,
    "calendar.events.watch": watch,
    "calendar.channels.stop": stop,
    "calendar.freebusy.query": free_busy,
}
