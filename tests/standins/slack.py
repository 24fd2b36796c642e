"""A Slack on this machine: OAuth v2 and a few Web API methods, over one workspace in memory.

Run it by hand: python -m tests.standins.slack --port 9003 --key xoxb-1234567890-abcdefghij
"""

import secrets
from collections.abc import Callable
from typing import Any

from tests.standins.grants import (
    Endpoint,
    Form,
    Grant,
    OAuthProblem,
    OAuthStandin,
    Pair,
    bearer,
    fields_of,
    includes,
)
from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with, run

BOT_TOKEN = "xoxb-1234567890-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"
TEAM = {"id": "T0NAVITEST", "name": "Navi Test"}
GENERAL, RANDOM, PRIVATE = "C0GENERAL1", "C0RANDOM01", "C0PRIVATE1"
BOT_USER = "U0NAVIBOT1"
FIRST_TS = 1780000000

Fields = dict[str, Any]


class No(Exception):
    """`"ok": false`, with Slack's code and what it tells beside it."""

    def __init__(self, error: str, **beside: str) -> None:
        super().__init__(error)
        self.body = {"ok": False, "error": error, **beside}


class SlackStandin(OAuthStandin):
    """A Slack on this machine."""

    keys = (BOT_TOKEN,)
    authorize_path = "/oauth/v2/authorize"
    token_path = "/api/oauth.v2.access"
    separator = ","
    rotates = False  # the app's token rotation: tokens live for 12 hours, refresh tokens serve once

    def rate_limit_next(self, retry_after: int = 30, times: int = 1) -> None:
        """Answer the next requests with Slack's 429."""
        body = {"ok": False, "error": "ratelimited"}
        self.fail_next(429, body, {"Retry-After": str(retry_after)}, times)

    # --- OAuth: https://docs.slack.dev/authentication/installing-with-oauth

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {("GET", self.token_path): self.token}

    def access_token(self, kind: str) -> str:
        start = {"bot": "xoxb", "user": "xoxp"}[kind]
        return f"{'xoxe.' if self.rotates else ''}{start}-1234567890-{secrets.token_hex(16)}"

    def refresh_token(self, kind: str) -> str:
        return f"xoxe-1-{secrets.token_hex(24)}"

    def issue(self, grant: Grant, kind: str = "bot") -> Pair:
        self.lifetime, self.can_refresh = (43200, True) if self.rotates else (None, False)
        pair = super().issue(grant, kind)
        same = [one for one in self.pairs[:-1] if one.kind == kind == "bot" and self.is_alive(one)]
        if same and not self.rotates:
            # A workspace has one bot and the bot has one token, whoever installs it, as often as they like;
            # its scopes add up.
            pair.access = same[-1].access
            pair.scopes = tuple(dict.fromkeys((*same[-1].scopes, *pair.scopes)))
        return pair

    def told(self, pair: Pair) -> Fields:
        if pair.kind == "user":
            return {"ok": True, **self.tokens(pair), "team": TEAM}
        found = {
            "ok": True,
            # Without bot scopes there is no bot, and nothing at the top.
            **(self.tokens(pair) if pair.scopes else {}),
            "bot_user_id": BOT_USER,
            "app_id": "A0NAVIAPP1",
            "team": TEAM,
            "enterprise": None,
            "is_enterprise_install": False,
        }
        is_first = not any(one.successor is pair for one in self.pairs)
        # A refresh tells the one token only.
        return found | ({"authed_user": self.authed_user(pair.grant)} if is_first else {})

    def tokens(self, pair: Pair) -> Fields:
        found: Fields = {"access_token": pair.access, "token_type": pair.kind, "scope": ",".join(pair.scopes)}
        if pair.refresh:
            found |= {"refresh_token": pair.refresh, "expires_in": self.lifetime}
        return found

    def authed_user(self, grant: Grant) -> Fields:
        person = {"id": user_id(grant.person)}
        return person | (self.tokens(self.issue(grant, "user")) if grant.user_scopes else {})

    def refusal(self, problem: OAuthProblem) -> Response:
        words = {
            "bad_code": "invalid_code",
            "bad_redirect_uri": "bad_redirect_uri",
            "invalid_grant": "invalid_refresh_token",
            "unsupported_grant_type": "invalid_grant_type",
            "invalid_client": "bad_client_secret",
        }
        return answer_with(200, {"ok": False, "error": words.get(problem.error, problem.error)})

    def check_client(self, request: Request, form: Form) -> None:
        try:
            super().check_client(request, form)
        except OAuthProblem as problem:
            is_unknown = "client is not known" in str(problem.description)
            raise OAuthProblem("invalid_client_id" if is_unknown else "bad_client_secret") from None

    # --- the Web API

    def seed(self) -> None:
        self.channels = [
            channel(GENERAL, "general", is_member=True),
            channel(RANDOM, "random"),
            channel(PRIVATE, "plans", is_private=True, is_member=True),
        ]
        self.messages: list[Fields] = []

    def api(self, request: Request) -> Response:
        name = request.path.removeprefix("/api/")
        act, scope = METHODS.get(name, (None, ""))
        form = (fields_of(request) or {}) | request.query
        key = bearer(request) or form.pop("token", "")
        scopes = self.scopes_of(key)
        headers = {"X-Accepted-OAuth-Scopes": scope}
        if scopes is not None and scopes != EVERY_SCOPE:
            headers["X-OAuth-Scopes"] = ",".join(sorted(scopes))
        try:
            if act is None:
                raise No("unknown_method", req_method=name)
            self.check_key(key, scopes, scope)
            return answer_with(200, {"ok": True, **act(self, key, form)}, headers)
        except No as no:
            return answer_with(200, no.body, headers)

    def check_key(self, key: str, scopes: frozenset[str] | None, scope: str) -> None:
        if not key:
            raise No("not_authed")
        if scopes is None:
            was_ours = [pair for pair in self.pairs if pair.access == key]
            is_over = was_ours and not (was_ours[-1].is_ended or was_ours[-1].grant.is_ended)
            raise No("token_expired" if is_over else "token_revoked" if was_ours else "invalid_auth")
        if not includes(scopes, scope):
            raise No("missing_scope", needed=scope, provided=",".join(sorted(scopes)))

    def auth_test(self, key: str, form: Form) -> Fields:
        pair = self.pair_of(key)
        is_person = pair is not None and pair.kind == "user"
        found = {
            "url": "https://navi-test.slack.com/",
            "team": TEAM["name"],
            "user": self.person_of(key) if is_person else "navi",
            "team_id": TEAM["id"],
            "user_id": user_id(self.person_of(key)) if is_person else BOT_USER,
            "is_enterprise_install": False,
        }
        return found if is_person else found | {"bot_id": "B0NAVIBOT1"}

    def auth_revoke(self, key: str, form: Form) -> Fields:
        if form.get("test") in {"1", "true"}:
            return {"revoked": False}
        self.end(key)
        return {"revoked": True}

    def list_channels(self, key: str, form: Form) -> Fields:
        kinds = form.get("types", "public_channel").split(",")
        if "private_channel" in kinds and not includes(self.scopes_of(key) or (), "groups:read"):
            raise No("missing_scope", needed="groups:read", provided=",".join(self.scopes_of(key) or ()))
        shown = [one for one in self.channels if kind_of(one) in kinds]
        start, limit = self.place(form.get("cursor", "")), int(form.get("limit", 100))
        page = shown[start : start + limit]
        is_last = start + limit >= len(shown)
        return {
            "channels": page,
            "response_metadata": {"next_cursor": "" if is_last else f"dGVhbTpD{start + limit}="},
        }

    def place(self, cursor: str) -> int:
        number = cursor.removeprefix("dGVhbTpD").removesuffix("=")
        if cursor and not number.isdecimal():
            raise No("invalid_cursor")
        return int(number or 0)

    def post_message(self, key: str, form: Form) -> Fields:
        found = [one for one in self.channels if form.get("channel") in (one["id"], f"#{one['name']}")]
        if not found:
            raise No("channel_not_found")
        if not form.get("text") and form.get("blocks", "[]") == "[]":
            raise No("no_text")
        if not found[0]["is_member"] and not includes(self.scopes_of(key) or (), "chat:write.public"):
            raise No("not_in_channel")
        ts = f"{FIRST_TS + len(self.messages)}.000100"
        message = {"type": "message", "text": form.get("text", ""), "user": BOT_USER, "ts": ts}
        message |= {"thread_ts": form["thread_ts"]} if form.get("thread_ts") else {}
        self.messages.append(message | {"channel": found[0]["id"]})
        return {"channel": found[0]["id"], "ts": ts, "message": message}


Act = Callable[[SlackStandin, str, Form], Fields]

METHODS: dict[str, tuple[Act | None, str]] = {
    "auth.test": (SlackStandin.auth_test, ""),
    "auth.revoke": (SlackStandin.auth_revoke, ""),
    "conversations.list": (SlackStandin.list_channels, "channels:read"),
    "chat.postMessage": (SlackStandin.post_message, "chat:write"),
}


def kind_of(found: Fields) -> str:
    return "private_channel" if found["is_private"] else "public_channel"


def user_id(person: str) -> str:
    return f"U0{person.upper():0<8}"


def channel(id: str, name: str, *, is_private: bool = False, is_member: bool = False) -> Fields:
    return {
        "id": id,
        "name": name,
        "is_channel": not is_private,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": is_private,
        "is_archived": False,
        "is_general": id == GENERAL,
        "is_member": is_member,
        "created": 1770000000,
        "creator": user_id("alice"),
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": f"Where we talk about {name}", "creator": "", "last_set": 0},
        "num_members": 3,
    }


if __name__ == "__main__":
    run(SlackStandin)
