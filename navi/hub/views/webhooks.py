"""Webhooks in dialogs: a new one, its address and secret, rotation, pause, removal."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django_htmx.http import trigger_client_event

from credentials.models import Connection
from integrations import registry
from integrations.models import WebhookEndpoint
from integrations.registry import Entry
from integrations.runtime import discover, endpoints
from integrations.runtime.endpoints import Made
from integrations.sdk import Call, Plugin
from integrations.sdk.schemes import SCHEMES
from navi.audit.problems import Problem
from navi.hub import discovered, fields, replies
from navi.hub import endpoints as told
from navi.hub.answers import REFUSALS, Refusal, explained, said, warned
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest, in_project, own
from navi.hub.fields import Field, Form
from navi.hub.tiles import tile
from navi.hub.views.provider import dialog

EVENT = "webhooks-changed"
OVERLAPS = (
    ("24", "24 more hours"),
    ("1", "1 more hour"),
    ("0", "No longer, at once"),
    ("168", "7 more days"),
)


def page_of(request: ProjectRequest) -> str:
    return url_in(request, "webhooks")


def shown(
    request: ProjectRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    around = {"page_title": "Webhooks", **context}
    return dialog(request, template, around, back=page_of(request), status=status)


def happened(response: HttpResponse) -> HttpResponse:
    """Tell the pages behind the dialog to look again."""
    for event in (EVENT, "connections-changed"):
        trigger_client_event(response, event, {})
    return response


def done(request: ProjectRequest, words: str) -> HttpResponse:
    return replies.done(request, words, to=page_of(request), events=(EVENT, "connections-changed"))


# --- a new one


@sensitive_post_parameters()
@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def new(request: ProjectRequest) -> HttpResponse:
    """First which plugin, then for which account and resource; the answer holds address and secret, once."""
    slug = request.GET.get("plugin", "")
    if not slug:
        offers = told.offers(request, request.GET.get("provider", ""))
        return shown(request, "hub/_webhook_offers.html", {"offers": offers, "cancel_url": page_of(request)})
    entry, plugin = registry.plugin(slug, request.project.pk)
    if request.method == "GET":
        return form_page(request, entry, plugin, new_form(request, entry, plugin))
    form = new_form(request, entry, plugin).filled(request.POST)
    try:
        made = endpoints.create(request.project, plugin.slug, request.actor, **wanted(form))
    except REFUSALS as error:
        return form_page(request, entry, plugin, wrong(request, form, error), status=422)
    return happened(made_page(request, made, "The webhook is there"))


def wanted(form: Form) -> dict[str, Any]:
    """What `endpoints.create` takes, of what the form has."""
    names = ("connection", "resource", "scheme", "label", "secret", "by_hand")
    return {name: form.values[name] for name in names if form.values.get(name)}


def wrong(request: ProjectRequest, form: Form, error: Refusal) -> Form:
    words = said(error, project_slug=request.project.slug)
    field = getattr(error, "field", None) or ""
    if field in form.fields:
        return form.wrong(field, words["message"])
    return Form(*form, values=form.values, error={"message": words["message"], "fix": words["fix"]})


def new_form(request: ProjectRequest, entry: Entry, plugin: Plugin) -> Form:
    accounts = told.accounts_by_provider(request).get(entry.slug, [])
    return Form(*fields_of(plugin, accounts))


def fields_of(plugin: Plugin, accounts: list[Connection]) -> list[Field]:
    found = []
    if len(accounts) > 1:
        choices = [(str(row.pk), row.label) for row in accounts]
        found.append(fields.choice("connection", "Account", choices, choices[0][0]))
    webhook = plugin.webhook
    if webhook and webhook.resource in plugin.discoveries:
        label = webhook.resource.replace("_", " ").capitalize()
        is_needed = webhook.register_function is not None
        hint = "" if is_needed else "Only to tell several apart; without one it is for the whole account."
        found.append(Field("resource", label, type="pick", required=is_needed, hint=hint))
    if webhook is None:
        schemes = [(name, scheme.title) for name, scheme in SCHEMES.items()]
        found.append(fields.choice("scheme", "How it signs", schemes, "standard"))
        hint = "Only where the service makes the secret and shows it to you. Left empty, Navi makes one."
        found.append(fields.secret("secret", "Secret of the service", required=False, hint=hint))
    if webhook and webhook.register_function:
        hint = "Where the account may not administer webhooks there: you get address and secret to enter yourself."
        found.append(fields.checkbox("by_hand", "Set it up by hand", hint=hint))
    found.append(fields.text("label", "Name", required=False, placeholder="What it is for"))
    return found


def form_page(
    request: ProjectRequest, entry: Entry, plugin: Plugin, form: Form, *, status: int = 200
) -> HttpResponse:
    context = {
        "hook": {
            "of": tile(entry),
            "plugin": plugin.name,
            "fields": [
                {"field": field, "choices": choices_told(request, entry, plugin, field)} for field in form
            ],
            "registers": bool(plugin.webhook and plugin.webhook.register_function),
            "error": form.error,
            "action_url": url_in(request, "webhook-new", plugin=plugin.slug),
            "cancel_url": page_of(request),
        },
        "form": form,
    }
    return shown(request, "hub/_webhook_new.html", context, status=status)


def choices_told(
    request: ProjectRequest, entry: Entry, plugin: Plugin, field: Field, known: discovered.Known | None = None
) -> dict[str, Any] | None:
    """What _choices.html takes for the resource; the first account's kept choices, until another is asked."""
    if field.type != "pick" or plugin.webhook is None:
        return None
    accounts = told.accounts_by_provider(request).get(entry.slug, [])
    kept = discover.kept(accounts[0]) if len(accounts) == 1 else {}
    known = known or discovered.Known(
        kept.get((plugin.slug, plugin.webhook.resource)), is_connected=bool(accounts)
    )
    url = url_in(request, "webhook-resources", plugin.slug)
    return discovered.told(request, entry, plugin, field, plugin.webhook.resource, known, url)


