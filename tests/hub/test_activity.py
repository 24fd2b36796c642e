import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from navi.audit.actor import SYSTEM, Actor
from navi.audit.events import EVENTS
from navi.audit.models import AuditEvent
from navi.audit.record import record
from navi.hub import sentences, timeline
from navi.projects import people, tokens
from navi.projects.models import Membership
from navi.projects.rights import actor_for
from tests.hub.browsers import HTMX, browser_of, few_queries, text_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADA = Actor("agent", "AdaAdaAdaAda", "Ada", ip="192.0.2.14")


@pytest.fixture
def noon():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def told(acme, noon):
    """Three things, on two days."""
    noon.move_to(NOON - timedelta(days=1))
    record("connection.connected", actor=SYSTEM, project=acme, provider="linear")
    noon.move_to(NOON - timedelta(hours=1))
    record(
        "action.run", actor=ADA, project=acme, provider="todoist", plugin="todoist", action="create_task",
        duration_ms=212, detail={"arguments": {"name": "=Write <b>notes</b>"}},
    )  # fmt: skip
    record(
        "proxy.called", actor=ADA, project=acme, provider="todoist", plugin="todoist", outcome="refused",
        code="blocked", detail={"method": "DELETE", "path": "/tasks/1"},
    )  # fmt: skip
    noon.move_to(NOON)


def rows_of(answer):
    return [event for day in answer.context["days"] for event in day["events"]]


def get(person, **query):
    return browser_of(person).get("/p/acme/activity", query)


# --- the page


def test_the_timeline_tells_who_did_what_by_day(adam, told):
    answer = get(adam)

    assert [day["label"] for day in answer.context["days"]] == ["Today", "Yesterday"]
    said = [(row["actor"]["name"], row["text"], row["what"], row["outcome"]) for row in rows_of(answer)]
    assert sorted(said) == [
        ("Ada", "called", "todoist.create_task", "Done"),
        ("Ada", "called Todoist through the proxy", "DELETE /tasks/1", "Refused"),
        ("Navi", "connected Linear", "", "Done"),
    ]
    assert "212 ms" in text_of(answer) and "192.0.2.14" in text_of(answer)


def test_what_a_row_holds_opens_in_place_and_is_text(adam, told):
    text = text_of(get(adam))

    assert "<details" in text and "&lt;b&gt;notes&lt;/b&gt;" in text
    assert "<b>notes</b>" not in text


def test_a_row_leads_to_the_integration_it_is_about(adam, told):
    assert 'href="/p/acme/integrations/todoist"' in text_of(get(adam))


def test_nothing_of_other_projects_is_told(charlie, adam, acme, elsewhere, token_of):
    token_of(charlie, elsewhere, name="Elsewheres agent")

    assert "Elsewheres agent" not in text_of(get(adam))


@pytest.mark.parametrize("who", ["bob", "vera"])
@pytest.mark.parametrize("page", ["", "/export.csv", "/export.jsonl"])
def test_members_and_viewers_read_no_audit(who, page, request, acme):
    assert browser_of(request.getfixturevalue(who)).get(f"/p/acme/activity{page}").status_code == 403


def test_the_empty_page_says_what_will_stand_there(charlie, elsewhere):
    answer = browser_of(charlie).get("/p/elsewhere/activity")

    assert "Nothing has happened yet" in text_of(answer)


def test_people_are_called_by_name(alice, bob, acme):
    people.change_role(Membership.objects.get(user=bob), "viewer", actor=actor_for(alice, acme))

    assert "made Bob a viewer; was a member" in text_of(get(alice))


def test_the_secret_of_a_token_is_never_told(alice, acme, adas_token):
    answer = text_of(get(alice))

    assert "created the token Ada" in answer
    assert adas_token not in answer


# --- filters


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"event": "action"}, {"called"}),
        ({"event": "connection.connected"}, {"connected Linear"}),
        ({"outcome": "refused"}, {"called Todoist through the proxy"}),
        ({"provider": "linear"}, {"connected Linear"}),
        ({"actor": "ada"}, {"called", "called Todoist through the proxy"}),
        ({"actor": "AdaAdaAdaAda"}, {"called", "called Todoist through the proxy"}),
        ({"q": "create_task"}, {"called"}),
        ({"since": "2026-11-21"}, {"called", "called Todoist through the proxy"}),
        ({"until": "2026-11-20"}, {"connected Linear"}),
        ({"since": "2026-11-20", "until": "2026-11-20"}, {"connected Linear"}),
        ({"until": "9999-12-31", "q": "Linear"}, {"connected Linear"}),
    ],
)
def test_filters_narrow_the_list(query, found, adam, told):
    assert {row["text"] for row in rows_of(get(adam, **query))} == found


def test_filters_stay_in_the_form_and_in_the_addresses_of_the_exports(adam, told):
    answer = get(adam, event="action", q="task")

    assert '<option value="action" selected>' in text_of(answer)
    assert answer.context["export"]["csv_url"] == "/p/acme/activity/export.csv?q=task&event=action"


def test_filters_that_fit_nothing_say_so(adam, told):
    assert "Nothing fits these filters" in text_of(get(adam, q="zebra"))


def test_by_htmx_only_the_rows_come(adam, told):
    answer = browser_of(adam).get("/p/acme/activity?q=task", headers=HTMX)

    assert "<html" not in text_of(answer) and "todoist.create_task" in text_of(answer)


@pytest.mark.parametrize(
    "query",
    [{"since": "yesterday"}, {"until": "2026-13-40"}, {"after": "nonsense"}, {"after": "é"}, {"day": "x"}],
)
def test_a_place_or_date_that_is_none_gets_words_and_no_error(query, adam, told):
    answer = browser_of(adam).get("/p/acme/activity", query, headers=HTMX)

    assert answer.status_code == 400
    assert "toast" in answer["HX-Trigger"]


