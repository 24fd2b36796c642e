"""The integrations page: what is connected, what could be, what needs somebody."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from credentials.models import Connection, Health, State
from integrations import registry
from integrations.models import HealthCheck, IntegrationDefault
from integrations.models import Provider as ProviderRow
from integrations.sdk import ApiKey, Plugin
from tests.hub.browsers import browser_of

PAGE = "/p/acme/integrations"
KEY = "0123456789abcdef0123456789abcdef01234567"


def fake_plugin(number):
    made = Plugin(
        slug=f"vendor-{number}", name=f"Vendor {number:03}", base_url="https://api.example.com", auth=ApiKey(),
        category=f"Category {number % 4}", description="A vendor.",
    )  # fmt: skip

    @made.action(title="List things", try_with={})
    def list_things(client) -> dict:
        """List things."""
        return {}

    return made


@pytest.fixture
def vendors(monkeypatch):
    """An instance with as many providers as one likes."""

    def install(number):
        made = registry.Registry()
        made.add([fake_plugin(one) for one in range(number)], [], source="test")
        monkeypatch.setattr(registry, "installed", lambda: made)

    return install


def connect_all(project, number):
    rows = [
        Connection(
            provider=f"vendor-{one}", project=project, label=f"account {one}", state=State.ACTIVE, is_default=True,
            health=Health.HEALTHY,
        )
        for one in range(number)
    ]  # fmt: skip
    Connection.objects.bulk_create(rows)
    HealthCheck.objects.bulk_create(
        HealthCheck(connection=row, status=status)
        for row in rows
        for status in (Health.HEALTHY, Health.DEGRADED)
    )


def test_the_page_tells_what_is_connected_and_what_could_be(alice, acmes_todoist):
    page = browser_of(alice).get(PAGE)

    assert page.status_code == 200
    assert [card["name"] for card in page.context["connected"]] == ["Todoist"]
    assert "Linear" in [offer["name"] for offer in page.context["available"]]
    assert "Connected as alice@example.org" in page.text


def test_the_page_takes_as_many_queries_for_200_providers_as_for_5(
    alice, acme, vendors, django_assert_max_num_queries
):
    taken = []
    for number in (5, 200):
        Connection.objects.all().delete()
        vendors(number + number // 2)
        connect_all(acme, number)
        browser = browser_of(alice)
        browser.get(PAGE)
        with django_assert_max_num_queries(12) as queries:
            page = browser.get(PAGE)
        taken.append(len(queries))
        assert page.text.count('<article class="card') == number

    assert taken[0] == taken[1]


def test_a_stranger_meets_404(charlie, acme):
    assert browser_of(charlie).get(PAGE).status_code == 404


def test_somebody_signed_out_is_asked_to_sign_in(client, acme):
    assert client.get(PAGE).headers["Location"].startswith("/sign-in")


def test_a_viewer_reads_and_is_offered_no_deed(vera, acmes_todoist):
    page = browser_of(vera).get(PAGE)

    card = page.context["connected"][0]
    assert not card["may_test"] and not card["may_change"] and card["project_toggle"]["disabled"]
    assert reverse("hub:disconnect", args=["acme", "todoist", acmes_todoist.pk]) not in page.text
    assert "Connect<" not in page.text


def test_nobody_sees_another_persons_own_account(alice, bob, acme, connected):
    connected("todoist", acme, for_user=alice, apiKey=KEY)

    assert not browser_of(bob).get(PAGE).context["connected"]
    assert browser_of(alice).get(PAGE).context["connected"][0]["scope"] == "global"


def test_htmx_gets_the_list_alone_and_the_sentence_above_it(alice, acmes_todoist):
    part = browser_of(alice).get(PAGE, headers={"HX-Request": "true", "HX-Target": "integrations"})

    assert "<html" not in part.text
    assert 'id="integrations"' in part.text and 'id="integrations-summary" hx-swap-oob="true"' in part.text


def test_the_search_works_without_script(alice, acme):
    offers = browser_of(alice).get(PAGE, {"q": "todo"}).context["available"]

    hidden = {offer["name"]: offer.get("hidden", False) for offer in offers}
    assert not hidden["Todoist"] and hidden["Linear"]


def test_a_key_that_is_no_longer_accepted_is_red_and_asks_for_a_reconnect(alice, bob, vera, acmes_todoist):
    reason = "Todoist no longer accepts this API token."
    acmes_todoist.enter(State.REAUTH_REQUIRED, reason=reason, at=timezone.now())

    page = browser_of(bob).get(PAGE)

    card, item = page.context["connected"][0], page.context["attention"][0]
    assert card["health"]["state"] == "failed" and card["main_action"]["kind"] == "reconnect"
    assert reason in item["message"] and item["url"] == card["main_action"]["url"]
    assert page.context["summary"] == "1 connected: 1 needs you."
    assert browser_of(vera).get(PAGE).context["attention"][0]["url"] is None


def test_trouble_that_passes_is_yellow_and_says_when_navi_tries_again(alice, acmes_todoist):
    at = timezone.now() + timedelta(minutes=4)
    Connection.objects.update(
        health=Health.DEGRADED, health_reason="Todoist asked for fewer calls.", next_check_at=at
    )

    page = browser_of(alice).get(PAGE)

    card = page.context["connected"][0]
    assert card["health"]["state"] == "degraded" and card["main_action"] == {
        "kind": "retrying",
        "retry_at": at,
    }
    assert "Retrying" in page.text and not page.context["attention"]


def test_the_strip_shows_the_worst_of_each_day(alice, acmes_todoist):
    for status in (Health.HEALTHY, Health.FAILED, Health.HEALTHY):
        HealthCheck.objects.create(connection=acmes_todoist, status=status)

    card = browser_of(alice).get(PAGE).context["connected"][0]

    assert len(card["strip"]) == 30
    assert card["strip"][-1]["state"] == "failed"
    assert card["strip"][-1]["title"].endswith("failing at 1 check, healthy at the end")
    assert card["strip"][0]["state"] == "unknown"


def test_a_blocked_provider_says_who_blocked_it(alice, acmes_todoist):
    ProviderRow.objects.filter(slug="todoist").update(is_blocked=True, blocked_reason="Not before May.")

    page = browser_of(alice).get(PAGE)

    assert page.context["connected"][0]["health"]["word"] == "Blocked"
    assert "An operator has blocked Todoist. Not before May." in page.text


# --- switches


def switch(browser, value="off", *, scope="project", name="enabled", **headers):
    return browser.post(f"{PAGE}/todoist/toggles?scope={scope}", {name: value}, headers=headers)


def test_a_manager_switches_the_project_and_gets_the_card(adam, acmes_todoist):
    answer = switch(browser_of(adam), **{"HX-Request": "true", "HX-Target": "card-todoist"})

    assert IntegrationDefault.objects.get().enabled is False
    assert 'id="card-todoist"' in answer.text and 'id="attention" hidden hx-swap-oob="true"' in answer.text
    assert answer.context["card"]["project_toggle"]["value"] == "off"


def test_without_script_a_switch_leads_back_to_the_page(adam, acmes_todoist):
    answer = switch(browser_of(adam), "inherit")

    assert answer.headers["Location"] == f"{PAGE}/todoist"
    assert IntegrationDefault.objects.get().enabled is None


def test_a_member_switches_all_their_own_projects_and_not_the_project(bob, acmes_todoist):
    browser = browser_of(bob)

    assert switch(browser, "off").status_code == 403
    assert switch(browser, "off", scope="global").status_code == 303
    assert IntegrationDefault.objects.get().user == bob


def test_a_viewer_switches_nothing(vera, acmes_todoist):
    assert switch(browser_of(vera), scope="global").status_code == 403
    assert not IntegrationDefault.objects.exists()


@pytest.mark.parametrize(("name", "value"), [("enabled", "maybe"), ("is_blocked", "on")])
def test_an_unknown_switch_changes_nothing_and_says_so(adam, acmes_todoist, name, value):
    answer = switch(browser_of(adam), value, name=name, **{"HX-Request": "true"})

    assert answer.status_code == 400 and "toast" in answer.headers["HX-Trigger"]
    assert not IntegrationDefault.objects.exists()


def test_an_inherited_switch_says_where_its_value_comes_from(alice, acmes_todoist):
    IntegrationDefault.objects.create(provider="todoist", user=alice, enabled=False)

    card = browser_of(alice).get(PAGE).context["connected"][0]

    assert card["project_toggle"]["value"] == "inherit" and not card["project_toggle"]["effective_on"]
    assert card["project_toggle"]["origin"] == "all my projects"
    assert card["global_switch"]["on"] is False


# --- the seeds' link, pictures, sections to come


def test_the_seeds_link_leads_to_the_project_at_hand(alice, acme):
    browser = browser_of(alice)

    assert browser.get("/settings/integrations").headers["Location"] == PAGE
    assert browser.get("/settings/integrations?provider=linear").headers["Location"] == f"{PAGE}/linear"
    assert browser.get("/settings/integrations?provider=none").headers["Location"] == PAGE


def test_the_seeds_link_leads_home_where_there_is_no_project(olga):
    assert browser_of(olga).get("/settings/integrations").headers["Location"] == "/"


def test_a_picture_is_the_plugins_or_a_letter_and_can_run_nothing(alice, client):
    browser = browser_of(alice)
    drawn, letter = browser.get("/icons/todoist.svg"), browser.get("/icons/weather.svg")

    assert drawn.headers["Content-Type"] == letter.headers["Content-Type"] == "image/svg+xml"
    assert "<path" in drawn.text and ">W</text>" in letter.text
    assert (
        "sandbox" in drawn.headers["Content-Security-Policy"] and "max-age" in drawn.headers["Cache-Control"]
    )
    again = browser.get("/icons/todoist.svg", headers={"If-None-Match": drawn.headers["ETag"]})
    assert again.status_code == 304
    assert client.get("/icons/todoist.svg").status_code == 302


def test_sections_that_come_later_say_so(alice, acme):
    assert "No MCP server has been added" in browser_of(alice).get("/p/acme/mcp").text
    assert "Nothing waits for you" in browser_of(alice).get("/p/acme/approvals").text
