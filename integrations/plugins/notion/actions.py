"""What agents can do at Notion, and what a person can choose from."""

from __future__ import annotations

from typing import Annotated, Literal

from integrations.plugins.notion.blocks import MOST, Block, blocks_of, rich
from integrations.plugins.notion.facts import plugin
from integrations.plugins.notion.shapes import (
    ID,
    Appended,
    Comment,
    Comments,
    Cursor,
    DataSource,
    DataSourceId,
    DataSources,
    Filter,
    Hits,
    Limit,
    Page,
    PageId,
    People,
    Properties,
    Row,
    Rows,
    seen_comment,
    seen_data_source,
    seen_hit,
    seen_person,
    seen_row,
)
from integrations.sdk import Choice, Client, Described, Identity, Refused, every, given

LONGEST_COMMENT = 20_000  # characters

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


@plugin.discovers("data_sources")
def data_sources(notion: Client) -> list[Choice]:
    found = every(lambda cursor: search(notion, kind="data_source", cursor=cursor, limit=100), "results")
    return [Choice(id=one["id"], label=one["title"] or "Untitled") for one in found]


# --- finding and reading


@plugin.action(try_with={})
def search(
    notion: Client,
    query: Annotated[
        str, Described(description="Words of the title; without it, all that was shared", max_length=200)
    ] = "",
    kind: Annotated[
        Literal["page", "data_source"] | None, Described(description="Only pages, or only data sources")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
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
def get_page(notion: Client, page_id: PageId) -> Page:
    """Read one page with its title, its link, its properties and its whole text as Markdown.

    Very long pages are cut (`is_cut`). The page has to be shared with the connection.
    """
    page = notion.get(f"/pages/{page_id}").json()
    text = notion.get(f"/pages/{page_id}/markdown").json()
    return {
        **seen_row(page),
        "markdown": text["markdown"],
        "is_cut": bool(text.get("truncated")),
        "unread": list(text.get("unknown_block_ids") or []),
    }


@plugin.action()
def list_data_sources(
    notion: Client,
    database_id: Annotated[
        str, Described(description="The database's id, from the end of its link", pattern=ID)
    ],
) -> DataSources:
    """List the data sources of a database: its rows are in them, and their ids are what queries take."""
    found = notion.get(f"/databases/{database_id}").json()
    return {"data_sources": [{"id": one["id"], "name": one["name"]} for one in found["data_sources"]]}


@plugin.action()
def get_data_source(notion: Client, data_source_id: DataSourceId) -> DataSource:
    """Read the columns of a data source with their types and choices: read it before a query or a new row."""
    return seen_data_source(notion.get(f"/data_sources/{data_source_id}").json())


@plugin.action()
def query_data_source(
    notion: Client,
    data_source_id: DataSourceId,
    filter: Filter = None,
    sorts: Annotated[
        list[dict[str, str]] | None,
        Described(
            description='By what to order, such as [{"property": "Due", "direction": "ascending"}]',
            max_length=10,
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Rows:
    """Read the rows of a data source (a database's table) with their values, filtered and ordered.

    Without a filter, all rows. The rows' texts are read with get_page. `next_cursor` is null on the last page.
    """
    asked = {"filter": filter, "sorts": sorts, "start_cursor": cursor, "page_size": limit}
    path = f"/data_sources/{data_source_id}/query"
    page = notion.post(path, json=given(asked), idempotent=True).json()
    return {"rows": [seen_row(found) for found in page["results"]], "next_cursor": page.get("next_cursor")}


@plugin.action()
def list_comments(notion: Client, page_id: PageId, cursor: Cursor = None, limit: Limit = 50) -> Comments:
    """List the open comments on a page, the oldest first; `next_cursor` is null on the last page."""
    asked = {"block_id": page_id, "start_cursor": cursor, "page_size": limit}
    page = notion.get("/comments", params=asked).json()
    found = [seen_comment(one) for one in page["results"]]
    return {"comments": found, "next_cursor": page.get("next_cursor")}


@plugin.action()
def list_users(notion: Client, cursor: Cursor = None, limit: Limit = 100) -> People:
    """List the people and bots of the workspace with their ids; guests are not among them."""
    page = notion.get("/users", params={"start_cursor": cursor, "page_size": limit}).json()
    return {"people": [seen_person(one) for one in page["results"]], "next_cursor": page.get("next_cursor")}


# --- writing


@plugin.action(writes=True)
def create_page(
    notion: Client,
    title: Annotated[str, Described(description="The new page's title", min_length=1, max_length=2000)],
    parent_page_id: Annotated[
        str | None, Described(description="The page it is to be below; or give data_source_id", pattern=ID)
    ] = None,
    data_source_id: Annotated[
        str | None, Described(description="The data source it is to be a row of", pattern=ID)
    ] = None,
    properties: Properties = None,
    text: Annotated[
        str,
        Described(
            description="Its text: lines of Markdown (# headings, - lists, - [ ] to-dos, > quotes, ``` code)",
            max_length=100_000,
        ),
    ] = "",
) -> Row:
    """Create a page below another page, or a row in a data source, with a title, values and a text.

    Give either parent_page_id or data_source_id; properties only for a row. At most 100 lines of text: add
    more with append_text. Do not repeat a call that may have arrived: Notion would create a second page.
    """
    parent = parent_of(parent_page_id, data_source_id)
    # The column of the title has this id, whatever its name is.
    values = {**(properties or {}), "title": {"title": rich(title)}}
    wanted = {"parent": parent, "properties": values, "children": blocks_in(text) or None}
    return seen_row(notion.post("/pages", json=given(wanted)).json())


def parent_of(page_id: str | None, data_source_id: str | None) -> dict[str, str]:
    if bool(page_id) == bool(data_source_id):
        raise Refused("Give either parent_page_id or data_source_id.", field="parent_page_id")
    return {"page_id": page_id} if page_id else {"data_source_id": data_source_id or ""}


def blocks_in(text: str) -> list[Block]:
    found = blocks_of(text)
    if len(found) > MOST:
        raise Refused(f"That are {len(found)} blocks; Notion takes {MOST} at once.", field="text")
    return found


@plugin.action(writes=True)
def update_page(
    notion: Client,
    page_id: PageId,
    title: Annotated[str | None, Described(description="A new title", min_length=1, max_length=2000)] = None,
    properties: Properties = None,
) -> Row:
    """Change a page's title or its values in a data source, and return it; what is not given stays."""
    values = {**(properties or {}), **({"title": {"title": rich(title)}} if title else {})}
    if not values:
        raise Refused("Give a title or properties to change.", field="properties")
    # Saying the same twice changes nothing more: it may be repeated.
    return seen_row(notion.patch(f"/pages/{page_id}", json={"properties": values}, idempotent=True).json())


@plugin.action(writes=True)
def append_text(
    notion: Client,
    page_id: PageId,
    text: Annotated[
        str,
        Described(
            description="Lines of Markdown: # headings, - lists, - [ ] to-dos, > quotes, ``` code",
            min_length=1,
            max_length=100_000,
        ),
    ],
) -> Appended:
    """Add text at the end of a page, a block for each line (at most 100), and return the new blocks' ids.

    Do not repeat a call that may have arrived: Notion would add the text twice.
    """
    blocks = blocks_in(text)
    if not blocks:
        raise Refused("There is nothing but white space in this text.", field="text")
    found = notion.patch(f"/blocks/{page_id}/children", json={"children": blocks}).json()
    return {"page_id": page_id, "blocks": [block["id"] for block in found["results"]]}


@plugin.action(writes=True)
def comment_on_page(
    notion: Client,
    text: Annotated[str, Described(description="The comment", min_length=1, max_length=LONGEST_COMMENT)],
    page_id: Annotated[
        str | None, Described(description="The page to comment on; or give discussion_id", pattern=ID)
    ] = None,
    discussion_id: Annotated[
        str | None, Described(description="The thread to answer in, from list_comments", pattern=ID)
    ] = None,
) -> Comment:
    """Comment on a page as the connection, or answer in a thread of comments.

    Do not repeat a call that may have arrived: Notion would keep the comment twice.
    """
    if bool(page_id) == bool(discussion_id):
        raise Refused("Give either page_id or discussion_id.", field="page_id")
    place = {"parent": {"page_id": page_id}} if page_id else {"discussion_id": discussion_id}
    return seen_comment(notion.post("/comments", json={**place, "rich_text": rich(text)}).json())
