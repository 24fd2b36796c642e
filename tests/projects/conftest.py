"""Alice owns Acme, Bob is a member, Charlie is a stranger, Ada is Alice's agent."""

from __future__ import annotations

import pytest

from navi.keyring import KeyFiles
from navi.projects import people, tokens, uses
from navi.projects.models import Membership, User
from navi.projects.rights import actor_for


@pytest.fixture(autouse=True)
def quick_and_alone(settings, tmp_path):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.NAVI_KEYS = KeyFiles(tmp_path)
    settings.NAVI_KEYS.create("keyring")
    settings.NAVI_KEYS.create("pepper")
    yield
    uses.forget()


@pytest.fixture
def alice(db):
    return User.objects.create_user("alice@example.org", "correct horse 1", name="Alice")


@pytest.fixture
def bob(db):
    return User.objects.create_user("bob@example.org", "correct horse 2", name="Bob")


@pytest.fixture
def charlie(db):
    return User.objects.create_user("charlie@example.org", "correct horse 3", name="Charlie")


@pytest.fixture
def acme(alice):
    return people.create_project("Acme", alice, actor=actor_for(alice))


@pytest.fixture
def as_alice(alice, acme):
    return actor_for(alice, acme, ip="192.0.2.1")


@pytest.fixture
def bobs_membership(acme, bob):
    return Membership.objects.create(project=acme, user=bob, role="member")


@pytest.fixture
def as_bob(bob, acme, bobs_membership):
    return actor_for(bob, acme)


@pytest.fixture
def ada(acme, alice, as_alice):
    """Alice's agent: its token and the text."""
    return tokens.issue(acme, alice, "Ada", ["read", "run", "secret:google"], actor=as_alice)


@pytest.fixture
def bobs_agent(acme, bob, as_bob):
    return tokens.issue(acme, bob, "Bert", ["read", "run", "write"], actor=as_bob)
