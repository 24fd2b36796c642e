"""A vendor of our own for tests: it signs as GitHub does, and counts."""

from __future__ import annotations

from integrations.sdk import (
    ApiKey,
    Bearer,
    Choice,
    Client,
    Event,
    Field,
    Heard,
    Hmac,
    Identity,
    Item,
    Page,
    Place,
    Plugin,
    Webhook,
)

plugin = Plugin(
    slug="pinger",
    name="Pinger",
    base_url="https://api.pinger.example",
    auth=ApiKey(fields=(Field("apiKey", "API key"),), sent_as=Bearer("apiKey")),
    description="Counts pings.",
)

hook = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Ping-Signature", prefix="sha256="),
        delivery_id=lambda incoming: incoming.headers.get("X-Ping-Id", ""),
        event_type=lambda incoming: incoming.said("type"),
        number=lambda incoming: incoming.headers.get("X-Ping-Number", ""),
        kinds={"pings": "Pings"},
    )
)


@hook.hears
def hear(event: Event) -> Heard:
    if event.type == "broken":
        raise KeyError("a secret that no log may quote")
    if event.type == "revoked":
        return Heard(summary="Access ended", revoked=True)
    if event.type == "nothing":
        return Heard(is_ignored=True)
    item = Item(event.id, {"type": event.type, "text": event.data.get("text")})
    return Heard(summary=f"Ping {event.id}", records={"pings": [item]}, syncs=("counters",))


@plugin.sync("counters")
def counters(pinger: Client, place: Place) -> Page:
    return Page([], {"at": "now"})


@plugin.health
def health(pinger: Client) -> Identity:
    return Identity(label="pinger@example.org", account_id="p1")


@plugin.discovers("rooms")
def rooms(pinger: Client) -> list[Choice]:
    return []
