"""Slack: channels and messages, through the Web API (https://docs.slack.dev/reference/methods)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from integrations.sdk import (
    ApiKey,
    Bearer,
    Choice,
    Client,
    Described,
    Field,
    Guide,
    Identity,
    McpServer,
    MissingScopes,
    OAuth2,
    Plugin,
    Reconnect,
    Refused,
    Response,
    Revoke,
    Step,
    TryLater,
    TypedDict,
    VendorError,
    every,
    given,
)

APPS_PAGE = "https://api.slack.com/apps"
USUAL_WAIT = timedelta(seconds=30)

# --- what goes wrong

ENDED = {
    "invalid_auth",
    "not_authed",
    "token_revoked",
    "token_expired",
    "account_inactive",
    "org_login_required",
}
PASSING = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
WORDS = {
    "channel_not_found": (
        "Slack knows no such channel, or it is private and this app is no member of it. Invite the app there."
    ),
    "not_in_channel": "This app is no member of the channel. Invite it there: /invite and the app's name.",
    "is_archived": "The channel is archived.",
    "not_allowed_token_type": "Slack does not allow this kind of token to do that.",
    "restricted_action": "A rule of the Slack workspace does not allow this.",
    "msg_too_long": "The message is too long for Slack.",
    "no_text": "Slack does not take a message without text.",
}
ARGUMENTS = {
    "channel_not_found": "channel", "not_in_channel": "channel", "is_archived": "channel",
    "msg_too_long": "text", "no_text": "text", "invalid_cursor": "cursor",
}  # fmt: skip


def trouble(response: Response) -> VendorError | None:
    """Slack answers 200 with `"ok": false`; limits and outages may also come with a status of their own."""
    if response.status_code == 429 or response.status_code >= 500:
        return None
    said = response.json()
    return None if said["ok"] else meaning(str(said["error"]), said)


def meaning(error: str, said: dict[str, Any]) -> VendorError:
    if error in ENDED:
        return Reconnect(f"Slack no longer accepts this token ({error}). Connect Slack again.")
    if error == "missing_scope":
        return missing(str(said.get("needed") or ""))
    if error in {"ratelimited", "rate_limited"}:
        return TryLater(
            "Slack asked for fewer calls. Try again in a moment.",
            code="rate_limited",
            retry_at=datetime.now(UTC) + USUAL_WAIT,
        )
    if error in PASSING:
        return TryLater(f"Slack has trouble at the moment ({error}). Try again later.", sent=True)
    words = WORDS.get(error) or f"Slack refused this: {error[:100]}."
    return Refused(words, field=ARGUMENTS.get(error))


def missing(needed: str) -> MissingScopes:
    scopes = tuple(scope.strip() for scope in needed.split(",") if scope.strip())
    lacks = f" {', '.join(scopes)}" if scopes else ""
    return MissingScopes(
        f"This Slack connection was not given the permission{lacks}. Reconnect it and allow that.",
        scopes=scopes,
    )


# --- what a sign-in may do

SCOPES = {"channels:read": "See public channels", "chat:write": "Post messages as the app"}
MORE_SCOPES = {
    "chat:write.public": "Post in public channels without being invited",
    "groups:read": "See private channels that the app was invited to",
    "channels:history": "Read messages of public channels",
    "groups:history": "Read messages of private channels that the app was invited to",
    "users:read": "See people",
    "users:read.email": "See people's e-mail addresses",
    "reactions:write": "Add reactions",
}
SIGN_IN = OAuth2(
    authorize_url="https://slack.com/oauth/v2/authorize",
    token_url="https://slack.com/api/oauth.v2.access",
    scopes={**SCOPES, **MORE_SCOPES},
    # The bot's token is at the top of the answer, the person's sits in authed_user.
    user_scopes={"search:read": "Search messages as the person who connects"},
    user_scope_name="user_scope",
    separator=",",
    granted_separator=",",
    # Slack takes a code_challenge only from apps that have turned PKCE on, and then refuses their secret.
    pkce="",
    # Tokens end only for apps that have turned token rotation on; those are told expires_in and a refresh token.
    rotates=True,
    # A bot has one token for a workspace: ending it ends it for every sign-in that got the same.
    revoke=Revoke(
        "https://slack.com/api/auth.revoke", client_auth="bearer", token="access_token", ends_all=True
    ),
    app_url=APPS_PAGE,
    app_steps=(
        "Choose “Create New App”, “From scratch”, name it Navi and pick your workspace.",
        "Open “OAuth & Permissions”. Under “Redirect URLs”, add the address shown here, exactly as it is; "
        "Slack wants one that begins with https.",
        "Below, under “Bot Token Scopes”, add the scopes that Navi is to ask for.",
        "Open “Basic Information”, copy the Client ID and the Client Secret, and paste both here.",
    ),
)

plugin = Plugin(
    slug="slack",
    name="Slack",
    description="Channels and messages: list channels, post messages.",
    category="Communication",
    base_url="https://slack.com/api",
    auth=(
        ApiKey(
            label="Bot token",
            fields=(
                Field(
                    "botToken",
                    "Bot token",
                    placeholder="xoxb-…",
                    help_url=APPS_PAGE,
                    pattern=r"(xoxe\.)?xoxb-[\w-]{10,}",
                    hint="It starts with xoxb- and is shown under OAuth & Permissions, once the app is installed.",
                ),
                Field(
                    "signingSecret",
                    "Signing secret",
                    placeholder="8f742231b10e8888abcd99yyyzzz85a5",
                    help_url=APPS_PAGE,
                    required=False,
                    pattern=r"[0-9a-f]{32}",
                    hint="Only for events that Slack sends; it is shown under Basic Information.",
                ),
            ),
            sent_as=Bearer("botToken"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    errors=trouble,
    errors_in_200=True,
    guide=Guide(
        enables="Agents can see your channels and post messages as your app.",
        steps=(
            Step("Open Slack's list of apps, choose “Create New App”, “From scratch”.", APPS_PAGE),
            Step("Under “OAuth & Permissions”, “Bot Token Scopes”, add channels:read and chat:write."),
            Step("Choose “Install to Workspace” and allow it; an admin may have to approve it."),
            Step("Copy the “Bot User OAuth Token” (xoxb-…) and paste it here."),
            Step("In Slack, invite the app to each channel it is to post in: /invite @Navi."),
        ),
        trouble={
            "Posting says that the app is no member": (
                "Invite it to the channel: type /invite and the app's name there."
            ),
            "A permission is missing": (
                "Add the scope under “OAuth & Permissions”, then choose “Reinstall to Workspace”; the token "
                "stays the same."
            ),
            "The token starts with xoxp- or xapp-": (
                "Those act for a person or for the app itself. Navi wants the bot's token, xoxb-."
            ),
        },
    ),
    color="plum",
    docs_url="https://docs.slack.dev/reference/methods",
    mcp=McpServer("https://mcp.slack.com/mcp"),
    usage_skill="slack",
    setup_skill="connect-slack",
    health_endpoint="/auth.test",
)

# --- what agents see


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


# --- actions


@plugin.action(scopes=("channels:read",), try_with={})
def list_channels(
    slack: Client,
    include_private: Annotated[
        bool, Described(description="Also private channels that the app was invited to (needs groups:read)")
    ] = False,
    cursor: Annotated[
        str | None, Described(description="next_cursor of the page before; leave it out for the first")
    ] = None,
    limit: Annotated[int, Described(ge=1, le=200, description="How many to ask for at most, 1 to 200")] = 100,
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
        # At the end the cursor is there, and empty.
        "next_cursor": (page.get("response_metadata") or {}).get("next_cursor") or None,
    }


@plugin.action(writes=True, scopes=("chat:write",))
def post_message(
    slack: Client,
    channel: Annotated[
        str, Described(description="The channel's id, from list_channels", pattern=r"^[A-Z][A-Z0-9]{2,}$")
    ],
    text: Annotated[
        str,
        Described(
            description="The message, in Slack's mrkdwn: *bold*, <https://…|link>",
            min_length=1,
            max_length=40000,
        ),
    ],
    thread_ts: Annotated[
        str | None,
        Described(description="Replies in the thread of this message (its ts)", pattern=r"^[0-9]+\.[0-9]+$"),
    ] = None,
) -> Posted:
    """Post a message in a channel, or reply in a thread, and return its `ts`.

    The app has to be a member of the channel. Do not repeat a call that may have arrived: Slack would post the
    message twice.
    """
    wanted = given({"channel": channel, "text": text, "thread_ts": thread_ts})
    found = slack.post("/chat.postMessage", json=wanted).json()
    return {"channel": found["channel"], "ts": found["ts"], "text": found["message"]["text"]}
