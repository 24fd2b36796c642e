"""What Jira sends."""

import json
from typing import Any

import pytest

from integrations.plugins.jira.plugin import hook
from integrations.sdk import Headers, Heard, Incoming
from tests.plugins.receiver import event_of, heard_by


def heard(said: Any) -> Heard:
    headers = Headers({"X-Atlassian-Webhook-Identifier": "an-id"})
    return heard_by(hook, event_of(hook, Incoming("POST", headers, {}, json.dumps(said).encode())))


def test_what_happened_to_an_issue_is_kept():
    issue = {"key": "ENG-1", "fields": {"summary": "Fix the bell", "status": {"name": "Open"}}}

    [item] = heard(
        {"webhookEvent": "jira:issue_created", "issue": issue, "timestamp": 1780000000000}
    ).records["events"]

    assert item.data == {
        "type": "jira:issue_created", "issue": "ENG-1", "title": "Fix the bell", "state": "Open",
        "at": "1780000000000",
    }  # fmt: skip
    assert item.id == "an-id"


@pytest.mark.parametrize("said", [{}, [], 1, {"issue": 1}, {"issue": {"fields": [1]}, "user": "x"}])
def test_odd_bodies_break_nothing(said: Any):
    assert heard(said).records
