"""What every custom provider can do: answer a health check, and be read by path."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field as Described

from integrations.sdk.facts import Identity
from integrations.sdk.plugin import Plugin
from navi.net.client import Client
from navi.net.errors import Reconnect, Refused, TryLater, VendorError


def health_check(plugin: Plugin, *, path: str, expected: int, name: str) -> None:
    """Give the plugin a health check: one GET that must answer the expected status."""

    @plugin.health
    def answers(client: Client) -> Identity:
        with client.stream("GET", path or "/") as answer:
            status = answer.status_code
        if status == expected:
            return Identity(label=name, account_id="")
        raise complaint(name, status, expected)


def complaint(name: str, status: int, expected: int) -> VendorError:
    if status in {401, 403}:
        return Reconnect(f"{name} does not accept these credentials (HTTP {status}).", status=status)
    if status == 429 or status >= 500:
        return TryLater(f"{name} answered HTTP {status} to the health check.", status=status)
    words = f"{name} answered HTTP {status} to the health check; {expected} was expected."
    return Refused(words, status=status)


def fetch_action(plugin: Plugin, *, path: str) -> None:
    """Give the plugin one reading action, so that there is something to try."""

    @plugin.action(title="Read an address", try_with={"path": path or "/"})
    def fetch(
        client: Client,
        path: Annotated[str, Described(description="Path below the base URL, such as /v1/items")],
        query: Annotated[dict[str, str] | None, Described(description="Query parameters")] = None,
    ) -> dict[str, Any]:
        """Read one address of this service with the stored credentials and return what it answered."""
        response = client.get(path, params=query or {})
        is_json = "json" in response.headers.get("content-type", "")
        body: Any = response.json() if is_json else response.text[:20_000]
        return {"status": response.status_code, "body": body}
