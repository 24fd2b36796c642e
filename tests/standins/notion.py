"""A Notion on this machine: OAuth with JSON bodies, the bot, search and pages, over one workspace in memory.

Run it by hand: python -m tests.standins.notion --port 9005 --key ntn_0123456789abcdefghijABCDEFGHIJ
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from tests.standins.grants import Endpoint, OAuthProblem, OAuthStandin, Pair, bearer, shown_client
from tests.standins.notion_data import (
    DATABASE,
    DIARY,
    MOMENT,
    PEOPLE,
    PLANS,
    RECIPES,
    TASKS,
    WORKSPACE,
    Fields,
    block,
    bot_id,
    comment,
    data_source,
    database,
    id_for,
    page,
    person_named,
    title,
    title_of,
)
from tests.standins.outgoing import Outgoing, Sent
from tests.standins.server import Request, Response, answer_with, run

SECRET = "ntn_0123456789abcdefghijABCDEFGHIJ0123456789abcd"
VERSIONS = ("2021-05-13", "2022-06-28", "2025-09-03", "2026-03-11")
MARKDOWN_SINCE = "2026-03-11"


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
        self.databases = {DATABASE: database(DATABASE, "Tasks", TASKS)}
        self.texts = {PLANS: "# Plans\n\nTulips *first*.", RECIPES: "Bread.", DIARY: "Private."}
        self.shared = {PLANS, RECIPES, TASKS, DATABASE}
        self.blocks: dict[str, list[Fields]] = {}
        self.comments: list[Fields] = []
        self.minutes = 0
        self.outgoing = Outgoing()
        self.subscription = {"url": "", "token": "", "is_verified": False}

    def moment(self) -> str:
        """The moment of a change, a minute after the one before: Notion tells no seconds."""
        self.minutes += 1
        return f"{datetime.fromisoformat(MOMENT) + timedelta(minutes=self.minutes):%Y-%m-%dT%H:%M:00.000Z}"

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
        wanted = (asked.get("filter") or {}).get("value")
        everything = [*self.pages.values(), *self.data_sources.values()]
        found = [
            one
            for one in everything
            if one["id"] in self.shared
            and not one["in_trash"]
            and wanted in (None, one["object"])
            and asked.get("query", "").lower() in title_of(one).lower()
        ]
        is_up = (asked.get("sort") or {}).get("direction") == "ascending"
        found.sort(key=lambda one: one["last_edited_time"], reverse=not is_up)
        return self.listed(asked, found, "page_or_data_source")

    def listed(self, asked: Fields, things: list[Fields], kind: str) -> Fields:
        size, start = int(asked.get("page_size", 100)), place_of(asked.get("start_cursor"))
        if not 1 <= size <= 100:
            raise Problem(400, "validation_error", "body.page_size should be ≤ `100`")
        rest = len(things) > start + size
        return {
            "object": "list",
            "results": things[start : start + size],
            "next_cursor": str(start + size) if rest else None,
            "has_more": rest,
            "type": kind,
            kind: {},
            "request_id": str(uuid4()),
        }

    def get_page(self, request: Request, id: str) -> Fields:
        return self.shared_page(id) | {"request_id": str(uuid4())}

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

    # --- data sources

    def get_database(self, request: Request, id: str) -> Fields:
        return self.shared_thing(self.databases, id, "database") | {"request_id": str(uuid4())}

    def get_data_source(self, request: Request, id: str) -> Fields:
        return self.shared_thing(self.data_sources, id, "data source") | {"request_id": str(uuid4())}

    def query(self, request: Request, id: str) -> Fields:
        source, asked = self.shared_thing(self.data_sources, id, "data source"), request.json()
        rows = [
            one
            for one in self.pages.values()
            if one["parent"].get("data_source_id") == source["id"]
            and one["in_trash"] == asked.get("in_trash", False)
            and fits(one, asked.get("filter"), source["properties"])
        ]
        for sort in reversed(asked.get("sorts") or []):
            rows.sort(key=lambda one: sort_key(one, sort), reverse=sort["direction"] == "descending")
        return self.listed(asked, rows, "page_or_data_source")

    # --- writing

    def create_page(self, request: Request) -> Fields:
        wanted = request.json()
        parent, children = wanted["parent"], wanted.get("children") or []
        check_blocks(children)
        if "data_source_id" in parent:
            source = self.shared_thing(self.data_sources, parent["data_source_id"], "data source")
            values = valued(wanted["properties"], source["properties"])
            parent = {"type": "data_source_id", "data_source_id": source["id"], "database_id": DATABASE}
        else:
            values = valued(wanted["properties"], {"title": {"id": "title", "type": "title"}})
            parent = {"type": "page_id", "page_id": self.shared_page(parent["page_id"])["id"]}
        made = page(str(uuid4()), title_of({"properties": values}), parent, values)
        made["created_time"] = made["last_edited_time"] = self.moment()
        self.add_page(made)
        self.blocks[made["id"]] = [block(made["id"], child) for child in children]
        self.happened(request, "page.created", made)
        return made | {"request_id": str(uuid4())}

    def add_page(self, made: Fields) -> None:
        self.pages[made["id"]] = made
        self.texts[made["id"]] = ""
        self.shared.add(made["id"])

    def update_page(self, request: Request, id: str) -> Fields:
        found, wanted = self.shared_page(id), request.json()
        columns = {name: {"id": one["id"], "type": one["type"]} for name, one in found["properties"].items()}
        found["properties"] |= valued(wanted.get("properties") or {}, columns)
        was, found["in_trash"] = found["in_trash"], wanted.get("in_trash", found["in_trash"])
        found["last_edited_time"] = self.moment()
        kinds = {(False, True): "page.deleted", (True, False): "page.undeleted"}
        self.happened(request, kinds.get((was, found["in_trash"]), "page.properties_updated"), found)
        return found | {"request_id": str(uuid4())}

    def append(self, request: Request, id: str) -> Fields:
        found, children = self.shared_page(id), request.json()["children"]
        check_blocks(children)
        made = [block(found["id"], child) for child in children]
        self.blocks.setdefault(found["id"], []).extend(made)
        found["last_edited_time"] = self.moment()
        self.happened(request, "page.content_updated", found)
        return self.listed({}, made, "block")

    def list_blocks(self, request: Request, id: str) -> Fields:
        return self.listed(request.query, self.blocks.get(self.shared_page(id)["id"], []), "block")

    # --- comments and people

    def list_comments(self, request: Request) -> Fields:
        id = self.shared_page(request.query.get("block_id", ""))["id"]
        found = [one for one in self.comments if one["parent"]["page_id"] == id]
        return self.listed(request.query, found, "comment")

    def create_comment(self, request: Request) -> Fields:
        wanted = request.json()
        thread = [one for one in self.comments if one["discussion_id"] == wanted.get("discussion_id")]
        if "discussion_id" in wanted and not thread:
            raise Problem(404, "object_not_found", "Could not find discussion.")
        id = thread[0]["parent"]["page_id"] if thread else self.shared_page(wanted["parent"]["page_id"])["id"]
        author = self.get_me(request)["id"]
        made = comment(
            id, wanted.get("discussion_id") or str(uuid4()), wanted["rich_text"], author, self.moment()
        )
        self.comments.append(made)
        entity = {"id": made["id"], "type": "comment"}
        self.call("comment.created", entity, {"page_id": id, "parent": {"id": id, "type": "page"}}, author)
        return made | {"request_id": str(uuid4())}

    def list_users(self, request: Request) -> Fields:
        people = [person_named(name) for name in PEOPLE]
        bot = {name: value for name, value in self.get_me(request).items() if name != "request_id"}
        return self.listed(request.query, [*people, bot], "user")

    def shared_thing(self, things: dict[str, Fields], id: str, kind: str) -> Fields:
        own = str(UUID(id)) if re.fullmatch(r"[0-9a-fA-F]{32}", id.replace("-", "")) else id
        if own not in things or own not in self.shared:
            words = f"Could not find {kind} with ID: {id}. Make sure the relevant pages are shared with it."
            raise Problem(404, "object_not_found", words)
        return things[own]

    # --- webhooks: https://developers.notion.com/reference/webhooks

    def subscribe(self, url: str) -> Sent:
        """Somebody creates a subscription: Notion sends its token once, unsigned."""
        token = f"secret_{secrets.token_hex(20)}"
        self.subscription = {"url": url, "token": token, "is_verified": False}
        body = json.dumps({"verification_token": token}).encode()
        sent = self.outgoing.post(url, body, {"Content-Type": "application/json", "User-Agent": "Notion"})
        self.outgoing.settle()
        return sent

    def verify(self, token: str) -> bool:
        """The person pastes the token into Notion's page."""
        self.subscription["is_verified"] = token == self.subscription["token"]
        return bool(self.subscription["is_verified"])

    def edit(self, id: str, name: str, person: str = "alice") -> None:
        """A person renames a page."""
        with self._turn:
            found = self.pages[id]
            key = next(key for key, one in found["properties"].items() if one["type"] == "title")
            found["properties"][key] = title(name)
            found["last_edited_time"] = self.moment()
            self.about_page("page.properties_updated", found, id_for(person))

    def trash(self, id: str, person: str = "alice") -> None:
        """A person throws a page away."""
        with self._turn:
            self.pages[id] |= {"in_trash": True, "last_edited_time": self.moment()}
            self.about_page("page.deleted", self.pages[id], id_for(person))

    def happened(self, request: Request, kind: str, found: Fields) -> None:
        self.about_page(kind, found, self.get_me(request)["id"])

    def about_page(self, kind: str, found: Fields, author: str) -> None:
        parent = found["parent"]
        told = {
            "id": parent.get("page_id", WORKSPACE["id"]),
            "type": "page" if "page_id" in parent else "space",
        }
        if "data_source_id" in parent:
            told = {"id": DATABASE, "type": "database", "data_source_id": parent["data_source_id"]}
        self.call(kind, {"id": found["id"], "type": "page"}, {"parent": told}, author)

    def call(self, kind: str, entity: Fields, data: Fields, author: str) -> None:
        if not self.subscription["is_verified"]:
            return
        event = {
            "id": str(uuid4()),
            "timestamp": self.moment(),
            "workspace_id": WORKSPACE["id"],
            "workspace_name": WORKSPACE["name"],
            "subscription_id": id_for("subscription"),
            "integration_id": id_for("integration"),
            "authors": [{"id": author, "type": "person" if author in map(id_for, PEOPLE) else "bot"}],
            "attempt_number": 1,
            "api_version": "2026-03-11",
            "entity": entity,
            "type": kind,
            "data": data,
        }
        self.post(json.dumps(event).encode())

    def repeat(self, number: int = -1) -> None:
        """Send an event once more, as after an answer that did not come; its id stays, the count grows."""
        event = json.loads(self.outgoing.sent[number].body)
        self.post(json.dumps(event | {"attempt_number": event["attempt_number"] + 1}).encode())

    def post(self, body: bytes) -> None:
        key = str(self.subscription["token"]).encode()
        proof = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        headers = {"Content-Type": "application/json", "User-Agent": "Notion", "X-Notion-Signature": proof}
        self.outgoing.post(str(self.subscription["url"]), body, headers)


