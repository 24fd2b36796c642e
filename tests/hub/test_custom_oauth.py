"""A service that people described, connected by OAuth from a form."""

import json
import re
from urllib.parse import urlsplit

import pytest

from credentials.client import start_anew
from credentials.models import Connection, OAuthApp, OAuthAttempt, Secret
from integrations.models import CustomProvider
from tests.hub import oauth
from tests.hub.browsers import browser_of

FORM = "/p/acme/integrations/custom"


@pytest.fixture
def inside(google, settings):
    """The vendor stands inside the network, where the operator lets Navi call it."""
    settings.OUTBOUND_ALLOW = urlsplit(google.url).netloc
    settings.UPSTREAMS = {}
    start_anew()
    yield google
    start_anew()


def described(vendor):
    return {
        "name": "Wiki", "base_url": vendor.url, "auth": "oauth", "authorize_url": f"{vendor.url}/o/oauth2/v2/auth",
        "token_url": f"{vendor.url}/token", "revoke_url": f"{vendor.url}/revoke",
        "oauth_scopes": "openid email", "client_auth": "body",
        "health_path": "/oauth2/v3/userinfo", "expected_status": "200",
    }  # fmt: skip


@pytest.fixture
def wiki(acme, adam, inside):
    """Adam, an admin, described it, and an operator approved it."""
    answer = browser_of(adam).post(FORM, described(inside))
    assert answer.status_code in {200, 302, 303}, answer.text
    CustomProvider.objects.update(is_approved=True)
    return CustomProvider.objects.get()


@pytest.fixture
def wikis_app(adam, wiki, inside):
    form = {"client_id": inside.client_id, "client_secret": inside.client_secret}
    answer = browser_of(adam).post("/p/acme/integrations/wiki/oauth-app", form)
    assert answer.status_code in {200, 302, 303}, answer.text


def test_bob_connects_it_and_the_agents_call_works(wiki, wikis_app, bob, ada):
    answer = oauth.begin(browser_of(bob), provider="wiki")
    address = oauth.vendors_address(answer)
    assert oauth.asked_for(address)["redirect_uri"].endswith(f"/oauth/callback/{wiki.pk}")

    browser_of(bob).get(oauth.agreed(address))

    row = Connection.objects.get()
    assert (row.provider, row.auth_kind, row.state) == ("wiki", "oauth", "active")
    told = b"".join(ada.get("/api/proxy/wiki/oauth2/v3/userinfo").streaming_content)
    assert json.loads(told)["email"] == "alice@example.org"


def test_its_answer_is_taken_at_its_own_address_only(wiki, wikis_app, bob):
    address = oauth.vendors_address(oauth.begin(browser_of(bob), provider="wiki"))
    back = re.sub(r"/oauth/callback/[^?]+", "/oauth/callback", oauth.agreed(address))

    answer = browser_of(bob).get(back)

    assert answer.status_code == 400
    assert not Connection.objects.exists()


@pytest.mark.parametrize("field", ["token_url", "base_url", "authorize_url"])
def test_another_address_gets_neither_the_token_nor_the_apps_secret(wiki, wikis_app, bob, ada, field):
    oauth.connect(browser_of(bob), provider="wiki")
    CustomProvider.objects.update(**{field: "https://evil.example/token"})

    error = ada.get("/api/credentials/wiki/token").json()["error"]
    again = oauth.begin(browser_of(bob), provider="wiki", again=str(Connection.objects.get().pk))

    assert error["code"] == "reauth_required"
    assert "enters the OAuth app" in again.text and "data-oauth-go" not in again.text


def test_the_form_names_what_is_missing(acme, adam, inside):
    for field in ("authorize_url", "token_url"):
        answer = browser_of(adam).post(FORM, {**described(inside), field: ""})

        assert answer.status_code == 422
        assert "address" in answer.text
    assert not CustomProvider.objects.exists()


def test_people_sent_to_another_page_need_a_new_approval(wiki, adam, inside):
    form = {**described(inside), "authorize_url": "https://evil.example/o/oauth2/v2/auth"}

    browser_of(adam).post(f"{FORM}/wiki", form)

    wiki.refresh_from_db()
    assert not wiki.is_approved


def test_another_path_at_the_same_page_needs_none(wiki, adam, inside):
    browser_of(adam).post(f"{FORM}/wiki", {**described(inside), "authorize_url": f"{inside.url}/allow"})

    wiki.refresh_from_db()
    assert wiki.is_approved


def test_the_page_that_people_sign_in_at_may_lie_anywhere(acme, adam, inside):
    page = "http://sign-in.intranet:8443/authorize"
    browser_of(adam).post(FORM, {**described(inside), "authorize_url": page})

    assert CustomProvider.objects.get().authorize_url == page


@pytest.mark.parametrize("is_down", [False, True], ids=["well", "vendor down"])
def test_deleting_it_ends_every_access_and_leaves_no_secret(wiki, wikis_app, adam, bob, inside, is_down):
    oauth.connect(browser_of(bob), provider="wiki")
    oauth.connect(browser_of(adam), provider="wiki")
    oauth.begin(browser_of(bob), provider="wiki")
    if is_down:
        inside.fail_next(500, times=9)

    browser_of(adam).post(f"{FORM}/wiki/delete")

    assert sum(request.path == "/revoke" for request in inside.requests) >= 2
    for model in (CustomProvider, Connection, Secret, OAuthApp, OAuthAttempt):
        assert not model.objects.exists()


def test_deleting_it_leaves_what_others_have_of_the_same_name(wiki, wikis_app, adam, elsewhere, inside):
    theirs = OAuthApp.objects.create(provider="wiki", project=elsewhere, client_id="theirs", secret={})

    browser_of(adam).post(f"{FORM}/wiki/delete")

    assert list(OAuthApp.objects.all()) == [theirs]


# --- addresses that are none

ADDRESSES = ["base_url", "authorize_url", "token_url", "revoke_url", "key_help_url"]
NO_ADDRESSES = [
    "http://[x",
    "https://wiki.example/{client_id}",
    "https://wiki.example/}",
    "https://\u2100.example",
]


@pytest.mark.parametrize("field", ADDRESSES)
@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_that_cannot_be_read_is_refused_at_its_field(acme, adam, inside, field, address):
    answer = browser_of(adam).post(FORM, {**described(inside), field: address})

    assert answer.status_code == 422
    assert answer.context["form"][field].errors
    assert not CustomProvider.objects.exists()
