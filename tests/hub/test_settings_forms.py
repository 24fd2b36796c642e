"""Settings that are chosen from what the vendor has: kept choices, fresh ones, outages, and what is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations import registry
from integrations.models import Discovered, IntegrationDefault, PluginSettings
from integrations.sdk import Choice
from navi.audit.models import AuditEvent
from tests.api.conftest import error_of
from tests.hub import oauth
from tests.hub.browsers import browser_of

HERE = "/p/acme/integrations/todoist"
CHOICES = f"{HERE}/settings/todoist/projects"
FRAGMENT = {"HX-Request": "true", "HX-Target": "choices-todoist-projects"}


def kept(row, *labels, **more):
    choices = [{"id": label.lower(), "label": label} for label in labels]
    return Discovered.objects.create(
        connection=row, plugin="todoist", resource="projects", choices=choices,
        **{"fetched_at": timezone.now() - timedelta(hours=3), **more},
    )  # fmt: skip


def chosen(acme, *ids):
    PluginSettings.objects.create(plugin="todoist", project=acme, values={"projects": list(ids)})


def picker(page):
    return page.context["settings"][0]["fields"][0]["choices"]


# --- the page


def test_the_page_draws_what_is_kept_and_asks_nobody(adam, acmes_todoist, todoist):
    kept(acmes_todoist, "Home", "Garden")

    page = browser_of(adam).get(HERE)

    assert [one["label"] for one in picker(page)["options"]] == ["Home", "Garden"]
    assert not picker(page)["asks"] and "Read <time" in page.text
    assert todoist.requests == []


def test_where_nothing_is_kept_the_field_asks_once_it_is_shown(adam, acmes_todoist, todoist):
    page = browser_of(adam).get(HERE)

    assert picker(page)["asks"] and "skeleton" in page.text
    assert f'hx-post="{CHOICES}" hx-trigger="load"' in page.text
    assert todoist.requests == []


def test_who_may_not_change_settings_makes_navi_ask_nobody(bob, acmes_todoist, todoist):
    page = browser_of(bob).get(HERE)

    assert not picker(page)["asks"] and not picker(page)["url"]
    assert browser_of(bob).post(CHOICES, headers=FRAGMENT).status_code == 403
    assert todoist.requests == []


def test_without_an_account_ids_can_be_typed_and_the_way_is_shown(adam, acme):
    page = browser_of(adam).get(HERE)

    assert picker(page)["types"] and "Nothing is connected yet" in page.text


def test_more_than_twelve_choices_come_with_a_search(adam, acmes_todoist):
    kept(acmes_todoist, *(f"Project {number}" for number in range(13)))

    assert "data-filter=" in browser_of(adam).get(HERE).text


def test_what_is_gone_is_said_and_stays_until_it_is_unticked(adam, acme, acmes_todoist):
    kept(acmes_todoist, "Home")
    chosen(acme, "home", "garden")

    page = browser_of(adam).get(HERE)

    assert [(one["value"], one["gone"]) for one in picker(page)["options"]] == [
        ("home", False),
        ("garden", True),
    ]
    assert [one["chosen"] for one in picker(page)["options"]] == [True, True]
    assert page.text.count("No longer there") == 1


# --- asked


def test_the_fragment_brings_the_choices_and_keeps_what_was_ticked_meanwhile(adam, acmes_todoist, todoist):
    told = browser_of(adam).post(CHOICES, {"projects": ["unsaved"]}, headers=FRAGMENT)

    values = [one["value"] for one in told.context["choices"]["options"]]
    assert values[0] == "unsaved" and len(values) > 3
    assert not PluginSettings.objects.exists()
    assert len(todoist.requests) == 1


def test_a_refresh_asks_again_at_once(adam, acmes_todoist, todoist):
    kept(acmes_todoist, "Home", fetched_at=timezone.now())

    browser_of(adam).post(CHOICES, headers=FRAGMENT)
    told = browser_of(adam).post(f"{CHOICES}?refresh=1", headers=FRAGMENT)

    assert len(todoist.requests) == 1
    assert len(told.context["choices"]["options"]) > 1


def test_an_outage_leaves_the_list_of_before_and_says_so(adam, acmes_todoist, todoist):
    kept(acmes_todoist, "Home")
    todoist.fail_next(503, times=20)

    told = browser_of(adam).post(f"{CHOICES}?refresh=1", headers=FRAGMENT)

    assert [one["label"] for one in told.context["choices"]["options"]] == ["Home"]
    assert "This list is from" in told.text and "Or type ids" in told.text


def test_with_nothing_kept_an_outage_lets_people_type(adam, acmes_todoist, todoist):
    todoist.fail_next(503, times=20)

    told = browser_of(adam).post(CHOICES, {"projects": "6abc"}, headers=FRAGMENT)

    assert told.status_code == 200
    assert told.context["choices"]["types"] and told.context["choices"]["error"]
    assert [(one["value"], one["gone"]) for one in told.context["choices"]["options"]] == [("6abc", False)]


def test_without_script_the_button_leads_back_to_the_page(adam, acmes_todoist, todoist):
    answer = browser_of(adam).post(f"{CHOICES}?refresh=1")

    assert (answer.status_code, answer["Location"]) == (303, f"{HERE}#settings-todoist")
    assert Discovered.objects.exists()


def test_labels_of_a_vendor_are_text(adam, acmes_todoist, monkeypatch):
    plugin = registry.installed().plugins["todoist"]
    monkeypatch.setitem(
        plugin.discoveries, "projects", lambda client: [Choice('"><script>', "<script>alert(1)</script>")]
    )

    told = browser_of(adam).post(CHOICES, headers=FRAGMENT)

    assert "<script>" not in told.text


# --- saved


def test_ticked_and_typed_ids_are_saved_together(adam, acmes_todoist):
    answer = browser_of(adam).post(
        f"{HERE}/settings?plugin=todoist", {"projects": ["home", "garden\n work \n\nhome"]}
    )

    assert answer.status_code == 303
    assert PluginSettings.objects.get().values["projects"] == ["home", "garden", "work"]
    assert AuditEvent.objects.get(event="plugin.settings_changed").plugin == "todoist"


def test_unticking_all_saves_none(adam, acme, acmes_todoist):
    chosen(acme, "home")

    browser_of(adam).post(f"{HERE}/settings?plugin=todoist", {})

    assert PluginSettings.objects.get().values["projects"] == []


def test_form_and_api_give_the_same_words_for_what_is_wrong(adam, ada, acmes_todoist):
    too_many = [str(number) for number in range(500)]

    page = browser_of(adam).post(f"{HERE}/settings?plugin=todoist", {"projects": too_many})
    said = error_of(ada.put("/api/plugins/todoist/settings", {"projects": too_many}))

    errors = page.context["settings"][0]["form"]["projects"].errors
    assert page.status_code == 422
    assert said["errors"] == [{"field": "projects", "message": errors[0]}]
    assert not PluginSettings.objects.exists()


# --- a family


def test_each_plugin_of_a_family_has_a_section_of_its_own(adam, acme):
    page = browser_of(adam).get("/p/acme/integrations/google")

    with_settings = [one.slug for one in registry.entry("google", None).plugins if one.settings]
    assert [one["plugin"] for one in page.context["settings"]] == with_settings
    assert all(one["name"] for one in page.context["settings"])


def test_one_plugin_of_a_family_is_switched_off_on_its_page(adam, acme, acmes_google):
    switch = "/p/acme/integrations/google/toggles?scope=project&plugin=google-drive"
    browser_of(adam).post(switch, {"enabled": "off"})

    page = browser_of(adam).get("/p/acme/integrations/google")

    assert IntegrationDefault.objects.get().plugin == "google-drive"
    rows = {one["label"]: one["effective_on"] for one in page.context["provider"]["plugin_toggles"]}
    assert (rows["Google Drive"], rows["Gmail"]) == (False, True)
    actions = {one["name"]: one["why_not"] for one in page.context["actions"]}
    assert actions["google-drive.list_files"] == "Google Drive is switched off."


# --- how far it is


@pytest.mark.parametrize(
    ("state", "word", "step"),
    [("active", "Running", None), ("reauth_required", "Needs you", "Reconnect")],
)
def test_the_page_says_how_far_a_plugin_is(adam, acmes_todoist, state, word, step):
    type(acmes_todoist).objects.update(state=state)

    row = browser_of(adam).get(HERE).context["steps"][0]

    assert row["word"] == word
    assert (row["next"] or {}).get("label") == step


def test_before_an_account_the_next_step_is_to_connect(adam, acme):
    row = browser_of(adam).get(HERE).context["steps"][0]

    assert (row["word"], row["next"]["label"]) == ("Available", "Connect")
    assert [one["mark"] for one in row["steps"]] == ["done", "ahead", "ahead", "ahead"]


def test_google_is_not_asked_for_labels_that_the_account_did_not_allow(adam, acme, googles_app):
    browser = browser_of(adam)
    oauth.connect(browser, services=["google-calendar"], scope="project")

    page = browser.get("/p/acme/integrations/google").text

    assert "has not granted what Gmail needs" in page
    assert "has not granted what Google Calendar needs" not in page
