"""A vendor of our own that calls: what the tests of the door and the inbox share."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from integrations import registry
from integrations.models import WebhookEndpoint
from integrations.runtime import endpoints, hearing, lines
from integrations.sdk import Headers, Incoming
from integrations.sdk.signatures import signature
from navi.audit.actor import SYSTEM
from tests.hooks.soak import PLUGINS, own_copy


@pytest.fixture(scope="session")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_copy(PLUGINS, tmp_path_factory.mktemp("hooks"))


@pytest.fixture
def our_plugins(settings: Any, plugin_folder: Path) -> Iterator[None]:
    settings.PLUGIN_DIRS = [plugin_folder]
    registry.installed.cache_clear()
    yield
    registry.installed.cache_clear()


@pytest.fixture
def acmes_pinger(our_plugins: None, connected: Any, acme: Any) -> Any:
    return connected("pinger", acme, apiKey="pinger-key-1234567890abcdef", label="pinger@example.org")


@pytest.fixture
def made(acmes_pinger: Any, acme: Any) -> endpoints.Made:
    """Acme's endpoint for Pinger, with its secret."""
    return endpoints.create(acme, "pinger", SYSTEM)


@pytest.fixture
def endpoint(made: endpoints.Made) -> WebhookEndpoint:
    return made.endpoint


class Vendor:
    """Sends to one endpoint as its vendor does, signed with its secret."""

    def __init__(self, endpoint: WebhookEndpoint, secret: str) -> None:
        self.endpoint, self.secret = endpoint, secret
        self.client = Client(raise_request_exception=False)

    @property
    def path(self) -> str:
        return f"/hooks/{self.endpoint.key}"

    def sign(self, body: bytes, secret: str | None = None) -> str:
        proof: Any = lines.line_of(self.endpoint).webhook.proof
        incoming = Incoming("POST", Headers(), {}, body)
        return signature(proof, incoming, self.secret if secret is None else secret)

    def send(self, *, id: str = "", body: bytes | None = None, secret: str | None = None, **data: Any) -> Any:
        content = json.dumps({"type": "ping", **data}).encode() if body is None else body
        headers = {"X-Ping-Signature": self.sign(content, secret), "X-Ping-Id": id or uuid.uuid4().hex}
        return self.post(content, headers)

    def post(self, content: bytes, headers: dict[str, str], path: str = "") -> Any:
        return self.client.generic(
            "POST", path or self.path, content, content_type="application/json", headers=headers
        )


@pytest.fixture
def vendor(made: endpoints.Made) -> Vendor:
    assert made.secret
    return Vendor(made.endpoint, made.secret)


@pytest.fixture
def process_all(db: None) -> Callable[[], None]:
    """Do what the worker would: process all that is due."""
    from django.utils import timezone

    from integrations.models import Delivery

    def work() -> None:
        due = Delivery.objects.filter(state="received", due_at__lte=timezone.now())
        for pk in list(due.values_list("pk", flat=True)):
            hearing.process(str(pk))

    return work
