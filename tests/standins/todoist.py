"""A Todoist on this machine: API v1 as documented, with Alice's account in memory.

Run it by hand: python -m tests.standins.todoist --port 9001 --key 0123456789abcdef0123456789abcdef01234567
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.standins.grants import Endpoint, OAuthProblem, OAuthStandin, Pair, fields_of, shown_client
from tests.standins.outgoing import Sent, deliver
from tests.standins.server import CONTROL, Request, Response, answer_with, run
from tests.standins.todoist_account import Account
from tests.standins.todoist_data import (
    ALICES_ID,
    GARDEN,
    HOME,
    INBOX,
    INVOICE,
    MILK,
    READING,
    SHELF,
    TULIPS,
    WORK,
    Fields,
    Problem,
    check_request_id,
    check_task,
    deadline_of,
    due_of,
    duration_of,
    forbidden,
    includes,
    json_object,
    missing,
    now,
    page,
    parsed_filter,
    somebody,
    unauthorized,
    unknown,
    wrong,
)
from tests.standins.todoist_sync import Ledger, asked_of

__all__ = ["ALICES_ID", "GARDEN", "HOME", "INBOX", "INVOICE", "KEY", "MILK", "READING", "SHELF", "TULIPS", "WORK",
           "TodoistStandin"]  # fmt: skip

KEY = "0123456789abcdef0123456789abcdef01234567"
STRINGS = {"forget_sync_tokens", "send_webhook"}


class TodoistStandin(OAuthStandin):
    """A Todoist on this machine."""

    keys = (KEY,)
    token_path = "/oauth/access_token"
    separator = ","
    reuse_grace = 60.0
    is_legacy = False  # an app from before refresh tokens
    webhook_version = "10"  # the reference's; the official client of 2026 takes "1" only
    tells_mapping_again = True  # whether a command that is repeated says what the first one made

    # OAuth: https://developer.todoist.com/api/v1 (Authorization)

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {
            ("POST", "/api/v1/revoke"): self.revoke,
            ("DELETE", "/api/v1/access_tokens"): self.delete_access_token,
        }

    def issue(self, *args: Any, **options: Any) -> Pair:
        self.lifetime, self.can_refresh = (315360000, False) if self.is_legacy else (3600, True)
        return super().issue(*args, **options)

    def told(self, pair: Pair) -> Fields:
        found = {"access_token": pair.access, "token_type": "Bearer", "expires_in": self.lifetime}
        if pair.refresh:
            found |= {"refresh_token": pair.refresh, "scope": ",".join(pair.scopes)}
        return found

    def reused(self, pair: Pair) -> Response:
        """For a minute the same access token without a refresh token; later all of this person's tokens end."""
        if pair.successor is None or self.since_use(pair) > self.reuse_grace:
            self.kill(pair.grant.person)
            raise OAuthProblem("invalid_grant")
        told = self.told(pair.successor)
        return answer_with(200, {name: value for name, value in told.items() if name != "refresh_token"})

    def refusal(self, problem: OAuthProblem) -> Response:
        words = {"bad_code": "bad_authorization_code", "bad_redirect_uri": "bad_authorization_code"}
        if problem.error == "invalid_client":
            return answer_with(400, {"error": "incorrect_application_credentials"})
        return answer_with(400, {"error": words.get(problem.error, problem.error)})

    def revoke(self, request: Request) -> Response:
        form = self.form_of(request)
        if shown_client(request, form) != ("basic", self.client_id, self.client_secret):
            return answer_with(401, {"error": "invalid_client"})
        self.end(form.get("token", ""), with_grant=True)
        return answer_with(200, {})  # RFC 7009: an unknown token is no error.

    def delete_access_token(self, request: Request) -> Response:
        asked = request.query
        if (asked.get("client_id"), asked.get("client_secret")) != (self.client_id, self.client_secret):
            return answer_with(400, {"error": "incorrect_application_credentials"})
        self.end(asked.get("access_token", ""), with_grant=True)
        return Response(204)

    def rate_limit_next(self, retry_after: int = 66, times: int = 1) -> None:
        """Answer the next requests with Todoist's 429."""
        error = "Too many requests. Limits reached. Try again later"
        refusal = Problem(429, error, 35, "LIMITS_REACHED", retry_after=retry_after)
        response = refusal.response({"Retry-After": str(retry_after)})
        self.fail_next(response.status, response.body, response.headers, times)

    def forget_sync_tokens(self) -> None:
        """From now on each token given out so far is answered with everything, and full_sync true."""
        self.ledger.forget()

    def send_webhook(
        self, url: str, event: str = "item:updated", id: str = MILK, *, person: str = "alice", delivery: str = "",
        secret: str = "", data: Fields | None = None,
    ) -> Fields:  # fmt: skip
        """Call an address as Todoist does, signed with the app's client secret; what was sent and answered."""
        who = self.user_of(person)
        said: Fields = {
            "event_name": event,
            "user_id": who["id"],
            "event_data": data or self.thing(event, id),
            "initiator": {"id": who["id"], "email": who["email"], "full_name": who["full_name"],
                          "image_id": None, "is_premium": False},
            "triggered_at": now(),
            "version": self.webhook_version,
        }  # fmt: skip
        if event == "item:updated":
            said["event_data_extra"] = {"old_item": said["event_data"], "update_intent": "item_updated"}
        body = json.dumps(said).encode()
        headers = self.signed(body, secret or self.client_secret)
        headers["X-Todoist-Delivery-ID"] = delivery or str(uuid4())
        sent = Sent(url, headers, body)
        deliver(sent)
        return {"status": sent.status, "delivery": headers["X-Todoist-Delivery-ID"], "body": body.decode()}

    @staticmethod
    def signed(body: bytes, secret: str) -> dict[str, str]:
        digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        kind = {"Content-Type": "application/json", "User-Agent": "Todoist-Webhooks"}
        return {**kind, "X-Todoist-Hmac-SHA256": digest}

    def thing(self, event: str, id: str) -> Fields:
        kinds = {"item": self.tasks, "project": self.projects, "section": self.account.sections,
                 "label": self.account.labels, "note": self.account.comments}  # fmt: skip
        return kinds.get(event.partition(":")[0], {}).get(id, {"id": id, "is_deleted": True})

    def user_of(self, person: str) -> Fields:
        return self.account.user if person == "alice" else self.account.user | somebody(person)

    def seed(self) -> None:
        self.account = Account()
        self.ledger = Ledger()

    @property
    def tasks(self) -> dict[str, Fields]:
        return self.account.tasks

    @property
    def projects(self) -> dict[str, Fields]:
        return self.account.projects

    def api(self, request: Request) -> Response:
        kind, _, key = (request.headers["Authorization"] or "").partition(" ")
        scopes = self.scopes_of(key)
        if scopes is None or kind != "Bearer":
            return unauthorized()
        try:
            act, scope, values = route(request)
            if scope and not includes(scopes, scope):
                return forbidden(scope)
            check_request_id(request)
            return answer_with(200, act(self, request, *values))
        except Problem as problem:
            return problem.response()

    def _pull_string(self, request: Request) -> Response:
        name = request.path.removeprefix(CONTROL)
        if name not in STRINGS:
            return super()._pull_string(request)
        done = getattr(self, name)(**(request.json() if request.body else {}))
        return answer_with(200, {"done": name, "result": done})

    # One method for each endpoint; what it returns is the body.

    def sync(self, request: Request) -> Fields:
        key = (request.headers["Authorization"] or "").partition(" ")[2]
        scopes = self.scopes_of(key) or frozenset()
        token, kinds, commands = asked_of(request, fields_of(request) or {})
        self.ledger.tells_mapping_again = self.tells_mapping_again
        written = self.ledger.carry_out(self.account, commands, scopes) if commands else {}
        if kinds and not includes(scopes, "data:read"):
            raise Problem(403, "Forbidden", 479, "FORBIDDEN", explanation="Needs scope data:read")
        return self.ledger.read(self.account, token, kinds) | written

    def get_user(self, request: Request) -> Fields:
        return self.user_of(self.person_of((request.headers["Authorization"] or "").partition(" ")[2]))

    def list_projects(self, request: Request) -> Fields:
        return page(request, [each for each in self.projects.values() if not each["is_archived"]])

    def get_project(self, request: Request, id: str) -> Fields:
        return self.account.found(self.projects, "Project", id)

    def add_project(self, request: Request) -> Fields:
        wanted = json_object(request)
        if not wanted.get("name"):
            raise missing("name")
        return self.account.add_project(wanted["name"])

    def delete_project(self, request: Request, id: str) -> None:
        self.account.delete_project(id)

    def archive_project(self, request: Request, id: str) -> Fields:
        return self.get_project(request, id) | self.archived(id, is_archived=True)

    def unarchive_project(self, request: Request, id: str) -> Fields:
        return self.get_project(request, id) | self.archived(id, is_archived=False)

    def archived(self, id: str, *, is_archived: bool) -> Fields:
        self.projects[id] |= {"is_archived": is_archived, "updated_at": now()}
        return self.projects[id]

    def list_sections(self, request: Request) -> Fields:
        return page(request, narrowed(self.account.sections, request, ("project_id",)))

    def add_section(self, request: Request) -> Fields:
        wanted = json_object(request)
        return self.account.add_section(wanted.get("name", ""), wanted.get("project_id", ""))

    def list_labels(self, request: Request) -> Fields:
        return page(request, list(self.account.labels.values()))

    def add_label(self, request: Request) -> Fields:
        return self.account.add_label(json_object(request).get("name", ""))

    def list_comments(self, request: Request) -> Fields:
        asked = request.query
        if ("task_id" in asked) == ("project_id" in asked):
            raise wrong("task_id", "Exactly one of task_id and project_id")
        place = ("item_id", asked["task_id"]) if "task_id" in asked else ("project_id", asked["project_id"])
        return page(request, [one for one in self.account.comments.values() if one.get(place[0]) == place[1]])

    def add_comment(self, request: Request) -> Fields:
        wanted = json_object(request)
        return self.account.add_comment(
            wanted.get("content", ""), task_id=wanted.get("task_id"), project_id=wanted.get("project_id")
        )

    def get_comment(self, request: Request, id: str) -> Fields:
        return self.account.found(self.account.comments, "Comment", id)

    def delete_comment(self, request: Request, id: str) -> None:
        self.account.delete_comment(id)

    def list_tasks(self, request: Request) -> Fields:
        asked = request.query
        ids = asked["ids"].split(",") if "ids" in asked else None
        tasks = {task["id"]: task for task in self.account.active_tasks()}
        return page(
            request,
            [
                task
                for task in narrowed(tasks, request, ("project_id", "section_id", "parent_id"))
                if ("label" not in asked or asked["label"] in task["labels"])
                and (ids is None or task["id"] in ids)
            ],
        )

    def filter_tasks(self, request: Request) -> Fields:
        query = request.query.get("query", "")
        if not 1 <= len(query) <= 1024:
            raise wrong("query", "String should have 1 to 1024 characters")
        wanted = parsed_filter(query, {each["name"]: id for id, each in self.projects.items()})
        return page(request, [task for task in self.account.active_tasks() if wanted(task)])

    def list_completed(self, request: Request) -> Fields:
        asked = request.query
        for name in ("since", "until"):
            if name not in asked:
                raise missing(name)
        done = {task["id"]: task for task in self.account.completed_between(asked["since"], asked["until"])}
        return page(request, narrowed(done, request, ("project_id", "section_id", "parent_id")), "items")

    def get_task(self, request: Request, id: str) -> Fields:
        return self.account.task(id)

    def add_task(self, request: Request) -> Fields:
        wanted = json_object(request)
        check_task(wanted)
        return self.account.add_task(
            content=wanted["content"],
            description=wanted.get("description", ""),
            project_id=wanted.get("project_id", INBOX),
            section_id=wanted.get("section_id"),
            parent_id=wanted.get("parent_id"),
            labels=wanted.get("labels", []),
            priority=wanted.get("priority", 1),
            responsible_uid=wanted.get("assignee_id"),
            due=due_of(wanted),
            deadline=deadline_of(wanted),
            duration=duration_of(wanted),
        )

    def quick_add(self, request: Request) -> Fields:
        """Reads #project, @label and p1 to p4 out of the line; not dates."""
        wanted = json_object(request)
        if not wanted.get("text"):
            raise missing("text")
        words = str(wanted["text"]).split()
        ids = {each["name"]: id for id, each in self.projects.items()}
        projects = [ids[word[1:]] for word in words if word[0] == "#" and word[1:] in ids]
        labels = [word[1:] for word in words if word[0] == "@"]
        urgency = [5 - int(word[1]) for word in words if re.fullmatch("p[1-4]", word)]
        plain = [word for word in words if word[0] not in "#@" and not re.fullmatch("p[1-4]", word)]
        made = self.account.add_task(
            content=" ".join(plain),
            project_id=(projects or [INBOX])[0],
            labels=labels,
            priority=(urgency or [1])[0],
        )
        if wanted.get("note"):
            self.account.add_comment(wanted["note"], task_id=made["id"])
        return made

    def update_task(self, request: Request, id: str) -> Fields:
        wanted = json_object(request)
        plain: Fields = {
            name: wanted[name] for name in ("content", "description", "labels", "priority") if name in wanted
        }
        if "assignee_id" in wanted:
            plain["responsible_uid"] = wanted["assignee_id"]
        if wanted.get("due_string") == "no date":
            plain["due"] = None
        elif due_of(wanted):
            plain["due"] = due_of(wanted)
        if deadline_of(wanted):
            plain["deadline"] = deadline_of(wanted)
        return self.account.change_task(id, plain)

    def move_task(self, request: Request, id: str) -> Fields:
        return self.account.move_task(id, json_object(request))

    def close_task(self, request: Request, id: str) -> None:
        self.account.close_task(id)

    def reopen_task(self, request: Request, id: str) -> None:
        self.account.reopen_task(id)

    def delete_task(self, request: Request, id: str) -> None:
        self.account.delete_task(id)


