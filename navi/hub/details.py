"""One provider's page: what agents can do here, its connections, its health and calls over time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db.models import CharField, Count
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from credentials.models import Connection
from credentials.resolve import choose
from integrations import policy, registry
from integrations.models import HealthCheck
from integrations.policy import Standing
from integrations.registry import Entry
from integrations.runtime import asking
from integrations.sdk import Action
from navi.audit.models import AuditEvent, Outcome
from navi.hub import oauth, sync_panel, timeline
from navi.hub.cards import (
    EMPTY_STRIP,
    card,
    deeds,
    may_reconnect,
    obstacle,
    plugin_toggles,
    serving,
    toggles,
    url_in,
)  # fmt: skip
from navi.hub.cards import health_of as connection_health
from navi.hub.doors import ProjectRequest
from navi.hub.strips import DAYS, last_days, strips
from navi.hub.tiles import tile
from navi.projects import roles
from navi.projects.models import AgentToken, Membership, Project

CALLS = ("action.run", "proxy.called", "secret.released", "discovery.run")
CALLS_SHOWN, CHANGES_SHOWN = 10, 5
CHECKS_READ = 400
SPANS_SHOWN = 12
CHART_HEIGHT = 95
STATES = {Outcome.OK: "healthy", Outcome.REFUSED: "degraded", Outcome.FAILED: "failed"}


@dataclass(frozen=True)
class Found:
    """One provider with everything that is set and connected here."""

    entry: Entry
    rows: Sequence[Connection]
    standing: Standing

    @property
    def serving(self) -> Connection | None:
        return serving(self.rows) if self.rows else None


def find(request: ProjectRequest, provider: str) -> Found:
    """Raises Problem `unknown`."""
    entry = registry.entry(provider, request.project.pk)
    place = {"project_id": request.project.pk, "user_id": request.user.pk}
    rows = Connection.objects.reachable(**place).filter(provider=entry.slug)
    rows = rows.select_related("created_by", "current").in_order_of_resolution()
    return Found(entry, list(rows), policy.standing(entry, **place))


def card_of(request: ProjectRequest, found: Found) -> dict[str, Any]:
    """The provider's card alone, as a switch or a test answers with it."""
    assert found.serving is not None  # noqa: S101 - only asked for what is connected
    strip = strips([found.serving.pk], at=timezone.now())[found.serving.pk]
    return card(request, found.entry, found.rows, found.standing, strip)


def provider_page(request: ProjectRequest, found: Found, **more: Any) -> dict[str, Any]:
    """What provider.html takes."""
    entry, row = found.entry, found.serving
    actions = actions_of(request, entry, row, found.standing)
    context: dict[str, Any] = {
        "page_title": entry.name,
        "provider": {**head(request, found), **facts_about(request, found)},
        "actions": actions,
        "actions_note": actions_note(actions),
        "connections": [connection_told(request, found, one) for one in found.rows],
        "add_url": url_in(request, "connect", entry.slug),
        "snippets": snippets_of(entry),
        "back_url": url_in(request, "integrations"),
        "refresh_url": url_in(request, "provider", entry.slug),
    }
    context |= sign_in_context(request, entry, row)
    if row:
        context["sync"] = sync_panel.panel(request, entry)
        context |= {"history": history_of(row), "usage": usage_of(request, entry)}
        context |= calls_context(request, entry) | {"try": first_try_of(request, entry, row)}
    return {**context, **more}


def sign_in_context(request: ProjectRequest, entry: Entry, row: Connection | None) -> dict[str, Any]:
    """What an account has granted service by service, and through which app people sign in."""
    if oauth.way_of(entry) is None:
        return {}
    found: dict[str, Any] = {"oauth_app": oauth.app_told(request, entry)}
    if row and row.auth_kind == "oauth" and oauth.services(entry):
        may = may_reconnect(request, row)
        again = partial(url_in, request, "connect", entry.slug, reconnect=row.pk)
        found["grants"] = [
            {**one, "add_url": again(services=one["slug"]) if may else ""}
            for one in oauth.grants_told(entry, row)
        ]
    return found


