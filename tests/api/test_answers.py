"""What holds for every answer of the API, whatever it says."""

import json

import pytest
from django.test import Client

from integrations.models import IntegrationDefault
from tests.net.conftest import saying


@pytest.mark.parametrize(
    "path", ["/api/plugins", "/api/nothing", "/api/credentials/todoist/token", "/healthz"]
)
def test_every_answer_has_a_request_id_of_ours(ada, path):
    first = ada.client.get(path, headers={"x-request-id": "chosen-by-a-stranger"})
    second = ada.client.get(path)

    assert len(first.headers["X-Request-Id"]) == 32
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "text/event-stream", "image/png", "nonsense"]
)
def test_an_agent_gets_json_whatever_it_would_accept(ada, error, accept):
    """A library's own Accept header is no reason to refuse."""
    found = ada.client.get("/api/plugins", headers={"accept": accept})
    missing = ada.client.get("/api/plugins/nobody", headers={"accept": accept})

    assert found.status_code == 200
    assert found.headers["Content-Type"] == "application/json"
    assert error(missing)["code"] == "unknown"


def test_errors_of_the_schema_are_json_too(db, error):
    assert error(Client().post("/api/schema"))["code"] == "method_not_allowed"


def test_head_answers_as_get_without_the_body(ada):
    answer = ada.client.head("/api/plugins")

    assert answer.status_code == 200
    assert answer.content == b""


def test_an_unexpected_failure_says_nothing_but_its_request_id(ada, error, monkeypatch):
    def break_down(*_, **__):
        raise RuntimeError("the reactor password is hunter2hunter2")

    monkeypatch.setattr("integrations.registry.entries", break_down)
    answer = ada.get("/api/plugins")

    assert (answer.status_code, error(answer)["code"]) == (500, "internal")
    assert "hunter2" not in answer.content.decode()
    assert error(answer)["action"] == "retry_later"


def test_a_busy_database_is_told_as_such(ada, error, monkeypatch):
    from django.db import OperationalError

    def locked(*_, **__):
        raise OperationalError("database is locked")

    monkeypatch.setattr("integrations.registry.entries", locked)
    answer = ada.get("/api/plugins")

    assert (answer.status_code, error(answer)["code"]) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_vendors_limit_names_the_wait(ada, acmes_todoist, todoist, error):
    limit = {"error": "Too many requests", "error_extra": {"retry_after": 7}}
    todoist.fail_next(429, limit, {"Retry-After": "7"}, times=5)
    answer = ada.post("/api/actions/todoist.create_task", {"content": "Buy milk"})

    found = error(answer)
    assert (answer.status_code, found["code"], found["action"]) == (429, "rate_limited", "wait")
    assert found["provider"] == "todoist"
    assert found["retryAt"].endswith("Z")
    assert 0 < found["waitMs"] <= 7500
    assert 1 <= int(answer.headers["Retry-After"]) <= 8


def test_links_are_plain_addresses_without_a_grant(ada, error, todoist):
    found = error(ada.get("/api/credentials/todoist/token"))

    assert (found["code"], found["action"]) == ("not_connected", "reauth")
    assert found["link"] == "http://127.0.0.1:8000/p/acme/integrations/todoist?connect=1"
    assert found["cli"] == "navi-integrations connect todoist"


def test_times_are_iso_8601_in_utc(ada, acmes_todoist):
    ada.post("/api/integrations/todoist/health-check", {})
    told = ada.get("/api/integrations/todoist/health").json()

    assert told["lastCheck"].endswith("Z")
    assert told["history"][0]["at"].endswith("Z")


def test_a_token_of_one_provider_hears_only_of_that_one(api, token_of, alice, acme, acmes_todoist, error):
    linears = api(token_of(alice, acme, "read:linear", "secret:linear"))
    todoists = api(token_of(alice, acme, "read:todoist", "secret:todoist"))

    assert error(linears.get("/api/credentials/todoist/token"))["code"] == "out_of_scope"
    assert todoists.get("/api/credentials/todoist/token").status_code == 200
    assert error(linears.get("/api/integrations/todoist/status"))["code"] == "out_of_scope"
    assert error(linears.get("/api/plugins/todoist"))["code"] == "out_of_scope"
    assert {one["id"] for one in linears.get("/api/credentials/providers").json()["providers"]} == {"linear"}
    assert {one["provider"] for one in todoists.get("/api/integrations/status").json()["integrations"]} == {
        "todoist"
    }