Act = Callable[..., Fields]

ROUTES: list[tuple[str, str, Act]] = [
    ("GET", r"/users/me", NotionStandin.get_me),
    ("POST", r"/search", NotionStandin.search),
    ("GET", r"/pages/([^/]+)", NotionStandin.get_page),
    ("GET", r"/pages/([^/]+)/markdown", NotionStandin.get_markdown),
    ("POST", r"/pages", NotionStandin.create_page),
    ("PATCH", r"/pages/([^/]+)", NotionStandin.update_page),
    ("GET", r"/blocks/([^/]+)/children", NotionStandin.list_blocks),
    ("PATCH", r"/blocks/([^/]+)/children", NotionStandin.append),
    ("GET", r"/databases/([^/]+)", NotionStandin.get_database),
    ("GET", r"/data_sources/([^/]+)", NotionStandin.get_data_source),
    ("POST", r"/data_sources/([^/]+)/query", NotionStandin.query),
    ("GET", r"/comments", NotionStandin.list_comments),
    ("POST", r"/comments", NotionStandin.create_comment),
    ("GET", r"/users", NotionStandin.list_users),
]


def routed(request: Request) -> tuple[Act, tuple[str, ...]]:
    for method, pattern, act in ROUTES:
        found = re.fullmatch(f"/v1{pattern}", request.path)
        if found and method == request.method:
            return act, found.groups()
    raise Problem(400, "invalid_request_url", "Invalid request URL.")


