"""How a view answers: the same deed for htmx and for a plain form, and every refusal in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect, reswap, trigger_client_event

from credentials.models import Connection
from integrations.runtime.recovery import NextStep, next_step
from integrations.sdk import InvalidArguments, VendorError
from navi.audit.problems import Problem
from navi.audit.redact import redact
from navi.hub import replies

Refusal = Problem | VendorError | InvalidArguments
REFUSALS = (Problem, VendorError, InvalidArguments)

FIXES = {
    "retry": "Try again in a moment.",
    "wait": "Navi may ask again then; nothing is wrong with the account.",
    "retry_later": "The account stays as it is. Try again in a few minutes.",
    "reauth": "Reconnect it; agents go on where they stopped.",
    "enable": "Switch it on here or for all your projects.",
    "grant_scopes": "Reconnect it and allow what is missing.",
    "upgrade_token": "Ask an admin or the owner of the project.",
    "approve": "Somebody has to approve it under Approvals.",
}


def step_of(error: Refusal, *, project_slug: str = "", connection: Connection | None = None) -> NextStep:
    return next_step(error, project_slug=project_slug, connection=connection)


def said(error: Refusal, *, project_slug: str = "", connection: Connection | None = None) -> dict[str, Any]:
    """A refusal as notices show it: what happened, what helps, where that is."""
    step = step_of(error, project_slug=project_slug, connection=connection)
    return {
        "message": redact(step.message),
        "fix": FIXES.get(step.action, ""),
        "url": step.link,
        "code": step.code,
        "help_url": help_for(step.code),
    }


def help_for(code: str) -> str:
    return f"/help/errors#{code}" if code else "/help/errors"


def sentence(words: dict[str, Any]) -> str:
    return f"{words['message']} {words['fix']}".strip()


def toast(response: HttpResponse, message: str, kind: str = "good") -> HttpResponse:
    return trigger_client_event(response, "toast", {"message": message, "kind": kind})


def changed(response: HttpResponse) -> HttpResponse:
    """Tell the page behind a dialog that connections are not what they were."""
    return trigger_client_event(response, "connections-changed", {})


def done(request: Any, message: str, *, to: str) -> HttpResponse:
    """A deed is done: the dialog closes and the page refreshes itself, or the browser goes to `to`."""
    if request.htmx.target == "sheet":
        return replies.go(request, message, to=to)
    return replies.done(request, message, to=to, events=("connections-changed",))


def warned(request: Any, message: str, *, to: str) -> HttpResponse:
    """A deed is done, and something is left for the person: the words stay until they are read."""
    if replies.wants_fragment(request) and request.htmx.target != "sheet":
        return toast(done(request, message, to=to), message, "warn")
    messages.warning(request, message)
    return HttpResponseClientRedirect(to) if replies.wants_fragment(request) else replies.see_other(to)


def refused(request: Any, words: dict[str, Any], *, to: str, status: int = 400) -> HttpResponse:
    """A deed is not done: a toast that says why, or the page with those words on top."""
    if replies.wants_fragment(request):
        return reswap(toast(HttpResponse(status=status), sentence(words), "bad"), "none")
    messages.error(request, sentence(words))
    return replies.see_other(to)


def explained(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What the house or a vendor refuses becomes words and a way on; what is not there is 404."""

    @wraps(view)
    def wrapped(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except REFUSALS as error:
            if error.code == "unknown":
                raise Http404(error.message) from None
            slug = request.project.slug
            words = said(error, project_slug=slug)
            status = step_of(error).status
            return refused(request, words, to=reverse("hub:integrations", args=[slug]), status=status)

    return wrapped
