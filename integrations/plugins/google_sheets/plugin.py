"""Google Sheets: the values of cells, through API v4 (https://developers.google.com/workspace/sheets/api)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from integrations.sdk import Client, Described, Plugin, TypedDict, path_part

AUTH = "https://www.googleapis.com/auth/spreadsheets"
READ = f"{AUTH}.readonly"
FACTS = "spreadsheetId,properties(title,timeZone),sheets(properties(sheetId,title,gridProperties))"
SHOWN_AS = {"formatted": "FORMATTED_VALUE", "plain": "UNFORMATTED_VALUE", "formula": "FORMULA"}
# The example that Google keeps open to everybody for its own guides.
EXAMPLE = {
    "spreadsheet_id": "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms",
    "range": "Class Data!A1:E5",
}

plugin = Plugin(
    slug="google-sheets",
    provider="google",
    name="Google Sheets",
    description="Spreadsheets: read, append and change the values of cells, make new ones.",
    category="Files",
    base_url="https://sheets.googleapis.com/v4",
    scopes={READ: "See all your spreadsheets"},
    more_scopes={AUTH: "See, change and delete all your spreadsheets"},
    nothing_to_list="Only Google Drive knows which spreadsheets there are; its list_files finds them.",
)

# --- what agents see

Cell = str | int | float | bool


class Values(TypedDict):
    """`rows` end where nothing more is written: empty cells and rows at the end are left out."""

    range: str
    rows: list[list[Cell]]


class Sheet(TypedDict):
    """`rows` and `columns` say how large its grid is, not how much of it is written."""

    id: int
    title: str
    rows: int
    columns: int


class Spreadsheet(TypedDict):
    id: str
    title: str
    time_zone: str
    sheets: list[Sheet]
    url: str


class Written(TypedDict):
    """`range` is where the values went."""

    range: str
    rows: int
    cells: int


def seen_spreadsheet(found: dict[str, Any]) -> Spreadsheet:
    facts = found.get("properties") or {}
    return {
        "id": found["spreadsheetId"],
        "title": facts.get("title", ""),
        "time_zone": facts.get("timeZone", ""),
        "sheets": [seen_sheet(sheet.get("properties") or {}) for sheet in found.get("sheets", [])],
        "url": f"https://docs.google.com/spreadsheets/d/{found['spreadsheetId']}/edit",
    }


def seen_sheet(found: dict[str, Any]) -> Sheet:
    grid = found.get("gridProperties") or {}  # A sheet that is one big chart has none.
    return {
        "id": found.get("sheetId", 0),
        "title": found.get("title", ""),
        "rows": grid.get("rowCount", 0),
        "columns": grid.get("columnCount", 0),
    }


def seen_update(found: dict[str, Any]) -> Written:
    return {
        "range": found.get("updatedRange", ""),
        "rows": found.get("updatedRows", 0),
        "cells": found.get("updatedCells", 0),
    }


# --- what agents say

SpreadsheetId = Annotated[
    str,
    Described(description="The long id in the spreadsheet's address, after /d/", pattern=r"^[A-Za-z0-9_-]+$"),
]
Rows = Annotated[
    list[list[Cell | None]],
    Described(
        description="Row by row; null leaves a cell as it is, an empty text empties it",
        min_length=1,
        max_length=5000,
    ),
]
EnteredAs = Annotated[
    Literal["raw", "typed"],
    Described(
        description=(
            "raw writes exactly this; typed reads it as if a person typed it: =SUM(A1:A9) becomes a formula, "
            "1.5.2026 a day. Never typed with text from others, which may hold formulas"
        )
    ),
]
INPUT = {"raw": "RAW", "typed": "USER_ENTERED"}

# --- reading


@plugin.action(scopes=(READ,), try_with=EXAMPLE)
def read_values(
    sheets: Client,
    spreadsheet_id: SpreadsheetId,
    range: Annotated[
        str,
        Described(
            description=(
                "Which cells, in A1 notation: 'Class Data'!A2:E, A1:C10 on the first sheet, or a sheet's name "
                "for all of it"
            ),
            min_length=1,
        ),
    ],
    shown_as: Annotated[
        Literal["formatted", "plain", "formula"],
        Described(
            description="formatted as people see it (1,234 €), plain for counting (1234), or the formula"
        ),
    ] = "formatted",
) -> Values:
    """Read cells of a spreadsheet, row by row, and the range they were read from.

    Use list_files of Google Drive with `kind: "spreadsheet"` to find the id. Rows can be of different
    length, because empty cells at their end are left out; in between, an empty cell is "".
    """
    wanted = {"valueRenderOption": SHOWN_AS[shown_as], "dateTimeRenderOption": "FORMATTED_STRING"}
    path = f"/spreadsheets/{spreadsheet_id}/values/{path_part(range)}"
    found = sheets.get(path, params=wanted).json()
    # The key is absent where all of the range is empty.
    return {"range": found["range"], "rows": found.get("values", [])}


@plugin.action(scopes=(READ,))
def list_sheets(sheets: Client, spreadsheet_id: SpreadsheetId) -> Spreadsheet:
    """Tell a spreadsheet's title and its sheets: the names that ranges begin with, and how large they are."""
    return seen_spreadsheet(sheets.get(f"/spreadsheets/{spreadsheet_id}", params={"fields": FACTS}).json())


