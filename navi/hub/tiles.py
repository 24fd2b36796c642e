"""A provider's picture: its plugin's icon, or its first letter on a colour."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.urls import reverse
from django.utils.html import escape

from integrations.registry import Entry

# A drawing without a colour of its own may be turned white on the tile's colour.
COLOURED = re.compile(
    r"(?:fill|stroke|stop-color)\s*[=:]\s*[\"']?(?!none|currentColor|inherit|#000\b|black)\S"
)
LETTER = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" role="img"><title>{name}</title>\
<rect width="40" height="40" rx="10" fill="{color}"/><text x="20" y="27" text-anchor="middle" fill="#fff" \
font-family="system-ui, sans-serif" font-size="19" font-weight="600">{letter}</text></svg>"""
COLORS = {
    "indigo": "#4b54b5", "blue": "#2563c4", "sky": "#0b6e99", "teal": "#0c7268", "green": "#2c7440",
    "lime": "#56700f", "amber": "#99610a", "orange": "#b8500f", "red": "#c03a30", "pink": "#b4326f",
    "purple": "#7a3fb0", "plum": "#5b2a5e", "slate": "#56606e", "ink": "#3c3933",
}  # fmt: skip


def tile(entry: Entry) -> dict[str, Any]:
    """What _tile.html takes, with the id and name that go beside it."""
    color = entry.provider.color if entry.provider.color in COLORS else "slate"
    return {
        "id": entry.slug,
        "name": entry.name,
        "letter": letter_of(entry.name),
        "color": f"tile-{color}",
        "icon_url": reverse("hub:icon", args=[entry.slug]) if entry.icon else "",
        "icon_mono": is_mono(entry.icon) if entry.icon else False,
    }


def letter_of(name: str) -> str:
    return next((character.upper() for character in name if character.isalnum()), "?")


@lru_cache(maxsize=1024)
def is_mono(icon: Path) -> bool:
    return not COLOURED.search(icon.read_text(encoding="utf-8"))


def drawing(entry: Entry | None, slug: str) -> str:
    """The SVG of a provider: its plugin's, or a letter."""
    if entry and entry.icon:
        return entry.icon.read_text(encoding="utf-8")
    name, color = (entry.name, entry.provider.color) if entry else (slug, "slate")
    return LETTER.format(
        name=escape(name), letter=escape(letter_of(name)), color=COLORS.get(color, COLORS["slate"])
    )
