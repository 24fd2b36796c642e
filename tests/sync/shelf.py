"""A vendor of the tests' own: a shelf of things, read page by page and then by what changed; and its plugin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from integrations import registry
from integrations.registry import Entry
from integrations.sdk import (
    ApiKey,
    Bearer,
    Client,
    Described,
    Field,
    Item,
    Page,
    Place,
    Plugin,
    Refused,
    StartOver,
)
from tests.standins.server import Request, Response, Standin, answer_with

KEY = "shelf-key-of-alice-0123456789"
A_PAGE = 10


class Shelf(Standin):
    """Things by room, each with the version of its last change; asked for pages, or for what changed since."""

    keys = (KEY,)

    def seed(self) -> None:
        self.version = 0
        self.things: dict[tuple[str, str], dict[str, Any]] = {}
        self.oldest = 0  # what was changed before is forgotten: 410
        self.page_size = A_PAGE
        self.full_answers = False  # says "everything" where it was asked for changes

    def put(self, name: str, room: str = "", **facts: Any) -> None:
        self.version += 1
        self.things[room, name] = {"id": name, "version": self.version, "gone": False, **facts}

    def remove(self, name: str, room: str = "") -> None:
        self.version += 1
        self.things[room, name] = {"id": name, "version": self.version, "gone": True}

    def fill(self, count: int, room: str = "", **facts: Any) -> None:
        for number in range(count):
            self.put(f"thing-{number:04}", room, title=f"Thing {number}", **facts)

    def forget(self) -> None:
        """Cursors that were given out before are worth nothing."""
        self.version += 1
        self.oldest = self.version

    def living(self, room: str = "") -> dict[str, dict[str, Any]]:
        return {name: one for (where, name), one in self.things.items() if where == room and not one["gone"]}

    @property
    def pages_asked(self) -> int:
        return sum(request.path in {"/things", "/changes"} for request in self.requests)

    def answer(self, request: Request) -> Response:
        if self.scopes_of(request.headers.get("Authorization", "").removeprefix("Bearer ")) is None:
            return answer_with(401, {"error": "no such key"})
        if request.path == "/things":
            return self.listing(request.query)
        if request.path == "/changes":
            return self.changes(request.query)
        return answer_with(200, {"id": "alice", "name": "alice@example.org"})

    def listing(self, query: Mapping[str, str]) -> Response:
        rows = sorted(self.living(query.get("room", "")).values(), key=lambda one: one["id"])
        after = [one for one in rows if one["id"] > query.get("after", "")]
        return self.told(after, len(rows))

    def changes(self, query: Mapping[str, str]) -> Response:
        since = int(query["since"])
        if since < self.oldest:
            return answer_with(410, {"error": "This token is too old."})
        room = query.get("room", "")
        rows = [one for (where, _), one in self.things.items() if where == room and one["version"] > since]
        return self.told(sorted(rows, key=lambda one: one["version"]), None)

    def told(self, rows: list[dict[str, Any]], total: int | None) -> Response:
        shown = rows[: self.page_size]
        body = {"things": shown, "more": len(rows) > len(shown), "version": self.version, "total": total}
        return answer_with(200, body)


class Settings(BaseModel):
    rooms: list[str] = Described([], title="Rooms")
    with_boxes: bool = Described(True, title="Boxes")


plugin = Plugin(
    slug="shelf",
    name="Shelf",
    base_url="https://shelf.example",
    auth=ApiKey(fields=(Field("apiKey", "Key"),), sent_as=Bearer("apiKey")),
    settings=Settings,
)


@plugin.health
def whoami(shelf: Client) -> Any:
    from integrations.sdk import Identity

    found = shelf.get("/me").json()
    return Identity(label=found["name"], account_id=found["id"])


def rooms_of(settings: Mapping[str, Any]) -> list[str]:
    return settings["rooms"] or [""]


@plugin.sync("things", title="Things", parts=rooms_of)
def things(shelf: Client, place: Place) -> Page:
    """Everything in the order of its ids, then what changed since the first page was asked for."""
    cursor = place.cursor or {}
    if "since" in cursor:
        return changes(shelf, place, cursor["since"])
    found = shelf.get("/things", params={"room": place.part, "after": cursor.get("after", "")}).json()
    version = cursor.get("version", found["version"])
    items = [item_of(one) for one in found["things"]]
    if found["more"]:
        return Page(items, {"after": items[-1].id, "version": version}, more=True, total=found["total"])
    return Page(items, {"since": version}, total=found["total"])


def changes(shelf: Client, place: Place, since: int) -> Page:
    try:
        found = shelf.get("/changes", params={"room": place.part, "since": since}).json()
    except Refused as refusal:
        if refusal.status == 410:
            raise StartOver from None
        raise
    items = [item_of(one) for one in found["things"]]
    last = found["things"][-1]["version"] if found["more"] else found["version"]
    return Page(items, {"since": last}, more=found["more"])


def item_of(one: Mapping[str, Any]) -> Item:
    return Item(one["id"], {} if one["gone"] else one, is_deleted=one["gone"])


def install() -> None:
    """Into this process's registry, until it ends or `uninstall`."""
    found = registry.installed()
    if plugin.slug not in found.plugins:
        assert plugin.own_provider
        found.plugins[plugin.slug] = plugin
        found.entries[plugin.slug] = Entry(plugin.own_provider, (plugin,), "tests")


def uninstall() -> None:
    found = registry.installed()
    found.plugins.pop(plugin.slug, None)
    found.entries.pop(plugin.slug, None)


def behaves(function: Any) -> Any:
    """The same sync with another function: `monkeypatch.setitem(shelf.plugin.syncs, "things", behaves(…))`."""
    return replace(plugin.syncs["things"], function=function)


def reads() -> Any:
    """The sync's own function, for one that does something beside it."""
    return plugin.syncs["things"].function


def raises(error: Exception) -> Any:
    """A sync that meets this."""

    def function(client: Client, place: Place) -> Page:
        raise error

    return function


def told_runs() -> list[Any]:
    """What the audit says of runs."""
    from navi.audit.models import AuditEvent

    return list(AuditEvent.objects.filter(event="sync.run").order_by("at"))


def pages_of(count: int) -> int:
    return math.ceil(count / A_PAGE)
