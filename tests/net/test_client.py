"""A vendor's client: paths, credentials, retries, and what a status means."""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from navi.net.auth import Basic, Bearer, Header, NoAuth, Query
from navi.net.client import Client, Outbound
from navi.net.errors import Blocked, MissingScopes, Reconnect, Refused, TryLater
from navi.net.guard import Policy
from navi.net.limits import Limiter, MemoryStore
from navi.net.remote import Remote
from tests.net.conftest import CONTEXT, Vendor, endless, in_turn, raw, saying

SECRET = "sk-live/s3cret+key=="


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr("navi.net.client.random.random", lambda: 0.02)


class ClientOfVendor(Client):
    """A client that knows the vendor at the other end."""

    server: Vendor


@pytest.fixture
def todoist(vendor):
    """`todoist(answer)`: a client whose vendor answers so; the vendor is its `server`."""

    def connect(answer, *, limiter=None, fields=None, **facts):
        facts = {"provider": "todoist", "auth": Bearer(), "name": "Todoist", **facts}
        server = vendor(answer)
        facts.setdefault("base_url", "https://api.todoist.example/v1")
        client = ClientOfVendor(
            Remote(**facts, upstream=server.origin),
            fields or {"apiKey": SECRET},
            Outbound(Policy(), ssl_context=CONTEXT),
            limiter=limiter,
        )
        client.server = server
        return client

    return connect


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/tasks", "/v1/tasks"),
        ("tasks", "/v1/tasks"),
        ("", "/v1"),
        ("/", "/v1/"),
        ("/repos/a%2Fb/c%2fd", "/v1/repos/a%2Fb/c%2fd"),
        ("/a b/é", "/v1/a%20b/%C3%A9"),
        ("/docs/x:batchUpdate", "/v1/docs/x:batchUpdate"),
        ("/mail/a@b.example", "/v1/mail/a@b.example"),
        ("/tasks?x=a%2Fb&y=[1]", "/v1/tasks?x=a%2Fb&y=[1]"),
        ("/next?url=https://elsewhere.example/", "/v1/next?url=https://elsewhere.example/"),
        ("/a..b/...", "/v1/a..b/..."),
        ("/https://elsewhere.example", "/v1/https://elsewhere.example"),
        ("/a//b", "/v1/a//b"),
        ("/100%", "/v1/100%"),
    ],
)
def test_a_path_joins_the_base_address(todoist, path, target):
    client = todoist(saying())

    client.get(path)

    assert client.server.requests[0].target == target


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("https://elsewhere.example/", "other_origin"),
        ("HTTP://elsewhere.example/", "other_origin"),
        ("https:/elsewhere.example/", "other_origin"),
        ("file:///etc/passwd", "other_origin"),
        ("//elsewhere.example/", "other_origin"),
        ("///elsewhere.example/", "other_origin"),
        ("\\\\elsewhere.example/", "bad_path"),
        ("/\\elsewhere.example/", "bad_path"),
        ("/a#b", "bad_path"),
        ("/a\r\nHost: x", "bad_path"),
        ("\t//elsewhere.example", "bad_path"),
        ("/a\x00", "bad_path"),
        ("..", "dot_segment"),
        ("/../admin", "dot_segment"),
        ("/a/../../admin", "dot_segment"),
        ("/a/./b", "dot_segment"),
        ("/a/..", "dot_segment"),
        ("/%2e%2e/admin", "dot_segment"),
        ("/.%2E/admin", "dot_segment"),
        ("/a/..%2fadmin", "dot_segment"),
        ("/a%2f..%2fadmin", "dot_segment"),
        ("/..%5cadmin", "dot_segment"),
        ("/..;/admin", "dot_segment"),
        ("/..?x", "dot_segment"),
    ],
)
def test_a_path_that_would_leave_is_refused(todoist, path, reason):
    client = todoist(saying())

    with pytest.raises(Blocked) as refusal:
        client.get(path)

    assert refusal.value.reason == reason and client.server.connections == 0


@pytest.mark.parametrize(
    ("auth", "fields", "expected"),
    [
        (Bearer(), {"apiKey": "k"}, ("authorization", "Bearer k")),
        (Bearer("botToken"), {"botToken": "k"}, ("authorization", "Bearer k")),
        (Header("Authorization"), {"apiKey": "k"}, ("authorization", "k")),
        (Header("X-Token", "token", "v1 "), {"token": "k"}, ("x-token", "v1 k")),
        (Basic(), {"username": "ä", "password": "p:q"}, ("authorization", "Basic w6Q6cDpx")),
        (Basic("=api", "apiKey"), {"apiKey": "k"}, ("authorization", "Basic YXBpOms=")),
    ],
)
def test_a_credential_travels_as_its_scheme_says(todoist, auth, fields, expected):
    client = todoist(saying(), auth=auth, fields=fields)

    client.get("/x", headers={"authorization": "mine", "X-TOKEN": "mine"})

    assert client.server.requests[0].headers[expected[0]] == expected[1]


