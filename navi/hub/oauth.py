"""OAuth as pages show it: what may be asked for, what was granted, and through which app people sign in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from credentials.models import Connection
from integrations.registry import Entry
from integrations.runtime import consent, oauth_apps
from integrations.sdk import OAuth2, Plugin
from navi.audit.problems import Problem
from navi.hub.doors import ProjectRequest, who_may
from navi.hub.fields import storable

MOST = 100  # ticks; no vendor has as many scopes


@dataclass(frozen=True)
class Ticks:
    """What a person has ticked, or what is ticked for them at first."""

    services: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not (self.services or self.scopes)


# --- what there is to tick


def way_of(entry: Entry) -> OAuth2 | None:
    return next((way for way in entry.provider.auth if isinstance(way, OAuth2)), None)


def services(entry: Entry) -> list[Plugin]:
    """The services of a family; nothing where the provider is one service."""
    return [plugin for plugin in entry.plugins if plugin.scopes] if len(entry.plugins) > 1 else []


def basics(entry: Entry) -> dict[str, str]:
    """The scopes that a single service is asked for unless a person unticks them."""
    if len(entry.plugins) != 1:
        return {}
    return known_to(entry, entry.plugins[0].scopes)


def further(entry: Entry, way: OAuth2) -> dict[str, str]:
    """What a single service may be allowed besides."""
    if len(entry.plugins) != 1:
        return {}
    more = {**entry.plugins[0].more_scopes, **way.user_scopes}
    return {scope: label for scope, label in known_to(entry, more).items() if scope not in basics(entry)}


def known_to(entry: Entry, scopes: Mapping[str, str]) -> dict[str, str]:
    """Those that the vendor can be asked for."""
    way = way_of(entry)
    known = {**way.scopes, **way.user_scopes} if way else {}
    return {scope: label for scope, label in scopes.items() if not known or scope in known}


def labels_of(entry: Entry) -> dict[str, str]:
    """Every scope in plain words."""
    way = way_of(entry)
    found = {**way.scopes, **way.user_scopes} if way else {}
    for plugin in entry.plugins:
        found |= plugin.all_scopes
    return found


# --- what is ticked


def ticked(entry: Entry, data: Any) -> Ticks:
    """What a form or an address says."""
    chosen = [storable(one) for one in data.getlist("services")[:MOST]]
    scopes = [scope for one in data.getlist("scopes")[:MOST] for scope in storable(one).split()]
    return Ticks(frozenset(chosen), frozenset(scopes))


def for_scopes(entry: Entry, scopes: Iterable[str]) -> Ticks:
    """The ticks that ask for these scopes: a service where one of its own is among them."""
    wanted = frozenset(scopes)
    touched = frozenset(plugin.slug for plugin in services(entry) if wanted & set(plugin.scopes))
    covered = {scope for plugin in services(entry) if plugin.slug in touched for scope in plugin.scopes}
    return Ticks(touched, wanted - covered)


def at_first(entry: Entry) -> Ticks:
    """A single service is what one came for; of a family nothing is presumed."""
    return Ticks(scopes=frozenset(basics(entry)))


def scopes_for(entry: Entry, ticks: Ticks, *, is_first: bool) -> list[str]:
    """The scopes to ask for. Raises Problem where nothing is ticked, though there is something to tick."""
    of_services = [
        scope for plugin in services(entry) if plugin.slug in ticks.services for scope in plugin.scopes
    ]
    in_order = [scope for scope in labels_of(entry) if scope in ticks.scopes]
    unknown = sorted(ticks.scopes - set(in_order))
    found = list(dict.fromkeys([*of_services, *in_order, *unknown]))
    if is_first and not found and (services(entry) or basics(entry)):
        raise Problem("invalid_input", "Choose at least one thing that agents may use.", field="services")
    return found


# --- as the dialog shows it


def offered(entry: Entry, ticks: Ticks, row: Connection | None) -> dict[str, Any]:
    """Services with their permissions, or the permissions of the one service; what is granted stays."""
    held = entry.covered(row) if row and row.auth_kind == "oauth" else set()
    way = consent.oauth_of(entry)
    return {
        "services": [service_told(entry, plugin, ticks, held) for plugin in services(entry)],
        "basics": boxes(basics(entry), ticks, held),
        "further": boxes(further(entry, way), ticks, held),
        "has_device": bool(way.device_url),
    }


def service_told(entry: Entry, plugin: Plugin, ticks: Ticks, held: set[str]) -> dict[str, Any]:
    is_granted = set(plugin.scopes) <= held
    more = boxes(known_to(entry, plugin.more_scopes), ticks, held)
    return {
        "value": plugin.slug,
        "label": plugin.name,
        "asks": list(plugin.scopes.values()),
        "ticked": is_granted or plugin.slug in ticks.services,
        "granted": is_granted,
        "more": more,
        "open": any(box["ticked"] for box in more),
    }


def boxes(scopes: Mapping[str, str], ticks: Ticks, held: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "value": scope,
            "label": label,
            "granted": scope in held,
            "ticked": scope in held or scope in ticks.scopes,
        }
        for scope, label in scopes.items()
    ]


# --- what was granted


def in_use(entry: Entry, row: Connection) -> list[Plugin]:
    """The services of a family that the account was connected for."""
    held = entry.covered(row)
    return [plugin for plugin in services(entry) if held & set(plugin.scopes)]


def granted_labels(entry: Entry, row: Connection) -> list[str]:
    """What the account has granted, in words; who one is counts only where there is nothing else."""
    labels, way = labels_of(entry), way_of(entry)
    always = set(way.always) if way else set()
    granted = set(row.scopes)
    told = [label for scope, label in labels.items() if scope in granted - always]
    told += [scope for scope in row.scopes if scope not in labels and not is_a_name_for(scope, way)]
    return told or [labels.get(scope, scope) for scope in row.scopes]


def is_a_name_for(scope: str, way: OAuth2 | None) -> bool:
    """Google says the long names of what it was asked for by the short ones."""
    return bool(way and set(way.implies.get(scope, ())) & set(way.always))


def lacking_labels(entry: Entry, row: Connection) -> list[str]:
    """What the services in use lack: a box was left unticked at the vendor's."""
    held = entry.covered(row)
    if not row.scopes:
        return []
    asked = [plugin.scopes for plugin in in_use(entry, row)] or [basics_needed(entry)]
    return [label for scopes in asked for scope, label in scopes.items() if scope not in held]


