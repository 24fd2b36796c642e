"""For plugin authors: run an action against recorded payloads. No Django, no socket.

A payload is a JSON file; `payloads/create_task.json` beside the plugin may hold

    {
      "source": "https://developer.example.com/reference#create-a-task, read 2026-11-21",
      "arguments": {"content": "Buy milk"},
      "request": {"method": "POST", "path": "/tasks", "json": {"content": "Buy milk"}},
      "response": {"status": 200, "headers": {}, "body": {"id": "6XGgmFVcrG5RRjV8"}}
    }

What the request names must match what goes out; of objects only the keys it names. A list of such objects is
played one after the other. A response that is no JSON has "text" instead of "body"; without either it is
empty. What a family has in common lies in the payloads of its provider's folder.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast, get_type_hints
from urllib.parse import parse_qsl, urlsplit

from pydantic import TypeAdapter

from integrations.sdk.facts import Provider
from integrations.sdk.plugin import Action, Plugin
from integrations.sdk.sync import Page, Place
from navi.net import auth
from navi.net.client import Client, Headers, Outbound, Response, Stream
from navi.net.errors import VendorError
from navi.net.remote import Remote

REQUEST_KEY = "00000000-0000-4000-8000-000000000001"
HEALTH = "health"
BUNDLED = Path(__file__).resolve().parents[1] / "plugins"


class PayloadError(Exception):
    """A payload file cannot be used, or what went out is not what was recorded."""


@dataclass(frozen=True)
class Exchange:
    """One recorded request with its response."""

    path: Path
    source: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, name: str, url: str) -> Response:
        headers, content = dict(self.response.get("headers", {})), b""
        if "body" in self.response:
            content = json.dumps(self.response["body"]).encode()
            headers = {"Content-Type": "application/json", **headers}
        elif "text" in self.response:
            content = self.response["text"].encode()
        return Response(self.response["status"], Headers(headers), content, url=url, name=name)


@dataclass(frozen=True)
class Sent:
    """One request as it would have gone out, without its credential."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Any

    def manifest(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "path": self.path,
            "query": dict(self.query),
            "headers": dict(self.headers),
            "json": self.json,
        }


class Recorded:
    """A way out that leads to the recorded exchanges, in their order."""

    def __init__(self, remote: Remote, exchanges: Sequence[Exchange]) -> None:
        self.remote = remote
        self.left = list(exchanges)
        self.sent: list[Sent] = []

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        **limits: Any,
    ) -> Response:
        sent = self.seen(method, url, headers or {}, content)
        self.sent.append(sent)
        if not self.left:
            raise PayloadError(f"{method} {sent.path} goes out, but no further exchange is recorded.")
        exchange = self.left.pop(0)
        if wrong := differences(exchange.request, sent.manifest()):
            raise PayloadError(
                f"What goes out is not what {exchange.path.name} recorded: {'; '.join(wrong)}."
            )
        return exchange.answer(self.remote.title, url)

    def stream(self, method: str, url: str, **options: Any) -> AbstractContextManager[Stream]:
        raise PayloadError("Streams cannot be replayed.")

    def seen(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | Iterable[bytes] | None
    ) -> Sent:
        base, address = urlsplit(self.remote.base_url), urlsplit(url)
        if (address.scheme, address.netloc) != (base.scheme, base.netloc):
            raise PayloadError(f"{url} is not below {self.remote.base_url}.")
        body = content if content is None or isinstance(content, bytes) else b"".join(content)
        return Sent(
            method=method,
            path=address.path.removeprefix(base.path.rstrip("/")),
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            headers={name: value for name, value in headers.items() if name not in self.credential_headers},
            json=json_or_text(body) if body else None,
        )

    @property
    def credential_headers(self) -> set[str]:
        match self.remote.auth:
            case auth.Bearer() | auth.Basic():
                return {"Authorization"}
            case auth.Header(name):
                return {name}
        return set()


@dataclass(frozen=True)
class Replayed:
    """What an action gave back or raised, and what it sent for it."""

    result: Any
    error: VendorError | None
    sent: tuple[Sent, ...]


def replay(plugin: Plugin, action: str, payload: str | Path | None = None, /, **arguments: Any) -> Any:
    """Run an action, or "health", on recorded payloads and return its result.

    `payload` is a file or a folder of files in the order of their names, by path or by its name in the
    plugin's `payloads` folder; by default the one named for the action. Arguments that are not given come
    from the payload, and all are checked as an agent's would be. Raises what the action raises, and
    PayloadError where a request differs from the recorded one, an exchange is left over, or the result is not
    what the action's return type promises.
    """
    done = replayed(plugin, action, exchanges_in(plugin, payload or action), arguments)
    if done.error:
        raise done.error
    return done.result


def replayed(
    plugin: Plugin, action: str, exchanges: Sequence[Exchange], arguments: Mapping[str, Any]
) -> Replayed:
    """As `replay`, with the requests that were sent, and a vendor's refusal as a value."""
    remote = remote_of(plugin, action)
    way_out = Recorded(remote, exchanges)
    client = Client(remote, pretended(remote.auth), cast(Outbound, way_out))
    recorded = {name: value for exchange in exchanges for name, value in exchange.arguments.items()}
    result, error = None, None
    try:
        result = run(plugin, action, client, {**recorded, **arguments})
    except VendorError as refusal:
        error = refusal
    if way_out.left:
        path = way_out.left[0].path.name
        raise PayloadError(f"{path} has an exchange that was recorded, but nothing was asked.") from error
    return Replayed(result, error, tuple(way_out.sent))


