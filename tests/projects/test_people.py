from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from navi.audit.actor import Actor
from navi.audit.models import AuditEvent
from navi.projects import people, roles, tokens
from navi.projects.errors import (
    AlreadyMember,
    BadToken,
    Conflict,
    InvalidInput,
    InvitationClosed,
    LastOwner,
    NotAllowed,
)
from navi.projects.models import Invitation, Membership, Project, User
from navi.projects.rights import actor_for
from navi.projects.signals import member_gone

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLGA = Actor("operator", "1", "Olga")
GOOD = "a long walk home"


def events():
    return list(AuditEvent.objects.order_by("at").values_list("event", flat=True))


def membership_of(user, project):
    return Membership.objects.get(user=user, project=project)


# --- projects


def test_alice_makes_a_project_and_owns_it(alice, acme):
    assert (acme.slug, acme.role_of(alice)) == ("acme", "owner")
    assert events() == ["project.created"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme", "acme-2"),
        ("  Big   Plans! ", "big-plans"),
        ("Zürich", "zurich"),
        ("New", "new-2"),
        ("Settings", "settings-2"),
        ("日本", "project"),
        ("x" * 120, "x" * 50),
    ],
)
def test_a_slug_is_made_from_the_name(alice, acme, name, slug):
    assert people.create_project(name, alice, actor=actor_for(alice)).slug == slug


def test_three_projects_may_share_a_name(alice):
    made = [people.create_project("Acme", alice, actor=actor_for(alice)).slug for _ in range(3)]

    assert made == ["acme", "acme-2", "acme-3"]


@pytest.mark.parametrize("slug", ["acme", "new", "settings"])
def test_a_slug_that_is_taken_or_ours_is_refused(alice, acme, slug):
    with pytest.raises(Conflict):
        people.create_project("Other", alice, actor=actor_for(alice), slug=slug)


@pytest.mark.parametrize("slug", ["Big", "a b", "ä", "-", "a/b", "x" * 61])
def test_a_slug_has_small_letters(alice, slug):
    with pytest.raises(InvalidInput) as refused:
        people.create_project("Other", alice, actor=actor_for(alice), slug=slug)

    assert refused.value.field == "slug"


@pytest.mark.parametrize("name", ["", " \n", "x" * 121, "a\0b"])
def test_a_project_has_a_name(alice, name):
    with pytest.raises(InvalidInput):
        people.create_project(name, alice, actor=actor_for(alice))


def test_renaming_keeps_every_address(acme, as_alice):
    people.rename(acme, "Acme & Sons", actor=as_alice)

    acme.refresh_from_db()
    assert (acme.name, acme.slug) == ("Acme & Sons", "acme")
    assert AuditEvent.objects.get(event="project.updated").detail == {"name": "Acme & Sons", "was": "Acme"}


def test_bob_neither_renames_nor_archives(acme, as_bob):
    with pytest.raises(NotAllowed):
        people.rename(acme, "Bobs", actor=as_bob)
    with pytest.raises(NotAllowed, match="Only owners"):
        people.archive(acme, actor=as_bob)


def test_an_archived_project_leaves_the_list(acme, alice, as_alice):
    people.archive(acme, actor=as_alice)
    people.archive(acme, actor=as_alice)

    assert list(Project.objects.of(alice)) == []
    assert events().count("project.archived") == 1


# --- inviting


def test_bob_joins_by_alices_invitation(acme, bob, as_alice):
    invitation, code = people.invite(acme, "member", "Bob@Example.org", actor=as_alice)

    people.accept(code, bob, "192.0.2.5")

    assert acme.role_of(bob) == "member"
    invitation.refresh_from_db()
    assert invitation.accepted_by == bob
    joined = AuditEvent.objects.get(event="member.joined")
    assert (joined.actor_label, joined.ip, joined.detail["role"]) == ("Bob", "192.0.2.5", "member")


def test_neither_table_nor_audit_holds_the_code(acme, as_alice):
    invitation, code = people.invite(acme, "member", actor=as_alice)

    kept = repr(Invitation.objects.filter(pk=invitation.pk).values().get())
    kept += repr(list(AuditEvent.objects.values()))

    assert code[22:] not in kept


