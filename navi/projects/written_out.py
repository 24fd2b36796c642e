"""A SELECT written by hand, for the few that run on every call of every agent.

Composing them anew with the ORM costs ten times their execution; raw() still resolves columns and converters
each time. Here both are settled once per database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connection, models

Row = TypeVar("Row", bound=models.Model)
Converter = Callable[[Any, Any, Any], Any]


class WrittenOut(Generic[Row]):
    """`sql` selects `{columns}`, all columns of the model under its alias, and then what belongs beside them."""

    def __init__(self, model: type[Row], alias: str, sql: str) -> None:
        self.model, self.alias, self.sql = model, alias, sql

    @cached_property
    def statement(self) -> str:
        columns = ", ".join(f'{self.alias}."{field.column}"' for field in self.model._meta.concrete_fields)
        return self.sql.replace("{columns}", columns)

    @cached_property
    def names(self) -> list[str]:
        return [field.attname for field in self.model._meta.concrete_fields]

    @cached_property
    def converters(self) -> list[tuple[int, Any, list[Converter]]]:
        """What turns the database's values into Python's, by position."""
        found = []
        for position, field in enumerate(self.model._meta.concrete_fields):
            column = field.get_col(self.alias)
            converting = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
            if converting:
                found.append((position, column, converting))
        return found

    def rows(self, parameters: Sequence[Any]) -> list[tuple[Row, tuple[Any, ...]]]:
        """The instances, each with the values beside it as the database gave them: one query."""
        with connection.cursor() as cursor:
            cursor.execute(self.statement, parameters)
            return [self.read(row) for row in cursor.fetchall()]

    def read(self, row: Sequence[Any]) -> tuple[Row, tuple[Any, ...]]:
        values, beside = list(row[: len(self.names)]), tuple(row[len(self.names) :])
        for position, column, converting in self.converters:
            for convert in converting:
                values[position] = convert(values[position], column, connection)
        return self.model.from_db(connection.alias, self.names, values), beside
