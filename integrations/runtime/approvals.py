"""A person's word on an agent's call: given or refused in the hub, taken up by the agent or by the worker."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from credentials import waiting
from integrations import policy, registry
from integrations.models import ActionRun, Approval
from integrations.runtime import execute, holding, runs
from integrations.runtime.runs import State, Waits
from integrations.sdk import InvalidArguments, Result, VendorError
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.jobs.handlers import Later
from navi.jobs.ledger import enqueue
from navi.projects import roles, tokens
from navi.projects.errors import BadToken
from navi.projects.models import AgentToken, Project, User

JOB = "approved_run"
POLL = 0.5
TRY_AGAIN_IN = timedelta(seconds=30)
OPEN = (Approval.State.WAITING, Approval.State.GRANTED)
NOTE_LONGEST = 300


# --- people


def may_decide(actor: Actor, row: ActionRun) -> bool:
    """An admin or owner of the project, or the person whose token asks; never an agent."""
    if actor.kind != "person":
        return False
    return roles.may(actor.role, "integrations.manage") or owner_of(row) == actor.user_id


def owner_of(row: ActionRun) -> uuid.UUID | None:
    """Whose token asks."""
    owners = AgentToken.objects.filter(public_id=row.actor_id, project=row.project_id)
    return owners.values_list("owner_id", flat=True).first()


def grant(approval: Approval, actor: Actor, *, note: str = "") -> None:
    """Let exactly this call happen once. Raises Problem where it was decided, is too late, or may not be."""
    row = decidable(approval, actor)
    with transaction.atomic():
        holding.lock(row)
        decide(approval, Approval.State.GRANTED, actor, note)
        if row.queue:
            row.move(before=State.AWAITING_APPROVAL, after=State.QUEUED, due_at=timezone.now())
            approval.move(before=Approval.State.GRANTED, after=Approval.State.USED)
        else:
            row.move(before=State.AWAITING_APPROVAL, after=State.APPROVED)
            enqueue(JOB, str(row.pk))
        holding.said(approval, row, "approval.granted", actor, note=approval.note)


def deny(approval: Approval, actor: Actor, *, note: str = "") -> None:
    """The call never happens. Raises Problem as `grant` does."""
    row = decidable(approval, actor)
    with transaction.atomic():
        holding.lock(row)
        decide(approval, Approval.State.DENIED, actor, note)
        end(row, f"{actor.label} denied it{f': {approval.note}' if approval.note else '.'}")
        holding.said(approval, row, "approval.denied", actor, note=approval.note)


def decidable(approval: Approval, actor: Actor) -> ActionRun:
    row = approval.run
    if not may_decide(actor, row):
        raise Problem(
            "out_of_scope", "Only admins, owners and the token's own person decide about this call."
        )
    if approval.state == Approval.State.WAITING and approval.expires_at <= timezone.now():
        holding.expire(approval)
    if approval.state == Approval.State.EXPIRED:
        raise Problem("conflict", "It has expired. If the agent still wants it, it asks again.")
    return row


def decide(approval: Approval, state: str, actor: Actor, note: str) -> None:
    facts = {
        "decided_at": timezone.now(),
        "decided_by": actor.label[:160],
        "note": note.replace("\0", "").strip()[:NOTE_LONGEST],
    }
    if not approval.move(before=Approval.State.WAITING, after=state, **facts):
        raise Problem("conflict", "Somebody has decided about this call already.")
    for name, value in facts.items():
        setattr(approval, name, value)


def end(row: ActionRun, words: str) -> None:
    """The run is over without having been sent; its arguments are dropped. Inside a transaction."""
    error = runs.told(Problem("approval_denied", words), provider=holding.provider_of(row))
    if row.move(before=row.state, after=State.DENIED):
        row.finish(State.DENIED, {"error": error}, 403)


# --- the agent


def resume(run_id: uuid.UUID, project: Project, actor: Actor, arguments: Mapping[str, Any] | None) -> Result:
    """Take up a kept call: done once where it was approved, else as it stands.

    Raises Waits, Problem `approval_denied`, `conflict` where the arguments are others, and what the action raises.
    """
    row = own(run_id, project, actor)
    if arguments is not None and row.arguments_hash != runs.hash_of_these(row.wanted_connection, arguments):
        words = "These are other arguments than those that were asked about. Call anew; that needs a new approval."
        raise Problem("conflict", words)
    if row.state in runs.UNSENT:
        return execute.go_on(row, actor)
    return execute.pick_up(row, actor)


def own(run_id: uuid.UUID, project: Project, actor: Actor) -> ActionRun:
    """The run, if the token may do what it does, and asked for it. Raises Problem."""
    row = ActionRun.objects.in_project(project).filter(pk=run_id).first()
    if row is not None:
        entry, action = registry.action(row.plugin, row.action, project.pk)
        policy.check_scope(actor, action.verb, entry.slug)
    if row is None or row.actor_id != actor.id:
        raise Problem("unknown", "There is no such run of this token.")
    return row


def wait_for(run_id: uuid.UUID, project: Project, actor: Actor, seconds: float) -> ActionRun:
    """The run, when a person has decided or it has ended, or the seconds are over. Raises Problem."""
    row = seen(run_id, project, actor)
    if seconds <= 0 or not is_pending(row):
        return row
    until = time.monotonic() + seconds
    with waiting.place(Problem("busy", "Too many agents are waiting. Ask again in a few seconds.")):
        while is_pending(row) and (left := until - time.monotonic()) > 0:
            time.sleep(min(POLL, left))
            row = seen(run_id, project, actor)
    return row


def is_pending(row: ActionRun) -> bool:
    return row.state in {State.AWAITING_APPROVAL, State.RUNNING}


def seen(run_id: uuid.UUID, project: Project, actor: Actor) -> ActionRun:
    """The token's own run as it is now. Raises Problem `unknown`."""
    rows = ActionRun.objects.in_project(project).of_actor(actor.id).filter(pk=run_id)
    row = rows.select_related("approval").first()
    if row is None:
        raise Problem("unknown", "There is no such run of this token.")
    return holding.in_time(row)


