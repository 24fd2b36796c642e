"""Inside a family one plugin can be off while the others go on: Gmail on, Drive off."""

from __future__ import annotations

import pytest

from integrations import policy, registry
from integrations.models import IntegrationDefault
from integrations.runtime import execute, preflight, toggles
from integrations.runtime.discover import discover
from integrations.sdk import Call
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects.rights import actor_for
from tests.api.conftest import error_of


@pytest.fixture
def google(db):
    return registry.entry("google", None)


@pytest.fixture
def drive(google):
    return next(plugin for plugin in google.plugins if plugin.slug == "google-drive")


@pytest.fixture
def gmail(google):
    return next(plugin for plugin in google.plugins if plugin.slug == "gmail")


@pytest.fixture
def acmes_account(connected, acme, settings):
    """Acme's Google account, as if it had been connected; nobody is asked."""
    from credentials.models import Connection

    return Connection.objects.create(
        provider="google",
        project=acme,
        auth_kind="oauth",
        state="active",
        is_default=True,
        label="team@acme.example",
    )


def off(project, plugin="google-drive", **owner):
    return IntegrationDefault.objects.create(
        provider="google", plugin=plugin, enabled=False, **(owner or {"project": project})
    )


def refusal_of(act):
    with pytest.raises(Problem) as refusal:
        act()
    return refusal.value


# --- what agents meet


def test_an_action_of_a_plugin_that_is_off_is_refused_by_its_name(alice, acme, acmes_account):
    off(acme)

    refusal = refusal_of(
        lambda: execute.run(Call(actor_for(alice, acme), acme, "google-drive", "list_files"))
    )

    assert (refusal.code, refusal.message) == ("disabled", "Google Drive is switched off in this project.")
    assert AuditEvent.objects.get(event="action.run").code == "disabled"


def test_its_proxy_and_its_choices_are_refused_too(ada, alice, acme, acmes_account):
    off(acme)

    assert error_of(ada.get("/api/proxy/google-drive/files"))["code"] == "disabled"
    refusal = refusal_of(lambda: discover(Call(actor_for(alice, acme), acme, "google-drive"), "folders"))
    assert refusal.code == "disabled"


def test_its_neighbours_go_on(google, gmail, drive, alice, acme):
    off(acme)
    standing = policy.standing(google, project_id=acme.pk, user_id=alice.pk)

    assert standing.effective.enabled
    assert standing.effective_of(gmail).enabled
    assert not standing.effective_of(drive).enabled
    assert not policy.is_on(google, drive, project_id=acme.pk)
    assert policy.is_on(google, gmail, project_id=acme.pk)


def test_a_person_switches_a_plugin_off_for_all_their_projects_and_a_project_on_again(
    google, drive, alice, bob, acme
):
    off(acme, user=alice)
    place = {"project_id": acme.pk, "user_id": alice.pk}

    assert policy.standing(google, **place).effective_of(drive).origin["enabled"] == "global"
    assert policy.standing(google, project_id=acme.pk, user_id=bob.pk).effective_of(drive).enabled
    IntegrationDefault.objects.create(provider="google", plugin="google-drive", project=acme, enabled=True)
    assert policy.standing(google, **place).effective_of(drive).enabled


def test_a_plugin_is_never_on_where_its_family_is_off(google, drive, alice, acme):
    IntegrationDefault.objects.create(provider="google", plugin="google-drive", project=acme, enabled=True)
    IntegrationDefault.objects.create(provider="google", project=acme, enabled=False)
    effective = policy.standing(google, project_id=acme.pk, user_id=alice.pk).effective_of(drive)

    refusal = refusal_of(lambda: policy.check_open(google, effective))

    assert refusal.message == "Google is switched off in this project."


def test_the_standing_costs_two_queries_however_many_plugins_are_set(
    google, alice, acme, django_assert_num_queries
):
    off(acme)
    off(acme, "gmail")
    place = {"project_id": acme.pk, "user_id": alice.pk}

    with django_assert_num_queries(2):
        policy.standing(google, **place)
    with django_assert_num_queries(2):
        found = policy.standings([google], **place)
    assert set(found["google"].of_plugins) == {"google-drive", "gmail"}


def test_the_preflight_knows(alice, acme, acmes_account):
    off(acme)
    needs = [{"provider": "google", "scopes": [], "actions": ["google-drive.list_files"]}]

    told = preflight.preflight(actor_for(alice, acme), acme, needs, seconds=60)

    assert [one["code"] for one in told["needs"][0]["problems"]] == ["disabled"]


# --- the API


def test_an_agent_switches_one_plugin(ada, acme):
    told = ada.post("/api/integrations/google/disable", {"scope": "project", "plugin": "google-drive"}).json()

    plugins = {one["plugin"]: one for one in told["plugins"]}
    assert told["status"]["effective"]["enabled"]
    assert plugins["google-drive"]["project"]["enabled"] is False
    assert plugins["google-drive"]["effective"]["enabled"] is False
    assert plugins["google-drive"]["effective"]["origin"]["enabled"] == "project"
    assert plugins["gmail"]["effective"]["enabled"]
    event = AuditEvent.objects.get(event="integration.disabled")
    assert (event.provider, event.plugin) == ("google", "google-drive")


def test_the_catalogue_and_the_manifests_say_what_is_off(ada, acme):
    off(acme)

    actions = {one["id"]: one["enabled"] for one in ada.get("/api/actions").json()["actions"]}
    plugins = {one["id"]: one["enabled"] for one in ada.get("/api/plugins").json()["plugins"]}

    assert (actions["google-drive.list_files"], plugins["google-drive"], plugins["gmail"]) == (
        False,
        False,
        True,
    )
    assert actions["gmail.list_labels"]
    assert ada.get("/api/actions/google-drive.list_files").json()["enabled"] is False


def test_mcp_and_skill_are_set_per_plugin_as_well(ada, acme):
    told = ada.post("/api/integrations/google/settings", {"plugin": "gmail", "skillEnabled": False}).json()

    plugins = {one["plugin"]: one for one in told["plugins"]}
    assert plugins["gmail"]["effective"]["skillEnabled"] is False
    assert plugins["google-drive"]["effective"]["skillEnabled"] is told["status"]["effective"]["skillEnabled"]


@pytest.mark.parametrize("plugin", ["linear", "nothing", "google", "Gmail", "\x00"])
def test_a_plugin_of_somebody_else_is_refused(ada, acme, plugin):
    said = error_of(ada.post("/api/integrations/google/disable", {"plugin": plugin}))

    assert (said["code"], said["field"]) == ("invalid_input", "plugin")
    assert not IntegrationDefault.objects.exists()


def test_a_toggle_of_a_plugin_in_one_project_is_none_elsewhere(
    google, drive, alice, charlie, acme, elsewhere
):
    toggles.switch(
        google,
        actor=actor_for(alice, acme),
        project=acme,
        for_user=None,
        plugin="google-drive",
        enabled=False,
    )

    found = policy.standing(google, project_id=elsewhere.pk, user_id=charlie.pk)

    assert found.effective_of(drive).enabled
