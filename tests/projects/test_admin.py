import copy

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from navi.audit.models import AuditEvent
from navi.projects import people, tokens
from navi.projects.errors import BadToken
from navi.projects.models import Membership, Project, User

pytestmark = pytest.mark.urls("tests.projects.admin_urls")


@pytest.fixture
def olga(db):
    return User.objects.create_superuser("olga@example.org", "a long walk home", name="Olga")


@pytest.fixture
def admin(client, olga, settings):
    absent = ("axes", "whitenoise")
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith(absent)]
    settings.TEMPLATES = without_hub(settings.TEMPLATES)
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    return client


def without_hub(templates):
    """The admin's pages need nothing of the hub, nor do these tests."""
    templates = copy.deepcopy(templates)
    processors = templates[0]["OPTIONS"]["context_processors"]
    templates[0]["OPTIONS"]["context_processors"] = [name for name in processors if "navi.hub" not in name]
    return templates


def act(admin, model, action, *rows):
    page = reverse(f"admin:projects_{model}_changelist")
    chosen = [str(row.pk) for row in rows]
    return admin.post(page, {"action": action, "_selected_action": chosen}, follow=True)


@pytest.mark.parametrize("model", ["user", "project", "membership", "invitation", "agenttoken"])
def test_lists_and_rows_open_and_show_no_secret(admin, model, ada, acme, as_alice, bobs_membership):
    invitation, code = people.invite(acme, "member", actor=as_alice)
    rows = {"user": bobs_membership.user, "project": acme, "membership": bobs_membership}
    row = (rows | {"invitation": invitation, "agenttoken": ada[0]})[model]

    listed = admin.get(reverse(f"admin:projects_{model}_changelist"), {"q": "a"})
    shown = admin.get(reverse(f"admin:projects_{model}_change", args=[row.pk]))

    assert (listed.status_code, shown.status_code) == (200, 200)
    page = listed.content.decode() + shown.content.decode()
    for secret in (ada[1][21:64], code[22:65], bytes(ada[0].digest).hex(), "digest", "pepper"):
        assert secret not in page


def test_olga_adds_a_person_with_a_password(admin):
    admin.post(
        reverse("admin:projects_user_add"),
        {"email": "Dora@example.org", "name": "Dora", "usable_password": "true"}
        | {"password1": "a long walk home", "password2": "a long walk home"},
    )

    dora = User.objects.get(email="dora@example.org")
    assert dora.check_password("a long walk home")
    assert not dora.is_staff


def test_an_address_in_other_letters_is_the_same_address(admin, bob):
    page = admin.post(
        reverse("admin:projects_user_add"),
        {"email": "BOB@example.org", "name": "Bob", "usable_password": "true"}
        | {"password1": "a long walk home", "password2": "a long walk home"},
    )

    assert "already" in page.content.decode()
    assert User.objects.filter(email__iexact="bob@example.org").count() == 1


def test_olga_changes_bobs_password_and_it_is_remembered(admin, bob):
    admin.post(
        reverse("admin:auth_user_password_change", args=[bob.pk]),
        {"password1": "the long way round", "password2": "the long way round", "usable_password": "true"},
    )

    bob.refresh_from_db()
    assert bob.check_password("the long way round")
    assert AuditEvent.objects.get(event="password.changed").detail == {"user": str(bob.pk)}


def test_olga_disables_bob_and_his_agents_stop(admin, bob, bobs_agent):
    act(admin, "user", "disable", bob)

    with pytest.raises(BadToken):
        tokens.authenticate(bobs_agent[1])
    assert AuditEvent.objects.get(event="user.disabled").actor_label == "Olga"


def test_olga_cannot_disable_herself(admin, olga):
    page = act(admin, "user", "disable", olga)

    olga.refresh_from_db()
    assert olga.is_active
    assert "cannot disable yourself" in page.content.decode()


def test_olga_revokes_adas_token(admin, ada):
    act(admin, "agenttoken", "revoke", ada[0])

    with pytest.raises(BadToken):
        tokens.authenticate(ada[1])
    assert AuditEvent.objects.get(event="token.revoked").actor_kind == "operator"


def test_nobody_adds_edits_or_deletes_a_token_here(admin, ada):
    add = admin.get(reverse("admin:projects_agenttoken_add"))
    delete = admin.post(reverse("admin:projects_agenttoken_delete", args=[ada[0].pk]), {"post": "yes"})
    edit = admin.post(reverse("admin:projects_agenttoken_change", args=[ada[0].pk]), {"name": "Eve"})

    assert [add.status_code, delete.status_code, edit.status_code] == [403, 403, 403]
    tokens.authenticate(ada[1])


def test_the_last_owner_stays_one_here_too(admin, acme, alice):
    membership = Membership.objects.get(project=acme, user=alice)

    page = admin.post(
        reverse("admin:projects_membership_change", args=[membership.pk]), {"role": "viewer"}, follow=True
    )
    admin.post(reverse("admin:projects_membership_delete", args=[membership.pk]), {"post": "yes"})

    assert "needs an owner" in page.content.decode()
    assert acme.role_of(alice) == "owner"


def test_olga_removes_bob_and_his_agents_end(admin, bobs_membership, bobs_agent):
    admin.post(reverse("admin:projects_membership_delete", args=[bobs_membership.pk]), {"post": "yes"})

    with pytest.raises(BadToken):
        tokens.authenticate(bobs_agent[1])
    assert AuditEvent.objects.filter(event="member.removed").count() == 1


def test_olga_adds_charlie_to_acme(admin, acme, charlie):
    added = {"user": str(charlie.pk), "project": str(acme.pk), "role": "viewer"}
    admin.post(reverse("admin:projects_membership_add"), added)

    assert acme.role_of(charlie) == "viewer"


def test_olga_makes_renames_and_archives_a_project(admin, olga):
    admin.post(reverse("admin:projects_project_add"), {"name": "Big Plans"})
    plans = Project.objects.get(slug="big-plans")
    admin.post(reverse("admin:projects_project_change", args=[plans.pk]), {"name": "Small Plans"})
    act(admin, "project", "archive", plans)

    plans.refresh_from_db()
    assert (plans.name, plans.slug, plans.role_of(olga)) == ("Small Plans", "big-plans", "owner")
    assert plans.archived_at is not None


def test_olga_withdraws_an_invitation(admin, acme, as_alice):
    invitation, _ = people.invite(acme, "member", actor=as_alice)

    act(admin, "invitation", "revoke", invitation)

    invitation.refresh_from_db()
    assert invitation.revoked_at is not None


def test_staff_who_may_edit_people_cannot_make_or_touch_operators(admin, olga, client, bob):
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    client.force_login(bob, backend="django.contrib.auth.backends.ModelBackend")

    own = {"email": bob.email, "name": "Bob", "is_active": "on", "is_superuser": "on"}
    client.post(reverse("admin:projects_user_change", args=[bob.pk]), own)
    touched = client.post(
        reverse("admin:auth_user_password_change", args=[olga.pk]),
        {"password1": "the long way round", "password2": "the long way round", "usable_password": "true"},
    )
    act(client, "user", "disable", olga)

    bob.refresh_from_db()
    olga.refresh_from_db()
    assert not bob.is_superuser
    assert touched.status_code == 403
    assert olga.is_active
