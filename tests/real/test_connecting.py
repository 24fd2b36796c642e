"""From the first question to the end of a grant, at authorization servers that nobody here wrote."""

from urllib.parse import parse_qs, urlsplit

import pytest

from credentials import refresh
from credentials.life import seconds_left
from credentials.models import Connection, State
from integrations import registry
from integrations.runtime import connect
from navi.audit.models import AuditEvent
from navi.net.errors import Reconnect
from navi.projects.rights import actor_for
from tests.real import signing_in
from tests.real.signing_in import app_of, token_of
from tests.real.vendors import ALWAYS, CALLBACK, CLIENTS

in_each_way = pytest.mark.parametrize("way", ["body", "basic", "none"])


def renewed(connection: Connection, times: int = 1) -> Connection:
    """Refresh as if the vendor had refused its access token."""
    remote = registry.entry("notes", connection.project_id).remote(auth_kind="oauth")
    for _ in range(times):
        found = refresh.fresh(connection, remote, refused_generation=connection.generation)
        assert found.was_refreshed
    return connection


# --- connect


@in_each_way
def test_alice_connects_whichever_way_the_vendor_wants_to_know_navi(
    way, vendor, offered, alice, acme, alices_browser
):
    offered(vendor, way)

    connection = signing_in.connected(alice, acme, alices_browser)

    assert (connection.state, connection.project) == (State.ACTIVE, acme)
    assert (connection.account_id, connection.label) == ("alice", "Alice at Notes")
    assert app_of(connection) == CLIENTS[way].client_id
    assert vendor.person(token_of(connection)) == "alice"
    assert 3000 < seconds_left(connection) <= 3600


@in_each_way
def test_the_question_holds_a_pkce_challenge_and_no_secret(way, vendor, offered, alice, acme):
    offered(vendor, way)

    address = signing_in.begin(alice, acme)

    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"] and len(asked["code_challenge"][0]) == 43
    assert asked["redirect_uri"] == [CALLBACK] and asked["client_id"] == [CLIENTS[way].client_id]
    assert not {"code_verifier", "client_secret"} & set(asked)


def test_alice_is_asked_for_what_was_wished_and_the_grant_is_written_down(notes, alice, acme, alices_browser):
    address = signing_in.begin(alice, acme, scopes=("notes:read",))
    connection = signing_in.finished(alice, acme, alices_browser.agree(address))

    assert parse_qs(urlsplit(address).query)["scope"] == [" ".join([*ALWAYS, "notes:read"])]
    assert set(connection.scopes) == {*ALWAYS, "notes:read"}


def test_what_alice_was_not_asked_for_is_not_written_down(notes, alice, acme, alices_browser):
    connection = signing_in.connected(alice, acme, alices_browser)

    assert set(connection.scopes) == set(ALWAYS)


def test_a_scope_that_the_vendor_does_not_know_is_not_taken_for_granted(
    vendor, offered, alice, acme, alices_browser
):
    offered(vendor, scopes={**dict.fromkeys(ALWAYS, ""), "notes:burn": "Burn notes"})

    attempt = signing_in.connect(alice, acme, alices_browser, scopes=("notes:burn",))

    if attempt.connection:  # oidc-provider leaves it out, and says so
        assert set(attempt.connection.scopes) == set(ALWAYS)
    else:  # the toolkit refuses the question
        assert (attempt.code, "invalid_scope" in attempt.message) == ("invalid_credentials", True)


def test_alice_widens_her_grant_and_keeps_the_connection(notes, alice, acme, alices_browser):
    before = signing_in.connected(alice, acme, alices_browser, scopes=("notes:read",))

    after = signing_in.connected(alice, acme, alices_browser, scopes=("notes:write",), reconnects=before)

    assert after.pk == before.pk and Connection.objects.count() == 1
    assert set(after.scopes) == {*ALWAYS, "notes:read", "notes:write"}
    assert notes.person(token_of(after)) == "alice"


def test_another_account_does_not_take_the_place_of_alices(notes, alice, acme, alices_browser, bobs_browser):
    alices = signing_in.connected(alice, acme, alices_browser)

    attempt = signing_in.connect(alice, acme, bobs_browser, reconnects=alices)

    assert (attempt.outcome, attempt.code) == ("failed", "invalid_credentials")
    assert "Bob at Notes" in attempt.message
    assert notes.person(token_of(alices)) == "alice"


def test_the_same_account_connected_again_is_the_same_connection(notes, alice, acme, alices_browser):
    first = signing_in.connected(alice, acme, alices_browser)
    second = signing_in.connected(alice, acme, alices_browser)

    assert first.pk == second.pk and Connection.objects.count() == 1
    assert notes.person(token_of(second)) == "alice"


def test_an_agent_acts_with_alices_grant(notes, alice, acme, alices_browser, ada):
    signing_in.connected(alice, acme, alices_browser)

    answer = ada.post("/api/actions/notes.whoami")

    assert answer.status_code == 200
    assert answer.json()["result"]["name"] == "Alice at Notes"