def test_a_key_in_the_query_joins_the_other_parameters(todoist):
    client = todoist(saying(), auth=Query("key"), fields={"apiKey": "a&b"})

    response = client.get("/x?y=1", params={"z": [1, 2], "on": True, "left_out": None, "text": "a b"})

    assert client.server.requests[0].target == "/v1/x?y=1&z=1&z=2&on=true&text=a+b&key=a%26b"
    assert "a%26b" not in response.url + repr(response)


def test_a_connection_without_its_field_has_to_be_connected_again(todoist):
    with pytest.raises(Reconnect, match="no apiKey"):
        todoist(saying(), fields={"other": "x"}).get("/x")


def test_a_body_travels_as_json_form_or_bytes(todoist):
    client = todoist(saying())

    client.post("/x", json={"a": "é"})
    client.put("/x", data={"a": ["1", "2"], "b": True})
    client.patch("/x", content=b"raw", headers={"Content-Type": "text/plain"})
    client.post("/x", content=iter([b"pie", b"ces"]))
    client.delete("/x")

    kinds = [request.headers.get("content-type") for request in client.server.requests]
    bodies = [request.body for request in client.server.requests]
    assert kinds == ["application/json", "application/x-www-form-urlencoded", "text/plain", None, None]
    assert json.loads(bodies[0]) == {"a": "é"}
    assert bodies[1:] == [b"a=1&a=2&b=true", b"raw", b"3\r\npie\r\n3\r\nces\r\n0\r\n\r\n", b""]


def test_the_vendors_headers_yield_to_the_callers_and_both_to_the_credential(todoist):
    client = todoist(saying(), headers={"Notion-Version": "1", "Accept": "a", "Authorization": "no"})

    client.get("/x", headers={"notion-version": "2"})

    headers = client.server.requests[0].headers
    assert (headers["notion-version"], headers["accept"]) == ("2", "a")
    assert headers["authorization"] == f"Bearer {SECRET}" and headers["user-agent"] == "Navi"


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, Refused, "vendor_refused"),
        (401, Reconnect, "reauth_required"),
        (403, Refused, "vendor_refused"),
        (404, Refused, "vendor_refused"),
        (409, Refused, "vendor_refused"),
        (418, Refused, "vendor_refused"),
        (422, Refused, "vendor_refused"),
        (429, TryLater, "rate_limited"),
        (500, TryLater, "vendor_unavailable"),
        (503, TryLater, "vendor_unavailable"),
        (599, TryLater, "vendor_unavailable"),
    ],
)
def test_a_status_says_what_the_caller_does_next(todoist, status, error, code):
    with pytest.raises(error) as trouble:
        todoist(saying(b"{}", f"{status} X")).post("/x")

    assert (trouble.value.code, trouble.value.status) == (code, status)
    assert "Todoist" in trouble.value.message


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 304, 308])
def test_a_status_below_400_is_an_answer(todoist, status):
    assert todoist(saying(b"", f"{status} X")).get("/x").status_code == status


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("application/json", '{"message": "No such project"}', "No such project"),
        ("application/json", '{"error": {"code": 4, "message": "No such project"}}', "No such project"),
        (
            "application/json",
            '{"errors": [{"message": "No such project"}, {"message": "x"}]}',
            "No such project",
        ),
        ("application/json", '{"error": "x", "error_description": "No such project"}', "No such project"),
        ("application/problem+json", '{"title": "No", "detail": "No such project"}', "No such project"),
        ("application/json; charset=utf-8", '["No such project"]', "No such project"),
        ("application/json", '{"message": "No\\n such\\u0000  project"}', "No such project"),
        ("text/plain", "No such project\n", "No such project"),
        ("application/json", '{"message": "' + "long " * 100 + '"}', "long long"),
    ],
)
def test_a_refusal_quotes_the_vendors_own_words(todoist, kind, body, words):
    with pytest.raises(Refused) as refusal:
        todoist(saying(body.encode(), "404 X", Content_Type=kind)).get("/x")

    assert refusal.value.message.startswith(f"Todoist refused this request: {words}")
    assert len(refusal.value.message) < 350


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", "<html>Not found</html>"),
        ("text/plain", "<html>Not found</html>"),
        ("application/json", '{"message": "<b>Not found</b>"}'),
        ("application/json", "<html>"),
        ("application/json", '{"message": 4}'),
        ("application/json", "[" * 5000),
        ("text/plain", "x" * 5000),
        ("image/png", "x"),
        ("", "No such project"),
    ],
)
def test_a_page_or_garbage_is_never_quoted(todoist, kind, body):
    with pytest.raises(Refused) as refusal:
        todoist(saying(body.encode(), "404 X", Content_Type=kind)).get("/x")

    assert refusal.value.message == "Todoist refused this request (status 404)."