def test_an_invitation_works_once(acme, bob, charlie, as_alice):
    _, code = people.invite(acme, "member", actor=as_alice)
    people.accept(code, bob)

    with pytest.raises(InvitationClosed):
        people.accept(code, charlie)

    assert acme.role_of(charlie) is None


def test_an_invitation_to_bob_is_not_for_charlie(acme, bob, charlie, as_alice):
    _, code = people.invite(acme, "member", "bob@example.org", actor=as_alice)

    with pytest.raises(NotAllowed) as refused:
        people.accept(code, charlie)

    assert "bob@" not in refused.value.message
    people.accept(code, bob)


def test_a_member_hears_so_and_the_link_stays_good(acme, bob, charlie, as_alice, bobs_membership):
    _, code = people.invite(acme, "admin", actor=as_alice)

    with pytest.raises(AlreadyMember):
        people.accept(code, bob)

    assert acme.role_of(bob) == "member"
    people.accept(code, charlie)


def test_a_member_is_not_invited_again(acme, as_alice, bobs_membership):
    with pytest.raises(AlreadyMember):
        people.invite(acme, "admin", "BOB@example.org", actor=as_alice)


def test_an_invitation_closes_after_a_week(acme, bob, as_alice):
    with time_machine.travel(NOON, tick=False) as clock:
        _, code = people.invite(acme, "member", actor=as_alice)
        clock.shift(timedelta(days=7))
        with pytest.raises(InvitationClosed):
            people.accept(code, bob)


@pytest.mark.parametrize("code", ["", "navi_inv_000", "navi_at_" + "0" * 62, "é"])
def test_a_made_up_code_opens_nothing(bob, code):
    with pytest.raises(InvitationClosed):
        people.accept(code, bob)


def test_an_agents_token_is_no_invitation(ada, bob):
    with pytest.raises(InvitationClosed):
        people.accept(ada[1], bob)


def test_a_withdrawn_invitation_opens_nothing(acme, bob, as_alice):
    invitation, code = people.invite(acme, "member", actor=as_alice)

    people.revoke_invitation(invitation, actor=as_alice)

    with pytest.raises(InvitationClosed):
        people.accept(code, bob)
    assert events().count("invitation.revoked") == 1


def test_nobody_joins_an_archived_project(acme, bob, as_alice):
    _, code = people.invite(acme, "member", actor=as_alice)
    people.archive(acme, actor=as_alice)

    with pytest.raises(InvitationClosed):
        people.accept(code, bob)


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_members_and_viewers_invite_nobody(acme, bob, bobs_membership, role):
    bobs_membership.change_role(role)

    with pytest.raises(NotAllowed):
        people.invite(acme, "viewer", actor=actor_for(bob, acme))


def test_an_admin_invites_up_to_admins(acme, bob, bobs_membership):
    bobs_membership.change_role("admin")
    as_bob = actor_for(bob, acme)

    people.invite(acme, "admin", actor=as_bob)
    with pytest.raises(NotAllowed, match="owner"):
        people.invite(acme, "owner", actor=as_bob)


def test_an_invitation_is_worth_no_more_than_its_inviter(acme, bob, charlie, bobs_membership):
    bobs_membership.change_role("admin")
    _, code = people.invite(acme, "admin", actor=actor_for(bob, acme))
    bobs_membership.change_role("member")

    with pytest.raises(InvitationClosed):
        people.accept(code, charlie)


def test_an_invitation_of_somebody_disabled_is_worth_nothing(acme, alice, charlie, as_alice):
    _, code = people.invite(acme, "member", actor=as_alice)
    alice.disable()

    with pytest.raises(InvitationClosed):
        people.accept(code, charlie)


def test_an_agent_invites_nobody(ada, acme):
    _, as_ada = tokens.authenticate(ada[1])

    with pytest.raises(NotAllowed):
        people.invite(acme, "viewer", actor=as_ada)


def test_the_operator_invites_into_any_project(acme, bob):
    _, code = people.invite(acme, "owner", actor=OLGA)

    people.accept(code, bob)

    assert acme.role_of(bob) == "owner"


