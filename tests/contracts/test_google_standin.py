"""The Google stand-in, held to Google's own clients and to its discovery documents; and what Navi sends, too.

google-auth and google-auth-oauthlib do the signing in; what they cannot ask for is asked by hand.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import google.auth.exceptions
import google.auth.transport.requests
import httpx2
import pytest
import requests  # noqa: TID251 - Google's client is built on it
from google.oauth2 import id_token
from google.oauth2.credentials import Credentials
from google_auth_oauthlib.flow import Flow  # type: ignore[import-untyped]
from oauthlib.oauth2 import InvalidGrantError  # type: ignore[import-untyped]

from integrations import registry
from integrations.sdk import Plugin
from integrations.sdk.testing import exchanges_in, provider_of, read, replayed
from tests.contracts import CONTRACTS, google_discovery
from tests.standins.google import (
    AUTHORIZE,
    CLIENT_ID,
    CLIENT_SECRET,
    EMAIL,
    REVOKE,
    TOKEN,
    TOKENS,
    USERINFO,
    GoogleStandin,
)
from tests.standins.google_data import BUDGET, HOLIDAYS, INVOICE
from tests.standins.google_push import CERTS, ISSUER, signed

READ = "https://www.googleapis.com/auth/gmail.readonly"
EVENTS = "https://www.googleapis.com/auth/calendar.events.readonly"
BACK = "http://127.0.0.1/oauth/callback"
VERIFIER = "a" * 64
MEMBERS = [one for one in registry.installed().plugins.values() if one.provider == "google"]
needs_the_contract = pytest.mark.skipif(not google_discovery.is_at_hand(), reason=google_discovery.ABSENT)


@pytest.fixture(scope="module")
def running() -> Iterator[GoogleStandin]:
    with GoogleStandin() as standin:
        yield standin


@pytest.fixture
def standin(running: GoogleStandin) -> GoogleStandin:
    running.reset()
    return running


@pytest.fixture
def browser(standin: GoogleStandin) -> Iterator[httpx2.Client]:
    """Nobody signed in to Navi: Google's pages, with redirects left alone."""
    with httpx2.Client(base_url=standin.url) as client:
        yield client


@pytest.fixture
def wire() -> Iterator[google.auth.transport.requests.Request]:
    with requests.Session() as session:
        yield google.auth.transport.requests.Request(session)


@pytest.fixture
def flow(standin: GoogleStandin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a flow of google-auth-oauthlib's for some scopes."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    made: list[Flow] = []

    def start(*scopes: str, state: str | None = None) -> Flow:
        client = {
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "auth_uri": standin.url + AUTHORIZE, "token_uri": standin.url + TOKENS,
        }  # fmt: skip
        one = Flow.from_client_config({"web": client}, list(scopes), redirect_uri=BACK, state=state)
        made.append(one)
        return one

    yield start
    for one in made:
        one.oauth2session.close()


def agreed(browser: httpx2.Client, address: str) -> dict[str, str]:
    """What the browser brings back from Google's page."""
    answer = browser.get(address)
    assert answer.status_code == 302, answer.text
    return brought(answer)


def brought(answer: httpx2.Response) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def question(**more: str) -> str:
    asked = {
        "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": BACK, "scope": f"openid email {READ}",
        "state": "s", "access_type": "offline", "prompt": "consent",
    }  # fmt: skip
    return f"{AUTHORIZE}?{urlencode(asked | more)}"


def redeemed(browser: httpx2.Client, code: str, /, **more: str) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
        "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
    }  # fmt: skip
    return browser.post(TOKENS, data=form | more)


