"""What the tests of the corridor share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from navi.projects.roles import SCOPES
from tests.api.conftest import error_of as told_error


@pytest.fixture
def ben(api: Any, token_of: Any, alice: Any, acme: Any) -> Any:
    """Ben may do everything in the project, and nothing of Alice's beyond it."""
    return api(token_of(alice, acme, *(set(SCOPES) - {"global"}), name="Ben"))


@pytest.fixture
def error_of() -> Callable[[Any], dict[str, Any]]:
    """The error of an answer, in the one shape."""
    return told_error
