"""The injecting proxy: the agent's own request, with Navi's credential and nothing of the agent's secrets."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from integrations.models import CustomProvider
from navi.audit.models import AuditEvent
from tests.net.conftest import endless, in_turn, raw, saying, silence
from tests.standins.todoist import KEY

HERE = "/api/proxy/todoist"


def read(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.fixture
def echo(acmes_todoist, vendor):
    """A vendor that takes everything."""
    return vendor(saying(b'{"ok": true}', Content_Type="application/json"))


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head"])
def test_every_method_reaches_the_vendor_once(ada, echo, method):
    answer = getattr(ada.client, method)(f"{HERE}/things/7?a=1&b=2")

    assert answer.status_code == 200
    assert answer.headers["X-Navi-Upstream"] == "1"
    assert [(one.method, one.target) for one in echo.requests] == [
        (method.upper(), "/api/v1/things/7?a=1&b=2")
    ]


def test_the_answer_comes_with_what_keeps_a_browser_safe(ada, echo):
    answer = ada.get(f"{HERE}/user")

    assert read(answer) == b'{"ok": true}'
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_body_is_passed_on_as_it_is(ada, echo):
    body = b'{"a":1,  "a":2, "x": [[[[' + bytes(range(256))
    ada.client.post(f"{HERE}/sync", body, content_type="application/json")

    assert echo.requests[0].body == body
    assert echo.requests[0].headers["content-type"] == "application/json"


def test_the_credential_is_navis_and_nothing_of_the_agents_leaves(ada, adas_token, echo):
    ada.client.get(
        f"{HERE}/user",
        headers={
            "cookie": "navi_session=abc", "x-forwarded-for": "10.0.0.1", "forwarded": "for=10.0.0.1",
            "proxy-authorization": "Basic x", "x-custom": "kept", "accept-language": "de", "te": "trailers",
            "x-http-method-override": "DELETE", "host": "testserver", "sec-fetch-site": "none", "connection": "x-custom",
            "x-navi-connection": "alice@example.org", "idempotency-key": "k1", "if-none-match": '"7"',
        },
    )  # fmt: skip
    sent = echo.requests[0].headers

    assert sent["authorization"] == f"Bearer {KEY}"
    assert (sent["x-custom"], sent["accept-language"], sent["if-none-match"]) == ("kept", "de", '"7"')
    assert adas_token not in json.dumps(sent)
    gone = {
        "cookie", "x-forwarded-for", "forwarded", "proxy-authorization", "te", "x-http-method-override",
        "sec-fetch-site", "x-navi-connection",
    }  # fmt: skip
    assert not gone & set(sent)
    assert sent["host"] != "testserver"


def test_what_is_not_the_vendors_to_say_is_left_out(ada, acmes_todoist, vendor):
    head = {
        "Set-Cookie": "a=1", "Strict-Transport-Security": "max-age=1", "Server": "vendor", "X-Frame-Options": "ALLOW",
        "Content-Security-Policy": "default-src *", "Access-Control-Allow-Origin": "*", "Clear-Site-Data": '"*"',
        "WWW-Authenticate": "Basic", "X-Request-Id": "theirs", "X-Navi-Upstream": "0", "X-Kept": "yes", "ETag": '"7"',
        "Link": "<https://api.todoist.com/next>; rel=next", "Alt-Svc": "h3", "Public-Key-Pins": "x",
        "X-Content-Type-Options": "x",
    }  # fmt: skip
    vendor(saying(b"{}", **{name.replace("-", "_"): value for name, value in head.items()}))
    answer = ada.get(f"{HERE}/user")

    assert (answer.headers["X-Kept"], answer.headers["ETag"], answer.headers["X-Navi-Upstream"]) == (
        "yes",
        '"7"',
        "1",
    )
    assert "rel=next" in answer.headers["Link"]
    assert not {
        "Set-Cookie",
        "Server",
        "Access-Control-Allow-Origin",
        "Clear-Site-Data",
        "WWW-Authenticate",
        "Alt-Svc",
    } & set(answer.headers)
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert len(answer.headers["X-Request-Id"]) == 32


def test_a_head_that_says_the_key_back_is_cleaned(ada, acmes_todoist, vendor):
    vendor(saying(b"", status="302 Found", Location=f"/next?key={KEY}", X_Echo=f"Bearer {KEY}"))
    answer = ada.get(f"{HERE}/user")

    assert answer.headers["Location"] == "/next?key=[hidden]"
    assert KEY not in str(answer.headers)


@pytest.mark.parametrize("status", [201, 204, 301, 304, 400, 401, 403, 404, 418, 429, 500, 503])
def test_the_vendors_status_passes(ada, acmes_todoist, vendor, status):
    vendor(saying(b"", status=f"{status} Something"))
    answer = ada.get(f"{HERE}/user")

    assert (answer.status_code, answer.headers["X-Navi-Upstream"]) == (status, "1")


def test_navis_own_status_has_no_mark(ada, error):
    answer = ada.get(f"{HERE}/user")

    assert (answer.status_code, error(answer)["code"]) == (409, "not_connected")
    assert "X-Navi-Upstream" not in answer.headers


def test_an_encoded_slash_stays_encoded(ada, echo):
    """As gunicorn hands it on: RAW_URI is the address as it was sent."""
    raw_uri = f"{HERE}/calendars/team%2Facme%40group/events?q=a%2Fb"
    ada.client.get(f"{HERE}/calendars/team/acme@group/events?q=a%2Fb", RAW_URI=raw_uri)

    assert echo.requests[0].target == "/api/v1/calendars/team%2Facme%40group/events?q=a%2Fb"


@pytest.mark.parametrize(
    ("raw_uri", "target"),
    [
        ("/user", "/api/v1/user"),
        ("/a%20b", "/api/v1/a%20b"),
        ("/a%C3%A9", "/api/v1/a%C3%A9"),
        ("/a+b", "/api/v1/a+b"),
        ("/a;b=c", "/api/v1/a;b=c"),
        ("/?", "/api/v1/"),
    ],
)
def test_other_paths_arrive_as_they_were_sent(ada, echo, raw_uri, target):
    ada.client.get(f"{HERE}/x", RAW_URI=f"{HERE}{raw_uri}")

    assert echo.requests[0].target == target


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/..%2f..%2fadmin", "/%2e%2e/%2e%2e/admin", "/a/../../admin", "//evil.example/x",
        "/http://evil.example/", "/\\evil.example", "/@evil.example", "/%0d%0aEvil:%201", "/a%00b", "/.%2e/x",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_plugins_place(ada, echo, path):
    answer = ada.client.get(f"{HERE}/x", RAW_URI=f"{HERE}{path}")

    assert answer.status_code < 500 or answer.status_code == 502
    for request in echo.requests:
        assert request.target.startswith("/api/v1/"), request.target
        assert "/.." not in request.target and "/%2e%2e" not in request.target.lower()
        assert "evil" not in request.headers["host"]
        assert "evil" not in request.headers


def test_a_gunicorn_may_name_the_whole_address(ada, echo):
    """A proxy's absolute form: GET http://host/path."""
    ada.client.get(f"{HERE}/user", RAW_URI=f"http://testserver{HERE}/user?x=1", QUERY_STRING="x=1")

    assert echo.requests[0].target == "/api/v1/user?x=1"


