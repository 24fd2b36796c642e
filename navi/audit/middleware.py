"""Every request has an id, and every answer says it. What a request opened is forgotten at its end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from navi.audit.redact import known_values

current_request_id: ContextVar[str] = ContextVar("request_id", default="")


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Our own, whatever the visitor sends: an id that a stranger chose would lead an investigation astray.
        request_id = uuid.uuid4().hex
        marker = current_request_id.set(request_id)
        request.request_id = request_id  # type: ignore[attr-defined]
        try:
            with known_values():
                response = self.get_response(request)
        finally:
            current_request_id.reset(marker)
        response["X-Request-Id"] = request_id
        return response
