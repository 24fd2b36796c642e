"""Two people at the same moment, on real connections."""

import threading

import pytest
from django.db import connection
from django.utils import timezone

from navi.audit.problems import Problem
from navi.projects import people, tokens
from navi.projects.models import AgentToken, Invitation, Membership, Project, User
from navi.projects.rights import actor_for

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*steps):
    """Run the steps in threads that start together; how each ended."""
    ends: list[str] = []
    gate = threading.Barrier(len(steps))

    def run(step):
        gate.wait()
        try:
            step()
            ends.append("done")
        except Problem as problem:
            ends.append(type(problem).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[step]) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(ends)


@pytest.mark.parametrize("trial", range(5))
def test_one_link_lets_one_of_two_in(acme, bob, charlie, as_alice, trial):
    _, code = people.invite(acme, "member", actor=as_alice)

    ends = at_once(lambda: people.accept(code, bob), lambda: people.accept(code, charlie))

    assert ends == ["InvitationClosed", "done"]
    assert acme.memberships.count() == 2


def test_bob_clicks_two_links_at_once_and_joins_once(acme, bob, as_alice):
    codes = [people.invite(acme, "member", actor=as_alice)[1] for _ in range(2)]

    ends = at_once(*[lambda code=code: people.accept(code, bob) for code in codes])

    assert ends == ["AlreadyMember", "done"]
    assert Invitation.objects.open(acme.created_at).count() == 1


@pytest.mark.parametrize("trial", range(3))
def test_two_at_the_first_link_make_one_operator(db, trial):
    code = fresh_operator_code()

    ends = at_once(*[lambda n=n: make_operator(code, n) for n in range(2)])

    assert ends == ["InvitationClosed", "done"]
    assert User.objects.operators().count() == 1


@pytest.mark.parametrize("trial", range(3))
def test_two_open_links_make_one_operator(db, trial):
    codes = [fresh_operator_code() for _ in range(2)]
    Invitation.objects.update(revoked_at=None)

    ends = at_once(*[lambda n=n: make_operator(codes[n], n) for n in range(2)])

    assert ends == ["InvitationClosed", "done"]
    assert User.objects.operators().count() == 1


def fresh_operator_code():
    return (people.first_operator_link() or "").rpartition("/")[2]


def make_operator(code, number):
    people.make_operator(code, email=f"o{number}@example.org", name="Olga", password="a long walk home")


@pytest.mark.parametrize("trial", range(3))
def test_two_owners_cannot_both_leave(acme, alice, bob, bobs_membership, trial):
    bobs_membership.change_role("owner")
    memberships = list(acme.memberships.select_related("user", "project"))

    ends = at_once(*[lambda m=m: people.remove_member(m, actor=actor_for(m.user, acme)) for m in memberships])

    assert ends == ["LastOwner", "done"]
    assert Membership.objects.owners(acme).count() == 1


def test_a_token_is_rotated_once_by_two(ada, as_alice):
    copies = [AgentToken.objects.select_related("owner", "project").get(pk=ada[0].pk) for _ in range(2)]

    ends = at_once(*[lambda copy=copy: tokens.rotate(copy, actor=as_alice) for copy in copies])

    assert ends == ["Conflict", "done"]
    assert AgentToken.objects.count() == 2


@pytest.mark.parametrize("trial", range(5))
def test_a_family_that_is_revoked_while_it_rotates_is_dead(ada, as_alice, trial):
    copies = [AgentToken.objects.select_related("owner", "project").get(pk=ada[0].pk) for _ in range(2)]

    at_once(lambda: tokens.rotate(copies[0], actor=as_alice), lambda: tokens.revoke(copies[1], as_alice))

    assert not AgentToken.objects.living(timezone.now()).exists()


def test_dora_clicks_sign_up_twice(acme, as_alice):
    _, code = people.invite(acme, "member", actor=as_alice)
    dora = {"email": "dora@example.org", "name": "Dora", "password": "a long walk home"}
    click = lambda: people.sign_up(code, **dora)

    ends = at_once(click, click)

    assert ends[1] == "done"
    assert ends[0] in {"AccountExists", "InvitationClosed"}
    assert User.objects.filter(email="dora@example.org").count() == 1


def test_two_projects_of_one_name_get_two_slugs(alice):
    make = lambda: people.create_project("Acme", alice, actor=actor_for(alice))

    assert at_once(make, make) == ["done", "done"]
    assert set(Project.objects.values_list("slug", flat=True)) == {"acme", "acme-2"}
