"""May Navi call this address? Parsed once, resolved once, every answer checked."""

import functools
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import ip_network

from navi.net.addresses import (
    Address,
    Network,
    embedded,
    is_metadata,
    is_this_machine,
    plain,
    why_not_public,
)
from navi.net.errors import Blocked, TryLater, VendorError
from navi.net.urls import Place, parse, parse_host, parse_port, refuse

# host, port, seconds it may take -> addresses as text; raises OSError where there is no answer.
Resolver = Callable[[str, int, float], list[str]]

RESOLVE_SECONDS = 5.0
RESOLVER_THREADS = 8
MAX_ANSWERS = 32
USUAL_PORTS = (80, 443)
# Names that mean something on the local network only, or nothing at all.
LOCAL_NAMES = (
    "local", "internal", "localhost", "localdomain", "home.arpa", "svc", "lan",
    "intranet", "corp", "home", "private", "onion",
)  # fmt: skip


@dataclass(frozen=True)
class Allowed:
    """One item of NAVI_OUTBOUND_ALLOW: a host name or a network, on one port or on all."""

    host: str | None = None
    network: Network | None = None
    port: int | None = None

    def covers_host(self, host: str, port: int) -> bool:
        return self.host == host and self.port in (None, port)

    def covers_address(self, address: Address, port: int) -> bool:
        return self.network is not None and address in self.network and self.port in (None, port)


@dataclass(frozen=True)
class Policy:
    """What the operator allows beyond the public internet, and Navi's own services, never called."""

    allow: tuple[Allowed, ...] = ()
    own: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def parse(cls, allow: str, own: Iterable[tuple[str, int]] = ()) -> "Policy":
        """From NAVI_OUTBOUND_ALLOW's syntax. ValueError names the bad item and what a good one looks like."""
        items = tuple(parse_allowed(item.strip()) for item in allow.split(",") if item.strip())
        return cls(items, frozenset((str(plain(address)), port) for address, port in own))

    def also(self, origin: str | None) -> "Policy":
        """This policy and one origin more."""
        if origin is None:
            return self
        place = parse(origin if "://" in origin else f"http://{origin}")
        return replace(self, allow=(*self.allow, Allowed(host=place.host, port=place.port)))

    def allows_host(self, host: str, port: int) -> bool:
        return any(item.covers_host(host, port) for item in self.allow)

    def allows_address(self, address: Address, port: int) -> bool:
        return any(item.covers_address(address, port) for item in self.allow)

    def may_allow(self, port: int) -> bool:
        """Whether some address on this port is allowed, so that it is worth asking for the host's."""
        return any(item.network is not None and item.port in (None, port) for item in self.allow)

    def is_own(self, address: Address, port: int) -> bool:
        """Whether Navi itself may be listening there; one that listens everywhere has every local address."""
        for own in (plain(text) for text, own_port in self.own if own_port == port):
            if address == own or (is_this_machine(own) and is_this_machine(address)):
                return True
            if own.is_unspecified and belongs_to_this_machine(address):
                return True
        return False


