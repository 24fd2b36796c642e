"""All that a plugin may import from Navi. Pure Python: no database, no web framework, no sockets."""

from pydantic import Field as Described
from typing_extensions import TypedDict

from integrations.sdk.call import Call, Result
from integrations.sdk.facts import (
    ApiKey,
    Auth,
    Cli,
    Defaults,
    Field,
    Guide,
    HealthFunction,
    Identity,
    McpServer,
    Open,
    Provider,
    Step,
)
from integrations.sdk.paging import every, given
from integrations.sdk.plugin import Action, Choice, Plugin
from integrations.sdk.schema import InvalidArguments, RequestKey
from integrations.sdk.sync import Item, Page, Place, StartOver, Sync
from integrations.sdk.webhook import (
    Event,
    Greeting,
    Heard,
    Hmac,
    Incoming,
    Registered,
    Reply,
    SharedToken,
    SignedJwt,
    Subscription,
    Webhook,
)
from navi.net.auth import Basic, Bearer, Header, NoAuth, Query
from navi.net.client import Client, Headers, Response
from navi.net.errors import Blocked, MissingScopes, Reconnect, Refused, TryLater, VendorError
from navi.net.oauth import OAuth2, Revoke
from navi.net.remote import Remote
from navi.net.retry import retry_after
from navi.net.urls import path_part

__all__ = [
    "Action", "ApiKey", "Auth", "Basic", "Bearer", "Blocked", "Call", "Choice", "Cli", "Client", "Defaults",
    "Described", "Event", "Field", "Greeting", "Guide", "Header", "Headers", "HealthFunction", "Heard",
    "Hmac", "Identity", "Incoming", "InvalidArguments", "Item", "McpServer", "MissingScopes", "NoAuth",
    "OAuth2", "Open", "Page", "Place", "Plugin", "Provider", "Query", "Reconnect", "Refused", "Registered",
    "Remote", "Reply", "RequestKey", "Response", "Result", "Revoke", "SharedToken", "SignedJwt",
    "StartOver", "Step", "Subscription", "Sync", "TryLater", "TypedDict", "VendorError", "Webhook", "every",
    "given", "path_part", "retry_after",
]  # fmt: skip
