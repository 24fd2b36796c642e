"""JSON objects only, of a bounded size and depth, without doubles."""

from __future__ import annotations

import json
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from navi.audit.problems import Problem


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None
    ) -> dict[str, Any]:
        """The body as a dict. Raises Problem `invalid_input` or `too_large`."""
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise Problem("too_large", "The body is larger than 2 MiB.")
        if not raw.strip():
            return {}
        try:
            body = json.loads(raw, object_pairs_hook=without_doubles, parse_constant=no_constant)
        except Problem:
            raise
        except RecursionError:
            raise Problem("invalid_input", "The body is nested too deeply.") from None
        except ValueError as problem:
            where = (
                f" (line {problem.lineno}, column {problem.colno})"
                if isinstance(problem, json.JSONDecodeError)
                else ""
            )
            raise Problem("invalid_input", f"The body is no JSON{where}.") from None
        if not isinstance(body, dict):
            raise Problem("invalid_input", "The body must be a JSON object.")
        return body


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Problem("invalid_input", "The body names a field twice.")
    return found


def no_constant(name: str) -> Any:
    raise Problem("invalid_input", f"{name} is no JSON.")
