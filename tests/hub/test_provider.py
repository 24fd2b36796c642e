"""One provider's page: what agents can do, its health and calls over time, its settings."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from credentials.models import Connection, Health
from integrations import registry
from integrations.models import HealthCheck, PluginSettings
from integrations.sdk import ApiKey, Cli, OAuth2, Plugin
from tests.hub.browsers import HTMX, browser_of

HERE = "/p/acme/integrations/todoist"


class Wishes(BaseModel):
    team: Literal["Engineering", "Design"] = "Engineering"
    rows: int = Field(50, ge=1, le=200, description="Between 1 and 200.")
    closed: bool = False
    labels: list[str] = []
    note: str | None = None


@pytest.fixture
def wished(monkeypatch):
    """An instance with one plugin that has settings."""
    plugin = Plugin(
        slug="wished", name="Wished", base_url="https://api.example.com", auth=ApiKey(), settings=Wishes
    )
    return install(monkeypatch, plugin)


def install(monkeypatch, *plugins):
    made = registry.Registry()
    made.add(plugins, [], source="test")
    monkeypatch.setattr(registry, "installed", lambda: made)
    return plugins[0]


def test_the_page_of_what_is_not_connected_says_what_it_could_do(bob, acme):
    page = browser_of(bob).get(HERE)

    assert page.status_code == 200 and "No account is connected" in page.text
    assert {"todoist.list_projects", "todoist.create_task"} <= {
        one["name"] for one in page.context["actions"]
    }


def test_the_page_tells_how_good_the_plugin_is(bob, acme):
    page = browser_of(bob).get(HERE)

    assert "<dt>Quality</dt><dd>Gold</dd>" in page.text


def test_an_unknown_provider_is_404(bob, acme):
    assert browser_of(bob).get("/p/acme/integrations/nothing").status_code == 404


def test_a_stranger_meets_404(charlie, acme):
    assert browser_of(charlie).get(HERE).status_code == 404


def test_the_page_tells_what_no_token_may_do(alice, acmes_todoist, token_of, acme):
    token_of(alice, acme, "read", "run")

    actions = {one["name"]: one for one in browser_of(alice).get(HERE).context["actions"]}

    assert actions["todoist.list_projects"]["allowed"]
    assert actions["todoist.create_task"]["why_not"] == "No token here has “write”."


def test_calls_are_shown_to_those_who_may_read_the_activity(alice, bob, acmes_todoist, ada):
    ada.post("/api/actions/todoist.list_projects")

    page = browser_of(alice).get(HERE)

    assert (
        page.context["calls"][0]["what"] == "todoist.list_projects"
        and page.context["calls"][0]["actor"] == "Ada"
    )
    assert page.context["usage"]["summary"] == "1 call, 0 errors in 30 days"
    assert "calls" not in browser_of(bob).get(HERE).context


def test_the_history_tells_spans_of_equal_health(alice, acmes_todoist):
    for status, reason in ((Health.HEALTHY, ""), (Health.FAILED, "Refused."), (Health.FAILED, "Refused.")):
        HealthCheck.objects.create(connection=acmes_todoist, status=status, reason=reason)

    history = browser_of(alice).get(HERE).context["history"]

    assert [(span["state"], span["reason"]) for span in history] == [
        ("failed", "Refused."),
        ("healthy", "Answered"),
    ]


@pytest.mark.parametrize(
    ("query", "opens"), [("?connect=1", "/connect"), ("?reconnect=7f3a", "/connect?reconnect=7f3a")]
)
def test_links_of_errors_open_the_dialog(alice, vera, acmes_todoist, query, opens):
    assert browser_of(alice).get(f"{HERE}{query}").context["open_dialog"] == f"{HERE}{opens}"
    assert not browser_of(vera).get(f"{HERE}{query}").context["open_dialog"]


def test_the_page_opens_when_a_row_is_damaged(alice, acmes_todoist):
    Connection.objects.update(
        state="unreadable", state_reason="The stored credential is damaged. Reconnect it."
    )

    page = browser_of(alice).get(HERE)

    assert page.status_code == 200 and "The stored credential is damaged" in page.text


def test_the_page_opens_when_navi_has_not_got_its_keys(alice, acmes_todoist, settings, tmp_path):
    from navi.keyring import KeyFiles

    settings.NAVI_KEYS = KeyFiles(tmp_path / "nowhere")
    browser = browser_of(alice)

    assert browser.get(HERE).status_code == browser.get("/p/acme/integrations").status_code == 200
    answer = browser.post(f"{HERE}/connections/{acmes_todoist.pk}/test", headers=HTMX)
    assert answer.status_code == 200 and not answer.context["card"]["test_result"]["ok"]


# --- settings


def test_settings_are_drawn_from_the_schema(adam, acme, wished):
    form = browser_of(adam).get("/p/acme/integrations/wished").context["settings"][0]["form"]

    assert {field.name: field.type for field in form} == {
        "team": "select", "rows": "number", "closed": "checkbox", "labels": "textarea", "note": "text",
    }  # fmt: skip


def test_settings_are_stored_as_the_schema_types_them(adam, acme, wished):
    form = {"team": "Design", "rows": "20", "closed": "on", "labels": "a\nb", "note": ""}
    answer = browser_of(adam).post("/p/acme/integrations/wished/settings", form)

    assert answer.status_code == 303
    expected = {"team": "Design", "rows": 20, "closed": True, "labels": ["a", "b"], "note": None}
    assert PluginSettings.objects.get().values == expected


def test_a_wrong_setting_is_named_at_its_field(adam, acme, wished):
    answer = browser_of(adam).post("/p/acme/integrations/wished/settings", {"team": "Design", "rows": "999"})

    assert answer.status_code == 422
    assert answer.context["settings"][0]["form"]["rows"].errors and not PluginSettings.objects.exists()


def test_a_member_changes_no_settings(bob, acme, wished):
    assert browser_of(bob).post("/p/acme/integrations/wished/settings", {"rows": "20"}).status_code == 403


# --- other ways of signing in


def test_a_login_on_the_agents_machine_shows_its_command(bob, acme, monkeypatch):
    login = Cli(command="gh", auth_command="gh auth login", check_command="gh auth status")
    install(monkeypatch, Plugin(slug="gh", name="GitHub", base_url="https://api.example.com", auth=login))
    browser = browser_of(bob)

    assert "gh auth login" in browser.get("/p/acme/integrations/gh/connect", headers=HTMX).text
    answer = browser.post("/p/acme/integrations/gh/connect", headers=HTMX)
    assert answer.status_code == 422 and "Navi has not seen this login" in answer.text


def test_oauth_without_an_app_says_what_to_do_and_offers_the_other_way(bob, acme, monkeypatch):
    grant = OAuth2(authorize_url="https://x.example/a", token_url="https://x.example/t", scopes={})
    install(
        monkeypatch, Plugin(slug="x", name="X", base_url="https://api.example.com", auth=(grant, ApiKey()))
    )
    browser = browser_of(bob)

    first = browser.get("/p/acme/integrations/x/connect", headers=HTMX)
    assert first.context["dialog"]["kind"] == "api_key" and "?kind=oauth" in first.text
    answer = browser.get("/p/acme/integrations/x/connect?kind=oauth", headers=HTMX)

    assert "No OAuth app yet: add one once" in answer.text and "only owners and admins" in answer.text
    assert browser.get("/p/acme/integrations/x/connect?kind=magic").status_code == 404