def test_a_tokens_rights_shrink_with_its_owners(api, token_of, adam, acme, acmes_todoist, error):
    token = api(token_of(adam, acme, "secret", "read"))
    adam.memberships.update(role="member")

    answer = token.get("/api/credentials/todoist/token")

    assert (answer.status_code, error(answer)["code"]) == (403, "out_of_scope")
    assert token.get("/api/credentials/todoist").status_code == 200


def test_a_blocked_provider_is_blocked_for_agents(ada, acmes_todoist, error):
    from integrations.models import Provider

    Provider.objects.update_or_create(
        slug="todoist",
        defaults={"is_blocked": True, "blocked_reason": "An audit is under way.", "source": "bundled"},
    )
    for answer in (
        ada.get("/api/credentials/todoist/token"),
        ada.post("/api/actions/todoist.list_projects"),
        ada.get("/api/proxy/todoist/user"),
        ada.get("/api/plugins/todoist/discover/projects"),
    ):
        assert (answer.status_code, error(answer)["code"]) == (403, "blocked")
        assert "An audit is under way." in error(answer)["message"]


def test_a_disabled_provider_says_where_it_was_switched_off(ada, acme, acmes_todoist, error):
    IntegrationDefault.objects.create(provider="todoist", project=acme, enabled=False)
    for answer in (
        ada.get("/api/credentials/todoist/token"),
        ada.post("/api/actions/todoist.list_projects"),
        ada.get("/api/proxy/todoist/user"),
    ):
        found = error(answer)
        assert (answer.status_code, found["code"], found["action"]) == (403, "disabled", "enable")
        assert "in this project" in found["message"]


def test_without_the_keyring_secrets_are_sealed_and_the_rest_works(
    ada, acmes_todoist, error, settings, tmp_path
):
    from navi.keyring import KeyFiles

    without = KeyFiles(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    pepper = settings.NAVI_KEYS.pepper()
    without.pepper = lambda: pepper  # type: ignore[method-assign]
    settings.NAVI_KEYS = without

    token = ada.get("/api/credentials/todoist/token")
    action = ada.post("/api/actions/todoist.list_projects")
    saved = ada.post("/api/credentials/todoist", {"credentials": {"apiKey": "0" * 40}})

    for answer in (token, action, saved):
        assert (answer.status_code, error(answer)["code"]) == (503, "sealed")
    assert ada.get("/api/integrations/status").status_code == 200
    assert ada.get("/api/credentials/providers").status_code == 200


def test_a_damaged_row_is_unreadable_and_the_lists_still_open(ada, acmes_todoist, error):
    from django.db import connection

    from credentials.models import Secret

    secret = Secret.objects.get()
    token = bytearray(secret.fields.token or b"")
    token[60] ^= 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credentials_secret SET fields = %s", [bytes(token)])

    answer = ada.get("/api/credentials/todoist/token")
    again = ada.post("/api/actions/todoist.list_projects")

    assert (answer.status_code, error(answer)["code"]) == (503, "credential_unreadable")
    assert (again.status_code, error(again)["code"]) == (503, "credential_unreadable")
    assert error(answer)["action"] == "reauth"
    assert f"reconnect={acmes_todoist.pk}" in error(answer)["link"]
    status = ada.get("/api/credentials/todoist").json()
    assert status["connections"][0]["state"] == "unreadable"
    assert ada.get("/api/integrations/status").status_code == 200


# --- through the proxy


def test_the_vendor_hears_what_the_agent_would_accept(ada, acmes_todoist, vendor):
    server = vendor(saying(b"\x89PNG", Content_Type="image/png"))
    answer = ada.client.get("/api/proxy/todoist/avatar", headers={"accept": "image/png"})

    assert answer.status_code == 200
    assert b"".join(answer.streaming_content) == b"\x89PNG"
    assert server.requests[0].headers["accept"] == "image/png"


def test_a_body_that_is_no_json_reaches_the_vendor(ada, acmes_todoist, vendor):
    server = vendor(saying(b"{}"))
    answer = ada.client.post(
        "/api/proxy/todoist/sync", b"a=1&b=2", content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 200
    assert server.requests[0].body == b"a=1&b=2"
    assert server.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert json.loads(b"".join(answer.streaming_content)) == {}
