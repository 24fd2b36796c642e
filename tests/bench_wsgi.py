"""Navi as it is, with two views more: bare ones that read a row and insert one, to compare with."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from navi.wsgi import application

__all__ = ["application"]


@login_not_required
def bare(request: HttpRequest) -> JsonResponse:
    from navi.projects.models import Project

    project = Project.objects.get(slug="bench")
    return JsonResponse({"slug": project.slug, "name": project.name})


@login_not_required
@csrf_exempt
def insert(request: HttpRequest) -> HttpResponse:
    from integrations.models import Milestone

    Milestone.objects.create(kind="bench", value=float(len(request.body)))
    return HttpResponse()


def add() -> None:
    from navi import urls

    urls.urlpatterns[:0] = [path("bench/bare", bare), path("bench/insert", insert)]


add()
