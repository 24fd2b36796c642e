"""OAuth in the hub: begin at the vendor's page, wait for it, come back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from credentials.models import OAuthAttempt
from integrations import registry
from integrations.registry import Entry
from integrations.runtime import consent
from navi.audit.problems import Problem
from navi.hub import oauth, replies
from navi.hub.answers import REFUSALS, Refusal, changed, explained
from navi.hub.cards import may_reconnect, url_in
from navi.hub.dialogs import Setup, connected_context, dialog_context, setup
from navi.hub.doors import ProjectRequest, enter, in_project, public, who_may
from navi.hub.fields import Form
from navi.hub.oauth import Ticks
from navi.hub.tiles import tile
from navi.hub.views.provider import dialog

State = OAuthAttempt.State
LATE = "This took longer than it may. Begin again."
IN_THIS_TAB = "oauth_in_this_tab"  # attempts that were begun without a second window
CAME_BACK = "oauth_came_back"  # what the vendor said to somebody who had to sign in first
KEPT = 10
LONGEST_QUERY = 4000
LOOK_EVERY = 2  # seconds


# --- begin


@in_project(POST="integrations.connect")
@explained
def start(request: ProjectRequest, provider: str) -> HttpResponse:
    """Ask the vendor for what was ticked."""
    made = setup(request, provider)
    return begin(made, made.form().filled(request.POST), refused=connect_again)


Refused = Callable[..., HttpResponse]


def begin(made: Setup, form: Form, *, refused: Refused) -> HttpResponse:
    """Begin an attempt; `refused(made, form, error, ticks)` answers where that may not be."""
    ticks = oauth.ticked(made.entry, made.request.POST)
    try:
        wish = wish_of(made, form, ticks)
        if made.request.POST.get("how") == "code":
            return with_code(made, consent.begin_device(wish, made.request.actor))
        attempt, address = consent.begin(wish, made.request.actor)
    except REFUSALS as error:
        return refused(made, form, error, ticks)
    return onwards(made, attempt, address)


def wish_of(made: Setup, form: Form, ticks: Ticks) -> consent.Wish:
    """Raises Problem."""
    return consent.Wish(
        made.entry,
        made.request.project,
        made.request.user,
        for_all_projects=made.owner(form.values.get("scope", "project")) is not None,
        scopes=oauth.scopes_for(made.entry, ticks, is_first=made.reconnects is None),
        reconnects=made.reconnects,
        asked=made.asked,
        label=made.reconnects.label if made.reconnects else form.values.get("label", "")[:160],
    )


def connect_again(
    made: Setup, form: Form, error: Refusal, ticks: Ticks, *, status: int = 422
) -> HttpResponse:
    """The dialog with what was wrong."""
    context = dialog_context(made, form, error=error, ticks=ticks)
    back = url_in(made.request, "provider", made.entry.slug)
    return dialog(made.request, "hub/_connect_dialog.html", context, back=back, status=status)


def onwards(made: Setup, attempt: OAuthAttempt, address: str) -> HttpResponse:
    """To the vendor: in a second window while this page waits, or in this tab.

    The policy's form-action forbids to lead a form away, so that a page of ours goes on by itself.
    """
    request = made.request
    if replies.wants_fragment(request):
        return waiting(request, made.entry, attempt, vendor_url=address)
    note_in_session(request, IN_THIS_TAB, attempt)
    host = urlsplit(address).hostname or ""
    context = {
        "page_title": f"On to {made.entry.name}",
        "provider": tile(made.entry),
        "vendor_url": address,
        "vendor_host": host,
    }
    return unreferred(render(request, "hub/oauth_continue.html", context))


def note_in_session(request: Any, name: str, attempt: OAuthAttempt) -> None:
    request.session[name] = [*request.session.get(name, []), str(attempt.pk)][-KEPT:]


def with_code(made: Setup, attempt: OAuthAttempt) -> HttpResponse:
    if replies.wants_fragment(made.request):
        return waiting(made.request, made.entry, attempt)
    return replies.see_other(wait_url(made.request, attempt))


# --- wait


@sensitive_post_parameters()
@in_project(GET="integrations.connect", POST="integrations.connect")
@explained
def wait(request: ProjectRequest, provider: str, pk: uuid.UUID) -> HttpResponse:
    """How an attempt stands: 204 while nothing is new. POST hands in the address that a browser ended at."""
    attempt = attempt_in(request, provider, pk)
    entry = registry.entry(provider, request.project.pk)
    if request.method == "POST":
        return pasted(request, entry, attempt)
    return told(request, entry, consent.poll(attempt, request.actor))


def attempt_in(request: ProjectRequest, provider: str, pk: uuid.UUID) -> OAuthAttempt:
    """This person's attempt in this project. Raises Problem, Http404."""
    attempt = consent.own_attempt(pk, request.user)
    if (attempt.project_id, attempt.provider) != (request.project.pk, provider):
        raise Http404("There is nothing here.")
    return attempt


