"""After every call: what it says about the connection, and what helps next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from credentials.life import hold_for, still_works
from credentials.models import Connection, Health, State
from integrations.models import IntegrationStatus, Milestone
from integrations.runtime import notices
from integrations.sdk import Blocked, MissingScopes, Reconnect, Refused, TryLater, VendorError
from navi.audit.problems import CODES
from navi.audit.redact import redact
from navi.net.errors import OF_THE_ANSWER

USE_NOTED_EVERY = timedelta(seconds=60)


@dataclass(frozen=True)
class NextStep:
    """An error as people and agents meet it: what happened, and what helps (contract.md, "Errors")."""

    code: str
    message: str
    action: str
    status: int
    provider: str = ""
    retry_at: datetime | None = None
    link: str | None = None
    cli: str | None = None
    missing_scopes: tuple[str, ...] = ()
    field: str | None = None
    errors: tuple[Any, ...] = ()

    @property
    def wait_ms(self) -> int | None:
        if self.retry_at is None:
            return None
        return max(0, int((self.retry_at - datetime.now(UTC)).total_seconds() * 1000))


def next_step(error: Exception, *, project_slug: str = "", connection: Connection | None = None) -> NextStep:
    """The next step for a Problem or a VendorError."""
    code = getattr(error, "code", "internal")
    meaning = CODES.get(code, CODES["internal"])
    retry_at = getattr(error, "retry_at", None)
    # A time that somebody named is waited for; without one a guess that grows with each failure.
    is_told = meaning.action == "retry_later" and retry_at is not None
    provider = getattr(error, "provider", "") or (connection.provider if connection else "")
    connection_id = getattr(error, "connection_id", None) or (connection.pk if connection else None)
    return NextStep(
        code=code,
        message=getattr(error, "message", "Navi failed."),
        action="wait" if is_told else meaning.action,
        status=status_of(error, meaning.status),
        provider=provider,
        retry_at=retry_at or getattr(error, "guessed_at", None),
        link=link_for(code, project_slug, provider, connection_id),
        cli=getattr(error, "cli", None) or cli_for(code, provider),
        missing_scopes=tuple(getattr(error, "scopes", ())),
        field=getattr(error, "field", None),
        errors=tuple(getattr(error, "errors", ())),
    )


def status_of(error: Exception, usual: int) -> int:
    if getattr(error, "timed_out", False):
        return 504
    return usual


def link_for(code: str, project_slug: str, provider: str, connection_id: object) -> str | None:
    """A plain address that needs sign-in, never a grant."""
    if not project_slug:
        return None
    here = f"{settings.BASE_URL}/p/{project_slug}"
    page = f"{here}/integrations/{provider}" if provider else f"{here}/integrations"
    if code in {"reauth_required", "credential_unreadable"}:
        return f"{page}?reconnect={connection_id}" if connection_id else page
    places = {
        "not_connected": f"{page}?connect=1",
        "disabled": f"{page}#toggles",
        "missing_scopes": f"{page}?{'reconnect=' + str(connection_id) if connection_id else 'connect=1'}",
        "oauth_app_missing": f"{page}?oauth_app=1",
        "no_token": page,
        "invalid_credentials": f"{page}?connect=1",
        "out_of_scope": f"{here}/agents",
        "unauthenticated": f"{here}/agents",
        "vendor_unavailable": page,
        "rate_limited": page,
        "approval_required": f"{here}/approvals",
        "approval_denied": f"{here}/approvals",
    }
    return places.get(code) or f"{settings.BASE_URL}/help/errors#{code}"


def cli_for(code: str, provider: str) -> str | None:
    if provider and CODES.get(code, CODES["internal"]).action == "reauth":
        return f"navi-integrations connect {provider}"
    return None


# --- what a call says about the connection

# What our own guard refuses because of what was sent or how large the answer was: no word about the account.
OF_THE_CALL = OF_THE_ANSWER | {
    "bad_path", "bad_header", "bad_method", "bad_character", "too_long", "other_origin", "dot_segment", "fragment",
}  # fmt: skip


def of_connection(error: VendorError, connection: Connection) -> VendorError:
    """The error, saying whose call it was, and when to come back where nobody said."""
    error.provider, error.connection_id = connection.provider, connection.pk
    if isinstance(error, TryLater) and error.retry_at is None:
        error.guessed_at = timezone.now() + hold_for(connection.error_count)
    return error


def note_use(connection: Connection, *, at: datetime | None = None) -> None:
    """Somebody used it; what the vendor thinks of that is not known. Writes at most once a minute."""
    at = at or timezone.now()
    if connection.last_used_at is None:
        note_first_use(connection, at=at)
    if is_stale(connection.last_used_at, at):
        Connection.objects.filter(pk=connection.pk).update(last_used_at=at)


def note_first_use(connection: Connection, *, at: datetime) -> None:
    """For "time to first use": once per connection, however it is used."""
    if Connection.objects.filter(pk=connection.pk, last_used_at=None).update(last_used_at=at):
        connection.last_used_at = at
        milestone("first_use", connection, value=(at - connection.created_at).total_seconds())


def note_success(connection: Connection, *, is_use: bool = True, at: datetime | None = None) -> None:
    """The vendor accepted the credentials. Writes only where that is news, or once a minute."""
    at = at or timezone.now()
    if is_ill(connection) and not is_ending(connection):
        become_healthy(connection, at=at)
    if is_use:
        note_use(connection, at=at)


def is_ill(connection: Connection) -> bool:
    return (
        connection.error_count > 0
        or connection.health != Health.HEALTHY
        or connection.state == State.DEGRADED
    )


def is_ending(connection: Connection) -> bool:
    """Its token works until its end, and cannot be renewed: a call that succeeds does not change that."""
    return connection.refusals > 1


def is_stale(last_used_at: datetime | None, at: datetime) -> bool:
    return last_used_at is None or at - last_used_at > USE_NOTED_EVERY


def become_healthy(connection: Connection, *, at: datetime) -> None:
    """Well again, unless the state has changed since the call began: a late answer must not undo that."""
    changes: dict[str, Any] = {
        "health": Health.HEALTHY, "health_reason": "", "health_since": at,
        "last_success_at": at, "state": State.ACTIVE, "state_reason": "", "last_error": "",
    }  # fmt: skip
    if apply(connection, changes, only=[connection.state]):
        note_recovered(connection)
        roll_up(connection)


def note_failure(
    connection: Connection, error: VendorError, *, is_use: bool = True, at: datetime | None = None
) -> None:
    """The call failed. What it means for the connection depends on whose fault it is."""
    at = at or timezone.now()
    reason = redact(error.message)[:300]
    used = {"last_used_at": at} if is_use else {}
    if is_of_the_call(error):
        # The vendor, or our own guard, said no to the content: the account is well.
        apply(connection, {"last_error": reason, **used})
        return
    health, changes = verdict(error, connection)
    if connection.health != health:
        changes["health_since"] = at
    changes |= {"health": health, "health_reason": reason, "last_error": reason, **used}
    is_first = falls_ill(connection)
    if apply(connection, {**changes, "error_count": F("error_count") + (0 if is_first else 1)}):
        roll_up(connection)
        if isinstance(error, Reconnect):
            notices.went(connection, reason)
    if is_first:
        milestone("recovery_attempted", connection)


def is_of_the_call(error: VendorError) -> bool:
    if isinstance(error, Refused | MissingScopes) or error.code == "busy":
        return True
    return isinstance(error, Blocked) and error.reason in OF_THE_CALL


def falls_ill(connection: Connection) -> bool:
    """Was it well until now? Of several calls that fail at once, one is the first."""
    same = Connection.objects.filter(pk=connection.pk, generation=connection.generation, error_count=0)
    return bool(same.update(error_count=1))


def note_recovered(connection: Connection) -> None:
    """It was ill and works again, by itself or because a person reconnected it: once per illness."""
    if Connection.objects.filter(pk=connection.pk, error_count__gt=0).update(error_count=0):
        milestone("recovery_succeeded", connection)
        notices.returned(connection)
    connection.error_count = 0


def milestone(kind: str, connection: Connection, *, value: float | None = None) -> None:
    """The connection's id ties the end of an illness to its beginning."""
    Milestone.objects.create(
        kind=kind,
        provider=connection.provider,
        project_id=connection.project_id,
        attempt=connection.pk,
        value=value,
    )


