"""The first calls of vendors, as functions for `Webhook.greets`: each returns None where the request is none.

A plugin names one (`webhook.greets(slack_challenge)`) or calls it within a function of its own.
"""

from __future__ import annotations

import re

from integrations.sdk.webhook import GreetFunction, Greeting, Incoming, Reply

LONGEST = 1024  # of what is echoed or kept: vendors send some dozen characters
PRINTABLE = re.compile(r"[\x20-\x7e]{1,1024}")
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}


def echo(text: str) -> Reply:
    """The text back, in a form that no browser takes for a page."""
    return Reply(200, text, "text/plain", SAFE_HEADERS)


def is_plain(text: str) -> bool:
    """Printable ASCII of a length that a vendor's token has."""
    return PRINTABLE.fullmatch(text) is not None


def slack_challenge(incoming: Incoming) -> Greeting | None:
    """Slack's `url_verification`: the challenge back as text. Slack signs it: set `is_greeting_signed=True`."""
    if incoming.method != "POST" or incoming.said("type") != "url_verification":
        return None
    challenge = incoming.said("challenge")
    return Greeting(echo(challenge)) if is_plain(challenge) else None


def notion_token(incoming: Incoming) -> Greeting | None:
    """Notion's unsigned `verification_token`, which becomes the secret; a person pastes it back at Notion.

    Navi takes it only while the endpoint waits for its first call.
    """
    data = incoming.data
    if incoming.method != "POST" or not isinstance(data, dict) or set(data) != {"verification_token"}:
        return None
    token = incoming.said("verification_token")
    return Greeting(Reply(200), secret=token) if is_plain(token) else None


def echoed_secret(header: str) -> GreetFunction:
    """Asana's way: the vendor sends the secret in a header, and wants it back in the same header.

    Navi takes it only while the endpoint waits for its first call, or while it is being registered anew.
    """

    def greet(incoming: Incoming) -> Greeting | None:
        secret = incoming.headers.get(header, "")
        if incoming.method != "POST" or not is_plain(secret):
            return None
        return Greeting(Reply(200, headers={header: secret}), secret=secret)

    return greet


def validation_token(incoming: Incoming) -> Greeting | None:
    """Microsoft's way: `?validationToken=` back as text, within ten seconds; GET or POST, at most 1 KB."""
    token = incoming.query.get("validationToken", "")
    return Greeting(echo(token)) if is_plain(token) else None


def challenge_in_query(name: str) -> GreetFunction:
    """Dropbox's way (`?challenge=`): a GET whose query value is echoed as text."""

    def greet(incoming: Incoming) -> Greeting | None:
        challenge = incoming.query.get(name, "")
        if incoming.method != "GET" or not is_plain(challenge):
            return None
        return Greeting(echo(challenge))

    return greet


def first_message(header: str, value: str) -> GreetFunction:
    """A first message that only says that the channel works, as Google's `X-Goog-Resource-State: sync`.

    It carries the channel's token: set `is_greeting_signed=True`.
    """

    def greet(incoming: Incoming) -> Greeting | None:
        return Greeting(Reply(200)) if incoming.headers.get(header) == value else None

    return greet


def head_is_fine(incoming: Incoming) -> Greeting | None:
    """Trello's way: a HEAD of the address, before it is taken, must find something."""
    return Greeting(Reply(200)) if incoming.method == "HEAD" else None
