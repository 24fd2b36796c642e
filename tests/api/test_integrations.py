"""Switches with their inheritance, health with its history, custom providers, and what would fail."""

from __future__ import annotations

import pytest

from credentials.models import Connection, Health
from integrations.models import CustomProvider, HealthCheck, IntegrationDefault, Provider
from navi.audit.models import AuditEvent
from tests.standins.todoist import KEY

HERE = "/api/integrations/todoist"
NEITHER = {"enabled": None, "mcpEnabled": None, "skillEnabled": None}


def status(ada, provider="todoist"):
    found = ada.get("/api/integrations/status").json()["integrations"]
    return next(one for one in found if one["provider"] == provider)["status"]


# --- switches


def test_nothing_set_is_the_plugins_default(ada):
    told = status(ada)

    assert told["global"] == {**NEITHER, "health": "unknown"}
    assert told["project"] == {**NEITHER, "health": "unknown"}
    assert told["effective"]["enabled"] is True
    assert set(told["effective"]["origin"].values()) == {"plugin"}


def test_the_operator_comes_before_the_plugin(ada):
    Provider.objects.update_or_create(slug="todoist", defaults={"enabled": False, "source": "bundled"})

    effective = status(ada)["effective"]
    assert (effective["enabled"], effective["origin"]["enabled"]) == (False, "operator")
    assert effective["health"] == "disabled"


def test_the_owner_comes_before_the_operator_and_the_project_before_the_owner(ada, alice, acme):
    Provider.objects.update_or_create(slug="todoist", defaults={"enabled": False, "source": "bundled"})
    own = ada.post(f"{HERE}/enable", {"scope": "user"}).json()["status"]
    projects = ada.post(f"{HERE}/disable", {"scope": "project"}).json()["status"]

    assert (own["effective"]["enabled"], own["effective"]["origin"]["enabled"]) == (True, "global")
    assert (projects["global"]["enabled"], projects["project"]["enabled"]) == (True, False)
    assert (projects["effective"]["enabled"], projects["effective"]["origin"]["enabled"]) == (
        False,
        "project",
    )
    assert set(IntegrationDefault.objects.values_list("user", "project")) == {
        (alice.pk, None),
        (None, acme.pk),
    }


def test_null_inherits_again(ada):
    ada.post(f"{HERE}/settings", {"mcpEnabled": False, "skillEnabled": False})
    told = ada.post(f"{HERE}/settings", {"mcpEnabled": None}).json()["status"]

    assert (told["project"]["mcpEnabled"], told["project"]["skillEnabled"]) == (None, False)
    assert told["effective"]["origin"]["mcpEnabled"] == "plugin"
    assert told["effective"]["origin"]["skillEnabled"] == "project"


@pytest.mark.parametrize("word", ["user", "global"])
def test_both_words_for_all_projects_are_read(ada, alice, word):
    ada.post(f"{HERE}/settings", {"scope": word, "mcpEnabled": False})

    assert status(ada)["global"]["mcpEnabled"] is False
    assert AuditEvent.objects.get(event="integration.settings_changed").detail["scope"] == "global"


def test_a_switch_of_the_owner_does_not_touch_others(ada, api, token_of, bob, acme):
    ada.post(f"{HERE}/disable", {"scope": "user"})
    bobs = api(token_of(bob, acme, "read"))

    assert status(ada)["effective"]["enabled"] is False
    assert status(bobs)["effective"]["enabled"] is True


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": "project"},
        {"mcpEnabled": "yes"},
        {"mcpEnabled": 1},
        {"enabled": True},
        {"mcpEnabled": []},
    ],
)
def test_settings_that_say_nothing_useful_are_refused(ada, error, body):
    answer = ada.post(f"{HERE}/settings", body)

    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_input")
    assert not IntegrationDefault.objects.exists()


