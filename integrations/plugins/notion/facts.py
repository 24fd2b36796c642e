"""What Notion is: signing in, what its refusals mean, what a person is told (https://developers.notion.com)."""

from __future__ import annotations

from pydantic import BaseModel

from integrations.sdk import (
    ApiKey,
    Bearer,
    Described,
    Field,
    Guide,
    McpServer,
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

CONNECTIONS_PAGE = "https://app.notion.com/developers/connections"
VERSION = {"Notion-Version": "2026-03-11"}  # Every request names one; pages as Markdown need this.
SHARE = "In Notion, open the page's menu, choose Connections, and add this one."

# --- what goes wrong

# Notion tells the place in the body: “body.start_cursor should be …”.
ARGUMENTS = {
    "start_cursor": "cursor", "body.filter": "filter", "body.sorts": "sorts", "property": "properties",
}  # fmt: skip


def trouble(response: Response) -> VendorError | None:
    """What Notion's `code` says; None leaves limits and outages (529 among them) to their usual meaning."""
    if response.status_code == 429 or response.status_code >= 500:
        return None
    said = response.json()
    code, words = str(said["code"]), str(said["message"])[:300]
    if code == "unauthorized":
        return Reconnect(f"Notion no longer accepts this token ({words}) Connect Notion again.")
    if code == "restricted_resource":
        return Refused(
            f"This Notion connection lacks a capability for that ({words}) Tick it on the connection's page."
        )
    if code == "object_not_found":
        return Refused(f"Notion finds no such page, or it was not shared with this connection. {SHARE}")
    if code == "conflict_error":
        return TryLater("Somebody changed this in Notion at the same moment. Try again.", sent=False)
    field = next((name for part, name in ARGUMENTS.items() if part in words), None)
    return Refused(f"Notion refused this: {words}", field=field)


# --- signing in

SIGN_IN = OAuth2(
    authorize_url="https://api.notion.com/v1/oauth/authorize",
    token_url="https://api.notion.com/v1/oauth/token",
    # Rights are capabilities, ticked on the connection's page; a person then chooses pages.
    extra={"owner": "user"},
    pkce="",
    client_auth="basic",
    token_body="json",
    token_headers=VERSION,
    # The answer tells no life; it is refreshed when Notion answers 401.
    lifetime=None,
    rotates=True,
    # Signing in again gives tokens of the same connection to the same workspace.
    revoke=Revoke(
        "https://api.notion.com/v1/oauth/revoke",
        body="json",
        client_auth="basic",
        token="access_token",
        headers=VERSION,
        ends_all=True,
    ),
    app_url=CONNECTIONS_PAGE,
    app_steps=(
        "In Notion's developer portal, choose “New connection” and make it public; name it Navi.",
        "Tick what it may do: read content, and insert or update it where agents are to write.",
        "Under “Redirect URIs”, paste the address shown here, exactly as it is.",
        "Copy the OAuth client ID and the OAuth client secret, and paste both here.",
    ),
)

# --- what is chosen


class Settings(BaseModel):
    """What Navi keeps a copy of."""

    data_sources: list[str] = Described(
        default_factory=list,
        title="Data sources",
        description="Their pages are kept up to date in Navi; without any, all pages that were shared.",
        json_schema_extra={"discovers": "data_sources"},
    )


plugin = Plugin(
    slug="notion",
    name="Notion",
    description="Pages, data sources and comments: find, read and write them, and hear of changes.",
    category="Documents",
    base_url="https://api.notion.com/v1",
    auth=(
        ApiKey(
            label="Internal secret",
            fields=(
                Field(
                    "apiKey",
                    "Internal secret",
                    placeholder="ntn_…",
                    help_url=CONNECTIONS_PAGE,
                    pattern=r"(ntn|secret)_\w{20,}",
                    hint="It starts with ntn_, older ones with secret_, and is shown on the connection's page.",
                ),
            ),
            sent_as=Bearer("apiKey"),
        ),
        SIGN_IN,
    ),
    headers=VERSION,
    settings=Settings,
    errors=trouble,
    guide=Guide(
        enables=(
            "Agents can find, read and write the pages that you share with the connection, and comment on them."
        ),
        steps=(
            Step("Open Notion's developer portal and choose “New connection”, internal.", CONNECTIONS_PAGE),
            Step(
                "Name it Navi, choose the workspace, and tick “Read content”; where agents are to write, "
                "“Insert content” and “Update content”, too; for comments, “Read” and “Insert comments”."
            ),
            Step("Copy the internal secret (ntn_…) and paste it here."),
            Step(
                "Connect pages: open a page in Notion, its menu, Connections, and add Navi. This is needed!"
            ),
        ),
        trouble={
            "Nothing is found": f"No page was shared yet. {SHARE} Pages below it are shared with it.",
            "Reading works, writing does not": (
                "Tick “Insert content” and “Update content” on the connection's page in the portal."
            ),
            "Events do not arrive": (
                "The webhook has to be verified in the portal with the token that Navi shows, and Notion tells "
                f"only of pages that were shared. {SHARE} Changed contents are told about a minute late."
            ),
            "There is no “New connection”": "Only owners of a workspace can make one. Ask one of them.",
        },
    ),
    color="ink",
    docs_url="https://developers.notion.com/reference",
    mcp=McpServer("https://mcp.notion.com/mcp"),
    usage_skill="notion",
    setup_skill="connect-notion",
    health_endpoint="/users/me",
)
