"""Key files and the keys derived from them. Standard library only.

Two files under NAVI_DATA_DIR, both mode 0600:

    keyring   one line per key, `<key id> <base64 of 32 bytes>`; the first line is the primary key
    pepper    one line of the same form, for agent tokens; never rotated with the keyring

A key id is a fingerprint of its key, so a wrong key is told from a damaged row.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

KEY_BYTES = 32


class KeyringProblem(Exception):
    """A key file is missing or wrong. The message names the file and the remedy."""


class KeyringMissing(KeyringProblem):
    """There is no key file at all."""


@dataclass(frozen=True, repr=False)
class Keyring:
    """Keys by id, newest first; `primary` seals, all of them open."""

    keys: Mapping[str, bytes]
    primary: str

    def derive(self, purpose: str, key_id: str | None = None) -> bytes:
        """A 32-byte key for one purpose (HKDF-SHA256). KeyError: no such key id."""
        key_id = key_id or self.primary
        return derived(self.keys[key_id], f"navi/{purpose}/{key_id}")

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self.keys)}>"


@lru_cache(maxsize=256)
def derived(key: bytes, info: str) -> bytes:
    extracted = hmac.digest(bytes(KEY_BYTES), key, "sha256")
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256")


def key_id_of(key: bytes) -> str:
    return "k" + hashlib.sha256(b"navi key id\0" + key).hexdigest()[:8]


def new_line() -> str:
    key = secrets.token_bytes(KEY_BYTES)
    return f"{key_id_of(key)} {base64.b64encode(key).decode()}\n"


def parse(text: str, *, path: Path) -> Keyring:
    """The keyring written in a key file. Raises KeyringProblem naming the line."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            key_id, key = parse_line(line, where=f"{path}, line {number}")
            keys[key_id] = key
    if not keys:
        raise KeyringProblem(f"{path} holds no key; restore it from your backup.")
    return Keyring(keys, primary=next(iter(keys)))


def parse_line(line: str, *, where: str) -> tuple[str, bytes]:
    key_id, _, encoded = line.strip().partition(" ")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES or key_id != key_id_of(key):
        raise KeyringProblem(f"{where} is damaged; restore the file from your backup.")
    return key_id, key


class KeyFiles:
    """The key files of one data directory, read again when they change on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, tuple[int, Keyring]] = {}
        self._lock = threading.Lock()

    def keyring(self) -> Keyring:
        """The sealing keys. Raises KeyringMissing or KeyringProblem."""
        return self._load("keyring")

    def pepper(self) -> Keyring:
        """The agent tokens' pepper. Raises KeyringMissing or KeyringProblem."""
        return self._load("pepper")

    def exists(self, name: str) -> bool:
        return (self.directory / name).exists()

    def create(self, name: str) -> None:
        """Write a new key file, mode 0600; an existing one is never touched."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(self.directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        with os.fdopen(handle, "w") as file:
            file.write(new_line())
            file.flush()
            os.fsync(file.fileno())

    def add_primary(self) -> str:
        """Put a new key in front of the keyring and return its id. The old ones stay for reading."""
        line = new_line()
        self._replace(line + (self.directory / "keyring").read_text())
        return line.split()[0]

    def drop(self, key_ids: set[str]) -> None:
        """Take keys out of the keyring. The caller has made sure that no row needs them."""
        lines = (self.directory / "keyring").read_text().splitlines(keepends=True)
        self._replace("".join(line for line in lines if line.split()[0] not in key_ids))

    def _replace(self, text: str) -> None:
        path = self.directory / "keyring"
        fresh = path.with_suffix(".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def _load(self, name: str) -> Keyring:
        path = self.directory / name
        try:
            facts = path.stat()
        except OSError:
            raise KeyringMissing(f"{path} is missing; restore it from your backup.") from None
        with self._lock:
            known = self._read.get(name)
            if known and known[0] == facts.st_mtime_ns:
                return known[1]
            if stat.S_IMODE(facts.st_mode) & 0o077:
                raise KeyringProblem(f"{path} can be read by others; run: chmod 600 {path}")
            keyring = parse(path.read_text(), path=path)
            self._read[name] = (facts.st_mtime_ns, keyring)
            return keyring
