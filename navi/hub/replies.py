"""How a page of people answers: whole or as a fragment, a dialog, a word about what was done, a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh, trigger_client_event

from navi.audit.problems import Problem
from navi.hub.views import errors

View = Callable[..., HttpResponse]


def page(route: str, view: View, name: str, **given: Any) -> URLPattern:
    """A route of people: never stored by a browser or a proxy, and its problems told in words."""

    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Problem as problem:
            response = errors.told(request, problem)
        if response.status_code == 405 and not wants_fragment(request):
            response = errors.only_a_form(request, response)
        add_never_cache_headers(response)
        return response

    return path(route, opened, given, name=name)


def wants_fragment(request: HttpRequest) -> bool:
    """Does htmx ask for a part of the page? Going back in the browser asks for all of it."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not (htmx.boosted or htmx.history_restore_request)


def see_other(to: str) -> HttpResponse:
    """After a form: the next page, fetched anew."""
    response = HttpResponseRedirect(to)
    response.status_code = 303
    return response


def dialog(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    back: Mapping[str, str],
    status: int = 200,
) -> HttpResponse:
    """A dialog: inside the page for htmx, a page of its own without script."""
    if wants_fragment(request):
        return render(request, template, dict(context), status=status)
    whole = {"page_title": back["label"], **context, "dialog_template": template, "back": back}
    return render(request, "hub/dialog.html", whole, status=status)


def done(request: HttpRequest, words: str, *, to: str, events: tuple[str, ...] = ()) -> HttpResponse:
    """It is done: htmx closes the dialog, says so and tells the page; without script the page says so."""
    if not wants_fragment(request):
        messages.success(request, words)
        return see_other(to)
    response = HttpResponse(status=204)
    for event in ("closeModal", *events):
        trigger_client_event(response, event, {})
    return trigger_client_event(response, "toast", {"message": words, "kind": "good"})


def go(request: HttpRequest, words: str, *, to: str) -> HttpResponse:
    """It is done, and the next page is another one."""
    messages.success(request, words)
    return HttpResponseClientRedirect(to) if wants_fragment(request) else see_other(to)


def again(request: HttpRequest, words: str, *, to: str, is_wrong: bool = False) -> HttpResponse:
    """The same page anew, with these words above it."""
    if is_wrong:
        messages.error(request, words)
    else:
        messages.success(request, words)
    return HttpResponseClientRefresh() if wants_fragment(request) else see_other(to)
