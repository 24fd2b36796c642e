"""A person's browser, and how many questions a page asks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

HTMX = {"HX-Request": "true"}
MOST_QUERIES = 10


def browser_of(person: Any = None, **more: Any) -> Client:
    """Signed in, unless nobody is named."""
    client = Client(**more)
    if person is not None:
        client.force_login(person)
    return client


def password_of(person: Any) -> str:
    """As the fixture `person` chose it."""
    return f"{person.name} walks 7 dogs"


def text_of(response: Any) -> str:
    return str(response.content.decode())


@contextmanager
def few_queries(most: int = MOST_QUERIES) -> Any:
    with CaptureQueriesContext(connection) as asked:
        yield asked
    assert len(asked) <= most, "\n".join(query["sql"] for query in asked)