@pytest.mark.parametrize(
    "odd", ["\x00", "%", "_", "'", "x" * 9000, "\ud800".encode("utf-8", "replace").decode()]
)
def test_odd_words_find_nothing_and_break_nothing(odd, adam, told):
    answer = get(adam, q=odd, actor=odd)

    assert answer.status_code == 200


# --- older ones


def many(project, number):
    for count in range(number):
        record("action.run", actor=ADA, project=project, plugin="todoist", action=f"task_{count}")


def test_older_ones_come_page_by_page_without_gaps_or_doubles(adam, acme, noon):
    many(acme, 60)
    noon.shift(timedelta(days=1))
    many(acme, 60)
    client, address = browser_of(adam), "/p/acme/activity"
    seen: list[str] = []
    days: list[tuple[str, bool]] = []
    while address:
        answer = client.get(address, headers=HTMX if seen else {})
        seen += [row["id"] for row in rows_of(answer)]
        days += [(day["label"], day["continued"]) for day in answer.context["days"]]
        address = answer.context["older_url"]

    assert len(seen) == len(set(seen)) == 120
    assert days == [("Today", False), ("Today", True), ("Yesterday", False), ("Yesterday", True)]


def test_older_ones_keep_the_filters(adam, acme, noon):
    many(acme, 60)

    older = get(adam, event="action").context["older_url"]

    assert "event=action" in older and "after=" in older


def test_without_script_older_ones_are_a_page_with_a_way_back(adam, acme, noon):
    many(acme, 60)
    client = browser_of(adam)

    answer = client.get(client.get("/p/acme/activity").context["older_url"])

    assert "<html" in text_of(answer) and "Back to the newest" in text_of(answer)
    assert [day["continued"] for day in answer.context["days"]] == [False]


def test_the_page_asks_few_questions(adam, acme, told):
    many(acme, 60)
    client = browser_of(adam)
    client.get("/p/acme/activity")

    with few_queries():
        client.get("/p/acme/activity")


# --- to take away


def export(person, kind, **query):
    answer: Any = browser_of(person).get(f"/p/acme/activity/export.{kind}", query)
    return answer, b"".join(answer.streaming_content).decode()


def test_the_csv_holds_what_the_filters_show_and_no_formulas(adam, told):
    answer, text = export(adam, "csv", event="action")

    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["event"], row["action"], row["actor_label"]) for row in rows] == [
        ("action.run", "create_task", "Ada")
    ]
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="acme-activity-2026-11-21.csv"'
    assert "no-store" in answer["Cache-Control"]


def test_json_lines_hold_everything_newest_first(adam, told):
    _, text = export(adam, "jsonl")

    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["event"] for line in lines} == {"action.run", "proxy.called", "connection.connected"}
    assert lines[-1]["event"] == "connection.connected"
    assert {line["project_slug"] for line in lines} == {"acme"}


def test_an_export_is_written_down_with_its_filters(adam, told):
    export(adam, "csv", event="action")

    event = AuditEvent.objects.get(event="audit.exported")
    assert event.detail == {"format": "csv", "filters": {"event": "action"}}
    assert (event.actor_label, event.project_slug) == ("Adam", "acme")


def test_without_its_audit_nothing_is_taken_away(adam, told, monkeypatch):
    from navi.audit.record import AuditUnavailable
    from navi.hub.views import activity

    def unavailable(*_, **__):
        raise AuditUnavailable

    monkeypatch.setattr(activity, "record", unavailable)

    answer = browser_of(adam).get("/p/acme/activity/export.csv")

    assert answer.status_code == 503
    assert not answer.streaming and "nothing is handed out" in text_of(answer)


def test_nothing_of_other_projects_is_taken_away(adam, charlie, elsewhere, told):
    record("action.run", actor=ADA, project=elsewhere, action="elsewhere")

    _, text = export(adam, "jsonl")

    assert "elsewhere" not in text


def test_an_export_never_holds_a_token(alice, acme, adas_token):
    _, text = export(alice, "jsonl")

    assert "token.created" in text and adas_token not in text


# --- words


def test_every_event_has_its_sentence():
    assert set(sentences.DID) == set(EVENTS)
    assert set(sentences.TRIED) <= set(EVENTS)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_sentence_is_told_even_where_nothing_more_is_known(event, acme):
    row = record(event, actor=SYSTEM, project=acme)

    (told,) = timeline.rows([row], acme)

    assert told["text"] and "{" not in told["text"]


def test_what_was_only_tried_is_told_as_that(alice, acme):
    row = record(
        "secret.released", actor=ADA, project=acme, provider="linear", outcome="refused", code="disabled"
    )

    (told,) = timeline.rows([row], acme)

    assert (told["text"], told["state"], told["outcome"]) == (
        "asked for the key of Linear",
        "degraded",
        "Refused",
    )


def test_somebody_who_joined_did_so_themselves(alice, adam, charlie, acme):
    _, code = people.invite(acme, "viewer", actor=actor_for(adam, acme))
    people.accept(code, charlie)

    (told, *_) = timeline.rows(AuditEvent.objects.filter(event="member.joined"), acme)

    assert (told["actor"]["name"], told["text"]) == ("Charlie", "joined as a viewer")


def test_a_token_named_like_a_formula_or_a_brace_stays_text(alice, acme):
    tokens.issue(acme, alice, "{0.__class__}", ["read"], actor=actor_for(alice, acme))

    (told,) = timeline.rows(AuditEvent.objects.filter(event="token.created"), acme)

    assert told["text"] == "created the token {0.__class__}"
