"""The closed list of error codes, and the one exception by which the house refuses.

Every error an agent or a person meets has one of these codes (contract.md, "Errors"). A vendor's
failures are navi.net.errors; they carry the same attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Meaning:
    status: int  # HTTP
    action: str  # the seeds' recovery action, and those of the contract beside them
    words: str  # for the manual


CODES: Mapping[str, Meaning] = {
    "invalid_input": Meaning(400, "fail", "The request is malformed. The message names the field."),
    "invalid_credentials": Meaning(
        400, "fail", "The vendor, or the format check, refused these credentials."
    ),
    "too_large": Meaning(413, "fail", "The body is larger than Navi takes."),
    "unsupported_media_type": Meaning(415, "fail", "Send JSON, with Content-Type: application/json."),
    "unauthenticated": Meaning(401, "upgrade_token", "There is no agent token, or it is expired or revoked."),
    "disabled": Meaning(403, "enable", "The integration is switched off here."),
    "out_of_scope": Meaning(403, "upgrade_token", "The token has not got the scope this needs."),
    "blocked": Meaning(403, "fail", "The operator, or Navi's guard, does not allow it."),
    "approval_denied": Meaning(403, "fail", "A person decided against it."),
    "unknown": Meaning(404, "fail", "There is no such thing, or it is not yours."),
    "method_not_allowed": Meaning(405, "fail", "The address does not take this method."),
    "not_connected": Meaning(409, "reauth", "Nobody has connected this service here yet."),
    "reauth_required": Meaning(
        409, "reauth", "The credential is no longer accepted. A person must reconnect."
    ),
    "oauth_app_missing": Meaning(
        409, "fail", "No OAuth app is set up for this service. An admin adds one, once."
    ),
    "no_token": Meaning(409, "fail", "This kind of login has no token that could be handed out."),
    "conflict": Meaning(409, "fail", "It clashes with something that exists."),
    "idempotency_conflict": Meaning(422, "fail", "The idempotency key was used with other arguments."),
    "vendor_refused": Meaning(422, "fail", "The vendor refused the content."),
    "missing_scopes": Meaning(424, "grant_scopes", "The connected account has not granted what this needs."),
    "rate_limited": Meaning(429, "wait", "The vendor's limit is reached."),
    "vendor_unavailable": Meaning(502, "retry_later", "The vendor failed, or did not answer in time."),
    "outcome_unknown": Meaning(502, "fail", "The call was cut off. Look at the vendor before repeating it."),
    "internal": Meaning(500, "retry_later", "Navi failed. Tell an operator the request id."),
    "sealed": Meaning(503, "retry_later", "Navi has not got its keys."),
    "credential_unreadable": Meaning(
        503, "reauth", "The stored credential is damaged. A person must reconnect."
    ),
    "audit_unavailable": Meaning(503, "retry_later", "The audit cannot be written, so nothing leaves."),
    "busy": Meaning(503, "retry", "Navi is busy. Try again in a moment."),
    "approval_required": Meaning(202, "approve", "A person has to approve it first."),
}


class Problem(Exception):
    """A refusal with its code, a sentence for whoever meets it, and what is known beside it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        missing_scopes: Sequence[str] = (),
        retry_at: datetime | None = None,
        provider: str = "",
        connection_id: object = None,
        cli: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, field
        self.errors, self.scopes = tuple(errors), tuple(missing_scopes)
        self.retry_at, self.provider, self.cli = retry_at, provider, cli
        self.connection_id = connection_id