def pull(
    plugin: Plugin,
    kind: str,
    payload: str | Path | None = None,
    /,
    *,
    cursor: Mapping[str, Any] | None = None,
    part: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Page:
    """Read one page of a sync from recorded payloads. Raises StartOver, what the plugin raises, PayloadError."""
    exchanges = exchanges_in(plugin, payload or kind)
    remote = remote_of(plugin, kind)
    way_out = Recorded(remote, exchanges)
    client = Client(remote, pretended(remote.auth), cast(Outbound, way_out))
    function = plugin.syncs[kind].function
    if function is None:
        raise PayloadError(f"{plugin.name} pushes {kind}; there is nothing to pull.")
    page = function(client, Place(cursor, part, settings or {}))
    if way_out.left:
        raise PayloadError(f"{way_out.left[0].path.name} has an exchange that nobody asked for.")
    json.dumps([page.cursor, [[item.id, dict(item.data)] for item in page.items]], allow_nan=False)
    return page


def run(plugin: Plugin, name: str, client: Client, arguments: Mapping[str, Any]) -> Any:
    if name == HEALTH:
        ask = plugin.health_function or provider_of(plugin).identity
        if ask is None:
            raise PayloadError(f"{plugin.name} has no health check.")
        return ask(client)
    if name not in plugin.actions:
        raise PayloadError(f"{plugin.name} has no action “{name}”; it has {', '.join(plugin.actions)}.")
    action = plugin.actions[name]
    result = action.run(client, action.validate(arguments), request_key=REQUEST_KEY)
    check_promise(action, result)
    return result


def check_promise(action: Action, result: Any) -> None:
    """The result is JSON, and what the function's return type says: agents are shown that type's schema."""
    try:
        text = json.dumps(result, allow_nan=False)
        TypeAdapter(get_type_hints(action.function).get("return", Any)).validate_json(text, strict=True)
    except (TypeError, ValueError) as problem:
        raise PayloadError(f"{action.id} returns something else than it promises: {problem}") from problem


def remote_of(plugin: Plugin, action: str = "") -> Remote:
    """The HTTP facts for an action. A deadline of 0 leaves no time for a second try."""
    provider = provider_of(plugin)
    is_asked_for_all = action == HEALTH and plugin.health_function is None
    return Remote(
        provider=provider.slug,
        base_url=provider.base_url if is_asked_for_all else plugin.base_url or provider.base_url,
        auth=provider.auth[0].sent_as,
        headers=provider.headers,
        errors=provider.errors,
        errors_in_200=provider.errors_in_200,
        deadline=0.0,
        name=provider.name,
    )


def provider_of(plugin: Plugin) -> Provider:
    """Its own provider, or its family's, from a folder beside the plugin's or bundled with Navi.

    Raises PayloadError where there is no such folder.
    """
    if plugin.own_provider:
        return plugin.own_provider
    room = plugin.provider.replace("-", "_")
    places = [folder / room / "provider.py" for folder in (plugin.folder.parent, BUNDLED)]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise PayloadError(f"{plugin.name} names the provider {plugin.provider}; there is no {places[0]}.")
    return provider_in(found)


@cache
def provider_in(path: Path) -> Provider:
    return cast(Provider, loaded(path, f"navi_provider_{path.parent.name}").provider)


def pretended(scheme: auth.Scheme) -> dict[str, str]:
    """A value for each field that the credential is made of."""
    match scheme:
        case auth.Bearer(name) | auth.Header(_, name) | auth.Query(_, name):
            return {name: f"a-pretended-{name}"}
        case auth.Basic(user, password):
            return {name: f"a-pretended-{name}" for name in (user, password)}
    return {}


def json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


# --- files


def exchanges_in(plugin: Plugin, payload: str | Path) -> list[Exchange]:
    """The exchanges of a payload file, or of all files of a folder. Raises PayloadError."""
    place = payload_path(plugin, payload)
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    return [exchange for path in files for exchange in read(path)]


def payload_path(plugin: Plugin, payload: str | Path) -> Path:
    here, shared = plugin.folder / "payloads", (provider_of(plugin).folder or plugin.folder) / "payloads"
    wanted = [place / name for place in (here, shared) for name in (f"{payload}.json", payload)]
    found = next((path for path in (*wanted, Path(payload)) if path.exists()), None)
    if found is None:
        names = ", ".join(sorted(path.stem for path in {*here.glob("*"), *shared.glob("*")})) or "none yet"
        raise PayloadError(f"{plugin.name} has no payload “{payload}” in {here}; there are: {names}.")
    return found


def read(path: Path) -> list[Exchange]:
    """The exchanges of one file. Raises PayloadError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        items = content if isinstance(content, list) else [content]
        return [
            Exchange(path, item["source"], item["request"], item["response"], item.get("arguments", {}))
            for item in items
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise PayloadError(
            f"{path} is no payload: it needs source, request and response ({problem})."
        ) from None


def differences(recorded: Any, sent: Any, place: str = "") -> list[str]:
    """Where what is sent differs from what is recorded; objects are compared by the recorded keys."""
    if isinstance(recorded, Mapping) and isinstance(sent, Mapping):
        return [
            said
            for key, value in recorded.items()
            for said in differences(value, sent.get(key), f"{place}.{key}" if place else key)
        ]
    return [] if recorded == sent else [f"{place} is {sent!r}, recorded is {recorded!r}"]


def plugin_in(folder: Path) -> Plugin:
    """The plugin of a folder, loaded from its plugin.py: for its own tests, wherever the folder is."""
    path = folder / "plugin.py"
    if not path.is_file():
        raise PayloadError(f"{folder} holds no plugin.py.")
    return cast(Plugin, loaded(path, f"navi_plugin_{folder.name.replace('-', '_')}").plugin)


def loaded(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PayloadError(f"{path} is no Python.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
