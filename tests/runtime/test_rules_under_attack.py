"""Around a rule, an approval or a switch: what an agent tries, and what a crash leaves behind."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from credentials.models import Connection
from integrations.models import ActionRule, ActionRun, Approval, CustomProvider, IntegrationDefault
from integrations.runtime import approvals, holding, runs, tasks
from navi.audit.problems import Problem
from navi.jobs.handlers import Later
from navi.projects.rights import actor_for
from tests.hub.browsers import browser_of

CREATE = "/api/actions/todoist.create_task"
RESUME = "/api/actions/runs/{}/resume"
MILK = {"content": "Buy milk"}


@pytest.fixture
def ask(acme):
    def make():
        return ActionRule.objects.create(project=acme, plugin="todoist", effect="ask")

    return make


@pytest.fixture
def granted(ada, alice, acme, acmes_todoist, ask):
    """Ada's call, which Alice has approved; nobody has taken it up yet."""
    ask()
    held = ada.post(CREATE, MILK).json()
    approvals.grant(Approval.objects.get(), actor_for(alice, acme))
    return held


def writes(todoist):
    return [one for one in todoist.requests if one.method == "POST"]


# --- calls


def test_a_call_that_was_cut_off_is_not_repeated_past_a_newer_rule(
    ada, acmes_todoist, todoist, ask, error_of
):
    ada.post(CREATE, MILK, idempotency_key="k")
    ActionRun.objects.update(state="outcome_unknown")
    ask()
    again = ada.post(CREATE, MILK, idempotency_key="k")

    assert error_of(again)["code"] == "outcome_unknown"
    assert len(writes(todoist)) == 1


def test_a_word_for_one_account_is_none_for_another_behind_the_same_connection(
    ada, granted, todoist, error_of
):
    Connection.objects.update(account_id="somebody-else")
    answer = ada.post(RESUME.format(granted["runId"]))

    assert error_of(answer)["code"] == "approval_denied"
    assert writes(todoist) == []


def test_a_call_that_was_cut_off_is_not_forgotten_where_its_repeat_fails(
    ada, acmes_todoist, todoist, error_of
):
    ada.post(CREATE, MILK, idempotency_key="k")
    ActionRun.objects.update(state="outcome_unknown", answer=None)
    todoist.rate_limit_next()
    limited = ada.post(CREATE, MILK, idempotency_key="k")

    assert error_of(limited)["code"] == "rate_limited"
    assert ActionRun.objects.get().state == "outcome_unknown"


def test_an_approved_call_that_was_cut_off_is_not_lost_where_its_repeat_fails(granted, todoist):
    was = timezone.now() - runs.CUT_OFF_AFTER * 2
    ActionRun.objects.update(state="running", started_at=was)
    Approval.objects.update(state="used")
    todoist.rate_limit_next()
    with pytest.raises(Later):
        approvals.run_job(granted["runId"])

    run = ActionRun.objects.get()
    assert runs.is_cut_off(run) and run.arguments.reveal() == MILK
    assert Approval.objects.get().state == "used"


def test_what_waits_in_a_queue_is_not_forgotten_with_old_runs(granted):
    ActionRun.objects.update(state="queued", started_at=timezone.now() - timedelta(days=99))
    tasks.forget_old()

    assert ActionRun.objects.exists()


ODD = {
    "a list": [1],
    "pairs": [["content", "x"]],
    "a text": "x",
    "nothing": None,
    "an object for a text": {"content": {"a": 1}},
}
RAW = {
    "deep": b'{"content":' + b"[" * 900 + b"]" * 900 + b"}",
    "deeper": b'{"content":' + b"[" * 9000,
    "endless": b'{"content": 1e999}',
    "many digits": b'{"content":' + b"1" * 5000 + b"}",
    "half a pair": b'{"content":"\\ud800"}',
    "no text": b"\xff",
}
BODIES = {name: json.dumps(body).encode() for name, body in ODD.items()} | RAW


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_an_odd_body_is_the_agents_mistake(ada, acmes_todoist, body):
    for path in (CREATE, RESUME.format("0" * 32)):
        answer = ada.client.post(path, body, content_type="application/json")
        assert answer.status_code in {400, 404}, answer.content


# --- pages


@pytest.mark.parametrize("trick", ["\0", "\u00ad", "\u061c", "\u202e", "\u2028", "\u3164", "\U000e0041"])
def test_nothing_in_an_argument_is_invisible_to_whoever_approves_it(ada, alice, acmes_todoist, ask, trick):
    ask()
    asked = ada.post(CREATE, {"content": f"Pay {trick}me"})
    page = browser_of(alice).get("/p/acme/approvals")

    assert asked.status_code == 202
    assert f"Pay \\u{ord(trick):04x}me" in page.text
    assert trick not in page.text


def test_half_a_surrogate_pair_does_not_take_the_page_away(alice, granted):
    row = ActionRun.objects.get()
    row.arguments = {"content": {"a": "\ud800"}}
    row.save()
    Approval.objects.update(state="waiting")
    page = browser_of(alice).get("/p/acme/approvals")

    assert page.status_code == 200
    assert "\\ud800" in page.text


# --- switches


def test_the_familys_credential_is_not_released_while_one_of_it_is_off(ada, acme, connected, error_of):
    Connection.objects.create(
        provider="google", project=acme, auth_kind="oauth", state="active", is_default=True
    )
    IntegrationDefault.objects.create(provider="google", plugin="google-drive", enabled=False, project=acme)
    answer = ada.get("/api/credentials/google/token")

    assert (answer.status_code, error_of(answer)["code"]) == (403, "disabled")
    assert "Google Drive is switched off" in error_of(answer)["message"]


def test_a_plugin_that_is_its_whole_provider_releases_nothing_while_it_is_off(
    ada, acme, acmes_todoist, error_of
):
    IntegrationDefault.objects.create(provider="todoist", plugin="todoist", enabled=False, project=acme)

    assert error_of(ada.get("/api/credentials/todoist/token"))["code"] == "disabled"


def test_a_rule_about_everything_covers_a_custom_provider_too(ada, acme, connected, error_of):
    CustomProvider.objects.create(
        project=acme, slug="intranet", name="Intranet", base_url="https://intranet.example"
    )
    connected("intranet", acme, apiKey="0123456789abcdef0123")
    ActionRule.objects.create(project=acme, effect="deny")

    for path in ("/api/credentials/intranet/token", "/api/proxy/intranet/x"):
        assert error_of(ada.get(path))["code"] == "blocked"


# --- at the same moment


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_call_and_of_its_time_do_not_wait_for_each_other(granted):
    """One takes the run and then its approval; so must the other."""
    run, approval = ActionRun.objects.get(), Approval.objects.select_related("run__project").get()
    has_run, failures = threading.Event(), []

    def refuse():
        try:
            with transaction.atomic():
                holding.lock(run)
                has_run.set()
                threading.Event().wait(0.5)
                holding.refuse(run, Problem("approval_denied", "no"))
        except Exception as failure:
            failures.append(failure)
        finally:
            database.close()

    other = threading.Thread(target=refuse)
    other.start()
    has_run.wait(10)
    holding.expire(approval)
    other.join(20)

    assert failures == []
    assert ActionRun.objects.get().state in {"denied", "expired"}
