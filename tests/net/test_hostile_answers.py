"""Vendors that drip, flood, lie and fall silent: a typed error in time, and little memory."""

import gzip
import re
import socket
import ssl
import subprocess
import sys
import textwrap
import time
import zlib

import pytest

from navi.net.answer import Headers, Response
from navi.net.errors import Blocked, TryLater
from navi.net.guard import Policy
from navi.net.outbound import Outbound
from tests.net.conftest import endless, raw, saying, silence

OK = b"HTTP/1.1 200 OK\r\n"
DEADLINE = 0.3
# A busy machine may take some of these seconds; a call that nobody cuts takes 30.
FOR_EVER = 20


def seconds_for(call):
    started_at = time.monotonic()
    call()
    return time.monotonic() - started_at


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK + b"Content-Length: 1000\r\n\r\n", b"x"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;"),
        (OK + b"\r\n", b"x"),
        (OK + b"X-Long: ", b"x"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"", mtime=0)),
    ],
    ids=[
        "body",
        "chunks",
        "chunk extension",
        "until close",
        "header",
        "status line",
        "interim",
        "gzip members",
    ],
)
def test_a_drip_is_cut_at_the_deadline(vendor, send, clock, head, piece):
    dripped = []

    def drip(_, sock):
        sock.sendall(head)
        while True:
            sock.sendall(piece)
            dripped.append(clock.ahead)
            clock.ahead = 31 * (len(dripped) >= 3)
            time.sleep(0.02)

    server = vendor(drip)

    def call():
        with pytest.raises(TryLater) as trouble:
            send("GET", server.origin, deadline=30, name="Drip")
        assert trouble.value.timed_out and trouble.value.sent
        assert str(trouble.value) == "Drip did not answer in time. Try again in a moment."

    assert seconds_for(call) < FOR_EVER
    assert dripped[:3] == [0, 0, 0]  # until then nobody cut it


def test_silence_is_cut_at_the_deadline(vendor, send):
    server = vendor(silence)

    def call():
        with pytest.raises(TryLater) as trouble:
            send("GET", server.origin, deadline=DEADLINE)
        assert trouble.value.timed_out

    assert DEADLINE - 0.05 < seconds_for(call) < FOR_EVER


def test_a_tls_greeting_that_never_comes_is_cut_at_the_deadline(send):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def call():
            with pytest.raises(TryLater) as trouble:
                send("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", deadline=DEADLINE)
            assert trouble.value.timed_out and not trouble.value.sent

        assert DEADLINE - 0.05 < seconds_for(call) < FOR_EVER


def test_a_vendor_that_does_not_take_the_body_is_cut_at_the_deadline(send):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def call():
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(TryLater) as trouble:
                send("POST", url, content=b"x" * 30_000_000, deadline=DEADLINE)
            assert trouble.value.timed_out

        assert DEADLINE - 0.05 < seconds_for(call) < FOR_EVER


def test_a_connection_that_is_never_accepted_is_cut_at_the_deadline(send):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)

        def call():
            with pytest.raises(TryLater) as trouble:
                send("GET", f"http://127.0.0.1:{address[1]}/", deadline=DEADLINE)
            assert trouble.value.timed_out and not trouble.value.sent

        assert DEADLINE - 0.05 < seconds_for(call) < FOR_EVER
        for one in waiting:
            one.close()


def test_a_lookup_that_takes_its_time_counts_for_the_deadline(vendor, clock):
    server = vendor(silence)

    def slow(host, port, deadline):
        clock.ahead = 29.7
        return ["127.0.0.1"]

    def call():
        with pytest.raises(TryLater):
            Outbound(Policy.parse("127.0.0.1"), slow).send(
                "GET", f"http://slow.example:{server.port}/", deadline=30
            )

    assert 0.25 < seconds_for(call) < FOR_EVER


def test_a_fast_endless_stream_is_cut_at_the_size_limit(vendor, send):
    server = vendor(endless(b"x" * 65536, head=OK + b"\r\n"))

    with pytest.raises(Blocked, match="larger than 1 MiB") as refusal:
        send("GET", server.origin, max_bytes=1024**2)

    assert refusal.value.reason == "answer_too_large"


def test_a_stream_read_piece_by_piece_has_the_same_limits(vendor, outbound):
    server = vendor(endless(b"x" * 65536, head=OK + b"\r\n"))
    taken = 0

    with outbound.stream("GET", server.origin, max_bytes=1024**2) as stream:
        pieces = stream.iter_bytes()
        while taken < 1024**2 - 65536:
            taken += len(next(pieces))
        with pytest.raises(Blocked):
            list(pieces)


