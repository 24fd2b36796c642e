"""One strict parser for addresses. What is sent is built from its parts, never from the text it read."""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NoReturn
from urllib.parse import quote, unquote

import idna

from navi.net.errors import Blocked

URL_CHARACTERS = 8 * 1024
NAME_CHARACTERS = 253
DEFAULT_PORTS = {"http": 80, "https": 443}

URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)(/[^?]*)?(\?.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?", re.DOTALL)
HOST_PORT = re.compile(r"([^:]*)(?::(.*))?", re.DOTALL)
PORT = re.compile(r"[1-9][0-9]{0,4}")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# inet_aton, and so most C programs, read 127.1, 0x7f.1 and 017700000001 as addresses too.
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
DOTTED_QUAD = re.compile(rf"{OCTET}(?:\.{OCTET}){{3}}")
OTHER_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*:/?/|//", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A URL in its parts; `host` is lower-case ASCII or a bare address; `raw_path` has the query."""

    scheme: str
    host: str
    port: int
    raw_path: str

    @property
    def authority(self) -> str:
        """What the Host header says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return self.origin + self.raw_path


def parse(url: str) -> Place:
    """The parts of an http or https URL. Raises Blocked for what two parsers could read in two ways."""
    check_characters(url)
    match = URL.fullmatch(url)
    if match is None:
        refuse("not_a_url", "it is not a complete http(s) address")
    scheme, authority, path, query = match[1].lower(), match[2], match[3] or "/", match[4] or ""
    if scheme not in DEFAULT_PORTS:
        refuse("scheme", "only http and https addresses are called")
    if not (path + query).isascii():
        refuse("bad_character", "its path holds characters that are not percent-encoded")
    host, port = split_authority(authority)
    return Place(scheme, host, parse_port(port, scheme), path + query)


def check_characters(text: str) -> None:
    """Raise Blocked for control, format and space characters, backslashes, fragments, endless addresses."""
    if len(text) > URL_CHARACTERS:
        refuse("too_long", "it is longer than 8 KiB")
    if "\\" in text or any(unicodedata.category(character)[0] in "CZ" for character in set(text)):
        refuse("bad_character", "it holds a control character, a space or a backslash")
    if "#" in text:
        refuse("fragment", "it has a fragment (#)")


def split_authority(authority: str) -> tuple[str, str | None]:
    """Host in its one normal form, and the port as written."""
    if "@" in authority:
        refuse("userinfo", "it holds a user name or password")
    bracketed = BRACKETED.fullmatch(authority)
    if bracketed:
        return parse_ipv6(bracketed[1]), bracketed[2]
    pair = HOST_PORT.fullmatch(authority)
    if pair is None or "[" in authority or "]" in authority:
        refuse("bad_host", "its host is not a name or an address")
    return parse_host(pair[1]), pair[2]


def parse_ipv6(text: str) -> str:
    if "%" in text:
        refuse("zone_id", "its address has a zone id")
    try:
        return str(IPv6Address(text))
    except ValueError:
        refuse("bad_host", "its host is not an address")


def parse_host(text: str) -> str:
    """A host name in ASCII, or a dotted quad."""
    host = text.removesuffix(".").lower() if text.isascii() else text.removesuffix(".")
    if not host:
        refuse("empty_host", "it has no host")
    if "%" in host:
        refuse("percent_in_host", "its host is percent-encoded")
    if NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        return parse_ipv4(text)
    name = ".".join(parse_label(label) for label in host.split("."))
    if len(name) > NAME_CHARACTERS:
        refuse("too_long", "its host name is longer than 253 characters")
    return name


def parse_ipv4(text: str) -> str:
    if not DOTTED_QUAD.fullmatch(text):
        refuse("numeric_host", "its host is a number that is not a plain address")
    return str(IPv4Address(text))


def parse_label(label: str) -> str:
    """One label in ASCII. IDNA without mapping: what is not in its normal form already is refused."""
    if label.isascii() and LABEL.fullmatch(label) and not label.startswith("xn--"):
        return label
    try:
        encoded = idna.alabel(label).decode("ascii")
        idna.ulabel(encoded)
    except (idna.IDNAError, UnicodeError):
        refuse("bad_host", "its host name is not valid")
    return encoded


def parse_port(text: str | None, scheme: str) -> int:
    if text is None:
        return DEFAULT_PORTS[scheme]
    if not PORT.fullmatch(text) or int(text) > 65535:
        refuse("bad_port", "its port is not a number from 1 to 65535")
    return int(text)


def refuse(reason: str, why: str) -> NoReturn:
    raise Blocked(f"Navi does not call this address: {why}.", reason=reason)


def moved(url: str, upstream: str) -> str:
    """The same path and query at another origin. Raises Blocked where either is not an address."""
    return parse(upstream).origin + parse(url).raw_path


def path_part(value: str) -> str:
    """A value as one part of a path: no slash, question mark or percent sign in it leads elsewhere."""
    return quote(value, safe="")


def joined(base_url: str, path: str) -> str:
    """The address of a path below `base_url`, its %2F and its query kept as they are.

    Raises Blocked for a path that would leave: another origin, dot segments, fragments, control characters.
    """
    if OTHER_ORIGIN.match(path):
        refuse("other_origin", "a path may not name another host")
    if "\\" in path or "#" in path or any(unicodedata.category(letter) == "Cc" for letter in set(path)):
        refuse("bad_path", "its path holds a control character, a backslash or a fragment")
    way, mark, query = path.partition("?")
    if any(part.partition(";")[0] in (".", "..") for part in re.split(r"[/\\]", unquote(way))):
        refuse("dot_segment", "its path holds a dot segment")
    safe_way = quote(way.removeprefix("/"), safe="/%:@!$&'()*+,;=~")
    return (
        base_url.rstrip("/") + "/" * bool(way) + safe_way + mark + quote(query, safe="/%:@!$&'()*+,;=~?[]{}|")
    )