def tokens(browser: httpx2.Client, **more: str) -> dict[str, Any]:
    answer = redeemed(browser, agreed(browser, question(**more))["code"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refreshed(browser: httpx2.Client, token: str, **more: str) -> httpx2.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return browser.post(TOKENS, data=form | {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} | more)


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- Google's own clients


def test_googles_flow_signs_in_with_pkce(flow: Any, browser: httpx2.Client, standin: GoogleStandin):
    one = flow("openid", EMAIL, READ)
    address, state = one.authorization_url(access_type="offline", prompt="consent")

    came = agreed(browser, address)
    found = one.fetch_token(code=came["code"])

    assert came["state"] == state
    assert parse_qs(urlsplit(address).query)["code_challenge_method"] == ["S256"]
    assert one.credentials.refresh_token.startswith("1//")
    assert found["expires_in"] == 3599
    assert set(found["scope"]) == {"openid", EMAIL, READ}
    # This client shows itself by Basic, others in the body.
    assert standin.asked(TOKENS)[0].headers["Authorization"].startswith("Basic ")


def test_a_code_without_its_verifier_is_worth_nothing(flow: Any, browser: httpx2.Client):
    one = flow(READ)
    code = agreed(browser, one.authorization_url()[0])["code"]
    one.code_verifier = VERIFIER

    with pytest.raises(InvalidGrantError):
        one.fetch_token(code=code)


def credentials(standin: GoogleStandin, refresh: str | None, secret: str = CLIENT_SECRET) -> Credentials:
    return Credentials(
        None, refresh_token=refresh, token_uri=standin.url + TOKENS, client_id=CLIENT_ID, client_secret=secret
    )


def test_googles_credentials_refresh_and_keep_the_refresh_token(
    standin: GoogleStandin, wire: Any, browser: httpx2.Client
):
    pair = standin.grant("openid", READ)
    alices = credentials(standin, pair.refresh)

    alices.refresh(wire)

    assert alices.refresh_token == pair.refresh
    assert alices.expiry
    assert timedelta(0) < alices.expiry - datetime.now(UTC).replace(tzinfo=None) <= timedelta(seconds=3599)
    assert browser.get("/gmail/v1/users/me/labels", headers=bearing(alices.token or "")).status_code == 200


def test_googles_credentials_say_that_a_grant_is_dead(standin: GoogleStandin, wire: Any):
    alices = credentials(standin, standin.grant(READ).refresh)
    standin.kill("alice")

    with pytest.raises(google.auth.exceptions.RefreshError, match="Token has been expired or revoked"):
        alices.refresh(wire)


def test_googles_credentials_say_that_the_app_is_wrong(standin: GoogleStandin, wire: Any):
    alices = credentials(standin, standin.grant(READ).refresh, secret="another")

    with pytest.raises(google.auth.exceptions.RefreshError, match="invalid_client"):
        alices.refresh(wire)


# --- the authorize page


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"client_id": "another"}, "invalid_client"),
        ({"redirect_uri": "http://10.0.0.1/oauth/callback"}, "redirect_uri_mismatch"),
        ({"scope": ""}, "invalid_request"),
        ({"scope": "openid everything"}, "invalid_scope"),
    ],
)
def test_what_is_wrong_stays_on_googles_page(
    standin: GoogleStandin, browser: httpx2.Client, asked: dict[str, str], said: str
):
    standin.turn_on("redirect_uris", (BACK,))

    answer = browser.get(question(**asked))

    assert answer.status_code in {400, 401}
    assert said in answer.text
    assert "Location" not in answer.headers


def test_alice_may_say_no(standin: GoogleStandin, browser: httpx2.Client):
    standin.deny_next()

    assert agreed(browser, question()) == {"error": "access_denied", "state": "s"}


def test_alice_may_untick_a_scope_and_the_answer_says_so(standin: GoogleStandin, browser: httpx2.Client):
    standin.agree_only_to([READ])

    assert tokens(browser, scope=f"openid email {READ} {EVENTS}")["scope"] == f"openid {EMAIL} {READ}"


@pytest.mark.parametrize(
    ("pressed", "came"),
    [
        ({"answer": "yes", "tick": [READ]}, f"openid {EMAIL} {READ}"),
        ({"answer": "yes"}, f"openid {EMAIL}"),
        ({"answer": "no"}, None),
    ],
)
def test_the_page_that_asks_takes_boxes_and_buttons(
    standin: GoogleStandin, browser: httpx2.Client, pressed: dict[str, Any], came: str | None
):
    standin.turn_on("asks")
    address = question()
    shown = browser.get(address)
    kept = dict(parse_qsl(urlsplit(address).query))

    found = brought(browser.post(AUTHORIZE, data=kept | pressed))

    assert (shown.status_code, shown.text.count("checkbox")) == (200, 1)
    assert found.get("scope") == came
    assert (came is None) == (found.get("error") == "access_denied")


def test_only_who_asks_for_it_gets_a_refresh_token(standin: GoogleStandin, browser: httpx2.Client):
    assert "refresh_token" not in tokens(browser, access_type="online")
    standin.reset()

    assert "refresh_token" in tokens(browser, prompt="select_account")
    assert "refresh_token" not in tokens(browser, prompt="select_account")
    assert "refresh_token" in tokens(browser, prompt="consent")


def test_a_widened_grant_has_the_old_scopes_and_the_new(browser: httpx2.Client):
    tokens(browser, scope=f"openid email {READ}")

    wider = tokens(browser, scope=f"openid email {EVENTS}", include_granted_scopes="true")
    apart = tokens(browser, scope=f"openid email {EVENTS}")

    assert set(wider["scope"].split()) == {"openid", EMAIL, READ, EVENTS}
    assert set(apart["scope"].split()) == {"openid", EMAIL, EVENTS}


