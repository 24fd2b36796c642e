"""How things are told to agents: camelCase envelopes, times in ISO 8601 UTC, never a secret."""

from __future__ import annotations

from typing import Any

from credentials.models import Connection, Health
from credentials.resolve import Resolution, choose
from integrations import registry
from integrations.models import ActionRun, CustomProvider, HealthCheck
from integrations.policy import Standing, Toggles
from integrations.registry import Entry
from integrations.runtime.release import Released
from integrations.sdk import Plugin
from navi.api.errors import iso
from navi.audit.models import AuditEvent

NAMES = {"enabled": "enabled", "mcp_enabled": "mcpEnabled", "skill_enabled": "skillEnabled"}


def provider(entry: Entry, connections: list[Connection]) -> dict[str, Any]:
    """The seeds' IntegrationProvider, with its credential status."""
    return {**entry.provider.manifest(), **credential_status(connections), "source": entry.source}


def plugin(found: Plugin, entry: Entry, connections: list[Connection]) -> dict[str, Any]:
    """A manifest, with how far the plugin has come here."""
    tier = None if entry.provider.custom_id else registry.tier(found.slug)
    return {**found.manifest(entry.provider), "lifecycle": lifecycle(connections), "tier": tier}


def lifecycle(connections: list[Connection]) -> str:
    """The seeds' next step: install and connect come before run."""
    chosen = choose(connections).connection
    if chosen is None:
        return "install"
    return "run" if chosen.is_usable else "connect"


def credential_status(connections: list[Connection]) -> dict[str, Any]:
    chosen = connections[0] if connections else None
    return {
        "hasCredentials": chosen is not None,
        "credentialScope": chosen.scope if chosen else None,
        "connections": [connection(one) for one in connections],
    }


def connection(row: Connection) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "label": row.label,
        "scope": row.scope,
        "isDefault": row.is_default,
        "enabled": row.enabled,
        "state": row.state,
        "reason": row.state_reason or None,
        "health": row.health,
        "authType": row.auth_kind,
        "scopes": row.scopes,
        "connectedAt": iso(row.created_at),
        "lastUsedAt": iso(row.last_used_at),
        "errorCount": row.error_count,
        "lastError": row.last_error or None,
    }


def toggles(values: Toggles, health: str | None) -> dict[str, Any]:
    return {
        "enabled": values.enabled,
        "mcpEnabled": values.mcp_enabled,
        "skillEnabled": values.skill_enabled,
        "health": health,
    }


def integration(entry: Entry, standing: Standing, connections: list[Connection]) -> dict[str, Any]:
    """One entry of /api/integrations/status."""
    effective = standing.effective
    of_person = next((one for one in connections if one.scope == "global" and one.is_default), None)
    of_project = next((one for one in connections if one.scope == "project" and one.is_default), None)
    serving = of_project or of_person
    return {
        "provider": entry.slug,
        "name": entry.name,
        "hasCredentials": bool(connections),
        "credentialScope": serving.scope if serving else None,
        "status": {
            "global": toggles(standing.person, health_of(of_person)),
            "project": toggles(standing.project, health_of(of_project)),
            "effective": {
                "enabled": effective.enabled and not effective.is_blocked,
                "mcpEnabled": effective.mcp_enabled,
                "skillEnabled": effective.skill_enabled,
                "health": health_of(serving) if effective.enabled else Health.DISABLED.value,
                "origin": {NAMES[name]: level for name, level in effective.origin.items()},
                "blocked": effective.is_blocked,
            },
        },
    }


def health_of(row: Connection | None) -> str:
    return row.health if row else Health.UNKNOWN.value


def health(
    entry: Entry, row: Connection | None, history: list[HealthCheck], *, is_enabled: bool
) -> dict[str, Any]:
    return {
        "provider": entry.slug,
        "scope": row.scope if row else None,
        "status": health_of(row) if is_enabled else Health.DISABLED.value,
        "since": iso(row.health_since) if row else None,
        "lastCheck": iso(row.last_check_at) if row else None,
        "lastSuccess": iso(row.last_success_at) if row else None,
        "errorCount": row.error_count if row else 0,
        "lastError": (row.last_error or None) if row else None,
        "reason": (row.health_reason or None) if row else None,
        "nextCheck": iso(row.next_check_at) if row else None,
        "history": [check(one) for one in history],
    }


def check(row: HealthCheck) -> dict[str, Any]:
    return {
        "at": iso(row.at),
        "status": row.status,
        "reason": row.reason or None,
        "latencyMs": row.latency_ms,
    }


def released(secret: Released) -> dict[str, Any]:
    """The token endpoint's answer; `value` and `token` are the same string, as in the seeds."""
    expires = int(secret.expires_at.timestamp() * 1000) if secret.expires_at else None
    answer: dict[str, Any] = {
        "type": secret.kind,
        "value": secret.value,
        "token": secret.value,
        "expiresAt": expires,
        "scopes": secret.connection.scopes,
        "connection": str(secret.connection.pk),
        "authorization": secret.authorization,
        "degraded": bool(secret.trouble),
        "reason": secret.trouble or None,
    }
    if len(secret.fields) > 1:
        answer["fields"] = secret.fields
    return answer


def resolution(found: Resolution) -> dict[str, Any]:
    return {
        "connection": connection(found.connection) if found.connection else None,
        "why": found.why,
        "shadows": [connection(one) for one in found.shadowed],
    }


def run(row: ActionRun) -> dict[str, Any]:
    return {
        "runId": str(row.pk),
        "plugin": row.plugin,
        "action": row.action,
        "state": row.state,
        "startedAt": iso(row.started_at),
        "finishedAt": iso(row.finished_at),
        **(row.answer.reveal() or {} if row.answer else {}),
    }


def event(row: AuditEvent) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "at": iso(row.at),
        "event": row.event,
        "outcome": row.outcome,
        "code": row.code or None,
        "actor": {"kind": row.actor_kind, "id": row.actor_id, "label": row.actor_label},
        "provider": row.provider or None,
        "plugin": row.plugin or None,
        "action": row.action or None,
        "connection": {"id": str(row.connection_id), "label": row.connection_label}
        if row.connection_id
        else None,
        "requestId": row.request_id,
        "durationMs": row.duration_ms,
        "detail": row.detail,
    }


def custom(row: CustomProvider) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "baseUrl": row.base_url,
        "sentAs": row.sent_as,
        "sentName": row.sent_name,
        "sentPrefix": row.sent_prefix,
        "healthPath": row.health_path,
        "expectedStatus": row.expected_status,
        "keyHelpUrl": row.key_help_url,
        "authorizeUrl": row.authorize_url,
        "tokenUrl": row.token_url,
        "revokeUrl": row.revoke_url,
        "scopes": row.oauth_scopes,
        "clientAuth": row.client_auth,
        "awaitsApproval": row.is_inside and not row.is_approved,
    }
