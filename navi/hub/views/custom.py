"""Providers that people describe: the form, a test, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters

from credentials.models import Connection
from integrations import registry
from integrations.models import CustomProvider
from integrations.registry import Entry
from integrations.runtime import connect, custom
from navi.hub import custom_form, replies
from navi.hub.answers import REFUSALS, Refusal, changed, done, explained, said
from navi.hub.cards import url_in
from navi.hub.dialogs import connected_context
from navi.hub.doors import ProjectRequest, in_project
from navi.hub.fields import Form
from navi.hub.views.provider import dialog


def row_in(request: ProjectRequest, slug: str) -> CustomProvider:
    found = CustomProvider.objects.filter(project=request.project, slug=slug).first()
    if found is None:
        raise Http404("There is no such custom provider here.")
    return found


# --- a new one


@sensitive_post_parameters()
@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def add(request: ProjectRequest) -> HttpResponse:
    """Describe it and, where a key is typed, test and connect it at once. What fails leaves nothing behind."""
    form = custom_form.new()
    if request.method == "GET":
        return form_page(request, form)
    form = form.filled(request.POST)
    try:
        row, entry = made(request, form)
    except REFUSALS as error:
        return form_page(request, form, error=error, status=422)
    if entry is None:
        return described(request, row)
    return connect_it(request, row, entry, form)


def made(request: ProjectRequest, form: Form) -> tuple[CustomProvider, Entry | None]:
    """The stored provider, and what to connect now. Raises Problem, VendorError; then nothing is stored."""
    values = custom_form.values_of(form)
    draft = registry.custom_entry(custom.draft(request.project, values))
    is_ready = bool(custom_form.credentials_of(form)) and not draft.provider.awaits_approval
    if is_ready:
        connect.try_out(offer(request, draft, form), request.actor)
    row = custom.create(request.project, values, request.actor)
    return row, registry.custom_entry(row) if is_ready else None


def offer(request: ProjectRequest, entry: Entry, form: Form) -> connect.Offer:
    return connect.Offer(entry=entry, project=request.project, fields=custom_form.credentials_of(form))


def described(request: ProjectRequest, row: CustomProvider) -> HttpResponse:
    waits = row.is_inside and not row.is_approved
    words = f"{row.name} is described. " + (
        "It lies inside the network, so an operator has to approve it."
        if waits
        else "Connect it with its key."
    )
    return done(request, words, to=url_in(request, "provider", row.slug))


def connect_it(request: ProjectRequest, row: CustomProvider, entry: Entry, form: Form) -> HttpResponse:
    try:
        connected = connect.connect(offer(request, entry, form), request.actor)
    except REFUSALS as error:
        # It worked a moment ago in the test: the description stays, the key has to be given again.
        return done(
            request,
            f"{row.name} is described. {said(error)['message']}",
            to=url_in(request, "provider", row.slug),
        )
    if not replies.wants_fragment(request):
        return replies.see_other(url_in(request, "connected", row.slug, connected.connection.pk))
    context = connected_context(request, entry, connected.connection, latency_ms=connected.latency_ms)
    return changed(render(request, "hub/_connected.html", context))


# --- "Test connection"


@sensitive_post_parameters()
@in_project(POST="integrations.manage")
@explained
def test(request: ProjectRequest) -> HttpResponse:
    form = custom_form.new().filled(request.POST)
    result = tested(request, form)
    if replies.wants_fragment(request):
        return render(request, "hub/_test_result.html", {"result": result})
    return form_page(request, form, test_result=result, status=200 if result["ok"] else 422)


def tested(request: ProjectRequest, form: Form) -> dict[str, Any]:
    try:
        entry = registry.custom_entry(custom.draft(request.project, custom_form.values_of(form)))
        found = connect.try_out(offer(request, entry, form), request.actor)
    except REFUSALS as error:
        words = said(error)
        return {"ok": False, "message": words["message"], "fix": f"Nothing was saved. {words['fix']}".strip()}
    return {
        "ok": True,
        "message": f"It answered in {found.latency_ms} ms as expected.",
        "fix": "Nothing is saved yet.",
    }


# --- one that is there


@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def edit(request: ProjectRequest, slug: str) -> HttpResponse:
    row = row_in(request, slug)
    form = custom_form.of(row)
    if request.method == "GET":
        return form_page(request, form, row=row)
    form = form.filled(request.POST)
    before = custom.origins(row)
    try:
        custom.change(row, custom_form.values_of(form), request.actor)
    except REFUSALS as error:
        return form_page(request, form, row=row, error=error, status=422)
    moved = before != custom.origins(row)
    words = " Its address is another now, so its accounts have to be reconnected." if moved else ""
    return done(request, f"{row.name} is changed.{words}", to=url_in(request, "provider", row.slug))


@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def delete(request: ProjectRequest, slug: str) -> HttpResponse:
    row = row_in(request, slug)
    if request.method == "POST":
        custom.remove(row, request.actor)
        return replies.go(request, f"{row.name} is deleted.", to=url_in(request, "integrations"))
    accounts = Connection.objects.standing().of_project(request.project.pk).filter(provider=row.slug).count()
    confirm = {
        "title": f"Delete {row.name}",
        "message": "Agents can no longer reach it through Navi.",
        "points": [
            f"{accounts} connected account{'s' if accounts != 1 else ''} with the stored keys go too."
        ],
        "action_url": url_in(request, "custom-delete", row.slug),
        "cancel_url": url_in(request, "custom-edit", row.slug),
        "button": "Delete",
    }
    context = {"page_title": f"Delete {row.name}", "confirm": confirm}
    back = url_in(request, "custom-edit", row.slug)
    return dialog(request, "hub/_confirm_dialog.html", context, back=back)


# --- the form


def form_page(
    request: ProjectRequest,
    form: Form,
    *,
    row: CustomProvider | None = None,
    error: Refusal | None = None,
    test_result: Mapping[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """In the dialog for htmx, else on a page of its own."""
    form = custom_form.refused(form, error) if error else form
    custom = {**head(request, row), "error": form.error, "test_result": test_result}
    back = {"url": custom["cancel_url"], "label": row.name if row else "Integrations"}
    context = {"page_title": custom["title"], "custom": custom, "form": form, "back": back}
    is_dialog = replies.wants_fragment(request) and request.htmx.target == "modal"
    template = "hub/_custom_provider_dialog.html" if is_dialog else "hub/custom_provider.html"
    return render(request, template, context, status=status)


def head(request: ProjectRequest, row: CustomProvider | None) -> dict[str, Any]:
    if row is None:
        return {
            "title": "Add a custom API",
            "lead": "Any service with an address and a key. It belongs to this project.",
            "action_url": url_in(request, "custom-new"),
            "test_url": url_in(request, "custom-test"),
            "cancel_url": url_in(request, "integrations"),
            "button": "Save and test",
        }
    return {
        "title": f"Edit {row.name}",
        "lead": "Another address needs a reconnect; everything else holds at once.",
        "action_url": url_in(request, "custom-edit", row.slug),
        "test_url": None,
        "cancel_url": url_in(request, "provider", row.slug),
        "delete_url": url_in(request, "custom-delete", row.slug),
        "button": "Save",
    }
