"""The stand-in's Drive and Sheets: files with contents and changes, cells that keep what is written."""

import json
import re
import secrets
from email import message_from_bytes
from typing import Any

from tests.standins.google_shape import Answer, Fields, Problem, Query, one_of, shown, unknown, wrong
from tests.standins.server import Response

GOOGLES = "application/vnd.google-apps."
ROOT = "0AAlices-root"
EXPORTS = {
    "document": {"text/plain", "text/markdown", "text/html", "application/pdf"},
    "spreadsheet": {"text/csv", "application/pdf"},
    "presentation": {"text/plain", "application/pdf"},
}
USUAL_FILE = "kind,id,name,mimeType"

# --- Drive


def list_files(mine: Fields, values: Fields, query: Query) -> Fields:
    asked = query.one.get("q", "")
    if "fullText" in asked and "orderBy" in query.one:
        raise Problem(403, "forbidden", "Sorting is not supported for queries with fullText terms.")
    found = [file for file in mine["files"] if all(holds(file, part) for part in parts_of(asked))]
    if query.one.get("orderBy") == "modifiedTime desc":
        found.sort(key=lambda file: str(file["modifiedTime"]), reverse=True)
    page = query.page([shown(file) for file in found], query.number("pageSize", 100), "files")
    whole = {"kind": "drive#fileList", "incompleteSearch": False, **page}
    usual = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
    return dict(masked(whole, mask_of(query.one.get("fields", usual))))


def parts_of(asked: str) -> list[str]:
    """The conditions of a question; what is between quotes or braces stays whole."""
    return re.findall(r"((?:\{[^}]*\}|'(?:[^'\\]|\\.)*'|[^'{])+?)(?: and |$)", asked)


def holds(file: Fields, condition: str) -> bool:
    """A little of Drive's search language; what it does not know is refused, as Drive refuses."""
    if condition in {"trashed = false", "trashed = true"}:
        return bool(file["trashed"]) == (condition == "trashed = true")
    if found := re.fullmatch(r"'((?:[^'\\]|\\.)*)' in parents", condition):
        wanted = "0AAlices-root" if found[1] == "root" else found[1]
        return wanted in file["parents"]
    if found := re.fullmatch(r"appProperties has \{ key='(\w+)' and value='([^']*)' \}", condition):
        return bool(file.get("appProperties", {}).get(found[1]) == found[2])
    found = re.fullmatch(r"(\w+) (=|contains) '((?:[^'\\]|\\.)*)'", condition)
    if found is None or found[1] not in {"name", "fullText", "mimeType"}:
        raise Problem(400, "invalid", "Invalid Value")
    value, text = str(file[{"fullText": "name"}.get(found[1], found[1])]), re.sub(r"\\(.)", r"\1", found[3])
    return value == text if found[2] == "=" else text.lower() in value.lower()


def mask_of(fields: str) -> Fields:
    """`a,b(c,d)` as {"a": {}, "b": {"c": {}, "d": {}}}."""
    whole: Fields = {}
    open_masks, last = [whole], ""
    for piece in re.findall(r"[\w*]+|[(),]", fields):
        if piece == "(":
            open_masks.append(open_masks[-1][last])
        elif piece == ")":
            open_masks.pop()
        elif piece != ",":
            last = piece
            open_masks[-1][piece] = {}
    return whole


def masked(value: Any, mask: Fields) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    return {name: masked(inner, mask[name]) for name, inner in value.items() if name in mask}


def get_file(mine: Fields, values: Fields, query: Query) -> Fields | Response:
    file = file_in(mine, values["fileId"])
    if query.one.get("alt") != "media":
        return dict(masked(shown(file), mask_of(query.one.get("fields", USUAL_FILE))))
    if file["mimeType"].startswith(GOOGLES):
        words = "Only files with binary content can be downloaded. Use Export with Docs Editors files."
        raise Problem(403, "fileNotDownloadable", words)
    return Response(200, file.get("_content", b""), {"Content-Type": file["mimeType"]})


