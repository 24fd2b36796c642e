"""Say how good a plugin is, what is missing, and how to add it."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations import registry
from integrations.sdk import Plugin
from integrations.sdk.quality import TIERS, Finding, findings, summary, tier_of


class Command(BaseCommand):
    help = "Say how good a plugin is (bronze, silver, gold), what is missing and how to add it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", nargs="?", help="the plugin to look at")
        parser.add_argument("--all", action="store_true", help="look at all that are installed")
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = {plugin: check(plugin) for plugin in wanted(options["slug"], everything=options["all"])}
        if options["json"]:
            self.stdout.write(json.dumps([summary(*item) for item in found.items()], indent=2))
        else:
            for plugin, its in found.items():
                self.tell(plugin, its)
        if any(tier_of(its) == "none" for its in found.values()):
            sys.exit(1)

    def tell(self, plugin: Plugin, found: list[Finding]) -> None:
        tier = tier_of(found)
        self.stdout.write(f"{plugin.name} ({plugin.slug}): {'not yet bronze' if tier == 'none' else tier}")
        for name in TIERS:
            for finding in found:
                if finding.tier == name and not finding.is_met:
                    self.stdout.write(f"  for {name}, {finding.check}: {', '.join(finding.missing)}")
                    self.stdout.write(f"      {finding.how}")


def wanted(slug: str | None, *, everything: bool) -> list[Plugin]:
    """The plugins to look at. Raises CommandError."""
    plugins = registry.installed().plugins
    if everything:
        return list(plugins.values())
    if slug is None:
        raise CommandError("Name a plugin, or say --all.")
    return [installed(slug)]


def installed(slug: str) -> Plugin:
    """The installed plugin of this slug. Raises CommandError."""
    plugins = registry.installed().plugins
    if slug not in plugins:
        raise CommandError(f"No plugin is called {slug}; installed: {', '.join(sorted(plugins)) or 'none'}.")
    return plugins[slug]


def check(plugin: Plugin) -> list[Finding]:
    return findings(plugin, registry.installed().entries[plugin.provider].provider)
