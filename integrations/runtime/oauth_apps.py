"""The apps that Navi is at vendors': one for the whole instance, one of a project's own where it wants that."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from credentials.models import OAuthApp
from credentials.vault import VaultSealed
from integrations.registry import Entry
from integrations.runtime.consent import oauth_of
from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.audit.record import record

LONGEST_ID, LONGEST_SECRET = 400, 1000


def own(entry: Entry, project: Any) -> OAuthApp | None:
    """The project's own app; without a project, the instance's."""
    return OAuthApp.objects.filter(provider=entry.slug, project=project).first()


def serving(entry: Entry, project: Any) -> OAuthApp | None:
    """The app that people of this project sign in through: its own, else the instance's."""
    app = OAuthApp.objects.serving(entry.slug, project.pk)
    return None if app and entry.provider.custom_id and app.project_id is None else app


def save(entry: Entry, project: Any, *, client_id: str, client_secret: str | None, actor: Actor) -> OAuthApp:
    """Add or change the app of the project, or of the instance (project None).

    Without a secret (None) the stored one stays, "" makes it a public client. Raises Problem.
    """
    oauth_of(entry)
    client_id = checked(client_id, "client_id", "client ID", longest=LONGEST_ID)
    app = own(entry, project) or OAuthApp(provider=entry.slug, project=project)
    is_new = app._state.adding
    if client_secret is None and is_new:
        raise Problem("invalid_input", "The client secret is missing.", field="client_secret")
    if client_secret is None and app.client_id != client_id:
        words = "Another client ID has another secret. Enter it too."
        raise Problem("invalid_input", words, field="client_secret")
    app.client_id, app.changed_at = client_id, timezone.now()
    if client_secret is not None:
        app.secret = {"client_secret": checked_secret(client_secret), "bound_to": entry.bound_to}
    return stored(app, actor, "oauth_app.created" if is_new else "oauth_app.updated")


def stored(app: OAuthApp, actor: Actor, event: str) -> OAuthApp:
    try:
        with transaction.atomic():
            app.save()
            note(app, actor, event)
    except VaultSealed as problem:
        words = f"Navi cannot seal secrets now: {problem}"
        raise Problem("sealed", words, provider=app.provider) from None
    except IntegrityError:
        words = "Somebody else has just entered an app here. Look at it, and save again if yours is the right one."
        raise Problem("conflict", words, provider=app.provider) from None
    return app


def note(app: OAuthApp, actor: Actor, event: str) -> None:
    record(event, actor=actor, project=app.project, provider=app.provider, detail={"clientId": app.client_id})


def checked(value: str, field: str, name: str, *, longest: int) -> str:
    value = value.strip()
    if not value:
        raise Problem("invalid_input", f"The {name} is missing.", field=field)
    if len(value) > longest or not value.isprintable():
        raise Problem("invalid_input", f"This does not look like a {name}.", field=field)
    return value


def checked_secret(value: str) -> str:
    value = value.strip()
    return checked(value, "client_secret", "client secret", longest=LONGEST_SECRET) if value else ""


def remove(app: OAuthApp, actor: Actor, *, project: Any) -> None:
    """Take the app away. What it connected works until its tokens end, and then needs a reconnect."""
    with transaction.atomic():
        note(app, actor, "oauth_app.deleted")
        app.delete()
