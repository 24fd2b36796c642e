"""What Slack is: signing in, what its refusals mean, what a person is told (https://docs.slack.dev)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from integrations.sdk import (
    ApiKey,
    Bearer,
    Described,
    Field,
    Guide,
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
    VendorError,
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
DONE_BEFORE = {"already_reacted"}  # what was asked for is so
PASSING = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
WORDS = {
    "channel_not_found": (
        "Slack knows no such channel, or it is private and this app is no member of it. Invite the app there."
    ),
    "not_in_channel": "This app is no member of the channel. Invite it there: /invite and the app's name.",
    "is_archived": "The channel is archived.",
    "not_allowed_token_type": (
        "Slack lets only people's own tokens do that, with search:read for searching; this connection holds "
        "the app's. Read a channel with list_messages instead."
    ),
    "message_not_found": "Slack finds no such message in this channel; it may have been deleted.",
    "thread_not_found": "Slack finds no such thread in this channel.",
    "cant_update_message": "An app may change only messages that it posted itself.",
    "edit_window_closed": "The workspace does not allow changing a message so long after it was posted.",
    "invalid_name": "Slack knows no such emoji.",
    "users_not_found": "Nobody in this Slack workspace has that e-mail address.",
    "user_not_found": "Nobody in this Slack workspace has that id.",
    "method_not_supported_for_channel_type": "An app can join public channels only.",
    "invalid_blocks": "Slack does not understand these blocks.",
    "restricted_action": "A rule of the Slack workspace does not allow this.",
    "msg_too_long": "The message is too long for Slack.",
    "no_text": "Slack does not take a message without text.",
}
ARGUMENTS = {
    "channel_not_found": "channel", "not_in_channel": "channel", "is_archived": "channel",
    "msg_too_long": "text", "no_text": "text", "invalid_cursor": "cursor", "invalid_blocks": "blocks",
    "message_not_found": "ts", "cant_update_message": "ts", "thread_not_found": "ts", "invalid_name": "emoji",
    "users_not_found": "email", "invalid_name_specials": "emoji",
}  # fmt: skip


def trouble(response: Response) -> VendorError | None:
    """Slack answers 200 with `"ok": false`; limits and outages may also come with a status of their own."""
    if response.status_code == 429 or response.status_code >= 500:
        return None
    said = response.json()
    is_fine = said["ok"] or said["error"] in DONE_BEFORE
    return None if is_fine else meaning(str(said["error"]), said)


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
    "channels:join": "Join public channels",
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

# --- what is chosen


class Settings(BaseModel):
    """What Navi keeps a copy of."""

    channels: list[str] = Described(
        default_factory=list,
        title="Channels",
        description="Their messages are kept up to date in Navi. The app has to be a member of them.",
        json_schema_extra={"discovers": "channels"},
    )


plugin = Plugin(
    slug="slack",
    name="Slack",
    description="Channels, messages and people: read and post messages, answer in threads, hear of new ones.",
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
    settings=Settings,
    errors=trouble,
    errors_in_200=True,
    guide=Guide(
        enables=(
            "Agents can see your channels and post messages as your app; with more scopes, read messages and "
            "find people."
        ),
        steps=(
            Step("Open Slack's list of apps, choose “Create New App”, “From scratch”.", APPS_PAGE),
            Step("Under “OAuth & Permissions”, “Bot Token Scopes”, add channels:read and chat:write."),
            Step(
                "To read messages add channels:history (groups:history for private channels), to see people "
                "users:read, to join channels channels:join, to react reactions:write."
            ),
            Step("Choose “Install to Workspace” and allow it; an admin may have to approve it."),
            Step("Copy the “Bot User OAuth Token” (xoxb-…) and paste it here."),
            Step(
                "Only if Slack is to call Navi: under “Basic Information”, copy the Signing Secret and paste it "
                "beside the token."
            ),
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
            "Events do not arrive": (
                "Slack calls only addresses that it reaches from the internet and that answered its challenge: "
                "look under “Event Subscriptions” whether the Request URL is verified. The app hears only "
                "channels that it is a member of, and after new events it has to be reinstalled."
            ),
            "Messages come in slowly": (
                "Apps that are distributed commercially may read one page of history a minute. An app that you "
                "make for your own workspace has no such limit."
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
