"""Providers that people describe in the hub."""

import pytest

from credentials.models import Connection, Secret
from integrations.models import CustomProvider
from tests.hub.browsers import HTMX, browser_of
from tests.standins.todoist import KEY

NEW = "/p/acme/integrations/custom"
FORM = {
    "name": "Weather station", "base_url": "https://weather.example/api/v1", "auth": "bearer", "header_name": "",
    "header_prefix": "", "query_name": "", "health_path": "/user", "expected_status": "200", "description": "",
    "key_help_url": "", "username": "", "api_key": "",
}  # fmt: skip
MODAL = {**HTMX, "HX-Target": "modal"}


@pytest.fixture
def weather(todoist, settings):
    """A vendor behind the custom provider's address: it takes a bearer key at /user."""
    settings.UPSTREAMS = {**settings.UPSTREAMS, "weather-station": todoist.url}
    return todoist


def describe(browser, headers=None, **more):
    return browser.post(NEW, {**FORM, **more}, headers=headers or {})


def test_the_form_is_a_dialog_and_a_page(adam, acme):
    browser = browser_of(adam)

    assert "<html" not in browser.get(NEW, headers=MODAL).text
    assert "<html" in browser.get(NEW).text


def test_only_managers_describe_providers(bob, vera, charlie, acme):
    assert [describe(browser_of(who)).status_code for who in (bob, vera, charlie)] == [403, 403, 404]
    assert not CustomProvider.objects.exists()


def test_without_a_key_it_is_described_and_connected_later(adam, acme):
    answer = describe(browser_of(adam))

    assert answer.headers["Location"] == "/p/acme/integrations/weather-station"
    assert CustomProvider.objects.get().created_by == adam
    assert "Weather station" in browser_of(adam).get("/p/acme/integrations").text


def test_with_a_key_it_is_tested_and_connected_at_once(adam, acme, weather):
    answer = describe(browser_of(adam), headers=MODAL, api_key=KEY)

    row = Connection.objects.get()
    assert answer.status_code == 200 and "Weather station is connected" in answer.text
    assert (row.provider, row.project) == ("weather-station", acme)
    assert KEY not in answer.text


def test_a_key_that_fails_leaves_nothing_behind(adam, acme, weather):
    answer = describe(browser_of(adam), headers=MODAL, api_key="wrong-key-wrong-key")

    assert answer.status_code == 422 and "wrong-key" not in answer.text
    assert answer.context["form"]["api_key"].errors
    assert (
        not CustomProvider.objects.exists()
        and not Connection.objects.exists()
        and not Secret.objects.exists()
    )


def test_a_test_stores_nothing(adam, acme, weather):
    answer = browser_of(adam).post(f"{NEW}/-/test", {**FORM, "api_key": KEY}, headers=HTMX)

    assert "answered in" in answer.text
    assert not CustomProvider.objects.exists() and not Connection.objects.exists()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"),
        ({"base_url": "ftp://weather.example"}, "base_url"),
        ({"base_url": "http://169.254.169.254/latest"}, "base_url"),
        ({"auth": "header"}, "header_name"),
        ({"auth": "query"}, "query_name"),
        ({"auth": "magic"}, "auth"),
        ({"auth": "header", "header_name": "Host"}, "header_name"),
        ({"health_path": "status"}, "health_path"),
        ({"expected_status": "9"}, "expected_status"),
        ({"key_help_url": "javascript:alert(1)"}, "key_help_url"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(adam, acme, more, field):
    answer = describe(browser_of(adam), headers=MODAL, **more)

    assert answer.status_code == 422 and answer.context["form"][field].errors
    assert not CustomProvider.objects.exists()


def test_it_is_changed_and_keeps_its_accounts(adam, acme, weather):
    describe(browser_of(adam), api_key=KEY)
    address = f"{NEW}/weather-station"
    assert 'value="https://weather.example/api/v1"' in browser_of(adam).get(address).text

    answer = browser_of(adam).post(address, {**FORM, "name": "Weather"}, follow=True)

    assert CustomProvider.objects.get().name == "Weather" and Connection.objects.exists()
    assert "Weather is changed." in answer.text


def test_another_address_needs_a_reconnect(adam, acme, weather):
    describe(browser_of(adam), api_key=KEY)

    answer = browser_of(adam).post(
        f"{NEW}/weather-station", {**FORM, "base_url": "https://elsewhere.example"}, follow=True
    )

    assert "have to be reconnected" in answer.text
    test = browser_of(adam).post(
        f"/p/acme/integrations/weather-station/connections/{Connection.objects.get().pk}/test", headers=HTMX
    )
    assert "Reconnect it." in test.text


def test_it_is_deleted_with_its_accounts_after_a_question(adam, acme, weather):
    describe(browser_of(adam), api_key=KEY)
    address = f"{NEW}/weather-station/delete"
    assert "1 connected account" in browser_of(adam).get(address, headers=MODAL).text

    browser_of(adam).post(address)

    assert not CustomProvider.objects.exists() and not Connection.objects.exists()


def test_one_of_another_project_is_404(charlie, adam, acme, elsewhere):
    describe(browser_of(adam))

    for part in ("", "/delete"):
        assert (
            browser_of(charlie).get(f"/p/elsewhere/integrations/custom/weather-station{part}").status_code
            == 404
        )


def test_an_account_of_a_custom_provider_belongs_to_the_project(bob, adam, acme, weather):
    describe(browser_of(adam))
    form = browser_of(bob).get("/p/acme/integrations/weather-station/connect", headers=HTMX)
    assert form.context["scope_field"] is None

    answer = browser_of(bob).post(
        "/p/acme/integrations/weather-station/connect", {"apiKey": KEY, "scope": "user"}, headers=HTMX
    )

    assert answer.status_code == 200 and Connection.objects.get().project == acme
