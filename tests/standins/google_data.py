"""What the people of the Google stand-in have: Alice a little of everything, Bob an empty account."""

import base64
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Fields = dict[str, Any]

PEOPLE = {
    "alice": ("100000000000000000001", "Alice Example"),
    "bob": ("100000000000000000002", "Bob Example"),
}
TEAM = "c_team@group.calendar.google.com"
HOLIDAYS = "en.german#holiday@group.v.calendar.google.com"
INVOICE, LUNCH, OFFER = "18f0a1b2c3d4e5f6", "18f0a1b2c3d4e5f7", "18f0a1b2c3d4e5f8"
BUDGET = "1Budget-of-the-stand-in_0123456789"
SYSTEM_LABELS = ("INBOX", "SENT", "DRAFT", "UNREAD", "STARRED", "IMPORTANT", "SPAM", "TRASH")


def account(name: str) -> Fields:
    """A person's whole account."""
    email = f"{name}@example.org"
    rich = deepcopy(ALICES) if name == "alice" else {}
    empty: Fields = {"threads": [], "files": [], "spreadsheets": {}, "attachments": {}}
    own = [calendar(email, name.capitalize(), primary=True)]
    return {
        "user": user(name),
        "primary": email,
        "labels": [*map(system_label, SYSTEM_LABELS), *rich.get("labels", [])],
        "calendars": [*own, *rich.get("calendars", [])],
        "events": {email: rich.get("own_events", []), TEAM: rich.get("team_events", []), HOLIDAYS: []},
        **{key: rich.get(key, nothing) for key, nothing in empty.items()},
        "history_id": 4711,
        "history_floor": 4000,  # What is older than this has been forgotten.
        "history": [],
        "watch": None,
        "pushes": 0,
        "version": 1,
        "epoch": 1,
        "channels": {},
        "changes": [],
    }


def user(name: str) -> Fields:
    sub, full_name = PEOPLE[name]
    return {
        "sub": sub,
        "name": full_name,
        "picture": f"https://lh3.googleusercontent.com/a/{name}",
        "email": f"{name}@example.org",
        "email_verified": True,
    }


# --- mail


def system_label(name: str) -> Fields:
    return {"id": name, "name": name, "type": "system"}


def encoded(text: str) -> Fields:
    data = text.encode()
    return {"size": len(data), "data": base64.urlsafe_b64encode(data).decode()}


def part(number: str, mime_type: str, text: str) -> Fields:
    return {"partId": number, "mimeType": mime_type, "filename": "", "headers": [], "body": encoded(text)}


def message(id: str, thread: str, labels: list[str], milliseconds: int, text: str, **headers: str) -> Fields:
    parts = [part("0", "text/plain", text), part("1", "text/html", f"<p>{text}</p>")]
    return {
        "id": id,
        "threadId": thread,
        "labelIds": labels,
        "snippet": text[:80],
        "historyId": "4711",
        "internalDate": str(milliseconds),
        "sizeEstimate": 2000 + len(text),
        "payload": {
            "partId": "",
            "mimeType": "multipart/alternative",
            "filename": "",
            "headers": [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()],
            "body": {"size": 0},
            "parts": parts,
        },
    }


def thread(id: str, *messages: Fields) -> Fields:
    return {"id": id, "historyId": "4711", "snippet": messages[-1]["snippet"], "messages": list(messages)}


def headers_of(found: Fields) -> Iterator[Fields]:
    for one in found["messages"]:
        yield from one["payload"]["headers"]


ANNA, ALICE = "Anna <anna@example.org>", "Alice <alice@example.org>"
THREADS = [
    thread(
        INVOICE,
        message(
            INVOICE, INVOICE, ["INBOX"], 1795165200000, "The invoice for November is attached.",
            From=ANNA, To=ALICE, Subject="Invoice 11", Message_ID="<i1@example.org>",
        ),
        message(
            "18f0a1b2c3d4e600", INVOICE, ["INBOX", "UNREAD"], 1795251600000, "Did you get it?",
            From=ANNA, To=ALICE, Subject="Re: Invoice 11", Message_ID="<i2@example.org>",
        ),
    ),
    thread(
        LUNCH,
        message(
            LUNCH, LUNCH, ["INBOX", "Label_7"], 1795078800000, "Lunch on Friday?",
            From="Bob <bob@example.org>", To=ALICE, Subject="Lunch", Message_ID="<l1@example.org>",
        ),
    ),
    thread(
        OFFER,
        message(
            OFFER, OFFER, ["SPAM"], 1794992400000, "You have won.",
            From="Eve <eve@example.net>", To=ALICE, Subject="Offer", Message_ID="<o1@example.net>",
        ),
    ),
]  # fmt: skip