# --- writing


@plugin.action(writes=True, scopes=(AUTH,))
def append_rows(
    sheets: Client,
    spreadsheet_id: SpreadsheetId,
    range: Annotated[
        str,
        Described(
            description="Where the table is: a sheet's name, or a range of it; rows go below its last one",
            min_length=1,
        ),
    ],
    rows: Rows,
    entered_as: EnteredAs = "raw",
) -> Written:
    """Add rows below a table, and say where they went. Nothing that is written already is changed.

    Doing it again adds them again: where the outcome is unknown, read the end of the table first.
    """
    asked = {"valueInputOption": INPUT[entered_as], "insertDataOption": "INSERT_ROWS"}
    path = f"/spreadsheets/{spreadsheet_id}/values/{path_part(range)}:append"
    found = sheets.post(path, params=asked, json={"majorDimension": "ROWS", "values": rows}).json()
    return seen_update(found.get("updates", {}))


@plugin.action(writes=True, scopes=(AUTH,))
def update_values(
    sheets: Client,
    spreadsheet_id: SpreadsheetId,
    range: Annotated[
        str,
        Described(description="Which cells, in A1 notation: 'Class Data'!A2:C3", min_length=1),
    ],
    rows: Rows,
    entered_as: EnteredAs = "raw",
) -> Written:
    """Write values over cells of a spreadsheet, from the range's upper left corner on.

    What was there before is gone; read_values tells it beforehand. Doing it again changes nothing more.
    """
    path = f"/spreadsheets/{spreadsheet_id}/values/{path_part(range)}"
    body = {"majorDimension": "ROWS", "values": rows}
    return seen_update(sheets.put(path, params={"valueInputOption": INPUT[entered_as]}, json=body).json())


@plugin.action(writes=True, scopes=(AUTH,))
def create_spreadsheet(
    sheets: Client,
    title: Annotated[str, Described(description="What it is called in Drive", min_length=1, max_length=255)],
    sheet_titles: Annotated[
        list[str], Described(description="The names of its sheets; left out: one, as usual", max_length=50)
    ] = [],  # noqa: B006 - pydantic copies it
) -> Spreadsheet:
    """Make a new, empty spreadsheet in My Drive and return its id, sheets and link.

    Fill it with append_rows. Doing it again makes another one of the same name.
    """
    body: dict[str, Any] = {"properties": {"title": title}}
    if sheet_titles:
        body["sheets"] = [{"properties": {"title": name}} for name in sheet_titles]
    return seen_spreadsheet(sheets.post("/spreadsheets", params={"fields": FACTS}, json=body).json())
