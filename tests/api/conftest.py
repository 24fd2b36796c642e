"""What agents' tests share: shorter ways to say who connects what, and vendors that misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from navi.projects.roles import SCOPES
from tests.net.conftest import Answer, Vendor
from tests.standins.todoist import KEY


@pytest.fixture(autouse=True)
def quick_clients(settings: Any) -> None:
    """A client sets up the middleware, and static files would be listed each time: 40 ms of every test."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def bens_token(token_of: Any, alice: Any, acme: Any) -> str:
    """Ben may do everything in the project, and nothing of Alice's beyond it."""
    return str(token_of(alice, acme, *(set(SCOPES) - {"global"}), name="Ben"))


@pytest.fixture
def ben(api: Any, bens_token: str) -> Any:
    return api(bens_token)


@pytest.fixture
def rita(api: Any, token_of: Any, alice: Any, acme: Any) -> Any:
    """Rita reads."""
    return api(token_of(alice, acme, "read", name="Rita"))


@pytest.fixture
def alices_todoist(connected: Any, acme: Any, alice: Any, todoist: Any) -> Any:
    """Alice's own account, for all her projects."""
    return connected("todoist", acme, for_user=alice, apiKey=KEY, label="alice@home")


@pytest.fixture
def vendor(settings: Any) -> Iterator[Callable[..., Vendor]]:
    """Todoist's place taken by a server that answers byte by byte as told: `vendor(saying(b"{}"))`."""
    started: list[Vendor] = []

    def start(answer: Answer) -> Vendor:
        started.append(Vendor(answer))
        settings.UPSTREAMS = {"todoist": started[-1].origin}
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def error() -> Callable[[Any], dict[str, Any]]:
    """The error of an answer, in the one shape."""
    return error_of


def error_of(answer: Any) -> dict[str, Any]:
    from navi.audit.problems import CODES

    said = answer.json()
    assert set(said) == {"error"}, said
    found: dict[str, Any] = said["error"]
    required = {
        "code", "message", "provider", "action", "retryAt", "waitMs", "link", "cli", "missingScopes", "requestId",
    }  # fmt: skip
    assert required <= set(found) <= required | {"field", "errors"}, found
    assert found["requestId"] == answer.headers["X-Request-Id"] != ""
    assert found["code"] in CODES
    assert found["message"].strip()
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.status_code in {429, 503}:
        assert int(answer.headers["Retry-After"]) >= 0
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Navi"'
    assert not found["link"] or "navi_" not in found["link"]
    return found
