"""People watch syncs, hold them, and look at what they brought."""

import pytest
from django.test import Client

from integrations.models import SyncState
from navi.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
PAGE = "/p/acme/integrations/shelf"
HTMX = {"HX-Request": "true", "HX-Target": "sync"}


def browser_of(person):
    client = Client()
    client.force_login(person)
    return client


def panel(browser):
    return browser.get(f"{PAGE}/sync", headers=HTMX).content.decode()


def test_the_panel_tells_how_a_sync_fares(alice, sync_now, shelf):
    shelf.fill(25)
    sync_now()

    page = browser_of(alice).get(PAGE).content.decode()

    assert 'hx-trigger="every 30s"' in page
    assert "Up to date" in page
    assert "Everything: 25 read, 25 changed, 0 deleted" in page


def test_while_it_runs_the_panel_shows_progress_and_looks_again_soon(alice, acmes_shelf):
    SyncState.objects.update(phase="running", seen=20, pages=2, total=80)

    found = panel(browser_of(alice))

    assert 'hx-trigger="every 2s"' in found
    assert '<progress max="80" value="20"' in found
    assert "20 of 80, page 2" in found


def test_an_error_is_told_with_what_helps(alice, acmes_shelf):
    SyncState.objects.update(
        phase="failed", error_code="missing_scopes", error_message="It lacks things:read."
    )

    found = panel(browser_of(alice))

    assert "It lacks things:read." in found
    assert "Reconnect it and allow what is missing." in found
    assert "/help/errors#missing_scopes" in found


def test_bob_lets_it_run_and_may_not_pause_it(bob, acmes_shelf, shelf, work_off):
    browser = browser_of(bob)

    ran = browser.post(f"{PAGE}/sync", {"do": "run"}, headers=HTMX)
    paused = browser.post(f"{PAGE}/sync", {"do": "pause"}, headers=HTMX)
    work_off()

    assert (ran.status_code, paused.status_code) == (200, 403)
    assert shelf.pages_asked == 1
    assert AuditEvent.objects.get(event="sync.asked").actor_label == str(bob)


def test_adam_pauses_and_resumes_one(adam, acmes_shelf, the_sync):
    browser = browser_of(adam)

    paused = browser.post(f"{PAGE}/sync", {"do": "pause", "sync": the_sync().pk}, headers=HTMX)
    assert (the_sync().is_paused, "Paused" in paused.content.decode()) == (True, True)
    browser.post(f"{PAGE}/sync", {"do": "resume", "sync": the_sync().pk}, headers=HTMX)

    assert not the_sync().is_paused


def test_without_script_the_page_comes_back(alice, acmes_shelf):
    answer = browser_of(alice).post(f"{PAGE}/sync", {"do": "run"})

    assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}#sync")


def test_reading_everything_again_is_asked_first(adam, sync_now, shelf, work_off, the_sync):
    shelf.fill(3)
    sync_now()
    address = f"{PAGE}/sync/{the_sync().pk}/again"

    asked = browser_of(adam).get(address)
    assert "Read everything again?" in asked.content.decode()
    browser_of(adam).post(address)
    work_off()

    assert the_sync().is_full
    assert shelf.pages_asked == 2


def test_the_card_tells_when_it_was_synced(alice, sync_now, shelf):
    sync_now()

    assert "Synced" in browser_of(alice).get("/p/acme/integrations").content.decode()


def test_records_are_listed_searched_and_folded(bob, sync_now, shelf):
    shelf.fill(60)
    shelf.put("<b>odd</b>", title="<script>alert(1)</script>")
    sync_now()
    shelf.remove("thing-0001")
    sync_now()
    browser = browser_of(bob)

    page = browser.get(f"{PAGE}/records").content.decode()
    found = browser.get(f"{PAGE}/records", {"q": "0059"}).content.decode()

    assert page.index("thing-0001") < page.index("thing-0059")  # the last changed first
    assert "Deleted" in page
    assert "Older" in page
    assert "<script>alert" not in page
    assert "<b>odd" not in page
    assert "thing-0059" in found
    assert "thing-0001" not in found


def test_vera_who_only_looks_on_does_not_see_records(vera, sync_now, shelf):
    shelf.fill(3)
    sync_now()

    assert browser_of(vera).get(f"{PAGE}/records").status_code == 403
    assert "/records" not in browser_of(vera).get(PAGE).content.decode()


def test_a_stranger_finds_nothing(charlie, acmes_shelf, the_sync):
    for address in (f"{PAGE}/sync", f"{PAGE}/records", f"{PAGE}/sync/{the_sync().pk}/again"):
        assert browser_of(charlie).get(address).status_code == 404


def test_operators_see_that_records_are_there_and_not_what_they_say(olga, sync_now, shelf):
    shelf.put("one", title="A secret title")
    sync_now()
    browser = browser_of(olga)

    for model in ("syncstate", "record"):
        page = browser.get(f"/admin/integrations/{model}/")
        assert page.status_code == 200
    from integrations.models import Record

    one = browser.get(f"/admin/integrations/record/{Record.objects.get().pk}/change/")
    assert one.status_code == 200
    assert "secret title" not in one.content.decode()
