import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from integrations.models import Provider
from navi.audit.actor import Actor
from navi.audit.record import record
from navi.audit.seal import seal_batch
from navi.jobs.models import Heartbeat, Job, State

ADA = Actor("agent", "abcdefghijkl", "Ada")


def overview(browser, **query):
    answer = browser.get("/admin/", query)
    assert answer.status_code == 200
    return answer


def test_an_empty_house_says_what_it_waits_for(admin):
    page = overview(admin).text

    assert "Nobody has connected a service yet" in page
    assert "No worker is running" in page
    assert page.count("Not enough data") == 5


def test_when_all_is_well_it_says_so(admin, now, account, acme):
    Heartbeat.objects.create(name="worker", at=now)
    account("todoist", project=acme)

    page = overview(admin).text

    assert "Nothing needs an operator." in page
    assert "Alive" in page


def test_connections_are_counted_by_health_with_links(admin, account, acme, bob):
    account("todoist", project=acme)
    account("todoist", project=acme, enabled=False)
    account("linear", user=bob, health="failed", state="reauth_required")

    answer = overview(admin)

    counts = {part["state"]: part["count"] for part in answer.context["overview"]["health"]["parts"]}
    assert counts == {"failed": 1, "degraded": 0, "unknown": 0, "healthy": 1, "disabled": 1}
    assert "1 connection failing" in answer.text
    assert "/admin/credentials/connection/?health__exact=failed&amp;enabled__exact=1" in answer.text


def test_pending_and_revoked_connections_are_none(admin, account, acme):
    account("todoist", project=acme, state="pending")
    account("todoist", project=acme, state="revoked")

    assert overview(admin).context["overview"]["health"]["total"] == 0


def test_every_link_of_the_first_page_opens(admin, account, acme, crm):
    account("todoist", project=acme, health="failed")
    Provider.objects.update_or_create(slug="todoist", defaults={"is_blocked": True})
    Job.objects.create(kind="sync", state=State.DEAD)
    record("action.run", actor=ADA, outcome="failed", code="vendor_unavailable")

    found = overview(admin).context["overview"]

    links = [part["url"] for part in found["health"]["parts"]] + [job["url"] for job in found["work"]["jobs"]]
    links += [row["url"] for row in found["failures"]["rows"]] + [
        need.url for need in found["needs"] if need.url
    ]
    links += [found[part]["url"] for part in ("health", "work", "failures", "providers", "house")]
    links += [found["failures"]["refused_url"], found["providers"]["waiting_url"]]
    assert {admin.get(link).status_code for link in links} == {200}


def test_jobs_and_the_worker_are_told(admin, now):
    Job.objects.create(kind="sync", state=State.DEAD, finished_at=now)
    Job.objects.create(kind="sync", object_id="late", due_at=now - timedelta(hours=3))
    Heartbeat.objects.create(name="worker", at=now - timedelta(minutes=10))

    answer = overview(admin)

    work = answer.context["overview"]["work"]
    assert [job["count"] for job in work["jobs"]] == [1, 0, 1]
    assert work["late_for"] == "3 h"
    assert "10 min ago" in answer.text
    assert "1 dead letter among the jobs" in answer.text
    assert "No worker is running" in answer.text


def test_the_last_ten_failures_are_told_with_who_and_why(admin, acme):
    for number in range(12):
        record(
            "action.run",
            actor=ADA,
            project=acme,
            outcome="failed",
            code="vendor_unavailable",
            action=f"a{number}",
        )
    record("action.run", actor=ADA, project=acme, action="went_well")

    answer = overview(admin)

    rows = answer.context["overview"]["failures"]["rows"]
    assert len(rows) == 10
    assert rows[0]["about"] == "a11 · vendor_unavailable · Ada in acme"
    assert "went_well" not in answer.text


def test_blocked_providers_and_those_that_await_approval_are_told(admin, crm):
    because = {"is_blocked": True, "blocked_reason": "Until the contract is signed."}
    Provider.objects.update_or_create(slug="linear", defaults=because)

    page = overview(admin).text

    assert "Until the contract is signed." in page
    assert "1 custom provider inside the network awaiting approval" in page


def test_a_missing_keyring_is_the_first_thing_olga_reads(admin, account, acme, settings, tmp_path):
    from navi.keyring import KeyFiles

    account("todoist", project=acme, apiKey="a key of sixteen or more")
    settings.NAVI_KEYS = KeyFiles(tmp_path / "gone")

    answer = overview(admin)

    assert "Navi is sealed" in answer.context["overview"]["needs"][0].words


def test_the_audits_chain_is_told(admin, now):
    record("action.run", actor=ADA)
    seal_batch(now - timedelta(minutes=3))
    record("action.run", actor=ADA)

    house = overview(admin).context["overview"]["house"]

    assert (house["batch"].number, house["waiting"], house["is_behind"]) == (1, 1, False)


@pytest.mark.parametrize(("asked", "days"), [("30", 30), ("7", 7), ("365", 7), ("x", 7)])
def test_the_window_is_a_week_or_a_month(admin, asked, days):
    assert overview(admin, days=asked).context["overview"]["days"] == days


def queries_of(browser):
    cache.clear()
    with CaptureQueriesContext(
        database,
    ) as captured:
        overview(browser)
    return len(captured)


def test_the_first_page_takes_few_queries_however_much_there_is(admin, account, acme, person):
    few = queries_of(admin)
    for number in range(20):
        account("todoist", project=acme, label=f"a{number}", health="failed")
        Provider.objects.create(slug=f"blocked-{number}", is_blocked=True)
        Job.objects.create(kind="sync", object_id=str(uuid.uuid4()), state=State.DEAD)
        record("action.run", actor=ADA, outcome="failed", code="vendor_unavailable")

    assert queries_of(admin) == few
    assert few <= 21  # one of them for each sealed field


def test_the_figures_are_counted_once_a_minute(admin):
    first = queries_of(admin)

    with CaptureQueriesContext(database) as captured:
        overview(admin)

    assert len(captured) == first - 2


def test_staff_see_only_the_parts_they_may_open(browser_of, steve, account, acme):
    account("todoist", project=acme)

    found = overview(browser_of(steve)).context["overview"]

    assert set(found) == {"health", "needs", "days", "windows"}


def test_staff_without_any_right_get_an_empty_page(browser_of, person):
    page = overview(browser_of(person("Nora", is_staff=True))).text

    assert "Recent failures" not in page
    assert "You don’t have permission to view or edit anything." in page


def test_a_right_shows_its_part(browser_of, steve):
    steve.user_permissions.add(Permission.objects.get(codename="view_job"))

    assert "work" in overview(browser_of(steve)).context["overview"]
