"""Would Navi call this address?"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from credentials.client import policy
from navi.net.guard import explain


class Command(BaseCommand):
    help = (
        "Tell for each URL whether Navi would call it, and why not. Nothing is called; names are looked up."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("urls", nargs="+", metavar="URL")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        verdicts = [explain(url, policy=policy()) for url in options["urls"]]
        if options["json"]:
            facts = [
                {
                    "url": one.url,
                    "allowed": one.allowed,
                    "reason": one.reason,
                    "addresses": list(one.addresses),
                }
                for one in verdicts
            ]
            self.stdout.write(json.dumps(facts, indent=2))
            return
        for one in verdicts:
            answer = "yes" if one.allowed else f"no  ({one.reason})"
            self.stdout.write(f"{answer}  {one.url}  {' '.join(one.addresses)}".rstrip())
