"""What the integrations page shows: cards of what is connected, offers of what could be, what needs a person."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Max
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from credentials.models import Connection, Health, State
from credentials.resolve import choose
from integrations import policy, registry
from integrations.models import SyncState
from integrations.policy import Effective, Standing
from integrations.registry import Entry
from integrations.runtime import asking
from integrations.sdk import Plugin
from navi.hub import oauth
from navi.hub.answers import help_for
from navi.hub.doors import ProjectRequest
from navi.hub.strips import DAYS, strips
from navi.hub.tiles import tile
from navi.projects.models import Project

ORIGINS = {"project": "this project", "global": "all my projects", "operator": "the operator"}
NEEDS_KEY = (State.REAUTH_REQUIRED, State.UNREADABLE)
FIXES = {
    Health.FAILED: "Put a new key in; nothing else is lost.",
    Health.DEGRADED: "Navi waits and tries again by itself.",
}
EMPTY_STRIP = {
    "strip": [{"state": "unknown", "title": "not checked"}] * DAYS,
    "strip_summary": "Not checked yet",
}


def url_in(request: ProjectRequest, name: str, *args: Any, **query: Any) -> str:
    """The address of a page of this project."""
    address = reverse(f"hub:{name}", args=[request.project.slug, *args])
    return f"{address}?{urlencode(query)}" if query else address


# --- everything of one project, in a fixed number of queries


@dataclass(frozen=True)
class Overview:
    """All providers as one person sees them in one project."""

    request: ProjectRequest
    entries: Sequence[Entry]
    standings: Mapping[str, Standing]
    rows: Mapping[str, Sequence[Connection]]
    strips: Mapping[uuid.UUID, Mapping[str, Any]]
    at: datetime
    synced: Mapping[str, datetime]

    @property
    def connected(self) -> list[Entry]:
        return [entry for entry in self.entries if self.rows.get(entry.slug)]

    @property
    def available(self) -> list[Entry]:
        return [entry for entry in self.entries if not self.rows.get(entry.slug)]

    def card(self, slug: str) -> dict[str, Any]:
        entry = next(entry for entry in self.entries if entry.slug == slug)
        return self.card_of(entry)

    def card_of(self, entry: Entry) -> dict[str, Any]:
        rows = self.rows[entry.slug]
        return card(
            self.request,
            entry,
            rows,
            self.standings[entry.slug],
            self.strips.get(serving(rows).pk, EMPTY_STRIP),
            last_sync_at=self.synced.get(entry.slug),
        )

    def cards(self) -> list[dict[str, Any]]:
        """What needs a person first, then by name."""
        order = {"failed": 0, "degraded": 1}
        found = [self.card_of(entry) for entry in self.connected]
        return sorted(found, key=lambda one: order.get(one["health"]["state"], 2))

    def attention(self) -> list[dict[str, Any]]:
        """Every connection that needs somebody, the project's and the person's own."""
        return [
            attention_item(self.request, entry, row)
            for entry in self.connected
            for row in self.rows[entry.slug]
            if needs_somebody(row) and not is_off(self.standings[entry.slug].effective)
        ]

    def counts(self) -> dict[str, int]:
        """How many connected providers are in which state of health."""
        found = dict.fromkeys(["healthy", "degraded", "failed", "unknown", "disabled"], 0)
        for entry in self.connected:
            row, effective = serving(self.rows[entry.slug]), self.standings[entry.slug].effective
            found[health_of(row, effective)["state"]] += 1
        return found


def overview(request: ProjectRequest) -> Overview:
    """Seven queries, however many providers and connections there are."""
    place = {"project_id": request.project.pk, "user_id": request.user.pk}
    entries = registry.entries(request.project.pk)
    rows: dict[str, list[Connection]] = {}
    for row in Connection.objects.reachable(**place).in_order_of_resolution():
        rows.setdefault(row.provider, []).append(row)
    shown = [serving(rows[entry.slug]).pk for entry in entries if entry.slug in rows]
    at = timezone.now()
    return Overview(request, entries, policy.standings(entries, **place), rows, strips(shown, at=at), at,
        last_syncs(request.project),
    )  # fmt: skip


def last_syncs(project: Project) -> dict[str, datetime]:
    """When each provider's records were last brought up to date: one query."""
    rows = SyncState.objects.in_project(project).exclude(succeeded_at=None).order_by()
    found: dict[str, datetime] = {}
    for slug, at in rows.values_list("plugin").annotate(at=Max("succeeded_at")):
        plugin = registry.installed().plugins.get(slug)
        if plugin:
            found[plugin.provider] = max(at, found.get(plugin.provider, at))
    return found


