from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from navi.audit.actor import SYSTEM, Actor
from navi.audit.models import AuditEvent
from navi.projects import people, roles, tokens
from navi.projects.errors import BadToken, Conflict, InvalidInput, NotAllowed, ScopeNotAllowed
from navi.projects.models import AgentToken, Membership
from navi.projects.rights import actor_for

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def works(text):
    try:
        return bool(tokens.authenticate(text))
    except BadToken:
        return False


# --- issuing


def test_alice_issues_a_token_and_it_is_remembered_without_its_secret(ada, acme, alice):
    token, text = ada

    event = AuditEvent.objects.get(event="token.created")

    assert event.detail["public_id"] == token.public_id
    assert event.detail["scopes"] == ["read", "run", "secret:google"]
    assert (event.project_id, event.actor_id) == (acme.pk, str(alice.pk))
    assert text[21:] not in repr(event.detail)


def test_a_token_lives_ninety_days_unless_told_otherwise(acme, alice, as_alice):
    with time_machine.travel(NOON, tick=False):
        token, _ = tokens.issue(acme, alice, "Ada", ["read"], actor=as_alice)

    assert token.expires_at == NOON + timedelta(days=90)


@pytest.mark.parametrize(
    "expires_at",
    ["never", timezone.now() + timedelta(days=400), timezone.now() - timedelta(days=1), datetime(2027, 1, 1)],
    ids=["never", "too late", "past", "no zone"],
)
def test_a_token_lives_a_year_at_most(acme, alice, as_alice, expires_at):
    with pytest.raises(InvalidInput) as refused:
        tokens.issue(acme, alice, "Ada", ["read"], expires_at, actor=as_alice)

    assert refused.value.field == "expires_at"
    assert not AgentToken.objects.exists()


def test_the_operator_may_let_tokens_live_for_ever(acme, alice, as_alice, settings):
    settings.TOKENS_MAY_LIVE_FOREVER = True

    token, text = tokens.issue(acme, alice, "Ada", ["read"], "never", actor=as_alice)

    assert token.expires_at is None
    assert works(text)


@pytest.mark.parametrize(
    "scope",
    ["*", "read:*", "read:", "admin", "READ", "read:google:mail", "read:Google", "read ", "", 7, None],
)
def test_a_scope_that_is_not_of_the_list_is_named_and_refused(acme, alice, as_alice, scope):
    with pytest.raises(ScopeNotAllowed) as refused:
        tokens.issue(acme, alice, "Ada", ["read", scope], actor=as_alice)

    assert refused.value.code == "invalid_input"
    assert repr(scope) in refused.value.message


@pytest.mark.parametrize("scope", [*sorted(roles.ADMINS_GRANT), "secret:google"])
def test_a_member_grants_no_scope_of_admins(acme, bob, as_bob, scope):
    with pytest.raises(ScopeNotAllowed) as refused:
        tokens.issue(acme, bob, "Bert", ["read", scope], actor=as_bob)

    assert refused.value.code == "out_of_scope"
    assert scope in refused.value.message


def test_no_scope_at_all_is_refused(acme, alice, as_alice):
    with pytest.raises(InvalidInput):
        tokens.issue(acme, alice, "Ada", [], actor=as_alice)


def test_a_scope_given_twice_counts_once(acme, alice, as_alice):
    token, _ = tokens.issue(acme, alice, "Ada", ["read", "run", "read"], actor=as_alice)

    assert token.scopes == ["read", "run"]


@pytest.mark.parametrize("name", ["", "   ", "a" * 81, "A\0da"])
def test_a_token_has_a_name(acme, alice, as_alice, name):
    with pytest.raises(InvalidInput) as refused:
        tokens.issue(acme, alice, name, ["read"], actor=as_alice)

    assert refused.value.field == "name"


def test_alice_herself_may_grant_global(acme, alice, as_alice):
    token, _ = tokens.issue(acme, alice, "Ada", ["credentials", "global"], actor=as_alice)

    assert "global" in token.scopes


def test_navi_itself_never_grants_global(acme, alice):
    tokens.issue(acme, alice, "Ada", ["read"], actor=SYSTEM)

    with pytest.raises(ScopeNotAllowed, match="global"):
        tokens.issue(acme, alice, "Ada", ["read", "global"], actor=SYSTEM)


def test_alice_cannot_make_a_token_that_reaches_bobs_accounts(acme, bob, as_alice, bobs_membership):
    with pytest.raises(NotAllowed):
        tokens.issue(acme, bob, "Not Bobs", ["read"], actor=as_alice)


def test_ada_cannot_make_herself_another_token(ada, acme, alice):
    _, as_ada = tokens.authenticate(ada[1])

    with pytest.raises(NotAllowed):
        tokens.issue(acme, alice, "Ada's own", ["read"], actor=as_ada)


def test_a_viewer_has_no_token(acme, bob, bobs_membership):
    bobs_membership.change_role("viewer")

    with pytest.raises(NotAllowed, match="Viewers"):
        tokens.issue(acme, bob, "Bert", ["read"], actor=actor_for(bob, acme))


def test_charlie_has_no_token_in_a_project_of_others(acme, charlie):
    with pytest.raises(NotAllowed):
        tokens.issue(acme, charlie, "Chip", ["read"], actor=actor_for(charlie, acme))


def test_an_archived_project_gets_no_token(acme, alice, as_alice):
    people.archive(acme, actor=as_alice)
    acme.refresh_from_db()

    with pytest.raises(Conflict):
        tokens.issue(acme, alice, "Ada", ["read"], actor=as_alice)


