"""What Asana sends: a handshake that brings the secret, then signed lists of events."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from integrations.plugins.asana.plugin import hook, plugin
from integrations.sdk import Headers, Incoming
from integrations.sdk.testing import replay
from tests.plugins.receiver import event_of, heard_by, is_proven

SECRET = "a-secret-of-the-handshake"
ADDED = {
    "events": [
        {
            "action": "added", "created_at": "2026-11-22T09:30:00.000Z", "user": {"gid": "1"},
            "parent": {"gid": "3", "resource_type": "project"}, "resource": {"gid": "2", "resource_type": "task"},
        },
        {"action": "changed", "resource": {"gid": "2", "resource_type": "task"}},
    ]
}  # fmt: skip


def sent(said: Any, **headers: str) -> Incoming:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Incoming("POST", Headers(named), {}, json.dumps(said).encode())


def test_the_secret_of_the_handshake_is_echoed():
    assert hook.greet_function
    greeting = hook.greet_function(sent({}, X_Hook_Secret=SECRET))

    assert greeting
    assert (greeting.secret, greeting.reply.headers["X-Hook-Secret"]) == (SECRET, SECRET)


def test_events_are_proven_and_kept():
    signature = hmac.new(SECRET.encode(), json.dumps(ADDED).encode(), hashlib.sha256).hexdigest()
    incoming = sent(ADDED, X_Hook_Signature=signature)

    heard = heard_by(hook, event_of(hook, incoming, id="body:1"))

    assert is_proven(hook, incoming, SECRET)
    assert [(item.id, item.data["type"]) for item in heard.records["events"]] == [
        ("body:1/0", "task.added"), ("body:1/1", "task.changed"),
    ]  # fmt: skip


def test_a_sign_of_life_is_nothing_to_do():
    assert heard_by(hook, event_of(hook, sent({"events": []}))).is_ignored


@pytest.mark.parametrize(
    "said", [{}, [], 1, {"events": 1}, {"events": [1, {}, {"resource": 1, "action": 2}]}]
)
def test_odd_bodies_break_nothing(said: Any):
    assert heard_by(hook, event_of(hook, sent(said))).summary


def test_projects_are_what_one_subscribes_to():
    assert hook.resource in plugin.discoveries
    assert replay(plugin, "list_projects")["next_cursor"] == "eyJ0eXAiOiJKV1Q"
