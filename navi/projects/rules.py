"""Who may open a route: said beside each view, held against the matrix by a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rule:
    """For each method: who may.

    `public`: anybody. `signed_in`: any person with an account. `right:<right>`: members whose role has it.
    `scope:<verb>`: agents whose token has it. `operator`: people of the admin. `action`: the scope that the
    named action needs.
    """

    methods: Mapping[str, str]


def rule(**methods: str) -> Callable[[View], View]:
    """Put a rule on a view: `@rule(GET="right:integrations.view", POST="right:integrations.manage")`."""

    def mark(view: View) -> View:
        view.navi_rule = Rule(methods)  # type: ignore[attr-defined]
        return view

    return mark