def test_a_query_of_the_vendors_own_reaches_it(ada, echo):
    ada.client.get(f"{HERE}/tasks?project_id=7&filter=today%20%7C%20overdue&ids=1&ids=2")

    assert echo.requests[0].target == "/api/v1/tasks?project_id=7&filter=today%20%7C%20overdue&ids=1&ids=2"


def test_the_key_in_the_address_is_added_and_not_told(ada, acme, connected, vendor, settings):
    CustomProvider.objects.create(
        project=acme,
        slug="maps",
        name="Maps",
        base_url="https://maps.example/v1",
        sent_as="query",
        sent_name="key",
    )
    connected("maps", acme, apiKey="mapskey-5Yt2Wq9")
    server = vendor(saying(b"{}"))
    settings.UPSTREAMS = {"maps": server.origin}
    answer = ada.client.get("/api/proxy/maps/geo?q=x&key=mine")

    target = server.requests[0].target
    assert "key=mapskey-5Yt2Wq9" in target
    assert "mapskey" not in str(answer.headers)
    assert "mapskey" not in str(list(AuditEvent.objects.values("detail", "event")))


def test_the_account_may_be_named(ada, acmes_todoist, alices_todoist, connected, acme, vendor):
    other = connected("todoist", acme, apiKey="f" * 40, label="other")
    server = vendor(saying(b"{}"))
    ada.client.get(f"{HERE}/user", headers={"x-navi-connection": str(other.pk)})

    assert server.requests[0].headers["authorization"] == "Bearer " + "f" * 40


