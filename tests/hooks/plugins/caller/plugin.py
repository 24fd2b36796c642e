"""A vendor of our own for tests: it is registered by its API, and brings its own secret while it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.sdk import (
    ApiKey,
    Bearer,
    Client,
    Event,
    Field,
    Heard,
    Hmac,
    Plugin,
    Registered,
    Subscription,
    Webhook,
    path_part,
)
from integrations.sdk.handshakes import echoed_secret

plugin = Plugin(
    slug="caller",
    name="Caller",
    base_url="https://api.caller.example",
    auth=ApiKey(fields=(Field("apiKey", "API key"),), sent_as=Bearer("apiKey")),
)
channel = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Call-Signature"),
        delivery_id=lambda incoming: incoming.headers.get("X-Call-Id", ""),
        event_type=lambda incoming: incoming.said("type"),
        secret_from="vendor",
        resource="rooms",
    )
)
channel.greets(echoed_secret("X-Call-Secret"))


@channel.registers
def register(caller: Client, wanted: Subscription) -> Registered:
    body: dict[str, Any] = {"url": wanted.url, "room": wanted.resource}
    made = caller.post("/channels", json=body).json()
    return Registered({"id": made["id"]}, datetime.now(UTC) + timedelta(seconds=made["seconds"]))


@channel.unregisters
def unregister(caller: Client, facts: Any) -> None:
    caller.delete(f"/channels/{path_part(facts['id'])}")


@channel.hears
def hear_call(event: Event) -> Heard:
    return Heard(summary=f"Call {event.type}")
