"""What Slack tells by itself: the Events API (https://docs.slack.dev/apis/events-api)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.plugins.slack.facts import APPS_PAGE, plugin
from integrations.plugins.slack.sync import item_id, item_of
from integrations.sdk import Event, Heard, Hmac, Incoming, Item, Step, Webhook, given
from integrations.sdk.handshakes import slack_challenge

ENDED = {"tokens_revoked", "app_uninstalled"}


def event_type(incoming: Incoming) -> str:
    """What happened, such as message.message_changed; of what has no event, the kind of the call itself."""
    parts = (incoming.said("event", "type"), incoming.said("event", "subtype"))
    return ".".join(part for part in parts if part) or incoming.said("type")


hook = plugin.receives(
    Webhook(
        # docs.slack.dev/authentication/verifying-requests-from-slack
        proof=Hmac(
            header="X-Slack-Signature",
            prefix="v0=",
            signed=("v0:", "{timestamp}", ":", "{body}"),
            timestamp_in="X-Slack-Request-Timestamp",
            tolerance=300,
        ),
        secret_from="field:signingSecret",
        delivery_id=lambda incoming: incoming.said("event_id"),
        event_type=event_type,
        kinds={"events": "Events"},
        is_greeting_signed=True,
        steps=(
            Step(
                "Paste the app's signing secret here, from “Basic Information”: Slack proves with it who calls."
            ),
            Step(
                "In Slack's list of apps open yours, “Event Subscriptions”, switch them on, and paste the address "
                "shown here as Request URL. Slack checks it at once.",
                APPS_PAGE,
            ),
            Step(
                "Under “Subscribe to bot events”, add message.channels (and message.groups for private "
                "channels), reaction_added, channel_created, tokens_revoked and app_uninstalled."
            ),
            Step("Save, reinstall the app, and invite it to the channels that it is to hear."),
        ),
    )
)
hook.greets(slack_challenge)


@hook.hears
def hear(event: Event) -> Heard:
    """Keep what happened; new messages are read where the channel is kept, changed ones replaced at once."""
    said = event.data if isinstance(event.data, dict) else {}
    happened = said.get("event") if isinstance(said.get("event"), dict) else {}
    if event.type == "app_rate_limited":
        words = "Slack left events out, because there were more than 30,000 in an hour."
        return Heard(summary=words, syncs=("messages",))
    if not happened:
        return Heard(summary="Nothing that Navi knows", is_ignored=True)
    if is_ended(event.type, happened):
        return Heard(summary="Slack says that the app's token has ended.", revoked=True)
    told = what_happened(event.type, happened, said)
    channel = str(told.get("channel") or "")
    changed = changed_message(channel, happened)
    kept: dict[str, Sequence[Item]] = {"messages": [changed]} if changed else {}
    if is_own(happened, str(said.get("api_app_id") or "")):
        return Heard(summary="Navi's own message", records=kept, part=channel, is_ignored=not changed)
    syncs = ("messages",) if happened.get("type") == "message" and channel and not changed else ()
    records = {"events": [Item(event.id, told)], **kept}
    return Heard(summary=summary_of(told), records=records, syncs=syncs, part=channel)


def is_ended(kind: str, happened: Mapping[str, Any]) -> bool:
    """Tokens of single people may end without the app's own."""
    tokens = happened.get("tokens")
    bots = tokens.get("bot") if isinstance(tokens, dict) else None
    return kind == "app_uninstalled" or (kind == "tokens_revoked" and bool(bots))


def is_own(happened: Mapping[str, Any], app: str) -> bool:
    """Written by this app: answering that would go round in circles."""
    message = happened.get("message") if isinstance(happened.get("message"), dict) else {}
    apps = [one.get("app_id") or profile_app(one) for one in (happened, message or {})]
    return bool(app) and app in apps


def profile_app(message: Mapping[str, Any]) -> Any:
    profile = message.get("bot_profile")
    return profile.get("app_id") if isinstance(profile, dict) else None


def what_happened(kind: str, happened: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    message = happened.get("message") if isinstance(happened.get("message"), dict) else {}
    item = happened.get("item") if isinstance(happened.get("item"), dict) else {}
    told = {
        "type": kind,
        "team": said.get("team_id"),
        "at": said.get("event_time"),  # epoch seconds
        "channel": channel_of(happened.get("channel")) or channel_of((item or {}).get("channel")),
        "user": happened.get("user") or (message or {}).get("user"),
        "text": happened.get("text") or (message or {}).get("text"),
        "ts": happened.get("deleted_ts")
        or (message or {}).get("ts")
        or happened.get("ts")
        or (item or {}).get("ts"),
        "thread_ts": happened.get("thread_ts"),
        "emoji": happened.get("reaction"),
    }
    return given(told)


def channel_of(found: Any) -> str | None:
    """Most events name a channel by its id, those about channels bring the whole."""
    found = found.get("id") if isinstance(found, dict) else found
    return found if isinstance(found, str) else None


def changed_message(channel: str, happened: Mapping[str, Any]) -> Item | None:
    """What history does not tell later: a message that was changed or deleted."""
    subtype, message, gone = happened.get("subtype"), happened.get("message"), happened.get("deleted_ts")
    if subtype == "message_deleted" and isinstance(gone, str):
        return Item(item_id(channel, gone), is_deleted=True)
    if subtype == "message_changed" and isinstance(message, dict) and isinstance(message.get("ts"), str):
        return None if is_hidden_reply(message) else item_of(channel, message)
    return None


def is_hidden_reply(message: Mapping[str, Any]) -> bool:
    """Shown in its thread only: the history of the channel, which is what is kept, does not have it."""
    is_reply = message.get("thread_ts") not in (None, message["ts"])
    return is_reply and message.get("subtype") != "thread_broadcast"


def summary_of(told: Mapping[str, Any]) -> str:
    return " ".join(str(told[name]) for name in ("type", "channel", "user") if name in told)[:300]