@in_project(POST="integrations.manage")
@explained
def resources(request: ProjectRequest, plugin: str) -> HttpResponse:
    """What the chosen account has to subscribe to, asked of the vendor."""
    entry, its_plugin = registry.plugin(plugin, request.project.pk)
    form = new_form(request, entry, its_plugin).filled(request.POST)
    field = form.fields.get("resource")
    if field is None or its_plugin.webhook is None:
        return replies.see_other(url_in(request, "webhook-new", plugin=its_plugin.slug))
    call = Call(
        request.actor, request.project, its_plugin.slug, connection=form.values.get("connection") or None
    )
    known = asked_now(request, call, its_plugin.webhook.resource)
    context = choices_told(request, entry, its_plugin, field, known)
    if not replies.wants_fragment(request):
        return replies.see_other(url_in(request, "webhook-new", plugin=its_plugin.slug))
    return render(request, "hub/_choices.html", {"choices": context})


def asked_now(request: ProjectRequest, call: Call, resource: str) -> discovered.Known:
    try:
        return discovered.Known(discover.discover(call, resource, refresh=bool(request.GET.get("refresh"))))
    except REFUSALS as error:
        return discovered.Known(None, said(error, project_slug=request.project.slug))


def made_page(request: ProjectRequest, made: Made, title: str) -> HttpResponse:
    """The address and, once, the secret, with what is to be done at the vendor."""
    row = made.endpoint
    _, plugin = told.placed(row)
    webhook = told.webhook_of(row, plugin)
    context = {
        "made": {
            "title": title,
            "plugin": plugin.name if plugin else row.plugin,
            "address": made.url,
            "secret": made.secret,
            "is_registered": bool(row.registration),
            "expires_at": row.expires_at,
            "steps": told.steps_of(webhook),
            "awaits_secret": bool(webhook and webhook.secret_from == "vendor" and not made.secret),
            "close_url": page_of(request),
        }
    }
    response = shown(request, "hub/_webhook_made.html", context)
    response["Cache-Control"] = "no-store"
    return response


