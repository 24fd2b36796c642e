from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from navi.keyring import KeyFiles
from navi.projects import codes, people, tokens
from navi.projects.errors import BadToken, PepperMissing
from navi.projects.models import AgentToken, Membership
from navi.projects.rights import actor_for


def refusal(text, at=None):
    with pytest.raises(BadToken) as refused:
        tokens.authenticate(text, "192.0.2.7", at=at)
    return refused.value


def test_ada_is_recognised_with_her_project_owner_and_scopes(ada, acme, alice):
    token, text = ada

    found, actor = tokens.authenticate(text, "192.0.2.7")

    assert (found.pk, found.project, found.owner) == (token.pk, acme, alice)
    assert (actor.kind, actor.id, actor.label) == ("agent", token.public_id, "Ada")
    assert (actor.user_id, actor.role, actor.ip) == (alice.pk, "owner", "192.0.2.7")
    assert actor.scopes == {"read", "run", "secret:google"}


def test_a_call_costs_one_query(ada, django_assert_num_queries):
    with django_assert_num_queries(1):
        found, _ = tokens.authenticate(ada[1], "192.0.2.7")
        assert (found.project.slug, found.project.name) == ("acme", "Acme")
        assert (found.owner.email, str(found.owner)) == ("alice@example.org", "Alice")
        assert found.state == "active"


def test_a_tampered_token_never_reaches_the_database(ada, django_assert_num_queries):
    _, text = ada

    with django_assert_num_queries(0):
        for wrong in (text[:-1] + ("a" if text[-1] != "a" else "b"), text[:30], f"{text}\n", "", "é" * 70):
            assert refusal(wrong).reason == "malformed"


def with_other_secret(text):
    """The same id, a right checksum, another secret."""
    body = text[:20] + codes.mint("at").text[20:64]
    return body + codes.checksum(body)


def test_unknown_wrong_expired_and_revoked_get_the_same_answer(ada, as_alice):
    token, text = ada
    later = timezone.now() + timedelta(days=91)

    refusals = [refusal(codes.mint("at").text), refusal(with_other_secret(text)), refusal(text, at=later)]
    tokens.revoke(token, as_alice)
    refusals.append(refusal(text))

    assert [refused.reason for refused in refusals] == ["unknown", "wrong secret", "expired", "revoked"]
    assert len({(refused.code, refused.message, str(refused)) for refused in refusals}) == 1
    assert refusals[0].code == "unauthenticated"


def test_an_unknown_id_is_compared_all_the_same(ada, monkeypatch):
    compared = []

    def compare(one, other):
        compared.append((len(one), len(other)))
        return False

    monkeypatch.setattr("navi.projects.tokens.hmac.compare_digest", compare)

    refusal(codes.mint("at").text)
    refusal(with_other_secret(ada[1]))

    assert compared == [(32, 32), (32, 32)]


@pytest.mark.parametrize("wrong", ["unknown", "other secret"])
def test_a_refusal_costs_one_query(ada, wrong, django_assert_num_queries):
    text = codes.mint("at").text if wrong == "unknown" else with_other_secret(ada[1])

    with django_assert_num_queries(1):
        refusal(text)


def test_a_token_ends_at_its_very_moment(ada):
    token, text = ada

    tokens.authenticate(text, at=token.expires_at - timedelta(microseconds=1))

    assert refusal(text, at=token.expires_at).reason == "expired"


def test_a_demoted_owners_token_shrinks(ada, acme, alice):
    Membership.objects.filter(project=acme, user=alice).update(role="viewer")

    _, actor = tokens.authenticate(ada[1])

    assert actor.role == "viewer"
    assert actor.scopes == {"read"}


def test_a_member_no_longer_carries_secrets(ada, acme, alice):
    Membership.objects.filter(project=acme, user=alice).update(role="member")

    assert tokens.authenticate(ada[1])[1].scopes == {"read", "run"}


def test_bobs_agent_ends_when_bob_is_removed(bobs_agent, bobs_membership, as_alice):
    people.remove_member(bobs_membership, actor=as_alice)

    assert refusal(bobs_agent[1]).reason == "revoked"


def test_a_token_without_its_owners_membership_opens_nothing(bobs_agent, bobs_membership):
    Membership.objects.filter(pk=bobs_membership.pk).delete()

    assert refusal(bobs_agent[1]).reason == "owner left the project"


def test_bobs_agent_stops_while_bob_is_disabled(bobs_agent, bob):
    bob.disable()
    assert refusal(bobs_agent[1]).reason == "owner deactivated"

    bob.enable()
    tokens.authenticate(bobs_agent[1])


def test_nobody_works_in_an_archived_project(ada, acme, as_alice):
    people.archive(acme, actor=as_alice)

    assert refusal(ada[1]).reason == "project archived"


def test_a_role_elsewhere_counts_for_nothing(bobs_agent, bob, alice):
    other = people.create_project("Bobs own", bob, actor=actor_for(bob))

    _, actor = tokens.authenticate(bobs_agent[1])

    assert other.role_of(bob) == "owner"
    assert actor.role == "member"


def test_without_its_pepper_navi_is_sealed(ada, settings, tmp_path):
    settings.NAVI_KEYS = KeyFiles(tmp_path / "elsewhere")

    for text in (ada[1], codes.mint("at").text):
        with pytest.raises(PepperMissing) as refused:
            tokens.authenticate(text)
        assert refused.value.code == "sealed"


def test_another_pepper_opens_nothing(ada, settings, tmp_path):
    settings.NAVI_KEYS = KeyFiles(tmp_path / "elsewhere")
    settings.NAVI_KEYS.create("pepper")

    assert refusal(ada[1]).reason == "wrong secret"


def test_the_database_never_holds_the_secret(ada):
    token, text = ada

    row = AgentToken.objects.filter(pk=token.pk).values().get()

    assert text[21:64] not in repr(row)
    assert len(bytes(row["digest"])) == 32


def test_authenticating_locks_and_writes_nothing(ada):
    with CaptureQueriesContext(connection) as queries:
        tokens.authenticate(ada[1])

    assert queries[0]["sql"].lstrip().startswith("SELECT")
