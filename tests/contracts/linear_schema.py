"""Linear's published GraphQL schema, to hold queries against."""

from functools import cache
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_ast_schema,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from tests.contracts import CONTRACTS

PATH = CONTRACTS / "linear-schema.graphql"
ABSENT = f"{PATH} is absent; point NAVI_CONTRACTS at the folder with linear-schema.graphql."


def is_at_hand() -> bool:
    return PATH.is_file()


@cache
def schema() -> GraphQLSchema:
    """Read the whole schema: about a second for 1.2 MB, so once in a process."""
    if not is_at_hand():
        raise FileNotFoundError(ABSENT)
    return built(PATH.read_text(encoding="utf-8"))


def built(text: str) -> GraphQLSchema:
    # Published by Linear and only read here: checking the schema itself would cost half as much again.
    document = parse(text, no_location=True)
    return build_ast_schema(document, assume_valid=True, assume_valid_sdl=True)


def validate_query(document: str) -> list[str]:
    """Say what Linear would refuse in a GraphQL document, one message each; an empty list means nothing."""
    try:
        parsed = parse(document)
    except GraphQLError as error:
        return [str(error)]
    return [str(error) for error in validate(schema(), parsed)]


def validate_request(body: dict[str, Any]) -> list[str]:
    """As validate_query, for a request with its variables: each must be of the type that the document says."""
    document = body["query"]
    if wrong := validate_query(document):
        return wrong
    operations = [one for one in parse(document).definitions if isinstance(one, OperationDefinitionNode)]
    told = get_variable_values(schema(), operations[0].variable_definitions or (), body["variables"])
    return [str(error) for error in told] if isinstance(told, list) else []
