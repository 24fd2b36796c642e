"""Connecting: the dialog, a test before anything is stored, what it looks like when it works, and editing."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters

from credentials.models import Connection, State
from integrations.registry import Entry
from integrations.runtime import cli_logins, connect, health
from integrations.sdk import Cli
from navi.audit.problems import Problem
from navi.hub import fields, replies
from navi.hub.answers import REFUSALS, Refusal, changed, done, explained, said
from navi.hub.cards import url_in
from navi.hub.dialogs import (
    Setup,
    connected_context,
    credential,
    dialog_context,
    label_field,
    setup,
)
from navi.hub.doors import ProjectRequest, in_project
from navi.hub.fields import Form
from navi.hub.views import oauth
from navi.hub.views.provider import connection_in, dialog, require_change, told_of_test

TEMPLATE = "hub/_connect_dialog.html"


@sensitive_post_parameters()
@in_project(GET="integrations.connect", POST="integrations.connect")
@explained
def connect_provider(request: ProjectRequest, provider: str) -> HttpResponse:
    made = setup(request, provider)
    if request.method == "GET":
        return connect_dialog(made, made.form())
    form = made.form().filled(request.POST)
    if isinstance(made.auth, Cli):
        return login_checked(made, form)
    if made.is_oauth:
        return oauth.begin(made, form, refused=oauth.connect_again)
    try:
        connected = connect.connect(made.offer(form), request.actor)
    except REFUSALS as error:
        return connect_dialog(made, form, error=error, status=422)
    return success(made, connected)


def connect_dialog(
    made: Setup, form: Form, *, error: Refusal | None = None, status: int = 200, **more: Any
) -> HttpResponse:
    context = dialog_context(made, form, error=error, **more)
    back = url_in(made.request, "provider", made.entry.slug)
    return dialog(made.request, TEMPLATE, context, back=back, status=status)


def login_checked(made: Setup, form: Form) -> HttpResponse:
    """A login that lives elsewhere: what was last reported of it, or what this server's own says."""
    try:
        result = login_found(made)
    except Problem as problem:
        result = {"ok": False, "message": problem.message}
    answer = connect_dialog(made, form, test_result=result, status=200 if result["ok"] else 422)
    return changed(answer) if result["ok"] else answer


def login_found(made: Setup) -> dict[str, Any]:
    """Raises Problem."""
    request, entry = made.request, made.entry
    if cli_logins.is_offered(entry, request.project):
        return login_told(entry, cli_logins.check_here(entry, request.actor, project=request.project))
    row = cli_logins.known(entry, project=request.project, user_id=request.user.pk)
    if row:
        return login_told(entry, row)
    return {
        "ok": False,
        "message": f"Navi has not seen this login of {entry.name} yet: no machine has reported it.",
        "fix": f"Run navi-integrations test {entry.slug} where your agent runs. Nothing was stored.",
    }


def login_told(entry: Entry, row: Connection) -> dict[str, Any]:
    at = f"{row.last_check_at:%-d %b, %H:%M} UTC" if row.last_check_at else "an unknown time"
    if row.state == State.ACTIVE:
        return {"ok": True, "message": f"{entry.name} is signed in as {row.label}, as of {at}."}
    fix = f"Sign in there again, then run navi-integrations test {entry.slug}."
    return {"ok": False, "message": f"As of {at}: {row.state_reason}", "fix": fix}


def success(made: Setup, connected: connect.Connected) -> HttpResponse:
    request, entry, row = made.request, made.entry, connected.connection
    if not replies.wants_fragment(request):
        return replies.see_other(url_in(request, "connected", entry.slug, row.pk))
    context = connected_context(request, entry, row, latency_ms=connected.latency_ms)
    return changed(render(request, "hub/_connected.html", context))


@in_project(GET="integrations.connect")
@explained
def connected(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    """The last screen of connecting, for browsers without script."""
    entry, row = connection_in(request, provider, pk)
    check = row.checks.first()
    context = connected_context(request, entry, row, latency_ms=check.latency_ms if check else None)
    return dialog(request, "hub/_connected.html", context, back=url_in(request, "integrations"))


# --- "Test connection": what is typed, stored nowhere


@sensitive_post_parameters()
@in_project(POST="integrations.connect")
@explained
def test_key(request: ProjectRequest, provider: str) -> HttpResponse:
    made = setup(request, provider)
    if not made.is_direct:
        raise Problem("invalid_input", f"{made.entry.name} is tested when it is connected this way.")
    form = made.form().filled(request.POST)
    result = tested(made, form)
    if replies.wants_fragment(request):
        return render(request, "hub/_test_result.html", {"result": result})
    return connect_dialog(made, form, test_result=result, status=200 if result["ok"] else 422)


def tested(made: Setup, form: Form) -> dict[str, Any]:
    row = made.reconnects
    if row and not any(form.values.get(item.key) for item in made.auth.fields):
        finding = health.check(row, made.entry, actor=made.request.actor, asked_by="person")
        return told_of_test(made.entry, row, finding)
    try:
        found = connect.try_out(made.offer(form), made.request.actor)
    except REFUSALS as error:
        words = said(error)
        return {"ok": False, "message": words["message"], "fix": f"Nothing was saved. {words['fix']}".strip()}
    who = found.identity.label
    message = f"{made.entry.name} answered in {found.latency_ms} ms as {who}."
    return {"ok": True, "message": message, "fix": "Nothing is saved yet."}


# --- editing one


@sensitive_post_parameters()
@in_project(GET="integrations.connect", POST="integrations.connect")
@explained
def edit_connection(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    """Its name, whether it is the default and switched on, and a new key where one is typed."""
    entry, row = connection_in(request, provider, pk)
    require_change(request, row)
    made = setup(request, provider, reconnects=row)
    form = edit_form(made, row)
    if request.method == "GET":
        return edit_dialog(made, row, form)
    form = form.filled(request.POST)
    try:
        edited(made, row, form)
    except REFUSALS as error:
        return edit_dialog(made, row, form, error=error, status=422)
    return done(request, f"Saved: {form.values['label']}.", to=url_in(request, "provider", entry.slug))


def edited(made: Setup, row: Connection, form: Form) -> None:
    if any(form.values.get(item.key) for item in made.auth.fields):
        row = connect.connect(made.offer(form), made.request.actor).connection
    connect.edit(
        row, made.request.actor, project=made.request.project, label=form.values["label"],
        enabled=form.values["enabled"], make_default=form.values.get("default", False),
    )  # fmt: skip


def edit_form(made: Setup, row: Connection) -> Form:
    asked = [credential(item, made.entry.slug, required=False) for item in made.auth.fields]
    asked.append(replace(label_field(row.label, required=True), autofocus=True))
    if not row.is_default:
        hint = "Agents that name no account use the default."
        asked.append(fields.checkbox("default", "Make it the default", hint=hint))
    hint = "Switched off, agents are told so; nothing is deleted."
    asked.append(fields.checkbox("enabled", "Switched on", value=row.enabled, hint=hint))
    return Form(*asked)


def edit_dialog(
    made: Setup, row: Connection, form: Form, *, error: Refusal | None = None, status: int = 200
) -> HttpResponse:
    saved = {"hint": row.hint, "at": row.current.created_at} if row.current and row.hint else None
    address = url_in(made.request, "connection-edit", made.entry.slug, row.pk)
    context = dialog_context(
        made, form, error=error, mode="edit", action_url=address, saved=saved, guide=None, chat=None
    )
    back = url_in(made.request, "provider", made.entry.slug)
    return dialog(made.request, TEMPLATE, context, back=back, status=status)