def test_a_custom_provider_is_switched_like_any_other(ada, acme):
    CustomProvider.objects.create(project=acme, slug="wiki", name="Wiki", base_url="https://wiki.example")
    ada.post("/api/integrations/wiki/disable", {})

    assert status(ada, "wiki")["effective"]["enabled"] is False


def test_one_status_has_connections_and_health(ada, acmes_todoist):
    told = ada.get(f"{HERE}/status").json()

    assert (told["provider"], told["hasCredentials"], told["credentialScope"]) == ("todoist", True, "project")
    assert told["connections"][0]["label"] == "alice@example.org"
    assert told["health"]["scope"] == "project"


def test_the_whole_status_takes_few_queries(
    ada, acmes_todoist, alices_todoist, django_assert_max_num_queries
):
    ada.get("/api/integrations/status")

    with django_assert_max_num_queries(7):
        ada.get("/api/integrations/status")


# --- health


def test_a_check_is_remembered_and_told(ada, acmes_todoist):
    told = ada.post(f"{HERE}/health-check", {}).json()

    assert (told["provider"], told["scope"], told["status"]) == ("todoist", "project", "healthy")
    assert told["errorCount"] == 0
    assert told["nextCheck"] > told["lastCheck"]
    assert told["history"][0]["status"] == "healthy"
    assert HealthCheck.objects.get().asked_by == "agent"


def test_trouble_degrades_and_recovers(ada, acmes_todoist, todoist):
    todoist.fail_next(503, times=5)
    ill = ada.post(f"{HERE}/health-check", {}).json()
    todoist.reset()
    ada.post(f"{HERE}/health-check", {})
    well = ada.get(f"{HERE}/health").json()

    assert (ill["status"], ill["errorCount"] > 0, bool(ill["lastError"])) == ("degraded", True, True)
    assert (well["status"], well["errorCount"]) == ("healthy", 0)
    assert [one["status"] for one in well["history"]][:2] == ["healthy", "degraded"]


def test_a_dead_key_fails(ada, acmes_todoist, todoist):
    todoist.accept_keys(["f" * 40])
    ada.post(f"{HERE}/health-check", {})

    told = ada.get(f"{HERE}/health").json()
    assert told["status"] == "failed"
    assert told["reason"]
    acmes_todoist.refresh_from_db()
    assert acmes_todoist.state == "reauth_required"


def test_the_history_is_bounded(ada, acmes_todoist):
    HealthCheck.objects.bulk_create(
        HealthCheck(connection=acmes_todoist, status=Health.HEALTHY) for _ in range(200)
    )

    assert len(ada.get(f"{HERE}/health").json()["history"]) == 30


def test_what_is_not_connected_has_no_health(ada, error):
    assert ada.get(f"{HERE}/health").json()["status"] == "unknown"
    answer = ada.post(f"{HERE}/health-check", {})
    assert (answer.status_code, error(answer)["code"]) == (409, "not_connected")


def test_the_owners_account_has_a_health_of_its_own(ada, alices_todoist):
    told = ada.post(f"{HERE}/health-check", {}).json()

    assert (told["scope"], told["status"]) == ("global", "healthy")
    assert status(ada)["global"]["health"] == "healthy"
    assert status(ada)["project"]["health"] == "unknown"


# --- custom providers

WIKI = {"name": "Wiki", "baseUrl": "https://wiki.example.com/api", "sentAs": "header", "sentName": "X-Key",
        "sentPrefix": "Token ", "healthPath": "/me", "expectedStatus": 204, "description": "Our wiki",
        "keyHelpUrl": "https://wiki.example.com/keys"}  # fmt: skip


