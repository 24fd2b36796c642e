"""A Slack on this machine: OAuth v2 and a few Web API methods, over one workspace in memory.

Run it by hand: python -m tests.standins.slack --port 9003 --key xoxb-1234567890-abcdefghij
"""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable

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
from tests.standins.outgoing import Outgoing, Sent
from tests.standins.server import EVERY_SCOPE, Request, Response, answer_with, run
from tests.standins.slack_data import (
    APP,
    BOT,
    BOT_USER,
    GENERAL,
    PRIVATE,
    RANDOM,
    TEAM,
    Fields,
    by_the_app,
    channel,
    kind_of,
    person,
    user_id,
    without_email,
)

BOT_TOKEN = "xoxb-1234567890-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"
SIGNING_SECRET = "8f742231b10e8888abcd99fedc0a85a5"
FIRST_TS = 1780000000


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

    def listen(self, url: str) -> Sent:
        """Somebody pastes a Request URL: Slack asks for its challenge back before it takes it."""
        challenge = secrets.token_urlsafe(32)
        asked = {"token": "an-old-token", "challenge": challenge, "type": "url_verification"}
        self.events_url = url
        sent = self.call(asked)
        self.outgoing.settle()
        if sent.status != 200 or challenge.encode() not in sent.answer:
            self.events_url = ""
        return sent

    def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """A person writes a message; its ts."""
        with self._turn:
            message = {"type": "message", "user": user_id(user), "text": text}
            return str(self.written_down(channel, message, thread_ts)["ts"])

    def change(self, ts: str, text: str) -> None:
        """A person changes a message of theirs."""
        with self._turn:
            self.changed(self.message(ts), text)

    def delete(self, ts: str) -> None:
        """A person deletes a message."""
        with self._turn:
            message = self.message(ts)
            self.messages.remove(message)
            told = {
                "subtype": "message_deleted",
                "hidden": True,
                "deleted_ts": ts,
                "previous_message": message,
            }
            self.happened("message", channel=message["channel"], ts=self.next_ts(), **told)

    def uninstall(self) -> None:
        """An admin removes the app from the workspace."""
        self.kill()
        self.happened("app_uninstalled")
        self.happened("tokens_revoked", tokens={"oauth": [], "bot": [BOT_USER]})

    def limit_events(self) -> None:
        """More than 30,000 in an hour: Slack leaves some out, and says so."""
        told = {"team_id": TEAM["id"], "minute_rate_limited": int(time.time()), "api_app_id": APP}
        self.call({"token": "an-old-token", "type": "app_rate_limited", **told})

    # --- events: https://docs.slack.dev/apis/events-api

    def happened(self, kind: str, **event: object) -> None:
        envelope = {
            "token": "an-old-token",
            "team_id": TEAM["id"],
            "api_app_id": APP,
            "event": {"type": kind, "event_ts": self.next_ts(), **event},
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": TEAM["id"], "user_id": BOT_USER, "is_bot": True}],
        }
        if self.events_url:
            self.call(envelope)

    def call(self, said: Fields) -> Sent:
        body, now = json.dumps(said).encode(), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        headers |= {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature(body, now)}
        return self.outgoing.post(self.events_url, body, headers)

    def repeat(self, number: int = -1, reason: str = "http_timeout") -> None:
        """Send an event once more, signed anew, as after an answer that did not come in time."""
        old, now = self.outgoing.sent[number], str(int(time.time()))
        headers = dict(old.headers) | {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": reason}
        headers |= {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature(old.body, now)}
        self.outgoing.post(old.url, old.body, headers)

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
            "app_id": APP,
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
        self.people = [person("alice"), person("bob"), person("navi", is_bot=True)]
        self.messages: list[Fields] = []
        self.written = 0
        self.outgoing = Outgoing()
        self.events_url = ""

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
        return found if is_person else found | {"bot_id": BOT}

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
        found = self.channel(form.get("channel", ""))
        if not form.get("text") and form.get("blocks", "[]") == "[]":
            raise No("no_text")
        if not found["is_member"] and not includes(self.scopes_of(key) or (), "chat:write.public"):
            raise No("not_in_channel")
        message = by_the_app(form.get("text", ""))
        message |= {"blocks": json.loads(form["blocks"])} if form.get("blocks") else {}
        made = self.written_down(found["id"], message, form.get("thread_ts"))
        return {"channel": found["id"], "ts": made["ts"], "message": shown(made)}

    def update_message(self, key: str, form: Form) -> Fields:
        found, message = self.channel(form.get("channel", "")), self.message(form.get("ts", ""))
        if message.get("bot_id") != BOT:
            raise No("cant_update_message")
        self.changed(message, form.get("text", ""))
        return {
            "channel": found["id"],
            "ts": message["ts"],
            "text": message["text"],
            "message": shown(message),
        }

    def add_reaction(self, key: str, form: Form) -> Fields:
        message, name = self.message(form.get("timestamp", "")), form.get("name", "")
        reactions = message.setdefault("reactions", [])
        if any(one["name"] == name for one in reactions):
            raise No("already_reacted")
        reactions.append({"name": name, "count": 1, "users": [BOT_USER]})
        item = {"type": "message", "channel": message["channel"], "ts": message["ts"]}
        self.happened("reaction_added", user=BOT_USER, reaction=name, item=item)
        return {}

    def join(self, key: str, form: Form) -> Fields:
        found = self.channel(form.get("channel", ""))
        if found["is_private"]:
            raise No("method_not_supported_for_channel_type")
        found["is_member"] = True
        return {"channel": found}

    def history(self, key: str, form: Form) -> Fields:
        """The newest first, without what was said in threads; `oldest` and `latest` are left out themselves."""
        found = self.readable(key, form)
        oldest, latest = float(form.get("oldest") or 0), float(form.get("latest") or "inf")
        seen = [
            shown(one)
            for one in reversed(self.messages)
            if one["channel"] == found["id"]
            and one.get("thread_ts") in (None, one["ts"])
            and oldest < float(one["ts"]) < latest
        ]
        return self.paged(form, "messages", seen)

    def replies(self, key: str, form: Form) -> Fields:
        found = self.readable(key, form)
        ts = form.get("ts", "")
        seen = [
            shown(one)
            for one in self.messages
            if one["channel"] == found["id"] and ts in (one["ts"], one.get("thread_ts"))
        ]
        if not seen:
            raise No("thread_not_found")
        return self.paged(form, "messages", seen)

    def readable(self, key: str, form: Form) -> Fields:
        found = self.channel(form.get("channel", ""))
        scope = "groups:history" if found["is_private"] else "channels:history"
        if not includes(self.scopes_of(key) or (), scope):
            raise No("missing_scope", needed=scope, provided=",".join(self.scopes_of(key) or ()))
        if not found["is_member"]:
            raise No("not_in_channel")
        return found

    def list_users(self, key: str, form: Form) -> Fields:
        return self.paged(form, "members", [self.seen_person(key, one) for one in self.people]) | {
            "cache_ts": 0
        }

    def find_user(self, key: str, form: Form) -> Fields:
        found = [one for one in self.people if one["profile"].get("email") == form.get("email")]
        if not found:
            raise No("users_not_found")
        return {"user": self.seen_person(key, found[0])}

    def seen_person(self, key: str, found: Fields) -> Fields:
        return found if includes(self.scopes_of(key) or (), "users:read.email") else without_email(found)

    def search(self, key: str, form: Form) -> Fields:
        pair = self.pair_of(key)
        if pair is None or pair.kind != "user":
            raise No("not_allowed_token_type")
        names = {one["id"]: one["name"] for one in self.channels}
        matches = [
            shown(one)
            | {
                "channel": {"id": one["channel"], "name": names[one["channel"]]},
                "permalink": f"https://navi-test.slack.com/archives/{one['channel']}/p{one['ts'].replace('.', '')}",
            }
            for one in self.messages
            if form.get("query", "").lower() in one["text"].lower()
        ]
        return {"query": form.get("query", ""), "messages": {"total": len(matches), "matches": matches}}

    # --- what is written

    def channel(self, name: str) -> Fields:
        found = [one for one in self.channels if name in (one["id"], f"#{one['name']}")]
        if not found:
            raise No("channel_not_found")
        return found[0]

    def message(self, ts: str) -> Fields:
        found = [one for one in self.messages if one["ts"] == ts]
        if not found:
            raise No("message_not_found")
        return found[0]

    def next_ts(self) -> str:
        self.written += 1
        return f"{FIRST_TS + self.written - 1}.000100"

    def written_down(self, channel: str, message: Fields, thread_ts: str | None) -> Fields:
        made = message | {"ts": self.next_ts(), "team": TEAM["id"]}
        if thread_ts:
            made["thread_ts"] = thread_ts
            first = [one for one in self.messages if one["ts"] == thread_ts]
            for one in first:
                one |= {"thread_ts": thread_ts, "reply_count": one.get("reply_count", 0) + 1}
        self.messages.append(made | {"channel": channel})
        kind = "group" if channel == PRIVATE else "channel"
        self.happened(
            "message", channel=channel, channel_type=kind, **{k: v for k, v in made.items() if k != "type"}
        )
        return self.messages[-1]

    def changed(self, message: Fields, text: str) -> None:
        before = shown(message)
        message |= {"text": text, "edited": {"user": message["user"], "ts": self.next_ts()}}
        told = {
            "subtype": "message_changed",
            "hidden": True,
            "message": shown(message),
            "previous_message": before,
        }
        self.happened("message", channel=message["channel"], ts=self.next_ts(), **told)

    def paged(self, form: Form, name: str, things: list[Fields]) -> Fields:
        start, limit = self.place(form.get("cursor", "")), int(form.get("limit") or 100)
        rest = len(things) > start + limit
        cursor = f"dGVhbTpD{start + limit}=" if rest else ""
        found: Fields = {name: things[start : start + limit], "response_metadata": {"next_cursor": cursor}}
        return found | ({"has_more": rest} if name == "messages" else {})


Act = Callable[[SlackStandin, str, Form], Fields]

METHODS: dict[str, tuple[Act | None, str]] = {
    "auth.test": (SlackStandin.auth_test, ""),
    "auth.revoke": (SlackStandin.auth_revoke, ""),
    "conversations.list": (SlackStandin.list_channels, "channels:read"),
    "chat.postMessage": (SlackStandin.post_message, "chat:write"),
    "chat.update": (SlackStandin.update_message, "chat:write"),
    "conversations.history": (SlackStandin.history, ""),
    "conversations.join": (SlackStandin.join, "channels:join"),
    "conversations.replies": (SlackStandin.replies, ""),
    "reactions.add": (SlackStandin.add_reaction, "reactions:write"),
    "search.messages": (SlackStandin.search, ""),
    "users.list": (SlackStandin.list_users, "users:read"),
    "users.lookupByEmail": (SlackStandin.find_user, "users:read.email"),
}


def shown(message: Fields) -> Fields:
    """As a channel's history tells it: without the channel."""
    return {name: value for name, value in message.items() if name != "channel"}


def signature(body: bytes, timestamp: str) -> str:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return f"v0={hmac.new(SIGNING_SECRET.encode(), signed, hashlib.sha256).hexdigest()}"


if __name__ == "__main__":
    run(SlackStandin)
