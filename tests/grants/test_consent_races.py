"""Two people finish granting access to one connection at the same moment (R7), and answers that come late (R6)."""

import hashlib
import threading
from base64 import urlsafe_b64encode

import pytest
from django.db import connection as database

from credentials.models import OAuthAttempt, Secret, State
from integrations import registry
from integrations.runtime import consent
from navi.projects.rights import actor_for
from tests.grants.house import again, answers_of, fields_of, reconnected, served
from tests.grants.vendor import TOKEN

pytestmark = pytest.mark.django_db(transaction=True)


def begun_by(person, project, row, vendor):
    """A sign-in that is one answer away from its end: what the browser comes back with."""
    entry = registry.entry(row.provider, project.pk)
    wish = consent.Wish(entry, project, person, reconnects=again(row), label=person.name)
    actor = actor_for(person, project)
    attempt, address = consent.begin(wish, actor)
    kept = attempt.kept.reveal()
    state = address.partition("state=")[2].partition("&")[0]
    digest = hashlib.sha256(kept["verifier"].encode()).digest()
    challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
    code = vendor.code_for(person.name, kept["redirect_uri"], challenge)
    return lambda: consent.finish({"state": state, "code": code}, user=person, actor=actor)


def at_once(*steps):
    """Each step in a thread; what came of it."""
    found, gate = {}, threading.Barrier(len(steps))

    def run(number, step):
        try:
            gate.wait()
            found[number] = step()
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(steps))]


def one_wins(ends, row, vendor, *, is_loser_revoked=True):
    """One is connected with a whole pair, the other is told, and what that one got ends at the vendor."""
    by_outcome = {attempt.outcome: attempt for attempt in ends}
    assert set(by_outcome) == {OAuthAttempt.State.DONE, OAuthAttempt.State.FAILED}
    assert by_outcome[OAuthAttempt.State.FAILED].code == "conflict"
    fields = fields_of(row)
    pair = next(one for one in vendor.pairs if one.access == fields["access_token"])
    assert fields["refresh_token"] == pair.refresh
    assert pair.grant.person == by_outcome[OAuthAttempt.State.DONE].user.name
    losers = [one for one in vendor.pairs if one.grant.person in {"Alice", "Adam"} and one is not pair]
    assert [one.grant.is_ended for one in losers[-1:]] == [is_loser_revoked]
    assert not pair.grant.is_ended
    assert Secret.objects.filter(connection=row).count() == 1
    assert again(row).state == State.ACTIVE


@pytest.mark.parametrize("trials", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_alice_and_adam_reconnect_at_once_and_one_wins_whole(acmes, acme, alice, adam, vendor, trials):
    row = acmes("strict")

    for _ in range(trials):
        both = [begun_by(person, acme, row, vendor) for person in (alice, adam)]
        ends = at_once(*both)
        one_wins(ends, row, vendor)
        vendor.pairs = []


def test_where_revoking_would_end_the_winners_too_the_losers_grant_stays(acmes, acme, alice, adam, vendor):
    row = acmes("allornone")

    ends = at_once(*[begun_by(person, acme, row, vendor) for person in (alice, adam)])

    one_wins(ends, row, vendor, is_loser_revoked=False)


def test_alice_reconnects_while_agents_renew_and_hers_is_in_force(acmes, acme, alice, vendor, crew, job):
    row = acmes("strict")
    vendor.hold(TOKEN, 0.3)
    finish = begun_by(alice, acme, row, vendor)

    (attempt, ends) = at_once(finish, lambda: crew.run(job("read", "strict", threads=10, patience=20)))

    assert attempt.outcome == OAuthAttempt.State.DONE
    assert [one for one in ends[0]["said"] if "error" in one] == []
    pair = next(one for one in vendor.pairs if one.access == fields_of(row)["access_token"])
    assert pair.grant.person == "Alice"
    assert fields_of(row)["refresh_token"] == pair.refresh
    assert not answers_of(row).exists()


def test_an_answer_after_the_lease_has_ended_is_still_saved(acmes, vendor, crew, job):
    row = acmes("lenient")

    def is_too_early(request):
        """The first is answered once the second has asked, the second once the first has saved."""
        if request is vendor.asked(TOKEN)[0]:
            return vendor.refreshes < 2
        return again(row).generation < 2

    vendor.hold_while(is_too_early)

    ends = crew.run(*[job("read", "lenient", patches={"credentials.asker.LEASE": 0.4}, patience=60)] * 2)

    said = [one for end in ends for one in end["said"]]
    assert [one for one in said if "error" in one] == []
    assert vendor.refreshes == 2  # the second had waited for the lease, and got the same pair
    assert fields_of(row)["refresh_token"] == vendor.living[-1].refresh
    assert again(row).generation == 2
    assert not answers_of(row).exists()


def test_a_late_answer_is_never_put_over_a_newer_grant(acmes, vendor):
    row = acmes("strict")
    new = []
    vendor.meanwhile(lambda: new.append(reconnected(row, vendor)))

    served(row)

    assert fields_of(row) == {"access_token": new[0].access, "refresh_token": new[0].refresh}
