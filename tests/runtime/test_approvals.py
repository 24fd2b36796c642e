"""A call under an ask rule waits for a person, happens once, and exactly as it was shown."""

import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from credentials.models import Connection
from integrations.models import ActionRule, ActionRun, Approval
from integrations.runtime import approvals
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.jobs.handlers import Later
from navi.jobs.models import Job
from navi.projects import people, tokens
from navi.projects.models import AgentToken, Membership
from navi.projects.rights import actor_for

ADD = "/api/actions/todoist.quick_add_task"
MILK = {"text": "Buy milk"}


@pytest.fixture(autouse=True)
def asked(acme):
    return ActionRule.objects.create(project=acme, plugin="todoist", action="quick_add_task", effect="ask",
                                     note="Bob plans the week")  # fmt: skip


@pytest.fixture
def held(ada, acmes_todoist):
    """Ada's call, which waits."""
    answer = ada.post(ADD, MILK, idempotency_key="k1")
    assert answer.status_code == 202, answer.content
    return answer.json()


def approval_of(held):
    return Approval.objects.get(run=held["runId"])


def grant(held, person, project):
    approvals.grant(approval_of(held), actor_for(person, project))


def resume(ada, held, body=None):
    return ada.post(f"/api/actions/runs/{held['runId']}/resume", body)


def run_of(held):
    return ActionRun.objects.get(pk=held["runId"])


def events(name):
    return AuditEvent.objects.filter(event=name)


def writes(todoist):
    return [one for one in todoist.requests if one.method == "POST"]


# --- asking


def test_the_call_is_kept_sealed_and_nothing_is_sent(ada, held, todoist):
    row, approval = run_of(held), approval_of(held)

    assert held["state"] == "awaiting_approval"
    assert held["link"].endswith(f"/p/acme/approvals#run-{row.pk}")
    assert held["approvalId"] == str(approval.pk)
    assert timedelta(hours=23) < approval.expires_at - timezone.now() < timedelta(hours=25)
    assert row.arguments.reveal() == MILK
    assert todoist.requests == []
    event = events("approval.asked").get()
    assert (event.actor_label, event.action, event.outcome) == ("Ada", "quick_add_task", "ok")
    assert event.detail["arguments_hash"] == approval.arguments_hash
    assert event.detail["rule"] == "ask for todoist.quick_add_task"
    assert not events("action.run").exists()
    with database.cursor() as cursor:
        cursor.execute("SELECT arguments FROM integrations_actionrun")
        assert b"milk" not in bytes(cursor.fetchone()[0])


def test_arguments_and_scopes_are_checked_before_anybody_is_asked(ada, rita_writes, acmes_todoist, error_of):
    assert error_of(ada.post(ADD, {}))["code"] == "invalid_input"
    assert error_of(rita_writes.post(ADD, MILK))["code"] == "out_of_scope"
    assert not ActionRun.objects.exists()


@pytest.fixture
def rita_writes(api, token_of, alice, acme):
    return api(token_of(alice, acme, "read", "run", name="Rita"))


def test_the_very_same_call_is_the_same_run(ada, held):
    again = ada.post(ADD, MILK, idempotency_key="k1")
    without_key = [ada.post(ADD, MILK).json() for _ in range(2)]

    assert (again.status_code, again.json()) == (202, held)
    assert without_key[0] == without_key[1]
    assert without_key[0]["runId"] != held["runId"]
    assert events("approval.asked").count() == 2


def test_the_run_says_that_it_waits(ada, held):
    told = ada.get(f"/api/actions/runs/{held['runId']}").json()

    assert (told["state"], told["link"], told["expiresAt"]) == (
        "awaiting_approval",
        held["link"],
        held["expiresAt"],
    )
    assert resume(ada, held).status_code == 202


def test_an_agent_in_a_loop_does_not_bury_a_person(ada, acmes_todoist, error_of, monkeypatch):
    monkeypatch.setattr("integrations.runtime.holding.WAITING_MOST", 2)
    for number in range(2):
        assert ada.post(ADD, {"text": f"Task {number}"}).status_code == 202

    assert error_of(ada.post(ADD, {"text": "One more"}))["code"] == "busy"


# --- deciding


