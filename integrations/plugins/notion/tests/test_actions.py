"""What agents read and write in Notion."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.notion.blocks import LONGEST, blocks_of
from integrations.plugins.notion.plugin import plugin
from integrations.plugins.notion.shapes import plain
from integrations.sdk import Client, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at
from tests.standins.notion import SECRET, NotionStandin
from tests.standins.notion_data import DATABASE, PLANS, TASKS, id_for, row

OIL, PAINT = id_for("oil"), id_for("paint")


@pytest.fixture(scope="module")
def running() -> Iterator[NotionStandin]:
    with NotionStandin() as standin:
        yield standin


@pytest.fixture
def notion(running: NotionStandin) -> NotionStandin:
    running.reset()
    running.add_page(row(OIL, "Oil the hinges", state="Open", due="2026-11-24"))
    running.add_page(row(PAINT, "Paint the door", done=True))
    return running


@pytest.fixture
def team(notion: NotionStandin) -> Client:
    return client_at(plugin, notion, SECRET)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


# --- data sources


def test_from_a_database_to_its_rows(team: Client):
    [source] = run(team, "list_data_sources", database_id=DATABASE)["data_sources"]
    columns = run(team, "get_data_source", data_source_id=source["id"])["columns"]
    rows = run(team, "query_data_source", data_source_id=source["id"])["rows"]

    assert [(one["name"], one["type"], one["choices"]) for one in columns[:3]] == [
        ("Name", "title", []), ("Done", "checkbox", []), ("State", "select", ["Open", "Closed"]),
    ]  # fmt: skip
    assert [one["title"] for one in rows] == ["Oil the hinges", "Paint the door"]


def test_rows_are_filtered_and_their_values_are_plain(team: Client):
    wanted = {"property": "Done", "checkbox": {"equals": False}}

    [found] = run(team, "query_data_source", data_source_id=TASKS, filter=wanted)["rows"]

    assert found["properties"] == {
        "Name": "Oil the hinges", "Done": False, "State": "Open", "Due": "2026-11-24",
    }  # fmt: skip


def test_rows_come_page_by_page(team: Client):
    first = run(team, "query_data_source", data_source_id=TASKS, limit=1)
    second = run(team, "query_data_source", data_source_id=TASKS, limit=1, cursor=first["next_cursor"])

    assert [one["id"] for page in (first, second) for one in page["rows"]] == [OIL, PAINT]
    assert second["next_cursor"] is None


def test_a_filter_by_no_column_is_told():
    with pytest.raises(Refused, match="Size"):
        replay(plugin, "query_data_source", "column_is_unknown")


def test_data_sources_can_be_chosen_from(team: Client):
    assert [(one.id, one.label) for one in plugin.discoveries["data_sources"](team)] == [(TASKS, "Tasks")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "number", "number": 4.5}, 4.5),
        ({"type": "rich_text", "rich_text": [{"plain_text": "a"}, {"plain_text": "b"}]}, "ab"),
        ({"type": "select", "select": None}, None),
        ({"type": "multi_select", "multi_select": [{"name": "a"}, {"name": "b"}]}, ["a", "b"]),
        (
            {"type": "date", "date": {"start": "2026-11-20", "end": "2026-11-21"}},
            {"start": "2026-11-20", "end": "2026-11-21"},
        ),
        ({"type": "date", "date": None}, None),
        ({"type": "people", "people": [{"id": "1", "name": "Alice"}, {"id": "2"}]}, ["Alice", "2"]),
        ({"type": "relation", "relation": [{"id": "1"}]}, ["1"]),
        ({"type": "formula", "formula": {"type": "string", "string": "x"}}, "x"),
        ({"type": "rollup", "rollup": {"type": "array", "array": [{"type": "number", "number": 1}]}}, [1]),
        ({"type": "unique_id", "unique_id": {"prefix": "T", "number": 3}}, {"prefix": "T", "number": 3}),
        ({"type": "something_new"}, None),
    ],
)
def test_values_lose_their_wrapping(value: dict[str, Any], expected: Any):
    assert plain(value) == expected


# --- writing


def test_a_row_gets_a_title_values_and_a_text(team: Client, notion: NotionStandin):
    made = run(
        team, "create_page", title="Fix the bell", data_source_id=TASKS,
        properties={"State": {"select": {"name": "Open"}}}, text="# Why\nIt is silent.",
    )  # fmt: skip

    assert (made["title"], made["data_source"], made["properties"]["State"]) == (
        "Fix the bell",
        TASKS,
        "Open",
    )
    assert [one["type"] for one in notion.blocks[made["id"]]] == ["heading_1", "paragraph"]


def test_a_page_is_made_below_another(team: Client, notion: NotionStandin):
    made = run(team, "create_page", title="Bulbs", parent_page_id=PLANS)

    assert notion.pages[made["id"]]["parent"] == {"type": "page_id", "page_id": PLANS}


@pytest.mark.parametrize("places", [{}, {"parent_page_id": PLANS, "data_source_id": TASKS}])
def test_a_page_has_one_place(team: Client, notion: NotionStandin, places: dict[str, str]):
    with pytest.raises(Refused, match="either"):
        run(team, "create_page", title="Bulbs", **places)

    assert notion.requests == []


def test_a_page_that_may_have_been_made_is_not_made_again(team: Client, notion: NotionStandin):
    notion.lose_next("/v1/pages")
    before = len(notion.pages)

    with pytest.raises(TryLater) as trouble:
        run(team, "create_page", title="Bulbs", parent_page_id=PLANS)

    assert trouble.value.sent
    assert len(notion.pages) == before + 1


def test_values_and_the_title_are_changed(team: Client):
    changed = run(team, "update_page", page_id=OIL, title="Oil", properties={"Done": {"checkbox": True}})

    assert (changed["title"], changed["properties"]["Done"]) == ("Oil", True)
    with pytest.raises(Refused, match="properties"):
        run(team, "update_page", page_id=OIL)


def test_text_is_added_at_the_end(team: Client, notion: NotionStandin):
    added = run(team, "append_text", page_id=PLANS, text="## Autumn\n\nPlant bulbs.")

    assert added["blocks"] == [one["id"] for one in notion.blocks[PLANS]]


def test_more_than_notion_takes_at_once_is_refused_before_anything_is_sent(
    team: Client, notion: NotionStandin
):
    with pytest.raises(Refused, match="101 blocks"):
        run(team, "append_text", page_id=PLANS, text="line\n" * 101)
    with pytest.raises(Refused, match="white space"):
        run(team, "append_text", page_id=PLANS, text=" \n ")

    assert notion.requests == []


def test_a_comment_is_answered_in_its_thread(team: Client):
    first = run(team, "comment_on_page", page_id=PLANS, text="Tulips or crocuses?")
    run(team, "comment_on_page", discussion_id=first["discussion_id"], text="Both.")

    found = run(team, "list_comments", page_id=PLANS)["comments"]
    assert [one["text"] for one in found] == ["Tulips or crocuses?", "Both."]
    assert len({one["discussion_id"] for one in found}) == 1


def test_people_are_listed(team: Client):
    assert [(one["name"], one["kind"]) for one in run(team, "list_users")["people"]] == [
        ("Alice", "person"), ("Bob", "person"), ("Navi", "bot"),
    ]  # fmt: skip


# --- text as blocks


def test_lines_of_markdown_become_blocks():
    text = (
        "# One\n## Two\n### Three\nplain\n\n- bullet\n* bullet\n1. number\n- [ ] open\n- [x] done\n> quote\n---\n"
        "```\n# code\n\n```"
    )

    blocks = blocks_of(text)

    assert [one["type"] for one in blocks] == [
        "heading_1", "heading_2", "heading_3", "paragraph", "bulleted_list_item", "bulleted_list_item",
        "numbered_list_item", "to_do", "to_do", "quote", "divider", "code",
    ]  # fmt: skip
    assert [one["to_do"]["checked"] for one in blocks if one["type"] == "to_do"] == [False, True]
    assert blocks[-1]["code"]["rich_text"][0]["text"]["content"] == "# code\n"


def test_a_fence_that_does_not_end_is_code_to_the_end():
    assert [one["type"] for one in blocks_of("a\n```\nb\nc")] == ["paragraph", "code"]


def test_a_long_line_comes_in_pieces():
    [block] = blocks_of("x" * (LONGEST + 1))

    assert [len(one["text"]["content"]) for one in block["paragraph"]["rich_text"]] == [LONGEST, 1]
