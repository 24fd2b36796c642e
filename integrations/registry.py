"""Finds plugins and providers: bundled, by entry point, from NAVI_PLUGIN_DIRS, and described by people."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pkgutil
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from credentials.models import Connection
from integrations import plugins as bundled
from integrations.models import CustomProvider
from integrations.sdk import (
    Action,
    ApiKey,
    Auth,
    Basic,
    Bearer,
    Field,
    Guide,
    Header,
    HealthFunction,
    OAuth2,
    Plugin,
    Provider,
    Query,
    Remote,
    Revoke,
)
from integrations.sdk.quality import findings, tier_of
from navi.audit.problems import Problem

log = logging.getLogger(__name__)
DEADLINE = 30.0  # seconds for one call with all its tries
RESERVED = {"providers", "connect", "custom", "status"}


@dataclass(frozen=True)
class Entry:
    """A provider with its plugins, and where they came from."""

    provider: Provider
    plugins: tuple[Plugin, ...]
    source: str

    @property
    def slug(self) -> str:
        return self.provider.slug

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def icon(self) -> Path | None:
        return self.provider.icon or next((plugin.icon for plugin in self.plugins if plugin.icon), None)

    @property
    def identity(self) -> HealthFunction | None:
        """The function that asks the vendor who we are: the provider's own, else its first plugin's."""
        asking = (plugin.health_function for plugin in self.plugins if plugin.health_function)
        return self.provider.identity or next(asking, None)

    def auth(self, kind: str | None = None) -> Auth:
        """The way of signing in. Raises Problem where the provider has dropped this kind."""
        try:
            return self.provider.auth_of(kind)
        except KeyError:
            words = f"{self.name} is no longer connected this way. Reconnect it."
            raise Problem("reauth_required", words, provider=self.slug) from None

    def remote(self, *, auth_kind: str | None = None, base_url: str = "") -> Remote:
        """The vendor's HTTP facts, with the operator's detour where there is one."""
        facts, auth = self.provider, self.auth(auth_kind)
        return Remote(
            provider=facts.slug,
            name=facts.name,
            base_url=base_url or facts.base_url,
            auth=auth.sent_as,
            headers=facts.headers,
            upstream=settings.UPSTREAMS.get(facts.slug),
            errors=facts.errors,
            errors_in_200=facts.errors_in_200,
            deadline=DEADLINE,
            bound_to=self.bound_to,
            may_go_inside=not facts.custom_id or facts.is_approved,
            oauth=auth if isinstance(auth, OAuth2) else None,
        )

    def covered(self, connection: Connection) -> set[str]:
        """The scopes that the connection was granted, with all that they include."""
        way = next((auth for auth in self.provider.auth if auth.kind == connection.auth_kind), None)
        granted = set(connection.scopes)
        return way.covered(granted) if isinstance(way, OAuth2) else granted

    @property
    def bound_to(self) -> str:
        """What credentials are given for: a custom provider's id and addresses; nothing where the code is trusted."""
        if not self.provider.custom_id:
            return ""
        grants = [way for way in self.provider.auth if isinstance(way, OAuth2)]
        ends = [url for way in grants for url in (way.token_url, way.revoke.url if way.revoke else "") if url]
        called = dict.fromkeys(map(origin_of, [self.provider.base_url, *ends]))
        # Last and always: else the page's address could become one that is called without another text here.
        pages = [origin_of(way.authorize_url) for way in grants]
        return " ".join([self.provider.custom_id, *called, *pages])

    def person(self, user_id: uuid.UUID | None) -> uuid.UUID | None:
        """Whose own connections may serve: nobody's at a custom provider, which belongs to its project."""
        return None if self.provider.custom_id else user_id


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass
class Registry:
    """What is installed. Built once per process."""

    entries: dict[str, Entry] = field(default_factory=dict)
    plugins: dict[str, Plugin] = field(default_factory=dict)

    def add(self, found: Iterable[Plugin], providers: Iterable[Provider], source: str) -> None:
        """Take in one source's plugins and the providers they share. Raises ImproperlyConfigured."""
        found = list(found)
        shared = {provider.slug: provider for provider in providers}
        for plugin in found:
            if plugin.slug in self.plugins or plugin.slug in RESERVED:
                raise ImproperlyConfigured(
                    f"The plugin {plugin.slug!r} from {source} has a name that is taken."
                )
            self.plugins[plugin.slug] = plugin
            if plugin.own_provider:
                shared[plugin.own_provider.slug] = plugin.own_provider
        for slug, provider in shared.items():
            if slug in self.entries or slug in RESERVED:
                raise ImproperlyConfigured(f"The provider {slug!r} from {source} has a name that is taken.")
            members = tuple(plugin for plugin in found if plugin.provider == slug)
            self.entries[slug] = Entry(provider, members, source)

    def refuse_orphans(self) -> None:
        for plugin in self.plugins.values():
            if plugin.provider not in self.entries:
                raise ImproperlyConfigured(
                    f"The plugin {plugin.slug!r} names the provider {plugin.provider!r}, which nobody brings."
                )

    def ordered(self) -> list[Entry]:
        return sorted(self.entries.values(), key=lambda entry: entry.name.lower())


