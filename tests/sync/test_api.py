"""Agents read records by a cursor, and run syncs."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from integrations.models import ActionRule, Record, SyncState
from integrations.runtime import reading, records
from integrations.sdk import Item
from navi.audit.models import AuditEvent
from navi.jobs.models import Job

pytestmark = pytest.mark.django_db
THINGS = "/api/records/shelf/things"


@pytest.fixture
def put(acmes_shelf):
    """Store as a sync does."""

    def keep(*items):
        with transaction.atomic():
            return records.keep(acmes_shelf, "shelf", "things", items, at=timezone.now())

    return keep


def all_pages(agent, **query):
    found, cursor = [], ""
    while True:
        page = agent.get(THINGS, **query, **({"cursor": cursor} if cursor else {})).json()
        found += page["records"]
        cursor = page["next"]
        if not page["hasMore"]:
            return found, cursor


def test_records_come_in_the_order_of_their_changes_deletions_included(ada, put, acmes_shelf):
    put(*[Item(name, {"title": name}) for name in "abc"])
    put(Item("a", {"title": "anew"}), Item("b", is_deleted=True))

    answer = ada.get(THINGS)

    body = answer.json()
    assert answer.status_code == 200
    assert [(one["id"], one["deleted"]) for one in body["records"]] == [
        ("c", False),
        ("a", False),
        ("b", True),
    ]
    first = body["records"][0]
    assert first.keys() == {"id", "part", "data", "deleted", "changedAt", "connection"}
    assert (first["data"], first["connection"]) == ({"title": "c"}, str(acmes_shelf.pk))
    assert body["records"][2]["data"] is None
    assert body["hasMore"] is False


def test_with_the_cursor_an_agent_reads_on_and_gets_only_what_changed(ada, put):
    put(*[Item(f"{number:02}", {}) for number in range(25)])
    found, cursor = all_pages(ada, limit=10)
    assert [one["id"] for one in found] == [f"{number:02}" for number in range(25)]
    assert ada.get(THINGS, cursor=cursor).json() == {"records": [], "next": cursor, "hasMore": False}

    put(Item("03", {"title": "changed"}))

    assert [one["id"] for one in ada.get(THINGS, cursor=cursor).json()["records"]] == ["03"]


def test_tombstones_that_share_a_number_are_not_skipped_between_pages(ada, put, acmes_shelf):
    put(*[Item(f"{number:02}", {}) for number in range(25)])
    state = SyncState.objects.get()
    state.epoch = 5
    records.sweep_epoch(state)
    assert Record.objects.values("sequence").distinct().count() == 1

    found, _ = all_pages(ada, limit=4)

    assert sorted(one["id"] for one in found) == [f"{number:02}" for number in range(25)]


def test_since_and_part_narrow_it(ada, put):
    put(Item("old", {}), Item("new", {}))
    Record.objects.filter(external_id="old").update(changed_at=timezone.now() - timedelta(days=2))
    since = (timezone.now() - timedelta(days=1)).isoformat()

    assert [one["id"] for one in ada.get(THINGS, since=since).json()["records"]] == ["new"]
    assert ada.get(THINGS, part="kitchen").json()["records"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"}, {"cursor": "cjE6MTox"}, {"cursor": "\0"}, {"cursor": "é"}, {"limit": "0"},
        {"limit": "501"}, {"limit": "+5"}, {"limit": "٣"}, {"since": "yesterday"}, {"part": "a\0"},
        {"cursor": reading.cursor_of((2**63, reading.START[1]))},
    ],
)  # fmt: skip
def test_what_is_no_cursor_time_or_number_is_bad_input(ada, acmes_shelf, query):
    answer = ada.get(THINGS, **query)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")


def test_an_unknown_kind_is_404(ada, acmes_shelf):
    assert ada.get("/api/records/shelf/dust").status_code == 404
    assert ada.get("/api/records/nothing/things").status_code == 404


def test_another_project_sees_nothing(api, token_of, charlie, elsewhere, put):
    put(Item("a", {}))

    charlies_agent = api(token_of(charlie, elsewhere, "read"))

    assert charlies_agent.get(THINGS).json()["records"] == []


def test_an_answer_of_large_records_is_cut_into_pages(ada, put, monkeypatch):
    monkeypatch.setattr(reading, "LARGEST_PAGE", 100_000)
    put(*[Item(f"{number:02}", {"text": "x" * 20_000}) for number in range(12)])

    first = ada.get(THINGS, limit=500).json()
    found, _ = all_pages(ada, limit=500)

    assert 0 < len(first["records"]) < 12
    assert first["hasMore"] is True
    assert len(found) == 12


def test_a_page_of_records_costs_few_queries(ada, put, django_assert_max_num_queries):
    put(*[Item(f"{number:03}", {}) for number in range(300)])
    ada.get(THINGS)

    with django_assert_max_num_queries(6):
        assert len(ada.get(THINGS, limit=300).json()["records"]) == 300


def test_a_damaged_record_does_not_hide_the_others(ada, put):
    put(Item("a", {}), Item("b", {"title": "b"}))
    damaged: Any = Record.objects.get(external_id="a")
    Record.objects.filter(pk=damaged.pk).update(data=damaged.data.token[:-4] + b"AAAA")

    first, second = ada.get(THINGS).json()["records"]

    assert first["data"].keys() == {"leftOut"}
    assert second["data"] == {"title": "b"}


# --- syncs


def test_an_agent_asks_for_a_run_and_sees_how_it_went(ada, acmes_shelf, shelf, work_off):
    shelf.fill(25)
    Job.objects.all().delete()

    asked = ada.post("/api/sync/shelf", {"kinds": ["things"]})
    work_off()
    (told,) = ada.get("/api/sync/shelf").json()["syncs"]

    assert asked.status_code == 202
    assert (told["phase"], told["seen"], told["recordCount"], told["error"]) == ("idle", 25, 25, None)
    assert "cursor" not in told
    event = AuditEvent.objects.get(event="sync.asked")
    assert (event.actor_label, event.plugin) == ("Ada", "shelf")


def test_everything_is_read_again_when_asked_for(ada, sync_now, shelf, work_off):
    shelf.fill(25)
    sync_now()
    shelf.requests.clear()

    ada.post("/api/sync/shelf", {"full": True})
    work_off()

    (told,) = ada.get("/api/sync/shelf").json()["syncs"]
    assert shelf.pages_asked == 3
    assert (told["full"], told["seen"], told["changed"]) == (True, 25, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [({"kinds": ["dust"]}, 400), ({"kinds": "things"}, 400), ({"part": "attic"}, 404), ({"full": 1}, 400),
     ({"connection": "nobody"}, 404), ({"more": 1}, 400)],
)  # fmt: skip
def test_what_is_not_there_cannot_be_run(ada, acmes_shelf, body, status):
    assert ada.post("/api/sync/shelf", body).status_code == status


def test_without_an_account_there_is_nothing_to_run(ada, acme):
    answer = ada.post("/api/sync/shelf", {})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_connected")


def test_a_token_without_the_scope_runs_nothing(api, token_of, alice, acme, acmes_shelf):
    rita = api(token_of(alice, acme, "read"))

    assert rita.post("/api/sync/shelf", {}).status_code == 403
    assert rita.get("/api/sync/shelf").status_code == 403
    assert rita.get(THINGS).status_code == 200


@pytest.mark.parametrize("effect", ["deny", "ask"])
def test_what_a_rule_keeps_from_an_agent_it_does_not_read_as_records(ada, acme, put, effect):
    put(Item("a", {"title": "a"}))
    ActionRule.objects.create(project=acme, plugin="shelf", effect=effect)

    answer = ada.get(THINGS)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "approval_denied")


def test_records_of_what_is_switched_off_are_not_read(ada, put):
    put(Item("a", {"title": "a"}))
    ada.post("/api/integrations/shelf/disable", {"scope": "project"})

    answer = ada.get(THINGS)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "disabled")
