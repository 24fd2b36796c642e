"""Clients as Navi opens them, with a stand-in at the other end."""

from dataclasses import replace

from integrations.sdk import Client, Plugin
from integrations.sdk.testing import pretended, remote_of
from navi.net.client import Outbound
from navi.net.guard import Policy
from tests.standins.server import Standin


def client_at(plugin: Plugin, standin: Standin, secret: str, action: str = "") -> Client:
    """A client of the plugin's whose requests go to the stand-in, as NAVI_UPSTREAMS would have it."""
    remote = replace(remote_of(plugin, action), upstream=standin.url, deadline=10.0)
    return Client(remote, dict.fromkeys(pretended(remote.auth), secret), Outbound(Policy()))


def signed_in(plugin: Plugin, standin: Standin, kind: str, **fields: str) -> Client:
    """As client_at, for the way of signing in of this kind, with its fields."""
    assert plugin.own_provider
    sent_as = plugin.own_provider.auth_of(kind).sent_as
    remote = replace(remote_of(plugin), auth=sent_as, upstream=standin.url, deadline=10.0)
    return Client(remote, fields, Outbound(Policy()))
