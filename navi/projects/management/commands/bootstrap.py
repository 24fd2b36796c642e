"""Set Navi up from a script: an operator, a project, a token."""

from __future__ import annotations

import getpass
import json
import sys
from argparse import ArgumentParser
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from navi import env
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.keyring import KeyringProblem
from navi.projects import people, roles, tokens
from navi.projects.checks import checked_email, new_person
from navi.projects.models import AgentToken, Project, User


class Command(BaseCommand):
    help = (
        "Make an operator, a project of theirs and an agent token, each unless it is there. "
        "The password comes from NAVI_BOOTSTRAP_PASSWORD, its _FILE, or standard input; a person who exists "
        "keeps theirs. A token is printed once, when it is made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True, help="the operator's e-mail address")
        parser.add_argument(
            "--project", required=True, metavar="NAME", help="the project's name, or its slug"
        )
        parser.add_argument("--token", default="bootstrap", metavar="NAME", help="the agent token's name")
        parser.add_argument("--scopes", nargs="+", metavar="SCOPE", help="the token's scopes; without: all")
        parser.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, **options: Any) -> None:
        scopes = " ".join(options["scopes"] or roles.SCOPES).replace(",", " ").split()
        try:
            if sealed := ensure_keys():
                self.stderr.write(sealed)
            with transaction.atomic():
                user = operator(options["email"])
                project = project_of(user, options["project"])
                text = new_token(project, user, options["token"], scopes)
        except (Problem, KeyringProblem) as problem:
            raise CommandError(str(problem)) from None
        answer = told(project, user, text)
        self.stdout.write(json.dumps(answer) if options["json"] else in_words(answer, options["token"]))


def ensure_keys() -> str | None:
    """Make the key files where they may be made. A sentence where Navi is sealed.

    By name, because `credentials`, which knows what is sealed with them, is the floor above.
    """
    if find_spec("credentials.keys"):
        sentence: str | None = import_module("credentials.keys").ensure_keys()
        return sentence
    settings.NAVI_KEYS.create("pepper")
    return None


def operator(email: str) -> User:
    """The person of this address, as an operator; a new one gets the password given."""
    user = User.objects.filter(email__iexact=checked_email(email)).first()
    if user is None:
        user = people.saved(new_person(email=email, name="", password=given_password()))
    people.appoint_operator(user, actor=shell(user))
    return user


def project_of(user: User, name: str) -> Project:
    """The project of this name or slug, with this person as an owner."""
    named = Project.objects.filter(Q(name=name.strip()) | Q(slug=name), archived_at=None)
    project = named.order_by("created_at").first()
    if project is None:
        return people.create_project(name, user, actor=shell(user))
    membership = project.memberships.filter(user=user).first()
    if membership:
        people.change_role(membership, roles.OWNER, actor=shell(user))
    else:
        people.add_member(project, user, roles.OWNER, actor=shell(user))
    return project


def new_token(project: Project, user: User, name: str, scopes: list[str]) -> str | None:
    """A token's text, or None where a living one of this name is there already."""
    if AgentToken.objects.living(timezone.now()).filter(project=project, owner=user, name=name).exists():
        return None
    _, text = tokens.issue(project, user, name, scopes, actor=shell(user))
    return text


def shell(user: User) -> Actor:
    """Whoever may run commands on this machine, acting for the operator named."""
    return Actor("operator", str(user.pk), f"{user} (bootstrap)", user_id=user.pk)


def given_password() -> str:
    password = env.text("NAVI_BOOTSTRAP_PASSWORD")
    if not password:
        is_typed = sys.stdin.isatty()
        password = getpass.getpass("Password: ") if is_typed else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("There is no password. Set NAVI_BOOTSTRAP_PASSWORD, or pipe one in.")
    return password


def told(project: Project, user: User, text: str | None) -> dict[str, Any]:
    return {
        "project": {"id": str(project.pk), "slug": project.slug},
        "user": {"id": str(user.pk), "email": user.email},
        "token": text,
        "apiUrl": f"{settings.BASE_URL}/api",
        "mcpUrl": f"{settings.MCP_URL}/mcp/{project.slug}",
    }


def in_words(answer: dict[str, Any], token: str) -> str:
    shown = answer["token"] or f"{token} exists already; its text was shown once and is not kept"
    return (
        f"Operator  {answer['user']['email']}\n"
        f"Project   {answer['project']['slug']}\n"
        f"Token     {shown}\n"
        f"API       {answer['apiUrl']}\n"
        f"MCP       {answer['mcpUrl']}"
    )
