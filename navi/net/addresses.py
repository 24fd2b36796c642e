"""Which addresses are on the public internet.

Our own table, not `ipaddress.is_global`, whose answers differ between Python's patch releases.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA's special-purpose registries for IPv4 and IPv6.
SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified_address"),
        ("10.0.0.0/8", "private_address"),
        ("100.64.0.0/10", "shared_address"),
        ("127.0.0.0/8", "loopback_address"),
        ("169.254.0.0/16", "link_local_address"),
        ("172.16.0.0/12", "private_address"),
        ("192.0.0.0/24", "reserved_address"),
        ("192.0.2.0/24", "documentation_address"),
        ("192.88.99.0/24", "transition_address"),
        ("192.168.0.0/16", "private_address"),
        ("198.18.0.0/15", "benchmark_address"),
        ("198.51.100.0/24", "documentation_address"),
        ("203.0.113.0/24", "documentation_address"),
        ("224.0.0.0/4", "multicast_address"),
        ("240.0.0.0/4", "reserved_address"),
        ("::/128", "unspecified_address"),
        ("::1/128", "loopback_address"),
        ("::/96", "transition_address"),
        ("::ffff:0:0:0/96", "transition_address"),
        ("64:ff9b::/96", "transition_address"),
        ("64:ff9b:1::/48", "transition_address"),
        ("100::/64", "reserved_address"),
        ("2001::/32", "transition_address"),
        ("2001::/23", "reserved_address"),
        ("2001:db8::/32", "documentation_address"),
        ("2002::/16", "transition_address"),
        ("3ffe::/16", "reserved_address"),
        ("3fff::/20", "documentation_address"),
        ("5f00::/16", "reserved_address"),
        ("fc00::/7", "private_address"),
        ("fe80::/10", "link_local_address"),
        ("fec0::/10", "private_address"),
        ("ff00::/8", "multicast_address"),
    )
)
GLOBAL_IPV6 = IPv6Network("2000::/3")

# Where clouds hand credentials to whoever asks from inside: AWS, GCP, Azure, Oracle, Alibaba, Tencent,
# Scaleway.
METADATA: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "169.254.169.0/24",
        "169.254.170.0/24",
        "169.254.0.23/32",
        "169.254.42.42/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "100.100.100.200/32",
        "fd00:ec2::/112",
        "fd20:ce::254/128",
        "fd00:42::42/128",
        "fe80::a9fe:a9fe/128",
    )
)

MAPPED = IPv6Network("::ffff:0:0/96")
# The IPv4 address sits in the last 32 bits.
IPV4_AT_THE_END = (IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
SIX_TO_FOUR = IPv6Network("2002::/16")
TEREDO = IPv6Network("2001::/32")
ISATAP_MARKS = (0x00005EFE, 0x02005EFE)


def plain(text: str) -> Address:
    """An address from its text, IPv4-mapped ones unwrapped. ValueError for all else, zone ids included."""
    if "%" in text:
        raise ValueError("an address with a zone id")
    return unwrapped(ip_address(text))


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped one; any other address as it is."""
    if isinstance(address, IPv6Address) and address in MAPPED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def embedded(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that a gateway on the way could take out of this IPv6 address."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    tail = IPv4Address(bits & 0xFFFFFFFF)
    if any(address in network for network in IPV4_AT_THE_END) or address in LOCAL_NAT64:
        yield tail
    if (bits >> 32) & 0xFFFFFFFF in ISATAP_MARKS:
        yield tail
    if address in SIX_TO_FOUR:
        yield IPv4Address((bits >> 80) & 0xFFFFFFFF)
    if address in TEREDO:
        yield IPv4Address((bits >> 64) & 0xFFFFFFFF)
        yield IPv4Address(~bits & 0xFFFFFFFF)


def is_metadata(address: Address) -> bool:
    """Whether a cloud's metadata service, or something like it, may answer there."""
    return any(address in network for network in METADATA)


def is_this_machine(address: Address) -> bool:
    """Whether a connection to it ends on the loopback interface (0.0.0.0 and :: do, on Linux)."""
    return address.is_loopback or address.is_unspecified


def why_not_public(address: Address) -> str | None:
    """The reason slug of a special address; None for one on the public internet."""
    for network, reason in SPECIAL:
        if address in network:
            return reason
    if isinstance(address, IPv6Address) and address not in GLOBAL_IPV6:
        return "reserved_address"
    inner = (why_not_public(face) for face in embedded(address))
    return next((reason for reason in inner if reason), None)
