"""A function's types as a JSON Schema, and arguments checked against it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NewType, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

RequestKey = NewType("RequestKey", str)
"""A parameter of this type is no argument: Navi fills in a UUID that is the same for every retry of one call."""


class InvalidArguments(Exception):
    """The arguments do not fit. `errors` is [{"field", "message"}], never a value."""

    code = "invalid_input"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        self.errors = errors
        self.message = "; ".join(
            f"{error['field']}: {error['message']}" if error["field"] else error["message"]
            for error in errors
        )
        self.field = errors[0]["field"] or None if errors else None
        super().__init__(self.message)


def parameters(function: Callable[..., Any]) -> tuple[type[BaseModel], str | None]:
    """A model of the function's parameters after the client, and the name of its RequestKey."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    key_name = None
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        if hints[name] is RequestKey:
            key_name = name
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints[name], default)
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False)
    return create_model(f"{function.__name__}_arguments", __config__=config, **fields), key_name


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema 2020-12 of a model, without pydantic's own titles."""
    return dict(without_titles(model.model_json_schema()))


def result_schema(function: Callable[..., Any]) -> dict[str, Any] | None:
    """The schema of what the function returns, where its annotation says more than `dict`."""
    annotation = get_type_hints(function).get("return")
    if annotation in {None, dict, list, Any, type(None)}:
        return None
    return dict(without_titles(TypeAdapter(annotation).json_schema()))


def without_titles(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {
            key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))
        }
        return {key: without_titles(value) for key, value in kept.items()}
    return [without_titles(item) for item in schema] if isinstance(schema, list) else schema


def validate(model: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, typed and with defaults. Raises InvalidArguments."""
    try:
        # JSON mode: strict about types, but a date may be a string.
        parsed = model.model_validate_json(json.dumps(arguments))
    except ValidationError as problem:
        raise InvalidArguments([complaint(error) for error in problem.errors(include_input=False)]) from None
    except (TypeError, ValueError) as problem:
        raise InvalidArguments(
            [{"field": "", "message": f"The arguments are no JSON object: {problem}"}]
        ) from None
    return {name: getattr(parsed, name) for name in type(parsed).model_fields}


def complaint(error: Any) -> dict[str, str]:
    words = {"missing": "is missing", "extra_forbidden": "is not known here"}
    field = ".".join(str(part) for part in error["loc"])
    return {"field": field, "message": words.get(error["type"], error["msg"])}