@pytest.mark.parametrize(
    ("flood", "message"),
    [
        (endless(b"X-Flood: " + b"x" * 1000 + b"\r\n", head=OK), "not HTTP"),
        (endless(b"x" * 1000, head=OK + b"X-Long: "), "not HTTP"),
        (endless(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", head=b""), "not HTTP"),
        (endless(b"x" * 1000, head=OK + b"Transfer-Encoding: chunked\r\n\r\n1;"), "not HTTP"),
        (raw(OK + b"X: " + b"x" * 65536 + b"\r\nContent-Length: 0\r\n\r\n"), "not HTTP"),
    ],
    ids=["headers", "one header", "interim answers", "chunk extension", "just too large"],
)
def test_a_flood_of_headers_is_cut(vendor, send, flood, message):
    with pytest.raises(TryLater, match=message):
        send("GET", vendor(flood).origin, deadline=10)


def test_headers_just_below_the_limit_are_read(vendor, send):
    server = vendor(saying(b"{}", X="x" * 65000))

    assert len(send("GET", server.origin).headers["x"]) == 65000


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"<html>\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        OK + b"Content-Length: 10\r\n\r\nshort",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1, 2\r\n\r\n",
        OK + b"Content-Length: ten\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\nx",
        OK + b"Content-Length: 9\r\nContent-Encoding: gzip\r\n\r\nnot gzip!",
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello" * 100, mtime=0)[:-9],
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello", mtime=0)[:-8] + b"\x00" * 8,
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello", mtime=0) + b"trailing",
        OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello" * 100)[:-5],
    ],
)
def test_a_broken_answer_means_try_later_and_is_not_repeated(vendor, send, answer):
    server = vendor(raw(answer))

    with pytest.raises(TryLater) as trouble:
        send("GET", server.origin, name="Broken")

    assert trouble.value.code == "vendor_unavailable"
    assert str(trouble.value).startswith(("Broken", "The connection to Broken"))


def test_an_answer_longer_than_it_says_ends_where_it_says(vendor, send):
    server = vendor(raw(OK + b"Content-Length: 5\r\n\r\nhello and more"))

    assert send("GET", server.origin).content == b"hello"


def test_a_huge_announced_length_is_refused_before_reading(vendor, send):
    server = vendor(raw(OK + b"Content-Length: 10000000000\r\n\r\n", then_close=False))

    with pytest.raises(Blocked) as refusal:
        send("GET", server.origin)

    assert refusal.value.reason == "answer_too_large"


@pytest.mark.parametrize(
    "method_and_status", [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")]
)
def test_an_announced_length_without_a_body_is_no_trouble(vendor, send, method_and_status):
    method, status = method_and_status
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n"
    length = "" if "204" in status else "Content-Length: 99999999999\r\n"
    server = vendor(raw((head + length + "\r\n").encode(), then_close=False))

    assert send(method, server.origin).content == b""


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "x"])
def test_an_encoding_navi_did_not_ask_for_is_refused(vendor, send, encoding):
    server = vendor(saying(b"x", **{"Content-Encoding": encoding}))

    with pytest.raises(Blocked) as refusal:
        send("GET", server.origin)

    assert refusal.value.reason == "content_encoding"


TEXTS = (b",".join(b"%d" % (number * 7919) for number in range(40_000)), b"hello" * 2000, b"x", b"")


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    ],
)
@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_a_packed_answer_is_unpacked(vendor, send, encoding, pack, text):
    server = vendor(saying(pack(text), Content_Encoding=encoding))

    response = send("GET", server.origin)

    assert response.content == text
    assert encoding == "identity" or "content-length" not in response.headers


def test_a_gzip_bomb_is_refused_by_its_ratio(vendor, send):
    server = vendor(saying(gzip.compress(bytes(9_000_000)), Content_Encoding="gzip"))

    with pytest.raises(Blocked) as refusal:
        send("GET", server.origin)

    assert refusal.value.reason == "decompression_ratio"


def test_packed_nothing_without_end_is_cut_at_the_size_limit(vendor, send):
    server = vendor(endless(gzip.compress(b"", mtime=0) * 3000, head=OK + b"Content-Encoding: gzip\r\n\r\n"))

    with pytest.raises(Blocked) as refusal:
        send("GET", server.origin, max_bytes=256 * 1024)

    assert refusal.value.reason == "answer_too_large"


def test_a_well_packed_answer_is_refused_by_its_size(vendor, send):
    text = b"".join(b"%d," % (number * 7919 % 100_003) for number in range(400_000))
    server = vendor(saying(gzip.compress(text, mtime=0), Content_Encoding="gzip"))

    with pytest.raises(Blocked) as refusal:
        send("GET", server.origin, max_bytes=1024**2)

    assert refusal.value.reason == "answer_too_large"