def test_a_token_that_cannot_be_remembered_is_not_made(acme, alice, as_alice, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("audit")

    monkeypatch.setattr(tokens, "record", broken)
    with pytest.raises(RuntimeError):
        tokens.issue(acme, alice, "Ada", ["read"], actor=as_alice)

    assert not AgentToken.objects.exists()


# --- rotation


def test_both_secrets_work_for_the_overlap_and_then_only_the_new_one(acme, alice, as_alice):
    with time_machine.travel(NOON, tick=False) as clock:
        token, old = tokens.issue(acme, alice, "Ada", ["read", "run"], actor=as_alice)
        clock.shift(timedelta(days=10))
        fresh, new = tokens.rotate(token, timedelta(hours=24), actor=as_alice)
        assert works(old) and works(new)

        clock.shift(timedelta(hours=24) - timedelta(seconds=1))
        assert works(old) and works(new)

        clock.shift(timedelta(seconds=1))
        assert (works(old), works(new)) == (False, True)

    assert (fresh.family, fresh.name, fresh.scopes) == (token.family, "Ada", ["read", "run"])
    assert fresh.expires_at == NOON + timedelta(days=100)
    assert token.replaced_by == fresh


def test_rotation_never_lengthens_the_old_secrets_life(acme, alice, as_alice):
    with time_machine.travel(NOON, tick=False):
        token, _ = tokens.issue(acme, alice, "Ada", ["read"], NOON + timedelta(hours=1), actor=as_alice)
        tokens.rotate(token, timedelta(days=7), actor=as_alice)

    assert token.expires_at == NOON + timedelta(hours=1)


def test_a_token_without_end_gets_one_when_the_operator_changed_their_mind(acme, alice, as_alice, settings):
    settings.TOKENS_MAY_LIVE_FOREVER = True
    token, _ = tokens.issue(acme, alice, "Ada", ["read"], "never", actor=as_alice)
    settings.TOKENS_MAY_LIVE_FOREVER = False

    fresh, _ = tokens.rotate(token, actor=as_alice)

    assert fresh.expires_at is not None
    assert token.expires_at is not None


@pytest.mark.parametrize("overlap", [timedelta(days=8), timedelta(seconds=-1)])
def test_an_overlap_is_seven_days_at_most(ada, as_alice, overlap):
    with pytest.raises(InvalidInput):
        tokens.rotate(ada[0], overlap, actor=as_alice)


def test_without_overlap_the_old_secret_ends_at_once(ada, as_alice):
    tokens.rotate(ada[0], timedelta(0), actor=as_alice)

    assert not works(ada[1])


def test_only_its_owner_rotates_a_token(bobs_agent, as_alice):
    with pytest.raises(NotAllowed):
        tokens.rotate(bobs_agent[0], actor=as_alice)


def test_ada_cannot_rotate_her_own_token(ada):
    _, as_ada = tokens.authenticate(ada[1])

    with pytest.raises(NotAllowed):
        tokens.rotate(ada[0], actor=as_ada)


def test_a_token_is_rotated_once(ada, as_alice):
    tokens.rotate(ada[0], actor=as_alice)

    with pytest.raises(Conflict):
        tokens.rotate(ada[0], actor=as_alice)


def test_a_revoked_token_is_not_rotated_back_to_life(ada, as_alice):
    tokens.revoke(ada[0], as_alice)

    with pytest.raises(Conflict):
        tokens.rotate(ada[0], actor=as_alice)


def test_a_rotation_is_remembered_with_both_ids(ada, as_alice):
    fresh, new = tokens.rotate(ada[0], actor=as_alice)

    event = AuditEvent.objects.get(event="token.rotated")

    assert (event.detail["public_id"], event.detail["replaces"]) == (fresh.public_id, ada[0].public_id)
    assert new[21:] not in repr(event.detail)


# --- revoking


def test_revoking_ends_the_whole_family_at_once(ada, as_alice):
    fresh, new = tokens.rotate(ada[0], actor=as_alice)

    ended = tokens.revoke(fresh, as_alice)

    assert ended == 2
    assert not works(ada[1]) and not works(new)
    assert AuditEvent.objects.get(event="token.revoked").detail["ended"] == 2


def test_revoking_again_changes_and_says_nothing(ada, as_alice):
    tokens.revoke(ada[0], as_alice)

    assert tokens.revoke(ada[0], as_alice) == 0
    assert AuditEvent.objects.filter(event="token.revoked").count() == 1


def test_other_tokens_of_alice_live_on(ada, acme, alice, as_alice):
    _, other = tokens.issue(acme, alice, "Grace", ["read"], actor=as_alice)

    tokens.revoke(ada[0], as_alice)

    assert works(other)


def test_an_admin_revokes_bobs_token(bobs_agent, as_alice):
    tokens.revoke(bobs_agent[0], as_alice)

    assert not works(bobs_agent[1])


def test_bob_cannot_revoke_alices_token(ada, as_bob):
    with pytest.raises(NotAllowed):
        tokens.revoke(ada[0], as_bob)

    assert works(ada[1])


def test_a_demoted_bob_can_still_revoke_his_own(bobs_agent, bobs_membership, bob, acme):
    Membership.objects.filter(pk=bobs_membership.pk).update(role="viewer")

    tokens.revoke(bobs_agent[0], actor_for(bob, acme))

    assert not works(bobs_agent[1])


def test_the_operator_revokes_any_token(ada):
    tokens.revoke(ada[0], Actor("operator", "1", "Olga"))

    assert not works(ada[1])
