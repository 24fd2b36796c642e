"""Delete old audit, leaving a signed checkpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from navi.audit.actor import Actor
from navi.audit.prune import Damaged, prune
from navi.keyring import KeyringProblem

OPERATOR = Actor("operator", "shell", "Operator at the command line")


class Command(BaseCommand):
    help = "Delete sealed audit batches older than so many days. The rest of the chain still verifies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", type=int, required=True, metavar="DAYS")
        parser.add_argument("--force", action="store_true", help="also what does not verify")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["older_than"]
        if days < 1:
            raise CommandError("--older-than takes a number of days, 1 or more.")
        now = timezone.now()
        try:
            gone = prune(now - timedelta(days=days), at=now, actor=OPERATOR, force=options["force"])
        except Damaged as problem:
            raise CommandError(
                f"{problem} Nothing from there on was deleted; see audit_verify, or use --force."
            ) from None
        except KeyringProblem as problem:
            raise CommandError(str(problem)) from None
        self.stdout.write(f"Deleted {gone.events} events in {gone.batches} batches.")
