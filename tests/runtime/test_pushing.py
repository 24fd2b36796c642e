"""Writing calls that an agent queues are sent on schedule: in order, once each, as the agent may then."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import ActionRule, ActionRun, Approval, SyncState
from integrations.runtime import approvals, pushing
from integrations.sdk import TryLater
from navi.audit.models import AuditEvent
from navi.projects.models import AgentToken
from navi.projects.rights import actor_for

CREATE = "/api/actions/todoist.create_task"
KIND = "orders"


@pytest.fixture(autouse=True)
def queue_of_todoist(monkeypatch):
    """Todoist's plugin with a queue for new and completed tasks."""
    from integrations import registry
    from integrations.sdk import Sync

    plugin = registry.installed().plugins["todoist"]
    monkeypatch.setitem(
        plugin.syncs, KIND, Sync(KIND, plugin, "push", None, ("create_task", "quick_add_task"))
    )


@pytest.fixture
def state(acme, acmes_todoist):
    place = {"connection": acmes_todoist, "plugin": "todoist", "kind": KIND}
    return SyncState.objects.get_or_create(**place, defaults={"project": acme})[0]


def put(ada, text, key=None, action=CREATE, **more):
    headers = {"navi_queue": KIND, **({"idempotency_key": key} if key else {})}
    field = "content" if action == CREATE else "text"
    return ada.post(action, {field: text, **more}, **headers)


def run_of(answer):
    return ActionRun.objects.get(pk=answer.json()["runId"])


def contents(todoist):
    return [task["content"] for task in todoist.tasks.values()]


# --- into the queue


def test_a_queued_call_is_kept_and_not_sent(ada, state, todoist):
    answer = put(ada, "Buy milk", "k1")
    told = answer.json()

    assert (answer.status_code, told["state"], told["queue"]) == (202, "queued", KIND)
    assert told["dueAt"] >= timezone.now().isoformat()[:16]
    assert todoist.requests == []
    assert run_of(answer).arguments.reveal() == {"content": "Buy milk"}
    event = AuditEvent.objects.get(plugin="todoist", action="create_task")
    assert (event.event, event.detail["queue"]) == ("action.queued", KIND)
    seen = ada.get(f"/api/actions/runs/{told['runId']}").json()
    assert (seen["state"], seen["queue"]) == ("queued", KIND)


def test_the_query_names_the_queue_as_well(ada, state):
    assert ada.post(f"{CREATE}?queue={KIND}", {"content": "Buy milk"}).json()["state"] == "queued"


def test_the_same_key_is_the_same_run(ada, state):
    first, again = put(ada, "Buy milk", "k1"), put(ada, "Buy milk", "k1")

    assert (again.status_code, again.json()["runId"]) == (202, first.json()["runId"])
    assert put(ada, "Buy tea", "k1").status_code == 422


def test_what_cannot_be_queued_is_refused_at_once(ada, state, error_of, todoist):
    assert error_of(put(ada, ""))["field"] == "content"
    other = ada.post("/api/actions/todoist.complete_task?queue=" + KIND, {"task_id": "1"})
    assert error_of(other)["field"] == "queue"
    assert error_of(ada.post(CREATE + "?queue=nothing", {"content": "x"}))["field"] == "queue"
    assert not ActionRun.objects.exists()


def test_a_persons_own_account_has_no_queue(ada, acme, alice, connected, todoist, error_of):
    from tests.standins.todoist import KEY

    connected("todoist", acme, for_user=alice, apiKey=KEY)

    assert error_of(put(ada, "Buy milk"))["code"] == "conflict"


# --- out of it


def test_they_are_sent_in_their_order_and_answer_as_the_action_does(ada, state, todoist):
    before = len(contents(todoist))
    answers = [put(ada, f"Task {number}", f"k{number}") for number in range(3)]
    pushing.send(state)

    assert contents(todoist)[before:] == ["Task 0", "Task 1", "Task 2"]
    for answer in answers:
        assert run_of(answer).state == "succeeded"
        assert not run_of(answer).arguments
    again = put(ada, "Task 1", "k1")
    assert (again.status_code, again.json()["result"]["content"]) == (200, "Task 1")
    state.refresh_from_db()
    assert (state.seen, state.changed) == (3, 3)
    done = AuditEvent.objects.filter(event="action.run", outcome="ok")
    assert {event.actor_label for event in done} == {"Ada"}


