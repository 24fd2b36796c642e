"""Check the audit against its seals. Ends with 1 where something is wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from navi.audit.verify import Finding, Tally, verify


class Command(BaseCommand):
    help = "Check that no audit event was changed, removed, inserted or moved since it was sealed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, for a machine")

    def handle(self, *args: Any, **options: Any) -> None:
        tally, findings = Tally(), []
        for finding in verify(tally):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(self.style.ERROR(finding.message))
        self.stdout.write(as_json(tally, findings) if options["json"] else summary(tally, findings))
        if findings:
            sys.exit(1)


def as_json(tally: Tally, findings: list[Finding]) -> str:
    report = {"ok": not findings, **asdict(tally), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(report, default=str, indent=2)


def summary(tally: Tally, findings: list[Finding]) -> str:
    wrong = "nothing is amiss" if not findings else f"{len(findings)} finding{'s' * (len(findings) > 1)}"
    checked = f"Checked {tally.batches} batches with {tally.events} events; {tally.unsealed} not yet sealed"
    words = f"{checked}: {wrong}."
    if tally.pruned_until:
        words += f" History before {tally.pruned_until:%Y-%m-%d %H:%M} UTC was pruned."
    return words
