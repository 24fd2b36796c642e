"""What follows from a delivery: records kept, syncs asked for, once, whatever dies in the middle.

The delivery's row is the truth; jobs on the ledger only say that there may be something to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from credentials.vault import Unreadable
from integrations.models import Delivery, WebhookEndpoint
from integrations.runtime import inbound, lines, records, recovery
from integrations.runtime.lines import Line
from integrations.runtime.storing import Ready, ready
from integrations.runtime.sync_asking import ask
from integrations.runtime.vendor import ODD_SHAPE, storable
from integrations.sdk import Event, Heard, Incoming, Reconnect
from navi.audit.actor import SYSTEM, Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.audit.redact import redact
from navi.jobs import ledger, work
from navi.jobs.heartbeat import beat
from navi.jobs.models import Heartbeat, Job, pause_after

LEASE = timedelta(seconds=45)
TRIES = 5
LEFT_ALONE = timedelta(seconds=60)
SWEPT_AT_ONCE = 500
BODIES_KEPT, ROWS_KEPT = timedelta(days=30), timedelta(days=90)
FORGOTTEN_AT_ONCE = 500
ALIVE = "hooks"
SILENCE = timedelta(minutes=10)
STATES = Delivery.State
ENDED = [STATES.PROCESSED, STATES.IGNORED, STATES.DEAD]


class Unheard(Exception):
    """The plugin could not make sense of it. The words are for people and quote nothing."""


class AlreadyDone(Exception):
    """Somebody else processed it meanwhile: what this run wrote is undone."""


def process(delivery_id: str) -> None:
    """The ledger's handler: let one delivery have its effects, once. A failure waits for the next try."""
    rows = Delivery.objects.select_related(
        "endpoint__project", "endpoint__connection__current", "endpoint__connection__app"
    )
    delivery = rows.filter(pk=delivery_id, state=STATES.RECEIVED).first()
    if delivery is None:
        return
    try:
        line, incoming, heard = heard_of(delivery)
        # Sealing takes time, so it is done before the transaction.
        found = {kind: ready(items) for kind, items in heard.records.items()}
        settle(line, delivery, incoming, heard, found)
    except AlreadyDone:
        return
    except Unheard as why:
        failed(delivery, str(why))
    except (Problem, Unreadable) as why:
        failed(delivery, redact(getattr(why, "message", "What was kept of it cannot be opened.")))
    except ODD_SHAPE as bug:
        work.tell(f"Keeping what the plugin {delivery.endpoint.plugin} made of a delivery", bug)
        failed(delivery, f"What the plugin made of it cannot be kept ({type(bug).__name__}).")


def heard_of(delivery: Delivery) -> tuple[Line, Incoming, Heard]:
    """What the plugin makes of it. Raises Problem, Unheard."""
    line = lines.line_of(delivery.endpoint)
    incoming = inbound.incoming_of(delivery)
    endpoint, account = delivery.endpoint, delivery.endpoint.connection
    event = Event(
        delivery.event_type, delivery.vendor_id, incoming, endpoint.resource, endpoint.registration,
        account.account_id if account else "",
    )  # fmt: skip
    hear = line.webhook.hear_function
    if hear is None:
        return line, incoming, Heard(summary="Kept. This plugin does nothing with it.", is_ignored=True)
    try:
        return line, incoming, hear(event)
    except Exception as bug:
        work.tell(f"The plugin {line.plugin.slug}, hearing of {event.type or 'a delivery'},", bug)
        raise Unheard(f"The plugin {line.plugin.name} has a fault ({type(bug).__name__}).") from None


# --- once, and all of it


@transaction.atomic
def settle(
    line: Line, delivery: Delivery, incoming: Incoming, heard: Heard, found: Mapping[str, Sequence[Ready]]
) -> None:
    """All effects and the word that they are done, in one transaction. Raises AlreadyDone, Problem."""
    now, account = timezone.now(), line.endpoint.connection
    if account is not None:
        for kind, items in found.items():
            # The project's clock is locked first of all, as by the syncs.
            records.keep(account, line.plugin.slug, kind, items, part=heard.part, at=now)
    locked = Delivery.objects.select_for_update().filter(pk=delivery.pk, state=STATES.RECEIVED)
    if not locked.values_list("pk").first():
        raise AlreadyDone
    if account is not None:
        ask_for_syncs(line, heard)
    note_heard(line, incoming, at=now)
    state = STATES.IGNORED if heard.is_ignored else STATES.PROCESSED
    delivery.settle(
        state, summary=storable(redact(heard.summary))[:300], processed_at=now, last_error="",
        attempts=delivery.attempts + 1,
    )  # fmt: skip
    if not heard.is_ignored:
        note(delivery, "delivery.processed", SYSTEM)
    if heard.revoked and account is not None:
        words = f"{line.entry.name} says that the access was ended there. Reconnect it."
        recovery.note_failure(account, Reconnect(words), is_use=False)


def ask_for_syncs(line: Line, heard: Heard) -> None:
    account = line.endpoint.connection
    kinds = [kind for kind in heard.syncs if kind in line.plugin.syncs]
    if kinds and account is not None:
        ask(account, line.plugin.slug, kinds, part=heard.part, asked_by=f"{line.entry.name} webhook")


def note_heard(line: Line, incoming: Incoming, *, at: datetime) -> None:
    """That it lives; and by the vendor's counting, whether something is missing."""
    endpoint = line.endpoint
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    # A busy endpoint's row is not written for each delivery.
    rows.filter(Q(last_delivery_at=None) | Q(last_delivery_at__lt=at - timedelta(seconds=5))).update(
        last_delivery_at=at
    )
    number = number_of(line, incoming)
    if number is None or not rows.filter(Q(last_number=None) | Q(last_number__lt=number)).update(
        last_number=number
    ):
        return
    # Two workers may overtake each other; a sync too many does no harm.
    if endpoint.last_number is not None and number > endpoint.last_number + 1:
        catch_up(endpoint, "Deliveries are missing")