def told(request: ProjectRequest, entry: Entry, attempt: OAuthAttempt) -> HttpResponse:
    if attempt.outcome == State.DONE and attempt.connection:
        return success(request, entry, attempt)
    if attempt.outcome == State.DONE:
        return failure(request, entry, attempt, "It was connected, and somebody has disconnected it since.")
    if attempt.outcome == State.FAILED:
        return failure(request, entry, attempt, attempt.message)
    if not attempt.is_open and attempt.outcome == State.PENDING:
        return failure(request, entry, attempt, LATE)
    if replies.wants_fragment(request):
        return HttpResponse(status=204)
    return waiting(request, entry, attempt)


def waiting(
    request: ProjectRequest, entry: Entry, attempt: OAuthAttempt, *, vendor_url: str = "", **more: Any
) -> HttpResponse:
    """The dialog while the person is at the vendor's."""
    context = {
        "page_title": f"Waiting for {entry.name}",
        "waiting": {
            "provider": tile(entry),
            "id": str(attempt.pk),
            "is_page": not replies.wants_fragment(request),
            "vendor_url": vendor_url,
            "vendor_host": urlsplit(vendor_url or attempt.verification_url).hostname or "",
            "wait_url": wait_url(request, attempt),
            "every": max(attempt.poll_every or LOOK_EVERY, LOOK_EVERY),
            "user_code": attempt.user_code,
            "verification_url": secure(attempt.verification_url),
            "expires_at": attempt.expires_at,
            "callback": consent.redirect_uri(entry),
            "cancel_url": url_in(request, "provider", entry.slug),
            **more,
        },
    }
    status = 422 if more.get("error") else 200
    back = url_in(request, "provider", entry.slug)
    return unreferred(dialog(request, "hub/_oauth_waiting.html", context, back=back, status=status))


def secure(address: str) -> str:
    """A vendor's address as a link, if it is one to follow."""
    schemes = {"https", "http"} if settings.DEBUG or settings.UPSTREAMS else {"https"}
    return address if urlsplit(address).scheme in schemes else ""


def wait_url(request: ProjectRequest, attempt: OAuthAttempt) -> str:
    return url_in(request, "oauth-wait", attempt.provider, attempt.pk)


def success(request: ProjectRequest, entry: Entry, attempt: OAuthAttempt) -> HttpResponse:
    row = attempt.connection
    if not replies.wants_fragment(request):
        return replies.see_other(url_in(request, "connected", entry.slug, row.pk))  # type: ignore[union-attr]
    check = row.checks.first()  # type: ignore[union-attr]
    context = connected_context(request, entry, row, latency_ms=check.latency_ms if check else None)  # type: ignore[arg-type]
    return changed(render(request, "hub/_connected.html", context))


def failure(request: ProjectRequest, entry: Entry, attempt: OAuthAttempt, message: str) -> HttpResponse:
    """The dialog again, as it was filled in, with what happened."""
    asked = attempt.asked if attempt.asked and attempt.asked.is_open else None
    made = Setup(request, entry, consent.oauth_of(entry), [], attempt.reconnects, asked)
    scope = "user" if attempt.for_all_projects else "project"
    form = made.form().filled({"label": attempt.label, "scope": scope})
    error = Problem(attempt.code or "invalid_input", message, provider=entry.slug)
    return connect_again(made, form, error, oauth.for_scopes(entry, attempt.scopes), status=200)


def pasted(request: ProjectRequest, entry: Entry, attempt: OAuthAttempt) -> HttpResponse:
    """The whole address, copied from a browser that could not reach Navi."""
    address = request.POST.get("address", "")[:LONGEST_QUERY]
    try:
        if attempt.is_open:
            refuse_other_attempt(address, attempt)
            consent.finish_pasted(address, user=request.user, actor=request.actor)
            attempt.refresh_from_db()
    except Problem as problem:
        return waiting(request, entry, attempt, error={"message": problem.message})
    return told(request, entry, attempt)


