"""The Sync endpoint of the Todoist stand-in: what changed since a token, and commands that run once."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any
from uuid import uuid4

from tests.standins.server import Request
from tests.standins.todoist_account import Account
from tests.standins.todoist_data import (
    Fields,
    Problem,
    checked_moment,
    due,
    due_said,
    includes,
    missing,
    next_date,
    wrong,
)

MOST_COMMANDS = 100
Kind = dict[str, Fields]
Snapshot = dict[str, Kind]


class Ledger:
    """What tokens have seen, and which commands were carried out."""

    def __init__(self) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.done: dict[str, tuple[str | None, str | None]] = {}  # uuid: temp_id, the id that it became
        self.tells_mapping_again = True

    # --- reading

    def read(self, account: Account, token: str, kinds: list[str]) -> Fields:
        """All there is for `*`, and for a token that was forgotten; else what differs from what it saw."""
        seen = self.snapshots.get(token) if token != "*" else None
        if seen is None and token != "*" and not token.startswith("sync-"):
            raise wrong("sync_token", "The sync token is invalid")
        there = snapshot_of(account)
        fresh = f"sync-{uuid4().hex}"
        self.snapshots[fresh] = there
        found = {kind: changed(kind, there[kind], seen and seen[kind]) for kind in kinds if kind in there}
        return {"sync_token": fresh, "full_sync": seen is None, "temp_id_mapping": {}, **deepcopy(found)}

    def forget(self) -> None:
        self.snapshots.clear()

    # --- writing

    def carry_out(self, account: Account, commands: list[Fields], scopes: frozenset[str]) -> Fields:
        if len(commands) > MOST_COMMANDS:
            raise wrong("commands", f"At most {MOST_COMMANDS} commands")
        status: Fields = {}
        mapping: dict[str, str] = {}
        for command in commands:
            uuid = command.get("uuid") or ""
            if uuid in self.done:
                status[uuid] = "ok"
                temp_id, id = self.done[uuid] if self.tells_mapping_again else (None, None)
            else:
                try:
                    temp_id, id = command.get("temp_id"), one(account, command, mapping, scopes)
                except Problem as problem:
                    status[uuid] = problem.body()
                    continue
                self.done[uuid], status[uuid] = (temp_id, id), "ok"
            if temp_id and id:
                mapping[temp_id] = id
        return {"sync_status": status, "temp_id_mapping": mapping}


def snapshot_of(account: Account) -> Snapshot:
    return deepcopy(
        {
            "items": account.tasks,
            "projects": account.projects,
            "sections": account.sections,
            "labels": account.labels,
            "notes": account.comments,
        }
    )


def changed(kind: str, there: Kind, seen: Kind | None) -> list[Fields]:
    if seen is None:
        # A first answer holds no completed tasks.
        return [thing for thing in there.values() if not (kind == "items" and thing["checked"])]
    news = [thing for id, thing in there.items() if seen.get(id) != thing]
    return news + [thing | {"is_deleted": True} for id, thing in seen.items() if id not in there]


def one(account: Account, command: Fields, mapping: Mapping[str, str], scopes: frozenset[str]) -> str | None:
    """Carry out one command; the id of what it made."""
    if not command.get("uuid"):
        raise missing("uuid")
    kind = command.get("type", "")
    if kind not in COMMANDS:
        raise wrong("type", "Unknown command")
    scope, act = COMMANDS[kind]
    if not includes(scopes, scope):
        raise Problem(403, "Forbidden", 479, "FORBIDDEN", explanation=f"Needs scope {scope}")
    given = {name: mapping.get(value, value) if isinstance(value, str) else value
             for name, value in command.get("args", {}).items()}  # fmt: skip
    made = act(account, given)
    return made["id"] if isinstance(made, dict) and "_add" in kind else None


def item_add(account: Account, args: Fields) -> Fields:
    return account.add_task(**{name: value for name, value in item_fields(args).items() if value is not None})


def item_update(account: Account, args: Fields) -> Fields:
    return account.change_task(args["id"], item_fields({k: v for k, v in args.items() if k != "id"}))


def item_fields(args: Fields) -> Fields:
    return dict(args) | ({"due": due_given(args["due"])} if "due" in args else {})


def due_given(given: Fields | None) -> Fields | None:
    if not given:
        return None
    if given.get("date"):
        return due(checked_moment("due", given["date"]))
    return due_said(given.get("string", ""), given.get("lang", "en"))


def item_move(account: Account, args: Fields) -> Fields:
    return account.move_task(args["id"], args)


def move_date_on(account: Account, args: Fields) -> None:
    task = account.task(args["id"])
    task["due"] = task["due"] | {"date": next_date(task["due"])}


COMMANDS: dict[str, tuple[str, Callable[[Account, Fields], Any]]] = {
    "item_add": ("task:add", item_add),
    "item_update": ("data:read_write", item_update),
    "item_move": ("data:read_write", item_move),
    "item_close": ("data:read_write", lambda account, args: account.close_task(args["id"])),
    "item_complete": (
        "data:read_write", lambda account, args: account.complete_task(args["id"], args.get("completed_at")),
    ),
    "item_uncomplete": ("data:read_write", lambda account, args: account.reopen_task(args["id"])),
    "item_update_date_complete": ("data:read_write", move_date_on),
    "item_delete": ("data:delete", lambda account, args: account.delete_task(args["id"])),
    "project_add": ("data:read_write", lambda account, args: account.add_project(args["name"])),
    "project_delete": ("project:delete", lambda account, args: account.delete_project(args["id"])),
    "section_add": (
        "data:read_write", lambda account, args: account.add_section(args["name"], args["project_id"]),
    ),
    "label_add": ("data:read_write", lambda account, args: account.add_label(args["name"])),
    "note_add": (
        "data:read_write",
        lambda account, args: account.add_comment(args["content"], task_id=args["item_id"]),
    ),
    "note_delete": ("data:read_write", lambda account, args: account.delete_comment(args["id"])),
}  # fmt: skip


# --- what came in


def asked_of(request: Request, form: Mapping[str, str]) -> tuple[str, list[str], list[Fields]]:
    """The token, the kinds of things and the commands: as a form, or as the JSON that the clients send."""
    kinds, commands = read_json(form, "resource_types"), read_json(form, "commands")
    every = ["items", "projects", "sections", "labels", "notes"]
    wanted = every if "all" in kinds else kinds
    left_out = {kind.removeprefix("-") for kind in kinds if kind.startswith("-")}
    return form.get("sync_token", "*"), [kind for kind in wanted if kind not in left_out], commands


def read_json(form: Mapping[str, str], name: str) -> list[Any]:
    try:
        found = json.loads(form.get(name) or "[]")
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise wrong(name, "Input should be a JSON array")
    return found
