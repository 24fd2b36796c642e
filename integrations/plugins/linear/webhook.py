"""How Linear calls: https://linear.app/developers/webhooks, read 2026-11-21."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from integrations.plugins.linear.documents import CREATE_WEBHOOK, DELETE_WEBHOOK, UPDATE_WEBHOOK
from integrations.plugins.linear.facts import AlreadyThere, ask, plugin, version_4
from integrations.sdk import (
    Client,
    Event,
    Heard,
    Hmac,
    Incoming,
    Item,
    Refused,
    Registered,
    Step,
    Subscription,
    Webhook,
    given,
)

HEARD_OF = ("Issue", "Comment", "Project")
# Linear's own client takes a minute. But it tries again after a minute, an hour and six, and does not say that
# a later try carries a new webhookTimestamp: with a minute those would be lost. What keeps a message from
# counting twice is its delivery id; the day only bounds how long a caught one is of use to anybody.
OLDEST = timedelta(days=1)


def type_of(incoming: Incoming) -> str:
    """Such as Issue.update: the header names the thing, the body what happened to it."""
    thing = incoming.headers.get("Linear-Event") or incoming.said("type")
    return ".".join(part for part in (thing, incoming.said("action")) if part)


webhook = plugin.receives(
    Webhook(
        proof=Hmac(
            header="Linear-Signature",
            timestamp_field="webhookTimestamp",
            timestamp_unit="ms",
            tolerance=OLDEST.total_seconds(),
        ),
        delivery_id=lambda incoming: incoming.headers.get("Linear-Delivery", ""),
        event_type=type_of,
        kinds={"events": "Events"},
        resource="teams",
        scopes=("admin",),
        steps=(
            Step(
                "Connect Linear as an admin of the workspace: with an API key that has Admin access, or by "
                "signing in with “Create and delete webhooks” ticked.",
                "https://linear.app/settings/account/security",
            ),
            Step("Choose a team here, or all public teams. Navi creates the webhook in Linear by itself."),
            Step(
                "Linear lists it under Settings, API, Webhooks, where an admin can see its deliveries.",
                "https://linear.app/settings/api",
            ),
        ),
    )
)


@webhook.registers
def register(linear: Client, subscription: Subscription) -> Registered:
    """Create the webhook at Linear, for one team or for all public ones; renewed, it gets the new secret."""
    wanted = {
        "url": subscription.url,
        "secret": subscription.secret,
        "resourceTypes": list(HEARD_OF),
        "label": "Navi",
        "enabled": True,
    }
    if known := subscription.previous.get("id"):
        return renewed(linear, str(known), wanted)
    own_id = version_4(subscription.id) if subscription.id else None
    place = {"teamId": subscription.resource} if subscription.resource else {"allPublicTeams": True}
    try:
        made = ask(linear, CREATE_WEBHOOK, input=given({**wanted, **place, "id": own_id}))["webhookCreate"]
    except AlreadyThere:
        if own_id is None:
            raise
        return Registered({"id": own_id})
    return Registered({"id": made["webhook"]["id"]})


def renewed(linear: Client, id: str, wanted: Mapping[str, Any]) -> Registered:
    done = ask(linear, UPDATE_WEBHOOK, id=id, input=dict(wanted))["webhookUpdate"]
    return Registered({"id": done["webhook"]["id"]})


@webhook.unregisters
def unregister(linear: Client, facts: Mapping[str, Any]) -> None:
    try:
        ask(linear, DELETE_WEBHOOK, id=str(facts.get("id", "")))
    except Refused as refusal:
        # Somebody has deleted it in Linear before: then it is as it should be.
        if "not found" not in refusal.message.lower() and "could not find" not in refusal.message.lower():
            raise


@webhook.hears
def hear(event: Event) -> Heard:
    """Keep the event; issues that changed are read again, one that was removed is gone at once."""
    said = event.data if isinstance(event.data, dict) else {}
    thing, _, deed = event.type.partition(".")
    about = said.get("data")
    data: dict[str, Any] = about if isinstance(about, dict) else {}
    records = {"events": [Item(event.id, kept(said, thing, deed))]}
    if thing != "Issue":
        return Heard(summary=words(thing, deed, data), records=records)
    if deed == "remove" and data.get("id"):
        # No question about changes would show it: this message is all that tells of it before the weekly pass.
        records["issues"] = [Item(str(data["id"]), is_deleted=True)]
    return Heard(summary=words(thing, deed, data), records=records, syncs=("issues",))


def kept(said: Mapping[str, Any], thing: str, deed: str) -> dict[str, Any]:
    actor = said.get("actor")
    return {
        "type": thing,
        "action": deed,
        "created_at": said.get("createdAt"),
        "url": said.get("url"),
        "actor": actor.get("name") if isinstance(actor, dict) else None,
        "data": said.get("data"),
        "updated_from": said.get("updatedFrom"),
    }


def words(thing: str, deed: str, data: Mapping[str, Any]) -> str:
    name = data.get("identifier") or data.get("name") or ""
    done = {"create": "created", "update": "changed", "remove": "removed"}.get(deed, deed)
    return " ".join(str(part) for part in (thing, name, done) if part)[:200]
