"""A vendor's facts as data: what it is called, how one signs in, what to fill in and where to find it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from navi.net import auth as scheme
from navi.net.answer import Response
from navi.net.client import Client
from navi.net.errors import VendorError
from navi.net.oauth import OAuth2

Scheme = scheme.Scheme
ErrorMap = Callable[[Response], VendorError | None]


@dataclass(frozen=True)
class Field:
    """One thing to fill in. `pattern` is a regular expression the whole value must match."""

    key: str
    label: str
    type: str = "password"  # password, text, url
    placeholder: str = ""
    help_url: str = ""
    required: bool = True
    pattern: str = ""
    hint: str = ""

    def complaint(self, value: str) -> str | None:
        """What is wrong with this value, in words; None where it may be right."""
        if not value:
            return f"{self.label} is missing." if self.required else None
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"This does not look like {a_or_an(self.label)}. {self.hint}".strip()
        return None

    def manifest(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "label": self.label,
            "type": self.type,
            "placeholder": self.placeholder,
            "helpUrl": self.help_url,
            "required": self.required,
            "hint": self.hint,
        }


def a_or_an(noun: str) -> str:
    first = noun.split()[0]
    lowered = noun if first.isupper() else noun[0].lower() + noun[1:]
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {lowered}"


@dataclass(frozen=True)
class ApiKey:
    """One or more pasted fields, and how they travel with a request."""

    fields: tuple[Field, ...] = (Field("apiKey", "API key"),)
    sent_as: Scheme = scheme.Bearer()
    label: str = "API key"
    kind: str = "api_key"


@dataclass(frozen=True)
class Cli:
    """A login that lives on the agent's machine."""

    command: str
    auth_command: str
    check_command: str
    label: str = "Command line"
    kind: str = "cli"
    fields: tuple[Field, ...] = ()
    sent_as: Scheme = scheme.NoAuth()


@dataclass(frozen=True)
class Open:
    """A service that asks for no credentials."""

    label: str = "No sign-in"
    kind: str = "none"
    fields: tuple[Field, ...] = ()
    sent_as: Scheme = scheme.NoAuth()


Auth = ApiKey | OAuth2 | Cli | Open


@dataclass(frozen=True)
class Step:
    """One step of a setup guide, in plain words."""

    text: str
    url: str = ""


@dataclass(frozen=True)
class Guide:
    """How a person gets what the dialog asks for, and what they trip over."""

    steps: tuple[Step, ...] = ()
    enables: str = ""
    trouble: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Defaults:
    enabled: bool = True
    mcp: bool = True
    skill: bool = True


@dataclass(frozen=True)
class McpServer:
    """The vendor's own MCP server. Issue 4's rooms read it."""

    url: str
    transport: str = "http"


@dataclass(frozen=True)
class Identity:
    """Whom the credentials belong to. `account_id` is the vendor's stable id, `label` what people read."""

    label: str
    account_id: str
    scopes: tuple[str, ...] | None = None
    workspace: str = ""


HealthFunction = Callable[[Client], Identity]


@dataclass(frozen=True)
class Provider:
    """A vendor one connects to. A plugin with `auth=` of its own makes one; a family shares one.

    `identity` asks who we are where no single plugin can, below `base_url` and with whatever was granted.
    `folder` is the room of a provider that a family shares: its icon and payloads lie there.
    """

    slug: str
    name: str
    base_url: str
    auth: tuple[Auth, ...]
    description: str = ""
    category: str = "Other"
    color: str = "slate"
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: ErrorMap | None = None
    errors_in_200: bool = False  # `errors` reads every answer: this vendor says no with status 200
    guide: Guide = Guide()
    defaults: Defaults = Defaults()
    docs_url: str = ""
    mcp: McpServer | None = None
    services: tuple[str, ...] = ()
    usage_skill: str = ""
    setup_skill: str = ""
    expected_status: int = 200
    health_endpoint: str = ""
    identity: HealthFunction | None = None
    folder: Path | None = None
    custom_id: str = ""  # set for a provider that a person described
    awaits_approval: bool = False
    is_approved: bool = False

    @property
    def icon(self) -> Path | None:
        path = self.folder / "icon.svg" if self.folder else None
        return path if path and path.is_file() else None

    def auth_of(self, kind: str | None = None) -> Auth:
        """The way of signing in of this kind; without one, the first. KeyError: none of this kind."""
        for auth in self.auth:
            if kind is None or auth.kind == kind:
                return auth
        raise KeyError(kind)

    def manifest(self) -> dict[str, Any]:
        """The seeds' IntegrationProvider, as JSON."""
        first = self.auth[0]
        found: dict[str, Any] = {
            "id": self.slug,
            "name": self.name,
            "description": self.description,
            "category": self.category,
            "icon": f"/icons/{self.slug}.svg",
            "color": self.color,
            "authType": first.kind,
            "authTypes": [auth.kind for auth in self.auth],
            "credentials": [item.manifest() for auth in self.auth for item in auth.fields],
            "api": {"baseUrl": self.base_url} if self.base_url else None,
            "skill": {"usage": self.usage_skill or self.slug, "setup": self.setup_skill or None},
            "setupGuide": {
                "enables": self.guide.enables,
                "steps": [{"text": step.text, "url": step.url or None} for step in self.guide.steps],
                "trouble": dict(self.guide.trouble),
            },
            "setupSkill": self.setup_skill or None,
            "healthCheck": {"endpoint": self.health_endpoint or None, "expectedStatus": self.expected_status},
            "defaults": {
                "enabledGlobally": self.defaults.enabled,
                "mcpEnabled": self.defaults.mcp,
                "skillEnabled": self.defaults.skill,
            },
            "mcp": {"url": self.mcp.url, "transport": self.mcp.transport} if self.mcp else None,
            "isCustom": bool(self.custom_id),
        }
        for auth in self.auth:
            found.update(AUTH_FACTS.get(auth.kind, nothing)(self, auth))
        return found


def nothing(provider: Provider, auth: Any) -> dict[str, Any]:
    return {}


def oauth_facts(provider: Provider, auth: OAuth2) -> dict[str, Any]:
    facts = {"authUrl": auth.authorize_url, "tokenUrl": auth.token_url, "scopes": dict(auth.scopes)}
    return {"oauth": {**facts, "services": list(provider.services)}}


def cli_facts(provider: Provider, auth: Cli) -> dict[str, Any]:
    facts = {"command": auth.command, "authCommand": auth.auth_command, "checkCommand": auth.check_command}
    return {"cli": facts}


AUTH_FACTS: Mapping[str, Callable[[Provider, Any], dict[str, Any]]] = {"oauth": oauth_facts, "cli": cli_facts}
