"""Alice's account in the Todoist stand-in's memory: what REST and the Sync endpoint both change."""

from datetime import date, timedelta
from typing import Any

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
    alice,
    blank_task,
    check_task_fields,
    comment,
    due,
    label,
    missing,
    next_date,
    now,
    opaque_id,
    project,
    section,
    today,
    unknown,
    wrong,
)

PLACES = ("project_id", "section_id", "parent_id")


class Account:
    """What is there, by kind and id. What was deleted is not there any more."""

    def __init__(self) -> None:
        self._made = 0
        self.user = alice()
        names = {INBOX: "Inbox", HOME: "Home", GARDEN: "Garden", WORK: "Work", READING: "Reading list"}
        self.projects = {id: project(id, name, order) for order, (id, name) in enumerate(names.items())}
        self.sections = {SHELF: section(SHELF, "Shelf", HOME)}
        self.labels: dict[str, Fields] = {}
        self.tasks: dict[str, Fields] = {}
        self.comments: dict[str, Fields] = {}
        for name in ("shop", "money"):
            self.add_label(name)
        self.add_task(MILK, content="Buy milk", project_id=HOME, labels=["shop"], due=due(today()))
        self.add_task(TULIPS, content="Plant tulips", project_id=GARDEN)
        self.add_task(INVOICE, content="Send Bob the invoice", project_id=WORK, labels=["money"], priority=4)

    def new_id(self) -> str:
        self._made += 1
        return opaque_id(self._made)

    # --- tasks

    def task(self, id: str) -> Fields:
        if str(id).startswith("tmp-"):
            raise wrong("task_id", "Temporary ids are not accepted")
        if id not in self.tasks:
            raise unknown("Task")
        return self.tasks[id]

    def active_tasks(self) -> list[Fields]:
        return [task for task in self.tasks.values() if not task["checked"]]

    def with_children(self, task: Fields) -> list[Fields]:
        children = [child for child in self.tasks.values() if child["parent_id"] == task["id"]]
        return [task, *(below for child in children for below in self.with_children(child))]

    def add_task(self, id: str | None = None, **fields: Any) -> Fields:
        if fields.get("content") is None:
            raise missing("content")
        check_task_fields(fields)
        placed = self.place_of(fields)
        own = id or self.new_id()
        self.tasks[own] = blank_task(own, len(self.tasks) + 1) | fields | placed
        return self.tasks[own]

    def place_of(self, fields: Fields) -> Fields:
        """The project follows from a section or a parent that is named."""
        found = {name: fields[name] for name in PLACES if fields.get(name) is not None}
        if "section_id" in found:
            found["project_id"] = self.found(self.sections, "Section", found["section_id"])["project_id"]
        if "parent_id" in found:
            found["project_id"] = self.task(found["parent_id"])["project_id"]
        self.found(self.projects, "Project", found.get("project_id", INBOX))
        return found

    @staticmethod
    def found(things: dict[str, Fields], what: str, id: str) -> Fields:
        if id not in things:
            raise unknown(what)
        return things[id]

    def change_task(self, id: str, fields: Fields) -> Fields:
        task = self.task(id)
        check_task_fields({name: value for name, value in fields.items() if value is not None})
        task |= fields | {"updated_at": now()}
        return task

    def move_task(self, id: str, place: Fields) -> Fields:
        given = {name: place[name] for name in PLACES if place.get(name) is not None}
        if len(given) != 1:
            raise wrong("project_id", "Exactly one of project_id, section_id, parent_id")
        task, placed = self.task(id), self.place_of(given)
        task |= dict.fromkeys(PLACES) | placed | {"updated_at": now()}
        for below in self.with_children(task)[1:]:
            below["project_id"] = task["project_id"]
        return task

    def close_task(self, id: str) -> None:
        task = self.task(id)
        if task["due"] and task["due"]["is_recurring"]:
            task["due"] = task["due"] | {"date": next_date(task["due"])}
            task["updated_at"] = now()
            return
        self.complete_task(id)

    def complete_task(self, id: str, completed_at: str | None = None) -> None:
        for done in self.with_children(self.task(id)):
            done |= {"checked": True, "completed_at": completed_at or now(), "completed_by_uid": ALICES_ID}
            done["updated_at"] = now()

    def reopen_task(self, id: str) -> None:
        reopened = {"checked": False, "completed_at": None, "completed_by_uid": None, "updated_at": now()}
        self.task(id).update(reopened)

    def delete_task(self, id: str) -> None:
        for gone in self.with_children(self.task(id)):
            del self.tasks[gone["id"]]
            self.comments = {
                key: one for key, one in self.comments.items() if one.get("item_id") != gone["id"]
            }

    def completed_between(self, since: str, until: str) -> list[Fields]:
        if date.fromisoformat(until[:10]) - date.fromisoformat(since[:10]) > timedelta(days=93):
            raise wrong("until", "At most three months after since")
        done = [task for task in self.tasks.values() if task["completed_at"]]
        return [task for task in done if since[:19] <= task["completed_at"][:19] < until[:19]]

    # --- what else there is

    def add_project(self, name: str, **fields: Any) -> Fields:
        id = self.new_id()
        self.projects[id] = project(id, name, len(self.projects)) | fields
        return self.projects[id]

    def delete_project(self, id: str) -> None:
        self.found(self.projects, "Project", id)
        del self.projects[id]
        for task in [task for task in self.tasks.values() if task["project_id"] == id]:
            self.tasks.pop(task["id"], None)

    def add_section(self, name: str, project_id: str) -> Fields:
        self.found(self.projects, "Project", project_id)
        id = self.new_id()
        self.sections[id] = section(id, name, project_id, len(self.sections) + 1)
        return self.sections[id]

    def add_label(self, name: str) -> Fields:
        id = str(2_000_000 + len(self.labels))
        self.labels[id] = label(id, name, len(self.labels) + 1)
        return self.labels[id]

    def add_comment(
        self, content: str, *, task_id: str | None = None, project_id: str | None = None
    ) -> Fields:
        if not content:
            raise missing("content")
        if task_id:
            self.task(task_id)["note_count"] += 1
        else:
            self.found(self.projects, "Project", project_id or "")
        id = self.new_id()
        self.comments[id] = comment(id, content, task_id=task_id, project_id=project_id)
        return self.comments[id]

    def delete_comment(self, id: str) -> None:
        self.found(self.comments, "Comment", id)
        del self.comments[id]
