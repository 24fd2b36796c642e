"""What GitHub tells by itself (https://docs.github.com/webhooks/webhook-events-and-payloads)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.plugins.github.facts import plugin
from integrations.plugins.github.sync import item_id
from integrations.sdk import (
    Client,
    Event,
    Heard,
    Hmac,
    Incoming,
    Item,
    Refused,
    Registered,
    Step,
    Subscription,
    Webhook,
    given,
)

EVENTS = ("issues", "issue_comment", "pull_request", "push")
ABOUT_ISSUES = {"issues", "issue_comment", "pull_request", "pull_request_review", "label", "milestone"}
GONE = {"issues.deleted", "issues.transferred"}


def event_type(incoming: Incoming) -> str:
    """Such as issues.opened; a push has no action."""
    parts = (incoming.headers.get("X-GitHub-Event", ""), incoming.said("action"))
    return ".".join(part for part in parts if part)


hook = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Hub-Signature-256", prefix="sha256="),
        delivery_id=lambda incoming: incoming.headers.get("X-GitHub-Delivery", ""),
        event_type=event_type,
        kinds={"events": "Events"},
        resource="repositories",
        scopes=("admin:repo_hook",),
        steps=(
            Step("Navi sets the webhook up itself where the account may administer the repository."),
            Step(
                "By hand: open the repository on GitHub, Settings, Webhooks, “Add webhook”. Paste the address "
                "as Payload URL and the secret as Secret, and choose the content type application/json.",
                "https://docs.github.com/webhooks/using-webhooks/creating-webhooks",
            ),
            Step("Choose “Let me select individual events”: issues, issue comments, pull requests, pushes."),
            Step("GitHub sends a ping at once. It never repeats a failed delivery by itself."),
        ),
    )
)


@hook.hears
def hear(event: Event) -> Heard:
    """Keep what happened; issues and pull requests are read again where they are kept."""
    said = event.data if isinstance(event.data, dict) else {}
    if event.type == "ping":
        return Heard(summary=f"GitHub says hello: {said.get('zen', '')}"[:300], is_ignored=True)
    kind, repository = event.type.partition(".")[0], name_of(said.get("repository"), "full_name")
    told = what_happened(event, said, repository)
    records = {"events": [Item(event.id, told)]}
    if event.type in GONE and (number := number_of(said)) and repository:
        records["issues"] = [Item(item_id(repository, number), is_deleted=True)]
    syncs = ("issues",) if kind in ABOUT_ISSUES and repository else ()
    return Heard(summary=summary_of(told), records=records, syncs=syncs, part=repository)


def what_happened(event: Event, said: Mapping[str, Any], repository: str) -> dict[str, Any]:
    thing = thing_of(said)
    comment = said.get("comment") if isinstance(said.get("comment"), dict) else {}
    told = {
        "type": event.type,
        "repository": repository or None,
        "by": name_of(said.get("sender"), "login") or None,
        "number": number_of(said),
        "title": thing.get("title"),
        "state": thing.get("state"),
        "comment": (comment or {}).get("body"),
        "ref": said.get("ref"),
        "commits": [one.get("id") for one in said.get("commits") or [] if isinstance(one, dict)] or None,
        "url": (comment or {}).get("html_url") or thing.get("html_url") or said.get("compare"),
    }
    return given(told)


def thing_of(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The issue or pull request it is about; empty where it is about neither."""
    found = said.get("pull_request") or said.get("issue")
    return found if isinstance(found, dict) else {}


def number_of(said: Mapping[str, Any]) -> int | None:
    number = thing_of(said).get("number")
    return number if isinstance(number, int) else None


def name_of(thing: Any, key: str) -> str:
    found = thing.get(key) if isinstance(thing, dict) else None
    return found if isinstance(found, str) else ""


def summary_of(told: Mapping[str, Any]) -> str:
    what = f" #{told['number']} {told.get('title') or ''}" if "number" in told else ""
    return f"{told['type']} in {told.get('repository', 'GitHub')}{what}".strip()[:300]


# --- telling GitHub where to call


@hook.registers
def register(github: Client, wanted: Subscription) -> Registered:
    """A webhook of the repository; one that Navi made before gets the new address and secret."""
    config = {"url": wanted.url, "content_type": "json", "secret": wanted.secret, "insecure_ssl": "0"}
    body = {"active": True, "events": list(EVENTS), "config": config}
    path, known = f"/repos/{wanted.resource}/hooks", wanted.previous.get("id")
    if known:
        found = github.patch(f"{path}/{known}", json=body, idempotent=True).json()
    else:
        found = github.post(path, json={"name": "web", **body}).json()
    return Registered({"id": found["id"], "repository": wanted.resource})


@hook.unregisters
def unregister(github: Client, facts: Mapping[str, Any]) -> None:
    """Remove the webhook; one that somebody removed before is fine."""
    try:
        github.delete(f"/repos/{facts['repository']}/hooks/{facts['id']}")
    except Refused as refusal:
        if refusal.status != 404:
            raise