# ru_maxrss begins with the parent's memory; VmHWM is the process's own peak.
MEASURED = """
    import re, sys
    from pathlib import Path
    from navi.net.errors import Blocked
    from navi.net.guard import Policy
    from navi.net.outbound import Outbound

    def peak():
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    way_out = Outbound(Policy.parse("127.0.0.1"))
    way_out.send("GET", sys.argv[1] + "/warm-up")
    before = peak()
    for _ in range(2):
        try:
            way_out.send("GET", sys.argv[1] + "/hostile")
        except Blocked as refusal:
            reason = refusal.reason
    print(reason, peak() - before)
"""


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (saying(gzip.compress(bytes(200_000_000), 9), Content_Encoding="gzip"), "decompression_ratio"),
        (endless(b"x" * 2**20, head=OK + b"\r\n"), "answer_too_large"),
        (endless(b"x" * 2**20, head=OK + b"Content-Length: 10737418240\r\n\r\n"), "answer_too_large"),
    ],
    ids=["gzip bomb of 200 MB", "endless", "10 GB announced"],
)
def test_a_bomb_takes_less_than_50_mb_of_memory(vendor, hostile, reason):
    def answer(request, sock):
        (hostile if request.target == "/hostile" else saying())(request, sock)

    command = [sys.executable, "-c", textwrap.dedent(MEASURED), vendor(answer).origin]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    assert said.split()[0] == reason
    assert float(said.split()[1]) < 50


@pytest.mark.parametrize(
    "content",
    [
        b"", b" ", b"<html>nope</html>", b'{"a": ', b"nul", b"NaN", b'{"a": NaN}', b"[Infinity]",
        b"[-Infinity]", b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "b": 1}}', b"\xff\xfe{}",
        b'"\x80"', b"{} {}", b"1" * 5000, b"{'a': 1}", b"[1,]", b"[" * 101 + b"]" * 101, b"[" * 100_000,
        b'{"a":' * 101 + b"1" + b"}" * 101, b'[{"a":' * 60 + b"1" + b"}]" * 60,
    ],
    ids=lambda content: ascii(content)[:30],
)  # fmt: skip
def test_what_is_not_sound_json_means_try_later(content):
    with pytest.raises(TryLater, match="cannot read") as trouble:
        Response(200, Headers(), content, name="Garbage").json()

    assert trouble.value.status == 200


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"{}", {}),
        (b"null", None),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": [1.5, -2e3, true]}', {"a": [1.5, -2000.0, True]}),
        ('{"name": "Zoë 🎈"}'.encode(), {"name": "Zoë 🎈"}),
    ],
)
def test_sound_json_is_read(content, value):
    assert Response(200, Headers(), content).json() == value


def test_json_may_nest_a_hundred_deep():
    assert Response(200, Headers(), b"[" * 100 + b"]" * 100).json()


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text/plain", "grün".encode(), "grün"),
        ("text/plain; charset=latin-1", "grün".encode("latin-1"), "grün"),
        ("text/plain; charset=no-such", "grün".encode(), "grün"),
        ("text/plain; charset=utf-8", b"\xff", "�"),
        ("text/plain; charset=idna", b"\xff\xff..", "��.."),
    ],
)
def test_text_is_read_in_any_charset(kind, content, text):
    assert Response(200, Headers({"Content-Type": kind}), content).text == text


def test_headers_are_found_in_any_case_and_keep_their_values_apart():
    headers = Headers([("Set-Cookie", "a=1"), ("X-One", "1"), ("set-cookie", "b=2")])

    assert headers["SET-COOKIE"] == "a=1, b=2"
    assert headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert dict(headers) == {"set-cookie": "a=1, b=2", "x-one": "1"}
    assert "x-ONE" in headers and headers.get("missing") is None and len(headers) == 2


def test_nothing_of_the_wire_shows_in_an_error(vendor, send):
    server = vendor(raw(b"HTTP/1.1 200 OK\r\nX-Echo s3cret\r\n\r\n"))

    with pytest.raises(TryLater) as trouble:
        send("GET", f"{server.origin}/?key=s3cret", headers={"Authorization": "Bearer s3cret"})

    assert "s3cret" not in f"{trouble.value!r} {trouble.value} {trouble.value.__cause__}"
    assert not re.search(r"h11|httpcore|Traceback", str(trouble.value))


def test_an_answer_without_tls_on_a_tls_port_means_try_later(vendor, trusting: ssl.SSLContext):
    server = vendor(saying())

    with pytest.raises(TryLater):
        Outbound(Policy.parse("127.0.0.1"), ssl_context=trusting).send(
            "GET", f"https://127.0.0.1:{server.port}/", deadline=0.5
        )