# --- one that is there


def row_in(request: ProjectRequest, pk: uuid.UUID) -> WebhookEndpoint:
    found: WebhookEndpoint = own(endpoints.in_project(request.project), pk)
    return found


@sensitive_post_parameters()
@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def rotate(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    row = row_in(request, pk)
    form = rotate_form()
    if request.method == "GET":
        return rotate_page(request, row, form)
    form = form.filled(request.POST)
    try:
        overlap = timedelta(hours=hours_of(form.values["overlap"]))
        made = endpoints.rotate(row, request.actor, secret=form.values["secret"], overlap=overlap)
    except REFUSALS as error:
        return rotate_page(request, row, wrong(request, form, error), status=422)
    return happened(made_page(request, made, "The secret is rotated"))


def rotate_form() -> Form:
    return Form(
        fields.secret("secret", "New secret of the service", required=False),
        fields.choice("overlap", "The old one counts for", OVERLAPS, "24"),
    )


def hours_of(chosen: str) -> int:
    """Raises Problem."""
    if chosen not in dict(OVERLAPS):
        raise Problem("invalid_input", "Choose how long the old secret counts.", field="overlap")
    return int(chosen)


def rotate_page(
    request: ProjectRequest, row: WebhookEndpoint, form: Form, *, status: int = 200
) -> HttpResponse:
    _, plugin = told.placed(row)
    scheme = SCHEMES.get(row.scheme)
    webhook = told.webhook_of(row, plugin)
    context = {
        "rotation": {
            "plugin": plugin.name if plugin else row.plugin,
            "registers": bool(row.registration),
            "by_vendor": bool(webhook and webhook.secret_from == "vendor"),
            "takes_secret": bool(scheme and scheme.is_vendors),
            "error": form.error,
            "action_url": url_in(request, "webhook-rotate", row.pk),
            "cancel_url": page_of(request),
        },
        "form": form,
    }
    return shown(request, "hub/_webhook_rotate.html", context, status=status)


@in_project(POST="integrations.manage")
@explained
def pause(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    endpoints.pause(row_in(request, pk), request.actor)
    return done(request, "Paused. What comes now is refused.")


@in_project(POST="integrations.manage")
@explained
def resume(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    endpoints.resume(row_in(request, pk), request.actor)
    return done(request, "It listens again, and what was missed is read by a sync.")


@in_project(POST="integrations.manage")
@explained
def secret(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    """The secret that a handshake brought, for a person to carry back to the vendor: once."""
    row = row_in(request, pk)
    value = endpoints.take_shown(row)
    if value is None:
        raise Problem("conflict", "It was shown already. Rotate it to get another one.")
    return happened(made_page(request, Made(row, value), "The secret that came with the first call"))


@in_project(GET="integrations.manage", POST="integrations.manage")
@explained
def delete(request: ProjectRequest, pk: uuid.UUID) -> HttpResponse:
    row = row_in(request, pk)
    if request.method == "GET":
        return shown(request, "hub/_confirm_dialog.html", {"confirm": removal(request, row)})
    left_to_do = endpoints.delete(row, request.actor)
    if left_to_do:
        return happened(warned(request, f"The webhook is removed. {left_to_do}", to=page_of(request)))
    return done(request, "The webhook is removed.")


def removal(request: ProjectRequest, row: WebhookEndpoint) -> dict[str, Any]:
    _, plugin = told.placed(row)
    name = plugin.name if plugin else row.plugin
    return {
        "title": f"Remove the webhook of {name}?",
        "lead": row.label or row.resource,
        "message": "Its address stops to exist at once.",
        "points": [
            "What it received is deleted from the inbox; records that were synced stay.",
            f"{name} is told to stop calling, where that can be done by its API.",
        ],
        "action_url": url_in(request, "webhook-delete", row.pk),
        "cancel_url": page_of(request),
        "button": "Remove webhook",
    }