def serving(rows: Sequence[Connection]) -> Connection:
    """The connection that a card speaks of: the one an agent of this person would get."""
    return choose(rows).connection or rows[0]


# --- one card


def card(
    request: ProjectRequest,
    entry: Entry,
    rows: Sequence[Connection],
    standing: Standing,
    strip: Mapping[str, Any],
    *,
    last_sync_at: datetime | None = None,
) -> dict[str, Any]:
    """What _card.html takes."""
    row, effective = serving(rows), standing.effective
    health = health_of(row, effective)
    return {
        **tile(entry),
        **strip,
        "url": url_in(request, "provider", entry.slug),
        "account": account_of(entry, row),
        "more_accounts": len(rows) - 1,
        "scope": row.scope,
        "health": health,
        "services": services_of(entry, row),
        **permissions(entry, row),
        "last_used_at": row.last_used_at,
        "last_sync_at": last_sync_at,
        "error": error_of(row, health["state"]),
        "last_error": row.last_error,
        "blocked": obstacle(entry, effective),
        **toggles(request, entry, rows, standing),
        "main_action": main_action(request, entry, row, health["state"]),
        **deeds(request, entry, row),
    }


def services_of(entry: Entry, row: Connection) -> list[str]:
    """The services of a family that this account is used for."""
    if len(entry.plugins) < 2:
        return []
    used = oauth.in_use(entry, row) if row.auth_kind == "oauth" else entry.plugins
    return [plugin.name for plugin in used]


def account_of(entry: Entry, row: Connection) -> str:
    """Whom "Connected as" names; nobody where the vendor does not tell."""
    return "" if row.label == entry.name else row.label


def deeds(request: ProjectRequest, entry: Entry, row: Connection) -> dict[str, Any]:
    """What this person may do with the connection, and where."""
    return {
        "may_test": request.may("integrations.check"),
        "may_change": may_change(request, row),
        "test_url": url_in(request, "connection-test", entry.slug, row.pk),
        "edit_url": url_in(request, "connection-edit", entry.slug, row.pk),
        "disconnect_url": url_in(request, "disconnect", entry.slug, row.pk),
    }


def may_change(request: ProjectRequest, row: Connection) -> bool:
    """A person's own is theirs alone; the project's needs a manager."""
    if row.user_id:
        return row.user_id == request.user.pk and request.may("integrations.connect")
    return request.may("integrations.manage")


def may_reconnect(request: ProjectRequest, row: Connection) -> bool:
    return request.may("integrations.connect") and row.user_id in {None, request.user.pk}


def main_action(request: ProjectRequest, entry: Entry, row: Connection, state: str) -> dict[str, Any] | None:
    if (state == Health.FAILED or (state == Health.DEGRADED and is_ending(row))) and may_reconnect(
        request, row
    ):
        url = url_in(request, "connect", entry.slug, reconnect=row.pk)
        return {"kind": "reconnect", "label": "Reconnect", "url": url}
    if state == Health.DEGRADED:
        return {"kind": "retrying", "retry_at": next_try(row)}
    return None


def next_try(row: Connection) -> datetime | None:
    """When Navi asks again by itself: a refresh that was held back, else the next check."""
    ahead = [moment for moment in (row.hold_until, row.next_check_at) if moment and moment > timezone.now()]
    return min(ahead) if ahead else None