def test_a_wrong_secret_of_the_app_is_told_as_the_apps(notes, alice, acme, alices_browser):
    address = signing_in.begin(alice, acme)
    signing_in.spoil_secret()

    attempt = signing_in.finish(alice, acme, alices_browser.agree(address))

    assert (attempt.outcome, attempt.code) == ("failed", "invalid_credentials")
    assert "OAuth app (invalid_client)" in attempt.message
    assert not Connection.objects.exists()


# --- refresh


@in_each_way
def test_a_grant_is_renewed_three_times_in_a_row_and_the_old_refresh_token_is_dead(
    way, vendor, offered, alice, acme, alices_browser
):
    offered(vendor, way)
    connection = signing_in.connected(alice, acme, alices_browser)
    access, old = token_of(connection), token_of(connection, "refresh_token")

    renewed(connection, times=3)

    assert (connection.generation, connection.state) == (4, State.ACTIVE)
    assert token_of(connection) != access and vendor.person(token_of(connection)) == "alice"
    assert vendor.refreshed(old, CLIENTS[way]) == "invalid_grant"


@pytest.mark.django_db(transaction=True)
def test_eight_agents_at_once_renew_it_once(notes, alice, acme, alices_browser):
    """The vendor ends every token of a grant whose old refresh token is shown again."""
    connection = signing_in.connected(alice, acme, alices_browser)
    remote = registry.entry("notes", acme.pk).remote(auth_kind="oauth")

    def ask():
        mine = Connection.objects.select_related("current", "app").get(pk=connection.pk)
        return refresh.fresh(mine, remote, refused_generation=connection.generation)

    found = signing_in.at_once(8, ask)

    assert sum(one.was_refreshed for one in found) == 1
    assert {one.connection.generation for one in found} == {2}
    assert notes.person(token_of(connection)) == "alice"
    assert not notes.refreshed(token_of(connection, "refresh_token"), CLIENTS["body"])


def test_a_stolen_refresh_token_shown_later_ends_the_grant_and_navi_says_so(
    notes, alice, acme, alices_browser
):
    connection = signing_in.connected(alice, acme, alices_browser)
    stolen = token_of(connection, "refresh_token")
    renewed(connection)
    assert notes.refreshed(stolen, CLIENTS["body"]) == "invalid_grant"

    with pytest.raises(Reconnect):
        renewed(connection)

    assert connection.refusals == 2
    assert notes.person(token_of(connection)) == ""


def test_a_grant_keeps_its_scopes_over_a_renewal(notes, alice, acme, alices_browser):
    connection = signing_in.connected(alice, acme, alices_browser, scopes=("notes:read",))

    renewed(connection)

    assert set(connection.scopes) == {*ALWAYS, "notes:read"}


def test_a_call_is_made_again_where_the_vendor_no_longer_knows_the_token(
    notes, alice, acme, alices_browser, ada
):
    connection = signing_in.connected(alice, acme, alices_browser)
    signing_in.spoil_token(connection)

    answer = ada.post("/api/actions/notes.whoami")

    assert answer.status_code == 200, answer.json()
    assert AuditEvent.objects.filter(event="connection.refreshed").count() == 1


def test_a_grant_that_alice_ended_at_the_vendor_asks_for_alice(notes, alice, acme, alices_browser, ada):
    connection = signing_in.connected(alice, acme, alices_browser)
    notes.forget(token_of(connection, "refresh_token"), CLIENTS["body"])
    signing_in.spoil_token(connection)

    answer = ada.post("/api/actions/notes.whoami")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reauth_required")
    assert Connection.objects.get().refusals == 2


# --- the end


@in_each_way
def test_disconnecting_ends_the_grant_at_the_vendor(way, vendor, offered, alice, acme, alices_browser):
    offered(vendor, way)
    connection = renewed(signing_in.connected(alice, acme, alices_browser))
    access, refresh_token = token_of(connection), token_of(connection, "refresh_token")

    left_to_do = connect.disconnect(connection, actor_for(alice, acme), project=acme)

    assert left_to_do == "" and not Connection.objects.exists()
    assert vendor.refreshed(refresh_token, CLIENTS[way]) == "invalid_grant"
    assert vendor.person(access) == ""


@pytest.mark.parametrize("way", ["body", "basic"])
def test_an_app_without_a_secret_is_a_public_client_until_the_end(
    way, vendor, offered, alice, acme, alices_browser
):
    """Whichever way the vendor reads a secret where there is one."""
    offered(vendor, way, client="none")
    connection = renewed(signing_in.connected(alice, acme, alices_browser))
    refresh_token = token_of(connection, "refresh_token")

    left_to_do = connect.disconnect(connection, actor_for(alice, acme), project=acme)

    assert left_to_do == ""
    assert vendor.refreshed(refresh_token, CLIENTS["none"]) == "invalid_grant"


def test_a_vendor_that_does_not_end_the_grant_leaves_a_sentence(notes, alice, acme, alices_browser):
    connection = signing_in.connected(alice, acme, alices_browser)
    access = token_of(connection)
    signing_in.spoil_secret()

    left_to_do = connect.disconnect(connection, actor_for(alice, acme), project=acme)

    assert "Remove Navi in your account settings there." in left_to_do
    assert not Connection.objects.exists() and notes.person(access) == "alice"
