from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from navi.audit.models import AuditEvent
from navi.projects import people
from navi.projects.models import Invitation, Membership, Project, User
from navi.projects.rights import actor_for
from tests.hub.browsers import HTMX, browser_of, few_queries, password_of, text_of

OLGA = {"name": "Olga", "email": "Olga@example.org", "password": "a long walk home"}


def first_link():
    return str(people.first_operator_link()).removeprefix(settings.BASE_URL)


# --- the first start


def test_olga_makes_her_account_and_is_led_to_her_first_project(db):
    client, link = browser_of(), first_link()

    page = client.get(link)
    made = client.post(link, OLGA)
    first = client.get(made["Location"])

    assert (page.status_code, made.status_code) == (200, 303)
    assert (made["Location"], first.status_code) == ("/projects/new", 200)
    assert "Your first project" in text_of(first)
    assert User.objects.operators().get().email == "olga@example.org"


def test_looking_at_the_link_uses_nothing_up(db):
    link = first_link()

    for _ in range(3):
        assert browser_of().get(link).status_code == 200

    assert browser_of().post(link, OLGA).status_code == 303


def test_the_link_of_the_first_start_works_once(db):
    link = first_link()
    browser_of().post(link, OLGA)

    again = browser_of().post(link, {**OLGA, "email": "eve@example.org"})

    assert again.status_code == 404
    assert "This Navi has its operator already." in text_of(again)
    assert User.objects.count() == 1


@pytest.mark.parametrize("code", ["navi_inv_guess", "x" * 500, "%00", "navi_inv_" + "0" * 61])
def test_a_guessed_link_says_how_to_get_a_real_one(db, code):
    answer = browser_of().get(f"/set-up/{code}")

    assert answer.status_code == 404
    assert "make run" in text_of(answer)


def test_an_invitation_to_a_project_makes_no_operator(alice, acme):
    _, code = people.invite(acme, "member", actor=actor_for(alice, acme))

    assert browser_of().post(f"/set-up/{code}", OLGA).status_code == 404
    assert not User.objects.operators().exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"password": "short"}, "This password is too short."),
        ({"password": "olga@example.org"}, "too similar to the email"),
        ({"email": "olga"}, "This is not an e-mail address."),
        ({"name": "x" * 121}, "Give a name of at most 120 letters."),
    ],
)
def test_what_olga_typed_stays_and_the_words_stand_at_the_field(db, typed, words):
    link = first_link()

    answer = browser_of().post(link, {**OLGA, **typed})

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert 'aria-invalid="true"' in text_of(answer)
    assert OLGA["password"] not in text_of(answer)
    assert not User.objects.exists()


# --- home and projects


def test_a_person_without_projects_is_led_to_the_first_one(charlie):
    assert browser_of(charlie).get("/")["Location"] == "/projects/new"


def test_a_visitor_is_led_to_the_sign_in(db):
    assert browser_of().get("/")["Location"] == "/sign-in?next=/"


def test_home_is_the_project_looked_at_last(alice, acme):
    client = browser_of(alice)
    people.create_project("Zebra", alice, actor=actor_for(alice))

    several = client.get("/")["Location"]
    client.get("/p/zebra/members")
    last = client.get("/")["Location"]

    assert (several, last) == ("/projects", "/p/zebra/integrations")


def test_a_project_left_behind_is_home_no_more(alice, bob, acme):
    client = browser_of(bob)
    client.get("/p/acme/members")
    Membership.objects.filter(user=bob).delete()

    assert client.get("/")["Location"] == "/projects/new"


def test_charlie_creates_a_project_and_owns_it(charlie):
    answer = browser_of(charlie).post("/projects", {"name": "Fish & Chips"})

    assert (answer.status_code, answer["Location"]) == (303, "/p/fish-chips/integrations")
    assert Project.objects.get().role_of(charlie) == "owner"


def test_a_project_needs_a_name(charlie):
    answer = browser_of(charlie).post("/projects", {"name": " "})

    assert answer.status_code == 422
    assert "Give a name of at most 120 letters." in text_of(answer)
    assert not Project.objects.exists()


def test_the_list_shows_ones_own_projects_with_role_and_counts(
    alice, acme, elsewhere, adas_token, acmes_todoist
):
    answer = text_of(browser_of(alice).get("/projects"))

    assert "Acme" in answer and "Owner" in answer
    assert "1 connected" in answer and "1 agent<" in answer
    assert "Elsewhere" not in answer


