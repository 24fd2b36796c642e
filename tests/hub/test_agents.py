import re
from datetime import timedelta

import pytest
from django.utils import timezone

from navi.audit.models import AuditEvent
from navi.projects.models import AgentToken, Membership
from navi.projects.roles import ADMINS_GRANT, DEFAULT_SCOPES
from tests.hub.browsers import HTMX, browser_of, few_queries, text_of

SECRET = re.compile(r"navi_at_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}")
ADA = {"name": "Ada", "expires": "90", "scopes": ["read", "run"]}


def create(person, **typed):
    return browser_of(person).post("/p/acme/agents/new", {**ADA, **typed})


def secret_in(answer):
    (found,) = SECRET.findall(text_of(answer))
    return found


def row_of(name="Ada", **more):
    return AgentToken.objects.get(name=name, **more)


# --- a new one


def test_bob_makes_a_token_that_works_and_is_shown_once(bob, acme, api):
    answer = create(bob)

    secret = secret_in(answer)
    later = text_of(browser_of(bob).get("/p/acme/agents"))
    assert answer.status_code == 200 and text_of(answer).count(secret) == 1
    assert "no-store" in answer["Cache-Control"]
    assert api(secret).get("/api/integrations/status").status_code == 200
    assert "Ada" in later and not SECRET.search(later)
    assert AuditEvent.objects.filter(event="token.created", actor_label="Bob").exists()


def test_snippets_read_the_token_from_the_environment(bob, acme):
    answer = create(bob)

    snippets = answer.context["created"]["snippets"]
    assert all("$NAVI_TOKEN" in each["code"] or "NAVI_TOKEN" in each["code"] for each in snippets[:2])
    assert not any(SECRET.search(each["code"]) for each in snippets)


def test_by_htmx_the_dialog_shows_the_token_and_the_list_is_told(bob, acme):
    answer = browser_of(bob).post("/p/acme/agents/new", ADA, headers=HTMX)

    assert "<html" not in text_of(answer) and SECRET.search(text_of(answer))
    assert "tokens-changed" in answer["HX-Trigger"]
    assert "data-copy-from" in text_of(answer)


def test_the_form_begins_with_the_everyday_scopes(bob, acme):
    scopes = browser_of(bob).get("/p/acme/agents/new").context["scopes"]

    assert {scope["value"] for scope in scopes if scope["checked"]} == set(DEFAULT_SCOPES)
    assert {scope["value"] for scope in scopes if scope["disabled"]} == ADMINS_GRANT


def test_an_admin_may_tick_everything(adam, acme):
    scopes = browser_of(adam).get("/p/acme/agents/new").context["scopes"]

    assert not any(scope["disabled"] for scope in scopes)


@pytest.mark.parametrize("scope", sorted(ADMINS_GRANT))
def test_bob_cannot_grant_what_admins_grant_even_by_hand(scope, bob, acme):
    answer = create(bob, scopes=["read", scope])

    assert answer.status_code == 422
    assert "Members cannot grant the scope" in text_of(answer)
    assert not AgentToken.objects.exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"name": ""}, "Give a name of at most 80 letters."),
        ({"scopes": []}, "Choose at least one scope."),
        ({"scopes": ["everything"]}, "There is no scope"),
        ({"expires": "never"}, "A token lives at most one year here."),
    ],
)
def test_a_form_that_does_not_do_says_why_and_keeps_what_was_typed(typed, words, bob, acme):
    answer = create(bob, **typed)

    assert answer.status_code == 422
    assert words in text_of(answer)
    if "scopes" not in typed:
        ticked = {scope["value"] for scope in answer.context["scopes"] if scope["checked"]}
        assert ticked == {"read", "run"}
    assert not AgentToken.objects.exists()


@pytest.mark.parametrize(("expires", "days"), [("7", 7), ("30", 30), ("90", 90), ("365", 365), ("9999", 90)])
def test_a_token_lives_as_long_as_chosen(expires, days, bob, acme):
    create(bob, expires=expires)

    life = row_of().expires_at - timezone.now()
    assert abs(life - timedelta(days=days)) < timedelta(minutes=1)


