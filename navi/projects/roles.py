"""What each role may do, and which token scopes it may hold (contract.md, section 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

OWNER, ADMIN, MEMBER, VIEWER = "owner", "admin", "member", "viewer"
ROLES = (OWNER, ADMIN, MEMBER, VIEWER)
LABELS = {OWNER: "Owner", ADMIN: "Admin", MEMBER: "Member", VIEWER: "Viewer"}

READ_RIGHTS = {"project.view", "integrations.view", "members.view", "help.view"}
WORK_RIGHTS = READ_RIGHTS | {"integrations.connect", "integrations.check", "actions.try", "tokens.own"}
ADMIN_RIGHTS = WORK_RIGHTS | {
    "integrations.manage",
    "actions.try_destructive",
    "tokens.manage",
    "members.manage",
    "audit.view",
    "project.update",
}
RIGHTS: dict[str, frozenset[str]] = {
    VIEWER: frozenset(READ_RIGHTS),
    MEMBER: frozenset(WORK_RIGHTS),
    ADMIN: frozenset(ADMIN_RIGHTS),
    OWNER: frozenset(ADMIN_RIGHTS | {"project.delete"}),
}

SCOPES: dict[str, str] = {
    "read": "See providers, status, health and the catalogue",
    "run": "Run actions that read",
    "write": "Run actions that write",
    "destructive": "Run actions that destroy",
    "proxy": "Call a vendor's API through Navi",
    "secret": "Receive credentials in clear",
    "connect": "Ask a person to connect a service",
    "credentials": "Store, test and delete the project's credentials",
    "manage": "Change toggles, settings and custom providers",
    "webhooks": "Manage webhook endpoints and replay deliveries",
    "sync": "Run and read syncs",
    "mcp": "Use the MCP gateway and manage its servers",
    "audit": "Read the project's audit",
    "global": "Also reach the owner's own connections for all projects",
}
SCOPE_FORM = re.compile(rf"({'|'.join(SCOPES)})(:[a-z0-9][a-z0-9_-]{{0,59}})?", re.ASCII)
DEFAULT_SCOPES = ("read", "run", "write", "connect", "sync", "mcp")
ADMINS_GRANT = frozenset({"secret", "proxy", "credentials", "manage", "webhooks", "audit"})
HOLDS: dict[str, frozenset[str]] = {
    VIEWER: frozenset({"read", "global"}),
    MEMBER: frozenset(SCOPES) - ADMINS_GRANT,
    ADMIN: frozenset(SCOPES),
    OWNER: frozenset(SCOPES),
}


def may(role: str | None, right: str) -> bool:
    return role is not None and right in RIGHTS[role]


def rank(role: str) -> int:
    """0 is the strongest role."""
    return ROLES.index(role)


def verb_of(scope: str) -> str:
    return scope.partition(":")[0]


def unknown_scopes(scopes: Iterable[str]) -> list[str]:
    """Those that are not `verb` or `verb:provider` with a verb of the list. There is no wildcard."""
    return [scope for scope in scopes if not isinstance(scope, str) or not SCOPE_FORM.fullmatch(scope)]


def beyond(role: str | None, scopes: Iterable[str]) -> list[str]:
    """Those that this role may not hold."""
    held = HOLDS.get(role or "", frozenset())
    return [scope for scope in scopes if verb_of(scope) not in held]


def cut(role: str | None, scopes: Iterable[str]) -> frozenset[str]:
    """A token's scopes, cut to what its owner's role holds now."""
    held = HOLDS.get(role or "", frozenset())
    return frozenset(scope for scope in scopes if verb_of(scope) in held)


def allows(scopes: frozenset[str], verb: str, provider: str | None = None) -> bool:
    """Do these scopes allow the verb for this provider? Without one: for all of them."""
    return verb in scopes or (provider is not None and f"{verb}:{provider}" in scopes)


def allows_some(scopes: frozenset[str], verb: str) -> bool:
    """Do these scopes allow the verb for at least one provider?"""
    return verb in scopes or any(scope.startswith(f"{verb}:") for scope in scopes)