# --- the token endpoint


def test_a_code_serves_once(browser: httpx2.Client):
    code = agreed(browser, question())["code"]

    first, second = redeemed(browser, code), redeemed(browser, code)

    assert (first.status_code, second.status_code) == (200, 400)
    assert second.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({"redirect_uri": "http://127.0.0.1/elsewhere"}, 400, "redirect_uri_mismatch"),
        ({"client_secret": "another"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"code": "4/0another"}, 400, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses(browser: httpx2.Client, more: dict[str, str], status: int, error: str):
    answer = redeemed(browser, agreed(browser, question())["code"], **more)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_refresh_tells_no_new_refresh_token_and_may_ask_for_less(browser: httpx2.Client):
    first = tokens(browser)

    answers = [refreshed(browser, first["refresh_token"]).json() for _ in range(2)]
    less = refreshed(browser, first["refresh_token"], scope="openid").json()

    assert all("refresh_token" not in answer for answer in answers)
    assert answers[0]["access_token"] != answers[1]["access_token"]
    assert (answers[0]["scope"], less["scope"]) == (first["scope"], "openid")


def test_the_id_token_says_whose_it_is(standin: GoogleStandin, browser: httpx2.Client):
    standin.sign_in("bob")

    claims = tokens(browser)["id_token"].split(".")[1]

    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (said["aud"], said["email"]) == (CLIENT_ID, "bob@example.org")


def test_ending_one_token_ends_all_of_that_person(standin: GoogleStandin, browser: httpx2.Client):
    mail, calendar, bobs = standin.grant(READ), standin.grant(EVENTS), standin.grant(READ, person="bob")

    assert browser.post(REVOKE, data={"token": mail.refresh}).status_code == 200

    assert refreshed(browser, calendar.refresh or "").json()["error"] == "invalid_grant"
    assert browser.get(USERINFO, headers=bearing(calendar.access)).status_code == 401
    assert refreshed(browser, bobs.refresh or "").status_code == 200
    again = browser.post(REVOKE, data={"token": mail.refresh})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


def test_the_token_endpoint_breaks_on_command(standin: GoogleStandin, browser: httpx2.Client):
    pair = standin.grant(READ)
    standin.break_next(TOKENS, 200, "<html>Sorry</html>", Content_Type="text/html")
    standin.break_next(TOKENS, 500, {"error": "internal_failure"})

    answers = [refreshed(browser, pair.refresh or "") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert answers[0].text.startswith("<html>")
    assert len(standin.asked(TOKENS)) == 3


# --- what an API refuses


def test_a_token_nobody_gave_out_is_refused_as_documented(browser: httpx2.Client):
    answer = browser.get("/gmail/v1/users/me/labels", headers=bearing("ya29.another"))

    assert answer.status_code == 401
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_tokens_end_after_an_hour(standin: GoogleStandin, browser: httpx2.Client):
    pair = standin.grant("openid", READ)

    standin.wind(3600)

    assert browser.get("/gmail/v1/users/me/labels", headers=bearing(pair.access)).status_code == 401
    assert refreshed(browser, pair.refresh or "").status_code == 200


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        (EVENTS, "/gmail/v1/users/me/labels"),
        (EVENTS, "/calendar/v3/users/me/calendarList"),
        (READ, "/drive/v3/files"),
        (READ, f"/v4/spreadsheets/{BUDGET}/values/A1"),
    ],
)
def test_a_scope_that_is_missing_is_said(
    standin: GoogleStandin, browser: httpx2.Client, scope: str, path: str
):
    answer = browser.get(path, headers=bearing(standin.grant(scope).access))

    error = answer.json()["error"]
    assert (answer.status_code, error["errors"][0]["reason"]) == (403, "insufficientPermissions")
    assert error["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


def test_an_api_can_be_switched_off(standin: GoogleStandin, browser: httpx2.Client):
    standin.switch_off("gmail")

    mail = browser.get("/gmail/v1/users/me/labels", headers=bearing(TOKEN))
    calendar = browser.get("/calendar/v3/users/me/calendarList", headers=bearing(TOKEN))

    assert mail.json()["error"]["details"][0]["reason"] == "SERVICE_DISABLED"
    assert calendar.status_code == 200


@pytest.mark.parametrize("status", [403, 429])
def test_there_can_be_too_many_calls(standin: GoogleStandin, browser: httpx2.Client, status: int):
    standin.rate_limit_next(status=status, retry_after="7")

    limited, after = (browser.get("/drive/v3/files", headers=bearing(TOKEN)) for _ in range(2))

    assert (limited.status_code, limited.headers["Retry-After"]) == (status, "7")
    assert limited.json()["error"]["errors"][0]["reason"] == "rateLimitExceeded"
    assert after.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gmail/v1/users/me/threads?maxResults=many",
        "/gmail/v1/users/me/threads?labels=INBOX",
        "/drive/v3/files?pageSize=1001",
        "/drive/v3/files?q=colour+%3D+%27red%27",
        "/calendar/v3/calendars/primary/events?orderBy=startTime",
        "/calendar/v3/calendars/primary/events?timeMin=2026-11-22T00:00:00",
        f"/v4/spreadsheets/{BUDGET}/values/Nowhere!A1",
    ],
)
def test_what_google_would_not_take_is_refused(browser: httpx2.Client, path: str):
    assert browser.get(path, headers=bearing(TOKEN)).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/gmail/v1/users/me/threads/18f0", "/calendar/v3/calendars/nobody%40example.org/events", "/nonsense"],
)
def test_what_is_not_there_is_not_found(browser: httpx2.Client, path: str):
    assert browser.get(path, headers=bearing(TOKEN)).status_code == 404