# --- the worker


def run_job(run_id: str) -> None:
    """Do an approved call at once: its agent may be gone. Raises Later where it cannot be now."""
    row = ActionRun.objects.filter(pk=run_id).select_related("project").first()
    if row is None or row.state not in {State.APPROVED, State.RUNNING}:
        return
    try:
        actor = tokens.agent_now(row.actor_id, project_id=row.project_id)
    except BadToken as gone:
        holding.refuse(row, dead(gone))
        return
    try:
        execute.go_on(row, actor) if row.state == State.APPROVED else execute.pick_up(row, actor)
    except Waits:
        return
    except (Problem, VendorError, InvalidArguments) as error:
        if execute.is_passing(error):
            raise Later(getattr(error, "retry_at", None) or timezone.now() + TRY_AGAIN_IN) from None


def dead(gone: BadToken) -> Problem:
    """What is said of a call whose token opens nothing any more."""
    return Problem("approval_denied", f"Not done: the agent's token is no longer good ({gone.reason}).")


def expire_overdue() -> None:
    """Each minute: calls that nobody approved in time, and approved ones that nothing came of."""
    overdue = Approval.objects.overdue(timezone.now()).select_related("run__project", "run__connection")
    for approval in overdue[:500]:
        holding.expire(approval)


def end_with_member(*, project: Project, user: User, actor: Actor, **_: Any) -> None:
    """Receiver of member_gone: what a person's agents were waiting for ends when the person leaves."""
    gone = AgentToken.objects.filter(project=project, owner=user).values("public_id")
    held = [State.AWAITING_APPROVAL, State.APPROVED, State.QUEUED]
    for row in ActionRun.objects.in_project(project).filter(actor_id__in=gone, state__in=held):
        end(row, f"{user} left the project.")
        approval = holding.approval_of(row)
        if approval and approval.state in OPEN:
            Approval.objects.filter(pk=approval.pk).update(state=Approval.State.DENIED)
            holding.said(approval, row, "approval.denied", actor, reason=f"{user} left the project.")
