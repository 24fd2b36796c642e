"""The Google stand-in, driven by Google's own client: it shows that the stand-in speaks as Google does.

The client brings the discovery documents along, so nothing is fetched from outside.
"""

import base64
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build  # type: ignore[import-untyped]
from googleapiclient.errors import HttpError  # type: ignore[import-untyped]
from googleapiclient.http import MediaInMemoryUpload  # type: ignore[import-untyped]

from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import BUDGET, INVOICE, LUNCH, TEAM

TOPIC = "projects/navi/topics/navi"
# Calendar's and Drive's endpoint takes the place of root and service path together.
PLACES = {"gmail": "", "sheets": "", "calendar": "/calendar/v3/", "drive": "/drive/v3/"}
VERSIONS = {"gmail": "v1", "sheets": "v4", "calendar": "v3", "drive": "v3"}


@pytest.fixture(scope="module")
def running() -> Iterator[GoogleStandin]:
    with GoogleStandin() as standin:
        yield standin


@pytest.fixture
def standin(running: GoogleStandin) -> GoogleStandin:
    running.reset()
    return running


@pytest.fixture(scope="module")
def clients(running: GoogleStandin) -> Iterator[dict[str, Any]]:
    made = {
        api: build(
            api, VERSIONS[api], credentials=Credentials(TOKEN), static_discovery=True, cache_discovery=False,
            client_options={"api_endpoint": running.url + place},
        )
        for api, place in PLACES.items()
    }  # fmt: skip
    yield made
    for client in made.values():
        client.close()


@pytest.fixture
def gmail(standin: GoogleStandin, clients: dict[str, Any]) -> Any:
    return clients["gmail"].users()


@pytest.fixture
def calendar(standin: GoogleStandin, clients: dict[str, Any]) -> Any:
    return clients["calendar"]


@pytest.fixture
def drive(standin: GoogleStandin, clients: dict[str, Any]) -> Any:
    return clients["drive"]


@pytest.fixture
def sheets(standin: GoogleStandin, clients: dict[str, Any]) -> Any:
    return clients["sheets"].spreadsheets()


# --- Gmail


def letter(**headers: str) -> str:
    message = EmailMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("It is paid.\n")
    return base64.urlsafe_b64encode(message.as_bytes()).decode()


def test_mail_is_listed_read_and_searched(gmail: Any):
    threads = gmail.threads().list(userId="me", labelIds=["INBOX"]).execute()["threads"]
    found = gmail.messages().list(userId="me", q="rfc822msgid:i1@example.org").execute()["messages"]
    message = (
        gmail.messages().get(userId="me", id=INVOICE, format="metadata", metadataHeaders=["From"]).execute()
    )

    assert [thread["id"] for thread in threads] == [INVOICE, LUNCH]
    assert found == [{"id": INVOICE, "threadId": INVOICE}]
    assert message["payload"]["headers"] == [{"name": "From", "value": "Anna <anna@example.org>"}]


def test_mail_that_is_sent_is_stored_and_joins_its_thread(gmail: Any):
    answer = letter(To="anna@example.org", Subject="Re: Invoice 11", References="<i2@example.org>")
    elsewhere = letter(To="anna@example.org", Subject="Something else")

    sent = gmail.messages().send(userId="me", body={"raw": answer, "threadId": INVOICE}).execute()
    alone = gmail.messages().send(userId="me", body={"raw": elsewhere}).execute()

    thread = gmail.threads().get(userId="me", id=INVOICE).execute()
    assert (sent["threadId"], sent["labelIds"]) == (INVOICE, ["SENT"])
    assert [message["id"] for message in thread["messages"]][-1] == sent["id"]
    assert alone["threadId"] == alone["id"]


def test_the_history_tells_what_happened_since(gmail: Any, standin: GoogleStandin):
    before = gmail.getProfile(userId="me").execute()["historyId"]
    new = standin.receive_mail("Invoice 12")
    gmail.threads().modify(userId="me", id=LUNCH, body={"removeLabelIds": ["INBOX"]}).execute()

    told = gmail.history().list(userId="me", startHistoryId=before).execute()

    assert [record["messages"][0]["id"] for record in told["history"]] == [new, LUNCH]
    assert int(told["historyId"]) > int(before)
    assert "history" not in gmail.history().list(userId="me", startHistoryId=told["historyId"]).execute()


def test_a_history_that_is_forgotten_is_not_found(gmail: Any, standin: GoogleStandin):
    before = gmail.getProfile(userId="me").execute()["historyId"]
    standin.forget_history()

    with pytest.raises(HttpError) as refusal:
        gmail.history().list(userId="me", startHistoryId=before).execute()

    assert refusal.value.status_code == 404


