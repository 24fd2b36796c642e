"""What the API answers, as JSON Schema: read by the OpenAPI schema, and held against real answers by a test."""

from __future__ import annotations

from typing import Any

from navi.audit.problems import CODES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": "string", "nullable": True}
TRUTH: Schema = {"type": "boolean"}
MAYBE_TRUTH: Schema = {"type": "boolean", "nullable": True}
NUMBER: Schema = {"type": "integer"}
MAYBE_NUMBER: Schema = {"type": "integer", "nullable": True}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MAYBE_MOMENT: Schema = {"type": "string", "format": "date-time", "nullable": True}
ANYTHING: Schema = {}
FREE: Schema = {"type": "object", "additionalProperties": True}


def thing(**properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def some(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def one_of(*values: str, nullable: bool = False) -> Schema:
    return {"type": "string", "enum": [*values, *([None] if nullable else [])], "nullable": nullable}


def either(schema: Schema) -> Schema:
    """The object, or null."""
    return {**schema, "nullable": True}


TEXTS = some(TEXT)
ACTIONS_AFTER = sorted({meaning.action for meaning in CODES.values()})
ERROR: Schema = thing(
    error=thing(
        code=one_of(*CODES), message=TEXT, provider=MAYBE_TEXT, action=one_of(*ACTIONS_AFTER),
        retryAt=MAYBE_MOMENT, waitMs=MAYBE_NUMBER,
        link=MAYBE_TEXT, cli=MAYBE_TEXT, missingScopes=TEXTS, requestId=TEXT,
    )
)  # fmt: skip
ERROR["properties"]["error"]["properties"] |= {"field": TEXT, "errors": some(FREE)}
HEALTH = one_of("unknown", "healthy", "degraded", "failed", "disabled")
SCOPE = one_of("global", "project", nullable=True)
STATE = one_of(
    "pending", "active", "degraded", "reauth_required", "refresh_outcome_unknown", "unreadable", "revoked"
)

CONNECTION = thing(
    id=TEXT, label=TEXT, scope=one_of("global", "project"), isDefault=TRUTH, enabled=TRUTH, state=STATE,
    reason=MAYBE_TEXT, health=HEALTH, authType=TEXT, scopes=TEXTS, connectedAt=MOMENT, lastUsedAt=MAYBE_MOMENT,
    errorCount=NUMBER, lastError=MAYBE_TEXT,
)  # fmt: skip
CONNECTIONS = {"hasCredentials": TRUTH, "credentialScope": SCOPE, "connections": some(CONNECTION)}
FIELD = thing(key=TEXT, label=TEXT, type=TEXT, placeholder=TEXT, helpUrl=TEXT, required=TRUTH, hint=TEXT)
PROVIDER = {
    **thing(
        id=TEXT, name=TEXT, description=TEXT, category=TEXT, icon=TEXT, color=TEXT, authType=TEXT, authTypes=TEXTS,
        credentials=some(FIELD), api=either(thing(baseUrl=TEXT)), skill=FREE, setupGuide=FREE,
        setupSkill=MAYBE_TEXT, healthCheck=FREE, defaults=FREE, mcp=either(FREE), isCustom=TRUTH, source=TEXT,
        **CONNECTIONS,
    )
}  # fmt: skip
TOGGLES = thing(enabled=MAYBE_TRUTH, mcpEnabled=MAYBE_TRUTH, skillEnabled=MAYBE_TRUTH, health=HEALTH)
EFFECTIVE = thing(
    enabled=TRUTH, mcpEnabled=TRUTH, skillEnabled=TRUTH, health=HEALTH, origin=FREE, blocked=TRUTH
)
SWITCHES = thing(enabled=MAYBE_TRUTH, mcpEnabled=MAYBE_TRUTH, skillEnabled=MAYBE_TRUTH)
OF_PLUGIN = thing(**{
    "plugin": TEXT, "name": TEXT, "global": SWITCHES, "project": SWITCHES,
    "effective": thing(enabled=TRUTH, mcpEnabled=TRUTH, skillEnabled=TRUTH, origin=FREE),
})  # fmt: skip
STANDING: Schema = {
    "provider": TEXT, "name": TEXT, "hasCredentials": TRUTH, "credentialScope": SCOPE,
    "status": thing(**{"global": TOGGLES, "project": TOGGLES, "effective": EFFECTIVE}),
    "plugins": some(OF_PLUGIN),
}  # fmt: skip
CHECK = thing(at=MOMENT, status=HEALTH, reason=MAYBE_TEXT, latencyMs=MAYBE_NUMBER)
HEALTH_DETAIL = thing(
    provider=TEXT, scope=SCOPE, status=HEALTH, since=MAYBE_MOMENT, lastCheck=MAYBE_MOMENT, lastSuccess=MAYBE_MOMENT,
    errorCount=NUMBER, lastError=MAYBE_TEXT, reason=MAYBE_TEXT, nextCheck=MAYBE_MOMENT, history=some(CHECK),
)  # fmt: skip
ACTION = thing(
    id=TEXT, plugin=TEXT, name=TEXT, title=TEXT, description=TEXT, writes=TRUTH, destructive=TRUTH,
    tokenScope=TEXT, scopes=TEXTS, input=FREE, output=either(FREE),
)  # fmt: skip
PLUGIN = thing(
    id=TEXT, name=TEXT, description=TEXT, provider=TEXT, auth=TEXT, scopes=some(FREE), capabilities=TEXTS,
    webhook=either(FREE), settings=either(FREE), actions=some(ACTION), discovery=TEXTS,
    lifecycle=one_of("install", "connect", "configure", "run"), enabled=TRUTH, stateReason=MAYBE_TEXT,
    state=one_of("available", "connected", "configured", "running", "paused", "needs_attention"),
)  # fmt: skip
LISTED_ACTION = thing(**ACTION["properties"], enabled=TRUTH, policy=one_of("allow", "ask", "deny"))
CUSTOM = thing(
    id=TEXT, slug=TEXT, name=TEXT, description=TEXT, baseUrl=TEXT, sentAs=TEXT, sentName=TEXT, sentPrefix=TEXT,
    healthPath=TEXT, expectedStatus=NUMBER, keyHelpUrl=TEXT, awaitsApproval=TRUTH,
    authorizeUrl=TEXT, tokenUrl=TEXT, revokeUrl=TEXT, scopes=TEXT, clientAuth=TEXT,
)  # fmt: skip
EVENT = thing(
    id=TEXT, at=MOMENT, event=TEXT, outcome=one_of("ok", "refused", "failed"), code=MAYBE_TEXT,
    actor=thing(kind=TEXT, id=TEXT, label=TEXT), provider=MAYBE_TEXT, plugin=MAYBE_TEXT, action=MAYBE_TEXT,
    connection=either(thing(id=TEXT, label=TEXT)), requestId=TEXT, durationMs=MAYBE_NUMBER, detail=FREE,
)  # fmt: skip

# The body of a DELETE, all of it optional.
DISCONNECT: Schema = {
    "type": "object",
    "properties": {"scope": one_of("project", "user", "global"), "connection": MAYBE_TEXT, "projectId": TEXT},
}

PROVIDERS = thing(providers=some(PROVIDER))
CREDENTIALS = thing(provider=TEXT, name=TEXT, label=MAYBE_TEXT, scope=SCOPE, fields=TEXTS, **CONNECTIONS)
SAVED = thing(**CONNECTION["properties"], provider=TEXT, latencyMs=NUMBER)
TESTED = thing(ok=TRUTH, account=TEXT, capabilities=TEXTS, missingScopes=FREE, latencyMs=NUMBER)
TOKEN: Schema = thing(
    type=one_of("api_key", "oauth"), value=TEXT, token=TEXT, expiresAt=MAYBE_NUMBER, scopes=TEXTS, connection=TEXT,
    authorization=MAYBE_TEXT, degraded=TRUTH, reason=MAYBE_TEXT,
)  # fmt: skip
TOKEN["properties"]["fields"] = FREE
EXPLAINED = thing(
    provider=TEXT,
    enabled=TRUTH,
    enabledBy=TEXT,
    connection=either(CONNECTION),
    why=TEXT,
    shadows=some(CONNECTION),
)
ASKED = thing(id=TEXT, url=TEXT, userCode=TEXT, expiresAt=MOMENT, pollUrl=TEXT)
ASKED_STATE: Schema = thing(id=TEXT, state=one_of("pending", "done", "failed", "expired"))
ASKED_STATE["properties"] |= {
    "account": TEXT, "connection": TEXT, "capabilities": TEXTS, "missingScopes": FREE, "reason": TEXT,
}  # fmt: skip
INTEGRATIONS = thing(integrations=some(thing(**STANDING)))
INTEGRATION = thing(**{**STANDING, "health": HEALTH_DETAIL, **CONNECTIONS})
CUSTOMS = thing(providers=some(CUSTOM))
OBSTACLE = thing(code=TEXT, message=TEXT, action=TEXT, link=MAYBE_TEXT, cli=MAYBE_TEXT, missingScopes=TEXTS)
PREFLIGHT = {
    **thing(ok=TRUTH, needs=some(thing(provider=TEXT, ok=TRUTH, problems=some(OBSTACLE)))),
}
PREFLIGHT["properties"]["for"] = NUMBER
PLUGINS = thing(plugins=some(PLUGIN))
SETTINGS = thing(settings=FREE)
CHOICES = thing(
    resource=TEXT, choices=some(thing(id=TEXT, label=TEXT)), fetchedAt=MAYBE_MOMENT, stale=TRUTH, error=MAYBE_TEXT,
)  # fmt: skip
ACTIONS = thing(actions=some(LISTED_ACTION))
RESULT = thing(result=ANYTHING, runId=TEXT)
RUN: Schema = thing(
    runId=TEXT, plugin=TEXT, action=TEXT, startedAt=MOMENT, finishedAt=MAYBE_MOMENT,
    state=one_of(
        "awaiting_approval", "approved", "queued", "running", "succeeded", "failed", "denied", "expired",
        "outcome_unknown",
    ),
)  # fmt: skip
# Of a call that waits: for a person (until it expires), or in a queue (until it is due).
WAITING: Schema = {"link": TEXT, "expiresAt": MOMENT, "approvalId": TEXT, "queue": TEXT, "dueAt": MOMENT}
RUN["properties"] |= {"result": ANYTHING, "error": FREE, **WAITING}
KEPT: Schema = thing(runId=TEXT, state=one_of("awaiting_approval", "approved", "queued"))
KEPT["properties"] |= WAITING
RECORDS = thing(
    records=some(thing(id=TEXT, part=TEXT, data=either(FREE), deleted=TRUTH, changedAt=MOMENT, connection=TEXT)),
    next=TEXT, hasMore=TRUTH,
)  # fmt: skip
SYNC = thing(
    id=TEXT, plugin=TEXT, kind=TEXT, title=TEXT, part=TEXT, partLabel=TEXT, connection=TEXT,
    direction=one_of("pull", "push"), phase=one_of("idle", "running", "failed"), paused=TRUTH, full=TRUTH,
    pages=NUMBER, seen=NUMBER, changed=NUMBER, deleted=NUMBER, total=MAYBE_NUMBER, recordCount=NUMBER,
    startedAt=MAYBE_MOMENT, finishedAt=MAYBE_MOMENT, succeededAt=MAYBE_MOMENT, nextRunAt=MAYBE_MOMENT,
    error=either(thing(code=TEXT, message=TEXT)),
)  # fmt: skip
SYNCS = thing(syncs=some(SYNC))
WEBHOOK = thing(
    id=TEXT, url=TEXT, plugin=TEXT, provider=TEXT, connection=MAYBE_TEXT, resource=MAYBE_TEXT, label=MAYBE_TEXT,
    scheme=MAYBE_TEXT, state=one_of("waiting", "active", "failed", "expired"), reason=MAYBE_TEXT, paused=TRUTH,
    registered=TRUTH, expiresAt=MAYBE_MOMENT, lastDeliveryAt=MAYBE_MOMENT, caughtUpAt=MAYBE_MOMENT, refused=NUMBER,
    createdAt=MOMENT,
)  # fmt: skip
WEBHOOKS = thing(webhooks=some(WEBHOOK))
WEBHOOK_MADE = thing(**WEBHOOK["properties"], secret=MAYBE_TEXT)
DELIVERY = thing(
    id=TEXT, vendorId=TEXT, type=MAYBE_TEXT, state=one_of("received", "processed", "ignored", "dead"),
    summary=MAYBE_TEXT, attempts=NUMBER, repeats=NUMBER, replays=NUMBER, size=NUMBER, error=MAYBE_TEXT,
    receivedAt=MOMENT, processedAt=MAYBE_MOMENT,
)  # fmt: skip
DELIVERIES = thing(deliveries=some(DELIVERY), next=MAYBE_TEXT)
DELIVERY_DETAIL = thing(**DELIVERY["properties"], headers=FREE, payload=ANYTHING)
EVENTS = thing(events=some(EVENT), next=MAYBE_TEXT)