def test_whose_account_it_is_depends_on_what_was_ticked(standin: GoogleStandin, browser: httpx2.Client):
    with_email = browser.get(USERINFO, headers=bearing(standin.grant("openid", "email").access))
    without = browser.get("/v1/userinfo", headers=bearing(standin.grant("openid").access))
    mail_only = browser.get(USERINFO, headers=bearing(standin.grant(READ).access))

    assert with_email.json()["email"] == "alice@example.org"
    assert without.json() == {"sub": "100000000000000000001"}
    assert mail_only.status_code == 401


# --- what Google tells by itself

PUSHER = "pusher@navi.iam.gserviceaccount.com"


def test_googles_own_client_verifies_what_pub_sub_shows(standin: GoogleStandin, wire: Any):
    address = "https://navi.example/hooks/x"

    claims = id_token.verify_token(
        signed(PUSHER, address), wire, audience=address, certs_url=standin.url + CERTS
    )

    assert (claims["iss"], claims["email"], claims["email_verified"]) == (ISSUER, PUSHER, True)
    with pytest.raises(Exception, match=r"(?i)audience"):
        id_token.verify_token(
            signed(PUSHER, "https://elsewhere.example"), wire, audience=address, certs_url=standin.url + CERTS
        )


def test_strings_can_be_pulled_from_another_process(standin: GoogleStandin, browser: httpx2.Client):
    event = {"title": "Yoga", "start": "2026-11-26T18:00:00+01:00", "end": "2026-11-26T19:00:00+01:00"}
    made = browser.post("/_standin/put_event", json=event).json()["id"]
    mail = browser.post("/_standin/receive_mail", json={"subject": "Invoice 12"}).json()["id"]
    browser.post("/_standin/remove_event", json={"id": made})
    browser.post("/_standin/expire_sync_tokens")

    read = browser.get(f"/gmail/v1/users/me/messages/{mail}", headers=bearing(TOKEN)).json()
    gone = browser.get(f"/calendar/v3/calendars/primary/events/{made}", headers=bearing(TOKEN)).json()
    assert (read["snippet"], gone["status"]) == ("Invoice 12", "cancelled")
    assert browser.get("/_standin/told").json() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/calendar/v3/calendars/primary/events", {"title": "Yoga"}),
        ("/calendar/v3/calendars/primary/events", {"summary": "Yoga"}),
        ("/gmail/v1/users/me/messages/send", {"raw": 1}),
        ("/gmail/v1/users/me/messages/send", {"raw": ""}),
        ("/gmail/v1/users/me/stop", {"id": "x"}),
        (f"/v4/spreadsheets/{BUDGET}/values/A1:append?valueInputOption=RAW", {"rows": [[1]]}),
        (f"/v4/spreadsheets/{BUDGET}/values/A1:append", {"values": [[1]]}),
    ],
)
def test_a_body_that_google_would_not_take_is_refused(
    browser: httpx2.Client, path: str, body: dict[str, Any]
):
    assert browser.post(path, json=body, headers=bearing(TOKEN)).status_code == 400


# --- the discovery documents