def test_labels_are_made_once(gmail: Any):
    made = gmail.labels().create(userId="me", body={"name": "Clients"}).execute()

    with pytest.raises(HttpError) as refusal:
        gmail.labels().create(userId="me", body={"name": "clients"}).execute()

    assert made in gmail.labels().list(userId="me").execute()["labels"]
    assert refusal.value.status_code == 409


def test_a_draft_is_kept_and_not_sent(gmail: Any):
    draft = gmail.drafts().create(userId="me", body={"message": {"raw": letter(Subject="Later")}}).execute()

    assert draft["message"]["labelIds"] == ["DRAFT"]


def test_a_mailbox_is_watched_for_a_week(gmail: Any, standin: GoogleStandin):
    standin.subscribe(TOPIC, "http://127.0.0.1:9/hooks/x", "pusher@navi.iam.gserviceaccount.com")

    answer = gmail.watch(userId="me", body={"topicName": TOPIC, "labelIds": ["INBOX"]}).execute()

    assert 6.9 < (int(answer["expiration"]) / 1000 - standin.now()) / 86400 <= 7
    assert gmail.stop(userId="me").execute() == ""
    with pytest.raises(HttpError) as refusal:
        gmail.watch(userId="me", body={"topicName": "projects/navi/topics/another"}).execute()
    assert refusal.value.status_code == 403


# --- Calendar


def event(**more: Any) -> dict[str, Any]:
    hours = {
        "start": {"dateTime": "2026-11-26T18:00:00+01:00"},
        "end": {"dateTime": "2026-11-26T19:00:00+01:00"},
    }
    return {"summary": "Yoga", **hours, **more}


def test_an_event_is_made_once_under_its_id(calendar: Any):
    made = calendar.events().insert(calendarId="primary", body=event(id="a1b2c3d4e5")).execute()

    with pytest.raises(HttpError) as refusal:
        calendar.events().insert(calendarId="primary", body=event(id="a1b2c3d4e5")).execute()

    assert calendar.events().get(calendarId="primary", eventId="a1b2c3d4e5").execute() == made
    assert (refusal.value.status_code, refusal.value.error_details[0]["reason"]) == (409, "duplicate")


def test_an_etag_guards_a_change(calendar: Any):
    made = calendar.events().insert(calendarId="primary", body=event()).execute()
    place = {"calendarId": "primary", "eventId": made["id"]}

    request = calendar.events().patch(**place, body={"summary": "Judo"})
    request.headers["If-Match"] = made["etag"]
    changed = request.execute()
    with pytest.raises(HttpError) as refusal:
        request.execute()

    assert (changed["summary"], changed["start"]) == ("Judo", made["start"])
    assert refusal.value.status_code == 412


def test_a_deleted_event_is_gone(calendar: Any):
    gone = {"calendarId": "primary", "eventId": "dentist1"}

    assert calendar.events().delete(**gone).execute() == ""

    with pytest.raises(HttpError) as refusal:
        calendar.events().delete(**gone).execute()
    assert refusal.value.status_code == 410


def test_the_clients_own_paging_ends_with_a_sync_token(calendar: Any):
    request, tokens, titles = calendar.events().list(calendarId="primary", maxResults=1), [], []
    while request is not None:
        page = request.execute()
        titles += [one["summary"] for one in page["items"]]
        tokens.append(page.get("nextSyncToken"))
        request = calendar.events().list_next(request, page)

    assert titles == ["Dentist", "Trip to the sea"]
    assert tokens[0] is None
    assert tokens[-1]


def test_a_sync_token_leads_to_what_changed(calendar: Any, standin: GoogleStandin):
    token = calendar.events().list(calendarId="primary").execute()["nextSyncToken"]
    standin.remove_event("dentist1")
    standin.put_event("Yoga", "2026-11-26T18:00:00+01:00", "2026-11-26T19:00:00+01:00")

    page = calendar.events().list(calendarId="primary", syncToken=token).execute()

    assert {(one.get("summary"), one["status"]) for one in page["items"]} == {
        (None, "cancelled"), ("Yoga", "confirmed"),
    }  # fmt: skip


def test_a_sync_token_expires_and_takes_no_window(calendar: Any, standin: GoogleStandin):
    token = calendar.events().list(calendarId="primary").execute()["nextSyncToken"]
    with pytest.raises(HttpError) as odd:
        calendar.events().list(calendarId="primary", syncToken=token, q="yoga").execute()
    standin.expire_sync_tokens()

    with pytest.raises(HttpError) as late:
        calendar.events().list(calendarId="primary", syncToken=token).execute()

    assert (odd.value.status_code, late.value.status_code) == (400, 410)


