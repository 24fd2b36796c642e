"""What is no request: 400 in the one shape, and nothing happens."""

import json

import pytest
from django.test import Client

from integrations.models import CustomProvider
from navi.audit.models import AuditEvent

PLACE = "/api/credentials/todoist"
GOOD = {"credentials": {"apiKey": "0" * 40}}


def raw(ada, body, content_type="application/json", path=PLACE):
    return ada.client.post(path, body, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "The body is no JSON (line 1, column 2)."),
        (b"not json", "The body is no JSON"),
        (b"\xff\xfe{}", "The body is no JSON"),
        (b"{} {}", "The body is no JSON"),
        (b"{'a': 1}", "The body is no JSON"),
        (b"[1, 2]", "The body must be a JSON object."),
        (b'"text"', "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b"17", "The body must be a JSON object."),
        (b'{"credentials": {"apiKey": NaN}}', "NaN is no JSON."),
        (b'{"credentials": {"apiKey": -Infinity}}', "-Infinity is no JSON."),
        (b'{"credentials": {}, "credentials": {}}', "The body names a field twice."),
        (b'{"credentials": {"apiKey": "a", "apiKey": "b"}}', "The body names a field twice."),
        (b'{"credentials":' + b"[" * 100_000, "The body is nested too deeply."),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "The body is nested too deeply."),
        (b'{"a": ' + b"9" * 5_000 + b"}", "The body is no JSON"),
        (b'{"credentials": {"apiKey": "\xff"}}', "The body is no JSON"),
    ],
    ids=range(17),
)
def test_a_body_that_is_no_json_object_is_refused(ada, error, body, words):
    answer = raw(ada, body)

    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_input")
    assert error(answer)["message"].startswith(words)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "credentials"),
        ({"credentials": None}, "credentials"),
        ({"credentials": "key"}, "credentials"),
        ({"credentials": []}, "credentials"),
        ({"credentials": {"apiKey": 17}}, "credentials.apiKey"),
        ({"credentials": {"apiKey": None}}, "credentials.apiKey"),
        ({"credentials": {"apiKey": {"deep": 1}}}, "credentials.apiKey"),
        ({"credentials": {"apiKey": "x" * 20_001}}, "credentials.apiKey"),
        ({**GOOD, "scope": "everywhere"}, "scope"),
        ({**GOOD, "scope": None}, "scope"),
        ({**GOOD, "scope": ["project"]}, "scope"),
        ({**GOOD, "label": 5}, "label"),
        ({**GOOD, "label": "x" * 161}, "label"),
        ({**GOOD, "makeDefault": "yes"}, "makeDefault"),
        ({**GOOD, "makeDefault": 1}, "makeDefault"),
        ({**GOOD, "surprise": 1}, "surprise"),
        ({**GOOD, "connection": 3}, "connection"),
        ({**GOOD, "projectId": 3}, "projectId"),
        ({**GOOD, "projectId": {}}, "projectId"),
        ({**GOOD, "label": "a\u0000b"}, "label"),
        ({"credentials": {"apiKey": "a\u0000" + "b" * 40}}, "credentials.apiKey"),
        ({**GOOD, "label": "\ud800"}, "label"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_field_is_named(ada, error, todoist, body, field):
    answer = ada.post(PLACE, json.dumps(body))

    assert answer.status_code == 400, answer.json()
    assert error(answer)["code"] == "invalid_input"
    assert error(answer)["field"] == field
    assert todoist.requests == []


def test_an_unknown_field_of_the_credentials_is_named(ada, error, todoist):
    answer = ada.post(PLACE, {"credentials": {"token": "0" * 40}})

    assert (answer.status_code, error(answer)["field"]) == (400, "token")
    assert "has apiKey" in error(answer)["message"]


@pytest.mark.parametrize("path", [PLACE, "/api/actions/todoist.list_projects", "/api/providers/custom"])
def test_three_mebibytes_are_too_much(ada, error, path):
    answer = raw(ada, b'{"a": "' + b"x" * (3 * 2**20) + b'"}', path=path)

    assert (answer.status_code, error(answer)["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "nonsense",
    ],
)
def test_another_kind_of_body_is_named(ada, error, content_type):
    answer = raw(ada, b'{"credentials": {}}', content_type)

    assert (answer.status_code, error(answer)["code"]) == (415, "unsupported_media_type")


def test_a_character_set_beside_the_kind_is_fine(ada, error, todoist):
    answer = raw(ada, json.dumps(GOOD).encode(), "application/json; charset=utf-8")

    assert error(answer)["code"] == "invalid_credentials"


def test_an_empty_body_is_no_fields(ada, error):
    assert error(raw(ada, b""))["field"] == "credentials"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("patch", "/api/credentials/todoist"),
        ("put", "/api/integrations/status"),
        ("delete", "/api/plugins"),
        ("post", "/api/audit"),
        ("options", "/api/actions"),
        ("trace", "/api/plugins"),
        ("options", "/api/proxy/todoist/user"),
    ],
)
def test_a_method_that_an_address_does_not_take(ada, error, method, path):
    answer = getattr(ada.client, method)(path)

    assert (answer.status_code, error(answer)["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"] or "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/", "/api/nothing", "/api/plugins/", "/api/credentials", "/api/credentials/todoist/secret",
        "/api/actions/todoist", "/api/actions/todoist.", "/api/actions/runs/no-uuid", "/api/credentials/../x",
        "/api/credentials/connect/17", "/api/plugins/todoist/discover", "/api/%00", "/api/credentials/todo%2Fist",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_an_unknown_address_answers_in_the_one_shape(ada, error, method, path):
    answer = getattr(ada.client, method)(path)

    assert (answer.status_code, error(answer)["code"]) == (404, "unknown")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/credentials/todoist", "/api/schema"])
def test_no_browsers_check_stands_in_an_agents_way(db, error, path):
    """An agent's POST has neither cookie nor CSRF token."""
    answer = Client(enforce_csrf_checks=True).post(path, b"{}", content_type="application/json")

    assert error(answer)["code"] in {"unknown", "unauthenticated", "method_not_allowed"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/credentials/nobody", "/api/credentials/nobody/token", "/api/credentials/nobody/explain",
        "/api/integrations/nobody/status", "/api/integrations/nobody/health", "/api/plugins/nobody",
        "/api/plugins/nobody/settings", "/api/plugins/todoist/discover/nothing", "/api/actions/nobody.act",
        "/api/actions/todoist.nothing", "/api/providers/custom/nobody", "/api/proxy/nobody/x",
        "/api/actions/runs/00000000-0000-4000-8000-000000000000",
        "/api/credentials/connect/00000000-0000-4000-8000-000000000000",
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(ada, error, path):
    answer = ada.get(path)

    assert (answer.status_code, error(answer)["code"]) == (404, "unknown")


# --- tokens


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer x", "bearer navi_at_x", "Bearer a b",
        "navi_at_wcqIJgAE6BsD_cFnSEbhJr6jqAaiY9o4DfvV34MIys6gT2s7oGWFbsXj2ts1xU",
        "Bearer navi_at_wcqIJgAE6BsD_cFnSEbhJr6jqAaiY9o4DfvV34MIys6gT2s7oGWFbsXj2ts1xU",
        "Bearer navi_inv_wcqIJgAE6BsD_cFnSEbhJr6jqAaiY9o4DfvV34MIys6gT2s7oGWFbsXj2ts1xU",
        "Bearer " + "x" * 20_000, "Bearer \u00fc", "Bearer navi_at_\x00", "Bearer null",
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_no_token_opens_nothing(db, error, header):
    extra = {} if header is None else {"HTTP_AUTHORIZATION": header}
    answer = Client(raise_request_exception=False).get("/api/plugins", **extra)

    assert (answer.status_code, error(answer)["code"]) == (401, "unauthenticated")
    assert error(answer)["action"] == "upgrade_token"


def test_the_scheme_may_be_written_in_any_case(adas_token):
    answer = Client().get("/api/plugins", headers={"authorization": f"bEaReR {adas_token}"})

    assert answer.status_code == 200


def test_every_dead_token_gets_the_same_words(error, adas_token):
    flipped = adas_token[:30] + ("0" if adas_token[30] != "0" else "1") + adas_token[31:]
    said = {
        error(Client().get("/api/plugins", headers={"authorization": f"Bearer {token}"}))["message"]
        for token in (flipped, "navi_at_wcqIJgAE6BsD_cFnSEbhJr6jqAaiY9o4DfvV34MIys6gT2s7oGWFbsXj2ts1xU", "x")
    }

    assert len(said) == 1


@pytest.mark.parametrize("name", ["token", "access_token", "q"])
def test_a_token_in_an_address_is_refused_with_advice(ada, adas_token, error, name):
    answer = ada.client.get(f"/api/plugins?{name}={adas_token}")

    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_input")
    assert "Revoke this one" in error(answer)["message"]
    assert adas_token not in answer.content.decode()


def test_a_token_in_an_address_alone_is_no_token(db, error, adas_token):
    assert Client().get(f"/api/plugins?token={adas_token}").status_code == 400


def test_a_session_alone_is_nobody_here(acme, alice, error):
    client = Client()
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/api/plugins").status_code == 401


# --- projectId


def test_ones_own_project_may_be_named(ada, acme, todoist):
    for name in (str(acme.pk), acme.pk.hex, acme.slug):
        assert ada.get("/api/plugins", projectId=name).status_code == 200
        body = {"scope": "project", "projectId": name}
        assert ada.post("/api/integrations/todoist/enable", body).status_code == 200


@pytest.mark.parametrize("name", ["elsewhere", "nowhere", "00000000-0000-4000-8000-000000000000"])
def test_another_project_is_not_there(ada, elsewhere, error, todoist, name):
    before = AuditEvent.objects.count()
    answers = [
        ada.get("/api/plugins", projectId=name),
        ada.post(PLACE, {**GOOD, "projectId": name}),
        ada.post("/api/integrations/todoist/disable", {"projectId": name}),
        ada.post("/api/providers/custom", {"name": "X", "baseUrl": "https://x.example", "projectId": name}),
        ada.post("/api/preflight", {"needs": [{"provider": "todoist"}], "projectId": name}),
        ada.client.post(
            f"/api/actions/todoist.list_projects?projectId={name}", {}, content_type="application/json"
        ),
    ]

    assert {(answer.status_code, error(answer)["code"]) for answer in answers} == {(404, "unknown")}
    assert not CustomProvider.objects.exists()
    assert AuditEvent.objects.count() == before
    assert todoist.requests == []


# --- queries


@pytest.mark.parametrize(
    "path",
    [
        "/api/audit?since=yesterday", "/api/audit?until=2026-13-01T00:00:00Z", "/api/audit?cursor=!!!",
        "/api/audit?cursor=AAAA", "/api/audit?since=0000-00-00T00:00:00Z", "/api/audit?cursor=%F0%9F%98%80",
    ],
)  # fmt: skip
def test_a_query_that_means_nothing_is_bad_input(ada, error, path):
    answer = ada.client.get(path)

    assert (answer.status_code, error(answer)["code"]) == (400, "invalid_input")
    assert error(answer)["field"] in {"since", "until", "cursor"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/audit?event=%00", "/api/audit?actor=%00&outcome=x", "/api/plugins?x=%FF%FE", "/api/audit?provider=%ED%A0%80",
        "/api/credentials/todoist/token?connection=%00", "/api/credentials/todoist/token?minTtl=abc",
        "/api/credentials/todoist/token?purpose=%00%01", "/api/credentials/todoist/explain?connection=%ED%A0%80",
        "/api/audit?since=9999-12-31T23:59:59-14:00", "/api/credentials/todoist/token?minTtl=" + "9" * 400,
    ],
)  # fmt: skip
def test_odd_characters_never_break_the_house(ada, acmes_todoist, path):
    assert ada.client.get(path).status_code < 500
