"""Reads the request exactly as it was sent, and hands it on. Sessions and tokens have no part in it."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.db import Error
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from integrations.runtime import inbound
from integrations.sdk import Headers, Incoming, Reply
from navi.audit.problems import Problem
from navi.projects.rules import rule

log = logging.getLogger(__name__)
LARGEST = 5 * 2**20  # bytes; GitHub sends up to 25 MB, all others less than 1
LONGEST_QUERY = 4096
METHODS = ["GET", "HEAD", "POST"]


@rule(GET="public", POST="public")
@login_not_required
@csrf_exempt
@require_http_methods(METHODS)
def hook(request: HttpRequest, key: str) -> HttpResponse:
    """What a vendor sends to one endpoint. Whatever is refused, the answer is the same."""
    forget_cookies(request)
    incoming = as_sent(request)
    if incoming is None:
        return said(inbound.REFUSED)
    try:
        return said(inbound.receive(key, incoming))
    except (Error, Problem) as problem:
        # The vendor sends it again; what is not committed was not received.
        log.warning("A delivery could not be kept: %s", type(problem).__name__)
        return said(inbound.BUSY)


def forget_cookies(request: HttpRequest) -> None:
    """Else the middleware of sessions and CSRF would answer an odd cookie with another one."""
    request.COOKIES.clear()
    request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)


def as_sent(request: HttpRequest) -> Incoming | None:
    """The request in its own bytes; None where it is too large, cut off, compressed or has a thousand fields."""
    body = whole_body(request)
    query = request.META.get("QUERY_STRING", "")
    if body is None or len(query) > LONGEST_QUERY or request.headers.get("Content-Encoding"):
        return None
    try:
        fields = request.GET.dict()
    except SuspiciousOperation:
        return None
    url = inbound.url_at(request.path) + (f"?{query}" if query else "")
    return Incoming(str(request.method), Headers(dict(request.headers)), fields, body, url)


def whole_body(request: HttpRequest) -> bytes | None:
    """All of it: not `request.body`, which has a smaller limit, nor less than was announced."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if not (announced.isascii() and announced.isdigit() and len(announced) < 10) or int(announced) > LARGEST:
        return None
    try:
        body = request.read(LARGEST + 1)
    except (UnreadablePostError, OSError):
        return None
    return body if len(body) == int(announced) else None


def said(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, status=reply.status, content_type=reply.content_type)
    for name, value in reply.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response
