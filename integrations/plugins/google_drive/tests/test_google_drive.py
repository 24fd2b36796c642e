"""What is odd about Google Drive."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_drive import plugin as room
from integrations.plugins.google_drive.plugin import DOCUMENT, FOLDER, GOOGLES, plugin, question
from integrations.sdk import Client, Page, Place, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, pull, replay
from tests.plugins.clients import client_at
from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import BUDGET
from tests.standins.server import Request, Response, Standin, answer_with


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


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def test_a_size_is_a_number_and_googles_own_documents_have_none():
    sheet, scan, minutes = replay(plugin, "list_files")["files"]

    assert (sheet["size"], scan["size"]) == (None, 52000)
    assert (scan["owner"], scan["is_shared"]) == ("alice@example.org", True)
    assert (minutes["owner"], minutes["parent_id"]) == (None, None)


def test_what_is_found_by_words_is_not_sorted():
    assert [file["name"] for file in replay(plugin, "list_files", "files_with_a_quote")["files"]] == [
        "Anna's plan.pdf"
    ]


def test_a_search_that_could_not_look_everywhere_says_so():
    found = replay(plugin, "list_files", "nothing_was_found")

    assert found == {"files": [], "is_incomplete": True, "next_cursor": None}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, ["Budget", "Anna's plan.pdf", "Plans"]),
        ({"kind": "pdf"}, ["Anna's plan.pdf"]),
        ({"text": "Anna's"}, ["Anna's plan.pdf"]),
        ({"folder_id": "1folder"}, ["Budget"]),
        ({"folder_id": "root", "kind": "folder"}, ["Plans"]),
        ({"text": "zebra"}, []),
    ],
)
def test_files_are_narrowed_down(alice: Client, arguments: dict[str, Any], found: list[str]):
    assert [file["name"] for file in run(alice, "list_files", **arguments)["files"]] == found


def test_the_cursor_leads_through_all_files(alice: Client):
    first = run(alice, "list_files", limit=2)
    second = run(alice, "list_files", limit=2, cursor=first["next_cursor"])

    assert first["files"][0]["id"] == BUDGET
    assert [file["name"] for file in second["files"]] == ["Plans"]
    assert second["next_cursor"] is None


def test_folders_can_be_chosen_from(alice: Client):
    assert [choice.label for choice in plugin.discoveries["folders"](alice)] == ["Plans"]


def test_words_cannot_become_a_question_of_their_own():
    asked = question("' or name contains '", None, "x\\")

    assert asked == (
        "trashed = false and fullText contains '\\' or name contains \\'' and 'x\\\\' in parents"
    )


def test_a_folder_that_is_not_there_is_refused():
    with pytest.raises(Refused, match="File not found"):
        replay(plugin, "list_files", "no_such_folder")


# --- reading


def test_a_document_is_read_as_markdown(alice: Client, google: GoogleStandin):
    id = google.put_file("Plan", "# Plan", DOCUMENT)

    read = run(alice, "read_file", file_id=id)

    assert (read["text"], read["read_as"], read["is_cut"]) == ("# Plan", "text/markdown", False)


def test_a_text_is_read_as_it_is(alice: Client, google: GoogleStandin):
    id = google.put_file("notes.txt", "\ufeffMilk, bread")

    assert run(alice, "read_file", file_id=id)["text"] == "Milk, bread"


@pytest.mark.parametrize(
    ("mime_type", "read_as", "said"),
    [
        ("image/png", None, "image/png, no text"),
        (f"{GOOGLES}drawing", None, "a drawing as text"),
        (DOCUMENT, "csv", "text or markdown or html"),
        (FOLDER, None, "a folder as text"),
    ],
)
def test_what_is_no_text_is_refused_in_words(
    alice: Client, google: GoogleStandin, mime_type: str, read_as: str | None, said: str
):
    id = google.put_file("x", "x", mime_type)

    with pytest.raises(Refused, match=said):
        run(alice, "read_file", file_id=id, read_as=read_as)


def test_a_large_file_is_not_downloaded(
    alice: Client, google: GoogleStandin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(room, "LARGEST", 5)
    text, document = google.put_file("a.txt", "abcdef"), google.put_file("b", "abcdef", DOCUMENT)

    for id in (text, document):
        with pytest.raises(Refused, match="up to 2 MB"):
            run(alice, "read_file", file_id=id)

    assert "media" not in {request.query.get("alt") for request in google.requests}


def test_a_long_text_is_cut_and_says_so(alice: Client, google: GoogleStandin):
    read = run(alice, "read_file", file_id=google.put_file("a.txt", "a" * (room.LONGEST_TEXT + 1)))

    assert (len(read["text"]), read["is_cut"]) == (room.LONGEST_TEXT, True)


def test_a_picture_is_refused_before_it_is_downloaded():
    with pytest.raises(Refused, match="application/pdf"):
        replay(plugin, "read_file", "file_is_no_text")


# --- making


@pytest.mark.parametrize(
    ("kind", "mime_type"),
    [("document", DOCUMENT), ("spreadsheet", f"{GOOGLES}spreadsheet"), ("markdown", "text/markdown")],
)
def test_a_file_is_made_with_its_content(google: GoogleStandin, kind: str, mime_type: str):
    # The narrowest scope is enough: Drive then knows the file as one of Navi's.
    writer = client_at(plugin, google, google.grant(room.MADE_HERE).access)

    made = run(writer, "create_file", name='Änne "1".md', text="# Plän\r\n--x--\n", kind=kind)

    stored = google.people["alice"]["files"][-1]
    assert (made["name"], made["mime_type"]) == ('Änne "1".md', mime_type)
    assert stored["_content"].decode() == "# Plän\r\n--x--\n"


def test_a_file_whose_answer_was_lost_is_found_and_not_made_twice(alice: Client, google: GoogleStandin):
    google.lose_next("/upload/drive/v3/files")

    made = run(alice, "create_file", name="Plan", text="x")

    assert [file["id"] for file in google.people["alice"]["files"] if file["name"] == "Plan"] == [made["id"]]


def test_where_no_file_is_found_the_outcome_stays_unknown(alice: Client, google: GoogleStandin):
    google.break_next("/upload/drive/v3/files", 502, "Bad gateway")

    with pytest.raises(TryLater) as trouble:
        run(alice, "create_file", name="Plan", text="x")

    assert trouble.value.sent


# --- sync


def page(client: Client, cursor: Any = None) -> Page:
    function = plugin.syncs["files"].function
    assert function
    return function(client, Place(cursor))


def test_files_are_kept_only_where_that_is_wanted():
    sync = plugin.syncs["files"]

    assert (sync.parts_of({}), sync.parts_of({"sync_files": True})) == ((), ("",))


def test_the_list_and_then_its_changes_are_read(google: GoogleStandin):
    reader = client_at(plugin, google, google.grant(*plugin.syncs["files"].scopes).access)
    first = page(reader)
    new, gone = google.put_file("new.txt", "x"), google.put_file("gone.txt", "x")
    google.remove_file(gone)

    second = page(reader, first.cursor)

    assert {item.data["name"] for item in first.items} == {"Budget", "Anna's plan.pdf", "Plans"}
    assert {item.id: item.is_deleted for item in second.items} == {new: False, gone: True}
    assert page(reader, second.cursor).items == []


def test_what_is_in_the_trash_counts_as_deleted():
    assert room.item_of({"fileId": "1", "file": {"id": "1", "trashed": True}}).is_deleted
    assert not room.item_of({"fileId": "1", "file": {"id": "1", "name": "a", "mimeType": "b"}}).is_deleted


def test_the_recordings_are_read():
    first = pull(plugin, "files")
    later = pull(plugin, "files", "changes_of_files", cursor=first.cursor)

    assert first.cursor == {"changes": "100"}
    assert sorted(item.is_deleted for item in later.items) == [False, True]


class LastPage(Standin):
    def answer(self, request: Request) -> Response:
        return answer_with(200, {"files": []})


def test_a_first_pass_of_several_pages_ends_by_reading_what_changed_meanwhile():
    with LastPage() as drive:
        last = page(client_at(plugin, drive, "a-token-of-alices"), {"changes": "100", "page": "second"})

    # The last changed files come first: one that was changed is past, and would count as deleted.
    assert (last.cursor, last.more) == ({"changes": "100"}, True)
