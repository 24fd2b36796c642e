"""Plain Markdown lines as Notion's blocks (https://developers.notion.com/reference/block)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LONGEST = 2000  # characters of one piece of text, and
MOST_PIECES = 100  # pieces in one block
MOST = 100  # blocks in one request

Block = dict[str, Any]

LINES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"#\s+(.+)"), "heading_1"),
    (re.compile(r"##\s+(.+)"), "heading_2"),
    (re.compile(r"###\s+(.+)"), "heading_3"),
    (re.compile(r"[-*]\s+\[([ xX])\]\s+(.+)"), "to_do"),
    (re.compile(r"[-*]\s+(.+)"), "bulleted_list_item"),
    (re.compile(r"[0-9]+[.)]\s+(.+)"), "numbered_list_item"),
    (re.compile(r">\s?(.+)"), "quote"),
    (re.compile(r"(-{3,}|\*{3,})"), "divider"),
)


def blocks_of(text: str) -> list[Block]:
    """One block for each line, and for each ``` fence; empty lines part them and are left out."""
    return list(read(text.splitlines()))


def read(lines: list[str]) -> Iterator[Block]:
    fence: list[str] | None = None
    for line in lines:
        if line.strip().startswith("```"):
            if fence is not None:
                yield code("\n".join(fence))
            fence = [] if fence is None else None
        elif fence is not None:
            fence.append(line)
        elif line.strip():
            yield block_of(line.strip())
    if fence:
        yield code("\n".join(fence))


def block_of(line: str) -> Block:
    for pattern, kind in LINES:
        found = pattern.fullmatch(line)
        if found and kind == "divider":
            return {"type": "divider", "divider": {}}
        if found:
            done = {"checked": found[1] in "xX"} if kind == "to_do" else {}
            return {"type": kind, kind: {"rich_text": rich(found[found.lastindex or 1]), **done}}
    return {"type": "paragraph", "paragraph": {"rich_text": rich(line)}}


def code(text: str) -> Block:
    return {"type": "code", "code": {"rich_text": rich(text), "language": "plain text"}}


def rich(text: str) -> list[Block]:
    """Text in pieces that Notion takes; what would be too many pieces is cut."""
    starts = range(0, min(len(text), LONGEST * MOST_PIECES), LONGEST)
    return [{"type": "text", "text": {"content": text[start : start + LONGEST]}} for start in starts]
