"""Turn the sealing key while everything runs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.keys import key_ids_in_use, reseal_all, why_sealed
from navi.audit.actor import SYSTEM
from navi.audit.record import record


class Command(BaseCommand):
    help = (
        "Put a new primary key into the keyring and seal everything under it, beside readers and writers. "
        "Can be cut off and run again (--resume) at any time. The pepper of agent tokens is never touched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--resume", action="store_true", help="No new key: finish what was cut off.")
        parser.add_argument("--batch", type=int, default=200)
        parser.add_argument(
            "--drop-old", action="store_true", help="Afterwards take unused keys out of the ring."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if sentence := why_sealed():
            raise CommandError(sentence)
        files = settings.NAVI_KEYS
        primary = files.keyring().primary if options["resume"] else files.add_primary()
        self.stdout.write(f"Sealing under {primary}. Back up {files.directory / 'keyring'} now.")
        for model, done in reseal_all(batch=options["batch"]):
            self.stdout.write(f"  {model}: {done}")
        left = {key_id: count for key_id, count in key_ids_in_use().items() if key_id != primary}
        record("keys.rotated", actor=SYSTEM, detail={"primary": primary, "left": left})
        self.tell(left)
        if options["drop_old"]:
            self.drop_old(left)

    def tell(self, left: dict[str, int]) -> None:
        damaged = left.get("?", 0)
        others = sum(count for key_id, count in left.items() if key_id != "?")
        self.stdout.write(f"Under an older key: {others}. Damaged: {damaged}.")

    def drop_old(self, left: dict[str, int]) -> None:
        if left or key_ids_in_use().keys() - {settings.NAVI_KEYS.keyring().primary}:
            raise CommandError(
                "Older keys are still needed, so none was dropped. Run it again with --resume."
            )
        ring = settings.NAVI_KEYS.keyring()
        settings.NAVI_KEYS.drop(set(ring.keys) - {ring.primary} - keys_of_batches())
        self.stdout.write("Unused keys are out of the ring.")


def keys_of_batches() -> set[str]:
    """Key ids that the audit's chain was sealed with: it is verified under them for ever."""
    from navi.audit.models import AuditBatch

    return set(AuditBatch.objects.values_list("key_id", flat=True).distinct())
