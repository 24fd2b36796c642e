"""A Notion on this machine: OAuth with JSON bodies, the bot, search and pages, over one workspace in memory.

Run it by hand: python -m tests.standins.notion --port 9005 --key ntn_0123456789abcdefghijABCDEFGHIJ
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from tests.standins.grants import Endpoint, OAuthProblem, OAuthStandin, Pair, bearer, shown_client
from tests.standins.server import Request, Response, answer_with, run

SECRET = "ntn_0123456789abcdefghijABCDEFGHIJ0123456789abcd"
VERSIONS = ("2021-05-13", "2022-06-28", "2025-09-03", "2026-03-11")
MARKDOWN_SINCE = "2026-03-11"
MOMENT = "2026-11-20T09:30:00.000Z"

Fields = dict[str, Any]


def id_for(name: str) -> str:
    return str(UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


WORKSPACE = {"id": id_for("workspace"), "name": "Navi Test"}
PLANS, RECIPES, DIARY, TASKS = (id_for(name) for name in ("plans", "recipes", "diary", "tasks"))


class Problem(Exception):
    """A refusal in Notion's shape."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self, headers: dict[str, str] | None = None) -> Response:
        body = {"object": "error", "status": self.status, "code": self.code, "message": self.message}
        return answer_with(self.status, body | {"request_id": str(uuid4())}, headers)


class NotionStandin(OAuthStandin):
    """A Notion on this machine. Diary is not shared with the connection."""

    keys = (SECRET,)
    authorize_path = "/v1/oauth/authorize"
    token_path = "/v1/oauth/token"
    encodings = frozenset({"json"})
    client_auths = frozenset({"basic"})
    lifetime = None
    old_tokens_work = False  # whether a used refresh token still serves is documented nowhere

    # --- the strings to pull

    def rate_limit_next(self, retry_after: int = 2, times: int = 1, status: int = 429) -> None:
        """Answer the next requests with Notion's 429, or its 529."""
        code = "rate_limited" if status == 429 else "service_overload"
        response = Problem(
            status, code, "You have been rate limited. Please try again in a few minutes."
        ).response()
        self.fail_next(status, response.body, {**response.headers, "Retry-After": str(retry_after)}, times)

    def refuse_next(self, status: int, code: str, message: str, times: int = 1) -> None:
        """Answer the next requests with this refusal in Notion's shape."""
        response = Problem(status, code, message).response()
        self.fail_next(status, response.body, response.headers, times)

    # --- OAuth: https://developers.notion.com/docs/authorization

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {
            ("POST", "/v1/oauth/revoke"): self.revoke,
            ("POST", "/v1/oauth/introspect"): self.introspect,
        }

    def answer(self, request: Request) -> Response:
        # The token endpoint wants a version like every other; only the browser brings none.
        version = request.headers["Notion-Version"]
        if request.path != self.authorize_path and version not in VERSIONS:
            words = (
                "Notion-Version header should be defined" if version is None else "Notion-Version is unknown"
            )
            code = "missing_version" if version is None else "validation_error"
            return Problem(400, code, words).response()
        return super().answer(request)

    def access_token(self, kind: str) -> str:
        return f"ntn_{secrets.token_hex(23)}"

    def refresh_token(self, kind: str) -> str:
        return f"nrt_{secrets.token_hex(23)}"

    def told(self, pair: Pair) -> Fields:
        return {
            "access_token": pair.access,
            "token_type": "bearer",
            "refresh_token": pair.refresh,
            "bot_id": bot_id(pair.grant.person),
            "workspace_id": WORKSPACE["id"],
            "workspace_name": WORKSPACE["name"],
            "workspace_icon": None,
            "owner": {"type": "user", "user": person_named(pair.grant.person)},
            "duplicated_template_id": None,
            "request_id": str(uuid4()),
        }

    def reused(self, pair: Pair) -> Response:
        if not self.old_tokens_work or pair.successor is None:
            return super().reused(pair)
        return answer_with(200, self.told(pair.successor))

    def refusal(self, problem: OAuthProblem) -> Response:
        error = {"bad_code": "invalid_grant", "bad_redirect_uri": "invalid_grant"}.get(
            problem.error, problem.error
        )
        return super().refusal(OAuthProblem(error, problem.description))

    def revoke(self, request: Request) -> Response:
        if shown_client(request, {})[1:] != (self.client_id, self.client_secret):
            return self.refusal(OAuthProblem("invalid_client"))
        self.end(str(request.json().get("token", "")), with_grant=True)
        return answer_with(200, {"request_id": str(uuid4())})

    def introspect(self, request: Request) -> Response:
        if shown_client(request, {})[1:] != (self.client_id, self.client_secret):
            return self.refusal(OAuthProblem("invalid_client"))
        is_active = self.pair_of(str(request.json().get("token", ""))) is not None
        return answer_with(200, {"active": is_active, "request_id": str(uuid4())})

    # --- the API

    def seed(self) -> None:
        self.pages = {
            PLANS: page(PLANS, "Plans for the garden"),
            RECIPES: page(RECIPES, "Recipes"),
            DIARY: page(DIARY, "Diary"),
        }
        self.data_sources = {TASKS: data_source(TASKS, "Tasks")}
        self.texts = {PLANS: "# Plans\n\nTulips *first*.", RECIPES: "Bread.", DIARY: "Private."}
        self.shared = {PLANS, RECIPES, TASKS}

    def api(self, request: Request) -> Response:
        try:
            if self.scopes_of(bearer(request)) is None:
                raise Problem(401, "unauthorized", "API token is invalid.")
            act, values = routed(request)
            return answer_with(200, act(self, request, *values))
        except Problem as problem:
            return problem.response()

    def get_me(self, request: Request) -> Fields:
        key = bearer(request)
        pair, owner = self.pair_of(key), {"type": "workspace", "workspace": True}
        if pair:
            owner = {"type": "user", "user": person_named(pair.grant.person)}
        return {
            "object": "user",
            "id": bot_id(pair.grant.person if pair else ""),
            "name": "Navi",
            "avatar_url": None,
            "type": "bot",
            "bot": {
                "owner": owner,
                "workspace_name": WORKSPACE["name"],
                "workspace_id": WORKSPACE["id"],
                "workspace_limits": {"max_file_upload_size_in_bytes": 5242880},
            },
            "request_id": str(uuid4()),
        }

    def search(self, request: Request) -> Fields:
        asked = request.json() if request.body else {}
        size, start = asked.get("page_size", 100), int(asked.get("start_cursor") or 0)
        if not 1 <= size <= 100:
            raise Problem(400, "validation_error", "body.page_size should be ≤ `100`")
        wanted = (asked.get("filter") or {}).get("value")
        everything = [*self.pages.values(), *self.data_sources.values()]
        found = [
            one
            for one in everything
            if one["id"] in self.shared
            and wanted in (None, one["object"])
            and asked.get("query", "").lower() in one["plain"].lower()
        ]
        rest = len(found) > start + size
        return {
            "object": "list",
            "results": [without_plain(one) for one in found[start : start + size]],
            "next_cursor": str(start + size) if rest else None,
            "has_more": rest,
            "type": "page_or_data_source",
            "page_or_data_source": {},
            "request_id": str(uuid4()),
        }

    def get_page(self, request: Request, id: str) -> Fields:
        return without_plain(self.shared_page(id)) | {"request_id": str(uuid4())}

    def get_markdown(self, request: Request, id: str) -> Fields:
        if str(request.headers["Notion-Version"]) < MARKDOWN_SINCE:
            raise Problem(400, "validation_error", f"This endpoint needs version {MARKDOWN_SINCE} or later.")
        found = self.shared_page(id)
        text = {"markdown": self.texts[found["id"]], "truncated": False, "unknown_block_ids": []}
        return {"object": "page_markdown", "id": found["id"], **text, "request_id": str(uuid4())}

    def shared_page(self, id: str) -> Fields:
        own = str(UUID(id)) if re.fullmatch(r"[0-9a-fA-F]{32}", id.replace("-", "")) else id
        if own not in self.pages or own not in self.shared:
            words = f"Could not find page with ID: {id}. Make sure the relevant pages are shared with it."
            raise Problem(404, "object_not_found", words)
        return self.pages[own]


