"""Google Sheets: the values of cells, through API v4 (https://developers.google.com/workspace/sheets/api)."""

from __future__ import annotations

from typing import Annotated, Literal

from integrations.sdk import Client, Described, Plugin, TypedDict, path_part

AUTH = "https://www.googleapis.com/auth/spreadsheets"
READ = f"{AUTH}.readonly"
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
    description="Spreadsheets: read the values of cells.",
    category="Files",
    base_url="https://sheets.googleapis.com/v4",
    scopes={READ: "See all your spreadsheets"},
    more_scopes={AUTH: "See, change and delete all your spreadsheets"},
)

# --- what agents see

Cell = str | int | float | bool


class Values(TypedDict):
    """`rows` end where nothing more is written: empty cells and rows at the end are left out."""

    range: str
    rows: list[list[Cell]]


# --- actions


@plugin.action(scopes=(READ,), try_with=EXAMPLE)
def read_values(
    sheets: Client,
    spreadsheet_id: Annotated[
        str,
        Described(
            description="The long id in the spreadsheet's address, after /d/", pattern=r"^[A-Za-z0-9_-]+$"
        ),
    ],
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
