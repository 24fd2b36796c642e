"""What a person sees when a door does not open. Every answer says its request id."""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers
from django_htmx.http import trigger_client_event

from navi.audit.middleware import current_request_id
from navi.audit.problems import CODES, Problem
from navi.hub.sign_in import SignInForm
from navi.projects import roles
from navi.projects.models import User

log = logging.getLogger(__name__)

# What a member without the right wanted to do: "You cannot …".
WANTED = {
    "project.view": "open this project",
    "project.update": "change this project",
    "project.delete": "archive this project",
    "integrations.view": "see integrations",
    "integrations.connect": "connect services",
    "integrations.check": "test connections",
    "integrations.manage": "change integrations",
    "actions.try": "try actions",
    "actions.try_destructive": "try actions that destroy",
    "tokens.own": "have agent tokens",
    "tokens.manage": "manage everybody's tokens",
    "members.view": "see the members",
    "members.manage": "change members",
    "audit.view": "see the activity",
}
TEMPLATES = {400: "400.html", 403: "403.html", 404: "404.html", 503: "503.html"}
CLOSED = "You were signed out, or this page was open for too long. Load it again, then try once more."
LOCKED = {
    "message": "Too many tries. Signing in rests for 15 minutes.",
    "fix": "Wait, or ask an operator to set a new password.",
}


# --- the handlers of navi/urls.py


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: Django's own words may quote what was sent, so only ours are shown."""
    if isinstance(exception, RequestDataTooBig):
        return answer(request, 413, "This is larger than Navi takes (2 MiB).")
    return answer(request, 400, "")


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: a member reads who can; everybody else, what the view said."""
    message = str(exception or "")
    if getattr(request, "project", None) is None or getattr(request, "htmx", None):
        return answer(request, 403, message)
    right = right_wanted(request)
    context = {
        "page_title": "Not allowed",
        "what": WANTED.get(right, ""),
        "your_role": roles.LABELS[request.role],  # type: ignore[attr-defined]
        "who": people_with(right, request),
        "back_url": f"/p/{request.project.slug}/integrations",  # type: ignore[attr-defined]
        "request_id": request_id_of(request),
    }
    response = render(request, "hub/no_permission.html", context, status=403)
    add_never_cache_headers(response)
    return response


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404: the same for what is not there and for what is somebody else's."""
    return answer(request, 404, "")


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where the database is away. Asks nothing of session or database: they may be the cause."""
    cause = sys.exc_info()[1]
    if isinstance(cause, Problem):
        return plain(request, *status_and_words(cause))
    if isinstance(cause, OperationalError):
        return plain(request, 503, "")
    return plain(request, 500, "")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return answer(request, 403, CLOSED)


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: Any = None
) -> HttpResponse:
    """429 for axes, on the page for signing in; the same words whether or not there is such an account."""
    context = {
        "page_title": "Sign in",
        "form": SignInForm(request),
        "action_url": settings.LOGIN_URL,
        "error": LOCKED,
    }
    page = render(request, "hub/sign_in.html", context, status=429)
    page["Retry-After"] = str(round(settings.AXES_COOLOFF_TIME * 3600))
    add_never_cache_headers(page)
    return page


# --- what a view could not do


def told(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A refusal of the domain as a page, or as a toast where htmx asked."""
    if problem.code == "internal":
        log.error("Request %s failed", request_id_of(request), exc_info=problem)
    return answer(request, *status_and_words(problem))


def only_a_form(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """405 in words: somebody signed in again, and was led back to where they had sent a form."""
    words = "What you sent did not arrive. Open the page again and send it once more."
    page = answer(request, 405, words)
    page["Allow"] = response["Allow"]
    return page


def status_and_words(problem: Problem) -> tuple[int, str]:
    return CODES[problem.code].status if problem.code in CODES else 500, problem.message


def answer(request: HttpRequest, status: int, message: str) -> HttpResponse:
    if getattr(request, "htmx", None):
        return toast(status, message)
    try:
        response = render(request, template_for(status), told_to(request, message), status=status)
    except DatabaseError:
        return plain(request, status, message)
    add_never_cache_headers(response)
    return response


def plain(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """The page without anything that would need a session: no context processors, no messages."""
    page = render_to_string(template_for(status), told_to(request, message))
    response = HttpResponse(page, status=status)
    add_never_cache_headers(response)
    return response


def toast(status: int, message: str) -> HttpResponse:
    """For htmx: nothing is swapped, and the words are said. Without words hub.js has its own."""
    response = HttpResponse(status=status)
    if message:
        trigger_client_event(response, "toast", {"message": message, "kind": "bad"})
    return response


def template_for(status: int) -> str:
    if status in TEMPLATES:
        return TEMPLATES[status]
    return "400.html" if status < 500 else "500.html"


def told_to(request: HttpRequest, message: str) -> dict[str, str]:
    return {"message": message, "request_id": request_id_of(request)}


def request_id_of(request: HttpRequest) -> str:
    return getattr(request, "request_id", "") or current_request_id.get()


# --- who can


def right_wanted(request: HttpRequest) -> str:
    """The right that the view asks for, as its rule says."""
    view = request.resolver_match.func if request.resolver_match else None
    rule = getattr(view, "navi_rule", None)
    method = "GET" if request.method in (None, "HEAD") else str(request.method)
    return rule.methods.get(method, "").removeprefix("right:") if rule else ""


def people_with(right: str, request: HttpRequest) -> list[str]:
    """The first few members whose role has the right."""
    holding = [role for role in roles.ROLES if roles.may(role, right)]
    memberships = {"memberships__project": request.project, "memberships__role__in": holding}  # type: ignore[attr-defined]
    return [str(user) for user in User.objects.filter(is_active=True, **memberships).order_by("name")[:3]]
