import uuid
from datetime import timedelta

import pytest

from credentials.models import Health
from integrations.models import Milestone
from integrations.runtime import metrics, recovery
from integrations.sdk import Reconnect, Refused, TryLater
from navi.audit.actor import Actor
from navi.audit.record import record

pytestmark = pytest.mark.django_db

ADA = Actor("agent", "abcdefghijkl", "Ada")


@pytest.fixture
def figures(now):
    """The figures of the last week by name; two queries."""

    def compute():
        found = metrics.figures(since=now - timedelta(days=7), until=now + timedelta(minutes=1))
        return {figure.slug: figure for figure in found}

    return compute


@pytest.fixture
def step(now):
    """Write down a milestone: `step("first_use", value=30)`."""

    def write(kind, *, attempt=None, ago=timedelta(hours=1), value=None):
        Milestone.objects.create(kind=kind, at=now - ago, attempt=attempt, value=value)

    return write


def setups(step, *endings, ago=timedelta(hours=1)):
    for ending in endings:
        attempt = uuid.uuid4()
        step("setup_started", attempt=attempt, ago=ago + timedelta(seconds=5))
        if ending:
            step(ending, attempt=attempt, ago=ago)


def test_where_nothing_happened_nothing_is_judged(figures):
    found = figures()

    assert {figure.verdict for figure in found.values()} == {metrics.NOT_ENOUGH}
    assert [figure.value for figure in found.values()] == [None] * 5


def test_all_figures_take_two_queries(figures, django_assert_num_queries, step):
    setups(step, *["setup_succeeded"] * 5)

    with django_assert_num_queries(2):
        figures()


def test_setup_success_counts_what_connected(figures, step):
    setups(step, *["setup_succeeded"] * 19, "setup_failed")

    figure = figures()["setup"]

    assert (figure.value, figure.count, figure.verdict) == (0.95, 20, metrics.MET)
    assert figure.told == "19 of 20 setups connected"


def test_exactly_ninety_percent_is_not_more_than_ninety(figures, step):
    setups(step, *["setup_succeeded"] * 9, "setup_failed")

    assert figures()["setup"].verdict == metrics.NOT_MET


def test_a_setup_that_failed_first_and_connected_in_the_end_is_a_success(figures, step):
    attempt = uuid.uuid4()
    step("setup_started", attempt=attempt, ago=timedelta(minutes=9))
    step("setup_failed", attempt=attempt, ago=timedelta(minutes=8))
    step("setup_started", attempt=attempt, ago=timedelta(minutes=7))
    step("setup_succeeded", attempt=attempt, ago=timedelta(minutes=6))

    assert figures()["setup"].value == 1


def test_a_setup_that_was_left_counts_against_us_but_not_one_that_is_under_way(figures, step):
    setups(step, "setup_succeeded", None)
    setups(step, None, ago=timedelta(minutes=1))

    figure = figures()["setup"]

    assert (figure.value, figure.count) == (0.5, 2)


def test_what_is_older_than_the_window_does_not_count(figures, step):
    setups(step, "setup_failed", ago=timedelta(days=8))
    step("satisfaction", value=1, ago=timedelta(days=8))

    found = figures()

    assert (found["setup"].count, found["satisfaction"].count) == (0, 0)


def test_time_to_first_use_is_the_median(figures, step):
    for seconds in (10, 20, 90, 100, 86400):
        step("first_use", value=seconds)

    figure = figures()["first_use"]

    assert (figure.value, figure.verdict) == (90, metrics.MET)


def test_satisfaction_is_the_mean_of_the_answers(figures, step):
    for answer in (5, 5, 4, 4, 1):
        step("satisfaction", value=answer)

    figure = figures()["satisfaction"]

    assert (figure.value, figure.verdict) == (pytest.approx(3.8), metrics.NOT_MET)