def test_a_custom_provider_is_made_changed_and_removed(ada, acme):
    made = ada.post("/api/providers/custom", WIKI)
    slug = made.json()["slug"]
    changed = ada.put(f"/api/providers/custom/{slug}", {**WIKI, "name": "Our wiki", "expectedStatus": 200})
    listed = ada.get("/api/providers/custom").json()["providers"]
    gone = ada.delete(f"/api/providers/custom/{slug}")

    assert made.status_code == 201
    assert {key: made.json()[key] for key in WIKI} == WIKI
    assert (changed.json()["name"], changed.json()["expectedStatus"], changed.json()["slug"]) == (
        "Our wiki",
        200,
        slug,
    )
    assert [one["slug"] for one in listed] == [slug]
    assert gone.status_code == 204
    assert not CustomProvider.objects.exists()
    events = set(AuditEvent.objects.values_list("event", flat=True))
    assert {f"custom_provider.{verb}" for verb in ("created", "updated", "deleted")} <= events


def test_it_stands_among_the_others(ada):
    slug = ada.post("/api/providers/custom", WIKI).json()["slug"]

    assert slug in {one["id"] for one in ada.get("/api/credentials/providers").json()["providers"]}
    assert f"{slug}.fetch" in {one["id"] for one in ada.get("/api/actions").json()["actions"]}
    assert ada.get(f"/api/plugins/{slug}").status_code == 200


def test_it_is_invisible_from_another_project(ada, api, token_of, charlie, elsewhere, error):
    slug = ada.post("/api/providers/custom", WIKI).json()["slug"]
    other = api(token_of(charlie, elsewhere, "read", "manage", "secret"))

    for answer in (
        other.get(f"/api/providers/custom/{slug}"),
        other.put(f"/api/providers/custom/{slug}", WIKI),
        other.delete(f"/api/providers/custom/{slug}"),
        other.get(f"/api/credentials/{slug}/token"),
        other.get(f"/api/plugins/{slug}"),
    ):
        assert (answer.status_code, error(answer)["code"]) == (404, "unknown")
    assert CustomProvider.objects.count() == 1


def test_removing_it_removes_its_connections(ada, acme, connected):
    slug = ada.post("/api/providers/custom", WIKI).json()["slug"]
    connected(slug, acme, apiKey="k" * 20)
    ada.delete(f"/api/providers/custom/{slug}")

    assert not Connection.objects.exists()


def test_a_name_that_is_taken_gets_a_slug_of_its_own(ada):
    slugs = [
        ada.post("/api/providers/custom", {**WIKI, "name": name}).json()["slug"]
        for name in ("Todoist", "Wiki", "Wiki", "Custom", "Status", "ÄÖÜ", "🙂")
    ]

    assert len(set(slugs)) == len(slugs)
    assert not {"todoist", "custom", "status"} & set(slugs)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": ""}, "invalid_input"),
        ({"name": "x" * 81}, "invalid_input"),
        ({"name": "a\nb"}, "invalid_input"),
        ({"baseUrl": ""}, "invalid_input"),
        ({"baseUrl": "no url"}, "invalid_input"),
        ({"baseUrl": "ftp://wiki.example.com"}, "invalid_input"),
        ({"baseUrl": "file:///etc/passwd"}, "invalid_input"),
        ({"baseUrl": "javascript:alert(1)"}, "invalid_input"),
        ({"baseUrl": "http://wiki.example.com"}, "blocked"),
        ({"baseUrl": "https://alice:secret@wiki.example.com"}, "invalid_input"),
        ({"baseUrl": "https://wiki.example.com/?a=1"}, "invalid_input"),
        ({"baseUrl": "https://wiki.example.com/#x"}, "invalid_input"),
        ({"baseUrl": "https://127.0.0.1"}, "blocked"),
        ({"baseUrl": "https://localhost"}, "blocked"),
        ({"baseUrl": "https://169.254.169.254/latest"}, "blocked"),
        ({"baseUrl": "https://[::1]"}, "blocked"),
        ({"baseUrl": "https://0x7f000001"}, "blocked"),
        ({"baseUrl": "https://wiki.example.com:22"}, "blocked"),
        ({"baseUrl": "https://10.0.0.1"}, "blocked"),
        ({"sentAs": "telepathy"}, "invalid_input"),
        ({"sentAs": "header", "sentName": ""}, "invalid_input"),
        ({"sentAs": "header", "sentName": "Host"}, "invalid_input"),
        ({"sentAs": "header", "sentName": "Cookie"}, "invalid_input"),
        ({"sentAs": "header", "sentName": "X Key"}, "invalid_input"),
        ({"sentAs": "header", "sentName": "X-Key\r\nEvil: 1"}, "invalid_input"),
        ({"sentAs": "query", "sentName": ""}, "invalid_input"),
        ({"sentPrefix": "Token\n"}, "invalid_input"),
        ({"healthPath": "me"}, "invalid_input"),
        ({"healthPath": 7}, "invalid_input"),
        ({"expectedStatus": 99}, "invalid_input"),
        ({"expectedStatus": 600}, "invalid_input"),
        ({"expectedStatus": "abc"}, "invalid_input"),
        ({"keyHelpUrl": "javascript:alert(1)"}, "invalid_input"),
        ({"surprise": 1}, "invalid_input"),
        ({"command": "rm -rf /"}, "invalid_input"),
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_description_is_refused_with_the_field(ada, error, change, code):
    answer = ada.post("/api/providers/custom", {**WIKI, **change})

    found = error(answer)
    assert (answer.status_code, found["code"]) == ({"invalid_input": 400, "blocked": 403}[code], code)
    assert found["field"]
    assert not CustomProvider.objects.exists()


