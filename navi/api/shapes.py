"""How things are told to agents: camelCase envelopes, times in ISO 8601 UTC, never a secret."""

from __future__ import annotations

from typing import Any

from credentials.models import Connection, Health
from credentials.resolve import Resolution
from integrations import registry
from integrations.models import ActionRun, CustomProvider, HealthCheck
from integrations.policy import Effective, Standing, Toggles
from integrations.registry import Entry
from integrations.ruling import Rules
from integrations.runtime import pushing, runs
from integrations.runtime.discover import Found
from integrations.runtime.lifecycle import Stage
from integrations.runtime.release import Released
from integrations.sdk import Action, Plugin
from navi.api.errors import iso
from navi.audit.models import AuditEvent
from navi.projects.models import Project

NAMES = {"enabled": "enabled", "mcp_enabled": "mcpEnabled", "skill_enabled": "skillEnabled"}


def provider(entry: Entry, connections: list[Connection]) -> dict[str, Any]:
    """The seeds' IntegrationProvider, with its credential status."""
    return {**entry.provider.manifest(), **credential_status(connections), "source": entry.source}


def plugin(found: Plugin, entry: Entry, stage: Stage, standing: Standing) -> dict[str, Any]:
    """A manifest, with how far the plugin has come here: the last of the seeds' steps, and its state."""
    return {
        **found.manifest(entry.provider),
        "lifecycle": stage.step,
        "state": stage.state,
        "stateReason": stage.reason or None,
        "enabled": is_on(standing, found),
        "tier": None if entry.provider.custom_id else registry.tier(found.slug),
    }


def action(found: Action, standing: Standing, rules: Rules) -> dict[str, Any]:
    """An action of the catalogue, whether its plugin is switched on here, and what the rules say to this token."""
    policy = rules.ruling(found.plugin.slug, found.name).effect
    return {**found.manifest(), "enabled": is_on(standing, found.plugin), "policy": str(policy)}


def is_on(standing: Standing, found: Plugin) -> bool:
    effective = standing.effective_of(found)
    return effective.enabled and not effective.is_blocked


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
        "plugins": [plugin_toggles(one, standing) for one in entry.plugins],
    }


def plugin_toggles(found: Plugin, standing: Standing) -> dict[str, Any]:
    """What is set for one plugin alone, and what holds for it in the end."""
    person, project = standing.of_plugins.get(found.slug, (Toggles(), Toggles()))
    effective = standing.effective_of(found)
    return {
        "plugin": found.slug,
        "name": found.name,
        "global": switches(person),
        "project": switches(project),
        "effective": {
            **switches(effective),
            "enabled": is_on(standing, found),
            "origin": {NAMES[name]: level for name, level in effective.origin.items()},
        },
    }


def switches(values: Toggles | Effective) -> dict[str, bool | None]:
    return {theirs: getattr(values, ours) for ours, theirs in NAMES.items()}


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


def kept(row: ActionRun, project: Project) -> dict[str, Any]:
    """A call that waits (202)."""
    return {"runId": str(row.pk), "state": row.state, **what_it_waits_for(row, project)}


def what_it_waits_for(row: ActionRun, project: Project) -> dict[str, Any]:
    if row.state == ActionRun.State.QUEUED:
        return {"queue": row.queue, "dueAt": iso(pushing.sent_at(row))}
    if row.state not in {ActionRun.State.AWAITING_APPROVAL, ActionRun.State.APPROVED}:
        return {}
    approval = row.approval
    return {
        "link": runs.page_for(row, project.slug),
        "approvalId": str(approval.pk),
        "expiresAt": iso(approval.expires_at),
    }


def run(row: ActionRun, project: Project) -> dict[str, Any]:
    return {
        "runId": str(row.pk),
        "plugin": row.plugin,
        "action": row.action,
        "state": row.state,
        "startedAt": iso(row.started_at),
        "finishedAt": iso(row.finished_at),
        **what_it_waits_for(row, project),
        **(row.answer.reveal() or {} if row.answer else {}),
    }


def found(resource: str, choices: Found) -> dict[str, Any]:
    """What there is to choose from, and how old that is."""
    return {
        "resource": resource,
        "choices": [{"id": one.id, "label": one.label} for one in choices.choices],
        "fetchedAt": iso(choices.fetched_at),
        "stale": choices.is_stale,
        "error": choices.error or None,
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
