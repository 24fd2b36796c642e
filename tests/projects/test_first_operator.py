from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from navi.audit.models import AuditEvent
from navi.projects import people
from navi.projects.errors import InvalidInput, InvitationClosed, PepperMissing
from navi.projects.models import Invitation, User

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLGA = {"email": "Olga@example.org", "name": "Olga", "password": "a long walk home"}


def code_of(link):
    return link.rpartition("/")[2]


def test_olga_makes_her_account_from_the_link_of_the_first_start(db, settings):
    link = people.first_operator_link() or ""

    olga = people.make_operator(code_of(link), **OLGA)

    assert link.startswith(f"{settings.BASE_URL}/set-up/navi_inv_")
    assert (olga.is_superuser, olga.is_staff, olga.email) == (True, True, "olga@example.org")
    assert olga.check_password(OLGA["password"])
    assert AuditEvent.objects.get().event == "operator.created"


def test_the_link_works_once_and_there_is_no_second_one(db):
    link = people.first_operator_link()
    people.make_operator(code_of(link), **OLGA)

    with pytest.raises(InvitationClosed):
        people.make_operator(code_of(link), **OLGA | {"email": "eve@example.org"})

    assert people.first_operator_link() is None
    assert User.objects.count() == 1


def test_a_new_start_makes_a_new_link_and_closes_the_old_one(db):
    old = people.first_operator_link()
    new = people.first_operator_link()

    with pytest.raises(InvitationClosed):
        people.make_operator(code_of(old), **OLGA)

    people.make_operator(code_of(new), **OLGA)


def test_the_link_closes_after_a_day(db):
    with time_machine.travel(NOON, tick=False) as clock:
        link = people.first_operator_link()
        clock.shift(timedelta(hours=24))
        with pytest.raises(InvitationClosed):
            people.make_operator(code_of(link), **OLGA)


def test_a_weak_password_uses_nothing_up(db):
    link = people.first_operator_link()

    with pytest.raises(InvalidInput):
        people.make_operator(code_of(link), **OLGA | {"password": "olga"})

    people.make_operator(code_of(link), **OLGA)


def test_an_open_link_is_worthless_once_there_is_an_operator(db):
    link = people.first_operator_link()
    User.objects.create_superuser("first@example.org", "a long walk home")

    with pytest.raises(InvitationClosed):
        people.make_operator(code_of(link), **OLGA)


def test_an_invitation_to_a_project_makes_no_operator(acme, as_alice):
    _, code = people.invite(acme, "owner", actor=as_alice)

    with pytest.raises(InvitationClosed):
        people.make_operator(code, **OLGA)


def test_the_operators_link_makes_no_member(alice):
    with pytest.raises(InvitationClosed):
        people.accept(code_of(people.first_operator_link()), alice)


def test_without_its_pepper_navi_says_it_is_sealed(db, settings, tmp_path):
    (tmp_path / "pepper").unlink()

    with pytest.raises(PepperMissing):
        people.first_operator_link()

    assert not Invitation.objects.exists()
