"""Integrations: the page, one provider, connecting, custom providers, and what agents asked for."""

from django.urls import path

from navi.hub.replies import page
from navi.hub.views import (
    approvals,
    asked,
    connect,
    custom,
    events,
    integrations,
    oauth,
    oauth_apps,
    provider,
    rules,
    syncs,
    webhooks,
)

HERE = "p/<slug:project>/integrations"
ONE = f"{HERE}/<slug:provider>"
CONNECTION = f"{ONE}/connections/<uuid:pk>"
APPROVALS = "p/<slug:project>/approvals"
HOOKS = "p/<slug:project>/webhooks"

urlpatterns = [
    page(HERE, integrations.integrations, "integrations"),
    page(f"{HERE}/custom", custom.add, "custom-new"),
    # A dash is no slug that a provider can have.
    page(f"{HERE}/custom/-/test", custom.test, "custom-test"),
    page(f"{HERE}/custom/<slug:slug>", custom.edit, "custom-edit"),
    page(f"{HERE}/custom/<slug:slug>/delete", custom.delete, "custom-delete"),
    page(ONE, provider.provider, "provider"),
    page(f"{ONE}/connect", connect.connect_provider, "connect"),
    page(f"{ONE}/connect/test", connect.test_key, "connect-test"),
    page(f"{ONE}/oauth", oauth.start, "oauth-start"),
    page(f"{ONE}/oauth/<uuid:pk>", oauth.wait, "oauth-wait"),
    page(f"{ONE}/oauth-app", oauth_apps.app, "oauth-app"),
    page(f"{ONE}/oauth-app/remove", oauth_apps.remove, "oauth-app-remove"),
    page(f"{ONE}/toggles", integrations.switch, "toggles"),
    page(f"{ONE}/try", provider.try_it, "try"),
    page(f"{ONE}/settings", provider.settings, "provider-settings"),
    page(f"{ONE}/settings/<slug:plugin>/<slug:field>", provider.choices, "provider-choices"),
    page(f"{ONE}/sync", syncs.sync, "provider-sync"),
    page(f"{ONE}/sync/<uuid:pk>/again", syncs.again, "sync-again"),
    page(f"{ONE}/records", syncs.records, "provider-records"),
    page(f"{ONE}/satisfaction", provider.rate, "satisfaction"),
    page(f"{CONNECTION}/test", provider.test_connection, "connection-test"),
    page(f"{CONNECTION}/edit", connect.edit_connection, "connection-edit"),
    page(f"{CONNECTION}/default", provider.make_default, "connection-default"),
    page(f"{CONNECTION}/disconnect", provider.disconnect, "disconnect"),
    page(f"{CONNECTION}/connected", connect.connected, "connected"),
    page("oauth/callback", oauth.callback, "oauth-callback"),
    page("oauth/callback/<uuid:custom_id>", oauth.callback, "oauth-callback-custom"),
    page("p/<slug:project>/mcp", integrations.mcp, "mcp"),
    page(APPROVALS, approvals.approvals, "approvals"),
    page(f"{APPROVALS}/waiting", approvals.waiting, "approvals-waiting"),
    page(f"{APPROVALS}/<uuid:pk>/grant", approvals.grant, "approval-grant"),
    page(f"{APPROVALS}/<uuid:pk>/deny", approvals.deny, "approval-deny"),
    page(f"{APPROVALS}/<uuid:pk>/always", approvals.always, "approval-always"),
    page(f"{APPROVALS}/rules/new", rules.add, "rule-new"),
    page(f"{APPROVALS}/rules/<uuid:pk>", rules.edit, "rule-edit"),
    page(f"{APPROVALS}/rules/<uuid:pk>/delete", rules.delete, "rule-delete"),
    page(HOOKS, events.webhooks, "webhooks"),
    page(f"{HOOKS}/new", webhooks.new, "webhook-new"),
    page(f"{HOOKS}/new/<slug:plugin>/resources", webhooks.resources, "webhook-resources"),
    page(f"{HOOKS}/replay", events.replay_all, "webhook-replay-all"),
    page(f"{HOOKS}/deliveries/<uuid:pk>", events.delivery, "delivery"),
    page(f"{HOOKS}/deliveries/<uuid:pk>/replay", events.replay, "delivery-replay"),
    page(f"{HOOKS}/<uuid:pk>/rotate", webhooks.rotate, "webhook-rotate"),
    page(f"{HOOKS}/<uuid:pk>/pause", webhooks.pause, "webhook-pause"),
    page(f"{HOOKS}/<uuid:pk>/resume", webhooks.resume, "webhook-resume"),
    page(f"{HOOKS}/<uuid:pk>/secret", webhooks.secret, "webhook-secret"),
    page(f"{HOOKS}/<uuid:pk>/delete", webhooks.delete, "webhook-delete"),
    page("settings/integrations", integrations.settings_integrations, "settings-integrations"),
    path("icons/<slug:slug>.svg", integrations.icon, name="icon"),  # the one that a browser may keep
    page("connect/<uuid:pk>", asked.connect_request, "connect-request"),
    page("connect/<uuid:pk>/decline", asked.decline, "connect-request-decline"),
]
