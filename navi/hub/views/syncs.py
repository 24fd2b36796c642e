"""The sync panel of a provider's page, and the records that syncs and webhooks brought."""

from __future__ import annotations

import uuid

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render

from integrations import registry
from integrations.models import SyncState
from integrations.registry import Entry
from integrations.runtime import sync_asking
from integrations.runtime.sync_asking import Wanted
from integrations.sdk import Plugin
from navi.audit.problems import Problem
from navi.hub import replies, sync_panel
from navi.hub.answers import done, explained, toast
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest, in_project, own, who_may


@in_project(GET="integrations.view", POST="integrations.check")
@explained
def sync(request: ProjectRequest, provider: str) -> HttpResponse:
    """The panel; and what a person does in it: `do` is run, pause or resume, `sync` one row or all."""
    entry = registry.entry(provider, request.project.pk)
    words = did(request, entry) if request.method == "POST" else ""
    if not replies.wants_fragment(request):
        to = f"{url_in(request, 'provider', entry.slug)}#sync"
        return replies.go(request, words, to=to) if words else replies.see_other(to)
    response = render(request, "hub/_sync.html", {"sync": sync_panel.panel(request, entry)})
    return toast(response, words) if words else response


def did(request: ProjectRequest, entry: Entry) -> str:
    """What was done, in words. Raises Problem, PermissionDenied."""
    deed = request.POST.get("do") or "run"
    if deed not in {"run", "pause", "resume"}:
        raise Problem("invalid_input", "One can run, pause and resume a sync.")
    if deed != "run" and not request.may("integrations.manage"):
        raise PermissionDenied(who_may("integrations.manage"))
    for plugin, wanted in meant(request, entry):
        if deed == "run":
            sync_asking.request(request.project, plugin, wanted, actor=request.actor)
        else:
            held = sync_asking.pause if deed == "pause" else sync_asking.resume
            held(request.project, plugin, wanted, actor=request.actor)
    return {"run": "Asked for.", "pause": "Paused.", "resume": "It goes on."}[deed]


def meant(request: ProjectRequest, entry: Entry) -> list[tuple[Plugin, Wanted]]:
    """The row that was named, or all of the provider's plugins that have any."""
    if named := request.POST.get("sync", ""):
        try:
            return [one_of(request, entry, uuid.UUID(named))]
        except ValueError:
            raise Problem("invalid_input", "There is no such sync.", field="sync") from None
    plugins = [plugin for plugin in entry.plugins if sync_asking.states(request.project, plugin.slug)]
    if not plugins:
        raise Problem("not_connected", f"No account of this project syncs with {entry.name}.")
    return [(plugin, Wanted()) for plugin in plugins]


def one_of(request: ProjectRequest, entry: Entry, pk: uuid.UUID) -> tuple[Plugin, Wanted]:
    """Raises Http404."""
    slugs = [plugin.slug for plugin in entry.plugins]
    row: SyncState = own(sync_asking.standing(request.project.pk).filter(plugin__in=slugs), pk)
    plugin = next(plugin for plugin in entry.plugins if plugin.slug == row.plugin)
    return plugin, Wanted([row.kind] if row.kind in plugin.syncs else [], row.part, str(row.connection_id))


@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def again(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    """Read everything again, after a question."""
    entry = registry.entry(provider, request.project.pk)
    plugin, wanted = one_of(request, entry, pk)
    page = url_in(request, "provider", entry.slug)
    if request.method == "POST":
        sync_asking.request(request.project, plugin, wanted, actor=request.actor, full=True)
        return done(request, "Everything is read again.", to=f"{page}#sync")
    confirm = {
        "title": "Read everything again?",
        "lead": f"{plugin.name}, {plugin.syncs[wanted.kinds[0]].title.lower()}"
        if wanted.kinds
        else plugin.name,
        "message": "Navi forgets where it stopped and reads from the beginning. Nothing is lost meanwhile.",
        "points": [
            "It takes as long as the first time, and as many calls of the vendor's limit.",
            "Records that are no longer there are marked as deleted.",
        ],
        "action_url": url_in(request, "sync-again", entry.slug, pk),
        "cancel_url": page,
        "button": "Read everything",
        "keep": "Leave it",
    }
    back = {"url": page, "label": entry.name}
    return replies.dialog(request, "hub/_confirm_dialog.html", {"confirm": confirm}, back=back)


@in_project(GET="actions.try")
@explained
def records(request: ProjectRequest, provider: str) -> HttpResponse:
    entry = registry.entry(provider, request.project.pk)
    return render(request, "hub/records.html", sync_panel.records_page(request, entry))
