"""One run per idempotency key: its row, its end, and its answer once more."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from credentials import waiting
from integrations.models import ActionRun
from integrations.registry import Entry
from integrations.runtime.plan import Plan
from integrations.sdk import Call, Result
from navi.audit.problems import CODES, Problem

State = ActionRun.State
Stood = tuple[str, datetime]  # state, started_at
CUT_OFF_AFTER = timedelta(minutes=2)
WAITS = 5.0  # seconds for the answer of a call that is under way
POLL = 0.15
UNSENT = frozenset({State.AWAITING_APPROVAL, State.APPROVED, State.QUEUED})


class Waits(Problem):
    """The call is kept and goes on later: after a person's word, or in its queue (202)."""

    def __init__(self, run: ActionRun) -> None:
        words = "A person has to approve this call first. It waits under Approvals."
        if run.state == State.QUEUED:
            words = "This call waits in its queue, and is sent on schedule."
        super().__init__("approval_required", words)
        self.run = run


# --- the row


def new_run(plan: Plan, **facts: Any) -> ActionRun:
    call = plan.call
    return ActionRun(
        project_id=call.project.pk, seal_owner=call.project.pk, actor_id=call.actor.id, actor_label=call.actor.label,
        plugin=call.plugin, action=call.action, connection=plan.connection, wanted_connection=call.connection or "",
        idempotency_key=call.idempotency_key, arguments_hash=hash_of(call), **facts,
    )  # fmt: skip


def hash_of(call: Call) -> str:
    return hash_of_these(call.connection or "", call.arguments)


def hash_of_these(connection: str, arguments: Mapping[str, Any]) -> str:
    """What makes two calls the same: the account and the arguments."""
    said = json.dumps([connection, dict(arguments)], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def claim(plan: Plan) -> tuple[ActionRun, bool]:
    """The run's row, and whether it is ours. A write's row exists before anything is sent."""
    run = new_run(plan)
    if plan.action.verb == "run" and run.idempotency_key is None:
        return run, True
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError:
        found = earlier(plan)
        if found is None:
            raise Problem("busy", "The same call has just ended. Ask again.") from None
        return found, False
    return run, True


def earlier(plan: Plan) -> ActionRun | None:
    """The run that used this idempotency key before. Raises Problem where it was for something else."""
    call = plan.call
    if call.idempotency_key is None:
        return None
    same = {"actor_id": call.actor.id, "plugin": call.plugin, "action": call.action}
    found = ActionRun.objects.filter(**same, idempotency_key=call.idempotency_key).first()
    if found is not None and found.arguments_hash != hash_of(call):
        words = "This Idempotency-Key was used before with other arguments. Use a new one."
        raise Problem("idempotency_conflict", words)
    return found


def taken_over(run: ActionRun) -> bool:
    """Make a run ours whose process died, or whose outcome nobody knows. False: somebody was faster."""
    now = timezone.now()
    same = ActionRun.objects.filter(pk=run.pk, state=run.state, started_at=run.started_at)
    if not same.update(
        state=State.RUNNING, started_at=now, finished_at=None, status_code=None, attempts=F("attempts") + 1
    ):
        return False
    run.state, run.started_at = State.RUNNING, now
    return True


def put_back(row: ActionRun, stood: Stood) -> None:
    """It was done again in vain: it stands as it stood, and may be done again once more."""
    state, started_at = stood
    ended = {"status_code": 502, "finished_at": timezone.now()} if state == State.OUTCOME_UNKNOWN else {}
    row.move(before=State.RUNNING, after=state, started_at=started_at, **ended)


# --- its end


def keep(run: ActionRun, state: str, answer: dict[str, Any], status: int) -> None:
    """Store the outcome. Of a read without a key only that it happened."""
    if run._state.adding:
        run.state, run.status_code, run.finished_at = state, status, timezone.now()
        run.save(force_insert=True)
        return
    run.finish(state, answer, status)


def told(error: Any, *, provider: str) -> dict[str, Any]:
    """A refusal as it is kept, so that a replay says the same."""
    return {
        "code": error.code, "message": error.message, "provider": getattr(error, "provider", "") or provider,
        "missingScopes": list(getattr(error, "scopes", ())), "field": getattr(error, "field", None),
    }  # fmt: skip


def status_of(error: Any) -> int:
    return CODES[error.code].status if error.code in CODES else 500


# --- its answer once more


def replay(run: ActionRun, entry: Entry) -> Result:
    """The stored answer of an earlier run; the vendor is not asked again. Raises what the first call did."""
    run = settled(run)
    if run.state in UNSENT:
        raise Waits(run)
    if run.state == State.RUNNING:
        if not is_cut_off(run):
            raise Problem("busy", "The same call is under way. Ask again in a moment.")
        run = given_up(run)
    if run.state == State.OUTCOME_UNKNOWN:
        raise unknown_outcome(entry)
    answer = (run.answer.reveal() if run.answer else None) or {}
    if "error" in answer:
        raise stored_problem(answer["error"], run)
    return Result(answer.get("result"), run.pk, run.connection_id, is_replay=True)


def stored_problem(said: Mapping[str, Any], run: ActionRun) -> Problem:
    return Problem(
        said["code"], said["message"], provider=said.get("provider") or "", field=said.get("field"),
        missing_scopes=said.get("missingScopes", ()), connection_id=run.connection_id,
    )  # fmt: skip


def settled(run: ActionRun) -> ActionRun:
    """The run when it has ended, or after some seconds as it is then. Raises Problem `busy`."""
    if run.state != State.RUNNING or is_cut_off(run) or WAITS <= 0:
        return run
    until = time.monotonic() + WAITS
    with waiting.place(Problem("busy", "The same call is under way. Ask again in a moment.")):
        while run.state == State.RUNNING and time.monotonic() < until:
            time.sleep(POLL)
            run = again(run.pk)
    return run


def again(pk: uuid.UUID) -> ActionRun:
    found = ActionRun.objects.filter(pk=pk).first()
    if found is None:
        raise Problem("busy", "The same call has just ended. Ask again.")
    return found


def is_cut_off(run: ActionRun) -> bool:
    return run.state == State.RUNNING and run.started_at <= timezone.now() - CUT_OFF_AFTER


def given_up(run: ActionRun) -> ActionRun:
    """Its process died in the middle, and nobody knows whether the vendor got the call."""
    run.move(
        before=State.RUNNING, after=State.OUTCOME_UNKNOWN, status_code=502, finished_at=timezone.now(),
        arguments=None,
    )  # fmt: skip
    return again(run.pk)


def unknown_outcome(entry: Entry, *, may_repeat: bool = False) -> Problem:
    helps = "Look there before repeating it."
    if may_repeat:
        helps = f"Repeat it with the same Idempotency-Key: {entry.name} does it once."
    words = f"The call to {entry.name} was cut off; it may have happened. {helps}"
    return Problem("outcome_unknown", words, provider=entry.slug)


# --- where a person decides


def page_for(run: ActionRun, project_slug: str) -> str:
    """The hub's page on which it is decided; a plain address that needs sign-in."""
    return f"{settings.BASE_URL}/p/{project_slug}/approvals#run-{run.pk}"
