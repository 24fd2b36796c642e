"""What happened, as somebody would tell it: "Ada created the token claude-code"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from navi.audit.events import EVENTS
from navi.audit.models import AuditEvent
from navi.projects import roles

# After the actor's name. {provider}, {account}, {who} and what the event's detail holds.
DID: Mapping[str, str] = {
    "project.created": "created the project {name}",
    "project.updated": "renamed the project from {was} to {name}",
    "project.archived": "archived the project",
    "project.restored": "brought the project back",
    "project.deleted": "deleted the project",
    "member.invited": "invited {who} as {role}",
    "member.joined": "let {who} join as {role}",
    "member.role_changed": "made {who} {role}; was {was}",
    "member.removed": "removed {who}",
    "member.left": "left the project",
    "invitation.revoked": "withdrew the invitation of {who}",
    "operator.created": "made {who} an operator",
    "operator.removed": "took the operator's role from {who}",
    "user.updated": "changed the details of {who}",
    "user.disabled": "disabled {who}",
    "user.enabled": "enabled {who} again",
    "password.changed": "changed the password of {who}",
    "session.signed_in": "signed in",
    "session.failed": "failed to sign in",
    "session.locked": "is locked out after failures",
    "session.signed_out": "signed out",
    "token.created": "created the token {name}",
    "token.rotated": "rotated the token {name}",
    "token.revoked": "revoked the token {name}",
    "token.exposed": "saw the token {name} where it must not be",
    "device_login.approved": "approved a command line login",
    "device_login.denied": "declined a command line login",
    "access.denied": "was not let in",
    "connection.connected": "connected {provider}",
    "connection.reconnected": "reconnected {provider}",
    "connection.failed": "failed to connect {provider}",
    "connection.disconnected": "disconnected {provider}",
    "connection.tested": "tested {provider}",
    "connection.refreshed": "refreshed the access to {provider}",
    "connection.refresh_failed": "could not refresh the access to {provider}",
    "connection.needs_reconnect": "found that {provider} needs a person",
    "connection.recovered": "found that {provider} works again",
    "connection.revoke_failed": "could not end the access at {provider}",
    "consent.began": "went to {provider} to sign in",
    "consent.failed": "did not finish signing in at {provider}",
    "notice.sent": "told people about connections",
    "notice.failed": "could not tell people about connections",
    "notice.settings_changed": "changed who is told about connections",
    "connection.default_changed": "changed the default account of {provider}",
    "connection.edited": "changed the connection to {provider}",
    "connection.enabled": "switched the account {account} of {provider} on",
    "connection.disabled": "switched the account {account} of {provider} off",
    "connect_request.created": "asked for a connection to {provider}",
    "connect_request.finished": "made the connection to {provider} that was asked for",
    "connect_request.declined": "declined the connection to {provider} that was asked for",
    "oauth_app.created": "added an OAuth app for {provider}",
    "oauth_app.updated": "changed the OAuth app of {provider}",
    "oauth_app.deleted": "removed the OAuth app of {provider}",
    "secret.released": "received the key of {provider}",
    "action.run": "called",
    "approval.asked": "asked for approval of",
    "approval.granted": "approved",
    "approval.denied": "denied",
    "approval.expired": "got no answer in time about",
    "rule.created": "added a rule for actions",
    "rule.updated": "changed a rule for actions",
    "rule.deleted": "removed a rule for actions",
    "proxy.called": "called {provider} through the proxy",
    "discovery.run": "asked {provider} what there is to choose from",
    "action.queued": "queued",
    "sync.run": "synced {provider}",
    "sync.asked": "asked for a sync of {provider}",
    "sync.paused": "paused a sync of {provider}",
    "sync.resumed": "let a sync of {provider} go on",
    "records.forgotten": "deleted old records of {provider}",
    "integration.enabled": "switched {provider} on for {scope}",
    "integration.disabled": "switched {provider} off for {scope}",
    "integration.settings_changed": "changed the toggles of {provider} for {scope}",
    "plugin.settings_changed": "changed the settings of {provider}",
    "custom_provider.created": "added the custom API {provider}",
    "custom_provider.updated": "changed the custom API {provider}",
    "custom_provider.approved": "approved the custom API {provider}",
    "custom_provider.deleted": "removed the custom API {provider}",
    "provider.installed": "installed {provider}",
    "provider.blocked": "blocked {provider} for the whole instance",
    "provider.unblocked": "allowed {provider} again",
    "provider.defaults_changed": "changed the defaults of {provider}",
    "health.checked": "found {provider} {to}; was {from}",
    "webhook.created": "added a webhook for {provider}",
    "webhook.rotated": "rotated the secret of a webhook of {provider}",
    "webhook.deleted": "removed a webhook of {provider}",
    "webhook.renewed": "renewed a webhook at {provider}",
    "webhook.failed": "tried to register a webhook at {provider}",
    "webhook.paused": "paused a webhook of {provider}",
    "webhook.resumed": "let a webhook of {provider} go on",
    "webhook.greeted": "made the first call to a webhook, and was answered",
    "webhook.refused": "called a webhook of {provider} and was refused",
    "delivery.processed": "had a delivery of {provider} processed",
    "delivery.failed": "had a delivery of {provider} given up",
    "delivery.replayed": "had a delivery of {provider} processed again",
    "mcp_server.created": "added the MCP server {name}",
    "mcp_server.updated": "changed the MCP server {name}",
    "mcp_server.deleted": "removed the MCP server {name}",
    "mcp_server.tested": "tested the MCP server {name}",
    "mcp_server.trusted": "accepted the changed tools of the MCP server {name}",
    "mcp_tool.called": "called the MCP tool",
    "config.exported": "took a client configuration",
    "keys.rotated": "rotated the encryption keys",
    "backup.created": "made a backup",
    "backup.restored": "restored a backup",
    "job.retried": "started a job again",
    "audit.exported": "exported the activity",
    "audit.pruned": "deleted old activity",
    "audit.head_lost": "found the audit's head file missing",
}
# Where it was refused, or broke on the way.
TRIED: Mapping[str, str] = {
    "connection.connected": "tried to connect {provider}",
    "connection.reconnected": "tried to reconnect {provider}",
    "connection.refreshed": "tried to refresh the access to {provider}",
    "connection.disconnected": "tried to disconnect {provider}",
    "secret.released": "asked for the key of {provider}",
    "sync.run": "tried to sync {provider}",
    "mcp_server.trusted": "tried to accept the changed tools of the MCP server {name}",
}
SCOPES = {"global": "all their projects", "project": "this project"}


class Known(dict[str, str]):
    """What is known of an event; the rest is told without a name."""

    UNKNOWN = {"provider": "a service", "who": "somebody", "scope": "this project", "account": "unnamed"}

    def __missing__(self, key: str) -> str:
        return self.UNKNOWN.get(key, "…")


def sentence(event: AuditEvent, *, providers: Mapping[str, str], people: Mapping[str, str]) -> str:
    """What the actor did. `providers` and `people` map slugs and ids to names."""
    if event.event == "member.joined" and event.detail.get("user") == event.actor_id:
        return Known(told(event, providers, people))["joined"]
    phrases = TRIED if event.outcome != "ok" and event.event in TRIED else DID
    phrase = phrases.get(event.event) or EVENTS.get(event.event, event.event)
    return phrase.format_map(Known(told(event, providers, people)))


def told(event: AuditEvent, providers: Mapping[str, str], people: Mapping[str, str]) -> dict[str, str]:
    detail: dict[str, Any] = event.detail if isinstance(event.detail, dict) else {}
    facts = {key: str(value) for key, value in detail.items() if isinstance(value, str | int) and value != ""}
    who = people.get(facts.get("user", "")) or facts.get("email", "")
    facts |= {"who": who} if who else {}
    for name in ("role", "was"):
        if facts.get(name) in roles.LABELS:
            facts[name] = a_role(facts[name])
    facts["scope"] = SCOPES.get(facts.get("scope", ""), SCOPES["project"])
    facts["joined"] = f"joined as {facts.get('role', 'a member')}"
    facts["account"] = event.connection_label or Known()["account"]
    provider = event.provider or event.plugin
    return facts | ({"provider": providers.get(provider, provider)} if provider else {})


def a_role(role: str) -> str:
    """An admin, a viewer."""
    label = roles.LABELS[role].lower()
    return f"an {label}" if label[0] in "aeiou" else f"a {label}"
