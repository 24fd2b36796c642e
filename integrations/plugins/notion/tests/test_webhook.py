"""What Notion sends, really POSTed and signed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.plugins.notion.plugin import plugin
from integrations.plugins.notion.webhook import hook
from integrations.sdk import Headers, Heard, Incoming
from integrations.sdk.signatures import proves
from tests.plugins.receiver import Receiver, event_of, heard_by
from tests.standins.notion import NotionStandin
from tests.standins.notion_data import PLANS, TASKS, id_for, row

OIL = id_for("oil")


@pytest.fixture(scope="module")
def running() -> Iterator[NotionStandin]:
    with NotionStandin() as standin:
        yield standin


@pytest.fixture
def notion(running: NotionStandin) -> NotionStandin:
    running.reset()
    running.add_page(row(OIL, "Oil the hinges"))
    return running


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with Receiver(plugin) as receiver:
        yield receiver


@pytest.fixture
def receiver(listening: Receiver, notion: NotionStandin) -> Receiver:
    """Subscribed: the token came, and a person pasted it back."""
    listening.reset()
    listening.secret = ""
    assert notion.subscribe(f"{listening.url}/hooks/1").status == 200
    assert notion.verify(listening.secret)
    return listening


def test_before_the_token_is_pasted_back_nothing_is_sent(notion: NotionStandin, listening: Receiver):
    listening.reset()
    notion.subscribe(f"{listening.url}/hooks/1")
    notion.edit(PLANS, "Plans")
    notion.outgoing.settle()

    assert listening.secret.startswith("secret_")
    assert listening.events == []


def test_an_edited_page_is_read_again(notion: NotionStandin, receiver: Receiver):
    notion.edit(PLANS, "Plans for the house")
    notion.outgoing.settle()

    [event], [found] = receiver.events, receiver.heard
    assert (event.type, found.syncs) == ("page.properties_updated", ("pages",))
    assert found.records["events"][0].data["id"] == PLANS
    assert found.records["events"][0].id == event.id == event.data["id"]


@pytest.mark.parametrize(("page", "part"), [(PLANS, ""), (OIL, TASKS)])
def test_a_page_thrown_away_leaves_a_tombstone(
    notion: NotionStandin, receiver: Receiver, page: str, part: str
):
    notion.trash(page)
    notion.outgoing.settle()

    [found] = receiver.heard
    assert [(item.id, item.is_deleted) for item in found.records["pages"]] == [(page, True)]
    assert found.part == part


def test_a_repeat_has_the_same_id(notion: NotionStandin, receiver: Receiver):
    notion.edit(PLANS, "Plans for the house")
    notion.outgoing.settle()
    notion.repeat()
    notion.outgoing.settle()

    assert [event.data["attempt_number"] for event in receiver.events] == [1, 2]
    assert len({event.id for event in receiver.events}) == 1


def test_a_comment_is_an_event_that_asks_for_nothing():
    found = heard({"id": "e1", "type": "comment.created", "entity": {"id": "c1", "type": "comment"}})

    assert (found.syncs, found.records["events"][0].data["kind"]) == ((), "comment")


def test_notions_own_vector_is_proven():
    """vendors.md 2.3, made by the signWebhookPayload of Notion's client."""
    proof: Any = hook.proof
    signature = "sha256=05a25f1b4672b5644cdb165074a3b2140979e765ca4749480fbf246a4f6f8a5c"
    body = b'{"id":"e1","type":"page.created"}'
    incoming = Incoming("POST", Headers({"X-Notion-Signature": signature}), {}, body)

    assert proves(proof, incoming, ["secret_navi_vt"], now=0)


@pytest.mark.parametrize(
    "said",
    [{}, [], 1, None, {"entity": 1, "data": []}, {"type": "page.deleted", "entity": {}}, {"authors": [1]}],
)
def test_odd_bodies_break_nothing(said: Any):
    heard(said)


def heard(said: Any) -> Heard:
    headers = Headers({"Content-Type": "application/json"})
    return heard_by(hook, event_of(hook, Incoming("POST", headers, {}, json.dumps(said).encode())))