def test_approved_it_happens_once_and_answers_as_the_action_does(ada, acme, alice, held, todoist):
    grant(held, alice, acme)
    first, second = resume(ada, held), resume(ada, held)
    same_call = ada.post(ADD, MILK, idempotency_key="k1")

    assert first.status_code == 200
    assert first.json()["result"]["content"] == "Buy milk"
    assert second.json() == same_call.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(writes(todoist)) == 1
    row = run_of(held)
    assert (row.state, bool(row.arguments), approval_of(held).state) == ("succeeded", False, "used")
    granted = events("approval.granted").get()
    (done,) = (event for event in events("action.run") if "run" in event.detail)
    assert granted.actor_label == "Alice"
    assert granted.detail["arguments_hash"] == approval_of(held).arguments_hash
    assert (done.actor_kind, done.actor_label, done.detail["run"]) == ("agent", "Ada", held["runId"])


def test_the_worker_does_it_though_the_agent_is_gone(acme, alice, held, todoist):
    grant(held, alice, acme)
    assert Job.objects.get(kind="approved_run").object_id == held["runId"]
    approvals.run_job(held["runId"])
    approvals.run_job(held["runId"])

    assert run_of(held).state == "succeeded"
    assert len(writes(todoist)) == 1


def test_the_same_call_without_a_key_takes_it_up(ada, acme, alice, acmes_todoist, todoist):
    held = ada.post(ADD, MILK).json()
    grant(held, alice, acme)
    answer = ada.post(ADD, MILK)

    assert (answer.status_code, answer.json()["runId"]) == (200, held["runId"])
    assert ada.post(ADD, MILK).status_code == 202  # the next one is asked about again
    assert len(writes(todoist)) == 1


def test_other_arguments_need_a_new_approval(ada, acme, alice, held, error_of, todoist):
    grant(held, alice, acme)
    edited = resume(ada, held, {"text": "Buy wine"})

    assert (edited.status_code, error_of(edited)["code"]) == (409, "conflict")
    assert "new approval" in error_of(edited)["message"]
    assert todoist.requests == []
    assert resume(ada, held, MILK).status_code == 200


def test_denied_it_never_happens(ada, acme, alice, held, error_of, todoist):
    approvals.deny(approval_of(held), actor_for(alice, acme), note="We have milk")
    answer = resume(ada, held)

    assert (answer.status_code, error_of(answer)["code"]) == (403, "approval_denied")
    assert "Alice denied it: We have milk" in error_of(answer)["message"]
    told = ada.get(f"/api/actions/runs/{held['runId']}").json()
    assert (told["state"], told["error"]["code"]) == ("denied", "approval_denied")
    assert not run_of(held).arguments
    assert todoist.requests == []
    assert events("approval.denied").get().detail["note"] == "We have milk"
    assert error_of(ada.post(ADD, MILK, idempotency_key="k1"))["code"] == "approval_denied"


def test_only_one_word_counts(acme, alice, adam, held):
    grant(held, alice, acme)
    with pytest.raises(Problem) as told:
        approvals.deny(approval_of(held), actor_for(adam, acme))
    assert told.value.code == "conflict"
    assert run_of(held).state == "approved"