def basics_needed(entry: Entry) -> dict[str, str]:
    """Of a single service only what its actions need: the rest may have been unticked on purpose."""
    needed = {
        scope for plugin in entry.plugins for action in plugin.actions.values() for scope in action.scopes
    }
    labels = labels_of(entry)
    is_single = len(entry.plugins) == 1
    return {scope: labels.get(scope, scope) for scope in sorted(needed)} if is_single else {}


def grants_told(entry: Entry, row: Connection) -> list[dict[str, Any]]:
    """Per service of a family: granted, partly or not, and what would be asked for."""
    held = entry.covered(row)
    return [grant_told(entry, plugin, held) for plugin in services(entry)]


def grant_told(entry: Entry, plugin: Plugin, held: set[str]) -> dict[str, Any]:
    missing = [label for scope, label in plugin.scopes.items() if scope not in held]
    states = {0: "granted", len(plugin.scopes): "none"}
    more = known_to(entry, plugin.more_scopes)
    return {
        "slug": plugin.slug,
        "name": plugin.name,
        "state": states.get(len(missing), "partly"),
        "missing": missing,
        "granted": [label for scope, label in plugin.all_scopes.items() if scope in held],
        "can_more": [label for scope, label in more.items() if scope not in held],
    }


# --- the app


def app_told(request: ProjectRequest, entry: Entry) -> dict[str, Any]:
    """Through which app people of this project sign in, and who may change that."""
    app = oauth_apps.serving(entry, request.project)
    may = request.may("integrations.manage")
    is_own = app is not None and app.project_id is not None
    return {
        "is_missing": app is None,
        "is_own": is_own,
        "serves_all_projects": app is not None and (not is_own or oauth_apps.own(entry, None) is not None),
        "url": reverse("hub:oauth-app", args=[request.project.slug, entry.slug]) if may else "",
        "who": "" if may else who_may("integrations.manage"),
    }


def wanted_in(entry: Entry, data: Any, *, asked: Sequence[str] = ()) -> Ticks:
    """What an address (`?services=gmail`, `?scopes=…`) or an agent asks to have ticked; else the usual."""
    from_address = ticked(entry, data)
    if not from_address.is_empty:
        return from_address
    return for_scopes(entry, asked) if asked else at_first(entry)
