"""Every page as people meet it: light and dark, wide and on a phone, by keyboard, with nothing in the console."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.journey.test_journey import connect_todoist, make_a_project, make_the_operator

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = (
    "/p/acme/integrations", "/p/acme/integrations/todoist", "/p/acme/integrations/linear?connect=1",
    "/p/acme/integrations/google?connect=1", "/p/acme/integrations/github?connect=1", "/help/oauth",
    "/p/acme/integrations/custom", "/p/acme/mcp", "/p/acme/approvals", "/p/acme/activity", "/p/acme/agents",
    "/p/acme/agents/new", "/p/acme/members", "/p/acme/settings", "/projects", "/account", "/account/password",
    "/help/quickstart", "/help/errors", "/help/?q=key", "/api/docs", "/p/acme/nothing-here", "/admin/",
    "/admin/credentials/connection/", "/admin/audit/auditevent/", "/admin/integrations/provider/",
)  # fmt: skip
# Width, height, colours, and whether axe looks too (it takes a second a page).
SIZES = (
    (1240, 900, "light", True),
    (1240, 900, "dark", False),
    (375, 812, "dark", True),
    (320, 640, "light", False),
)
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
STICKS_OUT = """[...document.body.querySelectorAll('*')]
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => one.outerHTML.slice(0, 200)).at(-1)"""


@pytest.fixture
def alices_house(running, page):
    """Alice's Navi with a project and a connected Todoist; her browser's state."""
    make_the_operator(page, running)
    make_a_project(page)
    connect_todoist(page)
    return running, page.context.storage_state()


def test_every_page_fits_says_nothing_and_can_be_used_by_everybody(alices_house, browser):
    house, state = alices_house
    complaints = []
    for width, height, scheme, with_axe in SIZES:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",  # axe must not look at a dialog that is still fading in
            storage_state=state,
        )
        found = looked_at(context.new_page(), house.url, with_axe)
        complaints += [f"{width} {scheme} {words}" for words in found]
        context.close()

    assert complaints == []


def looked_at(page, url, with_axe):
    """What is wrong with the pages at this size and in these colours."""
    found = []
    page.on("console", lambda message: found.append(f"{page.url} says {message.text}"))
    page.on("pageerror", lambda error: found.append(f"{page.url} breaks: {error}"))
    for path in PAGES:
        page.goto(url + path)
        if page.evaluate(TOO_WIDE) > 1:
            found.append(f"{path} is {page.evaluate(TOO_WIDE)} px too wide: {page.evaluate(STICKS_OUT)}")
        violations = Axe().run(page).response["violations"] if with_axe else []
        serious = [one for one in violations if one["impact"] in {"serious", "critical"}]
        found += [f"{path} {one['id']}: {one['nodes'][0]['html'][:120]}" for one in serious]
    # A page that is missing on purpose says so in the console.
    return [words for words in found if "nothing-here says Failed to load resource" not in words]


def test_alice_connects_a_service_without_a_mouse(running, page):
    make_the_operator(page, running)
    make_a_project(page)
    press_until(page, "Tab", "Connect Todoist")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="API token")).to_be_focused(timeout=30_000)
    assert page.evaluate("document.activeElement.name") == "apiKey"

    page.keyboard.type("0123456789abcdef0123456789abcdef01234567")
    page.keyboard.press("Enter")
    page.get_by_text("Connected as alice@example.org").first.wait_for()
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0, timeout=30_000)
    assert page.get_by_role("heading", name=re.compile("Todoist")).count() >= 1


def press_until(page, key, name):
    """Press a key until what has the focus reads like this."""
    for _ in range(60):
        page.keyboard.press(key)
        if name in " ".join((page.evaluate("document.activeElement.innerText") or "").split()):
            return
    raise AssertionError(f"{name} is out of the keyboard's reach")
