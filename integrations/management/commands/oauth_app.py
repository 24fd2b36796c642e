"""`manage.py oauth_app --provider google --client-id ID [--project SLUG]`, the secret from standard input."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations import registry
from integrations.runtime import consent, oauth_apps
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.projects.models import Project

OPERATOR = Actor("operator", "manage.py", "The operator")


class Command(BaseCommand):
    help = "Set up the OAuth app that people sign in through: of the instance, or of one project."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--provider", required=True, metavar="SLUG", help="such as google")
        parser.add_argument("--client-id", required=True, metavar="ID")
        parser.add_argument("--project", metavar="SLUG", help="only for this project")
        parser.add_argument("--public", action="store_true", help="a public client, which has no secret")

    def handle(self, *, provider: str, client_id: str, project: str | None, public: bool, **_: Any) -> None:
        row = project_called(project) if project else None
        try:
            entry = registry.entry(provider, row.pk if row else None)
            secret = "" if public else secret_from_input()
            oauth_apps.save(entry, row, client_id=client_id, client_secret=secret, actor=OPERATOR)
        except Problem as problem:
            raise CommandError(problem.message) from None
        where = f"the project {row.name}" if row else "all projects"
        self.stdout.write(f"{entry.name} can be connected by OAuth in {where}.")
        self.stdout.write(f"Register this redirect address there: {consent.redirect_uri(entry)}")


def project_called(slug: str) -> Project:
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise CommandError(f"There is no project {slug!r}.")
    return project


def secret_from_input() -> str:
    """One line of standard input, without echo at a terminal. Raises CommandError where it is empty."""
    said = getpass.getpass("Client secret: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not said.strip():
        raise CommandError(
            "The client secret comes from standard input, and nothing came. Use --public for none."
        )
    return said