@pytest.mark.parametrize("missing", ["name", "baseUrl"])
def test_name_and_address_are_needed(ada, error, missing):
    answer = ada.post("/api/providers/custom", {key: value for key, value in WIKI.items() if key != missing})

    assert (answer.status_code, error(answer)["field"]) == (400, missing)


def test_fields_are_named_as_the_agent_wrote_them(ada, error):
    for change in (
        {"baseUrl": "https://wiki.example.com/?a=1"},
        {"healthPath": "me"},
        {"sentAs": "telepathy"},
    ):
        assert error(ada.post("/api/providers/custom", {**WIKI, **change}))["field"] == next(iter(change))


def test_a_change_that_is_refused_changes_nothing(ada, error):
    slug = ada.post("/api/providers/custom", WIKI).json()["slug"]
    answer = ada.put(f"/api/providers/custom/{slug}", {**WIKI, "baseUrl": "https://127.0.0.1"})

    assert error(answer)["code"] == "blocked"
    assert ada.get(f"/api/providers/custom/{slug}").json()["baseUrl"] == WIKI["baseUrl"]


# --- what would fail


def need(ada, **body):
    return ada.post("/api/preflight", {"needs": [{"provider": "todoist", **body}], "for": 3600}).json()[
        "needs"
    ][0]


def test_what_works_has_no_problems(ada, acmes_todoist, todoist):
    assert need(ada, actions=["todoist.create_task", "list_projects"]) == {
        "provider": "todoist", "ok": True, "problems": [],
    }  # fmt: skip
    assert todoist.requests == []


def test_what_would_fail_is_told_with_its_fix(ada, rita, acmes_todoist, alices_todoist):
    told = need(rita, actions=["todoist.create_task"])

    assert told["ok"] is False
    assert told["problems"][0]["code"] == "out_of_scope"
    assert told["problems"][0]["action"] == "upgrade_token"
    missing = ada.post("/api/preflight", {"needs": [{"provider": "linear"}, {"provider": "nobody"}]}).json()
    assert [one["problems"][0]["code"] for one in missing["needs"]] == ["not_connected", "unknown"]
    assert missing["needs"][0]["problems"][0]["link"].endswith("/p/acme/integrations/linear?connect=1")
    assert missing["ok"] is False


def test_an_action_that_is_not_there_is_told(ada, acmes_todoist):
    assert need(ada, actions=["todoist.fly"])["problems"][0]["code"] == "unknown"


