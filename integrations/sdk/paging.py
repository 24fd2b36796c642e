"""What is the same for every vendor that answers page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

MOST_PAGES = 10


def every(
    read: Callable[[str | None], Mapping[str, Any]], key: str, *, pages: int = MOST_PAGES
) -> Iterator[Any]:
    """All things of a paged list, for `discovers`.

    `read` gets the cursor and returns a page: the things under `key`, and `next_cursor`. It stops after
    `pages` pages, so that a vendor whose cursor leads in a circle does not hold the call for ever.
    """
    cursor = None
    for _ in range(pages):
        page = read(cursor)
        yield from page[key]
        cursor = page["next_cursor"]
        if not cursor:
            return


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A body without what was not given (None)."""
    return {name: value for name, value in fields.items() if value is not None}
