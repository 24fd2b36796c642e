"""Lists, exports, commands and the admin."""

import csv
import io
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.template.response import TemplateResponse
from django.test import RequestFactory
from django.utils import timezone

from navi.audit.export import FIELDS, csv_rows, json_lines
from navi.audit.models import AuditBatch, AuditCheckpoint, AuditEvent, BadCursor
from navi.audit.record import record
from navi.projects.models import User
from tests.audit.admin_urls import site
from tests.audit.conftest import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(alice, bob, ada, acme, alices_gmail):
    """Four things that happened, an hour apart."""
    globex = SimpleNamespace(pk=alices_gmail.pk, slug="globex")
    happened = [
        record("connection.connected", actor=alice, project=acme, provider="google", connection=alices_gmail),
        record(
            "connection.tested", actor=bob, project=acme, provider="google", outcome="failed", code="busy"
        ),
        record("action.run", actor=ada, project=acme, provider="linear", action="linear.create_issue"),
        record("project.created", actor=bob, project=globex),
    ]
    for hour, event in enumerate(happened):
        AuditEvent.ledger.filter(pk=event.pk).update(at=NOON + timedelta(hours=hour))
    return happened


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {0, 1, 2, 3}),
        ({"event": "", "outcome": "", "provider": "", "actor": "", "text": ""}, {0, 1, 2, 3}),
        ({"event": "connection.tested"}, {1}),
        ({"event": "connection"}, {0, 1}),
        ({"event": "connect"}, set()),
        ({"outcome": "failed"}, {1}),
        ({"provider": "google"}, {0, 1}),
        ({"actor": "bo"}, {1, 3}),
        ({"actor": "ADAADAADAADA"}, {2}),
        ({"since": NOON + timedelta(hours=1)}, {1, 2, 3}),
        ({"until": NOON + timedelta(hours=1)}, {0}),
        ({"text": "alice@EXAMPLE"}, {0}),
        ({"text": "create_issue"}, {2}),
        ({"text": "busy"}, {1}),
        ({"event": "connection", "actor": "Alice", "provider": "google"}, {0}),
    ],
)
def test_a_list_shows_what_was_asked_for(story, wanted, found):
    assert set(AuditEvent.objects.filtered(**wanted)) == {story[place] for place in found}


def test_a_project_sees_only_its_own(story, acme):
    assert set(AuditEvent.objects.in_project(acme.pk).filtered(actor="Bob")) == {story[1]}