def test_a_missing_scope_of_the_account_is_told(ada, acmes_todoist):
    Connection.objects.update(scopes=["data:read"])

    found = need(ada, scopes=["data:read", "data:delete"])["problems"][0]
    assert (found["code"], found["missingScopes"], found["action"]) == (
        "missing_scopes", ["data:delete"], "grant_scopes",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {}, {"needs": []}, {"needs": "todoist"}, {"needs": ["todoist"]}, {"needs": [{}]}, {"needs": [{"provider": 7}]},
        {"needs": [{"provider": "todoist", "actions": "x"}]}, {"needs": [{"provider": "todoist"}] * 51},
        {"needs": [{"provider": "todoist"}], "for": -1}, {"needs": [{"provider": "todoist"}], "for": "soon"},
        {"needs": [{"provider": "todoist"}], "for": 10**9}, {"needs": [{"provider": "todoist", "surprise": 1}]},
    ],
    ids=str,
)  # fmt: skip
def test_needs_that_are_none_are_refused(ada, error, body):
    answer = ada.post("/api/preflight", body)

    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_input")
    assert error(answer)["field"]


# --- plugins


def test_manifests_say_how_one_signs_in_and_what_there_is(ada):
    plugins = {one["id"]: one for one in ada.get("/api/plugins").json()["plugins"]}

    assert plugins["todoist"]["auth"] == "api_key"
    assert {"discovery", "health_check", "action_execute"} <= set(plugins["todoist"]["capabilities"])
    assert plugins["todoist"]["lifecycle"] == "install"
    assert ada.get("/api/plugins/todoist").json() == plugins["todoist"]


def test_a_plugin_that_is_connected_runs_until_it_needs_a_person(ada, acmes_todoist):
    well = ada.get("/api/plugins/todoist").json()["lifecycle"]
    Connection.objects.update(state="reauth_required")

    assert (well, ada.get("/api/plugins/todoist").json()["lifecycle"]) == ("run", "connect")


def test_the_catalogue_says_what_each_action_takes_and_does(ada):
    actions = {one["id"]: one for one in ada.get("/api/actions").json()["actions"]}

    made = actions["todoist.create_task"]
    assert (made["writes"], made["destructive"], made["tokenScope"]) == (True, False, "write")
    assert made["input"]["required"] == ["content"]
    assert actions["todoist.list_projects"]["tokenScope"] == "run"
    assert ada.get("/api/actions/todoist.create_task").json() == made


def test_resources_to_choose_from_come_from_the_vendor(ada, acmes_todoist, error, todoist):
    told = ada.get("/api/plugins/todoist/discover/projects").json()

    assert told["resource"] == "projects"
    assert {"id", "label"} == set(told["choices"][0])
    todoist.accept_keys(["f" * 40])
    assert error(ada.get("/api/plugins/todoist/discover/projects?refresh=1"))["code"] == "reauth_required"


def test_resources_of_what_is_not_connected(ada, error):
    assert error(ada.get("/api/plugins/todoist/discover/projects"))["code"] == "not_connected"


@pytest.fixture
def with_settings(monkeypatch):
    """Todoist with settings of its own."""
    from pydantic import BaseModel, Field

    from integrations import registry

    class Settings(BaseModel):
        project_id: str = "inbox"
        limit: int = Field(default=50, ge=1, le=200)

    monkeypatch.setattr(registry.installed().plugins["todoist"], "settings", Settings)


def test_settings_are_checked_against_the_plugins_own(ada, acme, error, with_settings):
    place = "/api/plugins/todoist/settings"
    saved = ada.put(place, {"project_id": "home"})
    wrong = ada.put(place, {"limit": 5000})
    unknown = ada.put(place, {"surprise": 1})

    assert saved.json() == {"settings": {"project_id": "home", "limit": 50}}
    assert (wrong.status_code, error(wrong)["code"], error(wrong)["field"]) == (400, "invalid_input", "limit")
    assert (unknown.status_code, error(unknown)["code"]) == (400, "invalid_input")
    assert ada.get(place).json() == {"settings": {"project_id": "home", "limit": 50}}
    assert AuditEvent.objects.get(event="plugin.settings_changed").detail == {"fields": ["project_id"]}


