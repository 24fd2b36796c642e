"""What a plugin brings home on a schedule, page by page, and what it sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from navi.net.client import Client

if TYPE_CHECKING:
    from integrations.sdk.plugin import Plugin

EVERY = timedelta(minutes=15)
KEPT = timedelta(days=90)
Parts = Callable[[Mapping[str, Any]], Sequence[str]]
Cursor = Mapping[str, Any]


class StartOver(Exception):
    """The vendor has forgotten the cursor (Gmail's 404, Calendar's 410): read everything again."""


@dataclass(frozen=True)
class Item:
    """One thing as the vendor has it now. `data` is JSON; a deleted thing needs none."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    is_deleted: bool = False


@dataclass(frozen=True)
class Page:
    """One answer of the vendor, stored together with the cursor that leads on from it.

    `more`: this run goes on at once. `starts_over`: the vendor sent everything from its beginning instead of
    what changed (Todoist's `full_sync`): what no page of this pass holds was deleted there.
    `total`: how many there will be, where the vendor says so.
    """

    items: Sequence[Item]
    cursor: Cursor
    more: bool = False
    starts_over: bool = False
    total: int | None = None


@dataclass(frozen=True)
class Place:
    """Where to read on. `cursor` None: from the beginning. `part`: one of `parts`, such as a calendar's id."""

    cursor: Cursor | None = None
    part: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


PullFunction = Callable[[Client, Place], Page]


@dataclass(frozen=True)
class Sync:
    """A sync of one kind of record. A pull has a function, a push the names of actions that may be queued."""

    kind: str
    plugin: Plugin
    direction: Literal["pull", "push"] = "pull"
    function: PullFunction | None = None
    actions: tuple[str, ...] = ()
    every: timedelta = EVERY
    kept: timedelta = KEPT
    scopes: tuple[str, ...] = ()
    title: str = ""
    parts: Parts | None = None
    is_on: Callable[[Mapping[str, Any]], bool] | None = None

    def parts_of(self, settings: Mapping[str, Any]) -> Sequence[str]:
        """What it is divided into, by the plugin's settings; one part without a name where it is not."""
        if self.is_on is not None and not self.is_on(settings):
            return ()
        return tuple(dict.fromkeys(self.parts(settings))) if self.parts else ("",)

    def manifest(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "title": self.title,
            "direction": self.direction,
            "everySeconds": int(self.every.total_seconds()),
            "scopes": list(self.scopes),
            "actions": list(self.actions),
        }
