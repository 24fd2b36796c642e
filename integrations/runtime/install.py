"""After each migration, and so at every start: a row for every provider that is installed."""

from __future__ import annotations

from typing import Any

from integrations import registry
from integrations.models import Provider


def sync_providers(**_: Any) -> None:
    """A row for each, so that operators can decide about it; what they decided stays."""
    known = dict(Provider.objects.values_list("slug", "source"))
    sources = {slug: entry.source[:120] for slug, entry in registry.installed().entries.items()}
    missing = [Provider(slug=slug, source=source) for slug, source in sources.items() if slug not in known]
    Provider.objects.bulk_create(missing, ignore_conflicts=True)
    for slug, source in sources.items():
        if slug in known and known[slug] != source:
            Provider.objects.filter(slug=slug).update(source=source)
