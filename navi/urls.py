"""The roof: all doors, side by side, and what each says where nothing is found."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path
from django.views.generic import RedirectView

from navi.api.errors import plain_answer
from navi.api.views import house
from navi.audit.problems import Problem
from navi.hub.views import errors

urlpatterns = [
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("healthz", house.healthz),
    path("readyz", house.readyz),
    path("api/", include("navi.api.urls")),
    path("hooks/", include("navi.hooks.urls")),
    path("", include("navi.hub.urls")),
]


def is_for_agents(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_for_agents(request):
        return plain_answer(request, exception)
    return errors.bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_for_agents(request):
        return plain_answer(request, exception)
    return errors.permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_for_agents(request):
        return plain_answer(request, exception)
    return errors.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponseBase:
    if is_for_agents(request):
        return plain_answer(request, Problem("internal", "Navi failed. Tell an operator the request id."))
    return errors.server_error(request)


__all__: list[Any] = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]
