"""The door for agents. No trailing slash; each view names the scope it needs."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http.response import HttpResponseBase
from django.urls import path, re_path

from navi.api.views import actions, credentials, house, integrations, runs, syncs, webhooks

app_name = "api"


def agents(view: Any) -> Callable[..., HttpResponseBase]:
    """A view for tokens: sessions and their sign-in page have no part in it."""
    wrapped: Any = login_not_required(view.as_view())
    wrapped.navi_rule = view.navi_rule
    return wrapped  # type: ignore[no-any-return]


urlpatterns = [
    path("schema", agents(house.Schema), name="schema"),
    path("docs", house.docs, name="docs"),
    path("credentials/providers", agents(credentials.Providers)),
    path("credentials/connect/<uuid:pk>", agents(credentials.ConnectState)),
    path("credentials/<slug:provider>", agents(credentials.Credentials)),
    path("credentials/<slug:provider>/connect", agents(credentials.AskToConnect)),
    path("credentials/<slug:provider>/login", agents(credentials.Login)),
    path("credentials/<slug:provider>/test", agents(credentials.Test)),
    path("credentials/<slug:provider>/token", agents(credentials.Token)),
    path("credentials/<slug:provider>/explain", agents(credentials.Explain)),
    path("integrations/status", agents(integrations.Status)),
    path("integrations/<slug:provider>/status", agents(integrations.OneStatus)),
    path("integrations/<slug:provider>/enable", agents(integrations.Switch)),
    path("integrations/<slug:provider>/disable", agents(integrations.SwitchOff)),
    path("integrations/<slug:provider>/settings", agents(integrations.Settings)),
    path("integrations/<slug:provider>/health-check", agents(integrations.HealthCheck)),
    path("integrations/<slug:provider>/health", agents(integrations.Health)),
    path("providers/custom", agents(integrations.Customs)),
    path("providers/custom/<slug:slug>", agents(integrations.Custom)),
    path("preflight", agents(integrations.Preflight)),
    path("plugins", agents(actions.Plugins)),
    path("plugins/<slug:plugin>", agents(actions.Plugin)),
    path("plugins/<slug:plugin>/settings", agents(actions.PluginSettings)),
    path("plugins/<slug:plugin>/discover/<slug:resource>", agents(actions.Discover)),
    path("actions", agents(actions.Actions)),
    path("actions/runs/<uuid:pk>", agents(runs.Run)),
    path("actions/runs/<uuid:pk>/resume", agents(runs.Resume)),
    path("actions/<slug:plugin>.<slug:action>", agents(actions.Action)),
    path("proxy/<slug:plugin>/<path:path>", agents(actions.Proxy)),
    path("records/<slug:plugin>/<slug:kind>", agents(syncs.Records)),
    path("sync/<slug:plugin>", agents(syncs.Syncs)),
    path("webhooks", agents(webhooks.Webhooks)),
    path("webhooks/<uuid:pk>", agents(webhooks.Webhook)),
    path("webhooks/<uuid:pk>/rotate", agents(webhooks.Rotate)),
    path("webhooks/<uuid:pk>/pause", agents(webhooks.Pause)),
    path("webhooks/<uuid:pk>/resume", agents(webhooks.Resume)),
    path("webhooks/<uuid:pk>/deliveries", agents(webhooks.Deliveries)),
    path("webhooks/<uuid:pk>/deliveries/<uuid:delivery>", agents(webhooks.OneDelivery)),
    path("webhooks/<uuid:pk>/deliveries/<uuid:delivery>/replay", agents(webhooks.Replay)),
    path("audit", agents(actions.Audit)),
    re_path(r"^(?P<path>.*)$", house.nowhere),
]
