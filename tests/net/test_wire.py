"""Who is called, under which name, and how often one asks for the way."""

import asyncio
import os
import ssl
import threading
import time
from types import SimpleNamespace

import httpcore2
import pytest

from navi.net import lines, wire
from navi.net.async_outbound import AsyncOutbound
from navi.net.client import Outbound
from navi.net.errors import Blocked, TryLater
from navi.net.guard import Policy
from tests.net.conftest import in_turn, raw, saying, silence


class DnsInTurn:
    """A resolver that remembers who was asked for and changes its mind."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, deadline: float) -> list[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def tls_vendor(vendor, authority, *names):
    """A vendor with a certificate for these names, and the names it was called by."""
    seen = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    context.sni_callback = lambda sock, name, _: seen.append(name)
    return vendor(saying(), tls=context), seen


def fetched(kind, policy, resolve, context, url):
    if kind == "threads":
        return Outbound(policy, resolve, ssl_context=context).send("GET", url)

    async def once():
        return await AsyncOutbound(policy, resolve, ssl_context=context).send("GET", url)

    return asyncio.run(once())


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_the_vendor_is_called_by_its_name_at_the_vetted_address(vendor, authority, trusting, kind):
    server, sni = tls_vendor(vendor, authority, "api.vendor.example")
    url = f"https://api.vendor.example:{server.port}/x"

    response = fetched(kind, Policy.parse("127.0.0.1"), DnsInTurn(["127.0.0.1"]), trusting, url)

    assert response.status_code == 200
    assert sni == ["api.vendor.example"]
    assert server.requests[0].headers["host"] == f"api.vendor.example:{server.port}"


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(vendor, authority, trusting, kind):
    server, _ = tls_vendor(vendor, authority, "someone-else.example")
    url = f"https://api.vendor.example:{server.port}/x"

    with pytest.raises(TryLater, match="certificate") as trouble:
        fetched(kind, Policy.parse("127.0.0.1"), DnsInTurn(["127.0.0.1"]), trusting, url)

    assert server.requests == [] and not trouble.value.sent


def test_a_certificate_of_an_unknown_authority_is_refused(vendor, authority):
    server, _ = tls_vendor(vendor, authority, "api.vendor.example")
    way_out = Outbound(Policy.parse("127.0.0.1"), DnsInTurn(["127.0.0.1"]))

    with pytest.raises(TryLater, match="certificate"):
        way_out.send("GET", f"https://api.vendor.example:{server.port}/")

    assert server.requests == []


def test_a_name_that_changes_its_address_is_asked_once(vendor):
    server = vendor(saying())
    resolve = DnsInTurn(["127.0.0.1"], ["127.0.0.9"], ["10.0.0.1"])
    way_out = Outbound(Policy.parse("127.0.0.1"), resolve)

    for _ in range(5):
        way_out.send("GET", f"http://rebinding.example:{server.port}/")

    assert resolve.asked == ["rebinding.example"]
    assert len(server.requests) == 5 and server.connections == 1


def test_the_second_answer_is_checked_as_strictly_as_the_first(vendor, monkeypatch):
    server = vendor(saying())
    resolve = DnsInTurn(["127.0.0.1"], ["169.254.169.254"])
    way_out = Outbound(Policy.parse("127.0.0.1"), resolve)
    way_out.send("GET", f"http://rebinding.example:{server.port}/")
    monkeypatch.setattr(lines, "LIFETIME_SECONDS", 0.0)

    with pytest.raises(Blocked) as refusal:
        way_out.send("GET", f"http://rebinding.example:{server.port}/")

    assert refusal.value.reason == "metadata_address"


def test_a_connection_older_than_a_minute_takes_no_new_call(vendor, outbound, monkeypatch):
    server = vendor(saying())
    outbound.send("GET", server.origin)
    (line,) = outbound.lines.open.values()
    line.opened_at -= 61

    outbound.send("GET", server.origin)

    assert server.connections == 2
    assert outbound.lines.leaving == [] and line.pool.connections == []


def test_a_line_that_retires_in_use_ends_with_its_last_call(vendor, outbound):
    server = vendor(saying(b"x" * 1000))

    with outbound.stream("GET", server.origin) as stream:
        outbound.close()
        assert stream.read() == b"x" * 1000

    assert outbound.lines.leaving == []


def test_a_redirect_is_an_answer_and_nobody_goes_there(vendor, send):
    sentinel = vendor(saying())
    server = vendor(saying(b"", "302 Found", Location=f"{sentinel.origin}/secret"))

    response = send("GET", f"{server.origin}/")

    assert (response.status_code, response.headers["location"]) == (302, f"{sentinel.origin}/secret")
    assert sentinel.connections == 0


def test_proxies_of_the_environment_are_ignored(vendor, send, monkeypatch):
    proxy, server = vendor(saying()), vendor(saying())
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.origin)

    send("GET", server.origin)

    assert (proxy.connections, len(server.requests)) == (0, 1)


def test_the_next_address_is_tried_when_the_first_does_not_answer(vendor):
    server = vendor(saying())
    way_out = Outbound(Policy.parse("127.0.0.0/8"), DnsInTurn(["127.0.0.77", "127.0.0.1"]))

    assert way_out.send("GET", f"http://two.example:{server.port}/").status_code == 200


def test_after_a_failed_connect_the_name_is_looked_up_anew(vendor):
    server = vendor(saying())
    resolve = DnsInTurn(["127.0.0.77"], ["127.0.0.1"])
    way_out = Outbound(Policy.parse("127.0.0.0/8"), resolve)
    url = f"http://moving.example:{server.port}/"

    with pytest.raises(TryLater) as trouble:
        way_out.send("GET", url)

    assert not trouble.value.sent
    assert way_out.send("GET", url).status_code == 200


def test_somebody_else_at_the_other_end_is_hung_up_on():
    with pytest.raises(ConnectionError):
        wire.check_peer(("127.0.0.2", 80), "127.0.0.1", 80)
    with pytest.raises(ConnectionError):
        wire.check_peer(("127.0.0.1", 81), "127.0.0.1", 80)

    wire.check_peer(("::ffff:127.0.0.1", 80, 0, 0), "127.0.0.1", 80)


def test_unix_sockets_are_not_connected_to():
    with pytest.raises(httpcore2.ConnectError):
        wire.VettedBackend(("127.0.0.1",)).connect_unix_socket("/var/run/docker.sock")


def test_an_upstream_gets_the_request_with_its_path_and_query(vendor):
    server = vendor(saying())
    way_out = Outbound(Policy())

    response = way_out.send("GET", "https://api.vendor.example/a%2Fb?q=1&q=2", upstream=server.origin)

    assert response.status_code == 200
    assert server.requests[0].target == "/a%2Fb?q=1&q=2"
    assert server.requests[0].headers["host"] == f"127.0.0.1:{server.port}"


def test_an_upstreams_open_line_serves_no_call_without_the_permission(vendor):
    server = vendor(saying())
    way_out = Outbound(Policy())
    way_out.send("GET", "https://api.vendor.example/", upstream=server.origin)

    with pytest.raises(Blocked) as refusal:
        way_out.send("GET", f"{server.origin}/")

    assert refusal.value.reason == "loopback_address"
    assert len(server.requests) == 1


def test_headers_of_the_connection_are_ours(vendor, send):
    server = vendor(saying())
    ours = {"Host": "evil.example", "Transfer-Encoding": "chunked", "Content-Length": "99", "Upgrade": "h2c"}

    send("POST", server.origin, headers={**ours, "X-Kept": "yes"}, content=b"12345")

    headers = server.requests[0].headers
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["content-length"] == "5" and headers["x-kept"] == "yes"
    assert not {"transfer-encoding", "upgrade"} & set(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Key", "s3cret\r\nHost: evil"), ("X-Key", "s3cret\n"), ("X-Key", "s3cret\x00"), ("X Key", "s3cret"),
     ("X-Key:", "s3cret"), ("", "s3cret"), ("X-Key", "s3cret\ud800")],
)  # fmt: skip
def test_a_header_that_cannot_travel_is_refused_without_its_value(vendor, send, name, value):
    server = vendor(saying())

    with pytest.raises(Blocked) as refusal:
        send("GET", server.origin, headers={name: value})

    assert refusal.value.reason == "bad_header"
    assert "s3cret" not in str(refusal.value) + repr(refusal.value)
    assert server.connections == 0


def test_bytes_behind_an_answer_do_not_begin_the_next_one(vendor, outbound):
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
    honest = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"
    server = vendor(in_turn(raw(honest + smuggled, then_close=False), raw(honest, then_close=False)))

    first, second = outbound.send("GET", server.origin), outbound.send("GET", server.origin)

    assert (first.content, second.content) == (b"honest", b"honest")
    assert server.connections == 2


def test_asyncio_gives_up_a_connection_with_leftovers_too(vendor):
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
    honest = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhonest"
    server = vendor(in_turn(raw(honest + smuggled, then_close=False), raw(honest, then_close=False)))

    async def twice():
        way_out = AsyncOutbound(Policy.parse("127.0.0.1"))
        answers = [await way_out.send("GET", server.origin) for _ in range(2)]
        await way_out.aclose()
        return [answer.content for answer in answers]

    assert asyncio.run(twice()) == [b"honest", b"honest"]


def test_asyncio_streams_piece_by_piece_and_keeps_its_connection(vendor):
    server = vendor(saying(b"x" * 200_000))

    async def twice():
        way_out = AsyncOutbound(Policy.parse("127.0.0.1"))
        sizes = []
        for _ in range(2):
            async with way_out.stream("GET", server.origin) as stream:
                sizes.append(sum([len(piece) async for piece in stream.iter_bytes()]))
        await way_out.aclose()
        return sizes

    assert asyncio.run(twice()) == [200_000, 200_000]
    assert server.connections == 1


def test_asyncio_takes_many_calls_at_once_and_a_silent_one_holds_up_none(vendor):
    def answer(request, sock):
        (silence if request.target == "/silent" else saying())(request, sock)

    server = vendor(answer)

    async def together():
        way_out = AsyncOutbound(Policy.parse("127.0.0.1"))
        silent = way_out.send("GET", f"{server.origin}/silent", deadline=0.5)
        calls = [way_out.send("GET", server.origin) for _ in range(29)]
        answers = await asyncio.gather(silent, *calls, return_exceptions=True)
        await way_out.aclose()
        return answers

    answers = asyncio.run(together())
    assert [type(answer).__name__ for answer in answers] == ["TryLater"] + ["Response"] * 29
    assert server.connections <= 20


def test_a_call_without_a_free_connection_says_busy(vendor, monkeypatch):
    monkeypatch.setattr("navi.net.outbound.CONNECTIONS_PER_ORIGIN", 1)
    # A clock that stands still: nothing of the deadline is used up before the wait for a connection.
    now = time.monotonic()
    monkeypatch.setattr("navi.net.sending.time", SimpleNamespace(monotonic=lambda: now))
    way_out = Outbound(Policy.parse("127.0.0.1"))
    server = vendor(saying(b"x" * 10))

    with way_out.stream("GET", server.origin) as stream:
        with pytest.raises(TryLater) as trouble:
            way_out.send("GET", server.origin, deadline=0.2)
        stream.read()

    assert trouble.value.code == "busy"
    assert way_out.send("GET", server.origin).status_code == 200 and server.connections == 1


def test_many_threads_share_one_way_out(vendor, outbound):
    server = vendor(saying(b"x" * 5000))
    answers: list[bytes] = []

    def call():
        answers.extend(outbound.send("GET", server.origin).content for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [b"x" * 5000] * 150
    assert server.connections <= 20


def test_a_forked_worker_does_not_speak_on_its_parents_connections(vendor, outbound, monkeypatch):
    server = vendor(saying())
    outbound.send("GET", server.origin)
    monkeypatch.setattr(os, "getpid", lambda: -1)

    outbound.send("GET", server.origin)

    assert server.connections == 2
