"""Fields whose choices a vendor knows: calendars, labels, channels; drawn from what is kept.

The page never waits for the vendor: where nothing is kept, the field asks for itself once it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.registry import Entry
from integrations.runtime.discover import Found
from integrations.sdk import Choice, Plugin
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest
from navi.hub.fields import Field

SEARCH_FROM = 13


@dataclass(frozen=True)
class Known:
    """What the page has of a field's choices: kept ones, why there are no better ones, and whether to ask."""

    found: Found | None = None
    error: Mapping[str, Any] | None = None  # {message, fix, url}
    is_connected: bool = True


def told(
    request: ProjectRequest,
    entry: Entry,
    plugin: Plugin,
    field: Field,
    resource: str,
    known: Known,
    url: str = "",
) -> dict[str, Any]:
    """What _choices.html takes. `url` draws the field anew; without it, the one of a setting."""
    may = request.may("integrations.manage")
    chosen = list(field.value) if field.takes_many else [field.value] if field.value else []
    options = options_of(known.found, chosen)
    url = url or url_in(request, "provider-choices", entry.slug, plugin.slug, field.name)
    return {
        "id": f"choices-{plugin.slug}-{field.name}",
        "field": field,
        "many": field.takes_many,
        "what": resource.replace("_", " ").replace("-", " "),
        "provider": entry.name,
        "options": options,
        "chosen": sum(1 for one in options if one["chosen"]),
        "gone": sum(1 for one in options if one["gone"]),
        "search": len(options) >= SEARCH_FROM,
        "may_change": may,
        "url": url if may and known.is_connected else "",
        "connect_url": "" if known.is_connected else url_in(request, "connect", entry.slug),
        "asks": may and known.is_connected and known.found is None and known.error is None,
        **age_of(known),
    }


def age_of(known: Known) -> dict[str, Any]:
    """How old the list is, and what is wrong with it."""
    found, error = known.found, known.error
    if error is None and found and found.error:
        error = {"message": found.error}
    return {
        "is_listed": found is not None,
        "fetched_at": found.fetched_at if found else None,
        "error": error,
        # Who cannot choose from a list, or not from all of it, names what they mean.
        "types": error is not None or not known.is_connected,
    }


def options_of(found: Found | None, chosen: Sequence[str]) -> list[dict[str, Any]]:
    """What is chosen first, then the vendor's order; what the vendor no longer lists stays until it is unticked."""
    listed = {one.id: one for one in (found.choices if found else ())}
    mine = [option(listed.get(key), key, is_listed=found is not None) for key in dict.fromkeys(chosen) if key]
    others = [option(one, key, chosen=False) for key, one in listed.items() if key not in set(chosen)]
    return mine + others


def option(one: Choice | None, key: str, *, chosen: bool = True, is_listed: bool = True) -> dict[str, Any]:
    gone = one is None and is_listed
    return {"value": key, "label": one.label if one else key, "chosen": chosen, "gone": gone}
