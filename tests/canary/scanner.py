"""Finds a planted secret however it was written: encoded, turned around, compressed, pickled, or all in turn."""

from __future__ import annotations

import base64
import binascii
import html
import io
import json
import pickletools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

DEEPEST = 6
UNPACKED_MOST = 64 * 2**20
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){12,}")
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
GZIP = re.compile(rb"\x1f\x8b\x08")
PICKLE = re.compile(rb"\x80[\x02-\x05]")
BROKEN_LINES = re.compile(rb"(?<=[A-Za-z0-9+/=_-])(?:\\r)?(?:\\n|\r?\n)[ \t]*(?=[A-Za-z0-9+/=_-])")
ESCAPED = re.compile(rb"\\u00([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})")
ESCAPES = re.compile(rb"(?:\\u00[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Hit:
    """Which canary, how it was written, in what (outermost first)."""

    name: str
    form: str
    inside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} as {self.form}" + "".join(f" in {layer}" for layer in reversed(self.inside))


class Scanner:
    """Looks for all planted values at once; case never hides one."""

    def __init__(self, planted: Mapping[str, str]) -> None:
        short = [name for name, value in planted.items() if len(value) < 8]
        if short:
            raise ValueError(f"Too short to be found by chance: {short}")
        self.needles = [
            (name, form, needle.lower())
            for name, value in planted.items()
            for form, needle in dict.fromkeys(forms(value))
        ]

    def hits(self, data: bytes) -> set[Hit]:
        return set(self.walk(data, ()))

    def walk(self, data: bytes, inside: tuple[str, ...], seen: set[bytes] | None = None) -> Iterator[Hit]:
        seen = set() if seen is None else seen
        low = data.lower()
        for name, form, needle in self.needles:
            if needle in low:
                yield Hit(name, form, inside)
        if len(inside) < DEEPEST:
            for layer, unpacked in unpackings(data):
                if unpacked not in seen:
                    seen.add(unpacked)
                    yield from self.walk(unpacked, (*inside, layer), seen)


# --- how a value may be written


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """All plain writings of a value. Compared without case, so upper and lower are the same."""
    raw = value.encode()
    yield "raw", raw
    yield "lower", value.lower().encode()
    yield "upper", value.upper().encode()
    yield "Latin-1", value.encode("latin-1", "replace")
    yield "reversed", value[::-1].encode()
    yield "hex", raw.hex().encode()
    yield "hex with spaces", raw.hex(" ").encode()
    yield from in_base64(raw)
    yield "URL-encoded", quote(value, safe="").encode()
    yield "URL-encoded path", quote(value).encode()
    yield "URL-encoded sparingly", quote(value, safe="!$&'()*+,;=:@/?").encode()
    yield "URL-encoded form", quote_plus(value).encode()
    yield "URL-encoded twice", quote(quote(value, safe=""), safe="").encode()
    yield "percent-encoded throughout", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "JSON", json.dumps(value)[1:-1].encode()
    yield "JSON in UTF-8", json.dumps(value, ensure_ascii=False)[1:-1].encode()
    yield "JSON with escaped slashes", json.dumps(value)[1:-1].replace("/", "\\/").encode()
    yield "JSON in JSON", json.dumps(json.dumps(value)[1:-1])[1:-1].encode()
    yield "Python", repr(value)[1:-1].encode()
    yield "HTML", html.escape(value).encode()
    yield "UTF-16 LE", value.encode("utf-16-le")
    yield "UTF-16 BE", value.encode("utf-16-be")
    yield "UTF-32 LE", value.encode("utf-32-le")


def in_base64(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The characters that every encoding of `…raw…` has, at each of the three places a value may begin."""
    for offset in range(3):
        padded = bytes(offset) + raw
        whole = len(padded) - len(padded) % 3
        first = 0 if offset == 0 else 4  # the first quartet also holds bits of what stands before
        text = base64.b64encode(padded[:whole])[first:]
        yield f"base64 at {offset}", text
        yield f"base64url at {offset}", text.translate(bytes.maketrans(b"+/", b"-_"))


# --- what may hold one


def unpackings(data: bytes) -> Iterator[tuple[str, bytes]]:
    for inflated in streams(data, ZLIB, zlib.MAX_WBITS):
        yield "zlib", inflated
    for inflated in streams(data, GZIP, 16 + zlib.MAX_WBITS):
        yield "gzip", inflated
    for told in pickled(data):
        yield "pickle", told
    for text in (data, *unfolded(data)):
        for found in BASE64.finditer(text):
            for decoded in decodings(found[0]):
                yield "base64", decoded
        for found in HEX.finditer(text):
            yield "hex", binascii.unhexlify(found[0])
    if len(ESCAPES.findall(data)) >= 8:
        yield "escapes", ESCAPED.sub(lambda found: bytes([int(found[1] or found[2], 16)]), data)
    for step, name in ((2, "UTF-16"), (4, "UTF-32")):
        yield from thinned(data, step, name)


def streams(data: bytes, beginning: re.Pattern[bytes], window: int) -> Iterator[bytes]:
    for found in beginning.finditer(data):
        unpacker = zlib.decompressobj(window)
        try:
            inflated = unpacker.decompress(data[found.start() :], UNPACKED_MOST)
        except zlib.error:
            continue
        if inflated:
            yield inflated


def unfolded(data: bytes) -> Iterable[bytes]:
    """Base64 that was broken into lines, put together again."""
    whole = BROKEN_LINES.sub(b"", data)
    return [whole] if whole != data else []


def decodings(text: bytes) -> Iterator[bytes]:
    """What a run of letters means as base64; its true beginning may lie up to three letters in."""
    standard = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    for start in range(4):
        part = standard[start:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        try:
            decoded = base64.b64decode(part + b"=" * (-len(part) % 4))
        except binascii.Error:
            continue
        if looks_packed(decoded):
            yield decoded


def looks_packed(data: bytes) -> bool:
    """Is there a reason to look inside? The value itself is found as base64 without decoding."""
    holds_more = BASE64.search(data) or ZLIB.search(data) or GZIP.search(data) or PICKLE.search(data)
    return bool(holds_more) or b"\x00" in data


def pickled(data: bytes) -> Iterator[bytes]:
    """The texts and bytes inside pickles, read without running them."""
    for found in PICKLE.finditer(data):
        told = []
        try:
            for _, argument, _ in pickletools.genops(io.BytesIO(data[found.start() :])):
                if isinstance(argument, str):
                    told += [argument.encode("utf-8", "surrogatepass"), argument.encode("latin-1", "replace")]
                elif isinstance(argument, bytes | bytearray):
                    told.append(bytes(argument))
        except Exception:
            pass
        if told:
            yield b"\n".join(told)


def thinned(data: bytes, step: int, name: str) -> Iterator[tuple[str, bytes]]:
    """Long stretches of wide characters, as narrow ones: base64 in UTF-16 and the like."""
    wide = re.compile(rb"(?:[\x20-\x7e]\x00{%d}){16,}" % (step - 1))
    for found in wide.finditer(data):
        yield name, found[0][::step]