def place_of(cursor: str | None) -> int:
    if cursor and not cursor.isdecimal():
        raise Problem(400, "validation_error", "The start_cursor provided is invalid.")
    return int(cursor or 0)


def valued(wanted: Fields, columns: Fields) -> Fields:
    """Values under the names of their columns, which may be given by id."""
    names = {column["id"]: name for name, column in columns.items()}
    found: Fields = {}
    for key, value in wanted.items():
        name = names.get(key, key)
        if name not in columns:
            raise Problem(400, "validation_error", f"{key} is not a property that exists.")
        kind = columns[name]["type"]
        if kind not in value:
            raise Problem(400, "validation_error", f"{key} is expected to be {kind}.")
        inner = value[kind]
        if kind == "title":
            inner = title("".join(part["text"]["content"] for part in inner))["title"]
        found[name] = {"id": columns[name]["id"], "type": kind, kind: inner}
    return found


def check_blocks(children: list[Fields]) -> None:
    if len(children) > 100:
        raise Problem(400, "validation_error", "body.children.length should be ≤ `100`")
    pieces = [part for child in children for part in child[child["type"]].get("rich_text", [])]
    if any(len(part["text"]["content"]) > 2000 for part in pieces):
        raise Problem(400, "validation_error", "text.content.length should be ≤ `2000`")


