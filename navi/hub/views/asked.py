"""An agent asked a person to connect a service: who asks, the code that proves it, and then the dialog."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from credentials.models import ConnectRequest
from integrations import registry
from integrations.registry import Entry
from integrations.runtime import asking, connect
from integrations.sdk import Auth
from navi.audit.problems import Problem
from navi.hub import replies
from navi.hub.answers import REFUSALS, Refusal, explained
from navi.hub.cards import titles, url_in
from navi.hub.dialogs import Setup, connected_context, dialog_context, way_in
from navi.hub.doors import PersonRequest, ProjectRequest, enter, signed_in
from navi.hub.fields import Form
from navi.hub.oauth import Ticks, labels_of, way_of
from navi.hub.tiles import tile
from navi.hub.views import oauth
from navi.projects.models import AgentToken

KNOWN_CODES = "connect_requests"  # those whose code this session has given
KEPT = 10


@sensitive_post_parameters()
@signed_in("GET", "POST")
def connect_request(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """First the code that the agent shows, then what the provider asks for; finished once."""
    asked = asked_of(request, pk)
    within: ProjectRequest = request  # type: ignore[assignment]
    if not may_finish(within, asked):
        return closed(within, asked, "not_yours", status=403)
    if not asked.is_open:
        return closed(within, asked, "done" if asked.state == ConnectRequest.State.DONE else "expired")
    return step(within, asked)


@explained
def step(request: ProjectRequest, asked: ConnectRequest) -> HttpResponse:
    made = setup_of(request, asked)
    if "user_code" in request.POST:
        return check_code(request, asked, made.entry)
    if str(asked.pk) not in request.session.get(KNOWN_CODES, []):
        return question(request, asked, made.entry)
    if request.method == "GET":
        return fields_dialog(made, asked, made.form())
    if made.is_oauth:
        return oauth.begin(made, made.form().filled(request.POST), refused=begin_again)
    return finish(made, asked, made.form().filled(request.POST))


def asked_of(request: PersonRequest, pk: uuid.UUID) -> ConnectRequest:
    """The request, and its project on ours; a stranger to the project meets 404."""
    rows = ConnectRequest.objects.select_related("project", "reconnects", "for_user")
    asked = get_object_or_404(rows, pk=pk)
    enter(request, asked.project.slug)
    return asked


def may_finish(request: ProjectRequest, asked: ConnectRequest) -> bool:
    """For all projects of a person: only that person. For the project: who may connect there."""
    again = asked.reconnects
    owners = {asked.for_user_id, again.user_id if again else None} - {None}
    return owners <= {request.user.pk} and request.may("integrations.connect")


def setup_of(request: ProjectRequest, asked: ConnectRequest) -> Setup:
    entry = registry.entry(asked.provider, request.project.pk)
    kind = asked.reconnects.auth_kind if asked.reconnects else request.GET.get("kind")
    auth = scoped_way(entry) if asked.scopes and not kind else way_in(request, entry, kind)
    return Setup(request, entry, auth, [], asked.reconnects, asked)


def scoped_way(entry: Entry) -> Auth:
    """Permissions by name are OAuth's, where the provider has it."""
    return way_of(entry) or entry.provider.auth[0]


# --- the code


def check_code(request: ProjectRequest, asked: ConnectRequest, entry: Entry) -> HttpResponse:
    try:
        asking.check_code(asked, request.POST["user_code"])
    except Problem as problem:
        return question(request, asked, entry, code_error=problem.message, status=422)
    known = [*request.session.get(KNOWN_CODES, []), str(asked.pk)]
    request.session[KNOWN_CODES] = known[-KEPT:]
    return replies.see_other(reverse("hub:connect-request", args=[asked.pk]))


