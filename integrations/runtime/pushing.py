"""What agents put into a queue, and a push sync sends on schedule: in its order, each call once."""

from __future__ import annotations

import time
import uuid
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations import registry
from integrations.models import ActionRun, SyncState
from integrations.runtime import approvals, execute, holding, runs
from integrations.runtime.plan import Plan, prepare
from integrations.runtime.runs import State, Waits
from integrations.sdk import Call, InvalidArguments, Result, Sync, VendorError
from navi.audit.problems import Problem
from navi.audit.record import record, recorded
from navi.projects import tokens
from navi.projects.errors import BadToken

LONGEST = 90.0  # seconds for one job; what is left goes on in the next


# --- into the queue


def queue(call: Call, kind: str) -> Result:
    """Check the call and keep it for the push sync `kind`: raises Waits. The answer, where it was sent before.

    Raises Problem, InvalidArguments as `execute.run`; under an ask rule it waits for a person first.
    """
    with recorded("action.queued", actor=call.actor, project=call.project, detail={"queue": kind}) as told:
        plan = prepare(call, told)
        check_queue(plan, kind)
        known = runs.earlier(plan)
        if known is not None and known.state not in runs.UNSENT:
            told.event = "action.run"
            return execute.answered(plan, known)
        row = known or (holding.hold(plan, queue=kind) if plan.ruling.asks else queued(plan, kind))
        told.is_told = True
    return execute.go_on(row, call.actor)


def check_queue(plan: Plan, kind: str) -> None:
    """Raises Problem where this plugin sends no such action that way, or not for this account."""
    sync = push_of(plan, kind)
    if plan.action.name not in sync.actions:
        words = (
            f"The queue “{kind}” takes {', '.join(sync.actions)}; call {plan.action.name} without a queue."
        )
        raise Problem("invalid_input", words, field="queue")
    if plan.connection.project_id is None:
        words = "Only the project's own accounts have queues. Name one of them, or call without a queue."
        raise Problem("conflict", words, provider=plan.entry.slug)


def push_of(plan: Plan, kind: str) -> Sync:
    sync = plan.action.plugin.syncs.get(kind)
    if sync is None or sync.direction != "push":
        raise Problem("invalid_input", f"{plan.action.plugin.name} has no queue “{kind}”.", field="queue")
    return sync


def queued(plan: Plan, kind: str) -> ActionRun:
    with transaction.atomic():
        row = holding.kept(plan, State.QUEUED, queue=kind, due_at=timezone.now())
        record(
            "action.queued", actor=plan.call.actor, project=plan.call.project, provider=plan.entry.slug,
            plugin=row.plugin, action=row.action, connection=plan.connection,
            detail={"run": str(row.pk), "queue": kind, "arguments_hash": row.arguments_hash},
        )  # fmt: skip
    return row


def sent_at(row: ActionRun) -> datetime:
    """When the schedule will come to a queued run, as far as is known."""
    place = {"connection_id": row.connection_id, "plugin": row.plugin, "kind": row.queue}
    known = SyncState.objects.filter(**place).values_list("next_run_at", flat=True).first()
    if known is not None:
        return max(known, timezone.now())
    _, plugin = registry.plugin(row.plugin, row.project_id)
    sync = plugin.syncs.get(row.queue)
    return timezone.now() + sync.every if sync else timezone.now()


# --- out of it


def send(state: SyncState) -> None:
    """Send what is queued at this account, the oldest first, each as its agent may now.

    What is refused is marked so, and the next one is sent. Raises TryLater, or a passing Problem, where the
    vendor or Navi cannot now: that call and all after it stay as they are.
    """
    until, tried = time.monotonic() + LONGEST, set[uuid.UUID]()
    while (row := first_of(state, tried)) is not None:
        if time.monotonic() > until:
            SyncState.objects.filter(pk=state.pk).update(next_run_at=timezone.now())
            return
        tried.add(row.pk)
        count(state, seen=1)
        if is_sent(row):
            count(state, changed=1)


def first_of(state: SyncState, tried: set[uuid.UUID]) -> ActionRun | None:
    """The next in order; one whose sending was cut off comes before. None where somebody else is sending."""
    rows = ActionRun.objects.filter(connection=state.connection_id, plugin=state.plugin, queue=state.kind)
    rows = rows.exclude(pk__in=tried).select_related("project")
    begun = rows.filter(state=State.RUNNING).order_by("due_at", "pk").first()
    if begun is not None:
        return begun if runs.is_cut_off(begun) else None
    return rows.filter(state=State.QUEUED).order_by("due_at", "pk").first()


def is_sent(row: ActionRun) -> bool:
    """Did the vendor take it? Raises what passes by itself."""
    try:
        actor = tokens.agent_now(row.actor_id, project_id=row.project_id)
    except BadToken as gone:
        holding.refuse(row, approvals.dead(gone))
        return False
    try:
        if row.state == State.QUEUED:
            execute.carry_out(row, actor)
        else:
            execute.pick_up(row, actor)
    except (Waits, InvalidArguments):
        return False
    except (Problem, VendorError) as error:
        if execute.is_passing(error):
            raise
        return False
    return True


def count(state: SyncState, *, seen: int = 0, changed: int = 0) -> None:
    SyncState.objects.filter(pk=state.pk).update(seen=F("seen") + seen, changed=F("changed") + changed)
