"""A custom provider at a running httpbin, through the proxy: real sockets, a service nobody here wrote."""

import base64
import json
import time
import tracemalloc

import pytest

from credentials.models import Connection
from integrations.models import CustomProvider
from tests.real.conftest import KEY


def read(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def through(ada, path, **query):
    return ada.get(f"/api/proxy/bin{path}", **query)


def test_the_proxy_puts_the_credential_in(ada, bin_):
    answer = through(ada, "/bearer")

    assert json.loads(read(answer)) == {"authenticated": True, "token": KEY}
    assert answer.headers["X-Navi-Upstream"] == "1"
    assert answer.headers["Content-Security-Policy"] == "sandbox"


def test_the_agents_own_token_never_leaves(ada, adas_token, bin_):
    seen = json.loads(read(through(ada, "/headers", q="1")))["headers"]

    assert seen["Authorization"] == f"Bearer {KEY}"
    assert adas_token not in json.dumps(seen)
    assert "Cookie" not in seen


def test_user_name_and_password_travel_as_basic(ada, httpbin):
    body = {
        "name": "Basic bin",
        "baseUrl": httpbin,
        "sentAs": "basic",
        "healthPath": "/basic-auth/alice/wonder",
    }
    ada.post("/api/providers/custom", body)
    CustomProvider.objects.update(is_approved=True)
    wrong = ada.post("/api/credentials/basic-bin", {"credentials": {"username": "alice", "password": "nope"}})
    right = ada.post(
        "/api/credentials/basic-bin", {"credentials": {"username": "alice", "password": "wonder"}}
    )

    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_credentials")
    assert right.status_code == 201
    assert Connection.objects.count() == 1
    token = ada.get("/api/credentials/basic-bin/token").json()
    assert token["authorization"] == "Basic " + base64.b64encode(b"alice:wonder").decode()
    assert json.loads(read(ada.get("/api/proxy/basic-bin/basic-auth/alice/wonder")))["user"] == "alice"


def test_a_key_travels_in_a_header_or_in_the_address(ada, httpbin):
    for sent_as, name in (("header", "X-Bin-Key"), ("query", "bin_key")):
        body = {"name": f"Bin by {sent_as}", "baseUrl": httpbin, "sentAs": sent_as, "sentName": name}
        slug = ada.post("/api/providers/custom", body | {"healthPath": "/get"}).json()["slug"]
        CustomProvider.objects.update(is_approved=True)
        ada.post(f"/api/credentials/{slug}", {"credentials": {"apiKey": KEY}})

        seen = json.loads(read(ada.get(f"/api/proxy/{slug}/get")))
        assert seen["headers"].get("X-Bin-Key") == (KEY if sent_as == "header" else None)
        assert seen["args"].get("bin_key") == (KEY if sent_as == "query" else None)


def test_a_vendors_status_passes_through_the_proxy(ada, bin_):
    for status in (503, 418, 429):  # after the last one Navi holds back
        answer = through(ada, f"/status/{status}")
        read(answer)
        assert (answer.status_code, answer.headers["X-Navi-Upstream"]) == (status, "1")


@pytest.mark.slow  # a limit is waited for, as long as the call's deadline allows
def test_an_action_tells_a_limit_and_an_outage_apart(ada, bin_):
    limited = ada.post("/api/actions/bin.fetch", {"path": "/status/429"})
    CustomProvider.objects.update(name="Bin")
    down = ada.post("/api/actions/bin.fetch", {"path": "/status/503"})

    assert (limited.status_code, limited.json()["error"]["code"]) == (429, "rate_limited")
    assert "Retry-After" in limited.headers
    assert (down.status_code, down.json()["error"]["action"]) == (502, "retry_later")


def test_a_compressed_answer_arrives_unpacked(ada, bin_):
    answer = through(ada, "/gzip")

    assert json.loads(read(answer))["gzipped"] is True
    assert "Content-Encoding" not in answer.headers


def test_a_redirect_to_the_house_itself_is_handed_on_and_not_followed(ada, bin_, sentinel):
    port, visits = sentinel
    answer = through(ada, "/redirect-to", url=f"http://127.0.0.1:{port}/secret", status_code="302")
    fetched = ada.post("/api/actions/bin.fetch", {"path": f"/redirect-to?url=http://127.0.0.1:{port}/"})

    assert answer.status_code == 302
    assert fetched.status_code < 500
    time.sleep(0.3)
    assert visits == []


def test_a_stream_of_bytes_arrives_whole(ada, bin_):
    assert len(read(through(ada, "/stream-bytes/100000", seed="7"))) == 100_000


def test_a_drip_that_ends_in_time_arrives_and_an_endless_one_is_cut(ada, bin_, monkeypatch):
    quick = through(ada, "/drip", duration="1", numbytes="5", delay="0")
    assert read(quick) == b"*****"

    monkeypatch.setattr("integrations.registry.DEADLINE", 1.5)
    started = time.monotonic()
    slow = ada.post("/api/actions/bin.fetch", {"path": "/drip?duration=60&numbytes=300&delay=0"})

    assert (slow.status_code, slow.json()["error"]["code"]) == (504, "vendor_unavailable")
    assert time.monotonic() - started < 25  # the usual deadline is 30


def test_a_vendor_that_takes_too_long_is_a_time_out_and_the_credential_stays(ada, bin_, monkeypatch):
    monkeypatch.setattr("integrations.registry.DEADLINE", 1.0)
    answer = ada.post("/api/actions/bin.fetch", {"path": "/delay/9"})

    assert answer.status_code == 504
    assert answer.json()["error"]["action"] == "retry_later"
    assert ada.get("/api/credentials/bin/token").json()["value"] == KEY


def test_a_large_stream_does_not_fill_the_memory(ada, bin_):
    tracemalloc.start()
    size = sum(
        len(piece) for piece in through(ada, "/stream-bytes/102400", chunk_size="1024").streaming_content
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size == 102_400
    assert peak < 20 * 2**20


def test_other_hosts_are_out_of_reach_through_the_proxy(ada, bin_, sentinel):
    port, visits = sentinel
    for path in (f"//127.0.0.1:{port}/", f"/http://127.0.0.1:{port}/", "/../../etc", f"/@127.0.0.1:{port}/"):
        answer = ada.client.get(f"/api/proxy/bin/{path}")
        assert answer.status_code < 500, path
        read(answer)
    assert visits == []


def test_a_provider_inside_the_network_waits_for_the_operator(ada, httpbin):
    made = ada.post("/api/providers/custom", {"name": "Inside", "baseUrl": httpbin})
    saved = ada.post("/api/credentials/inside", {"credentials": {"apiKey": KEY}})

    assert made.json()["awaitsApproval"] is True
    assert (saved.status_code, saved.json()["error"]["code"]) == (403, "blocked")
    assert not Connection.objects.exists()


def test_another_address_asks_for_a_reconnect(ada, bin_, httpbin, settings):
    settings.OUTBOUND_ALLOW += ",localhost"
    CustomProvider.objects.update(base_url=httpbin.replace("127.0.0.1", "localhost"))

    answer = ada.get("/api/credentials/bin/token")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reauth_required")
