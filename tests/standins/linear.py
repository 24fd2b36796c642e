"""A Linear on this machine: the GraphQL endpoint over a small workspace in memory.

Run it by hand: python -m tests.standins.linear --port 9002 --key lin_api_0123456789abcdef
"""

import hashlib
import hmac
import json
import secrets
import time
from functools import cache
from typing import Any, Self
from uuid import uuid4

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSyntaxError,
    execute_sync,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
    parse,
    validate,
)

from tests.contracts import linear_schema
from tests.standins.grants import Endpoint, OAuthProblem, OAuthStandin, Pair
from tests.standins.linear_subset import SUBSET
from tests.standins.linear_things import UNKNOWN, Input, Webhook, connection, id_for, invalid, refusal, snake
from tests.standins.linear_workspace import Workspace, shown_issue
from tests.standins.outgoing import Outgoing, Sent, deliver
from tests.standins.server import CONTROL, Request, Response, answer_with, run

__all__ = ["API_KEY", "OAUTH_TOKEN", "LinearStandin", "id_for"]

API_KEY = "lin_api_0123456789abcdef0123456789abcdef01234567"
OAUTH_TOKEN = "lin_oauth_0123456789abcdef0123456789abcdef01234567"
REQUESTS_AN_HOUR, COMPLEXITY_AN_HOUR = 2_500, 3_000_000


@cache
def schema() -> GraphQLSchema:
    """Speak Linear's whole schema where it is at hand, and the part of it kept here otherwise."""
    if linear_schema.is_at_hand():
        return linear_schema.schema()
    return linear_schema.built(SUBSET)


# From the schema to the workspace.

SCOPES = {
    "issueCreate": "issues:create", "commentCreate": "comments:create", "issueUpdate": "write",
    "webhookCreate": "admin", "webhookUpdate": "admin", "webhookDelete": "admin",
}  # fmt: skip
BLANKS: dict[str, Any] = {
    "Boolean": False, "Int": 0, "Float": 0, "JSON": {}, "JSONObject": {}, "DateTime": "2026-01-05T08:00:00.000Z",
}  # fmt: skip
BLANK_OBJECTS = {"IssueSharedAccess", "ArchiveResponse"}  # nobody here shares or restores anything


def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    if isinstance(source, Workspace):
        check_scope(info)
    value = getattr(source, snake(info.field_name), UNKNOWN)
    values = {snake(name): value for name, value in arguments.items() if value is not None}
    if isinstance(value, list) and get_named_type(info.return_type).name.endswith("Connection"):
        return connection(value, **values)
    if callable(value):
        return value(**values)
    return value if value is not UNKNOWN else blank(source, info)


def blank(source: Any, info: GraphQLResolveInfo) -> Any:
    """What is not known of a thing: null, or nothing of its type. Linear's client asks for every field."""
    if not isinstance(source, Workspace):
        kind = get_nullable_type(info.return_type)
        named = get_named_type(info.return_type)
        if not is_non_null_type(info.return_type):
            return None
        if is_list_type(kind):
            return []
        if isinstance(named, GraphQLEnumType):
            return next(iter(named.values))
        if named.name in {"String", "ID", *BLANKS}:
            return BLANKS.get(named.name, "")
        if named.name in BLANK_OBJECTS:
            return object()
    raise NotImplementedError(f"The Linear stand-in has no {info.parent_type.name}.{info.field_name}.")


def check_scope(info: GraphQLResolveInfo) -> None:
    scope = SCOPES.get(info.field_name, "write" if info.parent_type.name == "Mutation" else "read")
    granted = info.context
    includes = {"read": (), "admin": ()}.get(scope, ("write", "admin"))
    if not {"*", scope, *includes} & granted:
        raise refusal(f"Invalid scope: `{scope}` required", "forbidden", "FORBIDDEN", 403)


def unauthenticated() -> Response:
    error = refusal(
        "Authentication required, not authenticated",
        "authentication error",
        "AUTHENTICATION_ERROR",
        401,
        "You need to authenticate to access this operation.",
        http={"status": 401},
    )
    return answer_with(401, {"errors": [error.formatted]})