def test_the_answer_streams(ada, acmes_todoist, vendor):
    """The first bytes are there long before the last."""
    pieces = endless(
        b"10\r\n" + b"x" * 16 + b"\r\n",
        head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        pause=0.05,
    )
    vendor(pieces)
    started = time.monotonic()
    answer = ada.get(f"{HERE}/events")
    first = next(iter(answer.streaming_content))

    assert first.startswith(b"x")
    assert time.monotonic() - started < 25  # the deadline is 30


@pytest.mark.parametrize(
    "cut",
    [
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ],
    ids=["by length", "chunked"],
)  # fmt: skip
def test_half_an_answer_is_not_taken_for_all_of_it(ada, acmes_todoist, vendor, cut):
    vendor(cut)
    answer = ada.get(f"{HERE}/user")

    with pytest.raises(ConnectionAbortedError):
        read(answer)


def test_silence_is_a_time_out(ada, acmes_todoist, vendor, error, monkeypatch):
    monkeypatch.setattr("integrations.registry.DEADLINE", 0.5)
    vendor(silence)
    answer = ada.get(f"{HERE}/user")

    assert (answer.status_code, error(answer)["code"]) == (504, "vendor_unavailable")


def test_a_write_is_never_repeated(ada, acmes_todoist, vendor):
    server = vendor(in_turn(raw(b""), saying(b"{}")))
    answer = ada.client.post(f"{HERE}/tasks", b"{}", content_type="application/json")

    assert answer.status_code == 502
    assert len(server.requests) == 1


def test_each_call_is_written_down_without_query_and_body(ada, echo):
    ada.client.post(f"{HERE}/tasks?secret=hush", b'{"content": "surprise"}', content_type="application/json")

    event = AuditEvent.objects.get(event="proxy.called")
    assert (event.outcome, event.provider, event.plugin) == ("ok", "todoist", "todoist")
    assert (event.detail["method"], event.detail["path"], event.detail["status"]) == ("POST", "/tasks", 200)
    assert "hush" not in str(event.detail) and "surprise" not in str(event.detail)


def test_a_refused_call_is_written_down_too(ada):
    ada.get(f"{HERE}/user")

    event = AuditEvent.objects.get(event="proxy.called")
    assert (event.outcome, event.code) == ("refused", "not_connected")


def test_a_token_without_the_scope_reaches_nobody(rita, echo, error):
    answer = rita.get(f"{HERE}/user")

    assert (answer.status_code, error(answer)["code"]) == (403, "out_of_scope")
    assert echo.requests == []


def test_a_large_body_is_refused_before_the_vendor_hears_of_it(ada, echo, error):
    answer = ada.client.post(f"{HERE}/upload", b"x" * (3 * 2**20), content_type="application/octet-stream")

    assert (answer.status_code, error(answer)["code"]) == (413, "too_large")
    assert echo.requests == []


def test_an_answer_that_nobody_reads_gives_its_place_back(ada, acmes_todoist, vendor):
    """Twenty calls may be under way at once; forty agents hang up before the body comes."""
    server = vendor(endless(b"x" * 100, head=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", pause=0.5))
    for _ in range(40):
        answer = ada.get(f"{HERE}/user")
        for close in answer._resource_closers:
            close()

    assert len(server.requests) == 40


# --- over a real server


@pytest.mark.django_db(transaction=True)
def test_over_real_http(live_server, adas_token, acmes_todoist, vendor):
    server = vendor(saying(b"hello", Content_Type="text/plain", X_Kept="yes"))
    connection = http.client.HTTPConnection(live_server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", f"{HERE}/user", headers={"Authorization": f"Bearer {adas_token}"})
    answer = connection.getresponse()

    assert (answer.status, answer.read(), answer.headers["X-Kept"]) == (200, b"hello", "yes")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    connection.close()


def test_the_proxy_of_one_google_product_does_not_reach_the_others(ada, acme):
    from integrations import registry

    for plugin in registry.installed().entries["google"].plugins:
        others = {one.base_url for one in registry.installed().entries["google"].plugins if one is not plugin}
        assert not any(other.startswith(plugin.proxy_url) for other in others), plugin