# --- health


def is_off(effective: Effective) -> bool:
    return effective.is_blocked or not effective.enabled


def health_of(row: Connection, effective: Effective) -> dict[str, Any]:
    """Shape, word and age: red is for what needs a person, yellow for what passes."""
    state, word = state_of(row, effective)
    reason = "" if state in {"healthy", "disabled"} else row.state_reason or row.health_reason
    return {"state": state, "word": word, "reason": reason, "checked_at": row.last_check_at}


def state_of(row: Connection, effective: Effective) -> tuple[str, str]:
    if effective.is_blocked:
        return "disabled", "Blocked"
    if not effective.enabled or not row.enabled:
        return "disabled", ""
    if row.state in NEEDS_KEY:
        return "failed", "Needs you"
    if row.health == Health.FAILED:
        return "failed", ""
    if row.health == Health.DEGRADED or row.state in {State.DEGRADED, State.REFRESH_OUTCOME_UNKNOWN}:
        return "degraded", ""
    return row.health, ""


def needs_somebody(row: Connection) -> bool:
    """The same as navigation.NEEDS_SOMEBODY, for a row at hand."""
    return row.enabled and (row.state in NEEDS_KEY or row.health == Health.FAILED or is_ending(row))


def is_ending(row: Connection) -> bool:
    """The token works until its end, and the vendor will not renew it."""
    return row.refusals > 1


def error_of(row: Connection, state: str) -> dict[str, Any] | None:
    if state not in {"failed", "degraded"}:
        return None
    message = row.state_reason or row.health_reason or row.last_error or "The last check failed."
    needs_key = row.state in NEEDS_KEY
    return {
        "message": message,
        "fix": fix_for(row, state),
        "detail": "\n".join(details_of(row, message)),
        "at": row.health_since,
        "help_url": help_for("reauth_required" if needs_key else "vendor_unavailable"),
    }


def fix_for(row: Connection, state: str) -> str:
    """What helps: a person where access ends, else patience."""
    if state == Health.DEGRADED and is_ending(row):
        until = f" It works until {row.expires_at:%H:%M} UTC." if row.expires_at else ""
        return f"Reconnect it before agents notice.{until}"
    if state == Health.FAILED and row.auth_kind == "oauth":
        return "Reconnect it; nothing else is lost."
    return FIXES[Health(state)]


def details_of(row: Connection, message: str) -> Iterable[str]:
    yield row.last_error or message
    if row.error_count:
        yield f"Failures in a row: {row.error_count}"
    if row.last_success_at:
        yield f"Last success: {row.last_success_at:%Y-%m-%d %H:%M} UTC"


def obstacle(entry: Entry, effective: Effective) -> str:
    """Why nobody can use it here, whatever the account says."""
    if effective.is_blocked:
        return f"An operator has blocked {entry.name}. {effective.blocked_reason}".strip()
    if entry.provider.awaits_approval:
        return f"{entry.name} lies inside the network. An operator has to approve it in the admin first."
    return ""


def attention_item(request: ProjectRequest, entry: Entry, row: Connection) -> dict[str, Any]:
    may = may_reconnect(request, row)
    account = account_of(entry, row)
    message = row.state_reason or row.health_reason or "The last check failed."
    return {
        **tile(entry),
        "state": "degraded" if row.health == Health.DEGRADED and is_ending(row) else "failed",
        "word": "Needs you" if row.state in NEEDS_KEY else "",
        "message": f"{account}: {message}" if account else message,
        "since": row.health_since or row.state_at,
        "url": url_in(request, "connect", entry.slug, reconnect=row.pk) if may else None,
        "label": "Reconnect" if may else "A member can reconnect it",
        "in_dialog": True,
    }


# --- what it may do


