"""Calls that are kept until they may go: for a person's word, or in the queue of a push sync."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from integrations import registry
from integrations.models import ActionRun, Approval
from integrations.registry import Entry
from integrations.ruling import name_of
from integrations.runtime import runs
from integrations.runtime.plan import Plan
from integrations.runtime.runs import State, Waits
from integrations.sdk import Call
from navi.audit.actor import SYSTEM, Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.projects.models import Project

LIFE = timedelta(hours=24)
WAITING_MOST = 100  # of one token: an agent in a loop must not bury a person


# --- keeping


def hold(plan: Plan, *, queue: str = "") -> ActionRun:
    """Keep the call until a person has decided; the very same call that waits already is the same run."""
    with transaction.atomic():
        Project.objects.locked(plan.call.project)  # two equal calls at once ask once
        known = runs.earlier(plan) or same_waiting(plan)
        if known is not None:
            return known
        check_room(plan)
        row = kept(plan, State.AWAITING_APPROVAL, queue=queue)
        ask(row, plan)
    return row


def kept(plan: Plan, state: str, **facts: Any) -> ActionRun:
    """The run's row, with the arguments sealed. Raises Problem `busy` where the same key came first."""
    row = runs.new_run(plan, state=state, arguments=dict(plan.call.arguments), **facts)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Problem("busy", "The same call is under way. Ask again in a moment.") from None
    return row


def ask(row: ActionRun, plan: Plan) -> Approval:
    """Write down what a person is to decide. Inside a transaction."""
    now, rule = timezone.now(), plan.ruling.rule
    facts = {
        "rule": rule, "arguments_hash": binding(plan), "reason": plan.ruling.reason[:300],
        "state": Approval.State.WAITING, "asked_at": now, "expires_at": now + LIFE, "decided_at": None,
        "decided_by": "", "note": "",
    }  # fmt: skip
    approval, _ = Approval.objects.update_or_create(run=row, defaults=facts)
    said(approval, row, "approval.asked", plan.call.actor, rule=name_of(rule) if rule else "")
    return approval


def lock(row: ActionRun) -> None:
    """The run before its approval: whoever changes both takes them in this order, so that nobody waits in a ring."""
    ActionRun.objects.select_for_update().filter(pk=row.pk).values_list("pk").first()


def said(approval: Approval, row: ActionRun, event: str, actor: Actor, **more: str) -> None:
    """The event of an approval: who, and for which arguments."""
    facts = {"run": str(row.pk), "agent": row.actor_label, "arguments_hash": approval.arguments_hash, **more}
    record(
        event, actor=actor, project=row.project, provider=provider_of(row), plugin=row.plugin, action=row.action,
        connection=row.connection, outcome="refused" if event in {"approval.denied", "approval.expired"} else "ok",
        detail={name: value for name, value in facts.items() if value},
    )  # fmt: skip


def binding(plan: Plan) -> str:
    """What a person's word is bound to: exactly this account at the vendor, and these arguments."""
    account = plan.connection
    return runs.hash_of_these(f"{account.pk} {account.account_id}", plan.call.arguments)


def same_waiting(plan: Plan) -> ActionRun | None:
    """The same call by the same token that waits already, where neither has a key."""
    call = plan.call
    if call.idempotency_key is not None:
        return None
    rows = ActionRun.objects.filter(
        actor_id=call.actor.id, plugin=call.plugin, action=call.action, arguments_hash=runs.hash_of(call),
        idempotency_key=None, connection=plan.connection, state__in=[State.AWAITING_APPROVAL, State.APPROVED],
        approval__expires_at__gt=timezone.now(),
    )  # fmt: skip
    return rows.first()


def check_room(plan: Plan) -> None:
    rows = ActionRun.objects.filter(actor_id=plan.call.actor.id, state=State.AWAITING_APPROVAL)
    if rows.count() >= WAITING_MOST:
        words = f"{WAITING_MOST} calls of this token wait for a person. Wait until some are decided."
        raise Problem("busy", words)


# --- going on


def call_of(row: ActionRun, actor: Actor) -> Call:
    """The kept call, as its actor is now, to the account that it was kept for. Raises Problem."""
    if row.connection_id is None:
        raise Problem("not_connected", "The account that this call was for is no longer connected.")
    arguments = row.arguments.reveal() if row.arguments else None
    if arguments is None:
        raise Problem("conflict", "The arguments of this call are no longer kept. Call anew.")
    return Call(
        actor, row.project, row.plugin, row.action, arguments=arguments, connection=str(row.connection_id),
        idempotency_key=row.idempotency_key,
    )  # fmt: skip