def head(request: ProjectRequest, found: Found) -> dict[str, Any]:
    if found.rows:
        switches = plugin_toggles(request, found.entry, found.standing)
        return {**card_of(request, found), "connected": True, "plugin_toggles": switches}
    effective = found.standing.effective
    return {
        **tile(found.entry), **EMPTY_STRIP, "connected": False, "blocked": obstacle(found.entry, effective),
        **toggles(request, found.entry, [], found.standing),
    }  # fmt: skip


def facts_about(request: ProjectRequest, found: Found) -> dict[str, Any]:
    provider = found.entry.provider
    return {
        "description": provider.description,
        "kind": provider.auth[0].label,
        "may_connect": request.may("integrations.connect") and not found.standing.effective.is_blocked,
        "connect_url": url_in(request, "connect", provider.slug),
        "custom_url": custom_url(request, found.entry),
        "help_url": help_about(found.entry),
        "facts": list(facts_of(found)),
    }


def help_about(entry: Entry) -> str:
    if entry.provider.custom_id:
        return "/help/custom-providers"
    return "/help/oauth" if oauth.way_of(entry) else "/help/quickstart"


def custom_url(request: ProjectRequest, entry: Entry) -> str:
    if not entry.provider.custom_id or not request.may("integrations.manage"):
        return ""
    return url_in(request, "custom-edit", entry.slug)


def facts_of(found: Found) -> Any:
    provider, row = found.entry.provider, found.serving
    yield {"label": "Kind", "value": ", ".join(auth.label for auth in provider.auth)}
    yield {"label": "Speaks to", "value": urlsplit(provider.base_url).netloc or provider.base_url}
    if row:
        who = str(row.created_by) if row.created_by else "somebody who has left"
        yield {"label": "Connected by", "value": f"{who}, {row.created_at:%-d %b %Y}"}
    yield {
        "label": "Comes from",
        "value": "described in this project" if provider.custom_id else found.entry.source,
    }
    if not provider.custom_id:
        yield {"label": "Quality", "value": quality_of(found.entry)}


def quality_of(entry: Entry) -> str:
    """The computed tier; of a family each one's, where they differ."""
    tiers = {plugin.name: registry.tier(plugin.slug).capitalize() for plugin in entry.plugins}
    if len(set(tiers.values())) == 1:
        return next(iter(tiers.values()))
    return ", ".join(f"{name} {tier}" for name, tier in tiers.items())


# --- what agents can do


def actions_of(
    request: ProjectRequest, entry: Entry, row: Connection | None, standing: Standing | None = None
) -> list[dict[str, Any]]:
    """Every action with whether some agent of this project may run it, and why not."""
    held = scopes_held(request)
    lacking = asking.capabilities(entry, row)["missingScopes"] if row else {}
    return [
        action_told(action, entry, held, lacking.get(action.id, []), off=off)
        for plugin in entry.plugins
        for off in [standing.effective_of(plugin).off_name if standing else ""]
        for action in plugin.actions.values()
    ]


def action_told(
    action: Action, entry: Entry, held: Sequence[frozenset[str]], lacking: Sequence[str], *, off: str
) -> dict[str, Any]:
    why_not = ""
    # Before there is any token, what a usual one may.
    tokens = held or [frozenset(roles.DEFAULT_SCOPES)]
    if off:
        why_not = f"{off} is switched off."
    elif lacking:
        labels = oauth.labels_of(entry)
        why_not = f"The account has not granted: {', '.join(labels.get(scope, scope) for scope in lacking)}."
    elif not any(roles.allows(scopes, action.verb, entry.slug) for scopes in tokens):
        why_not = f"No token here has “{action.verb}”."
    kinds = {"run": "read", "write": "write", "destructive": "destroy"}
    return {
        "name": action.id, "title": action.title, "kind": kinds[action.verb], "allowed": not why_not,
        "why_not": why_not,
    }  # fmt: skip


