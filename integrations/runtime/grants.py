"""Keep a connection's access alive, and write down what came of it: its health, and the audit."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from credentials import refresh
from credentials.asker import Freshness, saved_answers
from credentials.client import fields_of
from credentials.life import LONGEST_PAUSE, GivenUp, StillHeld, needs_refresh, still_works
from credentials.models import USABLE, Connection, Secret
from integrations import policy, registry
from integrations.models import Provider
from integrations.registry import Entry
from integrations.runtime import recovery
from integrations.runtime.pacing import spread
from integrations.sdk import VendorError
from navi.audit.actor import SYSTEM
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.jobs.ledger import enqueue_all

# A token younger than this is not renewed because of a 401: an agent may ask for what is refused for ever.
YOUNGEST_RENEWED = timedelta(seconds=60)
DUE_AT_ONCE = 2000


def kept_alive(
    connection: Connection, entry: Entry, *, min_ttl: float = 0, refused_generation: int | None = None
) -> Freshness:
    """The connection with a token that works, renewed where it is due. Raises VendorError, Problem.

    Costs no query where nothing is due.
    """
    if connection.auth_kind != "oauth" or not needs_refresh(connection, min_ttl, refused_generation):
        return Freshness(connection)
    remote = entry.remote(auth_kind=connection.auth_kind)
    try:
        found = refresh.fresh(connection, remote, min_ttl=min_ttl, refused_generation=refused_generation)
    except VendorError as error:
        written_down(connection, entry, error)
        raise recovery.of_connection(error, connection) from None
    if found.error is not None:
        written_down(connection, entry, found.error)
    elif found.was_refreshed:
        renewed(connection, entry)
    return found


def renewed(connection: Connection, entry: Entry) -> None:
    about(connection, entry, "connection.refreshed")
    recovery.note_success(connection, is_use=False)


def written_down(connection: Connection, entry: Entry, error: VendorError) -> None:
    """A refresh did not work out."""
    if not is_news(connection, error):
        return
    about(connection, entry, "connection.refresh_failed", outcome="failed", code=error.code)
    recovery.note_failure(connection, error, is_use=False)


def is_news(connection: Connection, error: VendorError) -> bool:
    """A wait for somebody else is none, nor what was told before; that a token reached its end is."""
    if isinstance(error, GivenUp):
        return connection.state in USABLE and not still_works(connection)
    return error.code != "busy" and not isinstance(error, StillHeld)


def about(connection: Connection, entry: Entry, event: str, **facts: Any) -> None:
    record(
        event, actor=SYSTEM, project=connection.project, provider=entry.slug, connection=connection, **facts
    )


def may_renew(connection: Connection, entry: Entry, status: int | None) -> bool:
    """Is this answer, a refusal of the token, worth one refresh? Not right after the last one."""
    if connection.auth_kind != "oauth" or status != 401 or not is_renewable(connection, entry):
        return False
    return connection.issued_at is None or timezone.now() - connection.issued_at > YOUNGEST_RENEWED


def is_renewable(connection: Connection, entry: Entry) -> bool:
    """Did it come with a refresh token? Without one, a 401 to an odd address must not end it for everybody."""
    return "refresh_token" in fields_of(connection, entry.remote(auth_kind=connection.auth_kind))


# --- by schedule


def enqueue_due() -> None:
    """Each minute: renew what has used up most of its life, and take up answers that nobody read."""
    now = timezone.now()
    enqueue_all("refresh", spread(due_now(now), at=now))


def due_now(now: Any) -> list[tuple[Any, str]]:
    forgotten = Secret.objects.filter(
        answers_generation=F("connection__generation"), created_at__lt=now - timedelta(minutes=1)
    )
    is_held = Q(hold_until__gt=now, hold_until__lte=now + LONGEST_PAUSE)
    is_due = Q(refresh_at__lte=now, state__in=USABLE, refusals__lt=2) & (Q(hold_until=None) | ~is_held)
    rows = Connection.objects.filter(is_due | Q(pk__in=forgotten.values("connection")), enabled=True)
    # They stay due for ever, and would take the turn of the others.
    blocked = Provider.objects.filter(is_blocked=True)
    rows = rows.filter(project__archived_at=None).exclude(provider__in=blocked.values("slug"))
    return list(rows.order_by("refresh_at").values_list("pk", "provider")[:DUE_AT_ONCE])


def run_job(connection_id: str) -> None:
    """The ledger's handler: renew one connection's access ahead of its end."""
    rows = Connection.objects.select_related("current", "project", "app")
    connection = rows.filter(pk=connection_id).first()
    if connection is None or not connection.enabled:
        return
    if not connection.is_usable and not saved_answers(connection).exists():
        return
    if connection.project and connection.project.archived_at:
        return
    with suppress(Problem):
        entry = registry.entry(connection.provider, connection.project_id)
        policy.check_not_blocked(entry)
        policy.check_approved(entry)
        ahead(connection, entry)


def ahead(connection: Connection, entry: Entry) -> None:
    remote = entry.remote(auth_kind=connection.auth_kind)
    if remote.oauth is None:
        return
    try:
        found = refresh.ahead(connection, remote)
    except VendorError as error:
        written_down(connection, entry, error)  # and held back: a later minute looks again
        return
    if found.was_refreshed and found.error is None:
        renewed(connection, entry)
