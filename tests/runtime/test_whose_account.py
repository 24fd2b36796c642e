"""Whose account serves whom, and what a limited token reaches."""

import pytest

from credentials.models import Connection
from integrations import registry
from integrations.models import CustomProvider, Provider
from integrations.runtime import connect
from navi.audit.problems import Problem
from tests.standins.todoist import KEY

LINEAR_KEY = "lin_api_abcdefghijklmnopqrstuvwxyz012345"


@pytest.fixture
def crm(acme):
    return CustomProvider.objects.create(
        project=acme, slug="crm", name="CRM", base_url="https://crm.example.com"
    )


def test_a_key_given_to_a_plugin_never_goes_to_a_custom_address_of_the_same_name(
    ada, alice, acme, connected, crm
):
    own = connected("linear", acme, apiKey=LINEAR_KEY)
    Connection.objects.filter(pk=own.pk).update(provider="crm")

    answer = ada.get("/api/credentials/crm/token")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reauth_required")
    assert LINEAR_KEY not in answer.content.decode()


def test_a_persons_own_connection_never_serves_a_custom_provider(ada, alice, acme, connected, crm):
    own = connected("linear", acme, for_user=alice, apiKey=LINEAR_KEY)
    Connection.objects.filter(pk=own.pk).update(provider="crm")

    assert ada.get("/api/credentials/crm/token").json()["error"]["code"] == "not_connected"


def test_a_custom_providers_credentials_live_in_its_project(ada, crm):
    body = {"credentials": {"apiKey": "whatever"}, "scope": "user"}
    answer = ada.post("/api/credentials/crm?test=false", body)

    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "scope")
    assert not Connection.objects.exists()


def test_bob_does_not_reach_alices_own_account(token_of, api, alice, bob, acme, connected):
    connected("linear", acme, for_user=alice, apiKey=LINEAR_KEY)
    bobs = api(token_of(bob, acme, "read", "run"))

    told = bobs.get("/api/credentials/linear/explain").json()

    assert told["connection"] is None
    assert bobs.post("/api/actions/linear.viewer").json()["error"]["code"] == "not_connected"


def test_the_named_account_is_the_one_of_the_scope_that_is_asked_for(ada, alice, acme, connected):
    everywhere = connected("linear", acme, for_user=alice, apiKey=LINEAR_KEY, label="alice@example.org")
    here = connected("linear", acme, apiKey=LINEAR_KEY + "x", label="alice@example.org")

    ambiguous = ada.delete("/api/credentials/linear", {"connection": "alice@example.org"})
    answer = ada.delete("/api/credentials/linear", {"connection": "alice@example.org", "scope": "project"})

    assert ambiguous.status_code == 400
    assert answer.status_code == 204
    assert list(Connection.objects.all()) == [everywhere]
    assert here.pk


def test_a_token_for_linear_reaches_nothing_of_todoist(
    token_of, api, alice, acme, connected, acmes_todoist, crm
):
    connected("linear", acme, apiKey=LINEAR_KEY)
    limited = api(
        token_of(alice, acme, "read:linear", "manage:linear", "credentials", "global:linear", "audit:linear")
    )

    listed = limited.get("/api/credentials/providers").json()["providers"]
    assert [one["id"] for one in listed] == ["linear"]
    plugins = limited.get("/api/plugins").json()["plugins"]
    assert [one["id"] for one in plugins] == ["linear"]
    assert limited.get("/api/credentials/todoist").status_code == 403
    assert limited.put("/api/plugins/todoist/settings").status_code == 403
    assert limited.delete("/api/providers/custom/crm").status_code == 403
    body = {"name": "New", "baseUrl": "https://api.example.com"}
    assert limited.post("/api/providers/custom", body).status_code == 403
    assert limited.get("/api/audit").status_code == 403
    saved = limited.post("/api/credentials/todoist", {"credentials": {"apiKey": KEY}, "scope": "user"})
    assert saved.status_code == 403
    assert CustomProvider.objects.filter(slug="crm").exists()


def test_what_an_operator_blocks_gets_no_key(ada, todoist, acmes_todoist):
    Provider.objects.update_or_create(
        slug="todoist", defaults={"is_blocked": True, "blocked_reason": "Under review."}
    )

    saved = ada.post("/api/credentials/todoist", {"credentials": {"apiKey": KEY}})

    assert (saved.status_code, saved.json()["error"]["code"]) == (403, "blocked")
    assert "Under review." in saved.json()["error"]["message"]
    assert todoist.requests == []


def test_a_hint_shows_little_of_a_key_and_nothing_of_a_password(acme, crm):
    offer = connect.Offer(registry.entry("linear", acme.pk), acme, {"apiKey": LINEAR_KEY})
    crm.sent_as = "basic"
    basic = connect.Offer(
        registry.custom_entry(crm), acme, {"username": "alice", "password": "hunter2_long_pa55"}
    )

    assert connect.hint_of(offer) == "lin_api_…2345"
    assert connect.hint_of(basic) == "…"


def test_an_address_inside_stays_closed_although_its_name_did_not_resolve_at_first(ada, settings, acme):
    row = CustomProvider.objects.create(
        project=acme, slug="inside", name="Inside", base_url="http://127.0.0.1:9", is_inside=False
    )
    settings.OUTBOUND_ALLOW = "127.0.0.1:9"

    answer = ada.post("/api/credentials/inside", {"credentials": {"apiKey": "a long enough key"}})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "blocked")
    assert not Connection.objects.filter(provider=row.slug).exists()


def test_a_plugin_that_names_nobodys_provider_does_not_start():
    from django.core.exceptions import ImproperlyConfigured

    from integrations.sdk import Plugin

    found = registry.Registry()
    found.add([Plugin(slug="orphan", name="Orphan", provider="nobody")], [], source="here")

    with pytest.raises(ImproperlyConfigured, match="nobody brings"):
        found.refuse_orphans()


def test_an_unknown_way_of_signing_in_asks_for_a_reconnect(acme):
    with pytest.raises(Problem, match="Reconnect"):
        registry.entry("todoist", acme.pk).remote(auth_kind="mcp_oauth")


def test_bobs_agent_does_not_see_how_alices_own_request_goes(ada, token_of, api, bob, acme):
    asked = ada.post("/api/credentials/linear/connect", {"scope": "user"}).json()
    bobs = api(token_of(bob, acme, "connect"))

    assert bobs.get(f"/api/credentials/connect/{asked['id']}").status_code == 404
    assert ada.get(f"/api/credentials/connect/{asked['id']}").json()["state"] == "pending"