@pytest.mark.parametrize("said", [SECRET, "sk-live%2Fs3cret%2Bkey%3D%3D", f"Bearer {SECRET}"])
def test_a_vendor_that_repeats_the_credential_is_not_quoted_so(todoist, said):
    def own(response):
        return Refused(f"It said {response.json()['message']}") if response.status_code == 409 else None

    answer = json.dumps({"message": f"bad key {said}"}).encode()
    for status in ("400 X", "409 X"):
        with pytest.raises(Refused) as refusal:
            todoist(saying(answer, status, Content_Type="application/json"), errors=own).get("/x")

        assert "s3cret" not in refusal.value.message + repr(refusal.value) and "[hidden]" in str(
            refusal.value
        )


def test_a_basic_credential_is_hidden_in_its_encoded_form(todoist):
    client = todoist(
        saying(b"bad: dXNlcjpwYXNzd29yZA==", "400 X", Content_Type="text/plain"),
        auth=Basic(),
        fields={"username": "user", "password": "password"},
    )

    with pytest.raises(Refused, match=r"bad: \[hidden\]$"):
        client.get("/x")


def test_a_remotes_own_reading_comes_first(todoist):
    def own(response):
        return MissingScopes("Ask for more.", scopes=("repo",)) if response.status_code == 403 else None

    with pytest.raises(MissingScopes) as trouble:
        todoist(saying(b"{}", "403 X"), errors=own).get("/x")
    with pytest.raises(Reconnect):
        todoist(saying(b"{}", "401 X"), errors=own).get("/x")

    assert (trouble.value.scopes, trouble.value.status) == (("repo",), 403)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b""])
def test_an_error_of_unknown_shape_has_the_usual_meaning(todoist, body):
    def own(response):
        return Refused(response.json()["errors"][0]["text"])

    with pytest.raises(Reconnect):
        todoist(saying(body, "401 X"), errors=own).get("/x")


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_a_request_that_is_safe_to_repeat_is_tried_three_times(todoist, method):
    client = todoist(saying(b"{}", "503 X"))

    with pytest.raises(TryLater):
        getattr(client, method)("/x")

    assert len(client.server.requests) == 3


@pytest.mark.parametrize("method", ["post", "patch"])
def test_a_request_that_may_have_had_an_effect_is_sent_once(todoist, method):
    client = todoist(saying(b"{}", "503 X"))

    with pytest.raises(TryLater) as trouble:
        getattr(client, method)("/x", json={})

    assert trouble.value.sent and len(client.server.requests) == 1


def test_the_caller_may_know_better_what_is_safe_to_repeat(todoist):
    safe, unsafe = (todoist(saying(b"{}", "503 X")) for _ in range(2))

    for call in (lambda: safe.post("/x", idempotent=True), lambda: unsafe.get("/x", idempotent=False)):
        with pytest.raises(TryLater):
            call()

    assert (len(safe.server.requests), len(unsafe.server.requests)) == (3, 1)


def test_a_body_that_can_be_read_only_once_is_sent_once(todoist):
    client = todoist(saying(b"{}", "503 X"))

    with pytest.raises(TryLater):
        client.put("/x", content=iter([b"x"]))

    assert len(client.server.requests) == 1


