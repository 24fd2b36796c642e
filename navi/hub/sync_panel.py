"""The syncs of one provider as people see them: how each fares, what it brought, what may be done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from credentials.models import Connection
from credentials.vault import VaultSealed
from integrations.models import Record, SyncState
from integrations.registry import Entry
from integrations.runtime import reading, sync_asking
from integrations.runtime.sync_asking import Told
from integrations.sdk import Plugin
from navi.audit.problems import CODES, Problem
from navi.hub.answers import FIXES, help_for
from navi.hub.cards import url_in
from navi.hub.doors import ProjectRequest

OFF = {"disabled", "blocked", "unknown"}
PASSES = {"vendor_unavailable", "rate_limited", "busy"}
BUSY_EVERY, CALM_EVERY = "2s", "30s"
SHOWN = 50
TEXT_SHOWN = 8000


def panel(request: ProjectRequest, entry: Entry) -> dict[str, Any] | None:
    """What _sync.html takes; None where this provider's plugins sync nothing here."""
    groups: list[dict[str, Any]] = [
        {"name": plugin.name if len(entry.plugins) > 1 else "", "rows": rows}
        for plugin in entry.plugins
        if plugin.syncs and (rows := rows_of(request, entry, plugin))
    ]
    if not groups:
        return nothing_yet(request, entry)
    rows = [row for group in groups for row in group["rows"]]
    is_busy = any(row["is_running"] for row in rows)
    return {
        "groups": groups,
        "url": url_in(request, "provider-sync", entry.slug),
        "every": BUSY_EVERY if is_busy else CALM_EVERY,
        "is_busy": is_busy,
        "may_run": request.may("integrations.check"),
        "may_manage": request.may("integrations.manage"),
        "records_url": url_in(request, "provider-records", entry.slug) if request.may("actions.try") else "",
    }


def nothing_yet(request: ProjectRequest, entry: Entry) -> dict[str, Any] | None:
    """Why nothing is synced though the provider's plugins could; None where they sync nothing at all."""
    if not any(plugin.syncs for plugin in entry.plugins):
        return None
    mine = Connection.objects.standing().filter(provider=entry.slug)
    is_here = mine.filter(project=request.project).exists()
    if not is_here and not mine.filter(user=request.user).exists():
        return None
    return {
        "groups": [],
        "is_personal": not is_here,
        "url": url_in(request, "provider-sync", entry.slug),
        "every": BUSY_EVERY if is_here else CALM_EVERY,
        "connect_url": url_in(request, "connect", entry.slug) if request.may("integrations.connect") else "",
    }


def rows_of(request: ProjectRequest, entry: Entry, plugin: Plugin) -> list[dict[str, Any]]:
    told = sync_asking.told(sync_asking.states(request.project, plugin.slug), plugin)
    has_several = len({one.state.connection_id for one in told}) > 1
    return [row(request, entry, one, has_several=has_several) for one in told]


def row(request: ProjectRequest, entry: Entry, told: Told, *, has_several: bool) -> dict[str, Any]:
    state = told.state
    is_running = state.phase == SyncState.Phase.RUNNING and not state.is_paused
    return {
        "id": state.pk,
        "title": told.title,
        "part": told.part_label,
        "account": state.connection.label if has_several else "",
        "health": health(state),
        "is_running": is_running,
        "is_paused": state.is_paused,
        "is_push": told.direction == "push",
        "progress": progress(state) if is_running else None,
        "records": told.records,
        "last_at": state.succeeded_at,
        "next_at": None if state.is_paused or is_running else state.next_run_at,
        "last_run": last_run(state) if state.finished_at and not is_running else "",
        "error": error(state),
        "again_url": url_in(request, "sync-again", entry.slug, state.pk),
    }


def health(state: SyncState) -> dict[str, str]:
    """Shape and word."""
    if state.is_paused:
        return {"state": "disabled", "word": "Paused"}
    if state.error_code in OFF:
        return {"state": "disabled", "word": "Off"}
    if state.phase == SyncState.Phase.RUNNING:
        return {"state": "unknown", "word": "Reading everything" if state.is_full else "Reading changes"}
    if state.error_code in PASSES:
        return {"state": "degraded", "word": "Tries again"}
    if state.error_code:
        return {"state": "failed", "word": "Failed"}
    if state.succeeded_at is None:
        return {"state": "unknown", "word": "Not run yet"}
    return {"state": "healthy", "word": "Up to date"}


