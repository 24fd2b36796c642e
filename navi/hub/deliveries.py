"""What came from vendors, as people see it: newest first, each with its content masked and what followed."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from credentials.vault import Unreadable, VaultSealed
from integrations import registry
from integrations.models import Delivery, WebhookEndpoint
from integrations.runtime import inbox
from navi.audit.problems import Problem
from navi.audit.redact import known_values, redact, redact_value
from navi.hub import fields
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest
from navi.hub.fields import Form
from navi.hub.tiles import tile

SHOWN, DEAD_SHOWN = 50, 20
LONGEST_TEXT, FOLDED_FROM = 60_000, 25  # characters; lines
STATES = Delivery.State
SHAPES = {
    STATES.RECEIVED: "unknown",
    STATES.PROCESSED: "healthy",
    STATES.IGNORED: "disabled",
    STATES.DEAD: "failed",
}
WORDS = {STATES.RECEIVED: "Waiting", STATES.PROCESSED: "Processed", STATES.IGNORED: "Nothing to do",
         STATES.DEAD: "Given up"}  # fmt: skip


# --- the list


def listing(request: ProjectRequest, form: Form) -> dict[str, Any]:
    """What _deliveries.html takes: a page of rows and those given up, two queries."""
    chosen = {name: value for name, value in form.values.items() if value}
    cursor = request.GET.get("before", "")
    rows = wanted(request, form.values)
    page = list(after(rows, cursor)[: SHOWN + 1])
    more, page = len(page) > SHOWN, page[:SHOWN]
    dead = [] if cursor or chosen else list(rows.filter(state=STATES.DEAD)[: DEAD_SHOWN + 1])
    older = {**chosen, "before": place_of(page[-1])} if more else {}
    return {
        "rows": [told(request, row) for row in page],
        "dead": [told(request, row, prefix="dead") for row in dead[:DEAD_SHOWN]],
        "dead_more": len(dead) > DEAD_SHOWN,
        "replay_all_url": url_in(request, "webhook-replay-all"),
        "may_change": request.may("integrations.manage"),
        "is_filtered": bool(chosen),
        "is_older": bool(cursor),
        "older_url": url_in(request, "webhooks", **older) if older else "",
        "newest_url": url_in(request, "webhooks", **chosen) if cursor else "",
        "poll_url": "" if cursor else url_in(request, "webhooks", **chosen),
    }


def wanted(request: ProjectRequest, values: Mapping[str, Any]) -> Any:
    rows = Delivery.objects.in_project(request.project).defer("body").select_related("endpoint__connection")
    if endpoint := uuid_in(values.get("endpoint", "")):
        rows = rows.filter(endpoint=endpoint)
    if values.get("state") in STATES.values:
        rows = rows.filter(state=values["state"])
    if values.get("type"):
        rows = rows.filter(event_type__icontains=values["type"][:120])
    return rows.order_by("-received_at", "-pk")


def uuid_in(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def filters(request: ProjectRequest, rows: Sequence[Mapping[str, Any]]) -> Form:
    """The filters; `rows` are the endpoints as `endpoints.told` tells them."""
    places = [
        (row["id"], " · ".join(filter(None, (row["plugin"], row["resource"] or row["label"]))))
        for row in rows
    ]
    states = [(str(state), WORDS[state]) for state in STATES]
    form = Form(
        fields.choice("endpoint", "Webhook", [("", "All"), *places], required=False),
        fields.choice("state", "State", [("", "All"), *states], required=False),
        fields.text("type", "Type", placeholder="Any", required=False),
    )
    return form.filled(request.GET)


# --- pages: a place in the list is a moment and an id


def place_of(row: Delivery) -> str:
    return urlsafe(f"{row.received_at.isoformat()} {row.pk}")


def after(rows: Any, cursor: str) -> Any:
    """The rows below a place. Raises Problem where it is none of ours."""
    if not cursor:
        return rows
    at, pk = place_in(cursor)
    return rows.filter(Q(received_at__lt=at) | Q(received_at=at, pk__lt=pk))


def place_in(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        moment, _, key = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        at = parse_datetime(moment)
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC), uuid.UUID(key)
    except (ValueError, OverflowError):
        pass
    raise Problem("invalid_input", "This is no place in the list. Go back to the newest.", field="before")


def urlsafe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


# --- one row


def told(request: ProjectRequest, row: Delivery, *, prefix: str = "row") -> dict[str, Any]:
    """What _delivery.html takes; its content comes when it is opened."""
    entry, name = placed(row.endpoint)
    state = STATES(row.state)
    return {
        **(tile(entry) if entry else {}),
        "id": f"{prefix}-{row.pk}",
        "plugin": name,
        "about": row.endpoint.label or row.endpoint.resource,
        "type": row.event_type or "delivery",
        "summary": row.last_error if state == STATES.DEAD else row.summary,
        "state": SHAPES[state],
        "word": "Trying again" if state == STATES.RECEIVED and row.attempts else WORDS[state],
        "at": row.received_at,
        "detail_url": url_in(request, "delivery", row.pk, place=prefix),
    }  # fmt: skip


def placed(endpoint: WebhookEndpoint) -> tuple[Any, str]:
    try:
        entry, plugin = registry.plugin(endpoint.plugin, endpoint.project_id)
        return entry, plugin.name
    except Problem:
        return None, endpoint.plugin


def detail(request: ProjectRequest, row: Delivery) -> dict[str, Any]:
    """What _delivery_detail.html takes."""
    may = request.may("integrations.manage")
    return {
        "key": f"{request.GET.get('place', 'row')[:4]}-{row.pk}",
        "facts": [fact for fact in facts_of(row) if fact["value"] not in ("", None)],
        "error": row.last_error,
        "is_dead": row.state == STATES.DEAD,
        "is_waiting": row.state == STATES.RECEIVED,
        "may_read": may,
        **(content_of(row) if may else {}),
        "replay_url": url_in(request, "delivery-replay", row.pk)
        if may and row.state != STATES.RECEIVED
        else "",
        "page_url": url_in(request, "delivery", row.pk),
    }


def facts_of(row: Delivery) -> list[dict[str, Any]]:
    took = row.processed_at - row.received_at if row.processed_at else None
    return [
        {"label": "Received", "value": f"{row.received_at:%-d %b %Y, %H:%M:%S} UTC"},
        {"label": "Type", "value": row.event_type},
        {"label": "Account", "value": row.endpoint.connection.label if row.endpoint.connection else ""},
        {"label": "For", "value": row.endpoint.resource},
        {"label": "Id at the vendor", "value": row.vendor_id},
        {"label": "Size", "value": f"{row.size:,} bytes"},
        {"label": "Failed tries", "value": row.attempts or ""},
        {
            "label": "Next try",
            "value": f"{row.due_at:%H:%M:%S} UTC" if row.attempts and not row.processed_at else "",
        },
        {"label": "Sent again by the vendor", "value": f"{row.repeats} times" if row.repeats else ""},
        {"label": "Processed again by hand", "value": f"{row.replays} times" if row.replays else ""},
        {"label": "Took", "value": f"{took.total_seconds():.1f} s" if took is not None else ""},
        {"label": "What followed", "value": row.summary},
    ]


def content_of(row: Delivery) -> dict[str, Any]:
    """The body and the headers, with what looks like a secret masked."""
    try:
        held = row.body.reveal() if row.body is not None else None
    except (VaultSealed, Unreadable):
        return {"missing": "Its content is sealed with a key that Navi has not got now."}
    if held is None:
        return {"missing": "Its content was deleted after thirty days."}
    with known_values():
        text, is_cut = pretty(held, hidden=inbox.secret_field(row))
        named = redact_value(held.get("headers") or {})
    headers = "\n".join(f"{name}: {value}" for name, value in named.items())
    return {"text": text, "is_cut": is_cut, "is_long": text.count("\n") >= FOLDED_FROM, "headers": headers}


def pretty(held: Mapping[str, Any], *, hidden: str) -> tuple[str, bool]:
    """The body as a person can read it, without the field of its secret, and whether something is left out."""
    if "text" not in held:
        return f"No text: {len(base64.b64decode(held.get('base64', '')))} bytes.", False
    try:
        plain = inbox.without(json.loads(held["text"]), hidden)
        text = json.dumps(redact_value(plain), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = redact(held["text"])
    return (text, False) if len(text) <= LONGEST_TEXT else (text[:LONGEST_TEXT], True)
