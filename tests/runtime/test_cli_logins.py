"""Logins that live in a command's own keeping: reported by an agent's machine, or checked on this server."""

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from credentials.models import Connection
from integrations import registry
from integrations.models import HealthCheck
from integrations.runtime import cli_logins
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.projects.rights import actor_for

LOGIN = "/api/credentials/github/login"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def github(acme):
    return registry.entry("github", acme.pk)


@pytest.fixture
def gh(tmp_path, monkeypatch):
    """A `gh` of our own on the path: what it says, and with which status."""

    def says(words, status=0):
        program = tmp_path / "gh"
        program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\necho '{words}'\nexit {status}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "environment"

    return says


def test_adas_machine_reports_alices_login_and_nothing_secret_is_stored(ada, alice, acme):
    answer = ada.post(LOGIN, {"ok": True, "account": "alice"})

    row = Connection.objects.get()
    assert answer.status_code == 200
    assert answer.json()["label"] == "alice"
    assert (row.auth_kind, row.user_id, row.current, row.health) == ("cli", alice.pk, None, "healthy")


def test_a_login_that_ended_needs_a_person_and_comes_back_by_itself(ada):
    ada.post(LOGIN, {"ok": True, "account": "alice"})
    gone = ada.post(LOGIN, {"ok": False}).json()
    back = ada.post(LOGIN, {"ok": True, "account": "alice"}).json()

    assert (gone["state"], gone["health"], back["state"]) == ("reauth_required", "failed", "active")
    assert Connection.objects.count() == 1


def test_what_is_told_of_a_lost_login_is_navis_own_words(ada):
    said = ada.post(LOGIN, {"ok": False, "message": "Call 555 to sign in again."})
    gone = ada.post(LOGIN, {"ok": False}).json()

    assert said.json()["error"]["code"] == "invalid_input"
    assert gone["reason"] == "gh is not signed in on that machine."


def test_a_token_without_global_tells_nothing_of_its_owners_logins(api, token_of, alice, acme):
    ben = api(token_of(alice, acme, "connect", name="Ben"))

    answer = ben.post(LOGIN, {"ok": True, "account": "alice"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "out_of_scope")
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    "account", ["alice smith", "-alice", "a" * 101, "alice\nsmith", "<b>alice</b>", "älice"]
)
def test_an_account_is_a_name_such_as_the_command_says(ada, account):
    error = ada.post(LOGIN, {"ok": True, "account": account}).json()["error"]

    assert (error["code"], error["field"]) == ("invalid_input", "account")
    assert not Connection.objects.exists()


@pytest.mark.parametrize("said", [{"ok": True, "account": "alice"}, {"ok": False}])
def test_a_report_that_changes_nothing_is_remembered_once_in_ten_minutes(ada, said):
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(3):
            ada.post(LOGIN, said)
            clock.shift(timedelta(minutes=4))
        seen, checks, events = Connection.objects.get(), HealthCheck.objects.count(), told_of_logins()
        ada.post(LOGIN, said)

    assert (checks, events) == (1, 1)
    assert seen.last_check_at == NOON + timedelta(minutes=8)
    assert (HealthCheck.objects.count(), told_of_logins()) == (2, 2)


def test_another_account_is_news_at_once(ada):
    ada.post(LOGIN, {"ok": True, "account": "alice"})
    ada.post(LOGIN, {"ok": True, "account": "alice-at-work"})

    assert Connection.objects.get().label == "alice-at-work"
    assert (HealthCheck.objects.count(), told_of_logins()) == (2, 2)


def told_of_logins():
    return AuditEvent.objects.filter(event__in=["connection.connected", "connection.tested"]).count()


def test_the_token_endpoint_names_the_command(ada):
    ada.post(LOGIN, {"ok": True, "account": "alice"})

    error = ada.get("/api/credentials/github/token").json()["error"]

    assert (error["code"], error["cli"]) == ("no_token", "gh auth status")


def test_an_action_is_refused_before_anything_leaves(ada):
    ada.post(LOGIN, {"ok": True, "account": "alice"})

    error = ada.post("/api/actions/github.list_repositories", {}).json()["error"]

    assert error["code"] == "no_token"


def test_a_provider_without_a_command_takes_no_report(ada):
    assert ada.post("/api/credentials/todoist/login", {"ok": True}).json()["error"]["code"] == "invalid_input"


def test_this_servers_login_is_for_listed_projects_only(github, acme, alice, settings, gh):
    gh("✓ Logged in to github.com account navi-server (keyring)")

    with pytest.raises(Problem, match="not offered"):
        cli_logins.check_here(github, actor_for(alice, acme), project=acme)

    settings.CLI_LOGINS = {"gh": [acme.slug]}
    row = cli_logins.check_here(github, actor_for(alice, acme), project=acme)
    assert (row.label, row.project_id, row.health) == ("navi-server", acme.pk, "healthy")


def test_the_command_sees_nothing_of_navis_environment(github, acme, alice, settings, gh, monkeypatch):
    settings.CLI_LOGINS = {"gh": [acme.slug]}
    monkeypatch.setenv("NAVI_SECRET_KEY", "canary-of-the-environment")
    environment = gh("ok")

    cli_logins.check_here(github, actor_for(alice, acme), project=acme)

    assert "canary" not in environment.read_text()


@pytest.mark.parametrize(("words", "status"), [("You are not logged into any GitHub hosts.", 1), ("", 4)])
def test_a_command_that_is_not_signed_in_says_so(github, acme, alice, settings, gh, words, status):
    settings.CLI_LOGINS = {"gh": [acme.slug]}
    gh(words, status)

    row = cli_logins.check_here(github, actor_for(alice, acme), project=acme)

    assert (row.state, row.health) == ("reauth_required", "failed")
    assert row.state_reason == (words or "The command is not signed in.")


def test_a_command_that_is_not_installed_is_told_in_one_sentence(
    github, acme, alice, settings, monkeypatch, tmp_path
):
    settings.CLI_LOGINS = {"gh": [acme.slug]}
    monkeypatch.setenv("PATH", str(tmp_path))

    row = cli_logins.check_here(github, actor_for(alice, acme), project=acme)

    assert row.state_reason == "gh is not installed on this server."


def test_a_connection_that_navi_can_use_becomes_the_default(ada, acme, alice, connected):
    ada.post(LOGIN, {"ok": True, "account": "alice"})
    assert Connection.objects.get().is_default

    token = connected("github", acme, for_user=alice, token="ghp_" + "a" * 36)

    assert [row.pk for row in Connection.objects.filter(is_default=True)] == [token.pk]