def test_a_series_comes_as_one_or_as_its_dates(calendar: Any):
    body = event(recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    for bound in ("start", "end"):
        body[bound] = {**body[bound], "timeZone": "Europe/Berlin"}
    made = calendar.events().insert(calendarId=TEAM, body=body).execute()

    dates = calendar.events().instances(calendarId=TEAM, eventId=made["id"]).execute()["items"]
    calendar.events().delete(calendarId=TEAM, eventId=dates[1]["id"]).execute()

    listed = calendar.events().list(calendarId=TEAM, singleEvents=True, q="Yoga").execute()["items"]
    assert len(dates) == 3
    assert [one["id"] for one in listed] == [dates[0]["id"], dates[2]["id"]]


def test_a_channel_is_opened_and_stopped(calendar: Any, standin: GoogleStandin):
    body = {"id": "channel-1", "type": "web_hook", "address": "http://127.0.0.1:9/hooks/x", "token": "t"}
    channel = calendar.events().watch(calendarId="primary", body=body).execute()
    stopping = {"id": channel["id"], "resourceId": channel["resourceId"]}

    assert calendar.channels().stop(body=stopping).execute() == ""

    with pytest.raises(HttpError) as refusal:
        calendar.channels().stop(body=stopping).execute()
    assert refusal.value.status_code == 404
    assert int(channel["expiration"]) > standin.now() * 1000


def test_busy_times_tell_nothing_else(calendar: Any):
    body = {
        "timeMin": "2026-11-23T00:00:00+01:00", "timeMax": "2026-11-24T00:00:00+01:00",
        "items": [{"id": "primary"}, {"id": "nobody@example.org"}],
    }  # fmt: skip

    found = calendar.freebusy().query(body=body).execute()["calendars"]

    assert found["primary"] == {"busy": [{"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:00:00Z"}]}
    assert found["nobody@example.org"]["errors"][0]["reason"] == "notFound"


# --- Drive and Sheets


def test_a_file_is_put_read_and_followed(drive: Any, standin: GoogleStandin):
    token = drive.changes().getStartPageToken().execute()["startPageToken"]
    id = standin.put_file("notes.txt", "Milk, bread")

    content = drive.files().get_media(fileId=id).execute()
    changes = drive.changes().list(pageToken=token).execute()

    assert content == b"Milk, bread"
    assert [(one["fileId"], one["removed"]) for one in changes["changes"]] == [(id, False)]
    assert int(changes["newStartPageToken"]) == int(token) + 1


def test_a_file_is_uploaded_as_the_client_does_it(drive: Any):
    content = MediaInMemoryUpload(b"# Plan", mimetype="text/markdown")
    document = "application/vnd.google-apps.document"

    request = drive.files().create(body={"name": "Plan", "mimeType": document}, media_body=content)
    # For uploads the client changes http to https.
    request.uri = request.uri.replace("https://127.0.0.1", "http://127.0.0.1")
    made = request.execute()

    assert (made["name"], made["mimeType"]) == ("Plan", document)
    assert drive.files().export_media(fileId=made["id"], mimeType="text/plain").execute() == b"# Plan"


def test_values_are_stored(sheets: Any):
    values = sheets.values()

    appended = values.append(
        spreadsheetId=BUDGET, range="Sheet1", valueInputOption="RAW", body={"values": [["Ladder", 70]]}
    ).execute()
    values.update(
        spreadsheetId=BUDGET, range="Sheet1!B2", valueInputOption="RAW", body={"values": [[42]]}
    ).execute()

    found = values.get(
        spreadsheetId=BUDGET, range="Sheet1!A2:B4", valueRenderOption="UNFORMATTED_VALUE"
    ).execute()
    assert appended["updates"]["updatedRange"] == "Sheet1!A4:B4"
    assert found["values"] == [["Paint", 42], ["Brush", 8], ["Ladder", 70]]


def test_a_spreadsheet_is_made_with_its_sheets(sheets: Any, drive: Any):
    body = {"properties": {"title": "Costs"}, "sheets": [{"properties": {"title": "2026"}}]}

    made = sheets.create(body=body).execute()

    again = sheets.get(spreadsheetId=made["spreadsheetId"]).execute()
    assert [one["properties"]["title"] for one in again["sheets"]] == ["2026"]
    assert drive.files().get(fileId=made["spreadsheetId"]).execute()["name"] == "Costs"


def test_what_was_sent_is_what_is_read(gmail: Any):
    raw = letter(To="Änne <anne@example.org>", Subject="Grüße")
    sent = gmail.messages().send(userId="me", body={"raw": raw}).execute()

    payload = gmail.messages().get(userId="me", id=sent["id"]).execute()["payload"]

    headers = {one["name"]: one["value"] for one in payload["headers"]}
    assert headers["Subject"] == "Grüße"
    assert base64.urlsafe_b64decode(payload["body"]["data"]).decode().strip() == "It is paid."
    assert message_from_bytes(base64.urlsafe_b64decode(raw))["Subject"] != "Grüße"
