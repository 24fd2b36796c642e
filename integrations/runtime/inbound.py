"""What a vendor sends: answered, or proven and kept. What follows from it is `hearing`'s work, later."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from credentials.vault import Unreadable, VaultSealed
from integrations.models import Delivery, WebhookEndpoint
from integrations.runtime import jwks, lines, toggles
from integrations.runtime.lines import Line
from integrations.runtime.vendor import ODD_SHAPE
from integrations.sdk import Greeting, Headers, Hmac, Incoming, Reply, SharedToken, SignedJwt, TryLater
from integrations.sdk.signatures import proves
from integrations.sdk.webhook import Tell
from navi.audit.actor import SYSTEM, Actor
from navi.audit.models import one_writer
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.audit.redact import names_a_secret
from navi.jobs.ledger import enqueue_all

log = logging.getLogger(__name__)
KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
LONGEST_ID, LONGEST_TYPE, LONGEST_HEADER, MOST_HEADERS = 200, 120, 500, 60
LONGEST_GREETING = 64 * 1024  # bytes: what nobody has proven yet is read as JSON only where it is small
GREETED = "Its address was called and has answered; nothing that proves the vendor has come yet."
OVERLAP = timedelta(hours=24)
REFUSED = Reply(404, json.dumps({"error": "There is nothing at this address."}), "application/json")
RETRY_AFTER = "30"
BUSY = Reply(
    503, json.dumps({"error": "Navi cannot take this now."}), "application/json", {"Retry-After": RETRY_AFTER}
)
# What every refusal computes with where there is no secret of an endpoint.
DECOY = Hmac("X-Hub-Signature-256", prefix="sha256=")
# Proofs, grants and the way here are not part of what the vendor said.
NEVER_KEPT = re.compile(
    r"authori[sz]ation|cookie|signature|secret|token|hmac|passcode|-mac\b"
    r"|^(x-)?forwarded|^x-real-ip|^cf-|^host$|^via$"
)


def url_at(path: str) -> str:
    """Our public address of a path: what vendors sign is not what a proxy made of it."""
    return f"{settings.BASE_URL}{path}"


class Refusal(Exception):
    """This is not from the vendor, or not for here. Nobody outside is told which."""


def receive(key: str, incoming: Incoming) -> Reply:
    """The answer to one request at /hooks/<key>. Whatever is wrong with it, the refusal is the same.

    A success means that the delivery is committed. 503: the vendor should send it again. Raises
    DatabaseError where the database is away.
    """
    endpoint = lines.endpoint_of(key) if KEY.fullmatch(key) else None
    if endpoint is None or not lines.is_open(endpoint):
        proves(DECOY, incoming, ["no endpoint has this secret"], now=time.time())
        return REFUSED
    try:
        return answered(lines.line_of(endpoint), incoming)
    except Refusal as why:
        note_refusal(endpoint, str(why))
    except Problem as problem:
        if problem.code == "sealed":
            return BUSY
        note_refusal(endpoint, problem.message)
    except (VaultSealed, TryLater):
        return BUSY
    except Unreadable:
        note_refusal(endpoint, "The endpoint's secret is damaged. Rotate it.")
    return REFUSED


def answered(line: Line, incoming: Incoming) -> Reply:
    greeting = greeting_of(line, incoming)
    if greeting and not line.webhook.is_greeting_signed:
        return greeted(line, greeting)
    check_proof(line, incoming)
    if greeting:
        return greeted(line, greeting)
    if incoming.method != "POST":
        raise Refusal("It is no POST.")
    return stored(line, incoming)


# --- handshakes


def greeting_of(line: Line, incoming: Incoming) -> Greeting | None:
    """The handshake that this request is, if the endpoint takes one now."""
    greet = line.webhook.greet_function
    if len(incoming.body) > LONGEST_GREETING:
        return None
    try:
        found = greet(incoming) if greet else None
        if found is None and line.answer:
            found = line.answer(incoming, lines.secrets_of(line))
    except ODD_SHAPE:
        return None
    if found and found.secret is not None:
        takes_it = line.webhook.secret_from == "vendor" and lines.greets(line.endpoint)
        return found if takes_it else None
    return found


def greeted(line: Line, greeting: Greeting) -> Reply:
    """Keep the secret that came with it, and answer. Whoever knows the address repeats one without a secret at will."""
    endpoint, is_proven = line.endpoint, line.webhook.is_greeting_signed
    is_first = endpoint.state == WebhookEndpoint.State.WAITING and (is_proven or not endpoint.state_reason)
    if greeting.secret is not None or is_first:
        note_greeting(line, greeting)
    return greeting.reply


@transaction.atomic
def note_greeting(line: Line, greeting: Greeting) -> None:
    """Its secret is kept and it is remembered, or neither. Raises Refusal."""
    if greeting.secret is not None and not keep_secret(line, greeting.secret):
        raise Refusal("Its secret came too late.")
    if greeting.secret is not None or is_first_greeting(line):
        about(line, "webhook.greeted", detail={"broughtSecret": greeting.secret is not None})


def is_first_greeting(line: Line) -> bool:
    """Of several at once, one is the first. One that is proven makes the endpoint active."""
    rows = WebhookEndpoint.objects.filter(pk=line.endpoint.pk, state=WebhookEndpoint.State.WAITING)
    if line.webhook.is_greeting_signed:
        return bool(rows.update(state=WebhookEndpoint.State.ACTIVE, state_reason=""))
    return bool(rows.filter(state_reason="").update(state_reason=GREETED))


def keep_secret(line: Line, secret: str) -> bool:
    """Put the vendor's secret in front, once for each opening. False: somebody else was first."""
    rows = WebhookEndpoint.objects.select_for_update()
    endpoint = rows.filter(pk=line.endpoint.pk).first()
    if endpoint is None or not lines.greets(endpoint):
        return False
    held = lines.with_secret(lines.kept(endpoint), secret, overlap=OVERLAP.total_seconds())
    # Where Navi registers by itself, nobody has to paste it anywhere.
    shown = {} if line.webhook.register_function is not None else {"to_show": secret}
    endpoint.secrets = {**held, "greets_until": 0, **shown}
    endpoint.state, endpoint.state_reason = WebhookEndpoint.State.ACTIVE, ""
    endpoint.save(update_fields=["secrets", "state", "state_reason"])
    return True


