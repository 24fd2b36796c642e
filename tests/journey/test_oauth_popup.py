"""OAuth in a real browser: the small window, this tab, and what says no."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.journey.conftest import Place

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def open_dialog(page: Any, place: Place) -> Any:
    page.goto(f"{place.page}?connect=1")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("heading", name="Connect Google").wait_for()
    return dialog


def choose(dialog: Any, *services: str) -> None:
    for service in services:
        dialog.get_by_role("checkbox", name=service).first.check()


def continue_to_google(dialog: Any) -> None:
    dialog.get_by_role("button", name=re.compile("Continue to Google")).click()


def serious(page: Any) -> list[str]:
    page.emulate_media(reduced_motion="reduce")  # axe must not look at a dialog that is still fading in
    page.wait_for_timeout(100)
    violations = Axe().run(page).response["violations"]
    found = [one for one in violations if one["impact"] in {"serious", "critical"}]
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found]


def test_alice_agrees_in_the_small_window_and_the_page_goes_on(alices, place):
    place.google.turn_on("asks")
    dialog = open_dialog(alices, place)
    assert serious(alices) == []
    choose(dialog, "Gmail")

    with alices.expect_popup() as opening:
        continue_to_google(dialog)
    small = opening.value
    small.get_by_role("button", name="Continue").wait_for()
    dialog.get_by_text("Waiting for Google").wait_for()
    assert serious(alices) == []
    for box in small.get_by_role("checkbox").all():
        box.check()
    with small.expect_event("close"):
        small.get_by_role("button", name="Continue").click()

    dialog.get_by_text("Connected as alice@example.org").first.wait_for()
    assert serious(alices) == []


def test_a_blocked_window_is_no_obstacle(alices, place):
    alices.add_init_script("window.open = () => null")
    dialog = open_dialog(alices, place)
    choose(dialog, "Gmail")

    continue_to_google(dialog)

    alices.get_by_text("Connected as alice@example.org").first.wait_for()
    assert len(alices.context.pages) == 1 and "/connected" in alices.url


def test_on_a_phone_it_all_happens_in_one_tab(alices, place):
    alices.set_viewport_size({"width": 375, "height": 812})
    dialog = open_dialog(alices, place)
    choose(dialog, "Gmail")

    continue_to_google(dialog)

    alices.get_by_text("Connected as alice@example.org").first.wait_for()
    assert len(alices.context.pages) == 1


def test_when_alice_says_no_the_page_tells_and_offers_to_try_again(alices, place):
    place.google.deny_next()
    dialog = open_dialog(alices, place)
    choose(dialog, "Gmail")

    with alices.expect_popup():
        continue_to_google(dialog)

    dialog.get_by_text("Nobody allowed the access at Google").wait_for()
    assert dialog.get_by_role("checkbox", name="Gmail").first.is_checked()
    assert serious(alices) == []


def test_nothing_chosen_opens_no_window(alices, place):
    dialog = open_dialog(alices, place)

    continue_to_google(dialog)

    assert len(alices.context.pages) == 1
    assert dialog.get_by_role("checkbox", name="Gmail").first.evaluate("one => one.validationMessage")


def test_a_lost_message_is_made_up_for_by_looking(alices, place):
    alices.add_init_script("delete window.BroadcastChannel")
    dialog = open_dialog(alices, place)
    choose(dialog, "Gmail")

    with alices.expect_popup():
        continue_to_google(dialog)

    dialog.get_by_text("Connected as alice@example.org").first.wait_for()


def test_calendar_is_added_to_the_same_connection(alices, place):
    dialog = open_dialog(alices, place)
    choose(dialog, "Gmail")
    with alices.expect_popup():
        continue_to_google(dialog)
    dialog.get_by_text("Connected as alice@example.org").first.wait_for()
    alices.goto(place.page)
    assert serious(alices) == []

    alices.get_by_role("link", name="Add Google Calendar").click()
    assert dialog.get_by_role("checkbox", name="Google Calendar").first.is_checked()
    with alices.expect_popup():
        continue_to_google(dialog)
    dialog.get_by_text("Connected as alice@example.org").first.wait_for()

    alices.goto(place.page)
    assert alices.get_by_role("link", name="Add Google Calendar").count() == 0
    assert alices.get_by_role("heading", name="Connections 1").count() == 1
