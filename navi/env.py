"""Values from the environment. A secret may also come from a file named by NAME_FILE."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from navi.net.guard import Policy

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    """The variable NAME, or the content of the file named by NAME_FILE."""
    from_file = os.environ.get(f"{name}_FILE")
    if from_file:
        try:
            return Path(from_file).read_text().strip()
        except OSError as problem:
            raise ImproperlyConfigured(
                f"{name}_FILE names {from_file}, which cannot be read ({problem.strerror}); "
                "make it readable for this user or unset the variable."
            ) from None
    return os.environ.get(name, default).strip()


def one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default).upper()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to one of {', '.join(choices)}.")
    return value


def outbound(name: str) -> str:
    """What Navi may call although it is blocked; its syntax is the guard's."""
    value = text(name)
    try:
        Policy.parse(value, own=[])
    except ValueError as problem:
        raise ImproperlyConfigured(f"{name} is not understood: {problem}.") from None
    return value


def flag(name: str, default: bool = False) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to 1 or 0.")
    return value in TRUE


def number(name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
    value = text(name, str(default))
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise ImproperlyConfigured(f"{name} is {value!r}; set it to a whole number from {least} to {most}.")
    return int(value)


def pairs(name: str, *, example: str) -> dict[str, str]:
    """`a=b,c=d` as a dict."""
    found = {}
    for item in filter(None, (part.strip() for part in text(name).split(","))):
        key, equals, value = item.partition("=")
        if not (equals and key.strip() and value.strip()):
            raise ImproperlyConfigured(f"{name} holds {item!r}; write it as {example}.")
        found[key.strip()] = value.strip()
    return found


def lists(name: str, *, example: str) -> dict[str, list[str]]:
    """`a=b,a=c` as lists by key."""
    found: dict[str, list[str]] = {}
    for item in filter(None, (part.strip() for part in text(name).split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (equals and key and value):
            raise ImproperlyConfigured(f"{name} holds {item!r}; write it as {example}.")
        found.setdefault(key, []).append(value)
    return found


def origins(name: str, *, example: str) -> dict[str, str]:
    """`provider=http://host:port` pairs; each value is an origin without a path."""
    found = pairs(name, example=example)
    for key, value in found.items():
        parts = urlsplit(value)
        has_more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if parts.scheme not in {"http", "https"} or not parts.hostname or has_more or not has_port(parts):
            raise ImproperlyConfigured(f"{name} sends {key} to {value!r}; write it as {example}.")
        found[key] = f"{parts.scheme}://{parts.netloc}"
    return found


def has_port(parts: SplitResult) -> bool:
    """Is the port, if there is one, a port?"""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def secret_file(path: Path, *, variable: str) -> str:
    """A secret from the variable, else from the file, which is made on first use (mode 0600)."""
    given = text(variable)
    if given:
        return given
    if not path.exists():
        # Written whole before it has its name: of two first starts both read the same.
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text().strip()


@dataclass(frozen=True)
class MailServer:
    """Where mail goes out; the password does not show when this is printed."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    starttls: bool
    ssl: bool


def mail_server(name: str) -> MailServer | None:
    """`smtp://user:password@host:587?tls=starttls` or `smtps://…`; None where the variable is empty."""
    value = text(name)
    if not value:
        return None
    try:
        parts, port = urlsplit(value), urlsplit(value).port
    except ValueError:
        raise bad_mail_server(name) from None
    tls = dict(parse_qsl(parts.query, keep_blank_values=True))
    is_ssl = parts.scheme == "smtps"
    how = tls.pop("tls", "ssl" if is_ssl else "starttls")
    is_known = parts.scheme in {"smtp", "smtps"} and how in ({"ssl"} if is_ssl else {"starttls", "none"})
    if tls or not is_known or not parts.hostname or parts.path.strip("/") or parts.fragment or port == 0:
        raise bad_mail_server(name)
    if bool(parts.username) != bool(parts.password):
        raise ImproperlyConfigured(
            f"{name} has a user without a password, or the reverse; give both or none."
        )
    usual = {"ssl": 465, "starttls": 587, "none": 25}[how]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailServer(parts.hostname, port or usual, user, password, how == "starttls", is_ssl)


def bad_mail_server(name: str) -> ImproperlyConfigured:
    # The value stays unsaid: it holds a password.
    return ImproperlyConfigured(
        f"{name} is not understood; write it as smtp://user:password@host:587?tls=starttls (or tls=none) "
        "or smtps://user:password@host:465, with special characters percent-encoded."
    )


def sender(name: str, *, needed_by: str = "") -> str:
    """`Navi <navi@example.org>` or the address alone; `needed_by` names what makes it necessary."""
    value = text(name)
    if not value and needed_by:
        raise ImproperlyConfigured(f"{name} is empty; {needed_by} needs it, such as Navi <navi@example.org>.")
    _, address = parseaddr(value)
    before, at, after = address.rpartition("@")
    if value and not (before and at and after and value.isprintable()):
        raise ImproperlyConfigured(f"{name} is {value!r}; write it as Navi <navi@example.org>.")
    return value


def database(url: str, *, data_dir: Path) -> dict[str, Any]:
    """Django's database settings for DATABASE_URL; embedded SQLite where it is empty."""
    if not url:
        return sqlite(data_dir / "navi.sqlite3")
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return sqlite(Path(unquote(parts.path)))
    if parts.scheme in {"postgres", "postgresql"} and parts.path.strip("/") and has_port(parts):
        return postgresql(parts)
    raise ImproperlyConfigured(
        "DATABASE_URL is not understood; write it as postgres://user:password@host:5432/name, "
        "or leave it empty for the embedded SQLite."
    )


def sqlite(path: Path) -> dict[str, Any]:
    # IMMEDIATE: a deferred transaction that reads, then writes, fails at once with "database is locked".
    # FULL: with NORMAL a power cut may lose the last commit, and with it a rotated refresh token.
    pragmas = (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA temp_store=MEMORY;"
        "PRAGMA mmap_size=134217728;PRAGMA journal_size_limit=27103364;PRAGMA secure_delete=ON;"
    )
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": None,
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": pragmas},
    }


def postgresql(parts: SplitResult) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def own_services(
    host: str, port: int, mcp_port: int, database: dict[str, Any], redis_url: str
) -> list[tuple[str, int]]:
    """(address, port) of everything that Navi itself runs on: never called on anybody's behalf."""
    addresses = {host, "127.0.0.1", "::1"} - {"localhost"}
    own = [(address, number) for address in sorted(addresses) for number in (port, mcp_port)]
    places = [(database.get("HOST"), database.get("PORT") or 5432)]
    redis = urlsplit(redis_url)
    if not has_port(redis):
        raise ImproperlyConfigured("REDIS_URL has no valid port; write it as redis://host:6379/0.")
    places.append((redis.hostname, redis.port or 6379))
    return own + [(address, int(number)) for place, number in places if place for address in resolved(place)]


def resolved(host: str) -> list[str]:
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None)})
    except OSError:
        return []