def note_active(endpoint: WebhookEndpoint) -> None:
    waiting = WebhookEndpoint.objects.filter(pk=endpoint.pk, state=WebhookEndpoint.State.WAITING)
    if endpoint.state == WebhookEndpoint.State.WAITING:
        waiting.update(state=WebhookEndpoint.State.ACTIVE, state_reason="")


# --- proof


def check_proof(line: Line, incoming: Incoming) -> None:
    """Raises Refusal; TryLater where the vendor's keys cannot be had now."""
    proof = line.webhook.proof
    if isinstance(proof, SignedJwt):
        is_proven = jwks.proves(
            proof, incoming, upstream_of=line.entry.slug, email=wanted_email(line, proof.email_setting)
        )
    else:
        is_proven = proves(proof, incoming, lines.secrets_of(line), now=time.time())
    if not is_proven:
        raise Refusal("The proof is missing, wrong or too old.")


def wanted_email(line: Line, setting: str) -> str | None:
    """Who must have sent it, by the plugin's settings; None where anybody of the issuer may."""
    if not setting:
        return None
    return str(toggles.settings_of(line.plugin, line.endpoint.project).get(setting) or "")


def note_refusal(endpoint: WebhookEndpoint, why: str) -> None:
    """Count it; the audit is told once a minute at most, else whoever floods us writes it full."""
    now = timezone.now()
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    is_news = Q(refused_at=None) | Q(refused_at__lt=now - timedelta(minutes=1))
    counted = {"refused_count": F("refused_count") + 1}
    if row.filter(is_news).update(refused_at=now, **counted):
        told = {"endpoint": str(endpoint.pk), "reason": why, "refusedBefore": endpoint.refused_count}
        record(
            "webhook.refused", actor=actor_of(endpoint), project=endpoint.project, outcome="refused",
            provider=endpoint.provider, plugin=endpoint.plugin, connection=endpoint.connection, detail=told,
        )  # fmt: skip
    else:
        row.update(**counted)


