"""A person who goes to a vendor's page and comes back, without a browser's engine."""

from __future__ import annotations

import http.client
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from credentials.models import OAuthAttempt
from tests.hub.browsers import HTMX

HERE = "/p/acme/integrations/google"
WAIT = f"{HERE}/oauth/{{}}"


def begin(
    browser: Any, *, provider: str = "google", again: str = "", headers: Any = HTMX, **form: Any
) -> Any:
    """Press "Continue": `services` and `scopes` are what is ticked."""
    address = f"/p/acme/integrations/{provider}/oauth?kind=oauth"
    return browser.post(
        f"{address}&reconnect={again}" if again else address, {"scope": "project", **form}, headers=headers
    )


def vendors_address(answer: Any) -> str:
    """Where the person's browser is led."""
    found = re.search(r'data-oauth-go="([^"]+)"|content="0;url=([^"]+)"', answer.text)
    assert found, answer.text
    return unescape(found[1] or found[2])


def agreed(address: str) -> str:
    """Say yes at the vendor; the address that the browser is led back to, without its host."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    body, to = answer.read(), answer.headers["Location"]
    connection.close()
    assert answer.status == 302, body
    back = urlsplit(to)
    return f"{back.path}?{back.query}"


def asked_for(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


def attempt() -> OAuthAttempt:
    return OAuthAttempt.objects.latest("created_at")


def wait(browser: Any, *, provider: str = "google", headers: Any = HTMX) -> Any:
    return browser.get(f"/p/acme/integrations/{provider}/oauth/{attempt().pk}", headers=headers)


def connect(browser: Any, *, provider: str = "google", **form: Any) -> Any:
    """The whole way; the answer of the callback."""
    answer = begin(browser, provider=provider, **form)
    assert answer.status_code == 200, answer.text
    return browser.get(agreed(vendors_address(answer)))
