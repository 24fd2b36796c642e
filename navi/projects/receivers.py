"""Who signed in and out, for the audit; and the last uses of tokens, once answers are out."""

from __future__ import annotations

import atexit
import logging
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.signals import request_finished
from django.http import HttpRequest

from navi.audit.actor import Actor
from navi.audit.record import AuditUnavailable, record
from navi.projects import uses
from navi.projects.address import address_of
from navi.projects.models import User
from navi.projects.rights import actor_for

log = logging.getLogger(__name__)


def connect() -> None:
    user_logged_in.connect(signed_in, dispatch_uid="navi.signed_in")
    user_login_failed.connect(sign_in_failed, dispatch_uid="navi.sign_in_failed")
    user_locked_out.connect(locked_out, dispatch_uid="navi.locked_out")
    user_logged_out.connect(signed_out, dispatch_uid="navi.signed_out")
    request_finished.connect(uses.after_response, dispatch_uid="navi.uses")
    atexit.register(uses.flush_or_say)


def signed_in(request: HttpRequest | None, user: User, **_: Any) -> None:
    record("session.signed_in", actor=actor_for(user, ip=address_of(request)))


def sign_in_failed(request: HttpRequest | None, credentials: dict[str, Any], **_: Any) -> None:
    name = str(credentials.get("username") or "")
    record("session.failed", actor=somebody(request, name), outcome="refused", code="unauthenticated")


def locked_out(request: HttpRequest | None, username: str | None, **_: Any) -> None:
    record("session.locked", actor=somebody(request, username or ""), outcome="refused", code="blocked")


def somebody(request: HttpRequest | None, name: str) -> Actor:
    """Who tried. People type their password into the field for the name: two letters tell enough."""
    return Actor("person", "", f"{name[:2]}…", ip=address_of(request))


def signed_out(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if user is None:
        return
    try:
        record("session.signed_out", actor=actor_for(user, ip=address_of(request)))
    except AuditUnavailable:
        # Going out must always work: the session ends after this receiver.
        log.exception("A sign-out could not be written to the audit.")