def refuse_other_attempt(address: str, attempt: OAuthAttempt) -> None:
    """Another attempt may be of a project where this person may connect nothing."""
    state = dict(parse_qsl(urlsplit(address.strip()).query)).get("state", "")
    if state and consent.hash_of(state) != attempt.state_hash:
        words = "This address belongs to another sign-in. Copy the one that this window led to."
        raise Problem("invalid_input", words, field="address")


# --- come back


@sensitive_variables()
@public(GET="public")
def callback(request: Any, custom_id: uuid.UUID | None = None) -> HttpResponse:
    """Where vendors send browsers back to. What it answers holds no code, and leads nowhere but home."""
    params = came_back(request)
    try:
        if not request.user.is_authenticated:
            return sign_in_first(request)
        attempt = open_attempt(request, params, str(custom_id or ""))
        attempt = consent.finish(
            params, user=request.user, actor=request.actor, custom_id=str(custom_id or "")
        )
    except (Problem, PermissionDenied, Http404) as refusal:
        return refused_page(request, getattr(refusal, "message", "") or str(refusal))
    return unreferred(ended(request, attempt))


def came_back(request: HttpRequest) -> Mapping[str, str]:
    """What the vendor said: in the address, or kept while the person signed in."""
    query = request.META.get("QUERY_STRING", "")
    kept = request.session.pop(CAME_BACK, None) if not query and request.user.is_authenticated else None
    if kept and kept.get("path") == request.path:
        query = str(kept.get("query", ""))
    return dict(parse_qsl(query[:LONGEST_QUERY]))


def sign_in_first(request: HttpRequest) -> HttpResponse:
    """The code goes into the session, and not through the address of the sign-in page. Raises Problem."""
    params = came_back(request)
    if not consent_is_known(params.get("state", "")):
        raise Problem("invalid_input", "Navi does not know this sign-in. Begin it again.", field="state")
    request.session[CAME_BACK] = {
        "path": request.path,
        "query": request.META.get("QUERY_STRING", "")[:LONGEST_QUERY],
    }
    address = f"{reverse('hub:sign-in')}?{urlencode({'next': request.path})}"
    return unreferred(replies.see_other(address))


def consent_is_known(state: str) -> bool:
    """A stranger without a living attempt gets no session."""
    return bool(state) and OAuthAttempt.objects.filter(state_hash=consent.hash_of(state)).exists()


def open_attempt(request: Any, params: Mapping[str, str], custom_id: str) -> OAuthAttempt:
    """The attempt, if its person may still connect there. Raises Problem, PermissionDenied, Http404."""
    attempt = consent.attempt_for(params.get("state", ""), user=request.user, custom_id=custom_id)
    enter(request, attempt.project.slug)
    row = attempt.reconnects
    if not request.may("integrations.connect") or (row and not may_reconnect(request, row)):
        raise PermissionDenied(f"You may no longer connect services here. {who_may('integrations.connect')}")
    return attempt


def ended(request: ProjectRequest, attempt: OAuthAttempt) -> HttpResponse:
    """In the same tab the way goes on; a second window says so and closes."""
    if str(attempt.pk) in request.session.get(IN_THIS_TAB, []):
        return replies.see_other(wait_url(request, attempt))
    entry = registry.entry(attempt.provider, attempt.project_id)
    is_done = attempt.outcome == State.DONE
    context = {
        "page_title": f"{entry.name} is connected" if is_done else f"{entry.name} was not connected",
        "provider": tile(entry),
        "attempt": str(attempt.pk),
        "ok": is_done,
        "message": "" if is_done else attempt.message,
        "account": attempt.connection.label if attempt.connection else "",
        "back_url": wait_url(request, attempt),
    }
    return render(request, "hub/oauth_done.html", context)


def refused_page(request: HttpRequest, message: str) -> HttpResponse:
    context = {
        "page_title": "Nothing was connected",
        "ok": False,
        "message": message,
        "back_url": reverse("hub:home"),
    }
    return unreferred(render(request, "hub/oauth_done.html", context, status=400))


def unreferred(response: HttpResponse) -> HttpResponse:
    """Nobody learns from a Referer where the browser was: the address holds a code or a state."""
    response["Referrer-Policy"] = "no-referrer"
    return response