def narrowed(things: dict[str, Fields], request: Request, names: tuple[str, ...]) -> list[Fields]:
    asked = {name: request.query[name] for name in names if name in request.query}
    return [one for one in things.values() if all(one[name] == value for name, value in asked.items())]


Act = Callable[..., object]
READ, WRITE = "data:read", "data:read_write"

ROUTES: list[tuple[str, str, str, Act]] = [
    ("POST", r"/sync", "", TodoistStandin.sync),
    ("GET", r"/user", READ, TodoistStandin.get_user),
    ("GET", r"/projects", READ, TodoistStandin.list_projects),
    ("POST", r"/projects", WRITE, TodoistStandin.add_project),
    ("GET", r"/projects/([^/]+)", READ, TodoistStandin.get_project),
    ("DELETE", r"/projects/([^/]+)", "project:delete", TodoistStandin.delete_project),
    ("POST", r"/projects/([^/]+)/archive", WRITE, TodoistStandin.archive_project),
    ("POST", r"/projects/([^/]+)/unarchive", WRITE, TodoistStandin.unarchive_project),
    ("GET", r"/sections", READ, TodoistStandin.list_sections),
    ("POST", r"/sections", WRITE, TodoistStandin.add_section),
    ("GET", r"/labels", READ, TodoistStandin.list_labels),
    ("POST", r"/labels", WRITE, TodoistStandin.add_label),
    ("GET", r"/comments", READ, TodoistStandin.list_comments),
    ("POST", r"/comments", WRITE, TodoistStandin.add_comment),
    ("GET", r"/comments/([^/]+)", READ, TodoistStandin.get_comment),
    ("DELETE", r"/comments/([^/]+)", WRITE, TodoistStandin.delete_comment),
    ("GET", r"/tasks", READ, TodoistStandin.list_tasks),
    ("GET", r"/tasks/filter", READ, TodoistStandin.filter_tasks),
    ("GET", r"/tasks/completed/by_completion_date", READ, TodoistStandin.list_completed),
    ("GET", r"/tasks/([^/]+)", READ, TodoistStandin.get_task),
    ("POST", r"/tasks", "task:add", TodoistStandin.add_task),
    ("POST", r"/tasks/quick", "task:add", TodoistStandin.quick_add),
    ("POST", r"/tasks/([^/]+)", WRITE, TodoistStandin.update_task),
    ("POST", r"/tasks/([^/]+)/move", WRITE, TodoistStandin.move_task),
    ("POST", r"/tasks/([^/]+)/close", WRITE, TodoistStandin.close_task),
    ("POST", r"/tasks/([^/]+)/reopen", WRITE, TodoistStandin.reopen_task),
    ("DELETE", r"/tasks/([^/]+)", "data:delete", TodoistStandin.delete_task),
]


def route(request: Request) -> tuple[Act, str, tuple[str, ...]]:
    for method, pattern, scope, act in ROUTES:
        found = re.fullmatch(f"/api/v1{pattern}", request.path)
        if found and method == request.method:
            return act, scope, found.groups()
    raise unknown("Endpoint")


if __name__ == "__main__":
    run(TodoistStandin)