@pytest.mark.parametrize("person", ["alice", "bob"])
@pytest.mark.parametrize(
    "address",
    [
        "/gmail/v1/users/me/labels",
        "/gmail/v1/users/me/threads?includeSpamTrash=true",
        f"/gmail/v1/users/me/threads/{INVOICE}",
        f"/gmail/v1/users/me/threads/{INVOICE}?format=metadata",
        "/calendar/v3/users/me/calendarList?maxResults=2",
        "/calendar/v3/calendars/primary/events",
        f"/calendar/v3/calendars/{quote(HOLIDAYS, safe='')}/events",
        "/drive/v3/files?fields=*",
        "/drive/v3/files?pageSize=1",
        f"/v4/spreadsheets/{BUDGET}/values/A1:C3?valueRenderOption=UNFORMATTED_VALUE",
        f"/v4/spreadsheets/{BUDGET}/values/Z1",
    ],
)
def test_the_stand_in_answers_in_the_documents_shapes(
    standin: GoogleStandin, browser: httpx2.Client, address: str, person: str
):
    scopes = {scope for one in google_discovery.extract()["apis"].values() for scope in scopes_in(one)}
    answer = browser.get(address, headers=bearing(standin.grant(*scopes, person=person).access))

    # Bob has neither Alice's mail nor her spreadsheets.
    assert answer.status_code in ({200} if person == "alice" else {200, 404})
    assert answer.status_code == 404 or wrong_in(address, answer.json()) == []


def scopes_in(document: dict[str, Any]) -> set[str]:
    return {scope for facts in document["methods"].values() for scope in facts["scopes"]}


def wrong_in(address: str, body: Any, method: str = "GET") -> list[str]:
    asked = google_discovery.asked(method, address.partition("?")[0])
    assert asked
    if "response" not in asked.facts:
        return []  # Files and nothing are no JSON.
    return list(google_discovery.wrong_with_answer(asked.api, asked.facts["response"], body))


def recordings() -> Iterator[Any]:
    for member in MEMBERS:
        for path in sorted(member.folder.glob("payloads/*.json")):
            yield pytest.param(member, path, id=f"{member.slug} {path.stem}")


@pytest.mark.parametrize(("member", "path"), recordings())
def test_what_is_recorded_is_as_documented(member: Plugin, path: Path):
    for exchange in read(path):
        address = urlsplit(member.base_url).path + exchange.request["path"]
        if exchange.response["status"] < 400 and "body" in exchange.response:
            assert wrong_in(address, exchange.response["body"], exchange.request["method"]) == []


def actions() -> Iterator[Any]:
    for member in MEMBERS:
        for name in member.actions:
            yield pytest.param(member, name, id=f"{member.slug}.{name}")


@pytest.mark.parametrize(("member", "name"), actions())
def test_an_action_asks_for_what_google_documents(member: Plugin, name: str):
    done = replayed(member, name, exchanges_in(member, name), {})

    assert done.error is None
    for sent in done.sent:
        asked = google_discovery.asked(sent.method, urlsplit(member.base_url).path + sent.path)
        assert asked
        body = sent.json if isinstance(sent.json, dict) else None
        assert google_discovery.wrong_with_request(asked, urlencode(sent.query), body) == []
        # Each request is open to one of the scopes that the action names.
        assert set(member.actions[name].scopes) & set(asked.facts["scopes"])


@pytest.mark.parametrize(("member", "name"), actions())
def test_no_scope_of_an_action_is_idle(member: Plugin, name: str):
    sent = replayed(member, name, exchanges_in(member, name), {}).sent
    asked = [google_discovery.asked(one.method, urlsplit(member.base_url).path + one.path) for one in sent]
    opened = [set(one.facts["scopes"]) for one in asked if one]

    for scope in member.actions[name].scopes:
        assert any(scope in each for each in opened)


@needs_the_contract
def test_the_part_kept_here_is_still_what_the_documents_say():
    assert google_discovery.extract() == google_discovery.taken()


@needs_the_contract
def test_every_scope_is_one_that_google_documents():
    known = {"openid", "email"}
    for name in google_discovery.DOCUMENTS.values():
        known |= json.loads((CONTRACTS / name).read_text())["auth"]["oauth2"]["scopes"].keys()

    for auth in registry.installed().entries["google"].provider.auth:
        assert set(getattr(auth, "scopes", {})) <= known


@needs_the_contract
def test_a_scope_includes_only_what_the_documents_let_it_do():
    opened: dict[str, set[str]] = {}
    for name in google_discovery.DOCUMENTS.values():
        document = json.loads((CONTRACTS / name).read_text())
        for method, facts in google_discovery.methods_in(document):
            for scope in facts["scopes"]:
                opened.setdefault(scope, set()).add(method)

    [auth] = provider_of(MEMBERS[0]).auth
    for scope, included in getattr(auth, "implies", {}).items():
        for one in set(included) & opened.keys():
            assert opened[one] <= opened[scope], f"{scope} does not open all that {one} opens"
