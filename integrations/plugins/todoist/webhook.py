"""How Todoist calls: https://developer.todoist.com/api/v1 (Webhooks), read 2026-11-21."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.plugins.todoist.facts import APP_PAGE, plugin
from integrations.sdk import Event, Heard, Hmac, Item, Step, Webhook

EVENTS = (
    "item:added, item:updated, item:deleted, item:completed, item:uncompleted, note:added, project:added, "
    "project:updated, project:deleted, project:archived and project:unarchived"
)
# What is to be read again after an event: a project takes its tasks along.
FOLLOWING: Mapping[str, tuple[str, ...]] = {
    "item": ("tasks",),
    "note": ("tasks",),
    "project": ("projects", "tasks"),
    "section": ("tasks",),
}

webhook = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Todoist-Hmac-SHA256", encoding="base64"),
        delivery_id=lambda incoming: incoming.headers.get("X-Todoist-Delivery-ID", ""),
        event_type=lambda incoming: incoming.said("event_name"),
        secret_from="oauth_app",
        kinds={"events": "Events"},
        scopes=("data:read",),
        steps=(
            Step("Open Todoist's App Management Console and choose the app that Navi signs in by.", APP_PAGE),
            Step(
                "Under “Webhooks”, paste the address shown here as the callback URL. It must be https, without "
                "a port."
            ),
            Step(f"Tick the events {EVENTS}, and choose “Activate webhook”."),
            Step(
                "Connect Todoist here by signing in, also as the app's owner: until then Todoist stays silent. "
                "There is no secret to copy; Todoist signs with the app's client secret."
            ),
        ),
    )
)


@webhook.hears
def hear(event: Event) -> Heard:
    """Keep the event and read again what it is about. Deliveries may be lost or come in any order, so what
    they say about a task is not taken for the truth."""
    said = event.data if isinstance(event.data, dict) else {}
    if is_about_somebody_else(event, said):
        # An app has one webhook: Todoist tells it about everybody who has ever signed in by the app.
        return Heard(summary="About another person's account", is_ignored=True)
    thing, _, deed = event.type.partition(":")
    records = {"events": [Item(event.id, kept(said))]}
    return Heard(summary=words(thing, deed, said), records=records, syncs=FOLLOWING.get(thing, ()))


def is_about_somebody_else(event: Event, said: Mapping[str, Any]) -> bool:
    ours = str(event.account)
    return bool(ours) and str(said.get("user_id", "")) != ours


def kept(said: Mapping[str, Any]) -> dict[str, Any]:
    """Without the person who did it, but for the name: e-mail addresses of others are not ours to keep."""
    initiator = said.get("initiator")
    return {
        "event": said.get("event_name"),
        "triggered_at": said.get("triggered_at"),
        "by": initiator.get("full_name") if isinstance(initiator, dict) else None,
        "data": said.get("event_data"),
        "intent": intent(said),
    }


def intent(said: Mapping[str, Any]) -> str | None:
    """For item:updated, what the person did: item_updated, item_completed or item_uncompleted."""
    extra = said.get("event_data_extra")
    return extra.get("update_intent") if isinstance(extra, dict) else None


def words(thing: str, deed: str, said: Mapping[str, Any]) -> str:
    data = said.get("event_data")
    name = (data.get("content") or data.get("name") or "") if isinstance(data, dict) else ""
    what = {"item": "Task", "note": "Comment"}.get(thing, thing.capitalize())
    return f"{what} {deed}: {name}"[:200] if name else f"{what} {deed}".strip()