def test_a_name_is_shown_as_text(charlie):
    browser_of(charlie).post("/projects", {"name": "<script>alert(1)</script>"})

    answer = text_of(browser_of(charlie).get("/projects"))

    assert "<script>alert" not in answer
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer


# --- settings


def test_adam_renames_the_project_and_its_address_stays(adam, acme):
    answer = browser_of(adam).post("/p/acme/settings", {"name": "Acme Ltd"})

    acme.refresh_from_db()
    assert (answer.status_code, acme.name, acme.slug) == (303, "Acme Ltd", "acme")


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_members_and_viewers_read_the_settings_and_change_nothing(who, request, acme):
    client = browser_of(request.getfixturevalue(who))

    page, change = client.get("/p/acme/settings"), client.post("/p/acme/settings", {"name": "Mine"})

    assert (page.status_code, change.status_code) == (200, 403)
    assert "Admins and owners of this project can change its settings." in text_of(page)
    assert "Archive" not in text_of(page)


def test_only_an_owner_archives_and_only_by_typing_the_short_name(alice, adam, acme, adas_token, api):
    refused = browser_of(adam).post("/p/acme/settings/archive", {"confirm": "acme"})
    mistyped = browser_of(alice).post("/p/acme/settings/archive", {"confirm": "Acme"})
    assert (refused.status_code, mistyped.status_code) == (403, 422)
    assert "Type acme to confirm." in text_of(mistyped)

    answer = browser_of(alice).post("/p/acme/settings/archive", {"confirm": "acme"})

    assert (answer.status_code, answer["Location"]) == (303, "/projects")
    assert browser_of(alice).get("/p/acme/settings").status_code == 404
    assert api(adas_token).get("/api/integrations/status").status_code == 401


# --- members


def test_the_members_page_shows_people_to_every_member(vera, acme):
    answer = text_of(browser_of(vera).get("/p/acme/members"))

    for name in ("Alice", "Adam", "Bob", "Vera"):
        assert name in answer
    assert "Invite someone" not in answer and "Pending invitations" not in answer


def role_of(person, project):
    return Membership.objects.get(user=person, project=project).role


def membership_of(person, project):
    return Membership.objects.get(user=person, project=project).pk


def test_adam_makes_bob_a_viewer(adam, bob, acme):
    path = f"/p/acme/members/{membership_of(bob, acme)}/role"

    plain = browser_of(adam).post(path, {"role": "viewer"})
    by_htmx = browser_of(adam).post(path, {"role": "member"}, headers=HTMX)

    assert (plain.status_code, plain["Location"]) == (303, "/p/acme/members")
    assert by_htmx.status_code == 204
    assert "Bob is a member now." in by_htmx["HX-Trigger"]
    assert role_of(bob, acme) == "member"


def test_adam_can_neither_make_an_owner_nor_unmake_one(adam, alice, bob, acme):
    client = browser_of(adam)

    promoted = client.post(f"/p/acme/members/{membership_of(bob, acme)}/role", {"role": "owner"}, follow=True)
    demoted = client.post(
        f"/p/acme/members/{membership_of(alice, acme)}/role", {"role": "viewer"}, follow=True
    )

    for answer in (promoted, demoted):
        assert "Only an owner may do this. Ask one of them." in text_of(answer)
    assert (role_of(bob, acme), role_of(alice, acme)) == ("member", "owner")
    assert 'value="owner"' not in text_of(client.get("/p/acme/members"))