@lru_cache(maxsize=1)
def installed() -> Registry:
    """All plugins of this instance. Raises ImproperlyConfigured, naming the plugin."""
    registry = Registry()
    registry.add(*bundled_plugins(), source="bundled")
    for point in entry_points(group="navi.plugins"):
        registry.add([point.load()], [], source=f"package {point.dist.name if point.dist else point.value}")
    for directory in settings.PLUGIN_DIRS:
        registry.add(*plugins_in(directory), source=str(directory))
    registry.refuse_orphans()
    return registry


def bundled_plugins() -> tuple[list[Plugin], list[Provider]]:
    modules = [
        importlib.import_module(f"{info.name}.{part}")
        for info in pkgutil.iter_modules(bundled.__path__, f"{bundled.__name__}.")
        if info.ispkg
        for part in ("provider", "plugin")
        if importlib.util.find_spec(f"{info.name}.{part}")
    ]
    return objects_in(modules)


def objects_in(modules: Iterable[ModuleType]) -> tuple[list[Plugin], list[Provider]]:
    modules = list(modules)
    found = [module.plugin for module in modules if isinstance(getattr(module, "plugin", None), Plugin)]
    shared = [
        module.provider for module in modules if isinstance(getattr(module, "provider", None), Provider)
    ]
    return found, shared


def plugins_in(directory: Path) -> tuple[list[Plugin], list[Provider]]:
    """Load `<slug>/plugin.py` of each folder. A folder that others may write is refused."""
    if not directory.is_dir():
        raise ImproperlyConfigured(f"NAVI_PLUGIN_DIRS names {directory}, which is no folder.")
    modules = []
    for path in sorted(directory.glob("*/plugin.py")):
        for guarded in (directory, path.parent, path):
            refuse_if_writable_by_others(guarded)
        modules.append(load_file(path))
    return objects_in(modules)


def refuse_if_writable_by_others(path: Path) -> None:
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ImproperlyConfigured(
            f"NAVI_PLUGIN_DIRS: {path} can be written by others, who could run code in Navi; "
            f"run: chmod go-w {path}"
        )


def load_file(path: Path) -> ModuleType:
    name = f"navi_plugin_{path.parent.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImproperlyConfigured(f"{path} cannot be loaded as a plugin.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise ImproperlyConfigured(
            f"The plugin {path} does not load: {type(problem).__name__}: {problem}"
        ) from problem
    return module


@cache
def tier(slug: str) -> str:
    """How good an installed plugin is: bronze, silver, gold or none, computed once in a process from its files."""
    found = installed().plugins[slug]
    return tier_of(findings(found, installed().entries[found.provider].provider))


# --- providers that people described


def custom_entry(row: CustomProvider) -> Entry:
    """A custom provider as the same object as any other: facts only, never a command."""
    plugin = Plugin(
        slug=row.slug, name=row.name, description=row.description, category="Custom", base_url=row.base_url,
        auth=custom_auth(row),
        health_endpoint=row.health_path, guide=custom_guide(row),
    )  # fmt: skip
    add_custom_functions(plugin, row)
    provider = plugin.own_provider
    assert provider is not None  # noqa: S101 - auth is given above
    facts = replace(
        provider,
        custom_id=str(row.pk),
        expected_status=row.expected_status,
        awaits_approval=row.is_inside and not row.is_approved,
        is_approved=row.is_approved,
    )
    return Entry(facts, (plugin,), source="custom")