def test_who_may_decide(acme, alice, adam, bob, vera, charlie, held, api, token_of, acmes_todoist):
    bobs = api(token_of(bob, acme, "read", "write", name="Bea")).post(ADD, MILK).json()

    def may(person, held):
        return approvals.may_decide(actor_for(person, acme), run_of(held))

    assert [may(person, held) for person in (alice, adam, bob, vera, charlie)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert may(bob, bobs)
    ada = AgentToken.objects.get(name="Ada")
    assert not approvals.may_decide(tokens.agent_now(ada.public_id, project_id=acme.pk), run_of(held))


# --- it runs as its agent may then


def ended(ada_or_none, held, code, state="denied"):
    row = run_of(held)
    assert row.state == state
    assert row.answer.reveal()["error"]["code"] == code
    assert not row.arguments


def test_a_revoked_token_runs_nothing(acme, alice, held, todoist):
    grant(held, alice, acme)
    AgentToken.objects.filter(name="Ada").update(revoked_at=timezone.now())
    approvals.run_job(held["runId"])

    ended(None, held, "approval_denied")
    assert "revoked" in run_of(held).answer.reveal()["error"]["message"]
    assert todoist.requests == []
    assert approval_of(held).state == "denied"


def test_scopes_that_were_cut_run_nothing(acme, alice, held, todoist):
    grant(held, alice, acme)
    Membership.objects.filter(user=alice).update(role="viewer")
    approvals.run_job(held["runId"])

    ended(None, held, "out_of_scope", "failed")
    assert todoist.requests == []


def test_a_rule_that_denies_by_now_runs_nothing(acme, alice, held, asked, todoist):
    grant(held, alice, acme)
    ActionRule.objects.update(effect="deny")
    approvals.run_job(held["runId"])

    ended(None, held, "approval_denied")
    assert todoist.requests == []


def test_an_account_that_is_gone_or_off_runs_nothing(ada, acme, alice, held, todoist, error_of):
    grant(held, alice, acme)
    Connection.objects.update(enabled=False)

    assert error_of(resume(ada, held))["code"] == "disabled"
    ended(None, held, "disabled", "failed")
    assert error_of(resume(ada, held))["code"] == "disabled"
    assert todoist.requests == []


def test_it_goes_to_the_account_that_was_shown(ada, acme, alice, held, connected, todoist):
    from tests.standins.todoist import KEY

    other = connected("todoist", acme, apiKey=KEY, label="the other")
    other.make_default()
    grant(held, alice, acme)
    resume(ada, held)

    assert run_of(held).connection_id != other.pk
    assert run_of(held).state == "succeeded"


def test_arguments_or_account_that_somebody_exchanged_in_the_database_run_nothing(
    ada, acme, alice, held, connected, todoist, error_of
):
    from tests.standins.todoist import KEY

    other = connected("todoist", acme, apiKey=KEY, label="the other")
    grant(held, alice, acme)
    ActionRun.objects.update(connection=other)

    assert error_of(resume(ada, held))["code"] == "approval_denied"
    assert todoist.requests == []


def test_while_the_vendor_is_out_of_order_it_stays_approved(ada, acme, alice, held, settings, error_of):
    good = settings.UPSTREAMS
    settings.UPSTREAMS = {"todoist": "http://127.0.0.1:9"}
    grant(held, alice, acme)
    with pytest.raises(Later):
        approvals.run_job(held["runId"])
    assert error_of(resume(ada, held))["code"] == "vendor_unavailable"
    assert (run_of(held).state, approval_of(held).state) == ("approved", "granted")

    settings.UPSTREAMS = good
    assert resume(ada, held).status_code == 200


# --- time


def overdue(held):
    Approval.objects.filter(run=held["runId"]).update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("is_granted", [False, True], ids=["nobody said anything", "nothing came of it"])
def test_what_is_not_done_in_time_expires(ada, acme, alice, held, error_of, todoist, is_granted):
    if is_granted:
        grant(held, alice, acme)
    overdue(held)
    approvals.expire_overdue()

    assert (run_of(held).state, approval_of(held).state) == ("expired", "expired")
    assert not run_of(held).arguments
    answer = resume(ada, held)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "approval_denied")
    assert "in time" in error_of(answer)["message"]
    assert events("approval.expired").count() == 1
    approvals.run_job(held["runId"])
    assert todoist.requests == []


def test_too_late_is_too_late_though_no_minute_has_passed(ada, acme, alice, held, error_of):
    overdue(held)
    with pytest.raises(Problem) as told:
        grant(held, alice, acme)

    assert told.value.code == "conflict"
    assert error_of(resume(ada, held))["code"] == "approval_denied"
    assert run_of(held).state == "expired"


def test_alice_leaves_and_what_her_agents_waited_for_ends(acme, alice, adam, held, todoist):
    Membership.objects.filter(user=adam).update(role="owner")
    people.remove_member(Membership.objects.get(user=alice), actor=actor_for(alice, acme))

    assert (run_of(held).state, approval_of(held).state) == ("denied", "denied")
    assert not run_of(held).arguments


# --- at once


@pytest.mark.django_db(transaction=True)
def test_twenty_that_resume_at_once_and_the_worker_are_one_call(acme, alice, held, todoist, api, adas_token):
    grant(held, alice, acme)
    answers, gate = [], threading.Barrier(21)

    def one(work):
        gate.wait()
        answers.append(work())
        database.close()

    works = [lambda: resume(api(adas_token), held)] * 20 + [lambda: approvals.run_job(held["runId"])]
    threads = [threading.Thread(target=one, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(writes(todoist)) == 1
    told = [answer for answer in answers if answer is not None]
    assert {answer.status_code for answer in told} <= {200, 503}
    assert {answer.content for answer in told if answer.status_code == 200} <= {
        resume(api(adas_token), held).content
    }


@pytest.mark.django_db(transaction=True)
def test_an_agent_may_wait_for_the_word(acme, alice, held, ada):
    def decide():
        grant(held, alice, acme)
        database.close()

    waiter = threading.Timer(0.2, decide)
    waiter.start()
    told = ada.get(f"/api/actions/runs/{held['runId']}?wait=25").json()
    waiter.join()

    assert told["state"] == "approved"
    assert resume(ada, held).status_code == 200
