"""What is odd about Google Drive."""

from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.google_drive.plugin import plugin, question
from integrations.sdk import Client, Refused
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
