"""Where vendors call, as people see it: each address with its state, and how a new one is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from credentials.models import Connection
from credentials.vault import Unreadable, VaultSealed
from integrations import registry
from integrations.models import Discovered, WebhookEndpoint
from integrations.registry import Entry
from integrations.runtime import endpoints
from integrations.runtime.lines import url_of
from integrations.sdk import Plugin, SignedJwt, Webhook
from integrations.sdk.schemes import SCHEMES
from navi.audit.problems import Problem
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest
from navi.hub.tiles import tile

STATES = WebhookEndpoint.State
SHAPES = {
    STATES.WAITING: "unknown",
    STATES.ACTIVE: "healthy",
    STATES.FAILED: "failed",
    STATES.EXPIRED: "failed",
}
WORDS = {STATES.WAITING: "Waiting for the first call", STATES.ACTIVE: "Active", STATES.FAILED: "Not registered",
         STATES.EXPIRED: "Expired"}  # fmt: skip


def section(request: ProjectRequest, *, entry: Entry | None = None) -> dict[str, Any]:
    """What _endpoints.html takes, of the project or of one provider: two queries and one for custom providers."""
    rows = endpoints.in_project(request.project)
    rows = list(rows.filter(provider=entry.slug) if entry else rows)
    about = {"plugin": entry.plugins[0].slug} if entry and len(entry.plugins) == 1 else {}
    may = request.may("integrations.manage")
    can = any(takes_webhooks(one, plugin) for one in ([entry] if entry else []) for plugin in one.plugins)
    return {
        "rows": told_all(request, rows),
        "may_change": may,
        "is_possible": can or entry is None,
        "add_url": url_in(request, "webhook-new", **({"provider": entry.slug} if entry else {}), **about),
        "refresh_url": url_in(request, "webhooks"),
        "events_url": url_in(request, "webhooks"),
        "of_provider": entry.name if entry else "",
    }


def told_all(request: ProjectRequest, rows: Sequence[WebhookEndpoint]) -> list[dict[str, Any]]:
    named = labels_of(rows)
    return [told(request, row, named.get((row.connection_id, row.plugin, row.resource), "")) for row in rows]


def labels_of(rows: Iterable[WebhookEndpoint]) -> dict[tuple[Any, str, str], str]:
    """What the vendor called the resources when it was last asked: one query."""
    accounts = {row.connection_id for row in rows if row.connection_id and row.resource}
    found = Discovered.objects.filter(connection__in=accounts) if accounts else ()
    return {
        (one.connection_id, one.plugin, choice["id"]): choice["label"]
        for one in found
        for choice in one.choices
    }


def told(request: ProjectRequest, row: WebhookEndpoint, resource: str = "") -> dict[str, Any]:
    """One address as a row. A plugin that is gone leaves its name."""
    entry, plugin = placed(row)
    webhook = webhook_of(row, plugin)
    url = {
        name: url_in(request, f"webhook-{name}", row.pk)
        for name in ("rotate", "pause", "resume", "delete", "secret")
    }
    return {
        **(tile(entry) if entry else {"name": row.plugin}),
        "id": str(row.pk),
        "plugin": plugin.name if plugin else row.plugin,
        "account": row.connection.label if row.connection else "",
        "resource": resource or row.resource,
        "label": row.label,
        "health": health_of(row),
        "reason": row.state_reason,
        # Whoever knows it may try to speak there.
        "address": url_of(row) if request.may("integrations.manage") else "",
        "last_at": row.last_delivery_at,
        "refused": row.refused_count,
        "expires_at": row.expires_at,
        "is_paused": row.is_paused,
        "may_change": request.may("integrations.manage"),
        "may_rotate": webhook is not None and rotates(webhook),
        "has_secret": has_secret(row),
        "steps": steps_of(webhook) if row.state == STATES.WAITING else [],
        "deliveries_url": url_in(request, "webhooks", endpoint=row.pk),
        "url": url,
    }  # fmt: skip


def placed(row: WebhookEndpoint) -> tuple[Entry | None, Plugin | None]:
    try:
        return registry.plugin(row.plugin, row.project_id)
    except Problem:
        return None, None


def webhook_of(row: WebhookEndpoint, plugin: Plugin | None) -> Webhook | None:
    if plugin is None or plugin.webhook is not None:
        return plugin.webhook if plugin else None
    scheme = SCHEMES.get(row.scheme)
    return (
        Webhook(proof=scheme.proof, delivery_id=scheme.delivery_id, event_type=scheme.event_type)
        if scheme
        else None
    )


def rotates(webhook: Webhook) -> bool:
    """A proof by the vendor's own keys has no secret of ours, one of the connection changes there."""
    return not isinstance(webhook.proof, SignedJwt) and webhook.secret_from in {"navi", "vendor"}


def has_secret(row: WebhookEndpoint) -> bool:
    """Has a handshake brought something that a person must carry back?"""
    with suppress(VaultSealed, Unreadable):
        return endpoints.has_something_to_show(row)
    return False


def health_of(row: WebhookEndpoint) -> dict[str, str]:
    if row.is_paused:
        return {"state": "disabled", "word": "Paused"}
    state = STATES(row.state)
    return {"state": SHAPES[state], "word": WORDS[state]}


def steps_of(webhook: Webhook | None) -> list[dict[str, str]]:
    return [{"text": step.text, "url": step.url} for step in webhook.steps] if webhook else []


# --- what a new one may be for


def takes_webhooks(entry: Entry, plugin: Plugin) -> bool:
    return plugin.webhook is not None or bool(entry.provider.custom_id)


def offers(request: ProjectRequest, provider: str = "") -> list[dict[str, Any]]:
    """The plugins that can be called by their vendors, those with an account first: two queries."""
    accounts = accounts_by_provider(request)
    found = [
        {
            **tile(entry),
            "plugin": plugin.slug,
            "name": plugin.name,
            "is_ready": bool(accounts.get(entry.slug)) or bool(entry.provider.custom_id),
            "url": url_in(request, "webhook-new", plugin=plugin.slug),
            "connect_url": url_in(request, "connect", entry.slug),
        }
        for entry in registry.entries(request.project.pk)
        for plugin in entry.plugins
        if takes_webhooks(entry, plugin) and provider in {"", entry.slug}
    ]
    return sorted(found, key=lambda one: not one["is_ready"])


def accounts_by_provider(request: ProjectRequest) -> Mapping[str, list[Connection]]:
    """The project's own accounts: webhooks belong to a project. One query."""
    found: dict[str, list[Connection]] = {}
    for row in Connection.objects.standing().of_project(request.project.pk).in_order_of_resolution():
        found.setdefault(row.provider, []).append(row)
    return found