def fits(found: Fields, wanted: Fields | None, columns: Fields) -> bool:
    """The few filters that are understood here; anything else is refused."""
    if not wanted:
        return True
    for word, all_or_any in (("and", all), ("or", any)):
        if word in wanted:
            return all_or_any(fits(found, one, columns) for one in wanted[word])
    if wanted.get("timestamp") == "last_edited_time":
        return bool(found["last_edited_time"] >= wanted["last_edited_time"]["on_or_after"])
    name = wanted.get("property", "")
    if name not in columns:
        raise Problem(400, "validation_error", f"Could not find property with name or id: {name}")
    value, kind = found["properties"][name], columns[name]["type"]
    if kind == "checkbox" and "checkbox" in wanted:
        return bool(value["checkbox"] == wanted["checkbox"]["equals"])
    if kind == "select" and "select" in wanted:
        return bool((value["select"] or {}).get("name") == wanted["select"]["equals"])
    raise Problem(400, "validation_error", "body.filter is not understood.")


def sort_key(found: Fields, sort: Fields) -> str:
    if "timestamp" in sort:
        return str(found[sort["timestamp"]])
    value = found["properties"].get(sort["property"])
    if value is None:
        raise Problem(400, "validation_error", f"Could not find sort property: {sort['property']}")
    return title_of(found) if value["type"] == "title" else json.dumps(value[value["type"]])


if __name__ == "__main__":
    run(NotionStandin)