def test_a_refused_role_loads_the_page_anew_so_that_the_choice_is_true(alice, acme):
    path = f"/p/acme/members/{membership_of(alice, acme)}/role"

    answer = browser_of(alice).post(path, {"role": "viewer"}, headers=HTMX)

    assert answer["HX-Refresh"] == "true"
    assert role_of(alice, acme) == "owner"


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_members_and_viewers_change_nobody(who, request, adam, acme):
    client = browser_of(request.getfixturevalue(who))
    pk = membership_of(adam, acme)

    answers = [
        client.post(f"/p/acme/members/{pk}/role", {"role": "viewer"}),
        client.get(f"/p/acme/members/{pk}/remove"),
        client.post(f"/p/acme/members/{pk}/remove"),
        client.post("/p/acme/members/invitations", {"email": "", "role": "viewer"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403]
    assert "Alice, Adam" in text_of(answers[1]) or "Adam, Alice" in text_of(answers[1])
    assert role_of(adam, acme) == "admin"


def test_adam_removes_bob_and_the_tokens_of_his_agents_end(adam, bob, acme, token_of, api):
    token = token_of(bob, acme, "read")
    client, path = browser_of(adam), f"/p/acme/members/{membership_of(bob, acme)}/remove"

    question = client.get(path, headers=HTMX)
    answer = client.post(path, headers=HTMX)

    assert "Remove Bob" in text_of(question) and "<html" not in text_of(question)
    assert answer["HX-Redirect"] == "/p/acme/members"
    assert browser_of(bob).get("/p/acme/members").status_code == 404
    assert api(token).get("/api/integrations/status").status_code == 401


def test_the_last_owner_is_told_what_to_do_first(alice, acme):
    answer = browser_of(alice).post("/p/acme/members/leave")

    assert answer.status_code == 422
    assert "A project needs an owner. Make somebody else an owner first." in text_of(answer)
    assert role_of(alice, acme) == "owner"


def test_vera_leaves_by_herself(vera, acme):
    client = browser_of(vera)

    question, answer = client.get("/p/acme/members/leave"), client.post("/p/acme/members/leave", follow=True)

    assert "Leave Acme" in text_of(question)
    assert "You have left Acme." in text_of(answer)
    assert client.get("/p/acme/members").status_code == 404
    assert AuditEvent.objects.filter(event="member.left").exists()


def test_a_member_of_another_project_is_not_found_here(alice, charlie, acme, elsewhere):
    pk = membership_of(charlie, elsewhere)
    client = browser_of(alice)

    assert client.post(f"/p/acme/members/{pk}/role", {"role": "viewer"}).status_code == 404
    assert client.post(f"/p/acme/members/{pk}/remove").status_code == 404
    assert role_of(charlie, elsewhere) == "owner"


# --- invitations


def invited(person, project="acme", **typed):
    """The path of a fresh link, as the page showed it."""
    given = {"email": "", "role": "member", **typed}
    answer = browser_of(person).post(f"/p/{project}/members/invitations", given)
    text = text_of(answer)
    assert answer.status_code == 200, text
    start = text.index(f"{settings.BASE_URL}/invitations/navi_inv_")
    return text[start:].split("<")[0].removeprefix(settings.BASE_URL)


NINA = {"name": "Nina", "email": "nina@example.org", "password": "nine brown foxes"}


def test_the_link_is_shown_once(adam, acme):
    link = invited(adam)

    later = text_of(browser_of(adam).get("/p/acme/members"))

    assert "Whoever has the link" in later
    assert link not in later and "navi_inv_" not in later


def test_nina_makes_an_account_by_her_link_and_is_a_member(adam, acme):
    client, link = browser_of(), invited(adam, role="viewer")

    page = client.get(link)
    answer = client.post(link, NINA, follow=True)

    assert "Join Acme" in text_of(page) and "Adam invites you as viewer." in text_of(page)
    assert answer.redirect_chain[0] == ("/p/acme/integrations", 303)
    assert role_of(User.objects.get(email="nina@example.org"), acme) == "viewer"


def test_an_invitation_for_one_address_does_not_ask_for_it(adam, acme):
    link = invited(adam, email="Nina@example.org")

    page = text_of(browser_of().get(link))
    browser_of().post(link, {**NINA, "email": "eve@example.org"})

    assert 'name="email"' not in page and "nina@example.org" in page
    assert User.objects.filter(email="nina@example.org").exists()
    assert not User.objects.filter(email="eve@example.org").exists()


def test_charlie_joins_with_the_account_he_has(adam, charlie, acme, elsewhere):
    link, client = invited(adam), browser_of(charlie)

    page, answer = client.get(link), client.post(link)

    assert "Join as Charlie" in text_of(page) and 'name="password"' not in text_of(page)
    assert (answer.status_code, answer["Location"]) == (303, "/p/acme/integrations")
    assert role_of(charlie, acme) == "member"


def test_a_link_for_somebody_else_says_so(adam, charlie, acme):
    link = invited(adam, email="nina@example.org")

    answer = browser_of(charlie).post(link)

    assert answer.status_code == 422
    assert "This invitation is for another e-mail address. Sign in with that one." in text_of(answer)
    assert not Membership.objects.filter(user=charlie).exists()


def test_a_member_who_opens_a_link_uses_nothing_up(adam, bob, acme):
    link = invited(adam)

    answer = browser_of(bob).post(link, follow=True)

    assert "You are a member of this project already." in str(list(answer.context["messages"]))
    assert browser_of().post(link, NINA).status_code == 303


def test_a_link_works_once(adam, charlie, acme):
    link = invited(adam)
    browser_of().post(link, NINA)

    again = browser_of(charlie).post(link)

    assert again.status_code == 404
    assert "This invitation is no longer open" in text_of(again)
    assert not Membership.objects.filter(user=charlie).exists()


def test_used_expired_withdrawn_and_unknown_links_look_the_same(adam, acme):
    used, expired, withdrawn = (invited(adam) for _ in range(3))
    browser_of().post(used, NINA)
    *_, withdrawn_row = Invitation.objects.order_by("created_at")
    browser_of(adam).post(f"/p/acme/members/invitations/{withdrawn_row.pk}/revoke")
    Invitation.objects.filter(public_id=expired.split("_")[2]).update(
        expires_at=timezone.now() - timedelta(1)
    )

    pages = [browser_of().get(link) for link in (used, expired, withdrawn, "/invitations/navi_inv_unknown")]

    assert {page.status_code for page in pages} == {404}
    assert len({text_of(page).replace(str(page.context["csrf_token"]), "") for page in pages}) == 1


def test_the_link_of_an_admin_who_left_opens_nothing(adam, acme):
    link = invited(adam)
    Membership.objects.filter(user=adam).delete()

    assert browser_of().post(link, NINA).status_code == 404


def test_adam_cannot_invite_an_owner(adam, acme):
    answer = browser_of(adam).post("/p/acme/members/invitations", {"email": "", "role": "owner"})

    assert answer.status_code == 422
    assert "Only an owner may do this." in text_of(answer)
    assert not Invitation.objects.exists()


def test_inviting_a_member_says_so_at_the_field(adam, bob, acme):
    answer = browser_of(adam).post("/p/acme/members/invitations", {"email": bob.email, "role": "viewer"})

    assert answer.status_code == 422
    assert "This person is a member already." in text_of(answer)


def test_an_invitation_of_another_project_cannot_be_withdrawn_here(alice, charlie, acme, elsewhere):
    invited(charlie, "elsewhere")
    row = Invitation.objects.get()

    assert browser_of(alice).post(f"/p/acme/members/invitations/{row.pk}/revoke").status_code == 404
    assert Invitation.objects.get().is_open


def test_a_password_that_does_not_do_uses_nothing_up(adam, acme):
    link = invited(adam)

    weak = browser_of().post(link, {**NINA, "password": "1234567890"})

    assert weak.status_code == 422
    assert "nina@example.org" in text_of(weak) and "1234567890" not in text_of(weak)
    assert browser_of().post(link, NINA).status_code == 303


# --- doors that stay shut


PROJECT_PAGES = ("", "/settings", "/agents", "/agents/new", "/members", "/members/leave", "/activity")


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_a_stranger_finds_nothing(page, charlie, acme):
    answer = browser_of(charlie).get(f"/p/acme{page}")

    assert answer.status_code == 404
    assert "Acme" not in text_of(answer)
    assert answer["X-Request-Id"] in text_of(answer)


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_a_visitor_is_asked_to_sign_in(page, acme):
    answer = browser_of().get(f"/p/acme{page}")

    assert answer["Location"] == f"/sign-in?next=/p/acme{page}"


def test_an_operator_who_is_no_member_finds_nothing(olga, acme):
    assert browser_of(olga).get("/p/acme/members").status_code == 404


@pytest.mark.parametrize(
    ("who", "page", "words"),
    [
        ("vera", "/p/acme/agents", "You cannot have agent tokens"),
        ("bob", "/p/acme/activity", "You cannot see the activity"),
        ("adam", "/p/acme/settings/archive", "You cannot archive this project"),
    ],
)
def test_a_member_without_the_right_reads_who_has_it(who, page, words, request, acme):
    answer = browser_of(request.getfixturevalue(who)).get(page)

    assert answer.status_code == 403
    assert words in text_of(answer)
    assert "Alice" in text_of(answer)


def test_a_refusal_in_a_dialog_is_a_toast(bob, acme, adam):
    path = f"/p/acme/members/{membership_of(adam, acme)}/remove"

    answer = browser_of(bob).get(path, headers=HTMX)

    assert (answer.status_code, text_of(answer)) == (403, "")
    assert "In this project only owners and admins may do this." in answer["HX-Trigger"]


# --- what stands around a page


def test_the_bar_holds_what_the_role_may_open(alice, vera, acme):
    owners, viewers = (text_of(browser_of(who).get("/p/acme/members")) for who in (alice, vera))

    for part in ("activity", "agents", "members", "settings"):
        assert f'href="/p/acme/{part}"' in owners
    assert 'href="/p/acme/members" aria-current="page"' in owners
    assert 'href="/p/acme/agents"' not in viewers and 'href="/p/acme/activity"' not in viewers


def test_the_bar_counts_connections_that_need_somebody(alice, acme, acmes_todoist):
    acmes_todoist.enter("reauth_required", at=timezone.now())
    client = browser_of(alice)

    page = client.get("/p/acme/members")

    sections = {item["label"]: item["count"] for item in page.context["nav"]}
    assert sections.get("Integrations", 1) == 1
    assert [item["attention"] for item in page.context["projects"]] == [1]


def test_the_switcher_shows_ones_own_projects_and_not_archived_ones(alice, acme, elsewhere):
    for name in ("Zebra", "Attic"):
        people.create_project(name, alice, actor=actor_for(alice))
    people.archive(
        Project.objects.get(slug="attic"), actor=actor_for(alice, Project.objects.get(slug="attic"))
    )

    page = browser_of(alice).get("/p/acme/members")

    assert [item["name"] for item in page.context["projects"]] == ["Acme", "Zebra"]


def test_only_operators_find_the_administration_in_their_menu(alice, olga, acme):
    assert "/admin/" in text_of(browser_of(olga).get("/projects"))
    assert "/admin/" not in text_of(browser_of(alice).get("/projects"))


@pytest.mark.parametrize("page", ["/projects", "/p/acme/members", "/p/acme/settings", "/p/acme/agents"])
def test_pages_ask_few_questions_however_many_there_are(page, alice, acme, person, token_of):
    for number in range(12):
        member = person(f"Guest {number}")
        Membership.objects.create(project=acme, user=member, role="member")
        token_of(member, acme, "read")
        people.invite(acme, "viewer", actor=actor_for(alice, acme))
        people.create_project(f"P{number}", alice, actor=actor_for(alice))
    client = browser_of(alice)
    client.get(page)

    with few_queries():
        assert client.get(page).status_code == 200


def test_a_dialog_asks_nothing_for_the_bar_around_it(alice, bob, acme):
    client, path = browser_of(alice), f"/p/acme/members/{membership_of(bob, acme)}/remove"
    client.get("/p/acme/members")

    with few_queries(4) as asked:  # session, person, membership of the project, the row
        client.get(path, headers=HTMX)

    assert not any("attention" in query["sql"] for query in asked)


def test_the_address_of_a_form_says_in_words_that_it_is_one(alice, acme):
    answer = browser_of(alice).get("/p/acme/members/invitations")

    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Open the page again and send it once more." in text_of(answer)


def test_passwords_are_in_no_page(alice, acme):
    for page in ("/account", "/account/password", "/p/acme/members"):
        assert password_of(alice) not in text_of(browser_of(alice).get(page))


# --- when Navi itself cannot


def test_a_house_without_its_pepper_says_so(adam, acme, monkeypatch, tmp_path):
    from navi.keyring import KeyFiles

    monkeypatch.setattr(settings, "NAVI_KEYS", KeyFiles(tmp_path / "nothing"))

    answer = browser_of().get("/invitations/navi_inv_" + "0" * 61)
    asked = browser_of(adam).post("/p/acme/members/invitations", {"email": "", "role": "member"})

    assert answer.status_code == 404  # a wrong form never gets that far
    assert asked.status_code == 422
    assert "its pepper file is missing" in text_of(asked)


def test_an_error_of_ours_says_its_number_and_no_more(alice, acme, monkeypatch):
    from navi.hub.views import members

    def broken(*_):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(members, "memberships_of", broken)

    answer = browser_of(alice, raise_request_exception=False).get("/p/acme/members")

    assert answer.status_code == 500
    assert "a secret detail" not in text_of(answer)
    assert answer["X-Request-Id"] in text_of(answer)


def test_a_database_that_is_away_is_503(alice, acme, monkeypatch):
    from django.db import OperationalError

    from navi.hub.views import members

    def away(*_):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(members, "memberships_of", away)

    answer = browser_of(alice, raise_request_exception=False).get("/p/acme/members")

    assert answer.status_code == 503
    assert "server closed" not in text_of(answer)
