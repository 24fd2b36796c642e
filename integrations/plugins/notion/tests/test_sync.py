"""Pages come home: the rows of chosen data sources, or all that was shared."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.plugins.notion import sync
from integrations.plugins.notion.plugin import plugin
from integrations.sdk import Client, Page, Place, StartOver
from integrations.sdk.testing import pull
from tests.plugins.clients import client_at
from tests.standins.notion import SECRET, NotionStandin
from tests.standins.notion_data import PLANS, RECIPES, TASKS, id_for, row

ROWS = [id_for(f"row {number}") for number in range(5)]


@pytest.fixture(scope="module")
def running() -> Iterator[NotionStandin]:
    with NotionStandin() as standin:
        yield standin


@pytest.fixture
def notion(running: NotionStandin) -> NotionStandin:
    running.reset()
    for number, id in enumerate(ROWS):
        running.add_page(row(id, f"Row {number}"))
    return running


@pytest.fixture
def team(notion: NotionStandin) -> Client:
    return client_at(plugin, notion, SECRET)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "MOST", 2)


def whole(client: Client, part: str, cursor: Mapping[str, Any] | None = None) -> tuple[set[str], Page]:
    found: set[str] = set()
    for _ in range(50):
        page = sync.pull_pages(client, Place(cursor, part))
        found |= {item.id for item in page.items}
        cursor = page.cursor
        if not page.more:
            return found, page
    raise AssertionError("It does not end.")


def test_data_sources_are_its_parts_and_without_any_it_is_everything():
    assert plugin.syncs["pages"].parts_of({"data_sources": [TASKS]}) == (TASKS,)
    assert plugin.syncs["pages"].parts_of({}) == ("",)


def test_a_page_of_rows():
    page = pull(plugin, "pages", cursor={"since": "2026-11-20T09:30:00.000Z"}, part=TASKS)

    assert {item.data["data_source"] for item in page.items} == {TASKS}
    assert page.cursor == {"since": page.items[-1].data["last_edited_at"]}


def test_a_page_of_everything():
    page = pull(plugin, "pages", "all_pages")

    assert page.cursor == {"since": page.items[0].data["last_edited_at"]}


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("part", "expected"), [(TASKS, {*ROWS}), ("", {*ROWS, PLANS, RECIPES})])
def test_all_pages_of_one_minute_are_read(team: Client, part: str, expected: set[str]):
    assert whole(team, part)[0] == expected


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("part", [TASKS, ""])
def test_the_next_run_reads_what_was_edited(team: Client, notion: NotionStandin, part: str):
    for id in ROWS:
        notion.edit(id, "A row")
    _, last = whole(team, part)
    notion.edit(ROWS[1], "Another name")

    changed, end = whole(team, part, last.cursor)

    # The last minute is read again: Notion tells no seconds.
    assert changed == {ROWS[1], ROWS[4]}
    assert whole(team, part, end.cursor)[0] == {ROWS[1]}


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("part", [TASKS, ""])
def test_what_is_edited_between_two_pages_pushes_nothing_out(team: Client, notion: NotionStandin, part: str):
    for id in ROWS:
        notion.edit(id, "A row")
    first = sync.pull_pages(team, Place(None, part))
    notion.edit(ROWS[0], "Edited meanwhile")

    rest, end = whole(team, part, first.cursor)
    later, _ = whole(team, part, end.cursor)

    assert {item.id for item in first.items} | rest | later >= {*ROWS}
    assert ROWS[0] in rest | later


@pytest.mark.usefixtures("small_pages")
def test_a_first_pass_of_everything_meets_what_is_edited_between_two_pages(
    team: Client, notion: NotionStandin
):
    for id in ROWS:
        notion.edit(id, "A row")
    first = sync.pull_pages(team, Place(None, ""))
    notion.edit(ROWS[0], "Edited meanwhile")

    rest, _ = whole(team, "", first.cursor)

    # What a first pass does not meet counts as deleted.
    assert {item.id for item in first.items} | rest >= {*ROWS}


def test_a_page_in_the_trash_is_gone(team: Client, notion: NotionStandin):
    found = {**notion.pages[PLANS], "in_trash": True}

    assert sync.item_of(found).is_deleted


@pytest.mark.parametrize("part", [TASKS, ""])
def test_a_cursor_that_ended_begins_anew(team: Client, part: str):
    with pytest.raises(StartOver):
        sync.pull_pages(team, Place({"since": "2026-11-20T09:30:00.000Z", "next": "an-old-cursor"}, part))
