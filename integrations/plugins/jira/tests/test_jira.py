"""What is odd about Atlassian."""

import pytest

from integrations.plugins.jira.plugin import SIGN_IN, plugin
from integrations.sdk import Identity, MissingScopes, Reconnect
from integrations.sdk.testing import replay


def test_health_tells_the_person_and_the_sites():
    assert replay(plugin, "health") == Identity(
        label="alice@example.org", account_id="5b10a2844c20165700ede21g", workspace="navi-test"
    )


def test_a_site_is_listed_once_with_the_path_of_its_api():
    # Confluence on the same site is an entry of its own.
    (site,) = replay(plugin, "list_sites")["sites"]

    assert site["path"] == "/ex/jira/11223344-a1b2-3b33-c444-def123456789/rest/api/3"
    assert site["scopes"] == ["read:jira-work", "read:jira-user"]


def test_a_sign_in_that_ended_needs_a_person():
    with pytest.raises(Reconnect):
        replay(plugin, "list_sites", "sign_in_ended")


def test_a_missing_scope_comes_as_401_and_is_no_lost_sign_in():
    with pytest.raises(MissingScopes) as trouble:
        replay(plugin, "list_sites", "scope_is_missing")

    assert trouble.value.status == 401


def test_it_stays_connected_and_knows_who_it_is():
    assert SIGN_IN.always == ("read:me", "offline_access")
    assert SIGN_IN.extra["audience"] == "api.atlassian.com"
    assert SIGN_IN.revoke is None
    assert set(plugin.all_scopes) | {"offline_access"} == set(SIGN_IN.scopes)
