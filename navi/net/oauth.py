"""A vendor's OAuth as data: where to ask, how to say it, how its tokens live and end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from navi.net import auth

ClientAuth = Literal["body", "basic", "none"]
Encoding = Literal["form", "json"]


@dataclass(frozen=True)
class Revoke:
    """How a grant is ended at the vendor (RFC 7009 unless told otherwise).

    `url` may hold `{client_id}`. `token` is the field sent (`refresh_token` falls back to `access_token`);
    `token_name` is what the vendor calls it. `ends_all` says that revoking one token ends the whole grant of
    that person, so that the token of a lost race must not be revoked.
    """

    url: str
    method: str = "POST"
    body: Encoding = "form"
    client_auth: ClientAuth | Literal["bearer"] = "body"
    token: str = "refresh_token"
    token_name: str = "token"
    headers: Mapping[str, str] = field(default_factory=dict)
    ends_all: bool = False


@dataclass(frozen=True)
class OAuth2:
    """An authorization code grant (RFC 6749, RFC 7636), and where a vendor departs from it.

    `scopes` maps every scope that may be asked for to its label; `always` are asked each time. Empty for
    vendors whose rights are set on the app. `separator` joins scopes in the question, `granted_separator`
    splits them in the answer. `user_scopes` go into `user_scope_name` (Slack). `extra` and `again` are
    added to the authorize address, `again` only where a grant is widened. `tokens_at` is the path of keys
    in the answer below which the tokens sit, where that is not the top. `issuer` is what `iss` must equal
    where the vendor promises one (RFC 9207). `implies` tells what a scope includes besides itself.
    `lifetime` is the access token's in seconds where the answer tells none; None: it does not end by
    itself.

    `rotates`: each refresh gives a new refresh token and ends the old one. `reuse_grace`: seconds within
    which the old one may be shown again unharmed. `reuse_revokes`: shown later, it ends every token.
    """

    authorize_url: str
    token_url: str
    scopes: Mapping[str, str] = field(default_factory=dict)
    always: tuple[str, ...] = ()
    user_scopes: Mapping[str, str] = field(default_factory=dict)
    scope_name: str = "scope"
    user_scope_name: str = ""
    separator: str = " "
    granted_separator: str = " "
    pkce: Literal["S256", "plain", ""] = "S256"
    extra: Mapping[str, str] = field(default_factory=dict)
    again: Mapping[str, str] = field(default_factory=dict)
    client_auth: ClientAuth = "body"
    token_body: Encoding = "form"
    token_headers: Mapping[str, str] = field(default_factory=dict)
    tokens_at: tuple[str, ...] = ()
    revoke: Revoke | None = None
    issuer: str = ""
    lifetime: int | None = None
    rotates: bool = False
    reuse_grace: int = 0
    reuse_revokes: bool = False
    device_url: str = ""
    app_url: str = ""
    app_steps: tuple[str, ...] = ()
    sent_as: auth.Scheme = auth.Bearer("access_token")
    label: str = "OAuth"
    kind: str = "oauth"
    fields: tuple[()] = ()
    implies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def asked(self, more: tuple[str, ...] | list[str] = ()) -> list[str]:
        """The scopes to ask for: what is always asked, then these, each once and in order."""
        return list(dict.fromkeys([*self.always, *more]))

    def covered(self, granted: Iterable[str]) -> set[str]:
        """What these scopes allow, with all that they include."""
        found = set(granted)
        return found.union(*(self.implies.get(scope, ()) for scope in found))
