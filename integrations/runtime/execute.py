"""Run one plugin action for one actor, and remember what happened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic_core import to_jsonable_python

from credentials.models import Connection
from integrations import registry
from integrations.models import ActionRun
from integrations.registry import Entry
from integrations.runtime import grants, recovery
from integrations.runtime.reach import client_for, permitted
from integrations.runtime.vendor import understood, without_secrets
from integrations.sdk import Action, Blocked, Call, Client, Reconnect, Refused, Result, TryLater, VendorError
from navi.audit.problems import Problem
from navi.audit.record import Record, recorded
from navi.net.errors import OF_THE_ANSWER

CUT_OFF_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class Plan:
    """A call that may happen: what, with which arguments, as which account."""

    call: Call
    entry: Entry
    action: Action
    arguments: Mapping[str, Any]
    connection: Connection
    client: Client
    generation: int  # of the credentials that the client carries


def run(call: Call) -> Result:
    """Run one action. Raises Problem, InvalidArguments or VendorError; each is remembered like a success."""
    with recorded("action.run", actor=call.actor, project=call.project) as record:
        plan = prepare(call, record)
        run, is_ours = claim(plan)
        return ask_vendor(plan, run) if is_ours else replay(plan, run)


def prepare(call: Call, record: Record) -> Plan:
    """Find, validate, check, resolve: everything before the vendor is asked."""
    record.plugin, record.action = call.plugin, call.action
    entry, action = registry.action(call.plugin, call.action, call.project.pk)
    record.provider = entry.slug
    connection = record.connection = permitted(call, entry, action.verb)
    arguments = action.validate(call.arguments)
    check_granted(action, connection, entry)
    client = client_for(connection, entry, base_url=action.plugin.base_url)
    return Plan(call, entry, action, arguments, connection, client, connection.generation)


def check_granted(action: Action, connection: Connection, entry: Entry) -> None:
    """Scopes are known only where the vendor tells them; an API key without any is let through."""
    lacking = lacking_of(action.scopes, connection, entry)
    if lacking:
        words = f"The connected {entry.name} account has not granted {', '.join(lacking)}. Reconnect and allow it."
        raise Problem(
            "missing_scopes", words, missing_scopes=lacking, provider=entry.slug, connection_id=connection.pk
        )


def lacking_of(scopes: Sequence[str], connection: Connection, entry: Entry) -> list[str]:
    """Which of these the account has not granted, as far as that is known."""
    if not connection.scopes:
        return []
    granted = entry.covered(connection)
    return [scope for scope in scopes if scope not in granted]


# --- one run per idempotency key


def claim(plan: Plan) -> tuple[ActionRun, bool]:
    """The run's row, and whether it is ours. A write's row exists before anything is sent."""
    run = new_run(plan)
    if plan.action.verb == "run" and run.idempotency_key is None:
        return run, True
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError:
        return earlier(run), False
    return run, True


def new_run(plan: Plan) -> ActionRun:
    call = plan.call
    return ActionRun(
        project_id=call.project.pk, seal_owner=call.project.pk, actor_id=call.actor.id, actor_label=call.actor.label,
        plugin=call.plugin, action=call.action, connection=plan.connection,
        idempotency_key=call.idempotency_key, arguments_hash=hash_of(call),
    )  # fmt: skip


def hash_of(call: Call) -> str:
    said = json.dumps([call.connection, dict(call.arguments)], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def earlier(run: ActionRun) -> ActionRun:
    """The run that used this idempotency key before. Raises Problem where it was for something else."""
    same = {"actor_id": run.actor_id, "plugin": run.plugin, "action": run.action}
    found = ActionRun.objects.filter(**same, idempotency_key=run.idempotency_key).first()
    if found is None:
        raise Problem("busy", "The same call has just ended. Ask again.")
    if found.arguments_hash != run.arguments_hash:
        words = "This Idempotency-Key was used before with other arguments. Use a new one."
        raise Problem("idempotency_conflict", words)
    return found


def replay(plan: Plan, run: ActionRun) -> Result:
    """The stored answer of an earlier run with the same key; the vendor is not asked again."""
    if run.state == ActionRun.State.RUNNING:
        if run.started_at > timezone.now() - CUT_OFF_AFTER:
            raise Problem("busy", "The same call is under way. Ask again in a moment.")
        run.finish(ActionRun.State.OUTCOME_UNKNOWN, {}, 502)
    if run.state == ActionRun.State.OUTCOME_UNKNOWN:
        raise unknown_outcome(plan)
    answer = run.answer.reveal() or {}
    if "error" in answer:
        raise Problem(answer["error"]["code"], answer["error"]["message"], provider=plan.entry.slug)
    return Result(answer.get("result"), run.pk, run.connection_id, is_replay=True)


def unknown_outcome(plan: Plan) -> Problem:
    words = (
        f"The call to {plan.entry.name} was cut off; it may have happened. Look there before repeating it."
    )
    return Problem("outcome_unknown", words, provider=plan.entry.slug)


def ask_vendor(plan: Plan, run: ActionRun) -> Result:
    """Call the plugin's function with a client that carries the secret, and keep the answer."""
    try:
        value = said(plan, run)
    except VendorError as error:
        recovery.note_failure(plan.connection, error)
        raise failed(plan, run, recovery.of_connection(error, plan.connection)) from None
    recovery.note_success(plan.connection)
    keep(run, ActionRun.State.SUCCEEDED, {"result": value}, 200)
    return Result(value, run.pk, plan.connection.pk)


def said(plan: Plan, run: ActionRun) -> Any:
    """What the vendor said; a token that it refuses is renewed once. A refused token did nothing yet."""
    try:
        return acted(plan, run, plan.client)
    except Reconnect as error:
        if not grants.may_renew(plan.connection, plan.entry, error.status):
            raise
        grants.kept_alive(plan.connection, plan.entry, refused_generation=plan.generation)
        client = client_for(plan.connection, plan.entry, base_url=plan.action.plugin.base_url)
        return acted(plan, run, client)


def acted(plan: Plan, run: ActionRun, client: Client) -> Any:
    with understood(plan.entry.name):
        found = plan.action.run(client, plan.arguments, request_key=plan.call.request_key(run.pk))
        value = to_jsonable_python(found)
    return without_secrets(value, plan.entry, client)


def failed(plan: Plan, run: ActionRun, error: VendorError) -> Exception:
    """The error to raise; a write that may have arrived has an unknown outcome, and is never repeated blindly."""
    if plan.action.verb != "run" and may_have_arrived(error):
        keep(run, ActionRun.State.OUTCOME_UNKNOWN, {}, 502)
        return unknown_outcome(plan)
    if not isinstance(error, Refused) and not run._state.adding:
        run.delete()  # Nothing happened: the same key may try again.
        return error
    said = {"code": error.code, "message": error.message, "provider": plan.entry.slug}
    keep(run, ActionRun.State.FAILED, {"error": said}, 422)
    return error


def may_have_arrived(error: VendorError) -> bool:
    """Was the request sent, and its answer lost or thrown away?"""
    if isinstance(error, TryLater):
        return error.sent
    return isinstance(error, Blocked) and error.reason in OF_THE_ANSWER


def keep(run: ActionRun, state: str, answer: dict[str, Any], status: int) -> None:
    """Store the outcome. Of a read without a key only that it happened."""
    if run._state.adding:
        run.state, run.status_code, run.finished_at = state, status, timezone.now()
        run.save(force_insert=True)
        return
    run.finish(state, answer, status)
