"""What agents can do at Slack, and what a person can choose from."""

from __future__ import annotations

from typing import Annotated

from integrations.plugins.slack.facts import plugin
from integrations.plugins.slack.shapes import (
    TS,
    Blocks,
    Channel,
    ChannelId,
    Channels,
    Cursor,
    Hits,
    Limit,
    Messages,
    People,
    Person,
    Posted,
    Reacted,
    Text,
    Ts,
    next_cursor,
    seen_channel,
    seen_message,
    seen_person,
)
from integrations.sdk import Choice, Client, Described, Identity, Response, every, given

# --- health and discovery


@plugin.health
def whoami(slack: Client) -> Identity:
    answer = slack.get("/auth.test")
    found = answer.json()
    return Identity(
        label=found.get("user") or found["team"],
        account_id=f"{found['team_id']}/{found['user_id']}",  # A person's id is told together with the team's.
        scopes=scopes_in(answer),
        workspace=found["team"],
    )


def scopes_in(answer: Response) -> tuple[str, ...] | None:
    said = answer.headers.get("X-OAuth-Scopes", "")
    return tuple(scope.strip() for scope in said.split(",") if scope.strip()) or None


@plugin.discovers("channels")
def channels(slack: Client) -> list[Choice]:
    found = every(lambda cursor: list_channels(slack, cursor=cursor, limit=200), "channels")
    return [Choice(id=channel["id"], label=f"#{channel['name']}") for channel in found]


@plugin.discovers("users")
def users(slack: Client) -> list[Choice]:
    found = every(lambda cursor: list_users(slack, cursor=cursor, limit=200), "people")
    return [
        Choice(id=one["id"], label=one["real_name"] or one["name"]) for one in found if not one["is_gone"]
    ]


# --- channels


