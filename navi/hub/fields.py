"""Form fields as data, drawn by templates/hub/_field.html; what was typed, and what was wrong with it.

The domain checks what people type and raises a Problem that names the field. A form here only asks, keeps
what was typed (never a password), and puts those words where they belong:

    form = Form(text("name", "Name"), password("key", "API key")).filled(request.POST)
    try:
        connect(name=form.values["name"], key=form.values["key"])
    except Problem as problem:
        form = form.refused(problem)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict

from navi.audit.problems import Problem

LONGEST = 20_000


@dataclass(frozen=True)
class Option:
    value: str
    label: str
    hint: str = ""
    selected: bool = False
    disabled: bool = False


@dataclass(frozen=True)
class Field:
    """One field as _field.html draws it."""

    name: str
    label: str
    type: str = (
        "text"  # text, email, url, number, date, password, textarea, select, checkbox, radio, cards, …
    )
    value: Any = ""
    required: bool = True
    hint: str = ""
    placeholder: str = ""
    autocomplete: str = "off"
    autofocus: bool = False
    disabled: bool = False
    mono: bool = False
    trim: bool = False
    errors: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    pattern: str = ""
    pattern_hint: str = ""
    foreign_prefixes: str = ""  # JSON: {"xoxb-": "Slack bot token"}
    help_url: str = ""
    help_label: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or f"f-{self.name}")

    @property
    def takes_many(self) -> bool:
        return self.type in {"checkboxes", "choices"}

    def read(self, data: Mapping[str, Any]) -> Any:
        """What was typed here: text, a list where many may be chosen, a bool for a single box."""
        if self.type == "checkbox":
            return bool(data.get(self.name))
        if self.type == "choices":
            return list(dict.fromkeys(lines(values_of(data, self.name))))
        if self.type == "pick":
            return next(reversed(list(lines(values_of(data, self.name)))), "")
        if self.takes_many:
            chosen = data.getlist(self.name) if isinstance(data, QueryDict) else data.get(self.name, ())
            return [storable(one) for one in chosen]
        typed = storable(data.get(self.name) or "")
        return typed if self.type in {"password", "textarea"} else typed.strip()

    def holding(self, value: Any) -> Field:
        """The field with this value, which a password field does not keep."""
        if self.type == "password":
            return self
        if self.type in {"choices", "pick"}:
            return replace(self, value=value)
        chosen = set(value) if self.takes_many else {str(value)}
        options = tuple(replace(option, selected=option.value in chosen) for option in self.options)
        return replace(self, value="" if self.takes_many else value, options=options)

    def wrong(self, *messages: str) -> Field:
        return replace(self, errors=(*self.errors, *messages), autofocus=True)


def values_of(data: Mapping[str, Any], name: str) -> list[str]:
    """All that was sent under a name: ticked boxes, and what was typed beside them."""
    if isinstance(data, QueryDict):
        return [storable(one) for one in data.getlist(name)]
    value = data.get(name) or ()
    return [storable(one) for one in ([value] if isinstance(value, str) else value)]


def lines(values: Iterable[str]) -> Iterator[str]:
    return (line.strip() for value in values for line in value.splitlines() if line.strip())


def storable(typed: Any) -> str:
    """Of bounded length, and without NUL, which PostgreSQL takes for an error."""
    return str(typed)[:LONGEST].replace("\x00", "")


# --- kinds of fields


def text(name: str, label: str, **more: Any) -> Field:
    return Field(name, label, **more)


def email(name: str = "email", label: str = "Email", **more: Any) -> Field:
    return Field(name, label, **{"type": "email", "autocomplete": "email", **more})


def number(name: str, label: str, **more: Any) -> Field:
    return Field(name, label, type="number", **more)


def area(name: str, label: str, **more: Any) -> Field:
    return Field(name, label, type="textarea", **more)


def date(name: str, label: str, **more: Any) -> Field:
    return Field(name, label, type="date", **more)


def hidden(name: str, value: str) -> Field:
    return Field(name, "", type="hidden", value=value)


def checkbox(name: str, label: str, *, value: bool = False, **more: Any) -> Field:
    return Field(name, label, type="checkbox", value=value, required=False, **more)


def secret(name: str, label: str, *, foreign_prefixes: Mapping[str, str] | None = None, **more: Any) -> Field:
    """A key to paste: never shown again, trimmed, checked while typing against `pattern`."""
    foreign = json.dumps(dict(foreign_prefixes)) if foreign_prefixes else ""
    return Field(name, label, type="password", foreign_prefixes=foreign, **more)


def password(name: str = "password", label: str = "Password", *, new: bool = False, **more: Any) -> Field:
    """A person's own password."""
    if new:
        more = {"hint": "At least 10 characters. A sentence is easy to remember.", **more}
    autocomplete = "new-password" if new else "current-password"
    return Field(name, label, **{"type": "password", "autocomplete": autocomplete, **more})


Choices = Iterable[Option | tuple[str, str] | tuple[str, str, str]]


def choice(
    name: str,
    label: str,
    choices: Choices,
    value: str | Sequence[str] = "",
    *,
    look: str = "select",
    **more: Any,
) -> Field:
    """One of several as `select`, `radio` or `cards`; several as `checkboxes`. (value, label[, hint])."""
    options = tuple(one if isinstance(one, Option) else Option(*one) for one in choices)
    return Field(name, label, type=look, options=options, **more).holding(value)


# --- forms


class Form:
    """Fields in their order: `{% for field in form %}`, `{{ form.name }}`. Changes give a new form."""

    def __init__(
        self, *fields: Field, values: Mapping[str, Any] | None = None, error: Mapping[str, str] | None = None
    ) -> None:
        self.fields = {field.name: field for field in fields}
        self.values = (
            dict(values) if values is not None else {name: f.value for name, f in self.fields.items()}
        )
        self.error = error  # {message, fix, detail}: about the form as a whole

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields.values())

    def __getitem__(self, name: str) -> Field:
        return self.fields[name]

    def filled(self, data: Mapping[str, Any]) -> Form:
        """The form with what was typed; `values` holds all of it, the fields all but passwords."""
        values = {field.name: field.read(data) for field in self}
        held = (field.holding(values[field.name]) for field in self)
        return Form(*held, values=values, error=self.error)

    def wrong(self, name: str, *messages: str) -> Form:
        """The form with these words at the field, or above the form where there is no such field."""
        if name not in self.fields:
            return Form(*self, values=self.values, error={"message": " ".join(messages)})
        calm = (replace(field, autofocus=False) for field in self)
        fields = (field.wrong(*messages) if field.name == name else field for field in calm)
        return Form(*fields, values=self.values, error=self.error)

    def refused(self, problem: Problem, *, names: Mapping[str, str] | None = None) -> Form:
        """The form with what the domain said; `names` maps its names of fields to the form's."""
        field = problem.field or ""
        return self.wrong((names or {}).get(field, field), problem.message)

    def missing(self) -> Form | None:
        """The form with words at every required field left empty; None where all is there."""
        empty = [f for f in self if f.required and not f.disabled and self.values[f.name] in ("", [])]
        form = self
        for field in empty:
            form = form.wrong(field.name, f"{field.label} is missing.")
        return form if empty else None

    @property
    def is_wrong(self) -> bool:
        return bool(self.error) or any(field.errors for field in self)
