"""The keyring in operation: made on the first start, turned online, missed in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings

from credentials.vault import SealedJSONField, Unreadable, key_id_of, reseal
from navi.keyring import KeyringMissing, KeyringProblem


def sealed_fields() -> Iterator[tuple[type[Any], SealedJSONField]]:
    """Every sealed field of every model."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, SealedJSONField):
                yield model, field


def sealed_rows_exist() -> bool:
    return any(
        model._base_manager.exclude(**{f"{field.attname}__isnull": True}).exists()
        for model, field in sealed_fields()
    )


def key_ids_in_use() -> dict[str, int]:
    """How many sealed values rest under each key id; damaged ones count under "?"."""
    counts: dict[str, int] = {}
    for model, field in sealed_fields():
        rows = model._base_manager.exclude(**{f"{field.attname}__isnull": True})
        for token in rows.values_list(field.attname, flat=True).iterator(500):
            try:
                key_id = key_id_of(bytes(token))
            except Unreadable:
                key_id = "?"
            counts[key_id] = counts.get(key_id, 0) + 1
    return counts


def ensure_keys() -> str | None:
    """Make the key files on the first start. A sentence where Navi starts sealed, else None.

    A missing keyring is made only while nothing rests under an older one.
    """
    files = settings.NAVI_KEYS
    if not files.exists("keyring") and not sealed_rows_exist():
        files.create("keyring")
    if not files.exists("pepper") and not apps.get_model("projects", "AgentToken").objects.exists():
        files.create("pepper")
    return why_sealed()


def why_sealed() -> str | None:
    """One sentence on what is missing; None where every sealed value can be opened."""
    try:
        known = set(settings.NAVI_KEYS.keyring().keys)
        settings.NAVI_KEYS.pepper()
    except KeyringMissing as problem:
        return f"Navi is sealed: {problem} Until then secrets answer 503; the rest works."
    except KeyringProblem as problem:
        return f"Navi is sealed: {problem}"
    lacking = {key_id: count for key_id, count in key_ids_in_use().items() if key_id not in known | {"?"}}
    if lacking:
        return (
            f"Navi is sealed in part: {sum(lacking.values())} secrets rest under keys that the keyring "
            f"({settings.DATA_DIR / 'keyring'}) has not got; restore the keyring file from your backup."
        )
    return None


def reseal_all(*, batch: int = 200) -> Iterator[tuple[str, int]]:
    """Seal everything under the primary key: (model's name, rows done), once per model.

    Runs beside readers and writers: each row is swapped only if nobody changed it meanwhile, so
    it can be cut off and started again at any time. Damaged rows are left as they are.
    """
    primary = settings.NAVI_KEYS.keyring().primary
    for model, field in sealed_fields():
        rows = model._base_manager.exclude(**{f"{field.attname}__isnull": True}).order_by("pk")
        keys = list(rows.values_list("pk", flat=True))
        done = 0
        for start in range(0, len(keys), batch):
            chunk = model._base_manager.filter(pk__in=keys[start : start + batch])
            done += sum(reseal_until_done(row, field) for row in chunk if is_old(row, field, primary))
        yield model._meta.label, done


def is_old(instance: Any, field: SealedJSONField, primary: str) -> bool:
    try:
        return getattr(instance, field.attname).key_id not in {None, primary}
    except Unreadable:
        return False


def reseal_until_done(instance: Any, field: SealedJSONField, tries: int = 5) -> bool:
    """Seal one row anew; a writer that was faster has already used the primary key, or we look again."""
    for _ in range(tries):
        try:
            if reseal(instance, field):
                return True
        except Unreadable:
            return False
        instance.refresh_from_db(fields=[field.attname])
        if not is_old(instance, field, settings.NAVI_KEYS.keyring().primary):
            return False
    return False
