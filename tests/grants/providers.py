"""Providers as vendors are: what becomes of a refresh token that was shown, told as facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations import registry
from integrations.registry import Entry
from integrations.sdk import Client, Identity, OAuth2, Plugin, Revoke

# As the facts say it, and the stand-in's habits that go with it.
KINDS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "steady": ({}, {"rotates": False}),
    "strict": ({"rotates": True}, {}),
    "lenient": ({"rotates": True, "reuse_grace": 1800}, {"reuse_grace": 1800.0}),
    "brief": (
        {"rotates": True, "reuse_grace": 60, "reuse_revokes": True},
        {"reuse_grace": 60.0, "reuse_revokes": True, "repeats_the_pair": False},
    ),
    "harsh": ({"rotates": True, "reuse_revokes": True}, {"reuse_revokes": True}),
    "allornone": ({"rotates": True, "ends_all": True}, {}),
}


def oauth(slug: str, facts: Mapping[str, Any]) -> OAuth2:
    said = {name: value for name, value in facts.items() if name != "ends_all"}
    here = f"https://{slug}.example"
    return OAuth2(
        authorize_url=f"{here}/oauth/authorize",
        token_url=f"{here}/token",
        scopes={"read": "Read"},
        revoke=Revoke(f"{here}/revoke", ends_all="ends_all" in facts),
        **said,
    )


def plugin_of(slug: str) -> Plugin:
    made = Plugin(
        slug=slug,
        name=slug.capitalize(),
        base_url=f"https://{slug}.example",
        auth=(oauth(slug, KINDS[slug][0]),),
    )
    made.action()(whoami)
    made.health(identity)
    return made


def whoami(client: Client) -> dict:
    """Say whose token it is."""
    return dict(client.get("/me").json())


def identity(client: Client) -> Identity:
    found = client.get("/me").json()
    return Identity(label=found["id"], account_id="the-account")


def install() -> None:
    """Into this process's registry, until it ends or `uninstall`."""
    found = registry.installed()
    for slug in KINDS.keys() - found.entries.keys():
        made = plugin_of(slug)
        found.plugins[slug] = made
        assert made.own_provider
        found.entries[slug] = Entry(made.own_provider, (made,), "tests")


def uninstall() -> None:
    found = registry.installed()
    for slug in KINDS:
        found.plugins.pop(slug, None)
        found.entries.pop(slug, None)
