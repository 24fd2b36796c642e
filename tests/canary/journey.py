"""Everything that people and agents do with secrets, when all is well and when nothing is."""

from __future__ import annotations

import random
import re
import string
from typing import Any

from django.db import connection
from django.urls import get_resolver
from django.utils import timezone

from credentials.client import start_anew as fresh_way_out
from credentials.models import Connection, Secret, State
from integrations.models import CustomProvider
from navi.jobs.ledger import enqueue
from navi.jobs.work import work_off
from navi.projects.models import AgentToken, Invitation, Membership, Project, User
from tests.authorization.routes import routes
from tests.canary.visitors import MODES, Answer, EchoVendor, Visitor

SENT_AS = {"by-bearer": "bearer", "by-header": "header", "by-query": "query", "by-basic": "basic"}
CODE = re.compile(r"navi_(?:at|inv)_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}")


def canary(kind: str) -> str:
    """Unique, and unlike anything a redacting pattern knows."""
    letters = string.ascii_letters + string.digits
    return f"CANARY0{kind}0" + "".join(random.choices(letters, k=32))


class Journey:
    """One run. `planted` are the secrets, `may_say` the answers that must carry one, by its name."""

    def __init__(self, origin: str, vendor: EchoVendor) -> None:
        self.book: list[Answer] = []
        self.vendor = vendor
        self.planted: dict[str, str] = {}
        self.may_say: dict[str, list[Answer]] = {}
        self.alice = Visitor(origin, self.book)
        self.ada = Visitor(origin, self.book)

    def plant(self, kind: str) -> str:
        self.planted[kind] = canary("".join(filter(str.isalnum, kind)))
        return self.planted[kind]

    def allow(self, kind: str, *answers: Answer) -> None:
        self.may_say.setdefault(kind, []).extend(answers)

    # --- people come in

    def people(self) -> None:
        alice = User.objects.create_superuser("alice@example.org", self.plant("password"), name="Alice")
        acme = Project.objects.create(slug="acme", name="Acme")
        Membership.objects.create(project=acme, user=alice, role="owner")
        wrong = self.alice.post(
            "/sign-in", username="alice@example.org", password=self.plant("wrong password")
        )
        assert wrong.status == 422
        signed_in = self.alice.post(
            "/sign-in", username="alice@example.org", password=self.planted["password"]
        )
        assert signed_in.status == 303, signed_in.text

    def invitation(self) -> None:
        made = self.alice.post("/p/acme/members/invitations", "/p/acme/members", email="", role="member")
        code = self.codes_in(made)[0]
        self.planted["invitation"] = code
        bob = Visitor(self.alice.origin, self.book)
        # The link's own page is open to whoever has the link.
        self.allow("invitation", made)
        shown = bob.get(f"/invitations/{code}")
        assert shown.status == 200
        short = bob.post(f"/invitations/{code}", name="Bob", email="bob@example.org", password="short")
        assert short.status == 422
        joined = bob.post(
            f"/invitations/{code}", name="Bob", email="bob@example.org", password=self.plant("new password")
        )
        assert joined.status == 303, joined.text
        bob.get(f"/invitations/{code}")
        self.allow("invitation", *(answer for answer in self.book if f"/invitations/{code}" in answer.what))
        assert Invitation.objects.get().accepted_at
        changed = bob.post(
            "/account/password", old_password=self.planted["new password"],
            new_password1=self.plant("changed password"), new_password2=self.planted["changed password"],
        )  # fmt: skip
        assert changed.status in {200, 303}, changed.text

    def agent(self) -> None:
        made = self.alice.post(
            "/p/acme/agents/new", name="Ada", expires="90", scopes=list(SCOPES_OF_ADA), providers=[]
        )
        self.ada.token = self.planted["agent token"] = self.codes_in(made)[0]
        self.allow("agent token", made)
        assert AgentToken.objects.count() == 1
        self.ada.call("GET", f"/api/credentials/providers?token={self.ada.token}")
        Visitor(self.ada.origin, self.book, self.ada.token[:-1]).call("GET", "/api/plugins")

    def codes_in(self, answer: Answer) -> list[str]:
        found = CODE.findall(answer.text)
        assert found, f"{answer.what} answered {answer.status}: {answer.text[:3000]}"
        return found

    # --- connecting

    def custom_providers(self) -> None:
        for slug, sent_as in SENT_AS.items():
            body = {"name": slug.replace("-", " "), "baseUrl": self.vendor.url, "sentAs": sent_as}
            body |= (
                {"sentName": "X-Key" if sent_as == "header" else "key"}
                if sent_as in {"header", "query"}
                else {}
            )
            made = self.ada.call("POST", "/api/providers/custom", {**body, "healthPath": "/user"})
            assert made.status == 201, made.text
        CustomProvider.objects.update(is_approved=True)

    def fields(self, slug: str, kind: str) -> dict[str, str]:
        value = self.plant(f"{kind} of {slug}")
        return {"username": "alice", "password": value} if slug == "by-basic" else {"apiKey": value}

    def refused_keys(self) -> None:
        """A key that the vendor says back in each of its ways: nothing is stored."""
        for slug in ("todoist", *SENT_AS):
            fields = self.fields(slug, "refused key")
            for mode in MODES:
                self.vendor.mode = mode
                fresh_way_out()
                answer = self.ada.call("POST", f"/api/credentials/{slug}", {"credentials": fields})
                is_taken = answer.status == 201
                if is_taken:
                    self.ada.call("DELETE", f"/api/credentials/{slug}")
            self.vendor.mode = "401 in JSON"
            page = f"/p/acme/integrations/{slug}/connect"
            assert self.alice.post(page, **fields).status == 422
            self.alice.post(f"{page}/test", page, **fields)
        assert not Connection.objects.exists()

    def foreign_keys(self) -> None:
        """Refused before anybody is asked: the wrong form, a key of another vendor, an unknown field."""
        value = "xoxb-" + self.plant("slack token")
        for fields in ({"apiKey": value}, {"apiKey": [value]}, {value: "x"}, {"apiKey": "a b" + value}):
            self.ada.call("POST", "/api/credentials/todoist", {"credentials": fields})
            self.ada.call("POST", "/api/credentials/todoist", {"credentials": fields, value: 1})
            self.ada.call("POST", "/api/credentials/todoist", {"credentials": value})
        self.ada.send("POST", "/api/credentials/todoist", f'{{"credentials": {{"apiKey": "{value}'.encode(),
                      Content_Type="application/json")  # fmt: skip
        # What the words say back of a field's name is not a secret that anybody has to keep.
        self.planted.pop("slack token")

    def keys(self) -> None:
        self.vendor.mode = "well"
        fresh_way_out()
        for slug in ("todoist", *SENT_AS):
            fields = self.fields(slug, "key")
            saved = self.ada.call("POST", f"/api/credentials/{slug}", {"credentials": fields})
            assert saved.status == 201, saved.text
            again = self.fields(slug, "second key")
            second = {"credentials": again, "label": "Second", "scope": "user"}
            stored = self.ada.call("POST", f"/api/credentials/{slug}", second)
            assert stored.status == (201 if slug == "todoist" else 400), stored.text
            row = Connection.objects.get(provider=slug, user=None)
            page = f"/p/acme/integrations/{slug}/connections/{row.pk}/edit"
            typed = self.fields(slug, "retyped key")
            edited = self.alice.post(page, label="Alice", enabled="on", **typed)
            assert edited.status == 303, edited.text

    def released(self) -> None:
        for slug in ("todoist", *SENT_AS):
            answer = self.ada.call("GET", f"/api/credentials/{slug}/token")
            kind = f"retyped key of {slug}"
            assert self.planted[kind] in answer.text, answer.text
            self.allow(kind, answer)

    # --- using

    def calls(self, slug: str) -> None:
        call = self.ada.call
        for path in ("", "/explain", "/test"):
            call(
                "POST" if path == "/test" else "GET",
                f"/api/credentials/{slug}{path}",
                None if path != "/test" else {},
            )
        call("POST", f"/api/integrations/{slug}/health-check", {})
        call("GET", f"/api/integrations/{slug}/health")
        call("GET", f"/api/integrations/{slug}/status")
        if slug == "todoist":
            call("POST", "/api/actions/todoist.list_projects", {})
            ran = call(
                "POST",
                "/api/actions/todoist.create_task",
                {"content": "Buy milk"},
                Idempotency_Key=self.key(),
            )
            if ran.status == 200:
                call("GET", f"/api/actions/runs/{ran.json()['runId']}")
            call("GET", "/api/plugins/todoist/discover/projects")
        else:
            call("POST", f"/api/actions/{slug}.fetch", {"path": "/user"})
            # What the vendor says back stays out of an action's result …
            call("POST", f"/api/actions/{slug}.fetch", {"path": "/echo"})
        # … while through the proxy an agent reads the vendor's own body: only its head is Navi's to clean.
        proxied = call("GET", f"/api/proxy/{slug}/user?x=1")
        proxied.body = b""
        row = Connection.objects.get(provider=slug, user=None)
        self.alice.post(
            f"/p/acme/integrations/{slug}/connections/{row.pk}/test", f"/p/acme/integrations/{slug}"
        )
        self.alice.post(f"/p/acme/integrations/{slug}/try", f"/p/acme/integrations/{slug}")

    def key(self) -> str:
        return f"k{random.random()}"

    def all_that_goes_wrong(self) -> None:
        for number, mode in enumerate(("well", *MODES)):
            self.vendor.mode = mode
            # All kinds of sending twice each, none in every mode: that would take minutes.
            some = ("by-query", "by-basic") if number % 2 else ("by-bearer", "by-header")
            for slug in ("todoist", *some):
                self.on_its_feet()
                self.calls(slug)
            self.look_around()
        self.vendor.mode = "well"

    def on_its_feet(self) -> None:
        """As before the last trouble, so that the vendor is asked again."""
        fresh_way_out()
        Connection.objects.update(state=State.ACTIVE, state_reason="")

    def silence(self) -> None:
        self.on_its_feet()
        self.vendor.delay(1.5)
        for slug in ("todoist", "by-query"):
            self.calls(slug)
        self.vendor.delay(0)

    def jobs(self) -> None:
        """What the worker does by itself, with the tables of django-q2."""
        for mode in ("well", "401 in JSON", "500 in HTML"):
            self.vendor.mode = mode
            self.on_its_feet()
            for row in Connection.objects.all():
                enqueue("health", str(row.pk))
            work_off(started=__import__("time").monotonic())
        self.vendor.mode = "well"

    def no_audit(self) -> None:
        """The audit takes nothing: no secret leaves."""
        self.on_its_feet()
        without_audit(True)
        try:
            for slug in ("todoist", *SENT_AS):
                answer = self.ada.call("GET", f"/api/credentials/{slug}/token")
                assert (answer.status, answer.json()["error"]["code"]) == (503, "audit_unavailable")
                self.calls(slug)
                self.ada.call(
                    "POST", f"/api/credentials/{slug}", {"credentials": self.fields(slug, "unaudited key")}
                )
        finally:
            without_audit(False)

    def damage(self) -> None:
        """One byte of a sealed value turned over."""
        for secret in Secret.objects.all():
            token = bytearray(secret.fields.token or b"")
            token[len(token) // 2] ^= 1
            with connection.cursor() as cursor:
                key = Secret._meta.pk.get_db_prep_value(secret.pk, connection)
                cursor.execute("UPDATE credentials_secret SET fields = %s WHERE id = %s", [bytes(token), key])
        for slug in ("todoist", *SENT_AS):
            answer = self.ada.call("GET", f"/api/credentials/{slug}/token")
            assert (answer.status, answer.json()["error"]["code"]) == (503, "credential_unreadable")
            self.calls(slug)
        self.look_around()

    # --- looking

    def look_around(self) -> None:
        for path in (
            "/api/credentials/providers", "/api/integrations/status", "/api/audit", "/api/providers/custom",
            "/p/acme/integrations", "/p/acme/activity", "/p/acme/agents", "/p/acme/members",
            "/p/acme/activity/export.csv", "/p/acme/activity/export.jsonl",
        ):  # fmt: skip
            self.ada.get(path) if path.startswith("/api/") else self.alice.get(path)
        for slug in ("todoist", "by-basic"):
            self.alice.get(f"/p/acme/integrations/{slug}")

    def every_page(self) -> None:
        """All pages of people and operators, each with the objects that are there."""
        rows = Connection.objects.filter(user=None)
        for route in routes(get_resolver().url_patterns):
            if not route.needed("GET") or route.path.startswith(
                ("api/", "invitations/", "set-up/", "sign-out")
            ):
                continue
            if route.path.startswith("admin/"):
                self.admin_page(route)
                continue
            for row in rows:
                values = {"project": "acme", "provider": row.provider, "pk": row.pk, "slug": row.provider}
                if set(route.arguments) <= set(values):
                    self.alice.get(route.address({key: str(value) for key, value in values.items()}))
                if not route.arguments:
                    break

    def admin_page(self, route: Any) -> None:
        if "logout" in route.path:
            return
        parts = route.path.split("/")
        for pk in primary_keys(*parts[1:3]) if "object_id" in route.arguments else [""]:
            values = {"object_id": pk, "app_label": "credentials"}
            self.alice.get(route.address(dict.fromkeys(route.arguments, "1") | values))

    def over(self) -> None:
        revoked = AgentToken.objects.get()
        self.alice.post(f"/p/acme/agents/{revoked.pk}/rotate", overlap="0")
        self.allow_rotated()
        self.alice.post(f"/p/acme/agents/{revoked.pk}/revoke")
        self.ada.call("GET", "/api/plugins")
        AgentToken.objects.update(expires_at=timezone.now())
        self.alice.post("/sign-out", "/account")

    def allow_rotated(self) -> None:
        found = CODE.findall(self.book[-1].text)
        if found:
            self.planted["rotated token"] = found[0]
            self.allow("rotated token", self.book[-1])


SCOPES_OF_ADA = (
    "read", "run", "write", "destructive", "proxy", "secret", "connect", "credentials", "manage", "audit", "global",
)  # fmt: skip


def primary_keys(app: str, model: str) -> list[str]:
    from django.apps import apps

    try:
        rows = apps.get_model(app, model)._default_manager.all()
    except LookupError:
        return []
    return [str(pk) for pk in rows.values_list("pk", flat=True)[:3]]


def without_audit(off: bool) -> None:
    """Make the database refuse every new event, or take them again."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "CREATE TRIGGER no_audit BEFORE INSERT ON audit_auditevent BEGIN SELECT RAISE(ABORT, 'no room'); END"
                if off
                else "DROP TRIGGER no_audit"
            )
            return
        cursor.execute(
            "CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$"
            if off
            else "DROP FUNCTION no_audit() CASCADE"
        )
        if off:
            cursor.execute(
                "CREATE TRIGGER no_audit BEFORE INSERT ON audit_auditevent FOR EACH ROW EXECUTE FUNCTION no_audit()"
            )
