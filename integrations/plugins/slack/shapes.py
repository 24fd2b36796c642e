"""What agents see of Slack's things, and how they name them."""

from __future__ import annotations

from typing import Annotated, Any

from integrations.sdk import Described, TypedDict


class Channel(TypedDict):
    """`is_member`: the app was invited, and may post."""

    id: str
    name: str
    is_private: bool
    is_member: bool
    topic: str
    purpose: str
    members: int | None


class Channels(TypedDict):
    channels: list[Channel]
    next_cursor: str | None


class Posted(TypedDict):
    """`ts` is the message's id within its channel, and what a reply gives as `thread_ts`."""

    channel: str
    ts: str
    text: str


class Reaction(TypedDict):
    emoji: str
    count: int


class Message(TypedDict):
    """`user` is who wrote it (list_users tells names); null where an app did, which `app` names.

    `thread_ts` is there where it begins a thread or belongs to one; `replies` counts those below it.
    """

    ts: str
    user: str | None
    app: str | None
    text: str
    thread_ts: str | None
    replies: int
    reactions: list[Reaction]
    files: list[str]
    is_edited: bool


class Messages(TypedDict):
    messages: list[Message]
    next_cursor: str | None


class Person(TypedDict):
    """`email` is null without the permission users:read.email."""

    id: str
    name: str
    real_name: str
    email: str | None
    is_bot: bool
    is_gone: bool


class People(TypedDict):
    people: list[Person]
    next_cursor: str | None


class Hit(TypedDict):
    channel: str
    channel_name: str
    ts: str
    user: str | None
    text: str
    link: str


class Hits(TypedDict):
    messages: list[Hit]
    total: int


class Reacted(TypedDict):
    channel: str
    ts: str
    emoji: str


def seen_channel(found: dict[str, Any]) -> Channel:
    return {
        "id": found["id"],
        "name": found["name"],
        "is_private": bool(found.get("is_private")),
        "is_member": bool(found.get("is_member")),
        "topic": (found.get("topic") or {}).get("value", ""),
        "purpose": (found.get("purpose") or {}).get("value", ""),
        "members": found.get("num_members"),
    }


def seen_message(found: dict[str, Any]) -> Message:
    return {
        "ts": found["ts"],
        "user": found.get("user"),
        "app": (found.get("bot_profile") or {}).get("name") or found.get("username") or found.get("bot_id"),
        "text": found.get("text") or "",
        "thread_ts": found.get("thread_ts"),
        "replies": found.get("reply_count", 0),
        "reactions": [
            {"emoji": one["name"], "count": one.get("count", 0)} for one in found.get("reactions") or []
        ],
        # A file that was deleted has no name any more.
        "files": [one.get("name") or one.get("id") or "" for one in found.get("files") or []],
        "is_edited": bool(found.get("edited")),
    }


def seen_person(found: dict[str, Any]) -> Person:
    profile = found.get("profile") or {}
    return {
        "id": found["id"],
        "name": profile.get("display_name") or found.get("name") or "",
        "real_name": found.get("real_name") or profile.get("real_name") or "",
        "email": profile.get("email"),
        "is_bot": bool(found.get("is_bot")),
        "is_gone": bool(found.get("deleted")),
    }


def next_cursor(page: dict[str, Any]) -> str | None:
    """At the end the cursor is there, and empty."""
    return (page.get("response_metadata") or {}).get("next_cursor") or None


# --- what agents give

ChannelId = Annotated[
    str, Described(description="The channel's id, from list_channels", pattern=r"^[A-Z][A-Z0-9]{2,}$")
]
Text = Annotated[
    str,
    Described(
        description="The message, in Slack's mrkdwn: *bold*, <https://…|link>", min_length=1, max_length=40000
    ),
]
TS = r"^[0-9]+\.[0-9]+$"
Ts = Annotated[str, Described(description="The message's ts, from list_messages or post_message", pattern=TS)]
Blocks = Annotated[
    list[dict[str, Any]] | None,
    Described(
        description="Block Kit blocks to show instead; the text is then what notifications show",
        max_length=50,
    ),
]
Cursor = Annotated[
    str | None, Described(description="next_cursor of the page before; leave it out for the first")
]
Limit = Annotated[int, Described(ge=1, le=200, description="How many to ask for at most, 1 to 200")]