def test_one_that_is_refused_does_not_hold_up_the_others(ada, state, todoist):
    bad, good = put(ada, "Lost", project_id="nowhere"), put(ada, "Buy milk")
    pushing.send(state)

    assert (run_of(bad).state, run_of(good).state) == ("failed", "succeeded")
    assert ada.get(f"/api/actions/runs/{bad.json()['runId']}").json()["error"]["code"] == "vendor_refused"
    state.refresh_from_db()
    assert (state.seen, state.changed) == (2, 1)


def test_a_vendor_out_of_order_stops_all_and_keeps_the_order(ada, state, todoist, settings):
    good = settings.UPSTREAMS
    answers = [put(ada, f"Task {number}") for number in range(2)]
    settings.UPSTREAMS = {"todoist": "http://127.0.0.1:9"}
    with pytest.raises(TryLater):
        pushing.send(state)
    assert [run_of(answer).state for answer in answers] == ["queued", "queued"]

    settings.UPSTREAMS = good
    before = len(contents(todoist))
    pushing.send(state)
    assert contents(todoist)[before:] == ["Task 0", "Task 1"]


def test_an_agent_that_is_gone_sends_nothing_more(ada, ben, state, todoist):
    adas, bens = put(ada, "Ada's"), put(ben, "Ben's")
    AgentToken.objects.filter(name="Ada").update(revoked_at=timezone.now())
    pushing.send(state)

    assert (run_of(adas).state, run_of(bens).state) == ("denied", "succeeded")


def test_scopes_and_rules_hold_as_they_are_then(ada, acme, state, todoist):
    denied = put(ada, "Buy milk")
    ActionRule.objects.create(project=acme, plugin="todoist", effect="deny")
    pushing.send(state)

    assert run_of(denied).state == "denied"
    assert todoist.requests == []


def test_one_whose_sending_was_cut_off_is_settled_before_the_next(ada, acme, alice, state, todoist):
    first, second = put(ada, "Buy milk", action="/api/actions/todoist.quick_add_task"), put(ada, "Buy tea")
    ActionRun.objects.filter(pk=first.json()["runId"]).update(state="running", started_at=timezone.now())
    pushing.send(state)
    assert run_of(second).state == "queued"  # somebody may be sending at this moment

    long_ago = timezone.now() - timedelta(minutes=5)
    ActionRun.objects.filter(pk=first.json()["runId"]).update(started_at=long_ago)
    pushing.send(state)
    assert (run_of(first).state, run_of(second).state) == ("outcome_unknown", "succeeded")


# --- with a person's word


def test_under_an_ask_rule_it_waits_for_a_person_and_then_in_the_queue(ada, acme, alice, state, todoist):
    ActionRule.objects.create(project=acme, plugin="todoist", effect="ask")
    answer = put(ada, "Buy milk", "k1")
    assert answer.json()["state"] == "awaiting_approval"
    pushing.send(state)
    assert todoist.requests == []

    approvals.grant(Approval.objects.get(), actor_for(alice, acme))
    assert put(ada, "Buy milk", "k1").json()["state"] == "queued"
    pushing.send(state)
    assert run_of(answer).state == "succeeded"


def test_a_rule_that_asks_since_then_has_a_person_look_first(ada, acme, alice, state, todoist):
    answer = put(ada, "Buy milk")
    ActionRule.objects.create(project=acme, plugin="todoist", effect="ask")
    pushing.send(state)
    assert run_of(answer).state == "awaiting_approval"
    assert todoist.requests == []

    approvals.grant(Approval.objects.get(), actor_for(alice, acme))
    pushing.send(state)
    assert run_of(answer).state == "succeeded"