def key_sent_as_bearer() -> Response:
    message = (
        "It looks like you're trying to use an API key as a Bearer token. "
        "Remove the Bearer prefix from the Authorization header."
    )
    return answer_with(400, {"errors": [invalid(message, message).formatted]})


def bad_request(errors: list[GraphQLError], code: str) -> Response:
    extensions = {
        "http": {"status": 400, "headers": {}},
        "code": code,
        "type": "graphql error",
        "userError": True,
    }
    return answer_with(400, {"errors": [error.formatted | {"extensions": extensions} for error in errors]})


class LinearStandin(OAuthStandin):
    """A Linear on this machine."""

    # A key that starts with lin_api_ goes out bare, any other is an OAuth token and goes out as Bearer.
    keys = (API_KEY, OAUTH_TOKEN)
    separator = ","
    encodings = frozenset({"form"})
    secret_is_optional = True  # with PKCE
    lifetime = 86399
    reuse_grace = 1800.0

    # OAuth: https://linear.app/developers/oauth-2-0-authentication

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {("POST", "/oauth/revoke"): self.revoke}

    def agreed(self, scopes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("read", *scopes)))  # Linear always grants read.

    def access_token(self, kind: str) -> str:
        return f"lin_oauth_{secrets.token_hex(32)}"

    def refresh_token(self, kind: str) -> str:
        return f"lin_refresh_{secrets.token_hex(32)}"

    def told(self, pair: Pair) -> dict[str, Any]:
        # Commas on the way to Linear, spaces on the way back.
        lasting = {"expires_in": self.lifetime, "refresh_token": pair.refresh}
        return {
            "access_token": pair.access,
            "token_type": "Bearer",
            "scope": " ".join(pair.scopes),
            **lasting,
        }

    def reused(self, pair: Pair) -> Response:
        """Within half an hour the same question gets the same answer."""
        if pair.successor is None or self.since_use(pair) > self.reuse_grace:
            raise OAuthProblem("invalid_grant", "The refresh token was used before.")
        return answer_with(200, self.told(pair.successor))

    def refusal(self, problem: OAuthProblem) -> Response:
        error = {"bad_code": "invalid_grant", "bad_redirect_uri": "invalid_grant"}.get(
            problem.error, problem.error
        )
        return super().refusal(OAuthProblem(error, problem.description))

    def revoke(self, request: Request) -> Response:
        try:
            form = self.form_of(request)
        except OAuthProblem as problem:
            return self.refusal(problem)
        token = form.get("token") or form.get("access_token") or ""
        if not token:
            return answer_with(401, {"error": "invalid_request", "error_description": "No token."})
        if not self.end(token):
            return answer_with(400, {"error": "invalid_request", "error_description": "Already revoked."})
        return answer_with(200, {})

    def start(self) -> Self:
        schema()  # Read before the first question comes, so that it is not answered too late.
        return super().start()

    def rate_limit_next(self, reset_in: float = 3600, retry_after: int | None = None, times: int = 1) -> None:
        """Answer the next requests with Linear's refusal: HTTP 400, code RATELIMITED."""
        error = refusal("Rate limit exceeded", "ratelimited", "RATELIMITED", 429)
        headers = self._budget(remaining=0, reset_in=reset_in)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        self.fail_next(400, {"errors": [error.formatted]}, headers, times)

    def seed(self) -> None:
        self.outgoing = Outgoing()
        self.workspace = Workspace(self._tell)

    def _tell(self, hook: Webhook, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.outgoing.post(hook.url, body, signed(body, hook.secret, said["type"]))

    def send_webhook(
        self, url: str, issue: str = "ENG-1", action: str = "update", *, secret: str = "", delivery: str = "",
        seconds_ago: float = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """Call an address as Linear does: signed with this secret, else with that of the webhook for the
        address. What was sent and answered."""
        known = [hook.secret for hook in self.workspace.webhooks if hook.url == url]
        about = self.workspace.issue(issue)
        said = self.workspace.message("Issue", action, shown_issue(about), about.url)
        said["webhookTimestamp"] -= int(seconds_ago * 1000)
        body = json.dumps(said).encode()
        sent = Sent(url, signed(body, secret or known[0], "Issue", delivery), body)
        deliver(sent)
        return {"status": sent.status, "delivery": sent.headers["Linear-Delivery"], "body": body.decode()}

    def _pull_string(self, request: Request) -> Response:
        if request.path != f"{CONTROL}send_webhook":
            return super()._pull_string(request)
        return answer_with(200, {"done": "send_webhook", "result": self.send_webhook(**request.json())})

    def api(self, request: Request) -> Response:
        if (request.method, request.path) != ("POST", "/graphql"):
            return answer_with(404, "Not found")
        header = request.headers["Authorization"] or ""
        key, is_bearer = header.removeprefix("Bearer "), header.startswith("Bearer ")
        if is_bearer and key.startswith("lin_api_"):
            return key_sent_as_bearer()
        scopes = self.scopes_of(key)
        if scopes is None or is_bearer == key.startswith("lin_api_"):
            return unauthenticated()
        self.workspace.see_as(self.person_of(key))
        response = self._execute(request, scopes)
        headers = {**self._budget(REQUESTS_AN_HOUR - len(self.requests)), **response.headers}
        return Response(response.status, response.body, headers)

    def _execute(self, request: Request, scopes: frozenset[str]) -> Response:
        asked = json_object(request)
        if "query" not in asked:
            message = "POST body missing, invalid Content-Type, or JSON object has no keys."
            return bad_request([GraphQLError(message)], "BAD_REQUEST")
        try:
            document = parse(asked["query"])
        except GraphQLSyntaxError as error:
            return bad_request([error], "GRAPHQL_PARSE_FAILED")
        if errors := validate(schema(), document):
            return bad_request(errors, "GRAPHQL_VALIDATION_FAILED")
        result = execute_sync(
            schema(),
            document,
            root_value=self.workspace,
            context_value=scopes,
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
            field_resolver=resolve,
        )
        return answered(result.data, result.errors or [])

    def _budget(self, remaining: int, reset_in: float = 3600) -> dict[str, str]:
        # Linear counts resets in epoch milliseconds.
        reset = str(int((time.time() + reset_in) * 1000))
        return {
            "X-RateLimit-Requests-Limit": str(REQUESTS_AN_HOUR),
            "X-RateLimit-Requests-Remaining": str(remaining),
            "X-RateLimit-Requests-Reset": reset,
            "X-Complexity": "1",
            "X-RateLimit-Complexity-Limit": str(COMPLEXITY_AN_HOUR),
            "X-RateLimit-Complexity-Remaining": str(COMPLEXITY_AN_HOUR if remaining else 0),
            "X-RateLimit-Complexity-Reset": reset,
        }


def signed(body: bytes, secret: str, kind: str, delivery: str = "") -> dict[str, str]:
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Linear-Webhook",
        "Linear-Delivery": delivery or str(uuid4()),
        "Linear-Event": kind,
        "Linear-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "Linear-Timestamp": str(json.loads(body)["webhookTimestamp"]),
    }


def json_object(request: Request) -> Input:
    if request.headers.get_content_type() != "application/json":
        return {}
    try:
        body = request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def answered(data: Any, errors: list[GraphQLError]) -> Response:
    """Answer 200 even with errors, as Linear does once a query has begun to run."""
    for error in errors:
        if error.path is None:
            return bad_request(errors, "BAD_USER_INPUT")
        if not isinstance(error.original_error, GraphQLError | None):
            # Not Linear speaking: the test asks for more than this stand-in knows.
            return answer_with(501, f"{error.path}: {error.original_error}")
    is_forbidden = any((error.extensions or {}).get("code") == "FORBIDDEN" for error in errors)
    body = {"errors": [error.formatted for error in errors]} if errors else {}
    return answer_with(400 if is_forbidden else 200, body | {"data": data})


if __name__ == "__main__":
    run(LinearStandin)