Act = Callable[..., Fields]

ROUTES: list[tuple[str, str, Act]] = [
    ("GET", r"/users/me", NotionStandin.get_me),
    ("POST", r"/search", NotionStandin.search),
    ("GET", r"/pages/([^/]+)", NotionStandin.get_page),
    ("GET", r"/pages/([^/]+)/markdown", NotionStandin.get_markdown),
]


def routed(request: Request) -> tuple[Act, tuple[str, ...]]:
    for method, pattern, act in ROUTES:
        found = re.fullmatch(f"/v1{pattern}", request.path)
        if found and method == request.method:
            return act, found.groups()
    raise Problem(400, "invalid_request_url", "Invalid request URL.")


def bot_id(person: str) -> str:
    return id_for(f"bot {person}")


def person_named(name: str) -> Fields:
    return {
        "object": "user",
        "id": id_for(name),
        "name": name.capitalize(),
        "avatar_url": None,
        "type": "person",
        "person": {"email": f"{name}@example.org"},
    }


def without_plain(found: Fields) -> Fields:
    return {name: value for name, value in found.items() if name != "plain"}


def words(text: str) -> list[Fields]:
    return [{"type": "text", "text": {"content": text, "link": None}, "plain_text": text, "href": None}]


def page(id: str, title: str) -> Fields:
    slug = title.replace(" ", "-")
    return {
        "object": "page",
        "id": id,
        "created_time": MOMENT,
        "last_edited_time": MOMENT,
        "in_trash": False,
        "parent": {"type": "workspace", "workspace": True},
        "icon": None,
        "cover": None,
        "properties": {"title": {"id": "title", "type": "title", "title": words(title)}},
        "url": f"https://www.notion.so/{slug}-{id.replace('-', '')}",
        "public_url": None,
        "plain": title,
    }


def data_source(id: str, title: str) -> Fields:
    return {
        "object": "data_source",
        "id": id,
        "created_time": MOMENT,
        "last_edited_time": MOMENT,
        "in_trash": False,
        "parent": {"type": "database_id", "database_id": id_for("database")},
        "title": words(title),
        "description": [],
        "properties": {"Name": {"id": "title", "type": "title", "name": "Name", "title": {}}},
        "url": f"https://www.notion.so/{id.replace('-', '')}",
        "plain": title,
    }


if __name__ == "__main__":
    run(NotionStandin)
