"""Is Navi alive, is it ready, and what does its API look like."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView

from navi.api.errors import plain_answer
from navi.api.reference import groups
from navi.audit.problems import Problem
from navi.jobs.heartbeat import worker_is_alive
from navi.keyring import KeyringProblem
from navi.projects.rules import Rule, rule


@login_not_required
@rule(GET="public")
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive: this process answers."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@rule(GET="public")
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Ready: database, keyring and worker are there. No detail beyond yes and no."""
    found = {"database": database_answers(), "keyring": keyring_is_there()}
    found["worker"] = found["database"] and worker_is_alive(timezone.now())
    ready = all(found.values())
    return JsonResponse({"ready": ready, **found}, status=200 if ready else 503)


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def keyring_is_there() -> bool:
    try:
        settings.NAVI_KEYS.keyring()
        settings.NAVI_KEYS.pepper()
    except KeyringProblem:
        return False
    return True


@csrf_exempt
@login_not_required
@rule(ANY="public")
def nowhere(request: HttpRequest, path: str = "") -> JsonResponse:
    """Below /api/ even an unknown address answers in the one shape."""
    return plain_answer(request, Problem("unknown", "There is nothing at this address. See /api/docs."))


class Schema(SpectacularAPIView):
    navi_rule = Rule({"GET": "public"})
    authentication_classes = ()
    permission_classes = ()


@login_not_required
@rule(GET="public")
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The schema as a page; it loads nothing from elsewhere and needs no script."""
    context = {"groups": groups(), "schema_url": "/api/schema", "page_title": "API for agents"}
    return render(request, "api/reference.html", context)