@dataclass(frozen=True)
class Target(Place):
    """A place that may be called, at these addresses and no others."""

    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether Navi would call a URL; `reason` is `ok` or the slug of the refusal."""

    url: str
    allowed: bool
    reason: str
    addresses: tuple[str, ...]


def parse_allowed(item: str) -> Allowed:
    """One item: `127.0.0.1:9001`, `10.2.0.0/16`, `[::1]:9001`, `fd00::/8`, `intranet.example:8443`."""
    try:
        return parse_network(item) or parse_name(item)
    except (ValueError, Blocked):
        raise ValueError(
            f"{item!r} is not an address, a network or a host name with an optional port, "
            "such as 127.0.0.1:9001, 10.2.0.0/16 or intranet.example:8443."
        ) from None


def parse_network(item: str) -> Allowed | None:
    for text, port in splits(item):
        try:
            network = ip_network(text)
        except ValueError:
            continue
        return Allowed(network=network, port=port)
    return None


def splits(item: str) -> Iterable[tuple[str, int | None]]:
    """The ways to read an item as network and port: a bare IPv6 address is full of colons."""
    yield item, None
    text, colon, port = item.rpartition(":")
    if item.startswith("[") and item.endswith("]"):
        yield item[1:-1], None
    elif text.startswith("[") and text.endswith("]"):
        yield text[1:-1], parse_port(port, "https")
    elif colon and ":" not in text:
        yield text, parse_port(port, "https")


def parse_name(item: str) -> Allowed:
    if "/" in item:
        raise ValueError("a network it is not, nor a name")
    host, colon, port = item.partition(":")
    return Allowed(host=parse_host(host), port=parse_port(port, "https") if colon else None)


@functools.cache
def resolver_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="navi-resolve")


# Threads do not live on in a forked worker.
os.register_at_fork(after_in_child=resolver_threads.cache_clear)


def system_resolver(host: str, port: int, deadline: float) -> list[str]:
    """Ask the system. getaddrinfo knows no deadline, so it runs in one of few threads and is given up on."""
    asked = resolver_threads().submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = asked.result(timeout=deadline)
    finally:
        asked.cancel()
    return [str(answer[4][0]) for answer in found]


def vet(
    url: str,
    *,
    policy: Policy,
    resolve: Resolver = system_resolver,
    also_allow: str | None = None,
    deadline: float = RESOLVE_SECONDS,
) -> Target:
    """The one place this URL means, with the addresses it may be called at.

    `also_allow` is an origin permitted for this call beside the policy; `deadline` is in seconds. Raises
    Blocked where the guard says no, TryLater where the name has no address at the moment.
    """
    place = parse(url)
    policy = policy.also(also_allow)
    is_named = policy.allows_host(place.host, place.port)
    addresses = literal_address(place) or resolved(place, policy, is_named, resolve, deadline)
    for address in addresses:
        check_address(address, place.port, policy, is_named)
    if not is_named and not all(policy.allows_address(address, place.port) for address in addresses):
        check_port_and_scheme(place)
    kept = tuple(str(address) for address in addresses[:MAX_ANSWERS])
    return Target(place.scheme, place.host, place.port, place.raw_path, kept)


def literal_address(place: Place) -> list[Address]:
    try:
        return [plain(place.host)]
    except ValueError:
        return []


def resolved(
    place: Place, policy: Policy, is_named: bool, resolve: Resolver, deadline: float
) -> list[Address]:
    """Every address of a name, each once, IPv4-mapped ones unwrapped."""
    if not is_named:
        check_name(place.host)
        if not policy.may_allow(place.port):
            check_port_and_scheme(place)
    answers = ask(place, resolve, deadline)
    try:
        return list(dict.fromkeys(plain(answer) for answer in answers))
    except ValueError:
        refuse("bad_answer", "its name resolves to something that is not an address")


def ask(place: Place, resolve: Resolver, deadline: float) -> list[str]:
    try:
        answers = resolve(place.host, place.port, min(deadline, RESOLVE_SECONDS))
    except TimeoutError:
        raise TryLater(
            f"Looking up {place.host} took too long. Try again in a moment.", timed_out=True
        ) from None
    except (OSError, UnicodeError):
        answers = []
    if not answers:
        raise TryLater(f"The name {place.host} has no address at the moment. Check it, or try again later.")
    return answers


def check_name(host: str) -> None:
    if "." not in host:
        refuse("single_label", f"{host} is a name of the local network")
    if any(host.endswith("." + name) for name in LOCAL_NAMES):
        refuse("local_name", f"{host} is a name of the local network")


def check_port_and_scheme(place: Place) -> None:
    if place.port not in USUAL_PORTS:
        refuse("port", f"port {place.port} is not allowed; an operator can list it in NAVI_OUTBOUND_ALLOW")
    if place.scheme != "https":
        refuse("https_only", "only https is called on the public internet")


def check_address(address: Address, port: int, policy: Policy, is_named: bool) -> None:
    """Raise Blocked unless it may be called: metadata and own services never, special ones if listed."""
    faces = (address, *embedded(address))
    if any(is_metadata(face) for face in faces):
        refuse("metadata_address", "it leads to a cloud's metadata service")
    if any(policy.is_own(face, port) for face in faces):
        refuse("own_service", "it leads to one of Navi's own services")
    reason = why_not_public(address)
    if reason and not is_named and not policy.allows_address(address, port):
        refuse(reason, "it leads to an address that is not on the public internet")


def belongs_to_this_machine(address: Address) -> bool:
    """Whether an interface of this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def explain(url: str, *, policy: Policy, resolve: Resolver = system_resolver) -> Verdict:
    """Whether Navi would call a URL, and why not; nothing is sent but the name's lookup."""
    try:
        target = vet(url, policy=policy, resolve=resolve)
    except Blocked as no:
        return Verdict(url, allowed=False, reason=no.reason, addresses=())
    except VendorError:
        return Verdict(url, allowed=False, reason="unresolved", addresses=())
    return Verdict(url, allowed=True, reason="ok", addresses=target.addresses)
