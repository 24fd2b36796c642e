"""One `Plugin(...)` object and decorated functions: all that a vendor needs to be useful here."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from integrations.sdk import schema
from integrations.sdk.facts import Auth, Defaults, ErrorMap, Guide, HealthFunction, McpServer, Provider
from integrations.sdk.sync import EVERY, KEPT, Parts, PullFunction, Sync
from integrations.sdk.webhook import Webhook
from navi.net.client import Client

Function = Callable[..., Any]


@dataclass(frozen=True)
class Choice:
    """One thing to choose from in a settings form."""

    id: str
    label: str


@dataclass(frozen=True)
class Action:
    """A function an agent may call. `name` is the function's, the schema comes from its types."""

    name: str
    plugin: Plugin
    function: Function
    writes: bool = False
    destroys: bool = False
    scopes: tuple[str, ...] = ()
    title: str = ""
    try_with: Mapping[str, Any] | None = None  # arguments of a harmless first call
    idempotent: bool = False  # the vendor drops a repeat of the same request_key

    @cached_property
    def _parameters(self) -> tuple[type[BaseModel], str | None]:
        return schema.parameters(self.function)

    @property
    def id(self) -> str:
        return f"{self.plugin.slug}.{self.name}"

    @property
    def verb(self) -> str:
        """The token scope it needs: run, write or destructive."""
        if self.destroys:
            return "destructive"
        return "write" if self.writes else "run"

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        return schema.json_schema(self._parameters[0])

    @cached_property
    def output_schema(self) -> dict[str, Any] | None:
        return schema.result_schema(self.function)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Typed arguments with defaults. Raises InvalidArguments."""
        return schema.validate(self._parameters[0], arguments)

    def run(self, client: Client, arguments: Mapping[str, Any], *, request_key: str) -> Any:
        """Call the function. `arguments` come from `validate`."""
        key_name = self._parameters[1]
        extra = {key_name: request_key} if key_name else {}
        return self.function(client, **arguments, **extra)

    def manifest(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "plugin": self.plugin.slug,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "writes": self.writes or self.destroys,
            "destructive": self.destroys,
            "tokenScope": self.verb,
            "scopes": list(self.scopes),
            "input": self.input_schema,
            "output": self.output_schema,
        }


class Plugin:
    """What can be done at a vendor.

    A plugin that names a provider of its own gives `auth` and `base_url`; one of a family
    (`provider="google"`) leaves `auth` empty and shares the family's. `scopes` (scope: label) are asked for
    when it is connected by OAuth, the least it is useful with; `more_scopes` only where a person ticks them.
    `nothing_to_list`: why there is no discovery, where the vendor's API lists nothing to choose from.
    `proxy_url`: below which the proxy reaches, where that is less than `base_url`.
    """

    def __init__(
        self,
        *,
        slug: str,
        name: str,
        provider: str = "",
        description: str = "",
        category: str = "Other",
        base_url: str = "",
        auth: Auth | Sequence[Auth] = (),
        color: str = "slate",
        headers: Mapping[str, str] | None = None,
        errors: ErrorMap | None = None,
        errors_in_200: bool = False,
        guide: Guide | None = None,
        defaults: Defaults | None = None,
        docs_url: str = "",
        mcp: McpServer | None = None,
        settings: type[BaseModel] | None = None,
        usage_skill: str = "",
        setup_skill: str = "",
        health_endpoint: str = "",
        scopes: Mapping[str, str] | None = None,
        more_scopes: Mapping[str, str] | None = None,
        nothing_to_list: str = "",
        proxy_url: str = "",
    ) -> None:
        self.slug, self.name, self.description = slug, name, description
        self.provider, self.base_url = provider or slug, base_url
        self.settings, self.scopes, self.more_scopes = settings, dict(scopes or {}), dict(more_scopes or {})
        self.folder = Path(sys._getframe(1).f_code.co_filename).parent
        self.actions: dict[str, Action] = {}
        self.discoveries: dict[str, Callable[[Client], Sequence[Choice]]] = {}
        self.health_function: HealthFunction | None = None
        self.nothing_to_list, self.proxy_url = nothing_to_list, proxy_url or base_url
        self.syncs: dict[str, Sync] = {}
        self.webhook: Webhook | None = None
        kinds = tuple(auth) if isinstance(auth, Sequence) else (auth,)
        self.own_provider = (
            Provider(
                slug=self.provider, name=name, base_url=base_url, auth=kinds, description=description,
                category=category, color=color, headers=dict(headers or {}), errors=errors,
                errors_in_200=errors_in_200,
                guide=guide or Guide(), defaults=defaults or Defaults(), docs_url=docs_url, mcp=mcp,
                usage_skill=usage_skill, setup_skill=setup_skill, health_endpoint=health_endpoint,
                folder=self.folder,
            )
            if kinds
            else None
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Plugin {self.slug}>"

    def action(
        self,
        *,
        writes: bool = False,
        destroys: bool = False,
        scopes: Sequence[str] = (),
        title: str = "",
        try_with: Mapping[str, Any] | None = None,
        idempotent: bool = False,
    ) -> Callable[[Function], Function]:
        """Make the function an action. Its docstring is what agents choose by.

        `idempotent`: it hands its RequestKey to the vendor, who does nothing at a second call with the same
        one and answers as at the first. Such a write may be repeated after a crash.
        """

        def register(function: Function) -> Function:
            name = function.__name__
            words = title or name.replace("_", " ").capitalize()
            self.actions[name] = Action(
                name, self, function, writes, destroys, tuple(scopes), words, try_with, idempotent
            )
            return function

        return register

    def health(self, function: HealthFunction) -> HealthFunction:
        """The function that asks the vendor who we are: cheap, reading only."""
        self.health_function = function
        return function

    def discovers(self, resource: str) -> Callable[[Function], Function]:
        """The function that lists resources to choose from."""

        def register(function: Function) -> Function:
            self.discoveries[resource] = function
            return function

        return register

    def sync(
        self,
        kind: str,
        *,
        every: timedelta = EVERY,
        kept: timedelta = KEPT,
        scopes: Sequence[str] = (),
        title: str = "",
        parts: Parts | None = None,
        is_on: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> Callable[[PullFunction], PullFunction]:
        """Make the function a pull sync: it reads one page from a place and says where the next one begins.

        `parts` divides it by the plugin's settings (one for each chosen calendar), each with a cursor of its
        own; `is_on` may leave it out altogether. `kept`: how long tombstones stay.
        """

        def register(function: PullFunction) -> PullFunction:
            words = title or kind.replace("_", " ").capitalize()
            self.syncs[kind] = Sync(
                kind, self, "pull", function, (), every, kept, tuple(scopes), words, parts, is_on
            )
            return function

        return register

    def pushes(self, kind: str, *, actions: Sequence[str], every: timedelta = EVERY, title: str = "") -> Sync:
        """Declare a push sync: these writing actions may be queued, and are sent in their order on schedule."""
        words = title or kind.replace("_", " ").capitalize()
        self.syncs[kind] = Sync(kind, self, "push", None, tuple(actions), every, title=words)
        return self.syncs[kind]

    def receives(self, webhook: Webhook) -> Webhook:
        """Declare how the vendor calls; give it functions by `hears`, `greets`, `registers`."""
        self.webhook = webhook
        return webhook

    @property
    def record_kinds(self) -> dict[str, str]:
        """The kinds of records that agents can read, with their titles."""
        pulled = {kind: sync.title for kind, sync in self.syncs.items() if sync.direction == "pull"}
        return {**pulled, **(self.webhook.kinds if self.webhook else {})}

    @property
    def all_scopes(self) -> dict[str, str]:
        return {**self.scopes, **self.more_scopes}

    @property
    def first_try(self) -> Action | None:
        """The reading action a person tries first after connecting."""
        reading = [action for action in self.actions.values() if action.verb == "run"]
        tryable = [action for action in reading if action.try_with is not None]
        return next(iter(tryable), None)

    def capabilities(self, provider: Provider) -> list[str]:
        """What it can do; a family's provider may do the health check for all."""
        found = []
        if self.syncs:
            found.append("sync")
        if self.webhook:
            found.append("webhook_ingest")
        if self.actions:
            found.append("action_execute")
        if self.discoveries:
            found.append("discovery")
        if self.health_function or provider.identity:
            found.append("health_check")
        return found

    @property
    def icon(self) -> Path | None:
        path = self.folder / "icon.svg"
        return path if path.is_file() else None

    def manifest(self, provider: Provider) -> dict[str, Any]:
        """The manifest of the seeds, as JSON."""
        first = provider.auth[0].kind
        return {
            "id": self.slug,
            "name": self.name,
            "description": self.description,
            "provider": self.provider,
            "auth": "oauth2" if first == "oauth" else first,
            "scopes": [{"scope": scope, "label": label} for scope, label in self.all_scopes.items()],
            "capabilities": self.capabilities(provider),
            "webhook": self.webhook.manifest() if self.webhook else None,
            "syncs": [sync.manifest() for sync in self.syncs.values()],
            "records": self.record_kinds,
            "settings": schema.json_schema(self.settings) if self.settings else None,
            "actions": [action.manifest() for action in self.actions.values()],
            "discovery": sorted(self.discoveries),
        }