def test_never_is_offered_only_where_the_operator_allows_it(bob, acme, settings):
    assert 'value="never"' not in text_of(browser_of(bob).get("/p/acme/agents/new"))
    settings.TOKENS_MAY_LIVE_FOREVER = True

    assert 'value="never"' in text_of(browser_of(bob).get("/p/acme/agents/new"))
    assert create(bob, expires="never").status_code == 200
    assert row_of().expires_at is None


def test_a_token_may_be_for_single_integrations(adam, acme, acmes_todoist):
    page = browser_of(adam).get("/p/acme/agents/new")

    create(adam, scopes=["read", "run", "mcp", "audit"], providers=["todoist"])

    assert "Only for some integrations" in text_of(page)
    assert row_of().scopes == ["read:todoist", "run:todoist", "mcp", "audit"]


def test_a_service_that_is_not_connected_narrows_to_nothing_else(adam, acme):
    assert "Only for some integrations" not in text_of(browser_of(adam).get("/p/acme/agents/new"))


# --- the list


def test_bob_sees_his_own_tokens_and_adam_everybodys(bob, adam, acme, token_of):
    token_of(bob, acme, name="Bobs agent")
    token_of(adam, acme, name="Adams agent")

    bobs, adams = (text_of(browser_of(who).get("/p/acme/agents")) for who in (bob, adam))

    assert "Bobs agent" in bobs and "Adams agent" not in bobs
    assert "Bobs agent" in adams and "Adams agent" in adams


def test_tokens_of_other_projects_are_not_listed(charlie, alice, acme, elsewhere, token_of):
    token_of(charlie, elsewhere, name="Elsewheres agent")

    assert "Elsewheres agent" not in text_of(browser_of(alice).get("/p/acme/agents"))


def test_the_empty_list_says_what_a_token_is_for(bob, acme):
    answer = text_of(browser_of(bob).get("/p/acme/agents"))

    assert "No agent has a token yet" in answer and "Create the first token" in answer


def test_the_list_refreshes_as_a_fragment(bob, acme, token_of):
    token_of(bob, acme)
    client = browser_of(bob)

    fragment = text_of(client.get("/p/acme/agents", headers=HTMX))
    whole = text_of(client.get("/p/acme/agents", headers={**HTMX, "HX-History-Restore-Request": "true"}))

    assert 'id="tokens"' in fragment and 'id="new-token-place" hx-swap-oob="true"' in fragment
    assert "<html" not in fragment and "<html" in whole


def test_states_are_told_in_words(bob, acme, token_of):
    for name in ("Soon", "Past", "Fresh", "Used", "Old"):
        token_of(bob, acme, name=name)
    now, change = timezone.now(), AgentToken.objects.filter
    change(name="Soon").update(expires_at=now + timedelta(days=3))
    change(name="Past").update(expires_at=now - timedelta(days=3))
    change(name="Used").update(last_used_at=now, last_used_from="192.0.2.1")
    change(name="Old").update(revoked_at=now - timedelta(days=40))

    page = browser_of(bob).get("/p/acme/agents")

    words = {token["name"]: token["word"] for token in page.context["tokens"]}
    assert words == {"Soon": "Expires soon", "Past": "Expired", "Fresh": "Never used", "Used": "Active"}
    assert "192.0.2.1" in text_of(page)
    assert page.context["tokens"][-1]["name"] == "Past"


def test_the_list_asks_few_questions(alice, acme, token_of):
    for number in range(30):
        token_of(alice, acme, name=f"Agent {number}")
    client = browser_of(alice)
    client.get("/p/acme/agents")

    with few_queries():
        client.get("/p/acme/agents")
    with few_queries():
        client.get("/p/acme/agents/new")


# --- rotated


def test_rotation_shows_the_new_token_once_and_the_old_one_works_for_the_overlap(bob, acme, api):
    old = secret_in(create(bob))

    answer = browser_of(bob).post(f"/p/acme/agents/{row_of().pk}/rotate", {"overlap": "24"})

    new = secret_in(answer)
    assert new != old and "The token from before works until" in text_of(answer)
    assert [api(each).get("/api/integrations/status").status_code for each in (old, new)] == [200, 200]
    listed = browser_of(bob).get("/p/acme/agents").context["tokens"]
    assert [(token["name"], bool(token["overlap_until"])) for token in listed] == [("Ada", True)]


