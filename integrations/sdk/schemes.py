"""The ways of vendors to call, by name: what a provider that people describe may choose from.

Twilio (sorted form fields), SendGrid and Discord (public keys) sign in ways that these facts do not tell.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from integrations.sdk.handshakes import (
    challenge_in_query,
    echoed_secret,
    head_is_fine,
    is_plain,
    slack_challenge,
    validation_token,
)
from integrations.sdk.webhook import (
    Event,
    GreetFunction,
    Greeting,
    Heard,
    Hmac,
    Incoming,
    Reply,
    SharedToken,
    Tell,
    Webhook,
)

# A handshake that needs the secret: Zoom wants its own token back, signed.
Answer = Callable[[Incoming, Sequence[str]], Greeting | None]


def nothing(incoming: Incoming) -> str:
    return ""


def header(*names: str) -> Tell:
    """The first of these headers that is there."""
    return lambda incoming: next((incoming.headers[name] for name in names if name in incoming.headers), "")


def body(*path: str) -> Tell:
    return lambda incoming: incoming.said(*path)


def first_of(*ways: Tell) -> Tell:
    return lambda incoming: next(filter(None, (way(incoming) for way in ways)), "")


def graph_change(incoming: Incoming) -> str:
    """Microsoft Graph sends a list of changes; the first one's kind stands for them."""
    try:
        return str(incoming.data["value"][0]["changeType"])
    except (LookupError, TypeError):
        return ""


def zoom_token(incoming: Incoming, secrets: Sequence[str]) -> Greeting | None:
    """Zoom's `endpoint.url_validation`: the plain token back, with its keyed hash."""
    plain = incoming.said("payload", "plainToken")
    if incoming.said("event") != "endpoint.url_validation" or not is_plain(plain) or not secrets:
        return None
    keyed = hmac.new(secrets[0].encode(), plain.encode(), hashlib.sha256).hexdigest()
    answer = json.dumps({"plainToken": plain, "encryptedToken": keyed})
    return Greeting(Reply(200, answer, "application/json"))


@dataclass(frozen=True)
class Scheme:
    """One way of calling, chosen by its `title`. `greet` is the handshake, `answer` one that needs the secret.

    `is_vendors`: the vendor makes the secret, and a person copies it from there.
    """

    title: str
    proof: Hmac | SharedToken
    delivery_id: Tell = nothing
    event_type: Tell = nothing
    greet: GreetFunction | None = None
    answer: Answer | None = None
    is_vendors: bool = False
    is_greeting_signed: bool = False


STANDARD = Hmac(
    "webhook-signature", prefix="v1,", encoding="base64", several=" ",
    signed=("{id}", ".", "{timestamp}", ".", "{body}"), timestamp_in="webhook-timestamp", tolerance=300,
    id_header="webhook-id", secret_form="whsec",
)  # fmt: skip
STRIPE = Hmac(
    "Stripe-Signature", prefix="v1=", several=",", signed=("{timestamp}", ".", "{body}"),
    timestamp_in="Stripe-Signature", timestamp_prefix="t=", tolerance=300,
)  # fmt: skip
SLACK = Hmac(
    "X-Slack-Signature", prefix="v0=", signed=("v0:", "{timestamp}", ":", "{body}"),
    timestamp_in="X-Slack-Request-Timestamp", tolerance=300,
)  # fmt: skip
ZOOM = Hmac(
    "x-zm-signature", prefix="v0=", signed=("v0:", "{timestamp}", ":", "{body}"),
    timestamp_in="x-zm-request-timestamp", tolerance=300,
)  # fmt: skip
HUBSPOT = Hmac(
    "X-HubSpot-Signature-v3", encoding="base64", signed=("{method}", "{url}", "{body}", "{timestamp}"),
    timestamp_in="X-HubSpot-Request-Timestamp", timestamp_unit="ms", tolerance=300,
)  # fmt: skip
AIRTABLE = Hmac("X-Airtable-Content-MAC", prefix="hmac-sha256=", secret_form="base64")
TRELLO = Hmac("X-Trello-Webhook", encoding="base64", algorithm="sha1", signed=("{body}", "{url}"))
GITHUB = Hmac("X-Hub-Signature-256", prefix="sha256=")

