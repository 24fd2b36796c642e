"""A project with a grant from a stand-in's hands, in whichever database this process has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.grants.providers import KINDS
from tests.grants.vendor import Vendor
from tests.standins.grants import CLIENT_ID, CLIENT_SECRET, Pair


def like(vendor: Vendor, slug: str) -> None:
    """Let the stand-in behave as this provider's facts say."""
    for habit, value in KINDS[slug][1].items():
        vendor.turn_on(habit, value)


def instances_app(slug: str) -> Any:
    from credentials.models import OAuthApp

    facts = {"client_id": CLIENT_ID, "secret": {"client_secret": CLIENT_SECRET}}
    return OAuthApp.objects.get_or_create(provider=slug, project=None, defaults=facts)[0]


def granted(
    project: Any, slug: str, vendor: Vendor, *, left: float = -10, life: float = 3600, label: str = "Alice"
) -> Any:
    """A connection with a grant whose access token has `left` seconds of `life` left."""
    return stored(project, slug, vendor.grant("read"), left=left, life=life, label=label)


def stored(project: Any, slug: str, pair: Pair, *, left: float, life: float, label: str) -> Any:
    from credentials.models import Connection, Secret, State

    now = timezone.now()
    ends_at = now + timedelta(seconds=left)
    row = Connection.objects.create(
        provider=slug, project=project, auth_kind="oauth", label=label, state=State.ACTIVE, app=instances_app(slug),
        account_id="the-account", scopes=["read"], is_default=label == "Alice",
    )  # fmt: skip
    fields = {"access_token": pair.access, "refresh_token": str(pair.refresh)}
    times: dict[str, Any] = {
        "issued_at": ends_at - timedelta(seconds=life),
        "expires_at": ends_at,
        "refresh_at": ends_at,
    }
    row.flip_to(Secret.keep(row, fields, bound_to=""), app=row.app, **times)
    return row


def again(connection: Any) -> Any:
    """The row as another process would read it."""
    from credentials.models import Connection

    return Connection.objects.select_related("current", "project", "app").get(pk=connection.pk)


def fields_of(connection: Any) -> dict[str, str]:
    """The credentials in force, in clear."""
    kept: dict[str, Any] = again(connection).current.fields.reveal()
    return dict(kept["fields"])


def answers_of(connection: Any) -> Any:
    """Answers that were saved and not read."""
    return connection.secrets.filter(answers_generation__isnull=False)


def age(connection: Any, *, left: float, life: float = 3600) -> None:
    """Let the stored access token have so many seconds left."""
    ends_at = timezone.now() + timedelta(seconds=left)
    times: dict[str, Any] = {
        "expires_at": ends_at,
        "issued_at": ends_at - timedelta(seconds=life),
        "refresh_at": ends_at,
    }
    type(connection).objects.filter(pk=connection.pk).update(**times)
    connection.refresh_from_db()


def reconnected(connection: Any, vendor: Vendor) -> Pair:
    """A person grants access anew, as consent does in the end."""
    from credentials.models import Secret, State

    row, pair, now = again(connection), vendor.grant("read"), timezone.now()
    fields = {"access_token": pair.access, "refresh_token": str(pair.refresh)}
    secret = Secret.keep(row, fields, bound_to="")
    times: dict[str, Any] = {
        "issued_at": now,
        "expires_at": now + timedelta(hours=1),
        "refresh_at": now + timedelta(minutes=48),
    }
    assert row.flip_to(secret, app=row.app, state=State.ACTIVE, state_reason="", **times)
    return pair


def answer_saved(connection: Any, body: str, status: int = 200) -> Any:
    """As another process leaves it that died before it read the answer."""
    from credentials.models import Secret

    row = again(connection)
    return Secret.objects.create(
        connection=row, seal_owner=row.seal_owner, fields={"status": status, "body": body},
        answers_generation=row.generation,
    )  # fmt: skip


def entry_of(connection: Any) -> Any:
    from integrations import registry

    return registry.entry(connection.provider, connection.project_id)


def served(connection: Any, **asked: Any) -> Any:
    """The connection as the house hands it out now. Raises what a caller meets."""
    from integrations.runtime import grants

    row = again(connection)
    return grants.kept_alive(row, entry_of(row), **asked).connection


def held_no_more(connection: Any) -> None:
    """The pause after a failure is over."""
    type(connection).objects.filter(pk=connection.pk).update(hold_until=None)


def access_of(connection: Any) -> str:
    return fields_of(connection)["access_token"]
