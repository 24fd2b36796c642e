"""What an operator can allow, and what nobody can."""

import socket
import threading
import time

import pytest

from navi.net import guard
from navi.net.addresses import plain
from navi.net.errors import Blocked, TryLater
from navi.net.guard import Policy, explain, vet
from tests.net.corpus import PUBLIC


def dns(*addresses):
    return lambda host, port, deadline: list(addresses)


def reason(url, policy, *addresses):
    return explain(url, policy=policy, resolve=dns(*addresses)).reason


@pytest.mark.parametrize(
    ("allow", "url", "expected"),
    [
        ("127.0.0.1:9001", "http://127.0.0.1:9001/x", "ok"),
        ("127.0.0.1:9001", "https://127.0.0.1:9001/x", "ok"),
        ("127.0.0.1:9001", "http://127.0.0.1:9002/", "loopback_address"),
        ("127.0.0.1:9001", "http://127.0.0.2:9001/", "loopback_address"),
        ("127.0.0.1:9001", "http://[::ffff:127.0.0.1]:9001/", "ok"),
        ("127.0.0.1", "http://127.0.0.1:1234/", "ok"),
        ("10.2.0.0/16", "http://10.2.255.1:8080/", "ok"),
        ("10.2.0.0/16", "http://10.3.0.1/", "private_address"),
        ("10.2.0.0/16:443", "https://10.2.0.1/", "ok"),
        ("10.2.0.0/16:443", "http://10.2.0.1/", "private_address"),
        ("[::1]:9001", "http://[::1]:9001/", "ok"),
        ("::1", "http://[::1]:9001/", "ok"),
        ("fd00::/8", "http://[fd00:1::1]/", "ok"),
        ("fd00::/8", "http://[fd00:ec2::254]/", "metadata_address"),
        ("[fd00::/8]:80", "http://[fd00:1::1]/", "ok"),
        ("8.8.8.8:8443", "https://8.8.8.8:8443/", "ok"),
        ("8.8.8.8", "http://8.8.8.8/", "ok"),
        ("8.8.8.8:8443", "https://8.8.8.8:8444/", "port"),
        ("127.0.0.1:9001, 10.2.0.0/16 ,", "http://10.2.0.1/", "ok"),
        ("", "https://127.0.0.1/", "loopback_address"),
    ],
)
def test_an_allowed_address_passes_and_its_neighbours_do_not(allow, url, expected):
    assert reason(url, Policy.parse(allow)) == expected


@pytest.mark.parametrize(
    ("allow", "url", "address", "expected"),
    [
        ("intranet.example:8443", "https://intranet.example:8443/", "10.0.0.1", "ok"),
        ("intranet.example:8443", "http://INTRANET.example:8443/", "10.0.0.1", "ok"),
        ("intranet.example:8443", "https://intranet.example/", "10.0.0.1", "private_address"),
        ("intranet.example:8443", "https://other.example:8443/", "10.0.0.1", "port"),
        ("intranet.example", "http://intranet.example:1/", "10.0.0.1", "ok"),
        ("intranet.example", "http://sub.intranet.example/", "10.0.0.1", "https_only"),
        ("redis", "http://redis/", "10.0.0.1", "ok"),
        ("printer.local:80", "http://printer.local/", "192.168.1.9", "ok"),
        ("printer.local:80", "http://scanner.local/", "192.168.1.9", "local_name"),
        ("intranet.example", "http://intranet.example/", "169.254.169.254", "metadata_address"),
        ("10.0.0.1:8080", "http://any.example:8080/", "10.0.0.1", "ok"),
        ("10.0.0.1:8080", "http://any.example:8080/", PUBLIC, "port"),
        ("10.0.0.1", "http://any.example/", PUBLIC, "https_only"),
        ("10.0.0.1", "http://single/", "10.0.0.1", "single_label"),
    ],
)
def test_an_allowed_name_passes_and_its_neighbours_do_not(allow, url, address, expected):
    assert reason(url, Policy.parse(allow), address) == expected


@pytest.mark.parametrize(
    "item",
    ["127.1", "10.2.0.5/16", "http://127.0.0.1:9001", "host:port", "a b", "127.0.0.1:0", "127.0.0.1:70000",
     "[::1", "::1]:80", "host:", "*.example.com", "0x7f.1:80", "10.0.0.0/99", "user@host"],
)  # fmt: skip
def test_a_wrong_item_is_named_in_the_error(item):
    with pytest.raises(ValueError, match=r"such as 127\.0\.0\.1:9001") as error:
        Policy.parse(f"10.0.0.1,{item}")

    assert repr(item) in str(error.value)


