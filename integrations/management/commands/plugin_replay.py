"""Run an action on a recorded payload, and show what goes out and what comes of it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict, is_dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.management.commands.plugin_check import installed
from integrations.sdk import InvalidArguments, VendorError
from integrations.sdk.testing import PayloadError, Sent, exchanges_in, replayed


class Command(BaseCommand):
    help = "Run an action, or health, on a recorded payload: nothing leaves this machine."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the plugin")
        parser.add_argument("action", help="the action's name, or health")
        parser.add_argument("--payload", help="a file, or a name in payloads/; by default the action's name")
        parser.add_argument("--arguments", help="a JSON object; by default the payload's own")

    def handle(self, *args: Any, **options: Any) -> None:
        plugin, action = installed(options["slug"]), options["action"]
        arguments = json_object(options["arguments"] or "{}")
        try:
            exchanges = exchanges_in(plugin, options["payload"] or action)
            done = replayed(plugin, action, exchanges, arguments)
        except (PayloadError, InvalidArguments) as problem:
            raise CommandError(str(problem)) from None
        for sent in done.sent:
            self.tell_request(sent)
        self.stdout.write(error_told(done.error) if done.error else pretty(result_told(done.result)))

    def tell_request(self, sent: Sent) -> None:
        query = "&".join(f"{name}={value}" for name, value in sent.query.items())
        self.stdout.write(f"{sent.method} {sent.path}{'?' if query else ''}{query}")
        for name, value in sent.headers.items():
            self.stdout.write(f"{name}: {value}")
        if sent.json is not None:
            self.stdout.write(pretty(sent.json))
        self.stdout.write("")


def json_object(text: str) -> dict[str, Any]:
    """Raises CommandError."""
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise CommandError(f"--arguments is no JSON: {problem}.") from None
    if not isinstance(value, dict):
        raise CommandError('--arguments is no JSON object; write it as {"name": "value"}.')
    return value


def result_told(result: Any) -> Any:
    return asdict(result) if is_dataclass(result) and not isinstance(result, type) else result


def error_told(error: VendorError) -> str:
    return f"{type(error).__name__} ({error.code}): {error.message}"


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