def actor_of(endpoint: WebhookEndpoint) -> Actor:
    """The vendor, or whoever knows the address."""
    return Actor(SYSTEM.kind, f"hook:{endpoint.plugin}", f"{endpoint.plugin} webhook")


def about(line: Line, event: str, **facts: Any) -> None:
    endpoint = line.endpoint
    record(
        event, actor=actor_of(endpoint), project=endpoint.project, provider=endpoint.provider,
        plugin=endpoint.plugin, connection=endpoint.connection, **facts,
    )  # fmt: skip


# --- the inbox


def stored(line: Line, incoming: Incoming) -> Reply:
    """Committed before the vendor is answered: the row, and the job that processes it."""
    delivery = delivery_of(line, incoming)
    try:
        # Threads that queue up wait less than those that SQLite makes sleep and look again.
        with one_writer(), transaction.atomic():
            delivery.save(force_insert=True)
            note_active(line.endpoint)
            enqueue_all("delivery", {str(delivery.pk): delivery.due_at})
    except IntegrityError:
        note_repeat(delivery, incoming)
    return Reply(line.webhook.success)


def delivery_of(line: Line, incoming: Incoming) -> Delivery:
    endpoint, webhook = line.endpoint, line.webhook
    return Delivery(
        endpoint=endpoint, seal_owner=endpoint.project_id, vendor_id=dedupe_key(webhook.delivery_id, incoming),
        event_type=storable(told(webhook.event_type, incoming))[:LONGEST_TYPE], size=len(incoming.body),
        body=content_of(line, incoming),
    )  # fmt: skip


def told(tell: Tell, incoming: Incoming) -> str:
    """What a plugin reads in a request; "" where the request is of another shape than it expects."""
    try:
        return str(tell(incoming) or "")
    except ODD_SHAPE:
        return ""


def storable(text: str) -> str:
    return text if text.isascii() and text.isprintable() else "".join(c for c in text if c.isprintable())


def dedupe_key(tell: Tell, incoming: Incoming) -> str:
    """The vendor's id; a hash where there is none, or one that no column takes."""
    found = told(tell, incoming)
    if not found:
        return f"body:{hashlib.sha256(incoming.body).hexdigest()}"
    if len(found) <= LONGEST_ID and found.isascii() and found.isprintable():
        return found
    return f"id:{hashlib.sha256(found.encode('utf-8', 'surrogatepass')).hexdigest()}"


def content_of(line: Line, incoming: Incoming) -> dict[str, Any]:
    """What is sealed: the body as it came, and the headers that say something about it."""
    try:
        # NUL is text to Python and JSON; the column holds sealed bytes, so it may stay.
        body = {"text": incoming.body.decode()}
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(incoming.body).decode()}
    return {**body, "headers": kept_headers(line, incoming), "query": kept_query(incoming)}


def kept_headers(line: Line, incoming: Incoming) -> dict[str, str]:
    proof = line.webhook.proof
    own = proof.header.lower() if isinstance(proof, Hmac | SharedToken) else "authorization"
    names = [name for name in incoming.headers if name != own and not NEVER_KEPT.search(name)]
    return {name: incoming.headers[name][:LONGEST_HEADER] for name in names[:MOST_HEADERS]}


def kept_query(incoming: Incoming) -> dict[str, str]:
    return {name: value for name, value in incoming.query.items() if not names_a_secret(name)}


def note_repeat(delivery: Delivery, incoming: Incoming) -> None:
    """It is there already: the first one counts. Raises Refusal where the endpoint went away meanwhile."""
    same = Delivery.objects.filter(endpoint=delivery.endpoint_id, vendor_id=delivery.vendor_id)
    if not same.update(repeats=F("repeats") + 1):
        raise Refusal("The endpoint was removed.")
    if same.exclude(size=delivery.size).exists():
        log.info("%s came again with other content, which is not kept.", delivery.vendor_id)


def incoming_of(delivery: Delivery) -> Incoming:
    """The request as it was kept. Raises Problem where its body has been dropped."""
    held = delivery.body.reveal()
    if held is None:
        raise Problem("conflict", "Its content has been deleted after thirty days.")
    body = held["text"].encode() if "text" in held else base64.b64decode(held["base64"])
    return Incoming("POST", Headers(held["headers"]), held.get("query", {}), body)
