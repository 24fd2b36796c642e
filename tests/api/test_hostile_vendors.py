"""A vendor that lies, floods, drips or falls silent: a typed error in time, and the credential stays as it was."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc

import pytest

from credentials.models import Connection, Secret
from tests.net.conftest import endless, raw, saying, silence
from tests.standins.todoist import KEY

DEADLINE = 2.0
OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(200_000_000), 9)
DEEP = b"[" * 100_000

ANSWERS = {
    "a page": saying(b"<html><h1>Sign in</h1></html>", Content_Type="text/html"),
    "nothing": saying(b""),
    "no content": saying(b"", status="204 No Content"),
    "garbage": saying(b"\x00\xff\xfe garbage \x80"),
    "a list": saying(b"[1, 2, 3]"),
    "null": saying(b"null"),
    "a number": saying(b"17"),
    "a text": saying(b'"hello"'),
    "another shape": saying(b'{"results": {"deep": "wrong"}, "id": [], "email": 7}'),
    "half of it": raw(OK + b"Content-Length: 5000\r\nContent-Type: application/json\r\n\r\n{"),
    "nothing at all": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "NaN": saying(b'{"results": NaN, "id": NaN}'),
    "doubled": saying(b'{"id": 1, "id": 2}'),
    "bad UTF-8": saying(b'{"email": "\xff\xfe", "id": "1"}'),
    "deep": saying(DEEP),
    "deep objects": saying(b'{"a":' * 50_000),
    "a bomb": saying(BOMB, Content_Encoding="gzip"),
    "gzip that is none": saying(b"not gzip at all", Content_Encoding="gzip"),
    "another encoding": saying(b"{}", Content_Encoding="br"),
    "ten gigabytes": endless(b"x" * 65536, head=OK + b"Content-Length: 10000000000\r\n\r\n"),
    "endless chunks": endless(b"10000\r\n" + b"x" * 65536 + b"\r\n", head=OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "endless headers": endless(b"X-More: " + b"x" * 1000 + b"\r\n", head=OK),
    "a drip": endless(b" ", head=OK + b"Content-Length: 1000\r\n\r\n", pause=0.3),
    "silence": silence,
    "500": saying(b"<h1>Oops</h1>", status="500 Internal Server Error", Content_Type="text/html"),
    "503": saying(b"", status="503 Service Unavailable", Retry_After="nonsense"),
    "599": saying(b"", status="599 What"),
    "odd words": saying(b'{"error": "a\\u0000b\\ud800c\\u202e"}', status="400 Bad Request", Content_Type="application/json"),
    "odd words of 401": saying(b'{"error": "a\\u0000b\\ud800c"}', status="401 No", Content_Type="application/json"),
    "odd words of 403": saying(
        b'{"error": 7, "error_extra": {"argument": "a\\u0000\\ud800"}}', status="403 No", Content_Type="application/json"
    ),
    "long words": saying(json.dumps({"error": "x" * 100_000}).encode(), status="400 Bad Request"),
    "a redirect": saying(b"", status="302 Found", Location="http://169.254.169.254/latest/meta-data/"),
    "304": saying(b"", status="304 Not Modified"),
    "status 0": raw(b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n"),
    "status 999": raw(b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"),
    "a huge integer": saying(b'{"id": ' + b"9" * 5000 + b"}"),
    "half a surrogate": saying(b'{"id": "1", "email": "a\\ud800b", "results": [{"id": "1", "name": "a\\ud800b"}]}'),
    "a NUL": saying(b'{"id": "1", "email": "a\\u0000b", "results": [{"id": "1", "name": "a\\u0000b"}]}'),
    "a long name": saying(json.dumps({"id": "1" * 5000, "email": "x" * 100_000, "results": []}).encode()),
}  # fmt: skip

KNOWN = {"vendor_unavailable", "vendor_refused", "blocked", "reauth_required", "missing_scopes"}
# Only these end because time is up.
ENDLESS = {"ten gigabytes", "endless chunks", "endless headers", "a drip", "silence"}
# Strange letters are letters all the same: these may well be taken.
MAY_WORK = {"half a surrogate", "a NUL", "a long name", "doubled"}


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr("integrations.registry.DEADLINE", DEADLINE)


@pytest.fixture(params=ANSWERS)
def odd(request, vendor, monkeypatch):
    """A vendor that always answers so."""
    if request.param not in ENDLESS:  # these arrive, however busy the machine is
        monkeypatch.setattr("integrations.registry.DEADLINE", 10.0)
    return request.param, vendor(ANSWERS[request.param])


def in_time(call):
    started = time.monotonic()
    answer = call()
    assert time.monotonic() - started < 25  # the usual deadline is 30
    return answer


def untouched():
    """The credential is as it was, whatever is thought of its health."""
    row = Connection.objects.get()
    secret = Secret.objects.get()
    return (
        row.current_id == secret.pk and secret.fields.reveal()["fields"] == {"apiKey": KEY} and row.is_usable
    )


def test_an_action_ends_in_a_typed_error_and_in_time(ada, acmes_todoist, odd, error):
    name, _ = odd
    answer = in_time(lambda: ada.post("/api/actions/todoist.list_projects"))

    if answer.status_code == 200:
        assert name in MAY_WORK
    else:
        assert answer.status_code < 500 or answer.status_code in {502, 504}, answer.json()
        assert error(answer)["code"] in KNOWN
        assert "<h1>" not in error(answer)["message"]
        assert len(error(answer)["message"]) < 600
    if name != "odd words of 401":
        assert untouched()


def test_a_fresh_key_is_not_stored_on_such_an_answer(ada, acme, odd, error):
    name, _ = odd
    answer = in_time(lambda: ada.post("/api/credentials/todoist", {"credentials": {"apiKey": KEY}}))

    if answer.status_code == 201:
        assert name in MAY_WORK
        assert len(Connection.objects.get().label) <= 160
    else:
        assert answer.status_code in {400, 502, 504} or error(answer)["code"] in KNOWN, answer.json()
        assert not Connection.objects.exists()
        assert not Secret.objects.exists()


@pytest.mark.slow
def test_a_health_check_says_so_and_keeps_the_credential(ada, acmes_todoist, odd):
    answer = in_time(lambda: ada.post("/api/integrations/todoist/health-check", {}))

    assert answer.status_code == 200
    assert answer.json()["status"] in {"healthy", "degraded", "failed", "unknown"}
    assert Secret.objects.get().fields.reveal()["fields"] == {"apiKey": KEY}
    assert (ada.get("/api/credentials/todoist/token").status_code == 200) == (odd[0] != "odd words of 401")


@pytest.mark.slow
def test_the_proxy_hands_it_on_or_says_what_went_wrong(ada, acmes_todoist, odd, error):
    """Half an answer is broken off, so that the agent does not take it for all of it."""

    def whole():
        answer = ada.get("/api/proxy/todoist/user")
        try:
            for number, _ in enumerate(answer.streaming_content if answer.streaming else []):
                if number > 1000:
                    break
        except ConnectionAbortedError:
            return None
        return answer

    answer = in_time(whole)
    if answer is not None and "X-Navi-Upstream" not in answer.headers:
        assert answer.status_code in {403, 502, 504}
        assert error(answer)["code"] in {"vendor_unavailable", "blocked"}
    assert untouched()


def test_a_flood_does_not_fill_the_memory(ada, acmes_todoist, vendor):
    for name in ("ten gigabytes", "a bomb", "endless chunks", "endless headers"):
        vendor(ANSWERS[name])
        tracemalloc.start()
        ada.post("/api/actions/todoist.list_projects")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert peak < 50 * 2**20, name


def test_a_vendor_that_recovers_is_well_again(ada, acmes_todoist, vendor, monkeypatch):
    from credentials.client import start_anew

    # How often Navi asks again depends on how busy the machine is: the vendor is ill until it is told to be
    # well, not for a number of requests, and nobody hurries.
    monkeypatch.setattr("integrations.registry.DEADLINE", 20.0)
    vendor(saying(b"", status="503 Oops"))
    ill = ada.post("/api/actions/todoist.list_projects")
    start_anew()
    vendor(saying(b'{"results": [], "next_cursor": null}'))
    well = ada.post("/api/actions/todoist.list_projects")

    assert (ill.status_code, well.status_code) == (502, 200), (ill.json(), well.json())
    acmes_todoist.refresh_from_db()
    assert (acmes_todoist.health, acmes_todoist.error_count) == ("healthy", 0)
