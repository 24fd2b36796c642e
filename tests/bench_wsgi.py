"""Navi as it is, with one view more: a bare one that reads a row, to compare with."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import path

from navi.wsgi import application

__all__ = ["application"]


@login_not_required
def bare(request: HttpRequest) -> JsonResponse:
    from navi.projects.models import Project

    project = Project.objects.get(slug="bench")
    return JsonResponse({"slug": project.slug, "name": project.name})


def add() -> None:
    from navi import urls

    urls.urlpatterns.insert(0, path("bench/bare", bare))


add()
