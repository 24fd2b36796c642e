"""The injecting proxy: an agent's own request, with the credential put in on the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from credentials.models import Connection
from integrations import registry
from integrations.registry import Entry
from integrations.runtime import grants, recovery
from integrations.runtime.reach import client_for, permitted
from integrations.runtime.vendor import without_secrets
from integrations.sdk import Call, Client, Plugin, TryLater, VendorError
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.jobs.ledger import enqueue

# Hop by hop, or ours to say: the credential, the cookies of the hub, what the connection negotiates.
NOT_SENT = {
    "host", "authorization", "proxy-authorization", "cookie", "connection", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade", "content-length", "accept-encoding", "forwarded", "idempotency-key",
    "x-http-method-override", "x-request-id",
}  # fmt: skip
NOT_SENT_PREFIXES = ("x-forwarded-", "sec-", "proxy-")
NOT_RETURNED = {
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-encoding", "content-length",
    "set-cookie", "strict-transport-security", "content-security-policy", "x-frame-options", "server", "alt-svc",
    "access-control-allow-origin", "access-control-allow-credentials", "clear-site-data", "www-authenticate",
    "x-content-type-options", "x-request-id", "x-navi-upstream", "proxy-authenticate", "public-key-pins",
}  # fmt: skip


class Body:
    """The vendor's body as it arrives. `close` ends it early, also where nobody has begun to read."""

    def __init__(self, stream: Any, stack: ExitStack) -> None:
        self.stream, self.stack = stream, stack

    def __iter__(self) -> Iterator[bytes]:
        with self.stack:
            yield from self.stream.iter_bytes()

    def close(self) -> None:
        self.stack.close()


@dataclass(frozen=True, repr=False)
class Forwarded:
    """The vendor's answer: status, headers, and the body as it arrives."""

    status: int
    headers: Mapping[str, str]
    body: Body


def forward(
    call: Call, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes | None
) -> Forwarded:
    """Send the request to the plugin's host with credentials. Raises Problem or VendorError."""
    started = monotonic()
    told = {"method": method, "path": path[:200]}
    try:
        forwarded, connection = sent(call, method, path, query, headers, body)
    except (Problem, VendorError) as error:
        note(
            call,
            outcome="failed" if isinstance(error, VendorError) else "refused",
            code=error.code,
            detail=told,
        )
        raise
    try:
        note(call, connection=connection, detail={**told, "status": forwarded.status}, since=started)
    except BaseException:
        forwarded.body.close()
        raise
    return forwarded


def note(call: Call, *, since: float | None = None, **facts: Any) -> None:
    duration = None if since is None else int((monotonic() - since) * 1000)
    record(
        "proxy.called", actor=call.actor, project=call.project, provider=provider_of(call), plugin=call.plugin,
        duration_ms=duration, **facts,
    )  # fmt: skip


def provider_of(call: Call) -> str:
    known = registry.installed().plugins.get(call.plugin)
    return known.provider if known else call.plugin


def sent(
    call: Call, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[Forwarded, Any]:
    entry, plugin = registry.plugin(call.plugin, call.project.pk)
    connection = permitted(call, entry, "proxy")
    ask = partial(
        asked, connection, entry, plugin, method, f"{path}?{query}" if query else path, headers, body
    )
    try:
        forwarded = ask()
        seen = connection.generation
        if grants.may_renew(connection, entry, forwarded.status):
            forwarded.body.close()
            grants.kept_alive(connection, entry, refused_generation=seen)
            forwarded = ask()
        noted(connection, forwarded)
        return forwarded, connection
    except VendorError as error:
        recovery.note_failure(connection, error)
        raise recovery.of_connection(error, connection) from None


def asked(
    connection: Connection, entry: Entry, plugin: Plugin, method: str, address: str, headers: Mapping[str, str],
    body: bytes | None,
) -> Forwarded:  # fmt: skip
    client = client_for(connection, entry, base_url=plugin.proxy_url)
    return streamed(client, entry, method, address, sendable(headers), body)


def streamed(
    client: Client, entry: Entry, method: str, address: str, headers: dict[str, str], body: bytes | None
) -> Forwarded:
    """Open the stream now, so that its status is known; read it as the agent does."""
    with ExitStack() as stack:
        stream = stack.enter_context(client.stream(method, address, headers=headers, content=body))
        if not 200 <= stream.status_code <= 599:
            raise TryLater(
                f"{client.remote.title} answered with a status that HTTP does not know.", sent=True
            )
        head = without_secrets(returnable(stream.headers), entry, client)
        return Forwarded(stream.status_code, head, Body(stream, stack.pop_all()))


def noted(connection: Connection, forwarded: Forwarded) -> None:
    """Remember what the status says; where that fails, nobody will read the body."""
    try:
        note_status(connection, forwarded.status)
    except BaseException:
        forwarded.body.close()
        raise


def note_status(connection: Connection, status: int) -> None:
    """A 401 to an address that the agent chose may be about that address: only the health check can tell."""
    if status == 401:
        enqueue("health", str(connection.pk))
    elif status < 400:
        recovery.note_success(connection)
    else:
        recovery.note_use(connection)


def sendable(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name.lower() not in NOT_SENT}
    return {name: value for name, value in kept.items() if not name.lower().startswith(NOT_SENT_PREFIXES)}


def returnable(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in NOT_RETURNED}