SCHEMES: Mapping[str, Scheme] = {
    "standard": Scheme(
        "Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature)",
        STANDARD, header("webhook-id"), body("type"),
    ),
    "github": Scheme(
        "GitHub style (X-Hub-Signature-256: sha256=…)", GITHUB,
        header("X-GitHub-Delivery", "X-Gitea-Delivery", "X-Atlassian-Webhook-Identifier"),
        first_of(header("X-GitHub-Event", "X-Gitea-Event"), body("type"), body("event")),
    ),
    "jira": Scheme(
        "Jira (X-Hub-Signature: sha256=…)", Hmac("X-Hub-Signature", prefix="sha256="),
        header("X-Atlassian-Webhook-Identifier"), body("webhookEvent"),
    ),
    "signature": Scheme(
        "Plain hex (X-Signature: HMAC-SHA256 of the body)", Hmac("X-Signature"), body("id"), body("type"),
    ),
    "stripe": Scheme(
        "Stripe (Stripe-Signature: t=…,v1=…)", STRIPE, body("id"), body("type"), is_vendors=True
    ),
    "slack": Scheme(
        "Slack (X-Slack-Signature: v0=…)", SLACK, body("event_id"),
        first_of(body("event", "type"), body("type")), slack_challenge, is_vendors=True, is_greeting_signed=True,
    ),
    "zoom": Scheme(
        "Zoom (x-zm-signature: v0=…)", ZOOM, header("x-zm-trackingid"), body("event"), answer=zoom_token,
        is_vendors=True, is_greeting_signed=True,
    ),
    "asana": Scheme(
        "Asana (X-Hook-Secret echoed, then X-Hook-Signature)", Hmac("X-Hook-Signature"),
        greet=echoed_secret("X-Hook-Secret"),
    ),
    "sentry": Scheme(
        "Sentry (Sentry-Hook-Signature)", Hmac("Sentry-Hook-Signature"), header("Request-ID"),
        header("Sentry-Hook-Resource"), is_vendors=True,
    ),
    "dropbox": Scheme(
        "Dropbox (X-Dropbox-Signature)", Hmac("X-Dropbox-Signature"), greet=challenge_in_query("challenge"),
        is_vendors=True,
    ),
    "hubspot": Scheme(
        "HubSpot (X-HubSpot-Signature-v3)", HUBSPOT, is_vendors=True
    ),
    "airtable": Scheme("Airtable (X-Airtable-Content-MAC)", AIRTABLE, is_vendors=True),
    "trello": Scheme(
        "Trello (X-Trello-Webhook)", TRELLO, body("action", "id"), body("action", "type"), head_is_fine,
        is_vendors=True,
    ),
    "microsoft": Scheme(
        "Microsoft Graph (clientState in the body, validationToken)", SharedToken(field="value.clientState"),
        event_type=graph_change, greet=validation_token,
    ),
    "gitlab": Scheme(
        "GitLab (X-Gitlab-Token)", SharedToken("X-Gitlab-Token"),
        header("X-Gitlab-Event-UUID", "Idempotency-Key"), header("X-Gitlab-Event"),
    ),
    "telegram": Scheme(
        "Telegram (X-Telegram-Bot-Api-Secret-Token)", SharedToken("X-Telegram-Bot-Api-Secret-Token"),
        body("update_id"),
    ),
    "figma": Scheme("Figma (passcode in the body)", SharedToken(field="passcode"), event_type=body("event_type")),
    "token": Scheme(
        "A shared token in a header (X-Webhook-Token)", SharedToken("X-Webhook-Token"), body("id"), body("type")
    ),
}  # fmt: skip


def webhook_of(scheme: Scheme) -> Webhook:
    """A webhook that keeps what comes; nothing follows from it."""
    webhook = Webhook(
        proof=scheme.proof, delivery_id=scheme.delivery_id, event_type=scheme.event_type,
        secret_from="vendor" if scheme.greet is SCHEMES["asana"].greet else "navi",
        is_greeting_signed=scheme.is_greeting_signed,
    )  # fmt: skip
    webhook.greet_function = scheme.greet
    webhook.hears(kept)
    return webhook


def kept(event: Event) -> Heard:
    return Heard(summary=event.type or "Received")
