"""The form by which people describe a provider, and what it means to the house."""

from __future__ import annotations

from typing import Any

from integrations.models import CustomProvider
from navi.hub import fields
from navi.hub.answers import Refusal, said
from navi.hub.fields import Form

WAYS = (
    ("bearer", "Bearer token", "Authorization: Bearer …"),
    ("header", "Own header", "such as X-Api-Key"),
    ("basic", "User and password", "HTTP Basic"),
    ("query", "In the address", "such as ?api_key=…"),
    ("oauth", "OAuth", "people sign in there"),
)
CLIENT_AUTH = (
    ("body", "In the body of its requests"),
    ("basic", "By HTTP Basic"),
    ("none", "Not at all: a public client without a secret"),
)
# The house's names of fields, and this form's.
NAMES = {
    "sent_as": "auth", "apiKey": "api_key", "password": "api_key", "username": "username",
    "sent_prefix": "header_prefix",
}  # fmt: skip


def described(row: CustomProvider) -> list[fields.Field]:
    is_header = row.sent_as == "header"
    return [
        fields.text("name", "Name", value=row.name, placeholder="Weather station", autofocus=True),
        fields.text(
            "base_url", "Base address", type="url", value=row.base_url, mono=True, trim=True,
            placeholder="https://api.example.com/v1", hint="Every call stays below this address.",
        ),
        fields.text(
            "description", "What it is for", value=row.description, required=False,
            hint="Agents read it when they choose what to use.",
        ),
        fields.choice("auth", "How the key is sent", WAYS, row.sent_as, look="cards"),
        fields.text(
            "header_name", "Header", value=row.sent_name if is_header else "", required=False,
            placeholder="X-Api-Key", mono=True,
        ),
        fields.text(
            "header_prefix", "Before the key", value=row.sent_prefix, required=False, placeholder="Token ",
            mono=True,
        ),
        fields.text(
            "query_name", "Parameter", value=row.sent_name if row.sent_as == "query" else "", required=False,
            placeholder="api_key", mono=True,
        ),
        *authorization_server(row),
        fields.text(
            "health_path", "Path to check", value=row.health_path, required=False, placeholder="/status", mono=True,
            hint="Asked every 15 minutes to see that the key still works.",
        ),
        fields.number("expected_status", "Expected status", value=row.expected_status, required=False),
        fields.text(
            "key_help_url", "Where people find the key", type="url", value=row.key_help_url, required=False,
            placeholder="https://example.com/settings/api",
        ),
    ]  # fmt: skip


def authorization_server(row: CustomProvider) -> list[fields.Field]:
    """Where people sign in and Navi gets its tokens; shown for OAuth only."""
    page, tokens = "https://example.com/oauth/authorize", "https://example.com/oauth/token"
    return [
        fields.text("authorize_url", "Authorization address", type="url", value=row.authorize_url, required=False,
                    placeholder=page, mono=True, trim=True, hint="The page on which people allow the access."),
        fields.text("token_url", "Token address", type="url", value=row.token_url, required=False,
                    placeholder=tokens, mono=True, trim=True),
        fields.text("revoke_url", "Revocation address", type="url", value=row.revoke_url, required=False, mono=True,
                    trim=True, hint="Where access is ended when somebody disconnects, if there is one."),
        fields.text("oauth_scopes", "Scopes", value=row.oauth_scopes, required=False, mono=True,
                    placeholder="read write", hint="With spaces between; the least that is useful."),
        fields.choice("client_auth", "How the app shows itself", CLIENT_AUTH, row.client_auth),
    ]  # fmt: skip


def new() -> Form:
    key_hint = "Kept encrypted; shown to nobody again. Leave it empty to connect later."
    user = fields.text("username", "User name", required=False, mono=True)
    key = fields.secret("api_key", "Key or password", required=False, hint=key_hint)
    return Form(*described(CustomProvider()), user, key)


def of(row: CustomProvider) -> Form:
    return Form(*described(row))


def values_of(form: Form) -> dict[str, Any]:
    """What custom.create and custom.change take."""
    typed = form.values
    way = typed["auth"]
    sent_name = {"header": typed["header_name"], "query": typed["query_name"]}.get(way, "")
    return {
        "name": typed["name"],
        "description": typed["description"],
        "base_url": typed["base_url"],
        "sent_as": way,
        "sent_name": sent_name,
        "sent_prefix": with_space(typed["header_prefix"]) if way == "header" else "",
        "health_path": typed["health_path"],
        "expected_status": typed["expected_status"] or "200",
        "key_help_url": typed["key_help_url"],
        **{
            name: typed.get(name, "") for name in ("authorize_url", "token_url", "revoke_url", "oauth_scopes")
        },
        "client_auth": typed.get("client_auth") or "body",
    }


def with_space(prefix: str) -> str:
    """ "Token " loses its space in a form; a word before a key is never glued to it."""
    return f"{prefix} " if prefix and prefix[-1].isalnum() else prefix


def credentials_of(form: Form) -> dict[str, str]:
    """The typed key as the provider's fields; nothing where none was typed."""
    key, user = form.values.get("api_key", ""), form.values.get("username", "")
    if form.values["auth"] == "oauth":
        return {}
    if form.values["auth"] == "basic":
        return {"username": user, "password": key} if user or key else {}
    return {"apiKey": key} if key else {}


def refused(form: Form, error: Refusal) -> Form:
    """The words at the field that is wrong, or above the form."""
    field = getattr(error, "field", None) or ""
    ours = NAMES.get(field, field)
    if field == "sent_name":
        ours = "query_name" if form.values["auth"] == "query" else "header_name"
    words = said(error)
    if ours in form.fields:
        return form.wrong(ours, words["message"])
    told = {"message": words["message"], "fix": f"Nothing was saved. {words['fix']}".strip()}
    return Form(*form, values=form.values, error=told)