def scopes_held(request: ProjectRequest) -> list[frozenset[str]]:
    """The scopes of every living token here, cut to what its owner's role holds: one query."""
    owners = Membership.objects.filter(project=request.project).values("user", "role")
    rows = AgentToken.objects.living(timezone.now()).filter(project=request.project, owner__is_active=True)
    role_of = {one["user"]: one["role"] for one in owners}
    return [roles.cut(role_of.get(owner), scopes) for owner, scopes in rows.values_list("owner_id", "scopes")]


def used_by(request: ProjectRequest, entry: Entry) -> str:
    """Which agents may use it from now on, in a sentence."""
    held = scopes_held(request)
    number = sum(1 for scopes in held if roles.allows(scopes, "run", entry.slug))
    if not held:
        return "No agent has a token yet; make one under Agents."
    if not number:
        return "No token of this project has “run” yet."
    return f"{number} agent{'s' if number > 1 else ''} can use it now."


def actions_note(actions: Sequence[Mapping[str, Any]]) -> str:
    if not actions:
        return ""
    allowed = sum(1 for one in actions if one["allowed"])
    total = f"{len(actions)} action{'s' if len(actions) > 1 else ''}"
    if allowed == len(actions):
        return f"{total}, all allowed with the tokens of this project."
    return f"{total}, {allowed} of them allowed with the tokens of this project."


def first_try_of(request: ProjectRequest, entry: Entry, row: Connection) -> dict[str, str] | None:
    action = first_try(entry, row)
    if action is None or not request.may("actions.try"):
        return None
    return {
        "label": action.title,
        "explain": "One call that only reads, with the real answer.",
        "url": url_in(request, "try", entry.slug, connection=row.pk),
    }


def first_try(entry: Entry, row: Connection | None = None) -> Action | None:
    """The reading action that a person tries first: one that the account has granted."""
    found = [plugin.first_try for plugin in entry.plugins if plugin.first_try]
    lacking = asking.capabilities(entry, row)["missingScopes"] if row else {}
    return next((action for action in found if action.id not in lacking), None)


# --- snippets: the token comes from the environment, none holds a key


def snippets_of(entry: Entry) -> list[dict[str, str]]:
    action = first_try(entry)
    if action is None:
        return [{"id": "curl", "label": "curl", "code": curl_proxy(entry)}]
    body = json.dumps(dict(action.try_with or {}))
    return [
        {"id": "curl", "label": "curl", "code": curl(action, body)},
        {"id": "cli", "label": "CLI", "code": f"navi-integrations call {action.plugin.slug} {action.name} -d '{body}'"},
        {"id": "python", "label": "Python", "code": python(action, body)},
        {"id": "proxy", "label": "Any request", "code": curl_proxy(entry)},
    ]  # fmt: skip


def curl(action: Action, body: str) -> str:
    return (
        f"curl {settings.BASE_URL}/api/actions/{action.id} \\\n"
        '  -H "Authorization: Bearer $NAVI_TOKEN" \\\n'
        f"  -H 'Content-Type: application/json' -d '{body}'"
    )


def curl_proxy(entry: Entry) -> str:
    path = (entry.provider.health_endpoint or "/").lstrip("/")
    plugin = entry.plugins[0].slug if entry.plugins else entry.slug
    return (
        f"curl {settings.BASE_URL}/api/proxy/{plugin}/{path} \\\n"
        '  -H "Authorization: Bearer $NAVI_TOKEN"'
    )  # fmt: skip


def python(action: Action, body: str) -> str:
    return f"""import json, os, urllib.request

request = urllib.request.Request(
    "{settings.BASE_URL}/api/actions/{action.id}",
    data=json.dumps({body}).encode(),
    headers={{
        "Authorization": f"Bearer {{os.environ['NAVI_TOKEN']}}",
        "Content-Type": "application/json",
    }},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["result"])"""


