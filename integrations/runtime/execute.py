"""Run one plugin action for one actor, and remember what happened."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_jsonable_python

from credentials.failpoints import reach
from integrations.models import ActionRun
from integrations.runtime import grants, holding, recovery, runs
from integrations.runtime.plan import Plan, prepare
from integrations.runtime.reach import client_for
from integrations.runtime.runs import State, Waits
from integrations.runtime.vendor import understood, without_secrets
from integrations.sdk import (
    Blocked,
    Call,
    Client,
    InvalidArguments,
    Reconnect,
    Refused,
    Result,
    TryLater,
    VendorError,
)
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import recorded
from navi.net.errors import OF_THE_ANSWER

PASSING = {"busy", "sealed", "audit_unavailable", "vendor_unavailable", "rate_limited"}


def run(call: Call) -> Result:
    """Run one action. Raises Problem, InvalidArguments or VendorError; each is remembered like a success.

    Raises Waits where a rule asks a person first.
    """
    with recorded("action.run", actor=call.actor, project=call.project) as record:
        plan = prepare(call, record)
        kept = runs.earlier(plan) or (holding.hold(plan) if plan.ruling.asks else None)
        if kept is None:
            return sent(plan)
        if kept.state not in runs.UNSENT:
            return answered(plan, kept)
        record.is_told = True
    return go_on(kept, call.actor)


def sent(plan: Plan) -> Result:
    """The usual way: whoever writes the run's row first asks the vendor.

    All that can fail, wait or renew comes before the row; once it stands, the vendor may have got the call.
    """
    client = opened(plan)
    reach("action.before_send")
    row, is_ours = runs.claim(plan)
    return ask_vendor(plan, row, client) if is_ours else answered(plan, row)


def opened(plan: Plan) -> Client:
    return client_for(plan.connection, plan.entry, base_url=plan.action.plugin.base_url)


def answered(plan: Plan, row: ActionRun) -> Result:
    """The answer of a run that began before; one that was cut off is done again where the vendor does it once."""
    row = runs.settled(row)
    if may_repeat(plan, row):
        client, stood = opened(plan), (row.state, row.started_at)
        if runs.taken_over(row):
            return ask_vendor(plan, row, client, stood=stood)
        row = runs.again(row.pk)
    return runs.replay(row, plan.entry)


def may_repeat(plan: Plan, row: ActionRun) -> bool:
    is_open = runs.is_cut_off(row) or row.state == State.OUTCOME_UNKNOWN
    is_same = row.connection_id == plan.connection.pk and is_safe_twice(plan)
    # It may not have happened at all: under a rule that asks since then, it needs a person like any other.
    return is_open and is_same and (not plan.ruling.asks or holding.was_approved(row, plan))


def is_safe_twice(plan: Plan) -> bool:
    return plan.action.idempotent or plan.action.verb == "run"


# --- calls that were kept


def go_on(row: ActionRun, actor: Actor) -> Result:
    """Where a kept call has come to: it is done now, or it still waits (raises Waits)."""
    row = holding.in_time(row)
    if row.state == State.APPROVED:
        return carry_out(row, actor)
    return runs.replay(row, holding.entry_of(row))


def carry_out(row: ActionRun, actor: Actor) -> Result:
    """Do a kept call exactly as it was kept, once, as far as its actor may now. Raises as `run` does."""
    before = row.state
    detail = {"run": str(row.pk), "arguments_hash": row.arguments_hash}
    with recorded("action.run", actor=actor, project=row.project, detail=detail) as record:
        try:
            plan = prepare(holding.call_of(row, actor), record)
            holding.check_word(row, plan)
            client = opened(plan)
        except Waits:
            record.is_told = True
            raise
        except (Problem, VendorError, InvalidArguments) as error:
            if not is_passing(error):
                holding.refuse(row, error)
            raise
        reach("action.before_send")
        if not holding.begun(row, before):
            return answered(plan, runs.again(row.pk))
        return ask_vendor(plan, row, client, before=before)


def pick_up(row: ActionRun, actor: Actor) -> Result:
    """The answer of a kept call that began; where it was cut off and the vendor does it once, it is done again."""
    row = runs.settled(row)
    if not (runs.is_cut_off(row) and row.arguments):
        return runs.replay(row, holding.entry_of(row))
    with recorded("action.run", actor=actor, project=row.project, detail={"run": str(row.pk)}) as record:
        return answered(prepare(holding.call_of(row, actor), record), row)


def is_passing(error: Exception) -> bool:
    """May the same call work later, without anybody doing anything?"""
    if isinstance(error, VendorError):
        return isinstance(error, TryLater)
    return isinstance(error, Problem) and error.code in PASSING


# --- the vendor


def ask_vendor(
    plan: Plan, row: ActionRun, client: Client, *, before: str = "", stood: runs.Stood | None = None
) -> Result:
    """Call the plugin's function with a client that carries the secret, and keep the answer.

    `before`: the state that a kept call goes back to where the vendor got nothing. `stood`: how a call stood
    that is done again.
    """
    try:
        value = said(plan, row, client)
    except VendorError as error:
        recovery.note_failure(plan.connection, error)
        raise failed(plan, row, recovery.of_connection(error, plan.connection), before, stood) from None
    reach("action.after_send")
    recovery.note_success(plan.connection)
    runs.keep(row, State.SUCCEEDED, {"result": value}, 200)
    reach("action.after_answer")
    return Result(value, row.pk, plan.connection.pk)


def said(plan: Plan, row: ActionRun, client: Client) -> Any:
    """What the vendor said; a token that it refuses is renewed once. A refused token did nothing yet."""
    generation = plan.connection.generation
    try:
        return acted(plan, row, client)
    except Reconnect as error:
        if not grants.may_renew(plan.connection, plan.entry, error.status):
            raise
        grants.kept_alive(plan.connection, plan.entry, refused_generation=generation)
        return acted(plan, row, opened(plan))


def acted(plan: Plan, row: ActionRun, client: Client) -> Any:
    with understood(plan.entry.name):
        found = plan.action.run(client, plan.arguments, request_key=plan.call.request_key(row.pk))
        value = to_jsonable_python(found)
    return without_secrets(value, plan.entry, client)


def failed(
    plan: Plan, row: ActionRun, error: VendorError, before: str, stood: runs.Stood | None
) -> Exception:
    """The error to raise; a write that may have arrived has an unknown outcome, and is never repeated blindly."""
    is_doubtful = plan.action.verb != "run" and may_have_arrived(error)
    if stood and not is_doubtful and not isinstance(error, Refused):
        runs.put_back(row, stood)  # The try before may have arrived.
        return error
    if is_doubtful and not (before and plan.action.idempotent):
        runs.keep(row, State.OUTCOME_UNKNOWN, {}, 502)
        has_key = plan.call.idempotency_key is not None
        return runs.unknown_outcome(plan.entry, may_repeat=has_key and plan.action.idempotent)
    if before and isinstance(error, TryLater):
        holding.give_back(row, before)
        return error
    if not before and not isinstance(error, Refused) and not row._state.adding:
        row.delete()  # Nothing happened: the same key may try again.
        return error
    said = runs.told(error, provider=plan.entry.slug)
    runs.keep(row, State.FAILED, {"error": said}, runs.status_of(error))
    return error


def may_have_arrived(error: VendorError) -> bool:
    """Was the request sent, and its answer lost or thrown away?"""
    if isinstance(error, TryLater):
        return error.sent
    return isinstance(error, Blocked) and error.reason in OF_THE_ANSWER
