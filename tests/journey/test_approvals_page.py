"""The Approvals page in a browser: it follows what comes, keeps a typed note, and can be used by everybody."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from integrations.models import ActionRule
from tests.hub.browsers import browser_of
from tests.journey.test_pages import TOO_WIDE

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ADD = "/api/actions/todoist.quick_add_task"
LONG = "Oat milk, the one in the blue box.\n" * 20


@pytest.fixture
def page(live_server, settings, acme, acmes_todoist, ada, alice, browser):
    """A page of Alice's on which one call waits."""
    settings.ALLOWED_HOSTS = ["*"]
    ActionRule.objects.create(project=acme, plugin="todoist", action="quick_add_task", effect="ask",
                              note="Bob plans the week")  # fmt: skip
    ada.post(ADD, {"text": "Buy milk", "note": LONG})
    cookie = next(iter(browser_of(alice).cookies.values()))
    context = browser.new_context(reduced_motion="reduce")
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.goto(live_server.url + "/p/acme/approvals")
    yield page
    context.close()


def test_a_note_stays_while_calls_come_and_the_keyboard_is_enough(page, ada):
    expect(page.get_by_role("button", name="Approve once")).to_have_count(1)
    note = page.get_by_label("Note")
    note.fill("Only if it is fresh")
    ada.post(ADD, {"text": "Buy tea"})

    expect(page.get_by_text("Buy tea")).to_be_visible(timeout=30_000)
    expect(note.first).to_have_value("Only if it is fresh")
    expect(note.first).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve once").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Approved, being done")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("“Only if it is fresh”")).to_be_visible()
    expect(page.get_by_role("button", name="Approve once")).to_have_count(1)
    assert page.said == []


@pytest.mark.parametrize(("width", "scheme"), [(1240, "light"), (375, "dark")])
def test_it_fits_and_everybody_can_use_it(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.locator("details.fold summary").click()

    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in {"serious", "critical"}] == []
    assert page.evaluate(TOO_WIDE) <= 1
    page.get_by_role("link", name="Add a rule").click()
    expect(page.get_by_role("heading", name="Add a rule")).to_be_visible()
    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in {"serious", "critical"}] == []
