"""Look into the inbox: pages of deliveries, and one's content without its secrets."""

from __future__ import annotations

import base64
import binascii
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from credentials.vault import Unreadable, VaultSealed
from integrations import registry
from integrations.models import Delivery, WebhookEndpoint
from integrations.runtime import inbound, lines
from integrations.sdk import Plugin, SharedToken
from navi.audit.problems import Problem
from navi.audit.redact import known_values, redact, redact_value

SIZE = 50
LONGEST_TEXT = 2000


@dataclass(frozen=True)
class Page:
    deliveries: list[Delivery]
    next: str  # the cursor; empty on the last page


@dataclass(frozen=True)
class Content:
    """What a delivery said, for people and agents: `payload` is JSON or text, None where it was deleted."""

    headers: dict[str, str]
    payload: Any


def provider_of(plugin: str, project: Any) -> tuple[str, Plugin]:
    """The provider's slug and the plugin. Raises Problem `unknown`."""
    entry, found = registry.plugin(plugin, project.pk)
    return entry.slug, found


def page(endpoint: WebhookEndpoint, *, state: str = "", cursor: str = "", size: int = SIZE) -> Page:
    """The newest first, in this state if one is named. Raises Problem `invalid_input`."""
    if state and state not in Delivery.State.values:
        words = f"“state” is one of {', '.join(Delivery.State.values)}."
        raise Problem("invalid_input", words, field="state")
    rows = Delivery.objects.filter(endpoint=endpoint, **({"state": state} if state else {}))
    if cursor:
        at, last = place(cursor)
        rows = rows.filter(Q(received_at__lt=at) | Q(received_at=at, pk__lt=last))
    found = list(rows.defer("body").order_by("-received_at", "-pk")[: size + 1])
    return Page(found[:size], cursor_of(found[size - 1]) if len(found) > size else "")


def cursor_of(row: Delivery) -> str:
    return base64.urlsafe_b64encode(f"{row.received_at.isoformat()}|{row.pk}".encode()).decode()


def place(cursor: str) -> tuple[datetime, uuid.UUID]:
    with suppress(ValueError, OverflowError, binascii.Error):
        at, _, last = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").partition("|")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC), uuid.UUID(last)
    raise Problem("invalid_input", "The cursor is not one of ours.", field="cursor")


def content(delivery: Delivery) -> Content:
    """Its headers and body. What looks like a secret, and the endpoint's own, is masked. Raises Problem."""
    if not delivery.body:
        return Content({}, None)
    try:
        incoming = inbound.incoming_of(delivery)
    except VaultSealed as problem:
        raise Problem("sealed", f"Navi cannot open it now: {problem}") from None
    except Unreadable:
        raise Problem("credential_unreadable", "What was kept of it is damaged.") from None
    with known_values():
        hidden = secret_field(delivery)
        plain = incoming.data if isinstance(incoming.data, dict | list) and incoming.data else None
        shown = plain if plain is not None else incoming.body.decode(errors="replace")[:LONGEST_TEXT]
        headers = {name: redact(value) for name, value in incoming.headers.items()}
        return Content(redact_value(headers), redact_value(without(shown, hidden), longest=LONGEST_TEXT))


def secret_field(delivery: Delivery) -> str:
    """Remembers the endpoint's secrets for the masking; the name of the field that holds one."""
    with suppress(Problem, VaultSealed, Unreadable):
        line = lines.line_of(delivery.endpoint)
        lines.secrets_of(line)
        proof = line.webhook.proof
        return proof.field.rpartition(".")[2] if isinstance(proof, SharedToken) else ""
    return ""


def without(data: Any, name: str) -> Any:
    """The data without what stands under this name, wherever that is."""
    if not name:
        return data
    if isinstance(data, dict):
        return {key: "[hidden]" if key == name else without(value, name) for key, value in data.items()}
    return [without(one, name) for one in data] if isinstance(data, list) else data