@plugin.action(scopes=("channels:read",), try_with={})
def list_channels(
    slack: Client,
    include_private: Annotated[
        bool, Described(description="Also private channels that the app was invited to (needs groups:read)")
    ] = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Channels:
    """List the channels of the workspace with their ids; archived ones are left out.

    Use it to find the channel id that post_message takes. A page may hold fewer channels than `limit`, even
    none: `next_cursor` alone tells whether there are more; it is null on the last page.
    """
    asked = {
        "types": "public_channel,private_channel" if include_private else "public_channel",
        "exclude_archived": True,
        "limit": limit,
        "cursor": cursor,
    }
    page = slack.get("/conversations.list", params=asked).json()
    return {
        "channels": [seen_channel(found) for found in page["channels"]],
        "next_cursor": next_cursor(page),
    }


@plugin.action(writes=True, scopes=("channels:join",))
def join_channel(slack: Client, channel: ChannelId) -> Channel:
    """Make the app a member of a public channel, so that it may read and post there.

    Private channels cannot be joined: somebody has to invite the app there. Joining twice changes nothing.
    """
    found = slack.post("/conversations.join", json={"channel": channel}, idempotent=True).json()
    return seen_channel(found["channel"])


# --- reading messages


@plugin.action(scopes=("channels:history",))
def list_messages(
    slack: Client,
    channel: ChannelId,
    since: Annotated[
        str | None, Described(description="Only messages after this ts or epoch second", pattern=r"^[0-9.]+$")
    ] = None,
    until: Annotated[
        str | None,
        Described(description="Only messages before this ts or epoch second", pattern=r"^[0-9.]+$"),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Messages:
    """Read the messages of a channel, the newest first, without the replies in threads (list_replies).

    The app has to be a member of the channel. `next_cursor` is null on the last page.
    """
    asked = {"channel": channel, "oldest": since, "latest": until, "limit": limit, "cursor": cursor}
    page = slack.get("/conversations.history", params=asked).json()
    return {"messages": [seen_message(one) for one in page["messages"]], "next_cursor": next_cursor(page)}


@plugin.action(scopes=("channels:history",))
def list_replies(
    slack: Client, channel: ChannelId, thread_ts: Ts, cursor: Cursor = None, limit: Limit = 50
) -> Messages:
    """Read a thread: its first message, then the replies, the oldest first; `next_cursor` is null at the end."""
    asked = {"channel": channel, "ts": thread_ts, "limit": limit, "cursor": cursor}
    page = slack.get("/conversations.replies", params=asked).json()
    return {"messages": [seen_message(one) for one in page["messages"]], "next_cursor": next_cursor(page)}


@plugin.action()
def search_messages(
    slack: Client,
    query: Annotated[
        str, Described(description="Words, and from:@name in:#channel after:2026-01-01", min_length=1)
    ],
    limit: Annotated[int, Described(ge=1, le=100, description="How many at most, 1 to 100")] = 20,
) -> Hits:
    """Search messages in the whole workspace, the best match first.

    Slack lets only people's own tokens search (with search:read); with the app's token it is refused, and
    list_messages of a channel is the way.
    """
    found = slack.get("/search.messages", params={"query": query, "count": limit}).json()["messages"]
    return {
        "messages": [
            {
                "channel": one["channel"]["id"],
                "channel_name": one["channel"].get("name") or "",
                "ts": one["ts"],
                "user": one.get("user"),
                "text": one.get("text") or "",
                "link": one.get("permalink") or "",
            }
            for one in found["matches"]
        ],
        "total": found["total"],
    }


# --- writing messages


@plugin.action(writes=True, scopes=("chat:write",))
def post_message(
    slack: Client,
    channel: ChannelId,
    text: Text,
    thread_ts: Annotated[
        str | None, Described(description="Replies in the thread of this message (its ts)", pattern=TS)
    ] = None,
    blocks: Blocks = None,
) -> Posted:
    """Post a message in a channel, or reply in a thread, and return its `ts`.

    The app has to be a member of the channel. Do not repeat a call that may have arrived: Slack would post the
    message twice.
    """
    wanted = given({"channel": channel, "text": text, "thread_ts": thread_ts, "blocks": blocks})
    found = slack.post("/chat.postMessage", json=wanted).json()
    return {"channel": found["channel"], "ts": found["ts"], "text": found["message"]["text"]}


@plugin.action(writes=True, scopes=("chat:write",))
def reply_to_message(
    slack: Client,
    channel: ChannelId,
    thread_ts: Ts,
    text: Text,
    is_shown_in_channel: Annotated[
        bool, Described(description="Show the reply in the channel as well, not only in the thread")
    ] = False,
) -> Posted:
    """Reply to a message in its thread (which begins with it, if there is none) and return the reply's `ts`.

    Do not repeat a call that may have arrived: Slack would post the reply twice.
    """
    shown = {"reply_broadcast": True} if is_shown_in_channel else {}
    wanted = {"channel": channel, "text": text, "thread_ts": thread_ts, **shown}
    found = slack.post("/chat.postMessage", json=wanted).json()
    return {"channel": found["channel"], "ts": found["ts"], "text": found["message"]["text"]}


@plugin.action(writes=True, scopes=("chat:write",))
def update_message(slack: Client, channel: ChannelId, ts: Ts, text: Text, blocks: Blocks = None) -> Posted:
    """Change a message that the app posted before; the new text replaces the old one.

    Messages of people and of other apps cannot be changed.
    """
    wanted = given({"channel": channel, "ts": ts, "text": text, "blocks": blocks})
    # Saying the same twice changes nothing more: it may be repeated.
    found = slack.post("/chat.update", json=wanted, idempotent=True).json()
    return {"channel": found["channel"], "ts": found["ts"], "text": found["text"]}


@plugin.action(writes=True, scopes=("reactions:write",))
def add_reaction(
    slack: Client,
    channel: ChannelId,
    ts: Ts,
    emoji: Annotated[
        str,
        Described(
            description="The emoji's name without colons, such as white_check_mark",
            pattern=r"^[a-z0-9_+'-]+$",
        ),
    ],
) -> Reacted:
    """Put an emoji under a message, as the app. A reaction that is there already stays, and is no error."""
    wanted = {"channel": channel, "timestamp": ts, "name": emoji}
    slack.post("/reactions.add", json=wanted, idempotent=True)
    return {"channel": channel, "ts": ts, "emoji": emoji}


# --- people


@plugin.action(scopes=("users:read",))
def list_users(slack: Client, cursor: Cursor = None, limit: Limit = 100) -> People:
    """List the people and apps of the workspace with their ids, also those who left (`is_gone`).

    Write <@id> in a message to mention somebody. `next_cursor` is null on the last page.
    """
    page = slack.get("/users.list", params={"limit": limit, "cursor": cursor}).json()
    return {"people": [seen_person(one) for one in page["members"]], "next_cursor": next_cursor(page)}


@plugin.action(scopes=("users:read", "users:read.email"))
def find_user(
    slack: Client,
    email: Annotated[str, Described(description="The person's e-mail address", pattern=r"^[^@\s]+@[^@\s]+$")],
) -> Person:
    """Find the person of the workspace who has an e-mail address; refused where nobody has it."""
    return seen_person(slack.get("/users.lookupByEmail", params={"email": email}).json()["user"])
