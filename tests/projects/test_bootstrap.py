import io
import json

import pytest
from django.core.management import CommandError, call_command

from navi.audit.models import AuditEvent
from navi.projects import people, roles, tokens
from navi.projects.management.commands import bootstrap
from navi.projects.models import AgentToken, Project, User
from navi.projects.rights import actor_for

GOOD = "a long walk home"


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv("NAVI_BOOTSTRAP_PASSWORD", GOOD)


def boot(*arguments):
    out = io.StringIO()
    asked = ["--email", "olga@example.org", "--project", "Acme", *arguments]
    call_command("bootstrap", *asked, stdout=out)
    return out.getvalue()


def test_bootstrap_answers_as_the_contract_says(db, settings):
    answer = json.loads(boot("--token", "ci", "--json"))

    olga, acme = User.objects.get(), Project.objects.get()
    assert answer == {
        "project": {"id": str(acme.pk), "slug": "acme"},
        "user": {"id": str(olga.pk), "email": "olga@example.org"},
        "token": answer["token"],
        "apiUrl": f"{settings.BASE_URL}/api",
        "mcpUrl": f"{settings.MCP_URL}/mcp/acme",
    }
    assert (olga.is_superuser, olga.is_staff, acme.role_of(olga)) == (True, True, "owner")
    assert olga.check_password(GOOD)


def test_the_token_works_and_has_every_scope(db):
    _, actor = tokens.authenticate(json.loads(boot("--json"))["token"])

    assert actor.scopes == set(roles.SCOPES)


@pytest.mark.parametrize("scopes", [["read", "run:google"], ["read,run:google"], ["read run:google"]])
def test_the_token_has_less_where_less_is_asked(db, scopes):
    _, actor = tokens.authenticate(json.loads(boot("--scopes", *scopes, "--json"))["token"])

    assert actor.scopes == {"read", "run:google"}


def test_a_second_run_changes_nothing_and_tells_no_token(db):
    first = json.loads(boot("--token", "ci", "--json"))
    remembered = AuditEvent.objects.count()

    second = boot("--token", "ci", "--json")

    assert json.loads(second) == first | {"token": None}
    assert "navi_at_" not in second
    assert (User.objects.count(), Project.objects.count(), AgentToken.objects.count()) == (1, 1, 1)
    assert AuditEvent.objects.count() == remembered


def test_a_second_run_in_words_tells_no_token_either(db):
    assert "navi_at_" in boot("--token", "ci")

    again = boot("--token", "ci")

    assert "navi_at_" not in again
    assert "ci exists already" in again


def test_a_second_run_asks_for_no_password_and_keeps_the_first(db, monkeypatch):
    boot()
    monkeypatch.delenv("NAVI_BOOTSTRAP_PASSWORD")
    monkeypatch.setattr("sys.stdin", None)

    boot()

    assert User.objects.get().check_password(GOOD)


def test_another_name_is_another_token(db):
    first = json.loads(boot("--token", "ci", "--json"))["token"]
    second = json.loads(boot("--token", "laptop", "--json"))["token"]

    assert first != second
    assert AgentToken.objects.count() == 2


def test_a_revoked_token_is_made_anew(db):
    boot("--token", "ci")
    olga, token = User.objects.get(), AgentToken.objects.get()
    tokens.revoke(token, actor_for(olga, token.project))

    assert json.loads(boot("--token", "ci", "--json"))["token"]


def test_the_password_may_come_from_a_file(db, monkeypatch, tmp_path):
    monkeypatch.delenv("NAVI_BOOTSTRAP_PASSWORD")
    monkeypatch.setenv("NAVI_BOOTSTRAP_PASSWORD_FILE", str(tmp_path / "password"))
    (tmp_path / "password").write_text("the long way round\n")

    boot()

    assert User.objects.get().check_password("the long way round")


def test_the_password_may_be_piped_in(db, monkeypatch):
    monkeypatch.delenv("NAVI_BOOTSTRAP_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO("the long way round\n"))

    boot()

    assert User.objects.get().check_password("the long way round")


def test_without_a_password_nothing_is_made(db, monkeypatch):
    monkeypatch.delenv("NAVI_BOOTSTRAP_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    with pytest.raises(CommandError, match="NAVI_BOOTSTRAP_PASSWORD"):
        boot()

    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--scopes", "everything"], "everything"), (["--scopes", "*"], r"\*"), (["--token", " "], "name")],
)
def test_a_refusal_is_one_sentence_and_leaves_nothing(db, arguments, said):
    with pytest.raises(CommandError, match=said):
        boot(*arguments)

    assert not User.objects.exists()
    assert not Project.objects.exists()


def test_a_weak_password_is_refused(db, monkeypatch):
    monkeypatch.setenv("NAVI_BOOTSTRAP_PASSWORD", "short")

    with pytest.raises(CommandError, match="too short"):
        boot()


def test_somebody_who_exists_becomes_operator_and_owner_of_a_project_that_exists(acme, bob, alice):
    out = io.StringIO()

    call_command("bootstrap", "--email", "BOB@example.org", "--project", "acme", "--json", stdout=out)

    bob.refresh_from_db()
    assert (bob.is_superuser, acme.role_of(bob), acme.role_of(alice)) == (True, "owner", "owner")
    assert json.loads(out.getvalue())["project"]["id"] == str(acme.pk)


def test_no_first_operator_link_is_offered_afterwards(db):
    boot()

    assert people.first_operator_link() is None


def test_the_pepper_is_made_where_there_is_none(db, settings, monkeypatch):
    monkeypatch.setattr(bootstrap, "find_spec", lambda name: None)
    (settings.NAVI_KEYS.directory / "pepper").unlink()

    tokens.authenticate(json.loads(boot("--json"))["token"])


def test_the_token_is_not_in_the_audit(db):
    text = json.loads(boot("--json"))["token"]

    assert text[21:] not in repr(list(AuditEvent.objects.values()))
