"""Every route of the house with its rule, read from the URL configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver
from django.urls.resolvers import RoutePattern

from navi.projects.rules import Rule

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Views of others carry no rule of ours: each is named here, by its route.
THIRD_PARTY: Mapping[str, Rule] = {
    r"admin": Rule({"ANY": "third_party"}),  # leads to admin/
    r"admin/(login|logout|password_change(/done)?)/": Rule({"ANY": "third_party"}),
    r"admin/.*": Rule({"ANY": "operator"}),
}
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")
GROUP = re.compile(r"\(\?P<(\w+)>[^()]*(?:\([^()]*\)[^()]*)*\)")


@dataclass(frozen=True)
class Route:
    path: str  # "p/<project>/members": without converters
    view: Callable[..., Any]
    rule: Rule | None
    is_ours: bool = True

    def __str__(self) -> str:
        return "/" + self.path

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(ARGUMENT.findall(self.path))

    @property
    def is_api(self) -> bool:
        return self.path.startswith("api/")

    @property
    def rules(self) -> Mapping[str, str]:
        return self.rule.methods if self.rule else {}

    def needed(self, method: str) -> str | None:
        """What this method takes; None where the route has not got the method."""
        return self.rules.get("GET" if method == "HEAD" else method) or self.rules.get("ANY")

    def address(self, values: Mapping[str, str]) -> str:
        return "/" + ARGUMENT.sub(lambda found: str(values[found[1]]), self.path)


def routes(patterns: Iterable[URLPattern | URLResolver], prefix: str = "") -> Iterator[Route]:
    """All routes below these patterns, those of includes too."""
    for pattern in patterns:
        path = prefix + readable(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
            continue
        rule = rule_of(pattern.callback)
        others = next((rule for regex, rule in THIRD_PARTY.items() if re.fullmatch(regex, path)), None)
        yield Route(path, pattern.callback, rule or others, is_ours=bool(rule) or others is None)


def readable(pattern: Any) -> str:
    if isinstance(pattern, RoutePattern):
        return ARGUMENT.sub(r"<\1>", str(pattern))
    plain = GROUP.sub(r"<\1>", str(pattern))
    return re.sub(r"^\^|\$$|\\Z$", "", plain).replace("\\", "")


def rule_of(view: Any) -> Rule | None:
    """The rule on a view: on the function, on its class, or on what it wraps."""
    while view is not None:
        for place in (view, getattr(view, "view_class", None), getattr(view, "cls", None)):
            rule = getattr(place, "navi_rule", None)
            if isinstance(rule, Rule):
                return rule
        view = getattr(view, "__wrapped__", None)
    return None


def without_rule(found: Iterable[Route]) -> list[str]:
    return [str(route) for route in found if route.rule is None]


def asks_for_sign_in(view: Any) -> bool:
    """Does LoginRequiredMiddleware stand before it?"""
    return bool(getattr(view, "login_required", True))
