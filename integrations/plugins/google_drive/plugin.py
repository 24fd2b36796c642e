"""Google Drive: files, through API v3 (https://developers.google.com/workspace/drive/api)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from integrations.sdk import Choice, Client, Described, Plugin, TypedDict, every

AUTH = "https://www.googleapis.com/auth/drive"
READ_DETAILS = f"{AUTH}.metadata.readonly"
FOLDER = "application/vnd.google-apps.folder"
KINDS = {
    "folder": FOLDER,
    "document": "application/vnd.google-apps.document",
    "spreadsheet": "application/vnd.google-apps.spreadsheet",
    "presentation": "application/vnd.google-apps.presentation",
    "pdf": "application/pdf",
}
# Without `fields` Drive tells only name and type.
FILE = "id,name,mimeType,modifiedTime,size,webViewLink,parents,shared,owners(emailAddress)"
FIELDS = f"nextPageToken,incompleteSearch,files({FILE})"

plugin = Plugin(
    slug="google-drive",
    provider="google",
    name="Google Drive",
    description="Files and folders: find them.",
    category="Files",
    base_url="https://www.googleapis.com/drive/v3",
    scopes={READ_DETAILS: "See names and details of all your Drive files"},
    more_scopes={
        f"{AUTH}.file": "See and change the Drive files made or opened with Navi",
        f"{AUTH}.readonly": "See and download all your Drive files",
    },
)

# --- what agents see


class File(TypedDict):
    """`size` is null for folders and Google's own documents; `owner` is null in a shared drive."""

    id: str
    name: str
    mime_type: str
    is_folder: bool
    modified_at: str
    size: int | None
    owner: str | None
    is_shared: bool
    parent_id: str | None
    url: str


class Files(TypedDict):
    """`is_incomplete` says that not all shared drives could be searched."""

    files: list[File]
    is_incomplete: bool
    next_cursor: str | None


def seen_file(found: dict[str, Any]) -> File:
    owners, parents = found.get("owners") or [{}], found.get("parents") or [None]
    return {
        "id": found["id"],
        "name": found["name"],
        "mime_type": found["mimeType"],
        "is_folder": found["mimeType"] == FOLDER,
        "modified_at": found.get("modifiedTime", ""),
        "size": int(found["size"]) if "size" in found else None,  # Drive writes it as text.
        "owner": owners[0].get("emailAddress"),
        "is_shared": bool(found.get("shared")),
        "parent_id": parents[0],
        "url": found.get("webViewLink", ""),
    }


# --- discovery


@plugin.discovers("folders")
def folders(drive: Client) -> list[Choice]:
    found = every(lambda cursor: list_files(drive, kind="folder", limit=200, cursor=cursor), "files")
    return [Choice(id=folder["id"], label=folder["name"]) for folder in found]


# --- actions


@plugin.action(scopes=(READ_DETAILS,), try_with={"limit": 10})
def list_files(
    drive: Client,
    text: Annotated[
        str | None, Described(description="Words to look for in names and contents", min_length=1)
    ] = None,
    kind: Annotated[
        Literal["folder", "document", "spreadsheet", "presentation", "pdf"] | None,
        Described(description="Only files of this kind"),
    ] = None,
    folder_id: Annotated[
        str | None,
        Described(description="Only what lies directly in this folder; “root” is My Drive", min_length=1),
    ] = None,
    limit: Annotated[int, Described(ge=1, le=200, description="How many to return at most, 1 to 200")] = 50,
    cursor: Annotated[
        str | None, Described(description="next_cursor of the page before; leave it out for the first")
    ] = None,
) -> Files:
    """Find files and folders, also in shared drives, with type, owner, link and the time of the last change.

    Narrow it by `text`, `kind` and `folder_id`; what is in the trash is left out. The last changed come
    first, or the best matches where `text` is given. `next_cursor` is null on the last page; otherwise call
    again with the same arguments and it as `cursor`.
    """
    wanted = {
        "q": question(text, kind, folder_id),
        # Drive does not sort what it finds by words.
        "orderBy": None if text else "modifiedTime desc",
        "fields": FIELDS,
        "supportsAllDrives": True,
        "includeItemsFromAllDrives": True,
        "pageSize": limit,
        "pageToken": cursor,
    }
    page = drive.get("/files", params=wanted).json()
    return {
        "files": [seen_file(found) for found in page.get("files", [])],
        "is_incomplete": bool(page.get("incompleteSearch")),
        "next_cursor": page.get("nextPageToken"),
    }


def question(text: str | None, kind: str | None, folder_id: str | None) -> str:
    """The same in Drive's search language."""
    parts = [
        "trashed = false",
        text and f"fullText contains {quoted(text)}",
        kind and f"mimeType = {quoted(KINDS[kind])}",
        folder_id and f"{quoted(folder_id)} in parents",
    ]
    return " and ".join(part for part in parts if part)


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
