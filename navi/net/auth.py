"""How a credential travels, as data."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from navi.net.errors import Reconnect


@dataclass(frozen=True)
class Bearer:
    """`Authorization: Bearer <field>`."""

    field: str = "apiKey"


@dataclass(frozen=True)
class Header:
    """The field in a header of its own, after `prefix` (Linear wants its key bare in Authorization)."""

    name: str
    field: str = "apiKey"
    prefix: str = ""


@dataclass(frozen=True)
class Basic:
    """HTTP basic; a field written `=text` stands for that text instead of a stored value."""

    user_field: str = field(default="username", repr=False)
    password_field: str = field(default="password", repr=False)


@dataclass(frozen=True)
class Query:
    """The field as a query parameter."""

    name: str
    field: str = "apiKey"


@dataclass(frozen=True)
class NoAuth:
    """Nothing to show."""


Scheme = Bearer | Header | Basic | Query | NoAuth


def headers(scheme: Scheme, fields: Mapping[str, str]) -> dict[str, str]:
    """The headers that carry the credential. Raises Reconnect where a field is missing."""
    match scheme:
        case Bearer(field):
            return {"Authorization": f"Bearer {value_of(field, fields)}"}
        case Header(name, field, prefix):
            return {name: prefix + value_of(field, fields)}
        case Basic(user_field, password_field):
            pair = f"{value_of(user_field, fields)}:{value_of(password_field, fields)}"
            return {"Authorization": "Basic " + b64encode(pair.encode()).decode("ascii")}
    return {}


def params(scheme: Scheme, fields: Mapping[str, str]) -> dict[str, str]:
    """The query parameters that carry the credential. Raises Reconnect where a field is missing."""
    if isinstance(scheme, Query):
        return {scheme.name: value_of(scheme.field, fields)}
    return {}


def authorization(scheme: Scheme, fields: Mapping[str, str]) -> str | None:
    """The ready value of the Authorization header; None for a scheme that does not use it."""
    by_name = {name.lower(): value for name, value in headers(scheme, fields).items()}
    return by_name.get("authorization")


def secret_field(scheme: Scheme) -> str:
    """The name of the field that is the secret itself; empty where there is none."""
    match scheme:
        case Bearer(field) | Header(_, field) | Query(_, field):
            return field
        case Basic(_, password_field):
            return password_field
    return ""


def value_of(field: str, fields: Mapping[str, str]) -> str:
    """The stored value of a field, or the literal text of `=text`."""
    if field.startswith("="):
        return field[1:]
    if field not in fields:
        raise Reconnect(f"This connection has no {field}. Connect it again.")
    return fields[field]
