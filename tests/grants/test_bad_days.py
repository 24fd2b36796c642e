"""A database that is busy, clocks that jump, and nothing secret in what is written down (R12, R13)."""

import sqlite3
import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.db import connection as database
from django.utils import timezone

from credentials import asker
from credentials.models import Connection
from integrations.sdk import VendorError
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.jobs.models import Job
from tests.canary.scanner import Scanner
from tests.grants.crew import Crew
from tests.grants.house import access_of, again, fields_of, granted, served
from tests.grants.providers import KINDS
from tests.grants.vendor import TOKEN
from tests.standins.grants import CLIENT_SECRET
from tests.test_canary import at_rest, lines

pytestmark = pytest.mark.django_db(transaction=True)


# --- SQLite held by another


class Holder:
    """Another process in the middle of a long write."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.has_it = threading.Event()
        self.path = database.settings_dict["NAME"]

    def hold(self):
        thread = threading.Thread(target=self.hold_until_over)
        thread.start()
        assert self.has_it.wait(30)

    def hold_until_over(self):
        found = sqlite3.connect(self.path, isolation_level=None, timeout=20)
        found.execute("BEGIN IMMEDIATE")
        self.has_it.set()
        time.sleep(self.seconds)
        found.execute("COMMIT")
        found.close()


@pytest.mark.slow
@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_the_database_is_held_while_an_answer_comes_and_it_is_saved_all_the_same(
    acmes, vendor, crew, job, seconds
):
    connection = acmes("strict")
    vendor.meanwhile(Holder(seconds).hold)

    ends = crew.run(job("read", "strict", patience=60))

    pair = vendor.living[-1]
    assert [one.get("token") for one in ends[0]["said"]] == [pair.access]
    assert fields_of(connection) == {"access_token": pair.access, "refresh_token": pair.refresh}
    assert vendor.refreshes == 1


@pytest.mark.only_on("sqlite")
def test_while_nothing_can_be_saved_nothing_is_asked(acmes, vendor, monkeypatch):
    connection = acmes("strict")
    row = again(connection)
    database.cursor().execute("PRAGMA busy_timeout = 100")
    holder = sqlite3.connect(database.settings_dict["NAME"], isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Exception, match="locked"):
            asker.take_lease(row)
    finally:
        holder.execute("COMMIT")
        holder.close()
        database.close()

    assert vendor.refreshes == 0


# --- clocks


@pytest.mark.parametrize("step", [timedelta(minutes=10), timedelta(hours=26)])
def test_a_clock_that_jumps_ahead_costs_one_refresh(acmes, vendor, step):
    connection = acmes("strict", left=3000)

    with time_machine.travel(timezone.now() + step, tick=True):
        found = {access_of(served(connection)) for _ in range(5)}

    assert len(found) == 1
    assert vendor.refreshes <= 1


@pytest.mark.parametrize("step", [timedelta(minutes=10), timedelta(hours=26)])
def test_a_clock_that_jumps_back_after_a_refresh_serves_no_token_beyond_its_end(acmes, vendor, step):
    connection = acmes("strict")
    with time_machine.travel(timezone.now() + step, tick=True):
        served(connection)

    for _ in range(5):
        served(connection)

    assert again(connection).expires_at <= timezone.now() + timedelta(hours=1)
    assert vendor.refreshes == 2


def test_a_clock_that_jumps_back_during_a_lease_lets_nobody_ask_twice(acmes, vendor):
    connection = acmes("strict")
    assert asker.take_lease(again(connection))

    with time_machine.travel(timezone.now() - timedelta(hours=26), tick=True):
        assert asker.take_lease(again(connection)) is None
    with time_machine.travel(timezone.now() + timedelta(hours=26), tick=True):
        assert asker.take_lease(again(connection)) is None


# --- nothing secret


def secrets_of(vendor):
    """Every token that ever was, and the app's secret."""
    tokens = [token for pair in vendor.pairs for token in (pair.access, pair.refresh) if token]
    return {f"token {number}": token for number, token in enumerate(tokens)} | {"app": CLIENT_SECRET}


@pytest.mark.slow
def test_no_token_is_in_logs_audit_jobs_or_words(acme, vendor, environment, job, lines, tmp_path):
    log = tmp_path / "log"
    for kind in KINDS:
        granted(acme, kind, vendor)
    with Crew(environment, log) as crew:
        crew.run(job("read", "steady", failpoints={"refresh.before_request": "fail"}))
        crew.run(job("read", "strict", failpoints={"refresh.after_response": "fail"}))
        crew.run(job("read", "lenient", failpoints={"refresh.after_save": "kill"}))
        all_that_goes_wrong(vendor, crew, job)
    told = all_that_is_told(vendor)

    scanner = Scanner(secrets_of(vendor))
    assert scanner.hits("\n".join([*lines, *told]).encode()) == set()
    assert scanner.hits(log.read_bytes()) == set()
    assert {f"{place}: {hit}" for place, data in at_rest() for hit in scanner.hits(data)} == set()


def all_that_goes_wrong(vendor, crew, job):
    echo = {"error": "invalid_request", "error_description": f"{vendor.pairs[-1].refresh} {CLIENT_SECRET}"}
    for status, body in ((400, echo), (500, echo), (200, f"<p>{vendor.pairs[-1].access}"), (401, echo)):
        vendor.break_next(TOKEN, status, body)
        crew.run(job("read", "harsh"))
        Connection.objects.update(hold_until=None)


def all_that_is_told(vendor):
    """Words of errors, reasons on rows, the audit and the jobs."""
    words = []
    vendor.kill()
    for row in Connection.objects.all():
        Connection.objects.filter(pk=row.pk).update(hold_until=None, lease_until=None)
        try:
            served(row)
        except (VendorError, Problem) as error:
            words += [str(error), repr(error), error.message]
    assert words
    words += [str(row.__dict__) for row in Connection.objects.all()]
    words += [str(row.__dict__) for row in AuditEvent.objects.all()]
    words += [str(row.__dict__) for row in Job.objects.all()]
    return words


__all__ = ["lines"]
