"""Notion: pages and data sources, through its API (https://developers.notion.com/reference)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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

CONNECTIONS_PAGE = "https://app.notion.com/developers/connections"
VERSION = {"Notion-Version": "2026-03-11"}  # Every request names one; pages as Markdown need this.
SHARE = "In Notion, open the page's menu, choose Connections, and add this one."

# --- what goes wrong


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
    return Refused(f"Notion refused this: {words}")


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

plugin = Plugin(
    slug="notion",
    name="Notion",
    description="Pages and data sources: find them by title, read pages as Markdown.",
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
    errors=trouble,
    guide=Guide(
        enables="Agents can find and read the pages that you share with the connection.",
        steps=(
            Step("Open Notion's developer portal and choose “New connection”, internal.", CONNECTIONS_PAGE),
            Step("Name it Navi, choose the workspace, and tick “Read content”."),
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

# --- what agents see


class Hit(TypedDict):
    """`kind` is page or data_source; a data source is what a database's rows are in."""

    id: str
    kind: str
    title: str
    url: str
    last_edited_at: str | None


class Hits(TypedDict):
    results: list[Hit]
    next_cursor: str | None


class Page(TypedDict):
    """`unread` are ids of blocks that could not be shown as text; `is_cut` tells that the page goes on."""

    id: str
    title: str
    url: str
    last_edited_at: str | None
    in_trash: bool
    markdown: str
    is_cut: bool
    unread: list[str]


def seen_hit(found: dict[str, Any]) -> Hit:
    return {
        "id": found["id"],
        "kind": found["object"],
        "title": title_of(found),
        "url": found.get("url") or "",
        "last_edited_at": found.get("last_edited_time"),
    }


def title_of(found: dict[str, Any]) -> str:
    """A data source has its title at the top, a page in the one property of the type title."""
    properties = (found.get("properties") or {}).values()
    own = [one["title"] for one in properties if isinstance(one, dict) and one.get("type") == "title"]
    parts = found.get("title") or next((title for title in own if isinstance(title, list)), [])
    return "".join(part.get("plain_text", "") for part in parts)


# --- health and discovery


@plugin.health
def whoami(notion: Client) -> Identity:
    bot = notion.get("/users/me").json()
    facts = bot.get("bot") or {}
    person = ((facts.get("owner") or {}).get("user") or {}).get("person") or {}
    workspace = facts.get("workspace_name") or ""
    label = person.get("email") or bot.get("name") or workspace or "Notion"
    return Identity(label=label, account_id=bot["id"], workspace=workspace)


@plugin.discovers("pages")
def pages(notion: Client) -> list[Choice]:
    found = every(lambda cursor: search(notion, kind="page", cursor=cursor, limit=100), "results")
    return [Choice(id=page["id"], label=page["title"] or "Untitled") for page in found]


# --- actions


@plugin.action(try_with={})
def search(
    notion: Client,
    query: Annotated[
        str, Described(description="Words of the title; without it, all that was shared", max_length=200)
    ] = "",
    kind: Annotated[
        Literal["page", "data_source"] | None, Described(description="Only pages, or only data sources")
    ] = None,
    cursor: Annotated[
        str | None, Described(description="next_cursor of the page before; leave it out for the first")
    ] = None,
    limit: Annotated[int, Described(ge=1, le=100, description="How many to return at most, 1 to 100")] = 20,
) -> Hits:
    """Find pages and data sources by their titles, the last edited first; contents are not searched.

    Only what was shared with the connection is found. `next_cursor` is null on the last page; otherwise call
    again with the same arguments and it as `cursor`.
    """
    asked = {
        "query": query or None,
        "filter": kind and {"property": "object", "value": kind},
        "start_cursor": cursor,
        "page_size": limit,
    }
    # A question, though it is a POST: it may be asked again.
    page = notion.post("/search", json=given(asked), idempotent=True).json()
    return {"results": [seen_hit(found) for found in page["results"]], "next_cursor": page.get("next_cursor")}


@plugin.action()
def get_page(
    notion: Client,
    page_id: Annotated[
        str,
        Described(
            description="The page's id, from search or the end of its link", pattern=r"^[0-9a-fA-F-]{32,36}$"
        ),
    ],
) -> Page:
    """Read one page with its title, its link and its whole text as Markdown.

    Very long pages are cut (`is_cut`). The page has to be shared with the connection.
    """
    page = notion.get(f"/pages/{page_id}").json()
    text = notion.get(f"/pages/{page_id}/markdown").json()
    return {
        "id": page["id"],
        "title": title_of(page),
        "url": page.get("url") or "",
        "last_edited_at": page.get("last_edited_time"),
        "in_trash": bool(page.get("in_trash")),
        "markdown": text["markdown"],
        "is_cut": bool(text.get("truncated")),
        "unread": list(text.get("unknown_block_ids") or []),
    }