@pytest.mark.parametrize(("role", "email"), [("boss", ""), ("", ""), ("member", "not an address")])
def test_an_invitation_needs_a_role_and_an_address_that_are_some(acme, as_alice, role, email):
    with pytest.raises(InvalidInput):
        people.invite(acme, role, email, actor=as_alice)


# --- signing up


def test_dora_signs_up_and_joins_in_one_step(acme, as_alice):
    _, code = people.invite(acme, "member", "dora@example.org", actor=as_alice)

    dora = people.sign_up(code, email="Dora@example.org", name="Dora", password=GOOD)

    assert (dora.email, dora.check_password(GOOD)) == ("dora@example.org", True)
    assert acme.role_of(dora) == "member"
    assert not dora.is_staff


def test_signing_up_with_another_address_leaves_nothing(acme, as_alice):
    _, code = people.invite(acme, "member", "dora@example.org", actor=as_alice)

    with pytest.raises(NotAllowed):
        people.sign_up(code, email="eve@example.org", name="Eve", password=GOOD)

    assert not User.objects.filter(email="eve@example.org").exists()


def test_nobody_signs_up_without_an_invitation(db):
    with pytest.raises(InvitationClosed):
        people.sign_up("navi_inv_nothing", email="eve@example.org", name="Eve", password=GOOD)


def test_bob_has_an_account_already(acme, bob, as_alice):
    _, code = people.invite(acme, "member", actor=as_alice)

    with pytest.raises(Conflict, match="Sign in"):
        people.sign_up(code, email="BOB@example.org", name="Bob", password=GOOD)


@pytest.mark.parametrize("password", ["tiny", "password123", "dora@example.org"])
def test_a_weak_password_is_refused_in_words(acme, as_alice, password):
    _, code = people.invite(acme, "member", actor=as_alice)

    with pytest.raises(InvalidInput) as refused:
        people.sign_up(code, email="dora@example.org", name="Dora", password=password)

    assert refused.value.field == "password"
    assert password not in refused.value.message


# --- roles


def test_alice_makes_bob_an_admin(acme, bob, as_alice, bobs_membership):
    people.change_role(bobs_membership, "admin", actor=as_alice)

    assert acme.role_of(bob) == "admin"
    detail = AuditEvent.objects.get(event="member.role_changed").detail
    assert (detail["was"], detail["role"]) == ("member", "admin")


def test_the_last_owner_cannot_be_demoted(acme, alice, as_alice):
    with pytest.raises(LastOwner):
        people.change_role(membership_of(alice, acme), "admin", actor=as_alice)

    assert acme.role_of(alice) == "owner"


def test_one_of_two_owners_may_step_down(acme, alice, bob, as_alice, bobs_membership):
    people.change_role(bobs_membership, "owner", actor=as_alice)

    people.change_role(membership_of(alice, acme), "viewer", actor=as_alice)

    assert acme.role_of(alice) == "viewer"


def test_an_owner_who_cannot_sign_in_does_not_count(acme, alice, bob, as_alice, bobs_membership):
    people.change_role(bobs_membership, "owner", actor=as_alice)
    bob.disable()

    with pytest.raises(LastOwner):
        people.remove_member(membership_of(alice, acme), actor=as_alice)


def test_an_admin_cannot_touch_owners_nor_make_one(acme, alice, bob, bobs_membership, as_alice):
    people.change_role(bobs_membership, "admin", actor=as_alice)
    as_bob = actor_for(bob, acme)

    with pytest.raises(NotAllowed):
        people.change_role(membership_of(alice, acme), "member", actor=as_bob)
    with pytest.raises(NotAllowed):
        people.remove_member(membership_of(alice, acme), actor=as_bob)
    with pytest.raises(NotAllowed):
        people.change_role(bobs_membership, "owner", actor=as_bob)


def test_a_member_changes_no_role_not_even_their_own(acme, as_bob, bobs_membership):
    with pytest.raises(NotAllowed):
        people.change_role(bobs_membership, "admin", actor=as_bob)


