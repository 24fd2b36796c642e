"""Logins that live in a command's own keeping, such as `gh`: on the agent's machine, or on this server.

Nothing secret is stored. A connection of this kind remembers whose login it is and when it last worked: as
an agent's machine reported it, or as the command said here, where the operator lists the project.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from credentials.models import AuthKind, Connection, Health, State
from integrations import policy
from integrations.models import HealthCheck
from integrations.registry import Entry
from integrations.runtime import recovery
from integrations.sdk import Cli
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record
from navi.audit.redact import redact

PATIENCE = 20.0  # seconds for the command
# What a login's own files are found by; nothing of Navi's environment, which holds secrets.
PASSED_ON = ("PATH", "HOME", "USER", "LANG", "XDG_CONFIG_HOME", "GH_CONFIG_DIR", "DBUS_SESSION_BUS_ADDRESS")
QUIET = timedelta(minutes=10)  # what is told again within these changes nothing
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
ACCOUNT = re.compile(rf"(?:account|as) ({NAME.pattern})")


def facts_of(entry: Entry) -> Cli:
    """The command of this provider. Raises Problem where it has none; people's descriptions never do."""
    for way in entry.provider.auth:
        if isinstance(way, Cli) and not entry.provider.custom_id:
            return way
    words = f"{entry.name} has no login by a command."
    raise Problem("invalid_input", words, provider=entry.slug)


def known(entry: Entry, *, project: Any, user_id: Any) -> Connection | None:
    """The login that was reported last: the person's own, or this server's for the project."""
    rows = Connection.objects.reachable(project_id=project.pk, user_id=user_id)
    return rows.filter(provider=entry.slug, auth_kind=AuthKind.CLI).order_by("-last_check_at").first()


# --- on the agent's machine


def report(entry: Entry, actor: Actor, *, project: Any, ok: bool, account: str = "") -> Connection:
    """Whether the command is signed in on the machine of a person's agent. Raises Problem."""
    words = f"{facts_of(entry).command} is not signed in on that machine."
    policy.check_not_blocked(entry)
    if actor.user_id is None:
        raise Problem("invalid_input", "Only a person's agent can report a login.")
    if account and not NAME.fullmatch(account):
        raise Problem("invalid_input", "This is not the name of an account.", field="account")
    place = {"user_id": actor.user_id, "project": None}
    return noted(entry, actor, project, place, ok=ok, account=account, words=words)


# --- on this server


def is_offered(entry: Entry, project: Any) -> bool:
    """Has the operator listed this project for the server's own login? (NAVI_CLI_LOGINS)"""
    command = next((way.command for way in entry.provider.auth if isinstance(way, Cli)), None)
    return command is not None and project.slug in settings.CLI_LOGINS.get(command, ())


def check_here(entry: Entry, actor: Actor, *, project: Any) -> Connection:
    """Run the provider's own check on this server. Raises Problem where the operator does not offer that."""
    facts = facts_of(entry)
    policy.check_not_blocked(entry)
    if not is_offered(entry, project):
        words = (
            f"This server's own {facts.command} login is not offered to this project. The operator lists it."
        )
        raise Problem("blocked", words, provider=entry.slug)
    ok, words = said(facts)
    found = ACCOUNT.search(words)
    place = {"user_id": None, "project": project}
    return noted(entry, actor, project, place, ok=ok, account=found[1] if ok and found else "", words=words)


def said(facts: Cli) -> tuple[bool, str]:
    """Whether the check command succeeds, and what it says."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - a bundled plugin's own words, never a person's
            shlex.split(facts.check_command), env=environment, cwd="/", stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return False, f"{facts.command} is not installed on this server."
    except (OSError, subprocess.TimeoutExpired):
        return False, f"{facts.command} did not answer in time."
    return done.returncode == 0, (done.stdout + done.stderr)[:2000]


# --- what is remembered of both


def noted(
    entry: Entry, actor: Actor, project: Any, place: dict[str, Any], *, ok: bool, account: str, words: str
) -> Connection:
    now = timezone.now()
    with transaction.atomic():
        row, is_new = found_or_made(entry, actor, place)
        if not is_new and is_known(row, ok=ok, account=account, at=now):
            row.last_check_at = now
            row.save(update_fields=["last_check_at"])
            return row
        write(row, ok=ok, account=account, words=words, at=now)
        settle(row, is_new=is_new)
        record(
            "connection.connected" if is_new else "connection.tested", actor=actor, project=project,
            provider=entry.slug, connection=row, outcome="ok" if ok else "failed",
        )  # fmt: skip
    return row


def write(row: Connection, *, ok: bool, account: str, words: str, at: datetime) -> None:
    reason = "" if ok else redact(words.strip().partition("\n")[0])[:300] or "The command is not signed in."
    facts = {
        "state": State.ACTIVE if ok else State.REAUTH_REQUIRED, "state_reason": reason, "state_at": at,
        "health": Health.HEALTHY if ok else Health.FAILED, "health_reason": reason, "last_check_at": at,
        "error_count": 0 if ok else 1, "last_error": reason, **({"last_success_at": at} if ok else {}),
    }  # fmt: skip
    for name, value in {**facts, **({"label": account} if account else {})}.items():
        setattr(row, name, value)
    row.save()
    HealthCheck.objects.create(
        connection=row, status=row.health, reason=reason, at=at, latency_ms=0, asked_by="cli"
    )


def is_known(row: Connection, *, ok: bool, account: str, at: datetime) -> bool:
    """Was just this remembered a moment ago?"""
    is_same = (row.state == State.ACTIVE) == ok and account in {"", row.label}
    return is_same and row.checks.filter(at__gt=at - QUIET).exists()


def found_or_made(entry: Entry, actor: Actor, place: dict[str, Any]) -> tuple[Connection, bool]:
    rows = Connection.objects.select_for_update().filter(**place, provider=entry.slug, auth_kind=AuthKind.CLI)
    row = rows.first()
    if row:
        return row, False
    label = facts_of(entry).label
    return Connection(
        provider=entry.slug, auth_kind=AuthKind.CLI, label=label, created_by_id=actor.user_id, **place
    ), True


def settle(row: Connection, *, is_new: bool) -> None:
    """The default only where nothing else is connected: agents cannot call through a login of their own."""
    if is_new and not row.siblings().filter(is_default=True).exists():
        row.make_default()
    recovery.roll_up(row)


def refuse_to_call(connection: Connection, entry: Entry) -> None:
    """Navi holds nothing to call with: the agent's own command does. Raises Problem `no_token`."""
    if connection.auth_kind != AuthKind.CLI:
        return
    facts = facts_of(entry)
    words = f"{entry.name} is signed in by {facts.command} on the agent's machine. Use {facts.command} there."
    raise Problem("no_token", words, provider=entry.slug, cli=facts.check_command)
