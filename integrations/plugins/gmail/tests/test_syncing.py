"""Mail that comes home: the first reading, the history, what Gmail pushes."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.gmail.plugin import PAGE, READ, plugin
from integrations.sdk import (
    Client,
    Event,
    Headers,
    Incoming,
    Item,
    MissingScopes,
    Page,
    Place,
    Refused,
    StartOver,
    Subscription,
)
from integrations.sdk.testing import pull
from tests.plugins.clients import client_at
from tests.standins.google import GoogleStandin
from tests.standins.google_data import INVOICE, LUNCH, OFFER

SECOND = "18f0a1b2c3d4e600"  # Anna asks again.
TOPIC, ACCOUNT = "projects/navi/topics/navi", "pusher@navi.iam.gserviceaccount.com"
PUSHED = {"push_topic": TOPIC, "push_service_account": ACCOUNT}


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
    return client_at(plugin, google, google.grant(READ).access)


def page(client: Client, cursor: Any, **settings: Any) -> Page:
    function = plugin.syncs["messages"].function
    assert function
    # As it is stored in between.
    return function(client, Place(json.loads(json.dumps(cursor)), settings=settings))


def read(client: Client, cursor: Any = None, **settings: Any) -> tuple[list[Item], Any, int]:
    """All items of a run, the cursor it ends with, and how many pages it took."""
    items: list[Item] = []
    pages, more = 0, True
    while more:
        found = page(client, cursor, **settings)
        items, cursor, pages, more = [*items, *found.items], found.cursor, pages + 1, found.more
    return items, cursor, pages


def by_id(items: list[Item]) -> dict[str, Item]:
    return {item.id: item for item in items}


# --- the first reading


def test_at_first_the_chosen_labels_are_read(alice: Client):
    items, cursor, _ = read(alice)

    assert by_id(items).keys() == {INVOICE, SECOND, LUNCH}
    assert cursor == {"history": "4711", "for": ["INBOX"]}
    assert by_id(items)[LUNCH].data == {
        "id": LUNCH, "thread": LUNCH, "from": "Bob <bob@example.org>", "to": "Alice <alice@example.org>",
        "subject": "Lunch", "snippet": "Lunch on Friday?", "labels": ["INBOX", "Label_7"],
        "date": "2026-11-19T09:00:00+00:00", "url": f"https://mail.google.com/mail/#all/{LUNCH}",
    }  # fmt: skip


def test_messages_with_any_of_the_labels_are_read(alice: Client):
    items, _, pages = read(alice, labels=["Label_7", "SPAM"])

    assert by_id(items).keys() == {LUNCH, OFFER}
    assert pages == 2


def test_only_some_days_are_read(alice: Client):
    assert by_id(read(alice, days=1)[0]).keys() == {INVOICE, SECOND}


def test_what_messages_say_is_kept_where_it_is_wanted(alice: Client):
    items, _, _ = read(alice, with_text=True)

    assert by_id(items)[LUNCH].data["text"] == "Lunch on Friday?"


def test_a_large_mailbox_comes_page_by_page(alice: Client, google: GoogleStandin):
    for number in range(PAGE):
        google.receive_mail(f"Number {number}")

    items, _, pages = read(alice)

    assert (len(by_id(items)), pages) == (PAGE + 3, 2)


def test_what_comes_while_pages_are_read_is_told_afterwards(alice: Client, google: GoogleStandin):
    for number in range(PAGE):
        google.receive_mail(f"Number {number}")
    first = page(alice, None)
    late = google.receive_mail("Late")

    _, cursor, _ = read(alice, first.cursor)

    assert late in by_id(read(alice, cursor)[0])


def test_without_a_label_nothing_is_read(alice: Client):
    assert read(alice, labels=[])[0] == []


# --- the history


def test_the_history_tells_what_came_went_and_moved(alice: Client, google: GoogleStandin):
    _, cursor, _ = read(alice)
    new, gone = google.receive_mail("Invoice 12"), google.receive_mail("Never mind")
    google.remove_mail(gone)
    google.sort_mail(LUNCH, remove=["INBOX"])
    google.sort_mail(SECOND, remove=["UNREAD"])

    items, cursor, _ = read(alice, cursor)

    found = by_id(items)
    assert {id for id, item in found.items() if item.is_deleted} == {gone, LUNCH}
    assert found[new].data["subject"] == "Invoice 12"
    assert found[SECOND].data["labels"] == ["INBOX"]
    assert read(alice, cursor)[0] == []


def test_a_long_history_comes_page_by_page(alice: Client, google: GoogleStandin):
    _, cursor, _ = read(alice)
    new = {google.receive_mail(f"Number {number}") for number in range(PAGE + 1)}

    items, _, pages = read(alice, cursor)

    assert by_id(items).keys() == new
    assert pages == 2


def test_a_forgotten_history_starts_over(alice: Client, google: GoogleStandin):
    _, cursor, _ = read(alice)
    google.forget_history()

    with pytest.raises(StartOver):
        page(alice, cursor)


def test_other_labels_start_over(alice: Client):
    _, cursor, _ = read(alice)

    with pytest.raises(StartOver):
        page(alice, cursor, labels=["SENT"])


def test_the_recordings_are_read():
    first = pull(plugin, "messages")
    later = pull(plugin, "messages", "history_of_messages", cursor={"history": "4711", "for": ["INBOX"]})

    assert [item.is_deleted for item in first.items] == [False, False, False]
    assert sorted(item.is_deleted for item in later.items) == [False, True, True]
    with pytest.raises(StartOver):
        pull(plugin, "messages", "history_is_too_old", cursor={"history": "4711", "for": ["INBOX"]})


# --- push


def subscription(**settings: Any) -> Subscription:
    return Subscription(url="https://navi.example/hooks/x", secret="", settings=settings)


def test_a_watch_lives_a_week_and_is_the_only_one(alice: Client, google: GoogleStandin):
    google.subscribe(TOPIC, "http://127.0.0.1:9/hooks/x", ACCOUNT)
    hook = plugin.webhook
    assert hook
    assert hook.register_function
    assert hook.unregister_function

    first, again = (hook.register_function(alice, subscription(**PUSHED)) for _ in range(2))

    assert first.expires_at
    assert 6.9 < (first.expires_at.timestamp() - google.now()) / 86400 <= 7
    # Were the facts others, the renewal would end what it has just begun.
    assert first.facts == again.facts
    hook.unregister_function(alice, again.facts)
    assert google.people["alice"]["watch"] is None


@pytest.mark.parametrize("missing", ["push_topic", "push_service_account"])
def test_a_watch_needs_its_settings(alice: Client, google: GoogleStandin, missing: str):
    hook = plugin.webhook
    assert hook
    assert hook.register_function

    with pytest.raises(Refused, match="settings"):
        hook.register_function(alice, subscription(**{**PUSHED, missing: ""}))

    assert google.requests == []


def test_a_watch_needs_a_reader(google: GoogleStandin):
    hook = plugin.webhook
    assert hook
    assert hook.register_function
    nobody = client_at(plugin, google, google.grant("openid").access)

    with pytest.raises(MissingScopes):
        hook.register_function(nobody, subscription(**PUSHED))


def incoming(data: bytes, **message: Any) -> Incoming:
    said = {"message": {"data": base64.b64encode(data).decode(), "messageId": "17", **message}}
    return Incoming("POST", Headers(), {}, json.dumps(said).encode())


def heard(came: Incoming) -> Any:
    hook = plugin.webhook
    assert hook
    assert hook.hear_function
    return hook.hear_function(Event(hook.event_type(came), hook.delivery_id(came), came))


def test_a_push_runs_the_sync():
    came = incoming(b'{"emailAddress": "alice@example.org", "historyId": 4718}')

    found = heard(came)

    assert plugin.webhook
    assert plugin.webhook.delivery_id(came) == "17"
    assert (found.summary, found.syncs) == ("Mail of alice@example.org changed", ("messages",))


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b"[" * 100_000])
def test_what_is_not_gmails_is_left_aside(data: bytes):
    assert heard(incoming(data)).is_ignored


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"message": 1}', b'{"message": {"data": "\xff"}}', b'{"message": {"data": "ab=c"}}'],
)
def test_an_odd_envelope_is_left_aside(body: bytes):
    assert heard(Incoming("POST", Headers(), {}, body)).is_ignored