def permissions(entry: Entry, row: Connection) -> dict[str, list[str]]:
    """Granted permissions as plain words; where the vendor tells none, what the actions are called."""
    if row.auth_kind == "oauth":
        labels = oauth.granted_labels(entry, row) if row.scopes else titles(entry)
        return {"permissions": labels, "missing_permissions": oauth.lacking_labels(entry, row)}
    labels_by_scope = oauth.labels_of(entry)
    lacking = asking.capabilities(entry, row)["missingScopes"]
    missing = dict.fromkeys(scope for scopes in lacking.values() for scope in scopes)
    return {
        "permissions": [labels_by_scope.get(scope, scope) for scope in row.scopes] or titles(entry),
        "missing_permissions": [labels_by_scope.get(scope, scope) for scope in missing],
    }


def titles(entry: Entry) -> list[str]:
    return [action.title for plugin in entry.plugins for action in plugin.actions.values()]


# --- toggles


def toggles(
    request: ProjectRequest, entry: Entry, rows: Sequence[Connection], standing: Standing
) -> dict[str, Any]:
    """The seeds' switches: all my projects, this project, and under "Advanced" MCP and skill."""
    has_mcp, has_skill = entry.provider.mcp is not None, bool(entry.provider.usage_skill)
    return {
        "global_switch": global_switch(request, entry, rows, standing),
        "project_toggle": tri(request, entry, standing, "enabled", "This project"),
        "mcp_toggle": tri(request, entry, standing, "mcp_enabled", "MCP tools") if has_mcp else None,
        "skill_toggle": tri(request, entry, standing, "skill_enabled", "Skill") if has_skill else None,
    }


def global_switch(
    request: ProjectRequest, entry: Entry, rows: Sequence[Connection], standing: Standing
) -> dict[str, Any] | None:
    """Where the person has an account of their own, or has switched the provider for all their projects."""
    if standing.person.enabled is None and not any(row.user_id for row in rows):
        return None
    return {
        "id": f"{entry.slug}-global",
        "label": "All my projects",
        "name": "enabled",
        "on": inherited(standing, "enabled")[1],
        "url": url_in(request, "toggles", entry.slug, scope="global"),
        "disabled": not request.may("integrations.connect"),
    }


def tri(request: ProjectRequest, entry: Entry, standing: Standing, name: str, label: str) -> dict[str, Any]:
    """One switch of this project, with its effective value and where that comes from."""
    effective = standing.effective
    own = getattr(standing.project, name)
    level = effective.origin[name]
    return {
        "id": f"{entry.slug}-{name}",
        "label": label,
        "name": name,
        "value": "inherit" if own is None else "on" if own else "off",
        "inherited_on": inherited(standing, name)[1],
        "effective_on": getattr(effective, name) and not effective.is_blocked,
        "origin": ORIGINS.get(level, f"the default of {entry.name}"),
        "url": url_in(request, "toggles", entry.slug, scope="project"),
        "disabled": not request.may("integrations.manage"),
    }


def plugin_toggles(request: ProjectRequest, entry: Entry, standing: Standing) -> list[dict[str, Any]]:
    """A switch for each plugin of a family, which can be off inside what its provider allows."""
    if len(entry.plugins) < 2:
        return []
    return [plugin_tri(request, entry, plugin, standing) for plugin in entry.plugins]


def plugin_tri(request: ProjectRequest, entry: Entry, plugin: Plugin, standing: Standing) -> dict[str, Any]:
    person, project = standing.of_plugins.get(plugin.slug, (policy.Toggles(), policy.Toggles()))
    without = replace(standing, of_plugins={plugin.slug: (person, policy.Toggles())})
    effective = standing.effective_of(plugin)
    is_own = project.enabled is not None and standing.effective.enabled
    level = "project" if is_own else effective.origin["enabled"]
    return {
        "id": f"{plugin.slug}-plugin-enabled",
        "label": plugin.name,
        "name": "enabled",
        "value": "inherit" if project.enabled is None else "on" if project.enabled else "off",
        "inherited_on": without.effective_of(plugin).enabled,
        "effective_on": effective.enabled and not effective.is_blocked,
        "origin": ORIGINS.get(level, entry.name) if level != "plugin" else entry.name,
        "url": url_in(request, "toggles", entry.slug, scope="project", plugin=plugin.slug),
        "disabled": not request.may("integrations.manage"),
    }


