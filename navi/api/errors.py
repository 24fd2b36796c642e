"""Every error in the one shape, always with the next step."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions

from credentials.vault import Unreadable, VaultSealed
from integrations.runtime.recovery import NextStep, next_step
from integrations.sdk import InvalidArguments, VendorError
from navi.audit.middleware import current_request_id
from navi.audit.problems import Problem

log = logging.getLogger(__name__)
RETRY_AFTER = 5


def handle(error: Exception, context: dict[str, Any]) -> JsonResponse:
    """DRF's exception handler: nothing gets out in another shape."""
    # Not `request.auth`: asking for it would authenticate again, and fail again.
    token = getattr(context.get("request"), "_auth", None)
    return told(next_step(known(error), project_slug=token.project.slug if token else ""))


def told(step: NextStep) -> JsonResponse:
    """JSON, whatever the view itself speaks."""
    response = JsonResponse(body_of(step), status=step.status)
    for name, value in headers_of(step).items():
        response[name] = value
    return response


def known(error: Exception) -> Exception:
    """The error as one of ours; what nobody expected is logged and becomes `internal`."""
    if isinstance(error, Problem | VendorError | InvalidArguments):
        return error
    if isinstance(error, Http404):
        return Problem("unknown", "There is nothing at this address.")
    if isinstance(error, exceptions.APIException):
        return from_framework(error)
    if isinstance(error, RequestDataTooBig):
        return Problem("too_large", "The body is larger than 2 MiB.")
    if isinstance(error, SuspiciousOperation | BadRequest):
        return Problem("invalid_input", "The request is malformed.")
    if isinstance(error, VaultSealed):
        return Problem("sealed", f"Navi cannot open secrets now: {error}")
    if isinstance(error, Unreadable):
        return Problem("credential_unreadable", "What was stored for this is damaged.")
    if isinstance(error, PermissionDenied):
        return Problem("out_of_scope", "This is not allowed here.")
    if isinstance(error, OperationalError | InterfaceError):
        log.warning("The database did not take a request: %s", type(error).__name__)
        return Problem("busy", "Navi's database is busy. Try again in a moment.")
    log.error("Request %s failed", current_request_id.get(), exc_info=error)
    return Problem("internal", "Navi failed. Tell an operator the request id.")


def from_framework(error: exceptions.APIException) -> Problem:
    if isinstance(error, exceptions.ValidationError):
        return from_validation(error)
    kinds: tuple[tuple[type[Exception], str, str], ...] = (
        (exceptions.MethodNotAllowed, "method_not_allowed", "This address does not take this method."),
        (
            exceptions.UnsupportedMediaType,
            "unsupported_media_type",
            "Send JSON, with Content-Type: application/json.",
        ),
        (exceptions.ParseError, "invalid_input", "The body is malformed."),
        (exceptions.NotFound, "unknown", "There is nothing at this address."),
    )
    for kind, code, words in kinds:
        if isinstance(error, kind):
            return Problem(code, words)
    return Problem("invalid_input", "The request is malformed.")


def from_validation(error: exceptions.ValidationError) -> Problem:
    """A serializer's complaints: the first is the message, all are listed."""
    found = list(complaints(error.detail))
    first = found[0] if found else {"field": "", "message": "The body does not fit."}
    words = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return Problem("invalid_input", words, field=first["field"] or None, errors=found)


def complaints(detail: Any, path: str = "") -> Any:
    if isinstance(detail, dict):
        for key, value in detail.items():
            name = "" if key == "non_field_errors" else str(key)
            yield from complaints(value, f"{path}.{name}".strip("."))
    elif isinstance(detail, list):
        for value in detail:
            yield from complaints(value, path)
    else:
        yield {"field": path, "message": str(detail)}


def body_of(step: NextStep) -> dict[str, Any]:
    error: dict[str, Any] = {
        "code": step.code,
        "message": step.message,
        "provider": step.provider or None,
        "action": step.action,
        "retryAt": iso(step.retry_at),
        "waitMs": step.wait_ms,
        "link": step.link,
        "cli": step.cli,
        "missingScopes": list(step.missing_scopes),
        "requestId": current_request_id.get(),
    }
    if step.field:
        error["field"] = step.field
    if step.errors:
        error["errors"] = list(step.errors)
    return {"error": error}


def iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def headers_of(step: NextStep) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if step.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Navi"'
    if step.status in {429, 503}:
        wait = (step.wait_ms + 999) // 1000 if step.wait_ms is not None else RETRY_AFTER
        headers["Retry-After"] = str(wait)
    return headers


def plain_answer(request: HttpRequest, error: Exception) -> JsonResponse:
    """The same shape outside REST framework: unknown addresses below /api/, and the last resort."""
    return told(next_step(known(error)))
