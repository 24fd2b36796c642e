"""A whole day of a calendar: chosen, synced before Alice's eyes, told of changes, and written with her word."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journey.test_a_grant_comes_and_goes import agree
from tests.journey.test_oauth_popup import choose, continue_to_google, open_dialog, serious

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LONG = 60_000  # milliseconds: the worker has its own pace, and the machine is busy


class Ada:
    """Alice's agent, by plain HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self.host, self.token = url.removeprefix("http://"), token

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.host, timeout=60)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, dict(json.load(answer))


def connect(page: Any, place: Any) -> None:
    """Alice connects her calendar, with the right to write events."""
    place.google.turn_on("asks")
    dialog = open_dialog(page, place)
    choose(dialog, "Google Calendar")
    dialog.get_by_text("More for Google Calendar").click()
    dialog.get_by_role("checkbox", name="See and change the events of all your calendars").first.check()
    dialog.get_by_role("radio", name="Only this project").check()
    agree(page, lambda: continue_to_google(dialog))
    dialog.get_by_text("Connected as alice@example.org").first.wait_for()


def test_alice_keeps_two_calendars_and_lets_ada_write_with_her_word(alices, place):
    ada, google = Ada(place.url, place.token), place.google
    connect(alices, place)

    # two calendars are chosen from what Google lists
    alices.goto(place.page)
    settings = alices.locator("#settings-google-calendar")
    boxes = settings.get_by_role("checkbox")
    expect(boxes.first).to_be_visible(timeout=LONG)
    names = [label for label in settings.locator(".choice").all_inner_texts() if label]
    for box in boxes.all()[:2]:
        box.check()
    settings.get_by_role("button", name="Save settings").click()

    # both are read, with their progress on the page
    sync = alices.locator("#sync")
    expect(sync.locator(".sync-row")).to_have_count(2, timeout=LONG)
    sync.locator("#sync-now").click()
    expect(sync.get_by_text("Up to date")).to_have_count(2, timeout=LONG)
    assert serious(alices) == []

    # Google tells of a change, and Alice sees it
    alices.goto(f"{place.url}/p/acme/webhooks")
    alices.locator("#add-webhook").click()
    alices.locator("#offer-google-calendar").click()
    dialog = alices.get_by_role("dialog")
    dialog.get_by_role("button", name="Register").wait_for(timeout=LONG)
    pick = dialog.locator("select[name=resource]")
    expect(pick.locator("option[value=primary]")).to_have_count(1, timeout=LONG)
    pick.select_option("primary")
    dialog.get_by_role("button", name="Register").click()
    expect(alices.locator(".endpoint")).to_have_count(1, timeout=LONG)
    google.put_event("Dentist", "2026-11-26T18:00:00+01:00", "2026-11-26T19:00:00+01:00", person="alice")
    google.post.arrived()
    alices.goto(f"{place.url}/p/acme/webhooks")
    expect(alices.get_by_text("Events of primary changed").first).to_be_visible(timeout=LONG)
    assert titles(ada) >= {"Dentist"}, names

    # an event under approval: asked, approved, done, remembered
    alices.goto(f"{place.url}/p/acme/approvals")
    alices.locator("#new-rule").click()
    rule = alices.get_by_role("dialog")
    rule.get_by_label("About").select_option("google-calendar.create_event")
    rule.get_by_role("radio", name="Ask").check()
    rule.get_by_role("button", name="Add").click()
    expect(alices.locator("#rules").get_by_text("Google Calendar: Create event", exact=True)).to_be_visible(
        timeout=LONG
    )
    wanted = {"title": "Lunch with Bob", "start": "2026-11-27T12:00:00Z", "end": "2026-11-27T13:00:00Z"}
    status, asked = ada.ask("POST", "/api/actions/google-calendar.create_event", wanted)
    assert (status, asked["state"]) == (202, "awaiting_approval"), asked
    alices.goto(asked["link"])
    expect(alices.get_by_text("Lunch with Bob").first).to_be_visible(timeout=LONG)
    alices.get_by_role("button", name="Approve once").click()
    expect(alices.get_by_text("Approved").first).to_be_visible(timeout=LONG)
    status, done = ada.ask("POST", f"/api/actions/runs/{asked['runId']}/resume")
    assert (status, done.get("result", {}).get("title")) == (200, "Lunch with Bob"), done

    alices.goto(f"{place.url}/p/acme/activity")
    about = alices.get_by_role("listitem").filter(has_text="google-calendar.create_event")
    for words in ("Ada asked for approval of", "alice@example.org approved", "Ada called"):
        expect(about.filter(has_text=words)).to_have_count(1, timeout=LONG)


def titles(ada: Ada) -> set[str]:
    """What Ada reads of the calendar, once the worker has read it."""
    until = time.monotonic() + LONG / 1000
    found: set[str] = set()
    while "Dentist" not in found and time.monotonic() < until:
        _, page = ada.ask("GET", "/api/records/google-calendar/events?limit=200")
        found |= {str(one["data"].get("title")) for one in page["records"] if one["data"]}
        time.sleep(0.5)
    return found
