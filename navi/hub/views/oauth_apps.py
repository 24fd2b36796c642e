"""The OAuth app of a project: the client that its people sign in through at a vendor."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters

from integrations import registry
from integrations.registry import Entry
from integrations.runtime import consent, oauth_apps
from navi.audit.problems import Problem
from navi.hub import fields, replies
from navi.hub.answers import changed, done, explained, toast
from navi.hub.cards import url_in
from navi.hub.dialogs import Setup, dialog_context
from navi.hub.doors import ProjectRequest, in_project
from navi.hub.fields import Form
from navi.hub.tiles import tile
from navi.hub.views.provider import dialog

IS_PUBLIC = "is_public"


@sensitive_post_parameters()
@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def app(request: ProjectRequest, provider: str) -> HttpResponse:
    """Add the project's own app, or change it; its secret is never shown."""
    entry = registry.entry(provider, request.project.pk)
    consent.oauth_of(entry)
    form = app_form(request, entry)
    if request.method == "GET":
        return app_dialog(request, entry, form)
    form = form.filled(request.POST)
    try:
        oauth_apps.save(
            entry, request.project, client_id=form.values["client_id"], client_secret=secret_in(form),
            actor=request.actor,
        )  # fmt: skip
    except Problem as problem:
        return app_dialog(request, entry, form.refused(problem), status=422)
    return saved(request, entry)


def secret_in(form: Form) -> str | None:
    """None keeps what is stored; nothing at all is right for a public client."""
    typed = str(form.values["client_secret"])
    return typed or ("" if form.values[IS_PUBLIC] else None)


def saved(request: ProjectRequest, entry: Entry) -> HttpResponse:
    """Straight on to what one came for: connecting."""
    words = f"The OAuth app of {entry.name} is saved."
    connect = url_in(request, "connect", entry.slug, kind="oauth")
    if not replies.wants_fragment(request):
        return replies.go(request, words, to=connect)
    made = Setup(request, entry, consent.oauth_of(entry), [])
    context = dialog_context(made, made.form())
    back = url_in(request, "provider", entry.slug)
    return changed(toast(dialog(request, "hub/_connect_dialog.html", context, back=back), words))


def app_form(request: ProjectRequest, entry: Entry) -> Form:
    row = oauth_apps.own(entry, request.project)
    hint = "Empty keeps the saved one." if row else "Navi seals it, and never shows it again."
    about_public = "For a public client. Navi proves itself by PKCE alone."
    return Form(
        fields.text("client_id", "Client ID", value=row.client_id if row else "", mono=True, autofocus=True),
        fields.secret("client_secret", "Client secret", required=False, hint=hint),
        fields.checkbox(IS_PUBLIC, f"{entry.name} gave no secret", hint=about_public),
    )


def app_dialog(request: ProjectRequest, entry: Entry, form: Form, *, status: int = 200) -> HttpResponse:
    context = {
        "page_title": f"OAuth app for {entry.name}",
        "app": app_told(request, entry, form),
        "form": form,
    }
    back = url_in(request, "provider", entry.slug)
    return dialog(request, "hub/_oauth_app_dialog.html", context, back=back, status=status)


def app_told(request: ProjectRequest, entry: Entry, form: Form) -> dict[str, Any]:
    row = oauth_apps.own(entry, request.project)
    return {
        "provider": tile(entry),
        "action_url": url_in(request, "oauth-app", entry.slug),
        "cancel_url": url_in(request, "provider", entry.slug),
        "remove_url": url_in(request, "oauth-app-remove", entry.slug) if row else "",
        "redirect_uri": consent.redirect_uri(entry),
        "uses_instances": row is None and oauth_apps.own(entry, None) is not None,
        "guide": guide(entry, is_open=row is None),
        "error": form.error,
    }


def guide(entry: Entry, *, is_open: bool) -> dict[str, Any] | None:
    """The vendor's steps, with the page where they begin."""
    facts = consent.oauth_of(entry)
    host = urlsplit(facts.app_url).hostname or ""
    steps: list[dict[str, str]] = [{"text": text} for text in facts.app_steps]
    if steps and host:
        steps[0] |= {"url": facts.app_url, "url_label": host}
    if not steps:
        return None
    return {
        "title": f"How to make one at {entry.name}",
        "steps": steps,
        "trouble": [],
        "minutes": max(len(steps), 2),
        "open": is_open,
    }


# --- taking it away


@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def remove(request: ProjectRequest, provider: str) -> HttpResponse:
    entry = registry.entry(provider, request.project.pk)
    row = oauth_apps.own(entry, request.project)
    if row is None:
        raise Http404("This project has no OAuth app of its own here.")
    if request.method == "GET":
        return confirm(request, entry, row.connections.count())
    oauth_apps.remove(row, request.actor, project=request.project)
    words = f"The OAuth app of {entry.name} is removed."
    return done(request, words, to=url_in(request, "provider", entry.slug))


def confirm(request: ProjectRequest, entry: Entry, connections: int) -> HttpResponse:
    points = ["At the vendor the app stays; delete it there if nobody needs it."]
    if connections:
        number = "One connection" if connections == 1 else f"{connections} connections"
        points.insert(0, f"{number} made through it cannot be renewed any more, and will need a reconnect.")
    told = {
        "title": f"Remove the OAuth app of {entry.name}",
        "lead": request.project.name,
        "message": "Nobody of this project can connect through it from then on.",
        "points": points,
        "action_url": url_in(request, "oauth-app-remove", entry.slug),
        "cancel_url": url_in(request, "provider", entry.slug),
        "button": "Remove app",
        "error": None,
    }
    context = {"page_title": told["title"], "confirm": told}
    return dialog(request, "hub/_confirm_dialog.html", context, back=url_in(request, "provider", entry.slug))