def progress(state: SyncState) -> dict[str, Any]:
    """How far a run has come; `total` only where the vendor says how many there will be."""
    of = f" of {state.total:,}" if state.total else ""
    pages = f"page {state.pages}" if state.pages else "first page"
    return {
        "value": min(state.seen, state.total or 0),
        "total": state.total,
        "words": f"{state.seen:,}{of}, {pages}",
    }


def last_run(state: SyncState) -> str:
    kind = "Everything" if state.is_full else "Changes"
    return f"{kind}: {state.seen:,} read, {state.changed:,} changed, {state.deleted:,} deleted"


def error(state: SyncState) -> dict[str, str] | None:
    if not state.error_code or state.is_paused:
        return None
    meaning = CODES.get(state.error_code)
    fix = FIXES.get(meaning.action, "") if meaning else ""
    return {"message": state.error_message, "fix": fix, "help_url": help_for(state.error_code)}


# --- records


def records_page(request: ProjectRequest, entry: Entry) -> dict[str, Any]:
    """What records.html takes: one kind's records, the last changed first. Raises Problem."""
    kinds = kinds_of(entry)
    if not kinds:
        raise Problem("unknown", f"{entry.name} has no records.")
    chosen = request.GET.get("kind", "")
    plugin, kind = next(((one, name) for value, one, name, _ in kinds if value == chosen), kinds[0][1:3])
    search = request.GET.get("q", "").replace("\0", "").strip()[:100]
    rows, older = page_of(request, plugin, kind, search)
    value = f"{plugin.slug}.{kind}"
    return {
        "page_title": f"Records of {entry.name}",
        "name": entry.name,
        "kinds": [{"value": one, "label": label, "is_chosen": one == value} for one, _, _, label in kinds],
        "search": search,
        "records": [shown(one) for one in rows],
        "back_url": url_in(request, "provider", entry.slug),
        "url": url_in(request, "provider-records", entry.slug),
        "older_url": url_in(request, "provider-records", entry.slug, kind=value, q=search, before=older)
        if older
        else "",
        "is_first": not request.GET.get("before"),
    }  # fmt: skip


def kinds_of(entry: Entry) -> list[tuple[str, Plugin, str, str]]:
    has_several = len(entry.plugins) > 1
    return [
        (f"{plugin.slug}.{kind}", plugin, kind, f"{plugin.name}: {title}" if has_several else title)
        for plugin in entry.plugins
        for kind, title in plugin.record_kinds.items()
    ]


def page_of(request: ProjectRequest, plugin: Plugin, kind: str, search: str) -> tuple[Sequence[Record], str]:
    """One page, and the cursor of the older ones. Raises Problem."""
    rows = Record.objects.in_project(request.project).filter(plugin=plugin.slug, kind=kind)
    if search:
        rows = rows.filter(external_id__icontains=search)
    if before := request.GET.get("before", ""):
        sequence, pk = reading.point_of(before)
        rows = rows.filter(Q(sequence__lt=sequence) | Q(sequence=sequence, pk__lt=pk))
    found = list(rows.select_related("connection").order_by("-sequence", "-pk")[: SHOWN + 1])
    last = found[SHOWN - 1] if len(found) > SHOWN else None
    return found[:SHOWN], reading.cursor_of((last.sequence, last.pk)) if last else ""


def shown(record: Record) -> dict[str, Any]:
    return {
        "id": record.pk,
        "external_id": record.external_id,
        "part": record.part,
        "account": record.connection.label,
        "is_deleted": record.is_deleted,
        "changed_at": record.changed_at,
        "json": "" if record.is_deleted else text_of(record),
    }


def text_of(record: Record) -> str:
    try:
        text = json.dumps(reading.content_of(record), indent=2, ensure_ascii=False)
    except VaultSealed as problem:
        return f"Navi cannot open it now: {problem}"
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}\n… ({len(text):,} characters)"
