"""What is odd about Asana."""

import pytest

from integrations.plugins.asana.plugin import SIGN_IN, plugin
from integrations.sdk import Identity, Reconnect, Refused
from integrations.sdk.testing import replay


def test_health_tells_the_person_and_the_workspaces():
    assert replay(plugin, "health") == Identity(
        label="alice@example.org", account_id="1200000000000001", workspace="Navi Test, Garden club"
    )


def test_workspaces_come_with_their_ids():
    found = replay(plugin, "list_workspaces")["workspaces"]

    assert found[0] == {"id": "1200000000000010", "name": "Navi Test"}


def test_a_revoked_token_needs_a_person():
    with pytest.raises(Reconnect):
        replay(plugin, "health", "token_revoked")


def test_what_costs_money_is_refused():
    with pytest.raises(Refused, match="paying"):
        replay(plugin, "list_workspaces", "only_for_paying_workspaces")


def test_a_refresh_token_serves_for_ever_and_ends_the_grant():
    assert not SIGN_IN.rotates
    assert SIGN_IN.revoke
    assert SIGN_IN.revoke.token == "refresh_token"


@pytest.mark.parametrize(
    "token", ["1/1200000000000001:0123456789abcdef0123456789abcdef", "2/12/13:0123456789abcdef"]
)
def test_tokens_may_look_like_this(token: str):
    assert token_field().complaint(token) is None


def test_what_belongs_elsewhere_is_caught():
    assert token_field().complaint("0123456789abcdef0123456789abcdef01234567")


def token_field():
    assert plugin.own_provider
    return plugin.own_provider.auth[0].fields[0]
