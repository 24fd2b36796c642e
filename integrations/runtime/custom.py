"""Providers that people describe: made, changed and removed by form or API, alike in both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from credentials.client import outbound, policy
from credentials.models import Connection, OAuthApp, OAuthAttempt
from integrations import registry
from integrations.models import CustomProvider, IntegrationDefault, IntegrationStatus, PluginSettings
from integrations.runtime import revoking
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.net.errors import Blocked
from navi.net.guard import explain
from navi.net.urls import joined

FIELDS = (
    "name", "description", "base_url", "sent_as", "sent_name", "sent_prefix", "health_path", "expected_status",
    "key_help_url", "authorize_url", "token_url", "revoke_url", "oauth_scopes", "client_auth",
)  # fmt: skip
ADDRESSES = ("base_url", "key_help_url", "authorize_url", "token_url", "revoke_url")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}", re.ASCII)
NOT_AN_ADDRESS = {
    "not_a_url", "bad_character", "bad_host", "bad_path", "bad_port", "empty_host", "fragment", "userinfo", "scheme",
    "too_long", "percent_in_host", "dot_segment",
}  # fmt: skip
NEVER_A_KEY = {"host", "content-length", "transfer-encoding", "connection", "cookie"}
LONGEST = {"name": 80, "description": 200, "base_url": 500, "sent_name": 80, "sent_prefix": 40,
           "health_path": 300, "key_help_url": 500, "authorize_url": 500, "token_url": 500, "revoke_url": 500,
           "oauth_scopes": 500}  # fmt: skip


def create(
    project: Any, values: Mapping[str, Any], actor: Actor, *, by_operator: bool = False
) -> CustomProvider:
    """A new custom provider of this project. Raises Problem `invalid_input`, `blocked`, `conflict`."""
    row = draft(project, values)
    row.created_by_id, row.is_approved = actor.user_id, by_operator
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            record(
                "custom_provider.created", actor=actor, project=project, provider=row.slug, detail=told(row)
            )
    except IntegrityError:
        raise Problem(
            "conflict", "Another provider of this name was made at the same moment.", field="name"
        ) from None
    return row


def draft(project: Any, values: Mapping[str, Any]) -> CustomProvider:
    """A checked description that is not stored, to try it out. Raises Problem `invalid_input`, `blocked`."""
    row = CustomProvider(project=project)
    fill(row, values)
    row.slug = free_slug(project, row.name)
    return row


def change(
    row: CustomProvider, values: Mapping[str, Any], actor: Actor, *, by_operator: bool = False
) -> CustomProvider:
    """Change it. Another address needs a new approval, and its connections a reconnect."""
    before = origins(row)
    fill(row, values)
    if before != origins(row):
        row.is_approved = by_operator
    with transaction.atomic():
        row.save()
        record(
            "custom_provider.updated", actor=actor, project=row.project, provider=row.slug, detail=told(row)
        )
    return row


def remove(row: CustomProvider, actor: Actor) -> None:
    """End its connections at the vendor as far as that goes, and remove it with all that was stored for it."""
    for connection in Connection.objects.filter(project=row.project, provider=row.slug):
        revoking.revoke(connection, actor, project=row.project)
    with transaction.atomic():
        record(
            "custom_provider.deleted", actor=actor, project=row.project, provider=row.slug, detail=told(row)
        )
        for model in (Connection, OAuthAttempt, OAuthApp, IntegrationDefault, IntegrationStatus):
            model.objects.filter(project=row.project, provider=row.slug).delete()
        PluginSettings.objects.filter(project=row.project, plugin=row.slug).delete()
        row.delete()


def told(row: CustomProvider) -> dict[str, Any]:
    return {"name": row.name, "origin": origin(row.base_url)}


def origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def origins(row: CustomProvider) -> list[tuple[str, str]]:
    """Where credentials travel to, and where people are sent to sign in."""
    if row.sent_as != CustomProvider.SentAs.OAUTH:
        return [origin(row.base_url)]
    return [origin(url) for url in (row.base_url, row.token_url, row.revoke_url, row.authorize_url)]


def fill(row: CustomProvider, values: Mapping[str, Any]) -> None:
    """Check every field and put it in; the first that is wrong is named."""
    for key in values:
        if key not in FIELDS:
            raise Problem("invalid_input", f"A custom provider has no field “{key}”.", field=key)
    for key in FIELDS:
        if key in values:
            setattr(row, key, checked(key, values[key]))
    for field in ADDRESSES:
        require_readable(getattr(row, field), field=field)
    require(row)
    row.is_inside = is_inside(row.base_url, field="base_url")
    if row.sent_as == CustomProvider.SentAs.OAUTH:
        require_oauth(row)


def checked(key: str, value: Any) -> Any:
    if key == "expected_status":
        return checked_status(value)
    if not isinstance(value, str):
        raise Problem("invalid_input", f"“{key}” must be text.", field=key)
    value = value if key == "sent_prefix" else value.strip()
    if len(value) > LONGEST.get(key, 80) or any(ord(character) < 32 for character in value):
        raise Problem(
            "invalid_input", f"“{key}” is too long or holds characters that cannot be used.", field=key
        )
    return value


def checked_status(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and 100 <= int(text) <= 599):
        raise Problem(
            "invalid_input", "The expected status is a number from 100 to 599.", field="expected_status"
        )
    return int(text)


def require_readable(address: str, *, field: str) -> None:
    """Raises Problem where it cannot be taken apart, or has a gap that something could be filled into."""
    try:
        urlsplit(address)
    except ValueError:
        raise Problem("invalid_input", "This is no address that can be read.", field=field) from None
    if "{" in address or "}" in address:
        raise Problem("invalid_input", "The address holds a brace; write it out in full.", field=field)


def require(row: CustomProvider) -> None:
    if not row.name:
        raise Problem("invalid_input", "Give it a name.", field="name")
    if row.sent_as not in CustomProvider.SentAs.values:
        kinds = ", ".join(CustomProvider.SentAs.values)
        raise Problem("invalid_input", f"How the key is sent is one of: {kinds}.", field="sent_as")
    if row.sent_as in {"header", "query"} and not HEADER_NAME.fullmatch(row.sent_name):
        raise Problem(
            "invalid_input", "Name the header or the parameter that carries the key.", field="sent_name"
        )
    if row.sent_as == "header" and row.sent_name.lower() in NEVER_A_KEY:
        raise Problem("invalid_input", f"The header {row.sent_name} cannot carry a key.", field="sent_name")
    if row.health_path and not is_path(row.health_path):
        raise Problem(
            "invalid_input", "The health path begins with a slash, such as /v1/me.", field="health_path"
        )
    if row.key_help_url and urlsplit(row.key_help_url).scheme not in {"http", "https"}:
        raise Problem(
            "invalid_input", "The address of the help page begins with https://.", field="key_help_url"
        )


def require_oauth(row: CustomProvider) -> None:
    """The authorization server: what Navi calls there is checked like the base address; people go to the page."""
    if (
        urlsplit(row.authorize_url).scheme not in {"http", "https"}
        or not urlsplit(row.authorize_url).hostname
    ):
        words = "The authorization address begins with https://; people sign in there."
        raise Problem("invalid_input", words, field="authorize_url")
    if not row.token_url:
        raise Problem("invalid_input", "The token address is missing.", field="token_url")
    if row.client_auth not in CustomProvider.ClientAuth.values:
        ways = ", ".join(CustomProvider.ClientAuth.values)
        raise Problem("invalid_input", f"How the app shows itself is one of: {ways}.", field="client_auth")
    for field in ("token_url", "revoke_url"):
        if address := getattr(row, field):
            row.is_inside = is_inside(address, field=field) or row.is_inside


def is_path(text: str) -> bool:
    """Does it stay below the base URL?"""
    try:
        joined("https://service.example", text)
    except Blocked:
        return False
    return text.startswith("/")


def is_inside(base_url: str, *, field: str) -> bool:
    """Is it reachable only through NAVI_OUTBOUND_ALLOW? Raises Problem where Navi may not call it at all."""
    parts = urlsplit(base_url)
    if parts.query or parts.fragment:
        raise Problem("invalid_input", "The address ends before any ? or #.", field=field)
    verdict = explain(base_url, policy=policy(), resolve=outbound().resolve)
    if not verdict.allowed and verdict.reason in NOT_AN_ADDRESS:
        words = f"This is no address that Navi can call ({verdict.reason.replace('_', ' ')})."
        raise Problem("invalid_input", words, field=field)
    if not verdict.allowed and verdict.reason != "unresolved":
        words = f"Navi may not call this address ({verdict.reason.replace('_', ' ')})."
        raise Problem("blocked", words, field=field)
    return (
        not explain(base_url, policy=policy(inside=False), resolve=outbound().resolve).allowed
        and verdict.allowed
    )


def free_slug(project: Any, name: str) -> str:
    """A slug that no plugin, no provider and no other custom provider has."""
    base = slugify(name)[:50] or "service"
    taken = {*registry.installed().entries, *registry.installed().plugins, *registry.RESERVED}
    taken |= set(CustomProvider.objects.filter(project=project).values_list("slug", flat=True))
    numbered = (base if number == 1 else f"{base}-{number}" for number in range(1, 1000))
    return next(slug for slug in numbered if slug not in taken)