def test_pages_go_from_new_to_old_and_leave_nothing_out(alice):
    AuditEvent.objects.bulk_create(
        AuditEvent(event="action.run", at=NOON + timedelta(seconds=n // 3)) for n in range(23)
    )
    pages: list[list[AuditEvent]] = []
    cursor = ""
    while not pages or cursor:
        rows, cursor = AuditEvent.objects.page(cursor, size=5)
        pages.append(rows)
        record("action.run", actor=alice)  # what happens meanwhile moves nothing

    shown = [event.pk for rows in pages for event in rows]
    assert [len(rows) for rows in pages] == [5, 5, 5, 5, 3]
    assert len(set(shown)) == 23
    assert [e.at for rows in pages for e in rows] == sorted(
        (e.at for rows in pages for e in rows), reverse=True
    )


def test_a_full_last_page_has_no_next():
    AuditEvent.objects.bulk_create(AuditEvent(event="action.run") for _ in range(4))

    assert AuditEvent.objects.page(size=4)[1] == ""


@pytest.mark.parametrize(
    "cursor", ["x", "é", "MTIz", "fA==", "MjAyNi0xMS0yMVQxMjowMDowMHx4", "\x00", "a" * 9999]
)
def test_a_cursor_that_is_none_is_refused(cursor):
    with pytest.raises(BadCursor):
        AuditEvent.objects.page(cursor)


def test_an_export_as_json_lines_comes_back_as_it_was(story):
    lines = list(json_lines(AuditEvent.objects.oldest_first()))

    assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
    told = [json.loads(line) for line in lines]
    assert [row["id"] for row in told] == [str(event.pk) for event in story]
    assert tuple(told[0]) == FIELDS
    first = AuditEvent.objects.get(pk=story[0].pk)
    assert AuditEvent(**{**told[0], "at": first.at, "batch": None}).connection_label == first.connection_label
    assert told[0]["at"] == NOON.isoformat()


def test_an_export_as_csv_comes_back_as_it_was_and_holds_no_formula(alice, acme):
    dangerous = ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", 'quoted "x", and\ttab']
    for text in dangerous:
        record("action.run", actor=alice, project=acme, action=text, detail={"n": 1, "text": "ü\n,"})

    rows = list(csv.DictReader(io.StringIO("".join(csv_rows(AuditEvent.objects.oldest_first())), newline="")))

    assert [row["action"].removeprefix("'") for row in rows] == [
        e.action for e in AuditEvent.objects.oldest_first()
    ]
    assert not [
        cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    ]
    assert rows[0]["action"] == "'=1+1"
    assert json.loads(rows[0]["detail"]) == {"n": 1, "text": "ü\n,"}
    assert rows[0]["connection_id"] == ""


def test_an_export_is_made_row_by_row():
    def endless():
        while True:
            yield AuditEvent(event="action.run")

    lines = csv_rows(endless())

    assert next(lines).startswith("id,at,event")
    assert "action.run" in next(lines)


def run(*arguments):
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_audit_verify_says_that_all_is_well(minute):
    minute()

    assert run("audit_verify") == (
        0,
        "Checked 1 batches with 2 events; 0 not yet sealed: nothing is amiss.\n",
    )


def test_audit_verify_ends_with_1_where_something_is_wrong(minute):
    event = minute().events.first()
    AuditEvent.ledger.filter(pk=event.pk).update(outcome="failed")

    code, words = run("audit_verify")
    json_code, report = run("audit_verify", "--json")

    assert (code, json_code) == (1, 1)
    assert f"Event {event.pk} of batch 1 was changed." in words and "1 finding." in words
    told = json.loads(report)
    assert (told["ok"], told["batches"], told["findings"][0]["event"]) == (False, 1, str(event.pk))


def test_audit_export_writes_what_was_asked_for_and_is_remembered(story):
    _, everything = run("audit_export")
    _, acme = run("audit_export", "--format", "csv", "--project", "acme", "--since", "2026-11-21T13:00")

    assert len(everything.splitlines()) == 5  # the export itself is the fifth
    assert [row["event"] for row in csv.DictReader(io.StringIO(acme))] == ["connection.tested", "action.run"]
    exports = AuditEvent.objects.filter(event="audit.exported").oldest_first()
    assert [event.detail.get("project") for event in exports] == [None, "acme"]
    with pytest.raises(CommandError, match="2026-11-01"):
        call_command("audit_export", since="yesterday")


def test_audit_export_takes_a_project_by_id(story, acme):
    assert len(run("audit_export", "--project", str(acme.pk))[1].splitlines()) == 3


def test_audit_prune_deletes_what_is_old(minute):
    minute()

    code, words = run("audit_prune", "--older-than", "1")

    # NOON lies in the past or in the future of whoever runs this; the clock knows.
    is_old = timezone.now() > NOON + timedelta(days=1, minutes=1)
    assert (code, words) == (0, f"Deleted {2 * is_old} events in {1 * is_old} batches.\n")
    with pytest.raises(CommandError, match="1 or more"):
        call_command("audit_prune", older_than=0)


# --- the admin, in the stock templates: the house's own need the whole house

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


@pytest.fixture
def opened(settings):
    """`opened(AuditEvent)`: the page of the list, or of one row, as an operator sees it."""
    settings.ROOT_URLCONF = "tests.audit.admin_urls"
    settings.TEMPLATES = TEMPLATES
    operator = User.objects.create_superuser("olga@example.org")

    def opened(model, pk=None, **query):
        request = RequestFactory().get("/", query)
        request.user = operator
        page = site.get_model_admin(model)
        answer = page.change_view(request, str(pk)) if pk else page.changelist_view(request)
        assert isinstance(answer, TemplateResponse)
        return answer.render().content.decode()

    return opened


def test_an_operator_reads_the_audit_in_the_admin(opened, story):
    page = opened(AuditEvent)

    assert "Account connected" in page and "Ada (Alice)" in page
    assert (
        "Project created"
        not in opened(AuditEvent, event="action.run")
        .partition('id="result_list"')[2]
        .partition("</table>")[0]
    )


def test_an_operator_finds_an_actor_and_a_request(opened, story):
    found = opened(AuditEvent, q="ADAADAADAADA").partition('id="result_list"')[2].partition("</table>")[0]

    assert "Ada (Alice)" in found and "Bob" not in found


def test_the_detail_is_shown_indented_and_harmless(opened, alice):
    event = record("action.run", actor=alice, detail={"title": "<script>", "n": {"m": 1}})

    page = opened(AuditEvent, event.pk)

    assert "&lt;script&gt;" in page and "<script>&quot;" not in page
    assert "&quot;n&quot;: {\n" in page


def test_the_admin_changes_nothing(rf, opened, story, minute):
    minute()
    request = rf.get("/")
    request.user = User.objects.get()

    for model in (AuditEvent, AuditBatch, AuditCheckpoint):
        page = site.get_model_admin(model)
        rights = page.get_model_perms(request)
        assert rights == {"add": False, "change": False, "delete": False, "view": True}
        assert page.get_actions(request) == {}
        assert opened(model)
    assert "delete_selected" not in opened(AuditEvent)


def test_the_list_of_batches_does_not_read_their_leaves(opened, minute, django_assert_num_queries):
    minute()
    batch = site.get_model_admin(AuditBatch).get_queryset(RequestFactory().get("/")).get()

    assert "leaves" in batch.get_deferred_fields()
    assert batch.mac in opened(AuditBatch, batch.pk)
