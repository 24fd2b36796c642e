"""After each migration, and so at every start: a row for every provider that is installed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import transaction

from integrations import registry
from integrations.models import Provider
from navi.audit.actor import SYSTEM
from navi.audit.record import AuditUnavailable, record


def sync_providers(plan: Any = None, **_: Any) -> None:
    """A row for each, so that operators can decide about it; what they decided stays.

    `plan` is given by the command `migrate`, and not where a database is only emptied.
    """
    known = dict(Provider.objects.values_list("slug", "source"))
    sources = {slug: entry.source[:120] for slug, entry in registry.installed().entries.items()}
    missing = [Provider(slug=slug, source=source) for slug, source in sources.items() if slug not in known]
    Provider.objects.bulk_create(missing, ignore_conflicts=True)
    if plan is not None:
        remember([row.slug for row in missing])
    for slug, source in sources.items():
        if slug in known and known[slug] != source:
            Provider.objects.filter(slug=slug).update(source=source)


def remember(slugs: list[str]) -> None:
    """The first of a plugin's steps, in the audit; where only some apps are migrated there may be none yet."""
    entries = registry.installed().entries
    with suppress(AuditUnavailable), transaction.atomic():
        for slug in slugs:
            about = {"source": entries[slug].source, "plugins": [one.slug for one in entries[slug].plugins]}
            record("provider.installed", actor=SYSTEM, provider=slug, detail=about)
