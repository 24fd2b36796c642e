"""kill -9 in the middle of a call: before it is sent, after, and after its answer was kept (R8).

The vendor is the Todoist stand-in. `create_task` it does once for each request key, `quick_add_task` as often
as it is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integrations.models import ActionRule, ActionRun, Approval
from integrations.runtime import approvals
from navi.projects.models import AgentToken
from navi.projects.rights import actor_for
from tests.grants.conftest import database_url
from tests.runtime.action_crew import CUT_OFF

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLED = -9
ROOT = Path(__file__).resolve().parents[2]
CREATE = {"action": "create_task", "arguments": {"content": "Peel the kiwis"}}
ADD = {"action": "quick_add_task", "arguments": {"text": "Peel the kiwis"}}


@pytest.fixture(scope="module")
def processes(django_db_setup, key_files, tmp_path_factory):
    """Gives work to processes that may be killed."""
    environment = {"DATABASE_URL": database_url(), "NAVI_DATA_DIR": str(key_files.directory)}
    log = tmp_path_factory.mktemp("crew") / "log"
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.action_crew"], cwd=ROOT, text=True, stderr=errors,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment},
        ) as process,
    ):  # fmt: skip
        assert process.stdin and process.stdout
        assert process.stdout.readline().strip() == "ready", log.read_text()[-3000:]

        def ask(job):
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.fixture
def process(processes, adas_token, acmes_todoist, todoist):
    """One call in a process of its own: `process(CREATE, dies="action.after_send")`."""
    ada = AgentToken.objects.get(name="Ada").public_id

    def call(job, dies=""):
        return processes({"token": ada, "key": "k1", "upstream": todoist.url, "dies": dies, **job})

    return call


def peeled(todoist):
    return sum(task["content"] == "Peel the kiwis" for task in todoist.tasks.values())


def past_the_cut_off():
    time.sleep(CUT_OFF.total_seconds() + 0.1)


@pytest.mark.parametrize("job", [CREATE, ADD], ids=["idempotent", "not"])
def test_killed_before_it_is_sent_the_same_key_does_it(process, todoist, job):
    assert process(job, "action.before_send")["ended"] == KILLED
    assert peeled(todoist) == 0

    assert process(job)["result"]["content"] == "Peel the kiwis"
    assert peeled(todoist) == 1


def test_killed_after_it_was_sent_it_is_repeated_where_the_vendor_does_it_once(process, todoist):
    assert process(CREATE, "action.after_send")["ended"] == KILLED
    assert peeled(todoist) == 1
    assert ActionRun.objects.get().state == "running"

    past_the_cut_off()
    assert process(CREATE)["result"]["content"] == "Peel the kiwis"
    assert peeled(todoist) == 1
    assert ActionRun.objects.get().state == "succeeded"


def test_killed_after_it_was_sent_nobody_knows_where_the_vendor_would_do_it_twice(process, todoist):
    assert process(ADD, "action.after_send")["ended"] == KILLED
    assert process(ADD)["error"] in {"busy", "outcome_unknown"}

    past_the_cut_off()
    assert [process(ADD)["error"] for _ in range(2)] == ["outcome_unknown", "outcome_unknown"]
    assert peeled(todoist) == 1
    assert ActionRun.objects.get().state == "outcome_unknown"


@pytest.mark.parametrize("job", [CREATE, ADD], ids=["idempotent", "not"])
def test_killed_after_the_answer_was_kept_it_is_told_again(process, todoist, job):
    assert process(job, "action.after_answer")["ended"] == KILLED

    assert process(job)["result"]["content"] == "Peel the kiwis"
    assert peeled(todoist) == 1


def test_many_kills_are_no_second_task(process, todoist):
    places = ["action.before_send", "action.after_send", "action.after_answer"]
    for number in range(6):
        job = {**(CREATE if number % 2 else ADD), "key": f"many-{number}"}
        process(job, places[number % 3])
        process(job)
    past_the_cut_off()
    for number in range(6):
        process({**(CREATE if number % 2 else ADD), "key": f"many-{number}"})

    assert peeled(todoist) == 6


# --- the worker, with an approved call


@pytest.fixture
def approved(ada, acme, alice, acmes_todoist):
    """A call that waits for the worker."""

    def make(action, arguments):
        ActionRule.objects.get_or_create(project=acme, plugin="todoist", defaults={"effect": "ask"})
        answer = ada.post(f"/api/actions/todoist.{action}", arguments)
        approvals.grant(Approval.objects.get(run=answer.json()["runId"]), actor_for(alice, acme))
        return {"run": answer.json()["runId"]}

    return make


@pytest.mark.parametrize(
    ("job", "place", "ends"),
    [
        (CREATE, "before_send", "succeeded"), (ADD, "before_send", "succeeded"),
        (CREATE, "after_send", "succeeded"), (ADD, "after_send", "outcome_unknown"),
        (CREATE, "after_answer", "succeeded"), (ADD, "after_answer", "succeeded"),
    ],
    ids=lambda value: value["action"] if isinstance(value, dict) else value,
)  # fmt: skip
def test_the_worker_is_killed_with_an_approved_call(process, approved, todoist, job, place, ends):
    run = approved(job["action"], job["arguments"])
    assert process(run, f"action.{place}")["ended"] == KILLED

    past_the_cut_off()
    assert process(run)["result"] == ends
    assert process(run)["result"] == ends
    assert peeled(todoist) == 1