# --- connections


def connection_told(request: ProjectRequest, found: Found, row: Connection) -> dict[str, Any]:
    slug = found.entry.slug
    return {
        "id": str(row.pk),
        "account": row.label or found.entry.name,
        "scope": row.scope,
        "is_default": row.is_default,
        "is_serving": row == found.serving and len(found.rows) > 1,
        "health": connection_health(row, found.standing.effective),
        "key_hint": row.hint,
        "connected_by": str(row.created_by) if row.created_by else "somebody who has left",
        "connected_at": row.created_at,
        "last_used_at": row.last_used_at,
        "default_url": url_in(request, "connection-default", slug, row.pk),
        **deeds(request, found.entry, row),
    }


# --- health over time


def history_of(row: Connection) -> list[dict[str, Any]]:
    """The last checks as spans of equal health, newest first."""
    checks = HealthCheck.objects.filter(connection=row).values("at", "status", "reason")[:CHECKS_READ]
    return spans(list(checks), until=timezone.now())[:SPANS_SHOWN]


def spans(checks: Sequence[Mapping[str, Any]], *, until: datetime) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for check in checks:
        said = (check["status"], check["reason"])
        if found and (found[-1]["state"], found[-1]["said"]) == said:
            found[-1]["at"] = check["at"]
        else:
            end = found[-1]["at"] if found else until
            found.append({"state": said[0], "said": said[1], "at": check["at"], "end": end})
    return [
        {
            **one,
            "reason": one["said"] or REASONS.get(one["state"], ""),
            "duration": length(one["end"] - one["at"]),
        }
        for one in found
    ]