def approval_of(row: ActionRun) -> Approval | None:
    return Approval.objects.filter(run=row).first()


def check_word(row: ActionRun, plan: Plan) -> None:
    """Has a person said yes to exactly this, where somebody must? Raises Problem; Waits where it has to be asked."""
    approval = approval_of(row)
    if approval is None and not plan.ruling.asks:
        return
    if approval is None:
        ask_after_all(row, plan)
        raise Waits(row)
    if not is_word_for(approval, plan):
        raise Problem("approval_denied", "Nobody has approved exactly this call. Call anew.")


def was_approved(row: ActionRun, plan: Plan) -> bool:
    approval = approval_of(row)
    return approval is not None and is_word_for(approval, plan)


def is_word_for(approval: Approval, plan: Plan) -> bool:
    """Used: in the queue, or somebody else is taking it up at this moment; `begun` lets only one of them."""
    is_yes = approval.state in {Approval.State.GRANTED, Approval.State.USED}
    return is_yes and approval.arguments_hash == binding(plan)


def ask_after_all(row: ActionRun, plan: Plan) -> None:
    """A queued call that a newer rule wants a person to see."""
    with transaction.atomic():
        if row.move(before=State.QUEUED, after=State.AWAITING_APPROVAL):
            ask(row, plan)


def begun(row: ActionRun, before: str) -> bool:
    """The kept call is ours to send, and the person's word is used up. False: somebody was faster."""
    now = timezone.now()
    with transaction.atomic():
        if not row.move(before=before, after=State.RUNNING, started_at=now, attempts=F("attempts") + 1):
            return False
        if before == State.APPROVED:
            granted = Approval.objects.filter(run=row, state=Approval.State.GRANTED, expires_at__gt=now)
            if not granted.update(state=Approval.State.USED):
                transaction.set_rollback(True)
                return False
    return True


def give_back(row: ActionRun, before: str) -> None:
    """The vendor got nothing, or drops a repeat: the call waits once more, and so does the word it has."""
    with transaction.atomic():
        if row.move(before=State.RUNNING, after=before) and before == State.APPROVED:
            Approval.objects.filter(run=row, state=Approval.State.USED).update(state=Approval.State.GRANTED)


# --- ending without being sent


def refuse(row: ActionRun, error: Any) -> None:
    """It will not be sent: what it needs is no longer given. Says so to whoever asks."""
    is_denied = error.code in {"approval_denied", "unauthenticated"}
    answer = runs.told(error, provider=provider_of(row))
    if is_denied:
        answer["code"] = "approval_denied"
    after, status = (State.DENIED, 403) if is_denied else (State.FAILED, runs.status_of(error))
    with transaction.atomic():
        if not row.move(before=row.state, after=after):
            return
        row.finish(after, {"error": answer}, status)
        approval = approval_of(row)
        if approval and is_denied:
            Approval.objects.filter(pk=approval.pk).update(state=Approval.State.DENIED)
            said(approval, row, "approval.denied", SYSTEM, reason=error.message)
        elif approval:
            Approval.objects.filter(pk=approval.pk).update(state=Approval.State.USED)


def in_time(row: ActionRun) -> ActionRun:
    """The run, ended where nobody said yes, or nothing came of it, in time."""
    approval = approval_of(row) if row.state in {State.AWAITING_APPROVAL, State.APPROVED} else None
    if approval and approval.expires_at <= timezone.now():
        expire(approval)
        return runs.again(row.pk)
    return row


def expire(approval: Approval) -> bool:
    """Its time is over. False: it was decided or used meanwhile."""
    row, before = approval.run, approval.state
    was_waiting = before == Approval.State.WAITING
    words = "Nobody approved it in time." if was_waiting else "It was approved, and not done in time."
    error = Problem("approval_denied", f"{words} Call anew to ask again.")
    with transaction.atomic():
        lock(row)
        held = State.AWAITING_APPROVAL if was_waiting else State.APPROVED
        if not approval.move(before=before, after=Approval.State.EXPIRED):
            return False
        if row.move(before=held, after=State.EXPIRED):
            row.finish(State.EXPIRED, {"error": runs.told(error, provider=provider_of(row))}, 403)
        said(approval, row, "approval.expired", SYSTEM)
    return True


def entry_of(row: ActionRun) -> Entry:
    """The provider of the run's plugin. Raises Problem where it is gone."""
    entry, _ = registry.plugin(row.plugin, row.project_id)
    return entry


def provider_of(row: ActionRun) -> str:
    known = registry.installed().plugins.get(row.plugin)
    return known.provider if known else row.plugin
