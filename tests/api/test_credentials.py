"""Saving, looking, choosing, deleting credentials: by agents that may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import Connection, Secret, State
from integrations.models import CustomProvider, IntegrationDefault, IntegrationStatus
from navi.audit.models import AuditEvent
from tests.standins.todoist import KEY

PLACE = "/api/credentials/todoist"
OTHER_KEY = "fedcba9876543210fedcba9876543210fedcba98"


@pytest.fixture
def teams_todoist(acmes_todoist, connected, acme, todoist):
    """A second account of the project; the first stays the default."""
    todoist.accept_keys([KEY, OTHER_KEY])
    return connected("todoist", acme, apiKey=OTHER_KEY, label="team@example.org")


# --- status


def test_the_status_names_fields_and_never_a_value(ada, acmes_todoist):
    answer = ada.get(PLACE)

    told = answer.json()
    assert (told["provider"], told["label"], told["scope"]) == ("todoist", "alice@example.org", "project")
    assert told["fields"] == ["apiKey"]
    assert told["hasCredentials"] is True
    assert KEY not in answer.content.decode()


def test_what_is_not_connected_says_so(ada):
    told = ada.get(PLACE).json()

    assert (told["hasCredentials"], told["credentialScope"], told["connections"]) == (False, None, [])


def test_all_providers_are_told_as_the_seeds_tell_them(ada, acmes_todoist):
    providers = {one["id"]: one for one in ada.get("/api/credentials/providers").json()["providers"]}

    todoist = providers["todoist"]
    assert {"id", "name", "description", "icon", "color", "authType", "authTypes", "credentials", "skill", "setupGuide",
            "setupSkill", "healthCheck", "defaults"} <= set(todoist)  # fmt: skip
    assert todoist["authType"] == "api_key"
    assert {"key", "label", "type", "placeholder", "helpUrl", "required"} <= set(todoist["credentials"][0])
    assert set(todoist["defaults"]) >= {"enabledGlobally", "mcpEnabled", "skillEnabled"}
    assert todoist["hasCredentials"] is True
    assert providers["linear"]["hasCredentials"] is False


# --- saving


def test_saving_says_who_and_where(ada, todoist):
    answer = ada.post(PLACE, {"credentials": {"apiKey": KEY}, "label": "Ours"})

    told = answer.json()
    assert answer.status_code == 201
    assert (told["label"], told["scope"], told["isDefault"], told["state"]) == (
        "Ours",
        "project",
        True,
        "active",
    )
    assert KEY not in answer.content.decode()


@pytest.mark.parametrize("word", ["user", "global"])
def test_user_and_global_mean_all_projects_of_the_tokens_owner(ada, alice, todoist, word):
    answer = ada.post(PLACE, {"credentials": {"apiKey": KEY}, "scope": word})

    assert (answer.status_code, answer.json()["scope"]) == (201, "global")
    assert Connection.objects.get().user == alice


@pytest.mark.parametrize("word", ["user", "global"])
def test_without_the_scope_global_nothing_beyond_the_project_is_touched(
    ben, alices_todoist, error, todoist, word
):
    answers = [
        ben.post(PLACE, {"credentials": {"apiKey": KEY}, "scope": word}),
        ben.delete(PLACE, {"scope": word}),
        ben.delete(PLACE, {"connection": str(alices_todoist.pk)}),
        ben.post(PLACE, {"credentials": {"apiKey": KEY}, "connection": str(alices_todoist.pk)}),
        ben.post("/api/integrations/todoist/disable", {"scope": word}),
        ben.post("/api/integrations/todoist/settings", {"scope": word, "mcpEnabled": False}),
    ]

    assert {(answer.status_code, error(answer)["code"]) for answer in answers} == {(403, "out_of_scope")}
    assert Connection.objects.get() == alices_todoist
    assert not IntegrationDefault.objects.exists()


def test_without_a_test_the_vendor_is_not_asked(ada, todoist):
    answer = ada.post(f"{PLACE}?test=false", {"credentials": {"apiKey": OTHER_KEY}})

    assert (answer.status_code, answer.json()["health"]) == (201, "unknown")
    assert todoist.requests == []


def test_the_same_account_again_is_the_same_connection(ada, todoist):
    todoist.accept_keys([KEY, OTHER_KEY])
    first = ada.post(PLACE, {"credentials": {"apiKey": KEY}}).json()
    again = ada.post(PLACE, {"credentials": {"apiKey": OTHER_KEY}}).json()

    assert first["id"] == again["id"]
    assert Secret.objects.count() == 1
    assert ada.get(f"{PLACE}/token").json()["value"] == OTHER_KEY


def test_what_slips_in_while_copying_is_cut_away(ada, todoist):
    answer = ada.post(PLACE, {"credentials": {"apiKey": f'  "Bearer {KEY}"\n'}})

    assert answer.status_code == 201
    assert ada.get(f"{PLACE}/token").json()["value"] == KEY


def test_a_failed_reconnect_leaves_what_works(ada, acmes_todoist, error, todoist):
    answer = ada.post(PLACE, {"credentials": {"apiKey": OTHER_KEY}, "connection": str(acmes_todoist.pk)})

    assert error(answer)["code"] == "invalid_credentials"
    assert ada.get(f"{PLACE}/token").json()["value"] == KEY
    assert Secret.objects.count() == 1


def test_a_reconnect_wakes_a_dead_connection(ada, acmes_todoist, error, todoist):
    acmes_todoist.enter(State.REAUTH_REQUIRED, reason="Todoist said no.", at=timezone.now())
    dead = ada.get(f"{PLACE}/token")

    assert (dead.status_code, error(dead)["code"], error(dead)["action"]) == (
        409,
        "reauth_required",
        "reauth",
    )
    assert error(dead)["link"].endswith(f"?reconnect={acmes_todoist.pk}")
    assert error(dead)["cli"] == "navi-integrations connect todoist"

    answer = ada.post(PLACE, {"credentials": {"apiKey": KEY}, "connection": acmes_todoist.label})
    assert (answer.status_code, answer.json()["state"]) == (201, "active")
    assert ada.get(f"{PLACE}/token").status_code == 200


def test_a_vendor_in_trouble_stores_nothing(ada, error, todoist):
    todoist.fail_next(500, "<h1>Oops</h1>", times=5)
    answer = ada.post(PLACE, {"credentials": {"apiKey": KEY}})

    assert (answer.status_code, error(answer)["code"]) == (502, "vendor_unavailable")
    assert not Connection.objects.exists()
    assert not Secret.objects.exists()


# --- the token endpoint


def test_the_token_comes_as_the_seeds_say(ada, acmes_todoist):
    answer = ada.get(f"{PLACE}/token")

    assert answer.json() == {
        "type": "api_key", "value": KEY, "token": KEY, "expiresAt": None, "scopes": [],
        "connection": str(acmes_todoist.pk), "authorization": f"Bearer {KEY}",
        "degraded": False, "reason": None,
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Authorization" in answer.headers["Vary"]


def test_linear_wants_its_key_bare(ada, acme, connected, linear):
    connected("linear", acme, apiKey="lin_api_" + "a" * 40)

    assert ada.get("/api/credentials/linear/token").json()["authorization"] == "lin_api_" + "a" * 40


def test_a_key_of_two_parts_comes_with_its_fields(ada, acme, connected):
    CustomProvider.objects.create(
        project=acme, slug="wiki", name="Wiki", base_url="https://wiki.example", sent_as="basic"
    )
    connected("wiki", acme, username="alice", password="a long password")

    told = ada.get("/api/credentials/wiki/token").json()
    assert told["fields"] == {"username": "alice", "password": "a long password"}
    assert told["value"] == "a long password"
    assert told["authorization"].startswith("Basic ")


def test_a_refused_token_read_is_written_down(ada, error):
    ada.get(f"{PLACE}/token", purpose="nightly")

    event = AuditEvent.objects.get(event="secret.released")
    assert (event.outcome, event.code, event.detail) == ("refused", "not_connected", {"purpose": "nightly"})


def test_a_token_read_is_three_statements_also_for_the_owners_account(
    ada, alices_todoist, django_assert_num_queries
):
    ada.get(f"{PLACE}/token")

    with django_assert_num_queries(3):
        ada.get(f"{PLACE}/token")


# --- which one


def why(ada, **query):
    told = ada.get(f"{PLACE}/explain", **query).json()
    return (
        told["connection"] and told["connection"]["label"],
        told["why"],
        [one["label"] for one in told["shadows"]],
    )


def test_the_project_comes_before_the_owner(ada, acmes_todoist, alices_todoist):
    assert why(ada) == ("alice@example.org", "It is this project's default.", ["alice@home"])
    assert ada.get(f"{PLACE}/token").json()["connection"] == str(acmes_todoist.pk)


def test_the_owners_serves_where_the_project_has_none(ada, alices_todoist):
    label, words, shadows = why(ada)

    assert (label, shadows) == ("alice@home", [])
    assert "token owner's default" in words
    assert ada.get(PLACE).json()["credentialScope"] == "global"


def test_somebody_elses_account_is_out_of_reach(ada, connected, acme, bob, todoist, error):
    bobs = connected("todoist", acme, for_user=bob, apiKey=KEY, label="bob@home")

    assert why(ada)[0] is None
    assert error(ada.get(f"{PLACE}/token"))["code"] == "not_connected"
    assert error(ada.get(f"{PLACE}/token", connection=str(bobs.pk)))["code"] == "unknown"
    assert error(ada.delete(PLACE, {"connection": str(bobs.pk)}))["code"] == "unknown"


@pytest.mark.parametrize("name", ["team@example.org", "id"])
def test_a_named_one_is_used(ada, teams_todoist, name):
    wanted = str(teams_todoist.pk) if name == "id" else name
    label, words, shadows = why(ada, connection=wanted)

    assert (label, words, shadows) == ("team@example.org", "It was asked for by name.", ["alice@example.org"])
    assert ada.get(f"{PLACE}/token", connection=wanted).json()["value"] == OTHER_KEY


def test_a_name_that_nobody_has_is_unknown(ada, acmes_todoist, error):
    for path in ("explain", "token"):
        answer = ada.get(f"{PLACE}/{path}", connection="nobody@example.org")
        assert (answer.status_code, error(answer)["code"], error(answer)["field"]) == (
            404,
            "unknown",
            "connection",
        )


def test_nothing_connected_is_explained(ada):
    assert why(ada) == (None, "Nothing is connected here.", [])


def test_explain_tells_of_a_switched_off_provider(ada, acme, acmes_todoist):
    IntegrationDefault.objects.create(provider="todoist", project=acme, enabled=False)

    told = ada.get(f"{PLACE}/explain").json()
    assert (told["enabled"], told["enabledBy"]) == (False, "project")


def test_explain_tells_of_one_that_needs_a_person(ada, acmes_todoist):
    acmes_todoist.enter(State.REAUTH_REQUIRED, reason="Todoist said no.", at=timezone.now())

    told = ada.get(f"{PLACE}/explain").json()
    assert told["connection"]["state"] == "reauth_required"
    assert told["connection"]["reason"] == "Todoist said no."


def test_a_connection_that_is_switched_off_is_not_used(ada, acmes_todoist, error):
    Connection.objects.update(enabled=False)
    answer = ada.get(f"{PLACE}/token")

    assert (answer.status_code, error(answer)["code"], error(answer)["action"]) == (403, "disabled", "enable")


# --- deleting


def test_deleting_the_default_promotes_the_oldest(ada, teams_todoist, acmes_todoist, connected, acme):
    newest = connected("todoist", acme, apiKey="a" * 40, label="newest")
    Connection.objects.filter(pk=newest.pk).update(created_at=timezone.now() + timedelta(days=1))
    answer = ada.delete(PLACE)

    assert (answer.status_code, answer.content) == (204, b"")
    assert set(Connection.objects.values_list("label", "is_default")) == {
        ("team@example.org", True),
        ("newest", False),
    }
    assert AuditEvent.objects.get(event="connection.disconnected").connection_id == acmes_todoist.pk


def test_deleting_the_last_leaves_nothing(ada, acmes_todoist, error):
    assert IntegrationStatus.objects.exists()
    ada.delete(PLACE)

    assert not Connection.objects.exists()
    assert not Secret.objects.exists()
    assert not IntegrationStatus.objects.exists()
    assert error(ada.delete(PLACE))["code"] == "not_connected"


def test_deleting_by_name_leaves_the_default(ada, teams_todoist):
    ada.delete(PLACE, {"connection": "team@example.org"})

    assert Connection.objects.get().label == "alice@example.org"


def test_deleting_in_the_project_leaves_the_owners(ada, acmes_todoist, alices_todoist, error):
    assert ada.delete(PLACE).status_code == 204
    assert error(ada.delete(PLACE, {"scope": "project"}))["code"] == "not_connected"

    assert Connection.objects.get() == alices_todoist
    assert ada.delete(PLACE, {"scope": "user"}).status_code == 204


# --- testing


def test_a_test_tells_who_and_what_can_be_done(ada, acmes_todoist):
    told = ada.post(f"{PLACE}/test", {}).json()

    assert told["ok"] is True
    assert told["account"] == "alice@example.org"
    assert "todoist.list_projects" in told["capabilities"]
    assert told["latencyMs"] >= 0
    assert not told["missingScopes"]


def test_a_test_that_fails_tells_why(ada, acmes_todoist, todoist, error):
    todoist.accept_keys([OTHER_KEY])
    answer = ada.post(f"{PLACE}/test", {})

    assert (answer.status_code, error(answer)["code"]) == (409, "reauth_required")
    acmes_todoist.refresh_from_db()
    assert acmes_todoist.state == State.REAUTH_REQUIRED
    assert AuditEvent.objects.get(event="connection.tested").outcome in {"failed", "refused"}