def test_a_role_that_is_none_is_refused(as_alice, bobs_membership):
    with pytest.raises(InvalidInput):
        people.change_role(bobs_membership, "boss", actor=as_alice)


# --- leaving


def test_bob_leaves_and_his_agents_end(acme, bob, as_bob, bobs_agent, bobs_membership):
    people.remove_member(bobs_membership, actor=as_bob)

    assert acme.role_of(bob) is None
    with pytest.raises(BadToken):
        tokens.authenticate(bobs_agent[1])
    left = AuditEvent.objects.get(event="member.left")
    assert left.detail["tokens_ended"] == 1


def test_alice_removes_bob_and_it_is_remembered_as_that(as_alice, bobs_membership):
    people.remove_member(bobs_membership, actor=as_alice)

    assert AuditEvent.objects.get(event="member.removed").actor_label == "Alice"


def test_bobs_agents_elsewhere_live_on(acme, bob, as_alice, bobs_agent, bobs_membership):
    own = people.create_project("Bobs own", bob, actor=actor_for(bob))
    _, elsewhere = tokens.issue(own, bob, "Bert", ["read"], actor=actor_for(bob, own))

    people.remove_member(bobs_membership, actor=as_alice)

    tokens.authenticate(elsewhere)


def test_coming_back_does_not_bring_old_tokens_back(acme, bob, as_alice, bobs_agent, bobs_membership):
    people.remove_member(bobs_membership, actor=as_alice)
    people.add_member(acme, bob, "member", actor=as_alice)

    with pytest.raises(BadToken):
        tokens.authenticate(bobs_agent[1])


def test_the_last_owner_cannot_leave(acme, alice, as_alice):
    with pytest.raises(LastOwner):
        people.remove_member(membership_of(alice, acme), actor=as_alice)


def test_a_member_removes_nobody_else(acme, alice, charlie, as_bob):
    charlies = Membership.objects.create(project=acme, user=charlie, role="viewer")

    with pytest.raises(NotAllowed):
        people.remove_member(charlies, actor=as_bob)


def test_bobs_agent_cannot_remove_bob(bobs_agent, bobs_membership):
    _, as_bert = tokens.authenticate(bobs_agent[1])

    with pytest.raises(NotAllowed):
        people.remove_member(bobs_membership, actor=as_bert)


def test_somebody_who_left_cannot_be_removed_again(as_alice, bobs_membership):
    gone = Membership.objects.get(pk=bobs_membership.pk)
    people.remove_member(bobs_membership, actor=as_alice)

    with pytest.raises(Conflict):
        people.remove_member(gone, actor=as_alice)


def test_upper_rooms_hear_who_left(acme, bob, as_alice, bobs_membership):
    heard = []

    def listen(project, user, **_):
        heard.append((project, user))

    member_gone.connect(listen)
    people.remove_member(bobs_membership, actor=as_alice)
    member_gone.disconnect(listen)

    assert heard == [(acme, bob)]


# --- rights


def test_each_role_acts_with_its_rights(acme, bob, charlie, bobs_membership):
    assert (actor_for(bob, acme).kind, actor_for(bob, acme).role) == ("person", "member")
    assert actor_for(charlie, acme).role is None


def test_a_superuser_acts_as_operator_where_they_are_no_member(acme, alice, charlie):
    people.appoint_operator(charlie, actor=OLGA)
    people.appoint_operator(alice, actor=OLGA)

    assert actor_for(charlie, acme).kind == "operator"
    assert (actor_for(alice, acme).kind, actor_for(alice, acme).role) == ("person", "owner")
    assert actor_for(alice).kind == "operator"


@pytest.mark.parametrize("role", roles.ROLES)
def test_every_right_of_a_role_is_held_by_the_roles_above(role):
    above = [roles.RIGHTS[other] for other in roles.ROLES if roles.rank(other) < roles.rank(role)]

    assert all(roles.RIGHTS[role] <= rights for rights in above)


def test_nobody_disables_themself(alice):
    with pytest.raises(Conflict):
        people.set_active(alice, False, actor=actor_for(alice))