# --- calendars


def calendar(id: str, name: str, *, primary: bool = False, role: str = "owner") -> Fields:
    return {
        "kind": "calendar#calendarListEntry",
        "etag": '"1"',
        "id": id,
        "summary": name,
        "timeZone": "Europe/Berlin",
        "colorId": "14",
        "accessRole": role,
        "defaultReminders": [],
        **({"primary": True, "selected": True} if primary else {}),
    }


def event(id: str, title: str, start: Fields, end: Fields, **more: Any) -> Fields:
    return {
        "kind": "calendar#event",
        "etag": '"1"',
        "id": id,
        "status": "confirmed",
        "htmlLink": f"https://www.google.com/calendar/event?eid={id}",
        "created": "2026-11-01T08:00:00.000Z",
        "updated": "2026-11-01T08:00:00.000Z",
        "summary": title,
        "organizer": {"email": "alice@example.org", "self": True},
        "start": start,
        "end": end,
        "iCalUID": f"{id}@google.com",
        "sequence": 0,
        "eventType": "default",
        "_version": 1,
        **more,
    }


def hour(day: str, begins: int) -> tuple[Fields, Fields]:
    bounds = (f"{day}T{begins:02}:00:00+01:00", f"{day}T{begins + 1:02}:00:00+01:00")
    start, end = ({"dateTime": bound, "timeZone": "Europe/Berlin"} for bound in bounds)
    return start, end


DENTIST = event("dentist1", "Dentist", *hour("2026-11-23", 9), location="Main Street 1")
TRIP = event("trip1", "Trip to the sea", {"date": "2026-11-27"}, {"date": "2026-11-30"})
REVIEW = event(
    "review1", "Review", *hour("2026-11-24", 10), recurrence=["RRULE:FREQ=WEEKLY;COUNT=1"],
    hangoutLink="https://meet.google.com/abc-defg-hij",
    attendees=[
        {"email": "alice@example.org", "organizer": True, "self": True, "responseStatus": "accepted"},
        {"email": "bob@example.org", "displayName": "Bob", "responseStatus": "needsAction"},
    ],
)  # fmt: skip

# --- files

DOCS = "application/vnd.google-apps."
ROOT = "0AAlices-root"


def file(id: str, name: str, mime_type: str, parent: str = ROOT, **more: Any) -> Fields:
    return {
        "kind": "drive#file",
        "id": id,
        "name": name,
        "mimeType": mime_type,
        "trashed": False,
        "parents": [parent],
        "modifiedTime": "2026-11-20T10:00:00.000Z",
        "webViewLink": f"https://drive.google.com/file/d/{id}/view",
        "shared": False,
        "owners": [
            {"kind": "drive#user", "displayName": "Alice", "emailAddress": "alice@example.org", "me": True}
        ],
        **more,
    }


ALICES: Fields = {
    "labels": [
        {
            "id": "Label_7",
            "name": "Private",
            "type": "user",
            "messageListVisibility": "show",
            "labelListVisibility": "labelShow",
        }
    ],
    "threads": THREADS,
    "calendars": [
        calendar(TEAM, "Team", role="writer") | {"summaryOverride": "Our team"},
        calendar(HOLIDAYS, "Holidays in Germany", role="reader"),
    ],
    "own_events": [TRIP, DENTIST],
    "team_events": [REVIEW],
    "files": [
        file("1folder", "Plans", f"{DOCS}folder", modifiedTime="2026-11-18T10:00:00.000Z"),
        file(BUDGET, "Budget", f"{DOCS}spreadsheet", "1folder", modifiedTime="2026-11-21T10:00:00.000Z"),
        file("1scan", "Anna's plan.pdf", "application/pdf", size="52000", shared=True),
        file("1gone", "Old plan", f"{DOCS}document", trashed=True),
    ],
    "spreadsheets": {
        BUDGET: {
            "Sheet1": [["Item", "Cost", "Paid"], ["Paint", 40.5, True], ["Brush", 8, ""]],
            "Next year": [],
        }
    },
}