def question(
    request: ProjectRequest, asked: ConnectRequest, entry: Entry, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {"page_title": f"Connect {entry.name}", "ask": {**told(asked, entry), "state": "open"}, **more}
    return render(request, "hub/connect_request.html", context, status=status)


def told(asked: ConnectRequest, entry: Entry) -> dict[str, Any]:
    """What connect_request.html takes: who asks, what for, and where it will live."""
    token = AgentToken.objects.select_related("owner").filter(public_id=asked.token_public_id).first()
    labels, kinds = labels_of(entry), [auth.label for auth in entry.provider.auth]
    return {
        "agent": asked.asked_by,
        "owner": str(token.owner) if token else "somebody who has left",
        "from_where": (token.last_used_from or "") if token else "",
        "asked_at": asked.created_at,
        "provider": tile(entry),
        "kind": (way_of(entry) or entry.provider.auth[0]).label if asked.scopes else " or ".join(kinds),
        "is_oauth": way_of(entry) is not None and (bool(asked.scopes) or len(kinds) == 1),
        "wants": [labels.get(scope, scope) for scope in asked.scopes] or titles(entry),
        "will_live": where(asked),
        "expires_at": asked.expires_at,
        "action_url": reverse("hub:connect-request", args=[asked.pk]),
        "deny_url": reverse("hub:connect-request-decline", args=[asked.pk]),
    }


def where(asked: ConnectRequest) -> str:
    if asked.reconnects:
        return f"In place of the access of {asked.reconnects.label}"
    if asked.for_user_id:
        return "All your projects; only your own agents use it"
    return f"Only the project {asked.project.name}"


# --- what the provider asks for


def fields_dialog(
    made: Setup,
    asked: ConnectRequest,
    form: Form,
    *,
    error: Refusal | None = None,
    ticks: Ticks | None = None,
    status: int = 200,
) -> HttpResponse:
    more: dict[str, Any] = {
        "lead": f"{asked.asked_by} asked for it. {where(asked)}.",
        "cancel_url": url_in(made.request, "integrations"),
        "chat": None,
    }
    return sheet(
        made.request,
        "hub/_connect_dialog.html",
        dialog_context(made, form, error=error, ticks=ticks, **more),
        status=status,
    )


def begin_again(made: Setup, form: Form, error: Refusal, ticks: Ticks) -> HttpResponse:
    assert made.asked is not None  # noqa: S101 - this page is of a request
    return fields_dialog(made, made.asked, form, error=error, ticks=ticks, status=422)


def finish(made: Setup, asked: ConnectRequest, form: Form) -> HttpResponse:
    request = made.request
    try:
        connected = connect.connect(made.offer(form), request.actor)
    except REFUSALS as error:
        return fields_dialog(made, asked, form, error=error, status=422)
    asking.finish(asked, made.entry, connected.connection, request.actor)
    context = connected_context(request, made.entry, connected.connection, latency_ms=connected.latency_ms)
    return sheet(request, "hub/_connected.html", context)


def sheet(
    request: ProjectRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    if replies.wants_fragment(request):
        return render(request, template, {**context, "target": "#sheet"}, status=status)
    context = {**context, "dialog_template": template, "target": "#sheet"}
    return render(request, "hub/dialog.html", context, status=status)


# --- the end


@signed_in("POST")
def decline(request: PersonRequest, pk: uuid.UUID) -> HttpResponse:
    """ "This was not me": the agent is told that nothing comes of it."""
    asked = asked_of(request, pk)
    within: ProjectRequest = request  # type: ignore[assignment]
    if not may_finish(within, asked):
        return closed(within, asked, "not_yours", status=403)
    asking.decline(asked, request.actor)
    asked.refresh_from_db()
    return closed(
        within, asked, "expired", message="It was declined. The agent is told so, and nothing was connected."
    )


MESSAGES = {
    "done": "The agent that asked has been told. There is nothing left to do here.",
    "expired": "Requests live half an hour. Let your agent ask again.",
    "not_yours": "It is for somebody else, or your role in this project does not connect services.",
}


def closed(
    request: ProjectRequest, asked: ConnectRequest, state: str, *, message: str = "", status: int = 200
) -> HttpResponse:
    try:
        entry = registry.entry(asked.provider, asked.project_id)
    except Problem:
        raise Http404("There is no such provider any more.") from None
    reason = str(asked.result.get("reason", "")) if state == "expired" else ""
    words = message or reason or MESSAGES[state]
    ask = {
        "provider": tile(entry),
        "state": state,
        "message": words,
        "back_url": url_in(request, "integrations"),
    }
    context = {"page_title": f"Connect {entry.name}", "ask": ask}
    return render(request, "hub/connect_request.html", context, status=status)