def file_in(mine: Fields, id: str) -> Fields:
    return one_of(mine["files"], id, f"File not found: {id}.")


def export_file(mine: Fields, values: Fields, query: Query) -> Response:
    file, wanted = file_in(mine, values["fileId"]), query.one.get("mimeType", "")
    if wanted not in EXPORTS.get(file["mimeType"].removeprefix(GOOGLES), set()):
        raise Problem(403, "fileNotExportable", "Export only supports Docs Editors files.")
    return Response(200, file.get("_content", b""), {"Content-Type": wanted})


def create_file(mine: Fields, values: Fields, query: Query) -> Fields:
    details, content = uploaded(query) if query.one.get("uploadType") == "multipart" else (query.body, b"")
    for parent in details.get("parents", []):
        file_in(mine, parent)
    id = details.get("id") or f"1{secrets.token_urlsafe(24)}"
    file = {
        "kind": "drive#file",
        "id": id,
        "trashed": False,
        "parents": details.get("parents", [ROOT]),
        "webViewLink": f"https://drive.google.com/file/d/{id}/view",
        "shared": False,
        "owners": [
            {
                "kind": "drive#user",
                "displayName": mine["user"]["name"],
                "emailAddress": mine["primary"],
                "me": True,
            }
        ],
        "name": details.get("name", "Untitled"),
        "mimeType": details.get("mimeType", "application/octet-stream"),
        "_content": content,
        **{name: details[name] for name in ("appProperties",) if name in details},
    }
    if not file["mimeType"].startswith(GOOGLES):
        file["size"] = str(len(content))
    mine["files"].append(file)
    touch(mine, file, query)
    return dict(masked(shown(file), mask_of(query.one.get("fields", USUAL_FILE))))


def uploaded(query: Query) -> tuple[Fields, bytes]:
    """Details and content of a multipart/related body."""
    kind = query.request.headers.get("Content-Type", "")
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + query.request.body)
    parts: Any = whole.get_payload()
    if whole.get_content_type() != "multipart/related" or len(parts) != 2:
        raise wrong("Malformed multipart body.")
    details: Fields = json.loads(parts[0].get_payload(decode=True))
    return details, parts[1].get_payload(decode=True).removesuffix(b"\r\n")


def touch(mine: Fields, file: Fields, query: Query) -> None:
    """Note a change of a file."""
    file["modifiedTime"] = query.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mine["changes"].append(file["id"])


def first_token(mine: Fields, values: Fields, query: Query) -> Fields:
    return {"kind": "drive#startPageToken", "startPageToken": str(len(mine["changes"]) + 100)}


def list_changes(mine: Fields, values: Fields, query: Query) -> Fields:
    """The newest state of each file that changed since the token."""
    token = query.one.get("pageToken", "")
    if not token.isdecimal() or not 100 <= int(token) <= len(mine["changes"]) + 100:
        raise Problem(400, "invalid", "Invalid Value")
    start, size = int(token) - 100, query.number("pageSize", 100)
    ids = list(dict.fromkeys(mine["changes"][start : start + size]))
    found: Fields = {"kind": "drive#changeList", "changes": [change_of(mine, id, query) for id in ids]}
    is_last = start + size >= len(mine["changes"])
    found["newStartPageToken" if is_last else "nextPageToken"] = str(
        min(start + size, len(mine["changes"])) + 100
    )
    usual = "kind,nextPageToken,newStartPageToken,changes(kind,changeType,fileId,removed,time,file(kind,id,name,mimeType))"
    return dict(masked(found, mask_of(query.one.get("fields", usual))))


def change_of(mine: Fields, id: str, query: Query) -> Fields:
    file = next((one for one in mine["files"] if one["id"] == id), None)
    time = query.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found: Fields = {
        "kind": "drive#change",
        "changeType": "file",
        "fileId": id,
        "time": time,
        "removed": file is None,
    }
    return found if file is None else {**found, "file": shown(file)}


