import pytest
from django.contrib import admin as django_admin
from django.urls import reverse

from credentials.models import Connection
from integrations import registry
from integrations.models import (
    ActionRun,
    CustomProvider,
    HealthCheck,
    IntegrationDefault,
    IntegrationStatus,
    Milestone,
    PluginSettings,
    Provider,
)
from integrations.policy import standing
from integrations.runtime.install import sync_providers

CUSTOM = "integrations_customprovider"


@pytest.fixture
def linear_row(db):
    sync_providers()
    return Provider.objects.get(slug="linear")


# --- providers


def test_every_installed_provider_has_a_row_once_the_list_was_opened(admin):
    for _ in range(2):
        admin.list_of("integrations_provider")

    rows = dict(Provider.objects.values_list("slug", "source"))
    assert rows == {slug: entry.source for slug, entry in registry.installed().entries.items()}


def test_a_row_whose_plugin_is_gone_stays_and_says_so(admin):
    Provider.objects.create(slug="gone", source="bundled", is_blocked=True)

    assert "gone (not installed)" in admin.list_of("integrations_provider").text


def test_blocking_is_remembered_with_its_reason_and_holds(admin, linear_row, remembered, acme):
    reason = "Until the contract is signed."
    admin.change("integrations_provider", linear_row, is_blocked="on", blocked_reason=reason)

    event = remembered("provider.blocked")
    assert (event.actor_label, event.provider, event.detail) == ("Olga", "linear", {"blocked_reason": reason})
    effective = standing(registry.entry("linear", acme.pk), project_id=acme.pk, user_id=None).effective
    assert (effective.is_blocked, effective.blocked_reason) == (True, reason)


def test_allowing_it_again_is_remembered_too(admin, linear_row, remembered):
    Provider.objects.filter(pk=linear_row.pk).update(is_blocked=True)

    admin.change("integrations_provider", linear_row)

    assert remembered("provider.unblocked").provider == "linear"


def test_defaults_are_remembered_apart_from_blocking(admin, linear_row, remembered):
    admin.change("integrations_provider", linear_row, enabled="false", mcp_enabled="true")

    linear_row.refresh_from_db()
    assert (linear_row.enabled, linear_row.mcp_enabled, linear_row.skill_enabled) == (False, True, None)
    assert remembered("provider.defaults_changed").detail == {"enabled": False, "mcp_enabled": True}
    assert remembered("provider.blocked") is None


def test_saving_without_a_change_is_no_event(admin, linear_row, remembered):
    admin.change("integrations_provider", linear_row)

    assert remembered("provider.defaults_changed") is None
    assert remembered("provider.unblocked") is None


def test_an_open_switch_says_where_its_value_comes_from(admin, linear_row):
    page = admin.open("integrations_provider", linear_row).text

    assert "As the plugin says" in page
    assert "Unknown" not in page


def test_providers_are_neither_added_nor_deleted(admin, linear_row):
    assert admin.get(reverse("admin:integrations_provider_add")).status_code == 403
    assert admin.open("integrations_provider", linear_row, "delete").status_code == 403


# --- custom providers


def test_what_awaits_approval_is_listed(admin, crm, acme):
    CustomProvider.objects.create(
        project=acme, slug="status", name="Status", base_url="https://status.example"
    )

    answer = admin.list_of(CUSTOM, approval="awaits")

    assert [row.slug for row in answer.context["cl"].result_list] == ["crm"]
    assert "Awaits approval" in answer.text


def test_approving_shows_the_address_first(admin, crm):
    answer = admin.act(CUSTOM, "approve", crm)

    crm.refresh_from_db()
    assert "http://10.1.2.3:8080 in Acme" in answer.text
    assert not crm.is_approved


def approve(admin, crm, address):
    return admin.act(CUSTOM, "approve", crm, confirmed="yes", seen=f"{crm.pk} {address}")


def test_approving_is_remembered(admin, crm, remembered):
    approve(admin, crm, "http://10.1.2.3:8080")

    crm.refresh_from_db()
    event = remembered("custom_provider.approved")
    assert crm.is_approved
    assert (event.actor_kind, event.provider, event.detail["approved"]) == ("operator", "crm", True)