def length(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 60:
        return f"{max(minutes, 1)} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


# --- calls


def calls_context(request: ProjectRequest, entry: Entry) -> dict[str, Any]:
    """The last calls and changes, for those who may read the project's activity."""
    if not request.may("audit.view"):
        return {}
    activity = f"/p/{request.project.slug}/activity?{urlencode({'provider': entry.slug})}"
    events = AuditEvent.objects.in_project(request.project.pk).filter(provider=entry.slug, event__in=CALLS)
    calls = [call_told(event, activity) for event in events.newest_first()[:CALLS_SHOWN]]
    changes = AuditEvent.objects.in_project(request.project.pk).filter(provider=entry.slug)
    changes = changes.exclude(event__in=CALLS).newest_first()[:CHANGES_SHOWN]
    return {
        "calls": calls, "calls_url": activity, "may_see_calls": True,
        "audit": timeline.rows(changes, request.project), "audit_url": activity,
    }  # fmt: skip


def call_told(event: AuditEvent, url: str) -> dict[str, Any]:
    what = f"{event.plugin}.{event.action}" if event.action else WHAT.get(event.event, event.event)
    return {
        "at": event.at, "actor": event.actor_label, "what": what, "latency_ms": event.duration_ms, "url": url,
        "state": STATES[Outcome(event.outcome)], "outcome": Outcome(event.outcome).label,
    }  # fmt: skip


WHAT = {"proxy.called": "proxy", "secret.released": "key handed out", "discovery.run": "discovery"}


def usage_of(request: ProjectRequest, entry: Entry) -> dict[str, Any] | None:
    """Calls and failures per day as bars: one query."""
    days = last_days(timezone.now())
    events = AuditEvent.objects.in_project(request.project.pk).filter(
        provider=entry.slug, event__in=CALLS, at__gte=timezone.now() - timedelta(days=DAYS)
    )
    rows = events.order_by().annotate(day=Substr(Cast("at", CharField()), 1, 10)).values("day", "outcome")
    counts = {(row["day"], row["outcome"]): row["n"] for row in rows.annotate(n=Count("pk"))}
    if not counts:
        return None
    calls = [sum(counts.get((f"{day}", outcome), 0) for outcome in Outcome.values) for day in days]
    bad = [sum(counts.get((f"{day}", outcome), 0) for outcome in BAD) for day in days]
    most = max(calls)
    bars = [
        bar(number, day, all_of_it, wrong, most)
        for number, (day, all_of_it, wrong) in enumerate(zip(days, calls, bad, strict=True))
    ]
    return {
        "bars": bars,
        "summary": f"{counted(sum(calls), 'call')}, {counted(sum(bad), 'error')} in {DAYS} days",
    }


REASONS = {"healthy": "Answered", "unknown": "Not checked"}
BAD = (Outcome.FAILED.value, Outcome.REFUSED.value)


def bar(number: int, day: Any, calls: int, bad: int, most: int) -> dict[str, Any]:
    height = round(CHART_HEIGHT * calls / most) if calls else 0
    bad_height = max(2, round(height * bad / calls)) if bad else 0
    top = CHART_HEIGHT - height
    return {
        "x": number * 10 + 1.5, "y": top, "h": max(height - bad_height, 0), "bad_h": bad_height,
        "bad_y": CHART_HEIGHT - bad_height,
        "title": f"{day:%-d %b}: {counted(calls, 'call')}, {counted(bad, 'error')}",
    }  # fmt: skip


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- what a disconnect would break


def disconnect_told(request: ProjectRequest, entry: Entry, row: Connection) -> dict[str, Any]:
    """What _disconnect_dialog.html takes: who uses it, what stops, what takes over."""
    projects = projects_served(request, row)
    used = AuditEvent.objects.filter(
        project_id__in=[project.pk for project in projects], at__gte=timezone.now() - timedelta(days=DAYS),
        connection_id=row.pk, event__in=CALLS, actor_kind="agent",
    )  # fmt: skip
    agents = sorted(set(used.order_by().values_list("actor_label", flat=True)))
    return {
        "provider": tile(entry),
        "account": f"{row.label}, {'all my projects' if row.user_id else 'only this project'}",
        "action_url": url_in(request, "disconnect", entry.slug, row.pk),
        "cancel_url": url_in(request, "provider", entry.slug),
        "global": row.user_id is not None,
        "projects": [project.name for project in projects],
        "agents": agents,
        "last_used_at": row.last_used_at if agents else None,
        "revokes": revokes(entry, row),
        "is_oauth": row.auth_kind == "oauth",
        "falls_back_to": falls_back_to(request, row),
        "confirm_word": entry.slug if row.user_id else "",
        "error": None,
    }


def revokes(entry: Entry, row: Connection) -> bool:
    """Can the access be ended at the vendor from here?"""
    way = oauth.way_of(entry)
    return row.auth_kind == "oauth" and row.app_id is not None and way is not None and way.revoke is not None


def projects_served(request: ProjectRequest, row: Connection) -> list[Project]:
    """The project it belongs to; or the person's projects that have no account of their own there."""
    if row.project_id:
        return [request.project]
    mine = Project.objects.filter(memberships__user=request.user, archived_at=None)
    shadowed = Connection.objects.standing().filter(provider=row.provider, is_default=True).values("project")
    return list(mine.exclude(pk__in=shadowed.filter(project__isnull=False)).order_by("name"))


def falls_back_to(request: ProjectRequest, row: Connection) -> str:
    """What agents of this project would use afterwards."""
    place = {"project_id": request.project.pk, "user_id": request.user.pk}
    rows = Connection.objects.reachable(**place).filter(provider=row.provider).exclude(pk=row.pk)
    left = list(rows.in_order_of_resolution())
    heir = choose(left).connection
    if row.is_default:
        # The oldest that is left in the same place becomes the default.
        siblings = [one for one in left if one.project_id == row.project_id and one.user_id == row.user_id]
        heir = (
            min(siblings, key=lambda one: one.created_at)
            if siblings and row.project_id
            else heir or next(iter(siblings), None)
        )
    if heir is None:
        return ""
    return f"{heir.label or 'another account'} ({'your key for all projects' if heir.user_id else 'of this project'})"
