"""What is odd about Gmail."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.plugins.gmail import plugin as room
from integrations.plugins.gmail.plugin import READ, plugin
from integrations.sdk import Client, InvalidArguments, MissingScopes, Reconnect, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at
from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import INVOICE, LUNCH, OFFER

A_PLAN = {"name": "plän.pdf", "mime_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7").decode()}


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


@pytest.fixture
def bob(google: GoogleStandin) -> Client:
    return client_at(plugin, google, google.grant(READ, person="bob").access)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


# --- labels


def test_labels_tell_whose_they_are():
    labels = replay(plugin, "list_labels")["labels"]

    assert [(label["id"], label["is_own"]) for label in labels] == [
        ("INBOX", False), ("UNREAD", False), ("Label_7", True),
    ]  # fmt: skip


def test_labels_can_be_chosen_from(alice: Client):
    assert "Private" in [choice.label for choice in plugin.discoveries["labels"](alice)]


# --- threads


def test_beginnings_of_messages_are_read_as_text():
    page = replay(plugin, "list_threads")

    assert [thread["snippet"] for thread in page["threads"]] == [
        "Anna's invoice & the offer",
        "Lunch on Friday?",
    ]
    assert page["next_cursor"] == "09876543210987654321"


def test_nothing_found_comes_without_a_list():
    assert replay(plugin, "list_threads", "nothing_was_found") == {"threads": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, [INVOICE, LUNCH]),
        ({"query": "from:bob"}, [LUNCH]),
        ({"query": "is:unread"}, [INVOICE]),
        ({"label_ids": ["INBOX", "Label_7"]}, [LUNCH]),
        ({"include_spam_trash": True}, [INVOICE, LUNCH, OFFER]),
        ({"query": "zebra"}, []),
    ],
)
def test_threads_are_narrowed_down(alice: Client, arguments: dict[str, Any], found: list[str]):
    assert [thread["id"] for thread in run(alice, "list_threads", **arguments)["threads"]] == found


def test_each_label_travels_as_a_parameter_of_its_own(alice: Client, google: GoogleStandin):
    run(alice, "list_threads", label_ids=["INBOX", "Label_7"])

    assert google.requests[-1].raw_query.startswith("labelIds=INBOX&labelIds=Label_7")


def test_the_cursor_leads_through_all_threads(alice: Client):
    first = run(alice, "list_threads", limit=1)
    second = run(alice, "list_threads", limit=1, cursor=first["next_cursor"])

    assert [page["threads"][0]["id"] for page in (first, second)] == [INVOICE, LUNCH]
    assert second["next_cursor"] is None


def test_an_empty_mailbox_is_no_trouble(bob: Client):
    assert run(bob, "list_threads") == {"threads": [], "next_cursor": None}


# --- one thread


def test_a_thread_is_read_with_text_and_attachments():
    first, answer = replay(plugin, "get_thread")["messages"]

    assert (first["sender"], first["subject"]) == ("Anna <anna@example.org>", "Invoice 11")
    assert first["date"] == "2026-11-20T09:00:00+00:00"
    assert (answer["text"], answer["labels"]) == ("Grüße, Anna", ["INBOX", "UNREAD"])
    assert [file["name"] for file in answer["attachments"]] == ["invoice 11.pdf"]


def test_of_a_message_in_html_the_words_are_read():
    [message] = replay(plugin, "get_thread", "message_is_html_only")["messages"]

    assert message["text"] == "Fish & chips\ntonight\nat 8"


def test_a_long_message_is_cut_and_says_so(alice: Client, google: GoogleStandin):
    long = google.people["alice"]["threads"][0]["messages"][0]["payload"]
    long["parts"][0]["body"]["data"] = "YWFh" * 10_000

    message = run(alice, "get_thread", thread_id=INVOICE)["messages"][0]

    assert (len(message["text"]), message["is_cut"]) == (room.LONGEST_TEXT, True)


def test_a_message_of_which_nothing_is_told_is_empty():
    message = room.seen_message({"id": "1", "internalDate": "0"})

    assert (message["text"], message["sender"], message["attachments"]) == ("", "", [])


@pytest.mark.parametrize("thread_id", ["../profile", "18f0?x=1", "a/b", ""])
def test_an_id_cannot_lead_to_another_address(thread_id: str):
    with pytest.raises(InvalidArguments):
        plugin.actions["get_thread"].validate({"thread_id": thread_id})


# --- attachments and HTML


def test_a_message_is_read_as_html_where_it_is_asked_for(alice: Client):
    message = run(alice, "get_thread", thread_id=LUNCH, with_html=True)["messages"][0]

    assert (message["text"], message["html"]) == ("Lunch on Friday?", "<p>Lunch on Friday?</p>")


def test_a_file_is_handed_out_as_it_was_sent(alice: Client):
    run(alice, "send_message", to=["anna@example.org"], subject="Plan", text="See.", attachments=[A_PLAN])
    found = run(alice, "list_threads", query="subject:plan")["threads"][0]["id"]
    message = run(alice, "get_thread", thread_id=found)["messages"][0]
    [file] = message["attachments"]

    read = run(alice, "get_attachment", message_id=message["id"], attachment_id=file["id"])

    assert (file["name"], file["mime_type"]) == ("plän.pdf", "application/pdf")
    assert base64.b64decode(read["data"]) == b"%PDF-1.7"


def test_a_large_file_is_left_where_it_is(alice: Client, google: GoogleStandin):
    google.people["alice"]["attachments"]["large"] = b"x" * (room.LARGEST_FILE + 1)

    with pytest.raises(Refused, match="up to 5 MB"):
        run(alice, "get_attachment", message_id=LUNCH, attachment_id="large")


# --- what goes wrong


def test_a_thread_that_is_gone_is_refused():
    with pytest.raises(Refused, match="Requested entity was not found") as refusal:
        replay(plugin, "get_thread", "thread_is_gone")

    assert refusal.value.status == 404


def test_gmail_writes_the_moment_into_its_words():
    with pytest.raises(TryLater) as trouble:
        replay(plugin, "list_labels", "limit_with_a_moment")

    assert trouble.value.code == "rate_limited"
    assert trouble.value.retry_at
    assert timedelta(minutes=14) < trouble.value.retry_at - datetime.now(UTC) <= timedelta(minutes=15)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [("token_is_dead", Reconnect), ("box_was_left_unticked", MissingScopes), ("outage", TryLater)],
)
def test_the_familys_troubles_are_understood_here(payload: str, kind: type[Exception]):
    with pytest.raises(kind):
        replay(plugin, "list_labels", payload)


def test_a_box_left_unticked_is_told_apart_from_a_dead_token(google: GoogleStandin):
    somebody = client_at(plugin, google, google.grant("openid", "email").access)

    with pytest.raises(MissingScopes):
        run(somebody, "list_labels")


def test_an_expired_token_asks_for_another(bob: Client, google: GoogleStandin):
    google.expire()

    with pytest.raises(Reconnect):
        run(bob, "list_labels")