def inherited(standing: Standing, name: str) -> tuple[str, bool]:
    """What a switch is where the project says nothing."""
    without = Standing(standing.defaults, standing.operator, standing.person, policy.Toggles())
    return without.effective.origin[name], getattr(without.effective, name)


# --- the page


def integrations_page(request: ProjectRequest, *, found: Overview | None = None) -> dict[str, Any]:
    """What integrations.html and _integrations.html take."""
    found = found or overview(request)
    offers = [offer(request, entry) for entry in found.available]
    asked = {"q": request.GET.get("q", "").strip()[:80], "category": request.GET.get("category", "")[:60]}
    shown = [{**one, "hidden": not fits(one, **asked)} for one in offers]
    first = next((one["id"] for one in offers), "linear")
    return {
        "page_title": "Integrations",
        **attention_context(found),
        "connected": found.cards(),
        "available": [*shown, *custom_offer(request)],
        "nothing_fits": bool(offers) and all(one["hidden"] for one in shown),
        "categories": categories(offers),
        **asked,
        "may_connect": request.may("integrations.connect"),
        "recommended": offers[:3],
        "chat": {"example": f"connect {first}"},
        "refresh_url": url_in(request, "integrations"),
    }


def attention_context(found: Overview) -> dict[str, Any]:
    """The strip on top, and the sentence beside the title."""
    return {"attention": found.attention(), "attention_failed": True, "summary": summary(found.counts())}


def summary(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "Connect a service once; agents use it from then on."
    words = {
        "healthy": "{n} {work}",
        "failed": "{n} {need} you",
        "degraded": "{n} {retry}",
        "unknown": "{n} not checked yet",
        "disabled": "{n} off",
    }
    told = [
        text.format(
            n=counts[state],
            work="work" if counts[state] > 1 else "works",
            need="need" if counts[state] > 1 else "needs",
            retry="retry" if counts[state] > 1 else "retries",
        )
        for state, text in words.items()
        if counts[state]
    ]
    return f"{total} connected: {', '.join(told)}."


def offer(request: ProjectRequest, entry: Entry) -> dict[str, Any]:
    """What _available_card.html takes."""
    kinds = [auth.label for auth in entry.provider.auth]
    return {
        **tile(entry),
        "description": entry.provider.description,
        "kind": kinds[0] if kinds else "",
        "category": slugify(entry.provider.category),
        "category_name": entry.provider.category,
        "words": " ".join([entry.provider.category, *kinds[1:], *titles(entry)]),
        "url": url_in(request, "provider", entry.slug),
        "connect_url": url_in(request, "connect", entry.slug),
        "may_connect": request.may("integrations.connect"),
    }


def custom_offer(request: ProjectRequest) -> list[dict[str, Any]]:
    if not request.may("integrations.manage"):
        return []
    about = {
        "id": "custom", "name": "Custom API", "kind": "Any key", "custom": True, "may_connect": True,
        "description": "Any service with an address and a key.", "words": "custom own http rest api",
        "connect_url": url_in(request, "custom-new"),
    }  # fmt: skip
    return [about]


def categories(offers: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    found = {one["category"]: one["category_name"] for one in offers}
    if len(found) < 2:
        return []
    return [{"slug": slug, "name": name} for slug, name in sorted(found.items())]


def fits(one: Mapping[str, Any], *, q: str, category: str) -> bool:
    """The search of a browser without script, with the same meaning as hub.js's."""
    text = f"{one['name']} {one['kind']} {one['description']} {one['words']}".lower()
    return all(word in text for word in q.lower().split()) and category in {"", one["category"]}
