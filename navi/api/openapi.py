"""How drf-spectacular reads our views: their answers, the one error shape, the scope each needs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from navi.api.answers import DISCONNECT, ERROR


class AgentTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "navi.api.authentication.AgentTokenAuthentication"
    name = "agentToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "navi_at_…"}


class AgentSchema(AutoSchema):
    """Answers come from the view's `answers`, scopes from its rule; every operation may answer with an error."""

    def get_operation_id(self) -> str:
        """One view for all methods gives them one name: proxyGet, proxyPost, …"""
        name = getattr(self.view, "operation_name", None)
        return f"{name}{self.method.capitalize()}" if name else str(super().get_operation_id())

    def get_response_serializers(self) -> Any:
        shape = getattr(self.view, "answers", {}).get(self.method)
        status = getattr(self.view, "statuses", {}).get(self.method, 200)
        more = getattr(self.view, "more_answers", {}).get(self.method, {})
        return {status: shape, **more, "default": {"$ref": "#/components/schemas/ErrorAnswer"}}

    def get_extensions(self) -> dict[str, Any]:
        view: Any = self.view
        rules = view.navi_rule.methods
        needed = rules.get(self.method) or rules.get("ANY", "")
        scope = needed.removeprefix("scope:") if needed.startswith("scope:") else "run, write or destructive"
        return {"x-navi-scope": scope} if needed != "public" else {}


def tidied(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """The one error shape stands once, among the components; and what spectacular does not know of."""
    shapes = result["components"].setdefault("schemas", {})
    shapes["ErrorAnswer"] = ERROR
    for methods in result["paths"].values():
        for operation in methods.values():
            if operation["x-navi-scope"] == "proxy":
                operation["responses"]["200"] = {
                    "description": "The vendor's own answer.",
                    "content": {"*/*": {}},
                }
    doomed = result["paths"].get("/api/credentials/{provider}", {}).get("delete")
    if doomed:  # spectacular gives no DELETE a body
        doomed["requestBody"] = {"content": {"application/json": {"schema": DISCONNECT}}}
    return result
