"""Who may come in: every hub view is marked with the right it needs, and is handed its project and actor."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django_htmx.middleware import HtmxDetails

from navi.audit.actor import Actor
from navi.projects import roles
from navi.projects.address import address_of
from navi.projects.models import Membership, Project, User
from navi.projects.rights import actor_for
from navi.projects.rules import Rule


class PersonRequest(HttpRequest):
    """A request of a signed-in person."""

    user: User
    htmx: HtmxDetails
    actor: Actor


class ProjectRequest(PersonRequest):
    """A request inside one project, of one of its members."""

    project: Project
    role: str

    def may(self, right: str) -> bool:
        return roles.may(self.role, right)


View = Callable[..., HttpResponse]


def public(**methods: str) -> Callable[[View], View]:
    """A page without sign-in: `@public(GET="public", POST="public")`."""

    def mark(view: View) -> View:
        wrapped = only_these(view, methods)
        wrapped.navi_rule = Rule(methods)  # type: ignore[attr-defined]
        return login_not_required(wrapped)

    return mark


def signed_in(*methods: str) -> Callable[[View], View]:
    """A page for any person with an account; sign-in is asked for by the middleware."""

    def mark(view: View) -> View:
        @wraps(view)
        def opened(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            request.actor = actor_for(request.user, ip=address_of(request))
            return view(request, *args, **kwargs)

        wrapped = only_these(opened, dict.fromkeys(methods, "signed_in"))
        wrapped.navi_rule = Rule(dict.fromkeys(methods, "signed_in"))  # type: ignore[attr-defined]
        return wrapped

    return mark


def in_project(**rights: str) -> Callable[[View], View]:
    """A page of one project: `@in_project(GET="integrations.view", POST="integrations.manage")`.

    The view's first argument after the request is the project's slug, which it does not get: the project
    is on the request. A stranger meets 404, a member without the right 403.
    """

    def mark(view: View) -> View:
        @wraps(view)
        def opened(request: Any, project: str, *args: Any, **kwargs: Any) -> HttpResponse:
            enter(request, project)
            if not roles.may(request.role, rights[method_of(request)]):
                raise PermissionDenied(who_may(rights[method_of(request)]))
            return view(request, *args, **kwargs)

        wrapped = only_these(opened, rights)
        named = {method: f"right:{right}" for method, right in rights.items()}
        wrapped.navi_rule = Rule(named)  # type: ignore[attr-defined]
        return wrapped

    return mark


def enter(request: Any, slug: str) -> None:
    """Put project, role and actor on the request: one query. Raises Http404 for strangers."""
    memberships = Membership.objects.select_related("project").filter(user=request.user)
    membership = memberships.filter(project__slug=slug, project__archived_at=None).first()
    if membership is None:
        raise Http404("There is no such project, or you are not a member of it.")
    request.project, request.role = membership.project, membership.role
    request.actor = Actor(
        "person",
        str(request.user.pk),
        str(request.user),
        request.user.pk,
        membership.role,
        ip=address_of(request),
    )
    request.may = lambda right: roles.may(membership.role, right)


def only_these(view: View, methods: Any) -> View:
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if method_of(request) not in methods:
            return HttpResponseNotAllowed(sorted(methods))
        return view(request, *args, **kwargs)

    return checked


def method_of(request: HttpRequest) -> str:
    method = request.method or "GET"
    return "GET" if method == "HEAD" else method


def who_may(right: str) -> str:
    holders = [f"{roles.LABELS[role].lower()}s" for role in roles.ROLES if roles.may(role, right)]
    return f"In this project only {listed(holders)} may do this."


def listed(words: list[str]) -> str:
    """a, b and c"""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def own(rows: Any, pk: uuid.UUID) -> Any:
    """The row of this id among those in reach; anything else is 404."""
    found = rows.filter(pk=pk).first()
    if found is None:
        raise Http404("There is nothing here.")
    return found