# --- Sheets

RANGE = re.compile(
    r"(?:(?P<sheet>'[^']+'|[^!']+)!)?(?:(?P<c1>[A-Z]+)(?P<r1>\d+)?(?::(?P<c2>[A-Z]+)(?P<r2>\d+)?)?)?"
)


def sheets_in(mine: Fields, values: Fields) -> dict[str, list[list[Any]]]:
    sheets: dict[str, list[list[Any]]] | None = mine["spreadsheets"].get(values["spreadsheetId"])
    if sheets is None:
        raise unknown("Requested entity was not found.")
    return sheets


def read_values(mine: Fields, values: Fields, query: Query) -> Fields:
    sheets = sheets_in(mine, values)
    name, rows, place = cells(sheets, values["range"])
    if query.one.get("valueRenderOption", "FORMATTED_VALUE") == "FORMATTED_VALUE":
        rows = [[str(cell) for cell in row] for row in rows]
    found = {"range": f"{name}!{place}", "majorDimension": "ROWS"}
    return {**found, "values": rows} if rows else found


def cells(sheets: dict[str, list[list[Any]]], asked: str) -> tuple[str, list[list[Any]], str]:
    """The sheet, the rows of the range without what is empty at their end, and the range's corners."""
    whole = asked.strip("'") in sheets
    found = RANGE.fullmatch(f"'{asked.strip(chr(39))}'!A:ZZ" if whole else asked)
    name = ((found and found["sheet"]) or next(iter(sheets))).strip("'")
    if found is None or name not in sheets:
        raise wrong(f"Unable to parse range: {asked}")
    left, right = column(found["c1"] or "A"), column(found["c2"] or found["c1"] or "Z")
    top, bottom = int(found["r1"] or 1), int(found["r2"] or (found["r1"] if not found["c2"] else 0) or 1000)
    rows = [trimmed(row[left - 1 : right]) for row in sheets[name][top - 1 : bottom]]
    while rows and not rows[-1]:
        rows.pop()
    quoted = f"'{name}'" if " " in name else name
    return quoted, rows, f"{letters(left)}{top}:{letters(min(right, 26))}{bottom}"


def trimmed(row: list[Any]) -> list[Any]:
    while row and row[-1] == "":
        row = row[:-1]
    return row


def column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def letters(number: int) -> str:
    return chr(64 + number)


def corner(sheets: dict[str, list[list[Any]]], asked: str) -> tuple[str, int, int]:
    """The sheet of a range, and the row and column (from 0) of its upper left corner."""
    name, _, place = cells(sheets, asked)
    found = re.match(r"([A-Z]+)(\d+)", place)
    return name.strip("'"), int(found[2]) - 1 if found else 0, column(found[1]) - 1 if found else 0


def write(sheet: list[list[Any]], top: int, left: int, rows: list[list[Any]]) -> int:
    """Put values into a sheet and count them; null leaves a cell as it is."""
    written = 0
    for down, row in enumerate(rows):
        for right, value in enumerate(row):
            if value is None:
                continue
            while len(sheet) <= top + down:
                sheet.append([])
            line = sheet[top + down]
            line.extend([""] * (left + right + 1 - len(line)))
            line[left + right] = value
            written += 1
    return written


def update_values(mine: Fields, values: Fields, query: Query) -> Fields:
    sheets, rows = sheets_in(mine, values), query.body.get("values", [])
    if query.one.get("valueInputOption") not in {"RAW", "USER_ENTERED"}:
        raise wrong("'valueInputOption' is required but not specified")
    name, top, left = corner(sheets, values["range"])
    return updated(values["spreadsheetId"], name, top, left, rows, write(sheets[name], top, left, rows))