@pytest.mark.parametrize(
    "trouble", [raw(b""), saying(b"", "500 X"), raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")]
)
def test_trouble_that_passes_is_not_noticed(todoist, trouble):
    client = todoist(in_turn(trouble, trouble, saying(b'"fine"')))

    assert client.get("/x").json() == "fine"


@pytest.mark.parametrize("status", ["400 X", "401 X", "403 X", "404 X", "409 X", "422 X"])
def test_a_refusal_is_not_repeated(todoist, status):
    client = todoist(saying(b"{}", status))

    with pytest.raises((Refused, Reconnect)):
        client.get("/x")

    assert len(client.server.requests) == 1


def test_a_hostile_answer_is_not_asked_for_again(todoist):
    client = todoist(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"))

    with pytest.raises(Blocked):
        client.get("/x")

    assert len(client.server.requests) == 1


def test_retry_after_is_waited_for_within_the_deadline(todoist):
    client = todoist(in_turn(saying(b"", "429 X", Retry_After="0.3"), saying(b'"fine"')))
    started_at = time.monotonic()

    assert client.get("/x").json() == "fine"
    assert 0.3 <= time.monotonic() - started_at < 20  # the deadline is 30


def test_retry_after_beyond_the_deadline_is_told_at_once(todoist):
    client = todoist(saying(b"", "429 X", Retry_After="60"), deadline=50.0)
    started_at = time.monotonic()

    with pytest.raises(TryLater) as trouble:
        client.get("/x")

    assert trouble.value.retry_at is not None
    wait = trouble.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=30) < wait <= timedelta(seconds=60)
    assert len(client.server.requests) == 1 and time.monotonic() - started_at < 25


def test_all_tries_together_keep_the_deadline(todoist, clock):
    def ill(request, sock):
        clock.ahead = 20
        saying(b"", "503 X")(request, sock)

    def drip(_, sock):
        clock.ahead = 31
        endless(b"H", head=b"", pause=0.02)(_, sock)

    client = todoist(in_turn(ill, drip), deadline=30.0)
    started_at = time.monotonic()

    with pytest.raises(TryLater) as trouble:
        client.get("/x")

    assert trouble.value.timed_out and "Todoist" in str(trouble.value)
    assert len(client.server.requests) == 2 and time.monotonic() - started_at < 20


def test_a_proxied_answer_streams_through_whatever_its_status(todoist):
    client = todoist(saying(b"teapot", "418 X", X_Vendor="1"))

    with client.stream(
        "POST", "/a%2Fb", params={"q": "1"}, content=b"body", headers={"X-Mine": "2"}
    ) as stream:
        received = (stream.status_code, stream.headers["x-vendor"], b"".join(stream.iter_bytes()))

    (request,) = client.server.requests
    assert received == (418, "1", b"teapot")
    assert (request.target, request.body, request.headers["x-mine"]) == ("/v1/a%2Fb?q=1", b"body", "2")
    assert request.headers["authorization"] == f"Bearer {SECRET}"


def test_a_429_pauses_the_account_for_every_client(todoist):
    limiter = Limiter(MemoryStore())
    client = todoist(saying(b"", "429 X", Retry_After="60"), limiter=limiter)
    for _ in range(3):
        with pytest.raises(TryLater) as trouble:
            client.get("/x")
        assert trouble.value.code == "rate_limited" and trouble.value.retry_at

    assert len(client.server.requests) == 1
    assert Client(client.remote, client.fields, client.outbound, limiter=limiter, account="other")


def test_a_429_in_a_stream_pauses_the_account_too(todoist):
    client = todoist(saying(b"", "429 X", Retry_After="60"), limiter=Limiter(MemoryStore()))
    with client.stream("GET", "/x") as stream:
        assert stream.status_code == 429

    with pytest.raises(TryLater), client.stream("GET", "/x"):
        pass

    assert len(client.server.requests) == 1


def test_a_limit_told_in_the_vendors_own_way_pauses_the_account(todoist):
    later = datetime.now(UTC) + timedelta(seconds=60)

    def own(response):
        return TryLater("Slow down.", code="rate_limited", retry_at=later)

    client = todoist(saying(b"", "403 X"), errors=own, limiter=Limiter(MemoryStore()))
    for _ in range(2):
        with pytest.raises(TryLater) as trouble:
            client.get("/x")
        assert trouble.value.code == "rate_limited"

    assert len(client.server.requests) == 1


@pytest.mark.parametrize("answer", [raw(b""), saying(b"", "500 X"), saying(b"", "404 X")])
def test_a_place_is_given_back_after_every_kind_of_trouble(todoist, answer):
    client = todoist(in_turn(answer, saying()), limiter=Limiter(MemoryStore(), calls=1), deadline=20.0)
    with pytest.raises((TryLater, Refused)):
        client.post("/x")

    assert client.post("/x").status_code == 200


@pytest.mark.parametrize("auth", [Bearer(), Header("X-Key"), Query("key"), Basic("=me", "apiKey"), NoAuth()])
def test_no_representation_holds_a_secret(auth):
    remote = Remote("todoist", "https://api.todoist.example", auth, headers={"X-Static": SECRET})
    client = Client(remote, {"apiKey": SECRET}, Outbound(Policy(), ssl_context=CONTEXT))

    assert "s3cret" not in f"{client!r} {remote!r} {auth!r} {client.secrets!r} {client.outbound!r}"


@pytest.mark.parametrize("field", ["s3cret\nX-Evil: 1", "s3cret\x00"])
def test_a_credential_that_cannot_travel_does_not_show(todoist, field):
    with pytest.raises(Blocked) as refusal:
        todoist(saying(), fields={"apiKey": field}).get("/x")

    assert "s3cret" not in repr(refusal.value)


def test_a_date_in_retry_after_is_understood(todoist):
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=90)
    client = todoist(saying(b"", "429 X", Retry_After=format_datetime(moment, usegmt=True)))

    with pytest.raises(TryLater) as trouble:
        client.post("/x")

    assert trouble.value.retry_at == moment
