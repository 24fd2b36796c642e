"""One provider: its page, its connections, trying it, its settings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render

from credentials.models import Connection
from integrations import registry
from integrations.registry import Entry
from integrations.runtime import connect, discover, execute, health, toggles
from integrations.sdk import Action, Call, InvalidArguments, Plugin
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.hub import details, discovered, endpoints, plugin_settings, replies, steps
from navi.hub.answers import REFUSALS, done, explained, said, warned
from navi.hub.cards import account_of, may_change, url_in
from navi.hub.doors import ProjectRequest, in_project, own, who_may
from navi.hub.fields import Form
from navi.hub.views.integrations import card_answer

ROWS_SHOWN = 5
TEXT_SHOWN = 4000


def connection_in(request: ProjectRequest, provider: str, pk: uuid.UUID) -> tuple[Entry, Connection]:
    """A connection in this person's reach; anything else is 404. Raises Problem, Http404."""
    entry = registry.entry(provider, request.project.pk)
    rows = Connection.objects.reachable(project_id=request.project.pk, user_id=request.user.pk)
    return entry, own(rows.filter(provider=entry.slug).select_related("current", "project"), pk)


def require_change(request: ProjectRequest, row: Connection) -> None:
    if not may_change(request, row):
        raise PermissionDenied(who_may("integrations.manage"))


# --- the page


@in_project(GET="integrations.view")
@explained
def provider(request: ProjectRequest, provider: str) -> HttpResponse:
    return page(request, provider, open_dialog=dialog_asked_for(request, provider))


def page(
    request: ProjectRequest,
    slug: str,
    *,
    status: int = 200,
    forms: Mapping[str, Form] | None = None,
    **more: Any,
) -> HttpResponse:
    found = details.find(request, slug)
    more |= {
        "settings": plugin_settings.sections(request, found, forms or {}),
        "steps": steps.rows(request, found),
        "endpoints": endpoints.section(request, entry=found.entry),
    }
    return render(request, "hub/provider.html", details.provider_page(request, found, **more), status=status)


def dialog_asked_for(request: ProjectRequest, provider: str) -> str:
    """`?connect=1`, `?reconnect=<id>` and `?oauth_app=1`: links in errors lead here and open the dialog."""
    if request.GET.get("oauth_app") and request.may("integrations.manage"):
        return url_in(request, "oauth-app", provider)
    if not request.may("integrations.connect"):
        return ""
    if wanted := request.GET.get("reconnect"):
        return url_in(request, "connect", provider, reconnect=wanted)
    if request.GET.get("oauth_app"):
        return url_in(request, "connect", provider, kind="oauth")
    return url_in(request, "connect", provider) if request.GET.get("connect") else ""


# --- one connection