def test_rotation_without_overlap_ends_the_old_token_at_once(bob, acme, api):
    old = secret_in(create(bob))

    answer = browser_of(bob).post(f"/p/acme/agents/{row_of().pk}/rotate", {"overlap": "0"})

    assert "The token from before works until" not in text_of(answer)
    assert api(old).get("/api/integrations/status").status_code == 401


def test_the_rotation_dialog_offers_a_day(bob, acme, token_of):
    token_of(bob, acme)

    answer = browser_of(bob).get(f"/p/acme/agents/{row_of().pk}/rotate", headers=HTMX)

    assert "Rotate Ada" in text_of(answer)
    assert 'value="24" checked' in text_of(answer)


def test_adam_sees_bobs_token_and_cannot_rotate_it(bob, adam, acme, token_of):
    token_of(bob, acme)
    listed = browser_of(adam).get("/p/acme/agents").context["tokens"]

    answer = browser_of(adam).post(f"/p/acme/agents/{row_of().pk}/rotate", {"overlap": "24"})

    assert [(token["may_rotate"], token["may_revoke"]) for token in listed] == [(False, True)]
    assert answer.status_code == 422
    assert "Only its owner can rotate a token. You can revoke it." in text_of(answer)
    assert AgentToken.objects.count() == 1


def test_a_token_is_rotated_once(bob, acme, token_of):
    token_of(bob, acme)
    path = f"/p/acme/agents/{row_of().pk}/rotate"
    browser_of(bob).post(path, {"overlap": "24"})

    again = browser_of(bob).post(path, {"overlap": "24"})

    assert again.status_code == 422
    assert "has ended or was rotated before" in text_of(again)
    assert AgentToken.objects.count() == 2


# --- revoked


def test_bob_is_asked_and_then_his_token_ends(bob, acme, api):
    secret = secret_in(create(bob))
    client, path = browser_of(bob), f"/p/acme/agents/{row_of().pk}/revoke"

    question = text_of(client.get(path, headers=HTMX))
    assert "Revoke Ada" in question and "This cannot be undone." in question
    assert api(secret).get("/api/integrations/status").status_code == 200

    answer = client.post(path, headers=HTMX)

    assert answer.status_code == 204
    for event in ("closeModal", "tokens-changed", "Ada is revoked."):
        assert event in answer["HX-Trigger"]
    assert api(secret).get("/api/integrations/status").status_code == 401


def test_adam_revokes_bobs_token_with_a_plain_form(bob, adam, acme, token_of):
    token_of(bob, acme)
    path = f"/p/acme/agents/{row_of().pk}/revoke"

    question = text_of(browser_of(adam).get(path))
    answer = browser_of(adam).post(path, follow=True)

    assert "It belongs to Bob." in question
    assert "Ada is revoked." in text_of(answer)
    assert row_of().revoked_at


def test_bob_reaches_nobody_elses_token(bob, adam, charlie, acme, elsewhere, token_of):
    token_of(adam, acme, name="Adams agent")
    token_of(charlie, elsewhere, name="Elsewheres agent")
    client = browser_of(bob)

    for token in AgentToken.objects.all():
        for deed in ("rotate", "revoke"):
            assert client.get(f"/p/acme/agents/{token.pk}/{deed}").status_code == 404
            assert client.post(f"/p/acme/agents/{token.pk}/{deed}").status_code == 404

    assert not AgentToken.objects.exclude(revoked_at=None).exists()


def test_an_owner_reaches_no_token_of_another_project(alice, charlie, acme, elsewhere, token_of):
    token_of(charlie, elsewhere)

    assert browser_of(alice).post(f"/p/acme/agents/{row_of().pk}/revoke").status_code == 404
    assert row_of().is_living


@pytest.mark.parametrize("deed", ["", "/new"])
def test_viewers_have_no_tokens(deed, vera, acme):
    assert browser_of(vera).get(f"/p/acme/agents{deed}").status_code == 403


def test_looking_changes_nothing(bob, acme, token_of):
    token_of(bob, acme)
    before = list(AgentToken.objects.values()), Membership.objects.count()
    pk = row_of().pk

    for page in ("", "/new", f"/{pk}/rotate", f"/{pk}/revoke"):
        assert browser_of(bob).get(f"/p/acme/agents{page}").status_code == 200

    assert (list(AgentToken.objects.values()), Membership.objects.count()) == before