def test_four_answers_say_nothing(figures, step):
    for _ in range(4):
        step("satisfaction", value=5)

    assert figures()["satisfaction"].verdict == metrics.NOT_ENOUGH


def test_agent_errors_are_what_agents_did_not_get(figures, acme):
    for _ in range(38):
        record("secret.released", actor=ADA, project=acme)
    record("action.run", actor=ADA, project=acme, outcome="refused", code="not_connected")
    record("proxy.called", actor=ADA, project=acme, outcome="failed", code="vendor_unavailable")

    figure = figures()["agent_errors"]

    assert (figure.value, figure.count, figure.verdict) == (0.05, 40, metrics.NOT_MET)
    assert figure.told == "of 40 calls: 1 refused, 1 failed"


def test_neither_peoples_calls_nor_asking_for_approval_are_agent_errors(figures, acme, alice):
    record("action.run", actor=Actor("person", str(alice.pk), "Alice"), outcome="failed")
    record("action.run", actor=ADA, outcome="refused", code="approval_required")

    figure = figures()["agent_errors"]

    assert (figure.value, figure.count) == (0, 1)


# --- recovery: what the corridor records, and what is made of it


@pytest.fixture
def todoist(account, acme):
    return account("todoist", project=acme)


def milestones(kind):
    return Milestone.objects.filter(kind=kind).count()


def test_an_illness_is_one_attempt_however_often_it_fails(todoist):
    for _ in range(5):
        recovery.note_failure(todoist, TryLater("Todoist does not answer."))

    assert (milestones("recovery_attempted"), todoist.error_count) == (1, 5)


def test_calls_that_fail_at_the_same_time_begin_one_illness(todoist, account):
    seen_by_another_process = type(todoist).objects.get(pk=todoist.pk)

    recovery.note_failure(todoist, TryLater("Todoist does not answer."))
    recovery.note_failure(seen_by_another_process, TryLater("Todoist does not answer."))

    assert (milestones("recovery_attempted"), seen_by_another_process.error_count) == (1, 2)


def test_an_illness_ends_once(todoist):
    recovery.note_failure(todoist, TryLater("Todoist does not answer."))
    seen_by_another_process = type(todoist).objects.get(pk=todoist.pk)

    recovery.note_success(todoist)
    recovery.note_success(seen_by_another_process)

    assert milestones("recovery_succeeded") == 1
    assert (todoist.health, todoist.error_count) == (Health.HEALTHY, 0)


def test_a_vendor_that_refuses_the_content_makes_nobody_ill(todoist):
    recovery.note_failure(todoist, Refused("There is no such project."))

    assert milestones("recovery_attempted") == 0


def test_a_first_success_is_no_recovery(account, acme):
    recovery.note_success(account("todoist", project=acme, health="unknown"))

    assert milestones("recovery_succeeded") == 0


def test_recovery_success_never_exceeds_the_illnesses(figures, step):
    connection = uuid.uuid4()
    step("recovery_succeeded", attempt=connection, ago=timedelta(hours=9))  # fell ill before the window
    for hour in (8, 6, 4):
        step("recovery_attempted", attempt=connection, ago=timedelta(hours=hour))
        step("recovery_succeeded", attempt=connection, ago=timedelta(hours=hour - 1))
    step("recovery_attempted", attempt=uuid.uuid4(), ago=timedelta(hours=2))

    figure = figures()["recovery"]

    assert (figure.value, figure.count) == (0.75, 4)


def test_an_illness_of_a_minute_ago_is_not_judged_yet(figures, step):
    step("recovery_attempted", attempt=uuid.uuid4(), ago=timedelta(minutes=1))

    assert figures()["recovery"].value is None


def test_one_failure_and_many_successes_are_one_recovery(figures, todoist):
    recovery.note_failure(todoist, Reconnect("Todoist no longer accepts this token."))
    for _ in range(3):
        recovery.note_success(todoist)

    assert figures()["recovery"].value == 1
