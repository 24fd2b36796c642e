"""What Notion tells by itself (https://developers.notion.com/reference/webhooks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.plugins.notion.facts import CONNECTIONS_PAGE, plugin
from integrations.sdk import Event, Heard, Hmac, Item, Step, Webhook, given
from integrations.sdk.handshakes import notion_token

hook = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Notion-Signature", prefix="sha256="),
        secret_from="vendor",
        delivery_id=lambda incoming: incoming.said("id"),
        event_type=lambda incoming: incoming.said("type"),
        kinds={"events": "Events"},
        steps=(
            Step(
                "Open the connection in Notion's developer portal, its tab “Webhooks”, and choose “Create a "
                "subscription”.",
                CONNECTIONS_PAGE,
            ),
            Step("Paste the address shown here, and choose pages, data sources and comments as events."),
            Step("Notion sends a token to this address at once; Navi shows that it has come."),
            Step("Choose “Verify” in Notion and paste the token that Navi shows: only then are events sent."),
            Step(
                "Notion tells of pages only that were shared: open a page's menu, Connections, and add Navi."
            ),
        ),
    )
)
hook.greets(notion_token)


@hook.hears
def hear(event: Event) -> Heard:
    """Keep what happened. Events carry ids only: pages are read again where they are kept."""
    said = event.data if isinstance(event.data, dict) else {}
    entity = part_of(said, "entity")
    told = what_happened(event.type, said, entity)
    records: dict[str, Sequence[Item]] = {"events": [Item(event.id, told)]}
    page, summary = text_in(entity, "id"), f"{event.type} {text_in(entity, 'id')}".strip()[:300]
    if event.type == "page.deleted" and page:
        records["pages"] = [Item(page, is_deleted=True)]
        return Heard(summary=summary, records=records, part=data_source_in(said))
    # Whether single data sources are kept or all pages is not known here: all parts are asked for.
    syncs = ("pages",) if event.type.startswith(("page.", "data_source.")) else ()
    return Heard(summary=summary, records=records, syncs=syncs)


def data_source_in(said: Mapping[str, Any]) -> str:
    """The data source whose row it is; "" for a page that is none."""
    parent = part_of(part_of(said, "data"), "parent")
    own = text_in(parent, "id") if parent.get("type") == "data_source" else ""
    return text_in(parent, "data_source_id") or own


def what_happened(kind: str, said: Mapping[str, Any], entity: Mapping[str, Any]) -> dict[str, Any]:
    authors = said.get("authors")
    told = {
        "type": kind,
        "id": text_in(entity, "id") or None,
        "kind": text_in(entity, "type") or None,
        "by": [text_in(one, "id") for one in authors if isinstance(one, dict)]
        if isinstance(authors, list)
        else None,
        "workspace": said.get("workspace_id"),
        "at": said.get("timestamp"),
        "page_id": part_of(said, "data").get("page_id"),
    }
    return given(told)


def part_of(thing: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = thing.get(name)
    return found if isinstance(found, dict) else {}


def text_in(thing: Mapping[str, Any], name: str) -> str:
    found = thing.get(name)
    return found if isinstance(found, str) else ""
