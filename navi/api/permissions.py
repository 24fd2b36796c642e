"""The scope a route needs, from the rule on the view."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from integrations import policy, registry


class HasScope(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or Problem `out_of_scope`; a method without a rule is not allowed to anybody."""
        rules = view.navi_rule.methods
        method = "GET" if request.method == "HEAD" else request.method
        needed = rules.get(method) or rules.get("ANY")
        if needed is None or str(request.method).lower() not in view.http_method_names:
            raise MethodNotAllowed(str(request.method))
        if needed.startswith("scope:"):
            check(request.user, needed.removeprefix("scope:"), view)
        return True


def check(actor: Any, verb: str, view: Any) -> None:
    """A token that is limited to some providers reaches what names one of them, and its part of lists."""
    if view.is_list:
        policy.check_scope_of_some(actor, verb)
    else:
        policy.check_scope(actor, verb, provider_named_by(view.kwargs))


def provider_named_by(named: dict[str, Any]) -> str | None:
    if "plugin" in named:
        known = registry.installed().plugins.get(named["plugin"])
        return known.provider if known else named["plugin"]
    return named.get("provider") or named.get("slug")
