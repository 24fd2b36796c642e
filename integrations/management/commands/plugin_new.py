"""Write the first version of a plugin: it loads, and its test passes, at once."""

import re
from argparse import ArgumentParser
from pathlib import Path
from string import Template
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from integrations import plugins as bundled
from integrations import registry

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME = re.compile(r"[^\W_][\w .+&'()-]{0,39}")
LONGEST_SLUG = 40

PLUGIN = '''\
"""$name."""

from __future__ import annotations

from typing import Annotated, Any

from integrations.sdk import (
    ApiKey,
    Bearer,
    Client,
    Described,
    Field,
    Guide,
    Identity,
    Plugin,
    Step,
    TypedDict,
)

plugin = Plugin(
    slug="$slug",
    name="$name",
    base_url="https://api.example.com/v1",
    auth=ApiKey(
        fields=(
            Field(
                "apiKey",
                "API key",
                help_url="https://example.com/settings/api",
                hint="You find it in the settings, under API.",
            ),
        ),
        sent_as=Bearer("apiKey"),
    ),
    guide=Guide(
        steps=(
            Step("Open the settings, then API.", "https://example.com/settings/api"),
            Step("Make a key and paste it here."),
        ),
    ),
)


@plugin.health
def whoami(client: Client) -> Identity:
    user = client.get("/me").json()
    return Identity(label=user["email"], account_id=str(user["id"]))


class Item(TypedDict):
    id: str
    name: str
    url: str


class Items(TypedDict):
    items: list[Item]
    next_cursor: str | None


@plugin.action(try_with={})
def list_items(
    client: Client,
    cursor: Annotated[str | None, Described(description="next_cursor of the page before")] = None,
) -> Items:
    """List the items of the account with their ids and links.

    `next_cursor` is null on the last page; otherwise call again with it as `cursor`.
    """
    page = client.get("/items", params={"cursor": cursor}).json()
    return {"items": [seen_item(found) for found in page["items"]], "next_cursor": page["next_cursor"]}


def seen_item(found: dict[str, Any]) -> Item:
    return {"id": found["id"], "name": found["name"], "url": f"https://example.com/items/{found['id']}"}
'''

TEST = '''\
"""What is odd about $name."""

from pathlib import Path

from integrations.sdk import Identity
from integrations.sdk.testing import plugin_in, replay

plugin = plugin_in(Path(__file__).resolve().parent.parent)


def test_health_tells_whose_key_it_is():
    assert replay(plugin, "health") == Identity(label="alice@example.org", account_id="1")


def test_items_come_with_a_link():
    page = replay(plugin, "list_items")

    assert page["items"][0]["url"] == "https://example.com/items/a1"
'''

HEALTH = """\
{
  "source": "Invented. Name the page of the vendor's reference, and the day.",
  "request": {"method": "GET", "path": "/me"},
  "response": {"status": 200, "headers": {}, "body": {"id": 1, "email": "alice@example.org"}}
}
"""

LIST_ITEMS = """\
{
  "source": "Invented. Name the page of the vendor's reference, and the day.",
  "arguments": {},
  "request": {"method": "GET", "path": "/items"},
  "response": {
    "status": 200,
    "headers": {},
    "body": {"items": [{"id": "a1", "name": "A door that does not close"}], "next_cursor": null}
  }
}
"""

ICON = """\
<svg role="img" viewBox="0 0 24 24" xmlns="http://www.w3.org/2000/svg"><title>$letter</title>\
<rect width="24" height="24" rx="5" fill="#57534a"/>\
<text x="12" y="17" text-anchor="middle" font-family="sans-serif" font-size="14" fill="#fff">$letter</text>\
</svg>
"""


class Command(BaseCommand):
    help = "Write the first version of a plugin, with a test and two payloads."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="small letters, digits and dashes, such as asana")
        parser.add_argument("--dir", type=Path, help="where to; by default the first of NAVI_PLUGIN_DIRS")
        parser.add_argument("--name", help="what people call it; by default made from the slug")

    def handle(self, *args: Any, **options: Any) -> None:
        slug, directory = options["slug"], (options["dir"] or usual_directory()).resolve()
        name = options["name"] or slug.replace("-", " ").title()
        check(slug, name)
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = directory / slug.replace("-", "_")
        write(folder, files(slug, name, is_package=(directory / "__init__.py").exists()))
        self.stdout.write(f"Wrote {folder}.{way_to_load(directory)}")
        self.stdout.write(
            f"Next: put what {name} really answers into payloads/, change plugin.py until the test "
            f"passes again, and ask “manage.py plugin_check {slug}” what is missing."
        )


def usual_directory() -> Path:
    first: Path | None = next(iter(settings.PLUGIN_DIRS), None)
    return first or Path(next(iter(bundled.__path__)))


def check(slug: str, name: str) -> None:
    """Raises CommandError for a slug or name that cannot be used."""
    if not SLUG.fullmatch(slug) or len(slug) > LONGEST_SLUG:
        raise CommandError(f"{slug!r} is no slug; use small letters, digits and dashes, such as asana.")
    if not NAME.fullmatch(name):
        raise CommandError(f"{name!r} is no name; use up to 40 letters, digits, spaces and . + & ' ( ) -")
    known = registry.installed()
    if slug in registry.RESERVED or slug in known.plugins or slug in known.entries:
        raise CommandError(f"{slug} is taken; choose another slug.")


def files(slug: str, name: str, *, is_package: bool) -> dict[str, str]:
    """The content of each file of a new plugin, by its path."""
    words = {"slug": slug, "name": name, "letter": name[0].upper()}
    templates = {
        "plugin.py": PLUGIN,
        "icon.svg": ICON,
        "payloads/health.json": HEALTH,
        "payloads/list_items.json": LIST_ITEMS,
        f"tests/test_{slug.replace('-', '_')}.py": TEST,
    }
    # Bundled plugins are modules of Navi; those elsewhere are loaded by file, and are no modules of anything.
    packages = {"__init__.py": "", "tests/__init__.py": ""} if is_package else {}
    return {path: Template(text).substitute(words) for path, text in {**packages, **templates}.items()}


def write(folder: Path, contents: dict[str, str]) -> None:
    """Write into a new folder that only its owner may change. Raises CommandError where there is one."""
    try:
        folder.mkdir()
    except FileExistsError:
        raise CommandError(f"{folder} is there already; nothing was written.") from None
    folder.chmod(0o755)
    for place, text in contents.items():
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)


def way_to_load(directory: Path) -> str:
    places = {
        Path(next(iter(bundled.__path__))).resolve(),
        *(path.resolve() for path in settings.PLUGIN_DIRS),
    }
    return "" if directory in places else f" Navi loads it when NAVI_PLUGIN_DIRS names {directory}."
