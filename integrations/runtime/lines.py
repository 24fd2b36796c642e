"""An endpoint with all that its vendor's calls need: the plugin, its webhook, the secrets that count."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from credentials.asker import app_of
from credentials.client import fields_of
from credentials.models import State
from integrations import registry
from integrations.models import IntegrationDefault, Provider, WebhookEndpoint
from integrations.registry import Entry
from integrations.runtime import oauth_apps
from integrations.sdk import Plugin, Webhook
from integrations.sdk.schemes import SCHEMES, Answer, webhook_of
from navi.audit.problems import Problem
from navi.audit.redact import remember

CLOSED = {State.PENDING, State.REVOKED}


@dataclass(frozen=True)
class Line:
    """One endpoint and how its vendor calls. `answer` is a handshake that needs the secrets."""

    endpoint: WebhookEndpoint
    entry: Entry
    plugin: Plugin
    webhook: Webhook
    answer: Answer | None = None


def endpoint_of(key: str) -> WebhookEndpoint | None:
    """The endpoint with its account and project, and whether its provider is blocked or off: one query."""
    switched_on = IntegrationDefault.objects.filter(
        plugin="", project=OuterRef(OuterRef("project")), provider=OuterRef("slug"), enabled=True
    )
    closed = Q(is_blocked=True) | Q(enabled=False) & ~Exists(switched_on)
    blocked = Provider.objects.filter(closed, slug=OuterRef("provider"))
    off = IntegrationDefault.objects.filter(
        Q(plugin="") | Q(plugin=OuterRef("plugin")),
        project=OuterRef("project"), provider=OuterRef("provider"), enabled=False,
    )  # fmt: skip
    rows = WebhookEndpoint.objects.select_related("project", "connection__current", "connection__app")
    rows = rows.annotate(is_blocked=Exists(blocked), is_switched_off=Exists(off))
    return rows.filter(key=key).first()


def is_open(endpoint: WebhookEndpoint) -> bool:
    """Does it listen at all? `endpoint` comes from `endpoint_of`."""
    account = endpoint.connection
    is_off = account is not None and (not account.enabled or account.state in CLOSED)
    is_closed = getattr(endpoint, "is_blocked", False) or getattr(endpoint, "is_switched_off", False)
    return not (endpoint.is_paused or is_off or is_closed or endpoint.project.archived_at)


def line_of(endpoint: WebhookEndpoint) -> Line:
    """Raises Problem `unknown` where the plugin is gone or takes no calls."""
    entry, plugin = registry.plugin(endpoint.plugin, endpoint.project_id)
    scheme = SCHEMES.get(endpoint.scheme)
    if plugin.webhook is not None:
        return Line(endpoint, entry, plugin, plugin.webhook)
    if not entry.provider.custom_id or scheme is None:
        raise Problem("unknown", f"{plugin.name} takes no webhooks.", provider=entry.slug)
    return Line(endpoint, entry, plugin, webhook_of(scheme), scheme.answer)


def url_of(endpoint: WebhookEndpoint) -> str:
    """The address that the vendor calls."""
    return f"{settings.BASE_URL}/hooks/{endpoint.key}"


# --- secrets


def kept(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """The sealed content: {"live": […], "greets_until": …, "to_show": …}. Raises VaultSealed, Unreadable."""
    found: dict[str, Any] = endpoint.secrets.reveal() or {}
    return {"live": [], **found}


def live(endpoint: WebhookEndpoint) -> list[str]:
    """The endpoint's own secrets, the newest first; those past their overlap are none."""
    now = time.time()
    return [one["value"] for one in kept(endpoint)["live"] if one["until"] is None or one["until"] > now]


def secrets_of(line: Line) -> list[str]:
    """All secrets that prove a call now. Raises Problem, VaultSealed, Unreadable."""
    found = [*of_the_account(line), *live(line.endpoint)]
    remember(found)
    return found


def of_the_account(line: Line) -> Sequence[str]:
    """The secret that comes with the connection: one of its fields, or its OAuth app's client secret."""
    source, account = line.webhook.secret_from, line.endpoint.connection
    if account is None:
        return ()
    if source == "oauth_app":
        app = account.app or oauth_apps.serving(line.entry, line.endpoint.project)
        return (app_of(app, line.entry.remote()).client_secret,) if app else ()
    if source.startswith("field:"):
        fields = fields_of(account, line.entry.remote(auth_kind=account.auth_kind))
        return (fields.get(source.removeprefix("field:"), ""),)
    return ()


def with_secret(held: Mapping[str, Any], value: str, *, overlap: float) -> dict[str, Any]:
    """The content with a new secret in front; those before it count for `overlap` more seconds."""
    now = time.time()
    before = [
        {**one, "until": min(one["until"] or now + overlap, now + overlap)}
        for one in held.get("live", [])
        if one["until"] is None or one["until"] > now
    ]
    # Two live ones at a time: whoever rotates twice within the overlap ends the oldest.
    return {**held, "live": [{"value": value, "until": None}, *before[:1]]}


def greets(endpoint: WebhookEndpoint) -> bool:
    """May a handshake bring a secret now? Before the first call, and while it is set up anew.

    Where a person has brought one, no stranger who learns the address puts another in its place.
    """
    until = kept(endpoint).get("greets_until") or 0
    has_none_yet = endpoint.state == WebhookEndpoint.State.WAITING and not live(endpoint)
    return has_none_yet or until > timezone.now().timestamp()
