"""The manual: Markdown files of docs/help, rendered by Django, searched without an index server."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt

from integrations import registry
from integrations.registry import Entry
from navi.audit.problems import CODES

FOLDER: Path = settings.BASE_DIR / "docs" / "help"
SECTIONS = (
    ("Start here", ("quickstart", "oauth", "agents", "approvals", "sync", "webhooks", "custom-providers")),
    ("Run it", ("operating", "notices", "security", "errors")),
    ("Build on it", ("add-an-integration",)),
)
EXCERPT = 90


@dataclass(frozen=True)
class Page:
    """One page: its slug, its title and its Markdown."""

    slug: str
    title: str
    markdown: str
    section: str

    @property
    def url(self) -> str:
        return f"/help/{self.slug}"


@dataclass(frozen=True)
class Heading:
    title: str
    anchor: str


@lru_cache(maxsize=1)
def pages() -> dict[str, Page]:
    """All pages by slug, in the order of the contents."""
    found = [page_from_file(slug, section) for section, slugs in SECTIONS for slug in slugs]
    found += [page_of_provider(entry) for entry in registry.installed().ordered()]
    return {page.slug: page for page in found}


def page_from_file(slug: str, section: str) -> Page:
    text = (FOLDER / f"{slug}.md").read_text().replace("<!-- codes -->", table_of_codes())
    return Page(slug, text.partition("\n")[0].removeprefix("# "), text, section)


def table_of_codes() -> str:
    """A heading per code, so that every error's link lands on its own paragraph."""
    return "\n".join(
        f"### {code}\n\n{meaning.words} HTTP {meaning.status}, action `{meaning.action}`.\n"
        for code, meaning in CODES.items()
    )


def page_of_provider(entry: Entry) -> Page:
    """A provider's guide, from the same manifest as its dialog."""
    guide = entry.provider.guide
    lines = [f"# {entry.name}", "", guide.enables or entry.provider.description, "", "## Connect it", ""]
    for number, step in enumerate(guide.steps, 1):
        lines.append(f"{number}. {step.text}" + (f" ([open]({step.url}))" if step.url else ""))
    lines += ["", "## When it does not work", ""] if guide.trouble else []
    lines += [f"- **{what}**: {helps}" for what, helps in guide.trouble.items()]
    lines += ["", "## What agents can do", ""]
    for plugin in entry.plugins:
        for action in plugin.actions.values():
            lines.append(f"- `{action.id}` ({action.verb}): {first_line(action.description)}")
    return Page(f"services/{entry.slug}", entry.name, "\n".join(lines), "Services")


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


# --- rendering


def parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def rendered(page: Page) -> tuple[SafeString, list[Heading]]:
    """The page as HTML with anchors, and its second-level headings."""
    markdown = parser()
    tokens = markdown.parse(page.markdown)
    headings = []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            anchor = anchor_of(inline.content)
            opening.attrSet("id", anchor)
            if opening.tag == "h2":
                headings.append(Heading(inline.content, anchor))
    page_html = markdown.renderer.render(tokens, markdown.options, {})
    # A block that scrolls sideways must be in reach of the keyboard.
    page_html = page_html.replace("<pre>", '<pre tabindex="0">')
    # The text is our own file's or a plugin's manifest, and the parser escapes any HTML in it.
    return mark_safe(page_html), headings  # noqa: S308


def anchor_of(title: str) -> str:
    """Error codes keep their own spelling: an error's link ends in it."""
    return title if title in CODES else slugify(title)


# --- search


def search(words: str) -> list[dict[str, Any]]:
    """Pages that hold every word, those with one in the title first."""
    wanted = [word for word in re.findall(r"\w+", words.lower()) if word][:8]
    if not wanted:
        return []
    hits = [page for page in pages().values() if all(word in page.markdown.lower() for word in wanted)]
    hits.sort(key=lambda page: not any(word in page.title.lower() for word in wanted))
    return [
        {
            "title": page.title,
            "url": page.url,
            "section": page.section,
            "excerpt": excerpt(page.markdown, wanted),
        }
        for page in hits
    ]


def excerpt(text: str, words: list[str]) -> SafeString:
    """Some words around the first hit, with the hits marked."""
    plain = " ".join(re.sub(r"[#*`|\[\]]", " ", text).split())
    at = max(0, plain.lower().find(words[0]) - EXCERPT)
    piece = html.escape(plain[at : at + 2 * EXCERPT])
    pattern = "|".join(re.escape(html.escape(word)) for word in words)
    marked = re.sub(f"({pattern})", r"<mark>\1</mark>", piece, flags=re.IGNORECASE)
    return mark_safe(f"…{marked}…")  # noqa: S308 - escaped above


# --- contents


def contents(current: str) -> list[dict[str, Any]]:
    """The sections with their pages, for the side of the page."""
    titles = dict.fromkeys(page.section for page in pages().values())
    return [{"title": title, "pages": list(links(title, current))} for title in titles]


def links(section: str, current: str) -> Iterator[dict[str, Any]]:
    for page in pages().values():
        if page.section == section:
            yield {"title": page.title, "url": page.url, "current": page.slug == current}


def neighbours(slug: str) -> tuple[Page | None, Page | None]:
    order = list(pages().values())
    at = next(number for number, page in enumerate(order) if page.slug == slug)
    return (order[at - 1] if at else None), (order[at + 1] if at + 1 < len(order) else None)
