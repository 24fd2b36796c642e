"""What is odd about Google Sheets."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_sheets.plugin import plugin
from integrations.sdk import Client, InvalidArguments, Refused
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
    its = plugin.actions["read_values"]
    return its.run(client, its.validate({"spreadsheet_id": BUDGET, **arguments}), request_key=REQUEST_KEY)


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
