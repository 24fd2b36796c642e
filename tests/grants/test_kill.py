"""kill -9 while a grant is renewed: before the request, after the answer, after it was saved (R3, R4)."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from credentials.models import State
from integrations.runtime import grants
from integrations.sdk import TryLater
from navi.audit.models import AuditEvent
from tests.grants.crew import Crew
from tests.grants.house import access_of, again, age, answers_of, fields_of, served

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLED = -9
LEASE = {"credentials.asker.LEASE": 0.5}
KINDS = ["steady", "strict", "lenient", "brief", "harsh"]


@pytest.fixture
def killed(crew, job):
    """A process that dies at this place, while it renews the grant of this provider."""

    def die(provider, place, **facts):
        facts = {"patches": LEASE, **facts}
        ends = crew.run(job("read", provider, failpoints={f"refresh.{place}": "kill"}, **facts))
        assert [end["ended"] for end in ends] == [KILLED]

    return die


@pytest.fixture
def next_agent(crew, job):
    """The next one asks, and waits when told to."""

    def ask(provider, **facts):
        (end,) = crew.run(job("read", provider, patches=LEASE, patience=60, **facts))
        return end["said"][0]

    return ask


@pytest.mark.parametrize("kind", ["steady", "strict", "lenient"])
def test_killed_before_the_request_the_next_agent_renews_after_the_lease(
    acmes, vendor, killed, next_agent, kind
):
    connection = acmes(kind)
    killed(kind, "before_request")

    found = next_agent(kind)

    pair = vendor.living[-1]
    assert found["token"] == access_of(connection) == pair.access
    assert found["seconds"] < 30  # 2 by itself; the lease of another process would last 40
    assert vendor.refreshes == 1
    assert again(connection).asked_at is None


@pytest.mark.parametrize("kind", ["brief", "harsh"])
def test_killed_before_the_request_within_the_grace_is_made_good_else_a_person_is_asked(
    acmes, vendor, killed, next_agent, kind
):
    acmes(kind)
    killed(kind, "before_request")

    found = next_agent(kind)

    # Nobody knows that nothing was sent; harsh vendors end every grant of Alice's at a second showing.
    assert ("token" in found) == (kind == "brief")
    assert vendor.refreshes == (kind == "brief")


@pytest.mark.parametrize("kind", KINDS)
def test_killed_after_the_answer_was_saved_it_is_taken_up_without_asking(
    acmes, vendor, killed, next_agent, kind
):
    connection = acmes(kind)
    killed(kind, "after_save")
    assert answers_of(connection).count() == 1

    found = next_agent(kind)

    pair = vendor.pairs[-1]
    assert found["token"] == access_of(connection) == pair.access
    assert fields_of(connection)["refresh_token"] == (pair.refresh or vendor.pairs[0].refresh)
    assert vendor.refreshes == 1
    assert not answers_of(connection).exists()
    assert again(connection).state == State.ACTIVE


def test_nobody_reads_the_saved_answer_and_the_worker_takes_it_up(acmes, vendor, killed):
    connection = acmes("strict")
    killed("strict", "after_save")
    time.sleep(0.6)
    connection.secrets.update(created_at=timezone.now() - timedelta(minutes=2))

    assert [pk for pk, _ in grants.due_now(timezone.now())] == [connection.pk]
    grants.run_job(str(connection.pk))

    assert access_of(connection) == vendor.living[-1].access
    assert vendor.refreshes == 1


@pytest.mark.parametrize("kind", ["steady", "lenient"])
def test_killed_before_saving_a_kind_vendor_says_it_again(acmes, vendor, killed, next_agent, kind):
    connection = acmes(kind)
    killed(kind, "after_response")

    found = next_agent(kind)

    row, pair = again(connection), vendor.pairs[-1]
    assert found["token"] == access_of(connection) == pair.access
    assert fields_of(connection)["refresh_token"] == (pair.refresh or vendor.pairs[0].refresh)
    assert (vendor.refreshes, row.state, row.refusals) == (2, State.ACTIVE, 0)


def test_killed_before_saving_todoist_repeats_the_access_token_and_alice_is_asked_in_time(
    acmes, vendor, killed, next_agent
):
    connection = acmes("brief")
    killed("brief", "after_response")

    found = next_agent("brief")

    row = again(connection)
    assert found["token"] == vendor.living[-1].access
    assert (vendor.refreshes, row.state, row.refusals) == (2, State.REFRESH_OUTCOME_UNKNOWN, 2)
    assert "cut off" in row.state_reason
    assert next_agent("brief")["token"] == found["token"]  # until its end
    age(row, left=-1)
    assert next_agent("brief")["error"] == "reauth_required"
    assert again(connection).state == State.REAUTH_REQUIRED
    assert vendor.refreshes == 2


@pytest.mark.parametrize(("kind", "calls"), [("strict", 2), ("harsh", 1)])
def test_killed_before_saving_at_a_strict_vendor_alice_is_told_and_nobody_asks_on(
    acmes, vendor, killed, next_agent, kind, calls
):
    connection = acmes(kind)
    killed(kind, "after_response")

    found = [next_agent(kind) for _ in range(3)]

    row = again(connection)
    assert {one["error"] for one in found} == {"reauth_required"}
    assert row.state == State.REAUTH_REQUIRED
    assert "cut off" in row.state_reason
    assert vendor.refreshes == calls
    assert AuditEvent.objects.filter(event="connection.refresh_failed", code="reauth_required").count() == 1


@pytest.mark.parametrize(("kind", "calls"), [("strict", 2), ("harsh", 1)])
def test_killed_while_renewing_ahead_the_old_token_serves_until_its_end(
    acmes, vendor, killed, next_agent, kind, calls
):
    connection = acmes(kind, left=600)
    old = access_of(connection)
    killed(kind, "after_response", min_ttl=700)
    time.sleep(0.6)

    found = [next_agent(kind, min_ttl=700) for _ in range(3)]

    row = again(connection)
    assert {one["token"] for one in found} == {old}
    assert row.state == State.REFRESH_OUTCOME_UNKNOWN
    assert vendor.refreshes == calls
    age(connection, left=20)
    assert next_agent(kind)["token"] == old
    age(connection, left=-1)
    assert next_agent(kind)["error"] == "reauth_required"
    assert again(connection).state == State.REAUTH_REQUIRED
    assert vendor.refreshes == calls


def test_several_kills_before_the_request_lose_nothing(acmes, vendor, killed, next_agent):
    connection = acmes("strict")
    for _ in range(4):
        killed("strict", "before_request", patches={"credentials.asker.LEASE": 0.05})
        time.sleep(0.06)

    assert next_agent("strict")["token"] == access_of(connection) == vendor.living[-1].access
    assert (vendor.refreshes, vendor.reuses) == (1, 0)


@pytest.mark.slow
def test_after_a_kill_the_real_lease_of_forty_seconds_is_waited_out(
    acmes, vendor, environment, job, tmp_path
):
    connection = acmes("strict")
    dying = environment | {"NAVI_FAILPOINTS": "refresh.before_request=kill"}
    with Crew(dying, tmp_path / "log") as crew:
        assert crew.run(job("read", "strict"))[0]["ended"] == KILLED
    killed_at = time.monotonic()

    with pytest.raises(TryLater) as told:
        served(connection)
    assert told.value.code == "busy"
    found = served(connection)

    assert time.monotonic() - killed_at < 40 + 30
    assert access_of(found) == vendor.living[-1].access
    assert vendor.refreshes == 1