def custom_guide(row: CustomProvider) -> Guide:
    return Guide(enables=row.description or f"Calls to {row.base_url} with your key.")


def custom_auth(row: CustomProvider) -> Auth:
    if row.sent_as != CustomProvider.SentAs.OAUTH:
        return ApiKey(fields=custom_fields(row), sent_as=custom_scheme(row))
    client_auth: Any = row.client_auth
    ending: Any = "basic" if client_auth == "basic" else "body"
    return OAuth2(
        authorize_url=row.authorize_url, token_url=row.token_url, client_auth=client_auth,
        scopes={scope: scope for scope in row.oauth_scopes.split()}, always=tuple(row.oauth_scopes.split()),
        revoke=Revoke(row.revoke_url, client_auth=ending) if row.revoke_url else None,
        app_url=row.key_help_url,
        app_steps=("Register Navi as an application at the service, with the redirect address shown here.",
                   "Copy its client ID and client secret into this form."),
    )  # fmt: skip


def custom_fields(row: CustomProvider) -> tuple[Field, ...]:
    if row.sent_as == CustomProvider.SentAs.BASIC:
        user = Field("username", "User name", type="text", help_url=row.key_help_url)
        return user, Field("password", "Password")
    return (Field("apiKey", "API key", help_url=row.key_help_url),)


def custom_scheme(row: CustomProvider) -> Any:
    kinds = CustomProvider.SentAs
    schemes = {
        kinds.BEARER: Bearer("apiKey"),
        kinds.HEADER: Header(row.sent_name or "X-API-Key", "apiKey", row.sent_prefix),
        kinds.BASIC: Basic("username", "password"),
        kinds.QUERY: Query(row.sent_name or "api_key", "apiKey"),
    }
    return schemes[kinds(row.sent_as)]


def add_custom_functions(plugin: Plugin, row: CustomProvider) -> None:
    from integrations.sdk.custom import fetch_action, health_check

    health_check(plugin, path=row.health_path, expected=row.expected_status, name=row.name)
    fetch_action(plugin, path=row.health_path)


def custom_entries(project_id: uuid.UUID) -> Iterator[Entry]:
    for row in CustomProvider.objects.filter(project_id=project_id):
        yield custom_entry(row)


def entries(project_id: uuid.UUID) -> list[Entry]:
    """All providers of a project, by name: one query for those people described."""
    found = [*installed().ordered(), *custom_entries(project_id)]
    return sorted(found, key=lambda entry: entry.name.lower())


def entry(slug: str, project_id: uuid.UUID | None) -> Entry:
    """The provider of this slug, as this project sees it. Raises Problem `unknown`."""
    known = installed().entries.get(slug)
    if known:
        return known
    row = CustomProvider.objects.filter(project_id=project_id, slug=slug).first() if project_id else None
    if row is None:
        raise Problem("unknown", f"There is no provider called “{slug}” here.", field="provider")
    return custom_entry(row)


def plugin(slug: str, project_id: uuid.UUID | None) -> tuple[Entry, Plugin]:
    """The plugin of this slug with its provider. Raises Problem `unknown`."""
    known = installed().plugins.get(slug)
    if known:
        return installed().entries[known.provider], known
    try:
        found = entry(slug, project_id)
    except Problem:
        raise Problem("unknown", f"There is no plugin called “{slug}” here.", field="plugin") from None
    return found, found.plugins[0]


def action(plugin_slug: str, name: str, project_id: uuid.UUID | None) -> tuple[Entry, Action]:
    """The action with its provider. Raises Problem `unknown`."""
    found, its_plugin = plugin(plugin_slug, project_id)
    if name not in its_plugin.actions:
        raise Problem("unknown", f"{its_plugin.name} has no action called “{name}”.", field="action")
    return found, its_plugin.actions[name]
