"""Somebody who listens where a vendor calls: a server that takes what comes, proves it, and lets a plugin hear it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from integrations.sdk import Event, Greeting, Headers, Heard, Hmac, Incoming, Plugin, SharedToken, Webhook
from integrations.sdk.signatures import proves
from tests.standins.server import Request, Response, Standin


class Receiver(Standin):
    """One endpoint of a plugin's, without Navi's rooms around it. `heard` is what followed from each delivery."""

    def __init__(self, plugin: Plugin, secret: str = "") -> None:
        assert plugin.webhook
        self.webhook: Webhook = plugin.webhook
        self.secret = secret
        super().__init__()

    def seed(self) -> None:
        self.events: list[Event] = []
        self.heard: list[Heard] = []
        self.refused = 0

    def answer(self, request: Request) -> Response:
        incoming = incoming_of(request, self.url)
        greeting = self.webhook.greet_function(incoming) if self.webhook.greet_function else None
        if greeting and not self.webhook.is_greeting_signed:
            return self.greeted(greeting)
        if not is_proven(self.webhook, incoming, self.secret):
            self.refused += 1
            return Response(404)
        return self.greeted(greeting) if greeting else self.taken(incoming)

    def greeted(self, greeting: Greeting) -> Response:
        self.secret = greeting.secret or self.secret
        reply = greeting.reply
        return Response(
            reply.status, reply.body.encode(), {"Content-Type": reply.content_type, **reply.headers}
        )

    def taken(self, incoming: Incoming) -> Response:
        self.events.append(event_of(self.webhook, incoming))
        self.heard.append(heard_by(self.webhook, self.events[-1]))
        return Response(self.webhook.success)


def incoming_of(request: Request, url: str) -> Incoming:
    return Incoming(request.method, Headers(dict(request.headers.items())), request.query, request.body, url)


def is_proven(webhook: Webhook, incoming: Incoming, secret: str) -> bool:
    assert isinstance(webhook.proof, Hmac | SharedToken)
    return proves(webhook.proof, incoming, [secret], now=time.time())


def event_of(webhook: Webhook, incoming: Incoming, **more: Any) -> Event:
    event = Event(webhook.event_type(incoming), webhook.delivery_id(incoming), incoming)
    return replace(event, **more)


def heard_by(webhook: Webhook, event: Event) -> Heard:
    assert webhook.hear_function
    return webhook.hear_function(event)