def verdict(error: VendorError, connection: Connection) -> tuple[Health, dict[str, Any]]:
    """Red is for what needs a person, yellow for what passes, and for a token that still works."""
    if isinstance(error, Reconnect) and is_ending(connection) and still_works(connection):
        return Health.DEGRADED, {}
    if isinstance(error, Reconnect):
        return Health.FAILED, {"state": State.REAUTH_REQUIRED, "state_reason": redact(error.message)[:300]}
    if isinstance(error, Blocked):
        return Health.FAILED, {}
    return Health.DEGRADED, {}


def apply(connection: Connection, changes: dict[str, Any], *, only: Sequence[str] = ()) -> bool:
    """Write what a call showed, if the credentials that it was made with are still in force."""
    rows = Connection.objects.filter(pk=connection.pk, generation=connection.generation)
    rows = rows.filter(state__in=only) if only else rows
    changed = bool(rows.update(**changes))
    if changed:
        connection.refresh_from_db(fields=list(changes))
    return changed


def roll_up(connection: Connection) -> None:
    """Carry the default connection's health into the provider's status of its scope."""
    if not connection.is_default:
        return
    owner: dict[str, Any] = {"project_id": connection.project_id, "user_id": connection.user_id}
    facts: dict[str, Any] = {
        "status": connection.health, "reason": connection.health_reason,
        "since": connection.health_since or timezone.now(),
        "last_check_at": connection.last_check_at, "last_success_at": connection.last_success_at,
        "next_check_at": connection.next_check_at, "error_count": connection.error_count,
        "error_message": connection.last_error if connection.error_count else "",
    }  # fmt: skip
    IntegrationStatus.objects.update_or_create(provider=connection.provider, **owner, defaults=facts)
