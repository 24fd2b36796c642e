import json
import uuid
from types import SimpleNamespace

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import Http404, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from navi.audit.actor import SYSTEM, Actor
from navi.audit.detail import LIMIT
from navi.audit.events import EVENTS
from navi.audit.middleware import RequestIdMiddleware, current_request_id
from navi.audit.models import AppendOnly, AuditEvent
from navi.audit.problems import CODES, Problem
from navi.audit.record import AuditUnavailable, record, recorded
from navi.audit.redact import HIDDEN, redact, remember
from navi.net.errors import TryLater

pytestmark = pytest.mark.django_db


def disk_full():
    """The audit's table takes nothing any more."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            refuse = "SELECT RAISE(ABORT, 'disk full');"
            cursor.execute(f"CREATE TRIGGER full_disk BEFORE INSERT ON audit_auditevent BEGIN {refuse} END")
        else:
            refuse = "BEGIN RAISE EXCEPTION 'disk full'; END"
            cursor.execute(
                f"CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ {refuse} $$;"
                "CREATE TRIGGER full_disk BEFORE INSERT ON audit_auditevent EXECUTE FUNCTION disk_full()"
            )


def test_what_ada_did_is_remembered_with_who_where_and_what(ada, acme, alices_gmail):
    record(
        "secret.released",
        actor=ada,
        project=acme,
        provider="google",
        plugin="gmail",
        action="gmail.send_message",
        connection=alices_gmail,
        duration_ms=12,
        detail={"purpose": "mail"},
    )

    event = AuditEvent.objects.get()
    assert (event.event, event.outcome, event.code) == ("secret.released", "ok", "")
    assert (event.actor_kind, event.actor_id, event.actor_label) == ("agent", "ADAADAADAADA", "Ada (Alice)")
    assert (event.project_id, event.project_slug) == (acme.pk, "acme")
    assert (event.provider, event.plugin, event.action) == ("google", "gmail", "gmail.send_message")
    assert (event.connection_id, event.connection_label) == (alices_gmail.pk, "alice@example.org")
    assert (event.ip, event.duration_ms, event.detail) == ("2001:db8::7", 12, {"purpose": "mail"})
    assert event.batch is None


def test_remembering_is_one_insert(ada, acme, alices_gmail):
    with CaptureQueriesContext(connection) as queries:
        record("secret.released", actor=ada, project=acme, connection=alices_gmail)

    assert [query["sql"].split()[0] for query in queries] == ["INSERT"]


def test_an_event_nobody_declared_is_refused(ada):
    with pytest.raises(ValueError, match=r"events\.py"):
        record("secret.stolen", actor=ada)
    with pytest.raises(ValueError), recorded("secret.stolen", actor=ada):
        raise AssertionError("the block must not run")

    assert not AuditEvent.objects.exists()


def test_an_outcome_that_is_none_is_refused(ada):
    with pytest.raises(ValueError):
        record("action.run", actor=ada, outcome="fine")


def test_events_have_words_for_people_and_cannot_be_changed():
    assert all("." in name and name == name.lower() and len(name) <= 60 for name in EVENTS)
    assert all(words[0].isupper() and not words.endswith(".") for words in EVENTS.values())
    with pytest.raises(TypeError):
        EVENTS["x"] = "y"  # type: ignore[index]


def test_when_the_insert_fails_nothing_leaves(ada):
    disk_full()

    with pytest.raises(AuditUnavailable) as raised, transaction.atomic():
        record("secret.released", actor=ada)

    assert raised.value.code == "audit_unavailable"
    assert CODES[raised.value.code].status == 503
    assert "disk full" not in raised.value.message


def test_when_the_insert_fails_the_result_of_the_block_is_withheld(ada):
    disk_full()

    @transaction.atomic
    def door():
        with recorded("proxy.called", actor=ada):
            return "the vendor's answer"

    with pytest.raises(AuditUnavailable):
        door()


def test_a_stopped_database_is_told_as_audit_unavailable(ada):
    def stopped(*args):
        from django.db import OperationalError

        raise OperationalError("server closed the connection")

    with connection.execute_wrapper(stopped), pytest.raises(AuditUnavailable):
        record("secret.released", actor=ada)


def test_a_block_that_ends_well_is_one_event_with_what_was_learned_inside(ada, acme, alices_gmail):
    with recorded("action.run", actor=ada, project=acme, plugin="gmail", detail={"to": 2}) as happening:
        happening.connection = alices_gmail
        happening.provider = "google"
        happening.detail["sent"] = True

    event = AuditEvent.objects.get()
    assert (event.outcome, event.provider, event.connection_label) == ("ok", "google", "alice@example.org")
    assert event.detail == {"to": 2, "sent": True}
    assert event.duration_ms is not None and event.duration_ms < 5000


@pytest.mark.parametrize(
    ("problem", "outcome", "code"),
    [
        (Problem("disabled", "Gmail is switched off here."), "refused", "disabled"),
        (Problem("not_connected", "Nobody connected it."), "refused", "not_connected"),
        (Problem("vendor_refused", "No such list."), "refused", "vendor_refused"),
        (Problem("rate_limited", "Too many."), "failed", "rate_limited"),
        (Problem("sealed", "No keys."), "failed", "sealed"),
        (PermissionDenied(), "refused", ""),
        (Http404(), "refused", ""),
        (KeyError("token"), "failed", ""),
        (SystemExit(3), "failed", ""),
        (KeyboardInterrupt(), "failed", ""),
    ],
)
def test_a_block_that_raises_is_one_event_and_the_problem_goes_on(ada, problem, outcome, code):
    with pytest.raises(type(problem)) as raised, recorded("action.run", actor=ada):
        raise problem

    assert raised.value is problem
    event = AuditEvent.objects.get()
    assert (event.outcome, event.code) == (outcome, code)


def test_a_vendors_failure_keeps_its_code(ada):
    with pytest.raises(TryLater), recorded("action.run", actor=ada):
        raise TryLater("Gmail is slow.", code="vendor_unavailable")

    assert AuditEvent.objects.get().code == "vendor_unavailable"


def test_a_block_may_say_itself_how_it_ended(ada):
    with recorded("health.checked", actor=SYSTEM) as happening:
        happening.outcome, happening.code = "failed", "reauth_required"

    event = AuditEvent.objects.get()
    assert (event.outcome, event.code) == ("failed", "reauth_required")


def test_credentials_in_the_detail_are_masked(ada):
    record(
        "proxy.called", actor=ada, detail={"url": "https://x.example/?token=abcdefgh", "password": "hunter2"}
    )

    assert AuditEvent.objects.get().detail == {
        "url": f"https://x.example/?token={HIDDEN}",
        "password": HIDDEN,
    }


def test_a_long_detail_is_cut_and_says_so(ada):
    record("action.run", actor=ada, detail={"first": 1, "gone": None, "body": "wort " * 4000, "last": "x"})

    detail = AuditEvent.objects.get().detail
    assert len(json.dumps(detail)) <= LIMIT
    assert detail["first"] == 1
    assert detail["gone"] is None
    assert detail["body"].startswith("wort wort") and len(detail["body"]) > LIMIT / 2
    assert "bytes were too many" in detail["cut"]


@pytest.mark.parametrize(
    "detail",
    [
        {f"key {n}": "v" * 50 for n in range(500)},
        {"k" * 9000: "v"},
        {"list": list(range(5000))},
        {"quotes": '"\\\u2028é' * 3000},
        {"deep": json.loads("[" * 200 + "]" * 200)},
    ],
)
def test_no_detail_is_larger_than_4_kib(ada, detail):
    record("action.run", actor=ada, detail=detail)

    assert len(json.dumps(AuditEvent.objects.get().detail)) <= LIMIT


def test_a_secret_at_the_place_of_the_cut_does_not_stay_in_half(ada):
    secret = "Zq8" * 30
    remember([secret])
    text = "word " * 800
    for shift in range(0, 100, 7):
        record("action.run", actor=ada, detail={"body": text + "x" * shift + " " + secret + " end" * 5000})

    assert not [e for e in AuditEvent.objects.all() if "Zq8Zq8" in json.dumps(e.detail)]


@pytest.mark.parametrize(
    "odd", ["nul \x00", "half \ud83d", float("nan"), float("inf"), 10**400, b"\xff", {1}, object]
)
def test_what_a_database_would_not_take_is_written_in_another_way(ada, odd):
    record("action.run", actor=ada, detail={"odd": odd, "nul \x00 key": 1})

    assert AuditEvent.objects.get().detail["odd"]


def test_labels_too_long_or_odd_for_their_column_do_not_stop_the_audit(acme):
    odd = Actor("person", "x" * 99, "Ali\x00ce \ud83d" + "e" * 300, ip="testclient")
    label = SimpleNamespace(pk=uuid.uuid4(), label="ü" * 400)

    record("action.run", actor=odd, project=acme, connection=label, action="a" * 200, code="c" * 99)

    event = AuditEvent.objects.get()
    assert event.actor_label.startswith("Ali\N{REPLACEMENT CHARACTER}ce") and len(event.actor_label) == 160
    assert (len(event.actor_id), len(event.action), len(event.code)) == (40, 80, 40)
    assert event.ip is None


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("", None),
        ("unix:", None),
    ],
)
def test_an_address_is_stored_in_one_spelling(given, stored):
    record("action.run", actor=Actor("person", "a", "Alice", ip=given))

    assert AuditEvent.objects.get().ip == stored


def test_events_can_be_added_and_never_changed(ada):
    event = record("action.run", actor=ada)
    everything = AuditEvent.objects.all()

    event.outcome = "failed"
    with pytest.raises(AppendOnly):
        event.save()
    with pytest.raises(AppendOnly):
        event.delete()
    with pytest.raises(AppendOnly):
        everything.delete()
    with pytest.raises(AppendOnly):
        everything.update(outcome="ok")
    with pytest.raises(AppendOnly):
        AuditEvent.objects.update(outcome="ok")
    with pytest.raises(AppendOnly):
        AuditEvent.objects.bulk_update([event], ["outcome"])
    with pytest.raises(AppendOnly):
        AuditEvent.objects.in_project(uuid.uuid4()).delete()
    AuditEvent.objects.bulk_create([AuditEvent(event="action.run")])

    assert AuditEvent.objects.filter(outcome="ok").count() == 2


def test_every_request_has_an_id_of_ours_and_its_events_carry_it(ada):
    def view(request):
        record("action.run", actor=ada)
        return HttpResponse()

    answer = RequestIdMiddleware(view)(RequestFactory().get("/", headers={"x-request-id": "chosen"}))

    assert answer["X-Request-Id"] == AuditEvent.objects.get().request_id
    assert len(answer["X-Request-Id"]) == 32 and answer["X-Request-Id"] != "chosen"
    assert current_request_id.get() == ""


def test_what_a_request_opened_is_masked_in_it_and_forgotten_after_it():
    seen = []

    def view(request):
        remember(["correct horse battery"])
        seen.append(redact("it was: correct horse battery"))
        return HttpResponse()

    RequestIdMiddleware(view)(RequestFactory().get("/"))

    assert seen == [f"it was: {HIDDEN}"]
    assert redact("it was: correct horse battery") == "it was: correct horse battery"