@in_project(POST="integrations.check")
@explained
def test_connection(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    entry, row = connection_in(request, provider, pk)
    finding = health.check(row, entry, actor=request.actor, asked_by="person")
    record("connection.tested", actor=request.actor, project=request.project, provider=entry.slug, connection=row,
           outcome="ok" if finding.ok else "failed", duration_ms=finding.latency_ms)  # fmt: skip
    result = told_of_test(entry, row, finding)
    if replies.wants_fragment(request):
        return card_answer(request, entry.slug, test_result=result)
    (messages.success if finding.ok else messages.error)(request, result["message"])
    return replies.see_other(url_in(request, "provider", entry.slug))


def told_of_test(entry: Entry, row: Connection, finding: health.Finding) -> dict[str, Any]:
    """What a test of a stored connection found, as a sentence."""
    if not finding.ok:
        return {"ok": False, "message": finding.reason}
    return {"ok": True, "message": f"{entry.name} answered in {finding.latency_ms} ms. {row.label} works."}


@in_project(POST="integrations.connect")
@explained
def make_default(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    entry, row = connection_in(request, provider, pk)
    require_change(request, row)
    connect.edit(
        row, request.actor, project=request.project, label=row.label or entry.name, enabled=row.enabled,
        make_default=True,
    )  # fmt: skip
    return done(request, f"{row.label} is the default now.", to=url_in(request, "provider", entry.slug))


@in_project(GET="integrations.connect", POST="integrations.connect")
@explained
def disconnect(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    entry, row = connection_in(request, provider, pk)
    require_change(request, row)
    told = details.disconnect_told(request, entry, row)
    if request.method == "GET":
        return disconnect_dialog(request, told)
    if told["confirm_word"] and request.POST.get("confirm", "").strip() != told["confirm_word"]:
        wrong = {"message": f"Type {told['confirm_word']} to confirm.", "fix": "Nothing was disconnected."}
        return disconnect_dialog(request, {**told, "error": wrong}, status=422)
    left_to_do = connect.disconnect(row, request.actor, project=request.project)
    account = account_of(entry, row)
    message = f"{entry.name} is disconnected{f': {account}' if account else ''}."
    to = url_in(request, "integrations")
    return warned(request, f"{message} {left_to_do}", to=to) if left_to_do else done(request, message, to=to)


def disconnect_dialog(request: ProjectRequest, told: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context = {"page_title": "Disconnect", "disconnect": told}
    return dialog(request, "hub/_disconnect_dialog.html", context, back=told["cancel_url"], status=status)


def dialog(
    request: ProjectRequest, template: str, context: dict[str, Any], *, back: str, status: int = 200
) -> HttpResponse:
    """A dialog for htmx; a page of its own for a browser without script."""
    is_sheet = request.htmx.target == "sheet" or not replies.wants_fragment(request)
    around = {**context, "target": "#sheet" if is_sheet else "#modal"}
    return replies.dialog(request, template, around, back={"url": back, "label": "Back"}, status=status)


# --- try it


@in_project(POST="actions.try")
@explained
def try_it(request: ProjectRequest, provider: str) -> HttpResponse:
    """The provider's first reading action, really run, as this person."""
    entry = registry.entry(provider, request.project.pk)
    action = details.first_try(entry, tried_with(request, provider))
    if action is None:
        raise Problem("invalid_input", f"{entry.name} has no action to try.")
    result = tried(request, action)
    if replies.wants_fragment(request):
        return render(request, "hub/_try_result.html", {"result": result})
    context = {"page_title": f"Try {entry.name}", "result": result}
    return dialog(request, "hub/_try_page.html", context, back=url_in(request, "provider", entry.slug))


def tried_with(request: ProjectRequest, provider: str) -> Connection | None:
    """The connection that the page named, if it is in reach; the call itself says where it is not."""
    wanted = request.GET.get("connection", "")
    rows = Connection.objects.reachable(project_id=request.project.pk, user_id=request.user.pk)
    return next((row for row in rows.filter(provider=provider) if str(row.pk) == wanted), None)


def tried(request: ProjectRequest, action: Action) -> dict[str, Any]:
    call = Call(
        request.actor, request.project, action.plugin.slug, action.name, dict(action.try_with or {}),
        connection=request.GET.get("connection") or None,
    )  # fmt: skip
    try:
        value = execute.run(call).value
    except REFUSALS as error:
        words = said(error, project_slug=request.project.slug)
        return {"ok": False, "message": words["message"], "fix": words["fix"]}
    text, more = shortened(value)
    return {"ok": True, "call": action.id, "text": text, "more": more}


def shortened(value: Any) -> tuple[str, int]:
    """The answer as a person can read it: the first few rows, and how many more there are."""
    more = 0
    if isinstance(value, list):
        value, more = value[:ROWS_SHOWN], max(0, len(value) - ROWS_SHOWN)
    elif isinstance(value, dict):
        more = sum(max(0, len(part) - ROWS_SHOWN) for part in value.values() if isinstance(part, list))
        value = {key: part[:ROWS_SHOWN] if isinstance(part, list) else part for key, part in value.items()}
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return (text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}\n…"), more


@in_project(POST="integrations.connect")
@explained
def rate(request: ProjectRequest, provider: str) -> HttpResponse:
    """The one optional question after a set-up."""
    entry = registry.entry(provider, request.project.pk)
    connect.rate(entry, request.project, request.POST.get("rating", ""))
    if replies.wants_fragment(request):
        return render(request, "hub/_rated.html")
    return done(request, "Thank you.", to=url_in(request, "provider", entry.slug))


# --- the plugins' own settings


def plugin_with_settings(entry: Entry, slug: str) -> Plugin:
    """The plugin of this slug, or the only one; it has settings. Raises Problem."""
    found = [plugin for plugin in entry.plugins if plugin.settings and slug in {"", plugin.slug}]
    if not found:
        raise Problem("invalid_input", f"{entry.name} has no settings.")
    return found[0]


@in_project(POST="integrations.manage")
@explained
def settings(request: ProjectRequest, provider: str) -> HttpResponse:
    entry = registry.entry(provider, request.project.pk)
    plugin = plugin_with_settings(entry, request.GET.get("plugin", ""))
    form = plugin_settings.settings_form(plugin, {}).filled(request.POST)
    try:
        toggles.save_settings(plugin, request.project, plugin_settings.read(plugin, form), request.actor)
    except InvalidArguments as problem:
        forms = {plugin.slug: plugin_settings.refused(form, problem)}
        return page(request, entry.slug, status=422, forms=forms)
    to = f"{url_in(request, 'provider', entry.slug)}#settings-{plugin.slug}"
    return done(request, f"Settings of {plugin.name} saved.", to=to)


@in_project(POST="integrations.manage")
@explained
def choices(request: ProjectRequest, provider: str, plugin: str, field: str) -> HttpResponse:
    """The choices of one setting, asked of the vendor; what was ticked meanwhile stays ticked."""
    found = details.find(request, provider)
    its_plugin = plugin_with_settings(found.entry, plugin)
    resource = plugin_settings.discoveries_of(its_plugin).get(field)
    if resource is None:
        raise Problem("unknown", f"{its_plugin.name} has no such setting.")
    known = asked_now(request, found, its_plugin, resource)
    if not replies.wants_fragment(request):
        to = f"{url_in(request, 'provider', provider)}#settings-{its_plugin.slug}"
        words, is_wrong = told_of_choices(known, resource)
        return replies.again(request, words, to=to, is_wrong=is_wrong)
    drawn = plugin_settings.settings_form(its_plugin, {}).filled(request.POST)[field]
    told = discovered.told(request, found.entry, its_plugin, drawn, resource, known)
    return render(request, "hub/_choices.html", {"choices": told})


def asked_now(
    request: ProjectRequest, found: details.Found, plugin: Plugin, resource: str
) -> discovered.Known:
    """The vendor's list, or why there is none and the one of before."""
    is_refresh = bool(request.GET.get("refresh"))
    try:
        call = Call(request.actor, request.project, plugin.slug)
        return discovered.Known(discover.discover(call, resource, refresh=is_refresh))
    except REFUSALS as error:
        kept = discover.kept(found.serving) if found.serving else {}
        words = said(error, project_slug=request.project.slug)
        return discovered.Known(
            kept.get((plugin.slug, resource)), words, is_connected=found.serving is not None
        )


def told_of_choices(known: discovered.Known, resource: str) -> tuple[str, bool]:
    """A sentence for a browser without script, and whether it is bad news."""
    words = known.error["message"] if known.error else known.found.error if known.found else ""
    return (words, True) if words else (f"The list of {resource} is fresh.", False)