def append_values(mine: Fields, values: Fields, query: Query) -> Fields:
    sheets, rows = sheets_in(mine, values), query.body.get("values", [])
    if query.one.get("valueInputOption") not in {"RAW", "USER_ENTERED"}:
        raise wrong("'valueInputOption' is required but not specified")
    name, _, left = corner(sheets, values["range"])
    table, top = range_of(name, 0, left, sheets[name]), len(sheets[name])
    done = updated(values["spreadsheetId"], name, top, left, rows, write(sheets[name], top, left, rows))
    return {"spreadsheetId": values["spreadsheetId"], "tableRange": table, "updates": done}


def updated(id: str, name: str, top: int, left: int, rows: list[list[Any]], written: int) -> Fields:
    return {
        "spreadsheetId": id,
        "updatedRange": range_of(name, top, left, rows),
        "updatedRows": len(rows),
        "updatedColumns": max(map(len, rows), default=0),
        "updatedCells": written,
    }


def range_of(name: str, top: int, left: int, rows: list[list[Any]]) -> str:
    quoted = f"'{name}'" if " " in name else name
    width = max([len(row) for row in rows] or [1])
    return f"{quoted}!{letters(left + 1)}{top + 1}:{letters(left + max(width, 1))}{top + max(len(rows), 1)}"


def get_spreadsheet(mine: Fields, values: Fields, query: Query) -> Fields:
    sheets_in(mine, values)
    return facts_of(mine, values["spreadsheetId"], query)


def facts_of(mine: Fields, id: str, query: Query) -> Fields:
    title = next((file["name"] for file in mine["files"] if file["id"] == id), "Untitled spreadsheet")
    grid = {"rowCount": 1000, "columnCount": 26}
    sheets = [
        {
            "properties": {
                "sheetId": place,
                "title": name,
                "index": place,
                "sheetType": "GRID",
                "gridProperties": grid,
            }
        }
        for place, name in enumerate(mine["spreadsheets"][id])
    ]
    facts = {"title": title, "locale": "de_DE", "autoRecalc": "ON_CHANGE", "timeZone": "Europe/Berlin"}
    url = f"https://docs.google.com/spreadsheets/d/{id}/edit"
    whole = {"spreadsheetId": id, "properties": facts, "sheets": sheets, "spreadsheetUrl": url}
    return dict(masked(whole, mask_of(query.one.get("fields", ""))))


def create_spreadsheet(mine: Fields, values: Fields, query: Query) -> Fields:
    body = query.body
    title = body.get("properties", {}).get("title", "Untitled spreadsheet")
    names = [sheet["properties"]["title"] for sheet in body.get("sheets", [])] or ["Sheet1"]
    if len(set(names)) < len(names):
        raise wrong("Invalid requests: A sheet with this name already exists. Please enter another name.")
    file = {
        "kind": "drive#file", "id": f"1{secrets.token_urlsafe(24)}", "name": title, "trashed": False,
        "mimeType": f"{GOOGLES}spreadsheet", "parents": [ROOT], "shared": False, "webViewLink": "",
        "owners": [{"kind": "drive#user", "displayName": mine["user"]["name"], "emailAddress": mine["primary"]}],
    }  # fmt: skip
    file["webViewLink"] = f"https://docs.google.com/spreadsheets/d/{file['id']}/edit"
    mine["files"].append(file)
    mine["spreadsheets"][file["id"]] = {name: [] for name in names}
    touch(mine, file, query)
    return facts_of(mine, str(file["id"]), query)


ANSWERS: dict[str, Answer] = {
    "drive.files.list": list_files,
    "drive.files.get": get_file,
    "drive.files.export": export_file,
    "drive.files.create": create_file,
    "drive.changes.getStartPageToken": first_token,
    "drive.changes.list": list_changes,
    "sheets.spreadsheets.values.get": read_values,
    "sheets.spreadsheets.values.update": update_values,
    "sheets.spreadsheets.values.append": append_values,
    "sheets.spreadsheets.get": get_spreadsheet,
    "sheets.spreadsheets.create": create_spreadsheet,
}
