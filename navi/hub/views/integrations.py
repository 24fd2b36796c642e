"""The integrations page, its switches, and pictures of providers."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import condition

from integrations import registry
from integrations.policy import NAMES
from integrations.runtime import toggles
from navi.audit.problems import Problem
from navi.hub import details, replies
from navi.hub.answers import changed, done, explained
from navi.hub.cards import attention_context, integrations_page, overview, url_in
from navi.hub.doors import PersonRequest, ProjectRequest, in_project, signed_in, who_may
from navi.hub.navigation import LAST_PROJECT
from navi.hub.tiles import drawing
from navi.projects.models import Membership

VALUES = {"inherit": None, "on": True, "off": False}
PICTURES_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@in_project(GET="integrations.view")
def integrations(request: ProjectRequest) -> HttpResponse:
    is_part = replies.wants_fragment(request) and request.htmx.target == "integrations"
    context = integrations_page(request)
    if is_part:
        return render(request, "hub/_integrations_refreshed.html", context)
    return render(request, "hub/integrations.html", context)


@in_project(POST="integrations.connect")
@explained
def switch(request: ProjectRequest, provider: str) -> HttpResponse:
    """One switch, of a provider or of a plugin in it: of the project for those who manage it, of all their
    projects for anybody."""
    entry = registry.entry(provider, request.project.pk)
    scope = request.GET.get("scope") or request.POST.get("scope", "")
    if scope not in {"project", "global"}:
        raise Problem(
            "invalid_input", "Say whether it is for the project or for all your projects.", field="scope"
        )
    if scope == "project" and not request.may("integrations.manage"):
        raise PermissionDenied(who_may("integrations.manage"))
    owner = request.user.pk if scope == "global" else None
    plugin = request.GET.get("plugin") or request.POST.get("plugin", "")
    toggles.switch(
        entry, actor=request.actor, project=request.project, for_user=owner, plugin=plugin, **asked(request)
    )
    return switched(request, provider)


def asked(request: ProjectRequest) -> dict[str, bool | None]:
    """The switches that were sent, by name. Raises Problem."""
    found = {name: request.POST[name] for name in NAMES if name in request.POST}
    if not found or any(value not in VALUES for value in found.values()):
        raise Problem("invalid_input", "A switch is set to inherit, on or off.")
    return {name: VALUES[value] for name, value in found.items()}


def switched(request: ProjectRequest, provider: str) -> HttpResponse:
    """The card, or the provider page's switches, as they are now."""
    if request.htmx.target == "provider-toggles":
        found = details.find(request, provider)
        told = details.head(request, found)
        return changed(render(request, "hub/_provider_toggles.html", {"provider": told}))
    if replies.wants_fragment(request):
        return card_answer(request, provider)
    return done(request, "Saved.", to=url_in(request, "provider", provider))


def card_answer(request: ProjectRequest, provider: str, **more: Any) -> HttpResponse:
    """The card as it is now, and the strip of what needs attention beside it."""
    found = overview(request)
    card = {**found.card(provider), **more}
    return render(request, "hub/_card_answer.html", {"card": card, **attention_context(found)})


# --- sections whose contents come with later versions


@in_project(GET="integrations.view")
def mcp(request: ProjectRequest) -> HttpResponse:
    return render(request, "hub/mcp.html", {"page_title": "MCP"})


# --- the seeds' link


@signed_in("GET")
def settings_integrations(request: PersonRequest) -> HttpResponse:
    """`/settings/integrations?provider=linear`: the same in the project at hand."""
    project = current_project(request)
    if project is None:
        return redirect("/")
    provider = request.GET.get("provider", "")
    try:
        registry.entry(provider, project.pk)
    except Problem:
        return redirect("hub:integrations", project.slug)
    return redirect("hub:provider", project.slug, provider)


def current_project(request: PersonRequest) -> Any:
    """The one this person looked at last, else the first by name."""
    memberships = Membership.objects.filter(user=request.user, project__archived_at=None)
    projects = [row.project for row in memberships.select_related("project").order_by("project__name")]
    last = request.session.get(LAST_PROJECT)
    return next((project for project in projects if project.slug == last), projects[0] if projects else None)


# --- pictures


def picture_of(slug: str) -> str:
    return drawing(registry.installed().entries.get(slug), slug)


def etag(request: HttpRequest, slug: str) -> str:
    return f'"{hashlib.sha256(picture_of(slug).encode()).hexdigest()[:20]}"'


@signed_in("GET")
@condition(etag_func=etag)
def icon(request: PersonRequest, slug: str) -> HttpResponse:
    """A plugin's drawing, or a letter; as a picture only, whatever is written in it."""
    response = HttpResponse(picture_of(slug), content_type="image/svg+xml")
    response["Cache-Control"] = "private, max-age=86400"
    response["Content-Security-Policy"] = PICTURES_POLICY
    return response