def test_stored_settings_that_no_longer_fit_fall_back(ada, acme, with_settings):
    from integrations.models import PluginSettings

    PluginSettings.objects.create(
        plugin="todoist", project=acme, values={"project_id": 7, "limit": 9, "old": 1}
    )

    assert ada.get("/api/plugins/todoist/settings").json() == {
        "settings": {"project_id": "inbox", "limit": 9}
    }


def test_settings_may_hold_what_json_knows_as_text(ada, acme, monkeypatch):
    from datetime import date

    from pydantic import BaseModel

    from integrations import registry

    class Settings(BaseModel):
        begins: date
        ends: date | None = None

    monkeypatch.setattr(registry.installed().plugins["todoist"], "settings", Settings)
    place = "/api/plugins/todoist/settings"

    assert ada.get(place).json() == {"settings": {"ends": None}}
    assert ada.put(place, {"begins": "2026-11-21"}).json() == {
        "settings": {"begins": "2026-11-21", "ends": None}
    }
    assert ada.get(place).json() == {"settings": {"begins": "2026-11-21", "ends": None}}


def test_a_plugin_without_settings_takes_none(ada, error):
    assert ada.get("/api/plugins/jira/settings").json() == {"settings": {}}
    assert error(ada.put("/api/plugins/jira/settings", {"a": 1}))["code"] == "invalid_input"


# --- the audit


def test_the_audit_is_read_page_by_page(ada, acme):
    for _ in range(60):
        ada.get("/api/credentials/todoist/token")
    first = ada.get("/api/audit").json()
    second = ada.get("/api/audit", cursor=first["next"]).json()

    assert (len(first["events"]), second["next"]) == (50, None)
    ids = [one["id"] for one in first["events"] + second["events"]]
    assert len(ids) == len(set(ids)) == AuditEvent.objects.filter(project_id=acme.pk).count()
    assert first["events"][0]["at"] >= first["events"][-1]["at"]


def test_the_audit_is_of_the_project_alone(ada, api, token_of, charlie, elsewhere):
    ada.get("/api/credentials/todoist/token")
    others = api(token_of(charlie, elsewhere, "audit")).get("/api/audit").json()["events"]

    assert {one["event"] for one in others} == {"token.created"}


def test_the_audit_is_filtered(ada, acmes_todoist):
    ada.get("/api/credentials/todoist/token")
    ada.get("/api/credentials/linear/token")

    def found(**query):
        return {(one["event"], one["outcome"]) for one in ada.get("/api/audit", **query).json()["events"]}

    assert found(event="secret.released", outcome="ok") == {("secret.released", "ok")}
    assert found(provider="linear") == {("secret.released", "refused")}
    assert found(actor="Ada", event="secret") == {("secret.released", "ok"), ("secret.released", "refused")}
    assert found(since="2999-01-01T00:00:00Z") == set()
    assert found(until="2000-01-01T00:00:00Z") == set()


def test_an_event_names_who_and_what_and_no_secret(ada, acmes_todoist):
    ada.get("/api/credentials/todoist/token", purpose="nightly")
    answer = ada.get("/api/audit", event="secret.released")

    event = answer.json()["events"][0]
    assert (event["actor"]["kind"], event["actor"]["label"]) == ("agent", "Ada")
    assert event["connection"] == {"id": str(acmes_todoist.pk), "label": "alice@example.org"}
    assert event["detail"] == {"purpose": "nightly"}
    assert len(event["requestId"]) == 32
    assert KEY not in answer.content.decode()
