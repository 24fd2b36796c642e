"""The plugin author's `replay`, on a plugin made for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from integrations.sdk import (
    ApiKey,
    Basic,
    Client,
    Field,
    Identity,
    InvalidArguments,
    Plugin,
    Query,
    TypedDict,
)
from integrations.sdk.paging import every, given
from integrations.sdk.testing import PayloadError, replay


class Item(TypedDict):
    id: str


def made(folder: Path, **facts: Any) -> Plugin:
    """A plugin with one reading and one writing action, as if its plugin.py lay in the folder."""
    plugin = Plugin(
        slug="bell", name="Bell", base_url="https://api.bell.example/v1", **{"auth": ApiKey(), **facts}
    )
    plugin.folder = folder
    (folder / "payloads").mkdir()

    @plugin.health
    def whoami(bell: Client) -> Identity:
        return Identity(label="Alice", account_id=str(bell.get("/me").json()["id"]))

    @plugin.action()
    def ring(bell: Client, times: int, how: str = "softly") -> Item:
        """Ring."""
        found: Item = {"id": bell.post("/rings", json={"times": times, "how": how}).json()["id"]}
        return found

    @plugin.action()
    def ring_twice(bell: Client) -> Item:
        """Ring and ring again."""
        bell.post("/rings", data={"times": 1})
        found: Item = {"id": bell.post("/rings", content=b"text").json()["id"]}
        return found

    return plugin


@pytest.fixture
def bell(tmp_path: Path) -> Plugin:
    return made(tmp_path)


def record(plugin: Plugin, name: str, *exchanges: dict[str, Any]) -> None:
    path = plugin.folder / "payloads" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(exchanges[0] if len(exchanges) == 1 else exchanges))


def exchange(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    response = {"status": 200, "body": body}
    return {"source": "Invented.", "request": {"method": method, "path": path, **more}, "response": response}


RING = exchange("POST", "/rings", {"id": "r1"}, json={"times": 2, "how": "softly"})


def test_the_result_comes_back(bell: Plugin):
    record(bell, "ring", RING)

    assert replay(bell, "ring", times=2) == {"id": "r1"}


def test_arguments_may_be_recorded(bell: Plugin):
    record(bell, "ring", {**RING, "arguments": {"times": 2}})

    assert replay(bell, "ring") == {"id": "r1"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"times": 3}, "json.times is 3, recorded is 2"),
        ({"times": 2, "how": "loudly"}, "json.how is 'loudly', recorded is 'softly'"),
    ],
)
def test_another_request_than_recorded_is_told(bell: Plugin, arguments: dict[str, Any], said: str):
    record(bell, "ring", RING)

    with pytest.raises(PayloadError, match=said):
        replay(bell, "ring", **arguments)


def test_bad_arguments_are_refused_as_an_agents_are(bell: Plugin):
    record(bell, "ring", RING)

    with pytest.raises(InvalidArguments, match="times: is missing"):
        replay(bell, "ring")


def test_several_exchanges_play_in_order_whatever_their_body(bell: Plugin):
    record(
        bell,
        "ring_twice",
        exchange("POST", "/rings", json="times=1"),
        exchange("POST", "/rings", {"id": "r2"}, json="text"),
    )

    assert replay(bell, "ring_twice") == {"id": "r2"}


def test_a_folder_plays_in_the_order_of_its_names(bell: Plugin):
    record(bell, "ring_twice/2", exchange("POST", "/rings", {"id": "r2"}))
    record(bell, "ring_twice/1", exchange("POST", "/rings"))

    assert replay(bell, "ring_twice") == {"id": "r2"}


def test_a_request_too_many_is_told(bell: Plugin):
    record(bell, "ring_twice", exchange("POST", "/rings"))

    with pytest.raises(PayloadError, match="POST /rings goes out, but no further exchange"):
        replay(bell, "ring_twice")


def test_an_exchange_left_over_is_told(bell: Plugin):
    record(bell, "health", exchange("GET", "/me", {"id": 1}), exchange("GET", "/me/again"))

    with pytest.raises(PayloadError, match="nothing was asked"):
        replay(bell, "health")


def test_a_result_that_breaks_its_promise_is_told(bell: Plugin):
    record(bell, "ring", exchange("POST", "/rings", {"id": 1}))

    with pytest.raises(PayloadError, match=r"bell\.ring returns something else than it promises"):
        replay(bell, "ring", times=2)


@pytest.mark.parametrize("content", ["{", "[]x", '"text"', "{}", '{"source": "", "request": {}}'])
def test_a_file_that_is_no_payload_is_told(bell: Plugin, content: str):
    (bell.folder / "payloads" / "ring.json").write_text(content)

    with pytest.raises(PayloadError, match=r"ring\.json is no payload"):
        replay(bell, "ring", times=2)


def test_what_is_not_recorded_is_told_with_what_is(bell: Plugin):
    record(bell, "health", exchange("GET", "/me", {"id": 1}))

    with pytest.raises(PayloadError, match="there are: health"):
        replay(bell, "ring", times=2)


@pytest.mark.parametrize(
    "auth",
    [
        ApiKey(fields=(Field("user", "User"), Field("word", "Password")), sent_as=Basic("user", "word")),
        ApiKey(sent_as=Query("key", "apiKey")),
    ],
)
def test_any_way_to_sign_in_can_be_replayed(tmp_path: Path, auth: ApiKey):
    bell = made(tmp_path, auth=auth)
    record(bell, "health", exchange("GET", "/me", {"id": 1}))

    assert replay(bell, "health").account_id == "1"


# --- pages


def test_every_page_is_read_once():
    pages = {None: ([1, 2], "b"), "b": ([3], "c"), "c": ([], None)}

    found = every(lambda cursor: dict(zip(("items", "next_cursor"), pages[cursor], strict=True)), "items")

    assert list(found) == [1, 2, 3]


def test_a_cursor_that_leads_in_a_circle_ends():
    assert list(every(lambda cursor: {"items": [1], "next_cursor": "again"}, "items", pages=3)) == [1, 1, 1]


def test_what_was_not_given_is_left_out():
    assert given({"none": None, "empty": "", "no": False, "zero": 0}) == {"empty": "", "no": False, "zero": 0}
