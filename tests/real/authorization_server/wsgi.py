"""The server, with its people and clients. gunicorn loads it once, in its only worker."""

import json
import os

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()


def settle() -> None:
    """Make the tables, and who lives in them."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    for login, name, password in json.loads(os.environ["AUTHORIZATION_SERVER_PEOPLE"]):
        get_user_model().objects.create_user(login, password=password, first_name=name)
    for client in json.loads(os.environ["AUTHORIZATION_SERVER_CLIENTS"]):
        register(**client)


def register(client_id: str, client_secret: str, redirect_uri: str) -> None:
    """A client; one without a secret is public."""
    clients = apps.get_app_config("oauth2_provider").get_model("Application")._default_manager
    clients.create(
        client_id=client_id, client_secret=client_secret, name=client_id, redirect_uris=redirect_uri,
        client_type="confidential" if client_secret else "public",
        authorization_grant_type="authorization-code",
    )  # fmt: skip


settle()
