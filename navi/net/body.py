"""An answer's body in bounded pieces: decoded size, decompression ratio and encodings have limits."""

import zlib
from collections.abc import Iterator

from navi.net.errors import Blocked, TryLater

MAX_BYTES = 10 * 1024 * 1024
MAX_RATIO = 100
# Below this a short and very regular answer may well shrink by more than MAX_RATIO.
RATIO_COUNTS_FROM = 64 * 1024
PIECE = 64 * 1024
GZIP, ZLIB, RAW_DEFLATE = 31, 15, -15


class Body:
    """Takes what comes over the wire, gives what was meant, and stops at the limits.

    Raises Blocked where a limit is passed, TryLater where the data is broken.
    """

    def __init__(self, encoding: str, *, name: str, max_bytes: int) -> None:
        self.inflater = inflater_for(encoding, name)
        self.name = name
        self.max_bytes = max_bytes
        self.received = 0
        self.decoded = 0

    def expect(self, content_length: str | None) -> None:
        """Raise Blocked at once where more is announced than may come."""
        if content_length and content_length.isdecimal() and int(content_length) > self.max_bytes:
            raise self.too_large()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded pieces of one piece of the wire."""
        self.received += len(data)
        self.check()
        pieces = self.inflater.inflate(data) if self.inflater else iter((data,))
        for piece in pieces:
            self.decoded += len(piece)
            self.check()
            yield piece

    def finish(self) -> None:
        """Raise TryLater where the compressed data stopped in the middle."""
        if self.inflater and self.received and not self.inflater.is_complete:
            raise TryLater(f"{self.name}'s answer broke off. Try again in a moment.", sent=True)

    def check(self) -> None:
        if max(self.decoded, self.received) > self.max_bytes:
            raise self.too_large()
        if self.decoded > RATIO_COUNTS_FROM and self.decoded > MAX_RATIO * self.received:
            raise Blocked(
                f"{self.name}'s answer unpacks to over {MAX_RATIO} times its size; Navi does not read it.",
                reason="decompression_ratio",
            )

    def too_large(self) -> Blocked:
        limit = f"{self.max_bytes / 1024**2:g} MiB"
        return Blocked(
            f"{self.name}'s answer is larger than {limit}. Ask for less at a time.", reason="answer_too_large"
        )


class Inflater:
    """gzip or deflate, at most PIECE bytes at a time."""

    def __init__(self, window: int | None, name: str) -> None:
        self.window = window
        self.name = name
        self.stream: zlib._Decompress | None = None

    @property
    def is_complete(self) -> bool:
        return self.stream is not None and self.stream.eof

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """The decoded pieces; a gzip file may have several members. Raises TryLater on garbage."""
        piece = b""
        # zlib can swallow all input while output still waits behind a full piece.
        while data or len(piece) == PIECE:
            stream = self.stream = self.stream_for(data)
            try:
                piece = stream.decompress(data, PIECE)
            except zlib.error:
                raise TryLater(
                    f"{self.name}'s answer cannot be unpacked. Try again later.", sent=True
                ) from None
            data = stream.unused_data or stream.unconsumed_tail
            if piece:
                yield piece

    def stream_for(self, data: bytes) -> "zlib._Decompress":
        if self.stream and not (self.stream.eof and data):
            return self.stream
        return zlib.decompressobj(self.window or deflate_window(data))


def inflater_for(encoding: str, name: str) -> Inflater | None:
    """How to unpack a Content-Encoding; None where there is nothing to do. Raises Blocked for others."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Inflater(GZIP, name)
        case "deflate":
            return Inflater(None, name)
    raise Blocked(f"{name} answered in an encoding Navi did not ask for.", reason="content_encoding")


def deflate_window(start: bytes) -> int:
    # "deflate" means zlib, but some servers send it without zlib's header, whose low nibble is always 8.
    return ZLIB if start[0] & 0x0F == 8 and start[0] >> 4 <= 7 else RAW_DEFLATE