def number_of(line: Line, incoming: Incoming) -> int | None:
    found = inbound.told(line.webhook.number, incoming) if line.webhook.number else ""
    return int(found) if found.isascii() and found.isdigit() and len(found) <= 15 else None


def catch_up(endpoint: WebhookEndpoint, why: str) -> None:
    """Deliveries may have been missed: read everything that the plugin syncs, from where it stands."""
    line = lines.line_of(endpoint)
    kinds = [kind for kind, one in line.plugin.syncs.items() if one.direction == "pull"]
    if endpoint.connection is None or not kinds:
        return
    ask(endpoint.connection, line.plugin.slug, kinds, asked_by=f"webhook: {why}")
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(caught_up_at=timezone.now())


# --- when it does not work out


@transaction.atomic
def failed(delivery: Delivery, reason: str) -> None:
    """Once more after a pause, five times; then it is a dead letter that a person can replay."""
    now = timezone.now()
    rows = Delivery.objects.filter(pk=delivery.pk, state=STATES.RECEIVED)
    attempts = delivery.attempts + 1
    if attempts >= TRIES:
        if rows.update(state=STATES.DEAD, attempts=attempts, last_error=reason[:300], processed_at=now):
            note(delivery, "delivery.failed", SYSTEM, outcome="failed", reason=reason)
        return
    due_at = now + pause_after(attempts)
    if rows.update(attempts=attempts, last_error=reason[:300], due_at=due_at):
        ledger.enqueue_all("delivery", {str(delivery.pk): due_at})


def note(delivery: Delivery, event: str, actor: Actor, *, outcome: str = "ok", reason: str = "") -> None:
    endpoint = delivery.endpoint
    detail = {"delivery": str(delivery.pk), "type": delivery.event_type, "vendorId": delivery.vendor_id}
    record(
        event, actor=actor, project=endpoint.project, provider=endpoint.provider, plugin=endpoint.plugin,
        connection=endpoint.connection, outcome=outcome, detail={**detail, **({"reason": reason} if reason else {})},
    )  # fmt: skip


def replay(delivery: Delivery, actor: Actor) -> None:
    """Process it again; records are written over, so nothing happens twice. Raises Problem `conflict`."""
    if not delivery.body:
        raise Problem("conflict", "Its content was deleted after thirty days, so it cannot be replayed.")
    now = timezone.now()
    again = {"state": STATES.RECEIVED, "attempts": 0, "due_at": now, "replays": F("replays") + 1}
    with transaction.atomic():
        if not Delivery.objects.filter(pk=delivery.pk, state__in=ENDED).update(**again, processed_at=None):
            raise Problem("conflict", "It is being processed already.")
        note(delivery, "delivery.replayed", actor)
        ledger.enqueue_all("delivery", {str(delivery.pk): now})
    delivery.refresh_from_db()


# --- each minute


def take_up_left_over() -> None:
    """The sweeper: what was received and has no job any more gets one, counted as a try."""
    now = timezone.now()
    rows = Delivery.objects.left_over(now - LEFT_ALONE).select_related("endpoint__project").order_by("due_at")
    found = {str(row.pk): row for row in rows.defer("body")[:SWEPT_AT_ONCE]}
    waiting = Job.objects.waiting().filter(kind="delivery", object_id__in=list(found))
    has_job = set(waiting.values_list("object_id", flat=True))
    for name in found.keys() - has_job:
        with transaction.atomic():
            left_over(found[name], at=now)


def left_over(delivery: Delivery, *, at: datetime) -> None:
    """Its job died with its worker, more than once perhaps: it may be what kills them."""
    rows = Delivery.objects.filter(pk=delivery.pk, state=STATES.RECEIVED)
    if delivery.attempts + 1 >= TRIES:
        reason = "Its worker was lost each time it was processed."
        if rows.update(state=STATES.DEAD, attempts=F("attempts") + 1, last_error=reason, processed_at=at):
            note(delivery, "delivery.failed", SYSTEM, outcome="failed", reason=reason)
    elif rows.update(attempts=F("attempts") + 1, due_at=at):
        ledger.enqueue_all("delivery", {str(delivery.pk): at})


def catch_up_after_silence() -> None:
    """Nobody was here for a while: vendors may have given up sending. Read what was missed."""
    now = timezone.now()
    before = Heartbeat.objects.filter(name=ALIVE).values_list("at", flat=True).first()
    beat(ALIVE, at=now)
    if before is None or now - before < SILENCE:
        return
    rows = WebhookEndpoint.objects.filter(state=WebhookEndpoint.State.ACTIVE, is_paused=False)
    for endpoint in rows.exclude(connection=None).select_related("project", "connection"):
        try:
            catch_up(endpoint, "Navi was down")
        except Problem:  # its plugin is no longer installed
            continue


def forget_old() -> None:
    """Content after thirty days; the row, which knows a repeated delivery, after ninety."""
    now = timezone.now()
    old = Delivery.objects.filter(state__in=ENDED)
    bodies = old.filter(received_at__lt=now - BODIES_KEPT, body__isnull=False).values("pk")[
        :FORGOTTEN_AT_ONCE
    ]
    Delivery.objects.filter(pk__in=list(bodies.values_list("pk", flat=True))).update(body=None)
    rows = old.filter(received_at__lt=now - ROWS_KEPT).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
    Delivery.objects.filter(pk__in=list(rows)).delete()