def test_an_address_that_changed_after_olga_saw_it_is_not_approved(admin, crm):
    CustomProvider.objects.filter(pk=crm.pk).update(base_url="http://10.9.9.9/")

    answer = approve(admin, crm, "http://10.1.2.3:8080")

    crm.refresh_from_db()
    assert not crm.is_approved
    assert "Look at them again" in answer.text


def test_deleting_tells_of_the_connections_and_takes_them_along(
    admin, crm, account, acme, elsewhere, remembered
):
    account("crm", project=acme, label="sales@example.org")
    stays = account("crm", project=elsewhere)

    asked = admin.open(CUSTOM, crm, "delete")
    admin.post(reverse(f"admin:{CUSTOM}_delete", args=[crm.pk]), {"post": "yes"})

    assert "sales@example.org" in asked.text
    assert not CustomProvider.objects.exists()
    assert list(Connection.objects.all()) == [stays]
    assert remembered("custom_provider.deleted").actor_label == "Olga"


def test_deleting_several_is_remembered_for_each(admin, crm, remembered):
    admin.act(CUSTOM, "delete_selected", crm, post="yes")

    assert not CustomProvider.objects.exists()
    assert remembered("custom_provider.deleted").provider == "crm"


# --- toggles


def test_a_projects_toggle_is_switched_by_the_same_call_as_the_hubs(admin, acme, remembered):
    row = IntegrationDefault.objects.create(provider="todoist", project=acme)

    admin.change("integrations_integrationdefault", row, enabled="false")

    row.refresh_from_db()
    event = remembered("integration.disabled")
    assert row.enabled is False
    assert (event.actor_label, event.project_slug, event.detail["scope"]) == ("Olga", "acme", "project")


def test_a_persons_toggle_is_switched_for_that_person(admin, bob, remembered):
    row = IntegrationDefault.objects.create(provider="todoist", user=bob, enabled=False)

    admin.change("integrations_integrationdefault", row, enabled="unknown")

    row.refresh_from_db()
    assert row.enabled is None
    assert remembered("integration.settings_changed").detail["scope"] == "global"


def test_a_toggle_of_a_plugin_that_is_gone_says_why_it_stays(admin, acme):
    row = IntegrationDefault.objects.create(provider="gone", project=acme)

    answer = admin.change("integrations_integrationdefault", row, enabled="true")

    row.refresh_from_db()
    assert "There is no provider called" in answer.text
    assert row.enabled is None


# --- what is only read


READ_ONLY = [IntegrationStatus, HealthCheck, PluginSettings, ActionRun, Milestone]


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_happened_is_only_read(rf, olga, model):
    request = rf.get("/")
    request.user = olga
    page = django_admin.site.get_model_admin(model)

    assert page.has_view_permission(request)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
    assert not page.get_actions(request)


@pytest.mark.parametrize("name", ["ormq", "schedule", "success", "failure", "task"])
@pytest.mark.django_db
def test_django_q_has_no_page_at_all(admin, name):
    assert admin.get(f"/admin/django_q/{name}/").status_code == 404
    assert admin.get("/admin/django_q/").status_code == 404


def test_the_lists_show_what_they_are_for(admin, account, acme):
    connection = account("todoist", project=acme)
    HealthCheck.objects.create(
        connection=connection, status="degraded", reason="Asked for fewer calls.", latency_ms=90
    )
    IntegrationStatus.objects.create(provider="todoist", project=acme, status="failed", reason="Key revoked.")
    PluginSettings.objects.create(plugin="todoist", project=acme, values={"default_project": "Inbox"})
    ActionRun.objects.create(
        project=acme, seal_owner=acme.pk, actor_id="abcdefghijkl", actor_label="Ada", plugin="todoist",
        action="create_task", arguments_hash="0" * 64, state="outcome_unknown",
    )  # fmt: skip
    Milestone.objects.create(kind="satisfaction", provider="todoist", value=4)

    told = {
        "healthcheck": "Asked for fewer calls.", "integrationstatus": "Key revoked.", "pluginsettings": "Acme",
        "actionrun": "todoist.create_task", "milestone": "satisfaction",
    }  # fmt: skip
    for name, words in told.items():
        assert words in admin.list_of(f"integrations_{name}").text