@pytest.mark.parametrize(
    ("own", "url"),
    [
        (("127.0.0.1", 8000), "http://127.0.0.1:8000/"),
        (("127.0.0.1", 8000), "http://127.0.0.2:8000/"),
        (("127.0.0.1", 8000), "http://0.0.0.0:8000/"),
        (("127.0.0.1", 8000), "http://[::1]:8000/"),
        (("127.0.0.1", 8000), "http://[::ffff:127.0.0.1]:8000/"),
        (("127.0.0.1", 8000), "http://[64:ff9b::127.0.0.1]:8000/"),
        (("0.0.0.0", 8000), "http://127.0.0.1:8000/"),
        (("::", 8000), "http://127.0.0.1:8000/"),
        (("10.0.0.5", 5432), "http://10.0.0.5:5432/"),
        (("8.8.8.8", 443), "https://8.8.8.8/"),
    ],
)
def test_navis_own_services_stay_blocked_when_everything_is_allowed(own, url):
    policy = Policy.parse("0.0.0.0/0,::/0", [own])

    assert reason(url, policy) == "own_service"


def test_a_service_on_another_port_of_the_same_machine_can_be_allowed():
    policy = Policy.parse("127.0.0.1:9001", [("127.0.0.1", 8000), ("0.0.0.0", 5432)])

    assert reason("http://127.0.0.1:9001/", policy) == "ok"


def test_a_service_that_listens_everywhere_has_every_address_of_this_machine():
    assert guard.belongs_to_this_machine(plain("127.0.0.1"))
    assert not guard.belongs_to_this_machine(plain("8.8.8.8"))


def test_an_origin_allowed_for_one_call_allows_exactly_that_origin():
    def verdict(url, upstream="http://127.0.0.1:9001"):
        return vet(url, policy=Policy(), resolve=dns("127.0.0.1"), also_allow=upstream).addresses

    assert verdict("http://127.0.0.1:9001/x") == ("127.0.0.1",)
    assert verdict("http://localhost:9001/x", "http://localhost:9001") == ("127.0.0.1",)
    for other in ("http://127.0.0.1:9002/", "http://127.0.0.2:9001/", "http://elsewhere.example:9001/"):
        with pytest.raises(Blocked):
            verdict(other)


def test_metadata_and_own_services_are_no_upstreams():
    policy = Policy.parse("", [("127.0.0.1", 8000)])

    for upstream in ("http://169.254.169.254", "http://127.0.0.1:8000"):
        with pytest.raises(Blocked):
            vet(upstream + "/x", policy=policy, also_allow=upstream)


def test_an_address_literal_needs_no_lookup():
    def no_dns(host, port, deadline):
        raise AssertionError("looked up")

    assert vet("https://8.8.8.8/", policy=Policy(), resolve=no_dns).addresses == ("8.8.8.8",)


def test_a_refused_port_is_not_even_looked_up():
    def no_dns(host, port, deadline):
        raise AssertionError("looked up")

    assert explain("https://good.example.com:22/", policy=Policy(), resolve=no_dns).reason == "port"


def test_answers_are_unwrapped_counted_once_and_capped():
    answers = [*(f"8.8.{i}.8" for i in range(40)), "8.8.0.8", "::ffff:8.8.1.8"]

    addresses = vet("https://good.example.com/", policy=Policy(), resolve=dns(*answers)).addresses

    assert addresses == tuple(f"8.8.{i}.8" for i in range(32))


@pytest.mark.parametrize("answer", [OSError("no such name"), socket.gaierror(-2), UnicodeError(), []])
def test_a_name_without_address_means_try_later(answer):
    def broken(host, port, deadline):
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(TryLater) as trouble:
        vet("https://good.example.com/", policy=Policy(), resolve=broken)

    assert trouble.value.code == "vendor_unavailable" and not trouble.value.timed_out
    assert explain("https://good.example.com/", policy=Policy(), resolve=broken).reason == "unresolved"


def test_a_lookup_that_hangs_is_given_up_at_its_deadline(monkeypatch):
    let_go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: let_go.wait(60) and [])
    started_at = time.monotonic()

    with pytest.raises(TryLater) as trouble:
        vet("https://good.example.com/", policy=Policy(), deadline=0.2)

    let_go.set()
    assert trouble.value.timed_out and time.monotonic() - started_at < 30


def test_the_systems_resolver_finds_this_machine():
    assert "127.0.0.1" in guard.system_resolver("localhost", 80, 30.0)
