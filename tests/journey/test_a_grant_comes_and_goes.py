"""A whole life of a grant, as Alice and her agent live it: given, widened, lost, and given again."""

from __future__ import annotations

import http.client
import json
import re
from contextlib import closing
from typing import Any

import pytest

from tests.journey.test_oauth_popup import choose, continue_to_google, open_dialog

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Ada:
    """Alice's agent, by plain HTTP."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def run(self, action: str, **arguments: Any) -> dict[str, Any]:
        """The answer to an action, or its error; each as JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)) as connection:
            connection.request("POST", f"/api/actions/{action}", json.dumps(arguments), headers)
            return dict(json.load(connection.getresponse()))


def agree(page: Any, click: Any) -> None:
    """Do what opens the small window; in it everything is allowed."""
    with page.expect_popup() as opening:
        click()
    small = opening.value
    small.get_by_role("button", name="Continue").wait_for()
    for box in small.get_by_role("checkbox").all():
        box.check()
    with small.expect_event("close"):
        small.get_by_role("button", name="Continue").click()


def test_alice_connects_widens_loses_and_repairs_google(alices, place):
    ada = Ada(place.url, place.token)
    place.google.turn_on("asks")

    dialog = open_dialog(alices, place)
    choose(dialog, "Gmail")
    agree(alices, lambda: continue_to_google(dialog))
    dialog.get_by_text("Connected as alice@example.org").first.wait_for()
    assert "result" in ada.run("gmail.list_labels")

    refused = ada.run("google-calendar.list_calendars")["error"]
    assert (refused["code"], refused["action"]) == ("missing_scopes", "grant_scopes")
    assert any("calendar" in scope for scope in refused["missingScopes"])

    alices.goto(place.page)
    alices.get_by_role("link", name="Add Google Calendar").click()
    agree(alices, lambda: continue_to_google(dialog))
    alices.get_by_text("Connected as alice@example.org").first.wait_for()
    assert "result" in ada.run("google-calendar.list_calendars")
    assert "result" in ada.run("gmail.list_labels")

    place.google.kill("alice")
    lost = ada.run("gmail.list_labels")["error"]
    assert (lost["code"], lost["action"]) == ("reauth_required", "reauth")
    assert "reconnect=" in lost["link"]

    alices.goto(f"{place.url}/p/acme/integrations")
    alices.get_by_role("heading", name="Needs attention").wait_for()
    assert (
        alices.get_by_role("link", name=re.compile("Reconnect"))
        .or_(alices.get_by_role("button", name=re.compile("Reconnect")))
        .count()
    )

    alices.goto(lost["link"])
    dialog = alices.get_by_role("dialog")
    dialog.wait_for()
    agree(alices, lambda: continue_to_google(dialog))
    alices.get_by_text("Connected as alice@example.org").first.wait_for()

    again = ada.run("gmail.list_labels")
    assert "result" in again
    assert "result" in ada.run("google-calendar.list_calendars")
    alices.goto(f"{place.url}/p/acme/integrations")
    assert alices.get_by_role("heading", name="Needs attention").count() == 0
