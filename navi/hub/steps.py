"""How far each plugin has come in this project, as a row of steps with the next one as a link."""

from __future__ import annotations

from typing import Any

from integrations.runtime import lifecycle
from integrations.runtime.lifecycle import Stage
from integrations.sdk import Plugin
from navi.hub.cards import may_reconnect, url_in
from navi.hub.details import Found
from navi.hub.doors import ProjectRequest

WORDS = {"install": "Installed", "connect": "Connected", "configure": "Configured", "run": "Running"}
STATES = {
    "available": ("unknown", "Available"),
    "connected": ("degraded", "Needs settings"),
    "configured": ("healthy", "Ready"),
    "running": ("healthy", "Running"),
    "paused": ("disabled", "Paused"),
    "needs_attention": ("failed", "Needs you"),
}


def rows(request: ProjectRequest, found: Found) -> list[dict[str, Any]]:
    """What _steps.html takes, for each plugin: two queries."""
    known = lifecycle.known_in(request.project)
    return [
        row(request, found, plugin, lifecycle.stage(plugin, found.entry, found.rows, found.standing, known))
        for plugin in found.entry.plugins
    ]


def row(request: ProjectRequest, found: Found, plugin: Plugin, stage: Stage) -> dict[str, Any]:
    shape, word = STATES[stage.state]
    return {
        "plugin": plugin.slug,
        "name": plugin.name,
        "state": shape,
        "word": word,
        "reason": stage.reason,
        "steps": list(steps_of(stage)),
        "next": next_step(request, found, plugin, stage),
    }


def steps_of(stage: Stage) -> list[dict[str, Any]]:
    """Each step with whether it is done, under way, or still ahead."""
    at = lifecycle.STEPS.index(stage.step)
    is_stuck = stage.state in {"connected", "needs_attention", "paused"}
    marks = [
        "done" if number < at or (number == at and not is_stuck) else "ahead" for number in range(len(WORDS))
    ]
    if is_stuck:
        marks[at] = "stuck"
    return [{"word": WORDS[step], "mark": mark} for step, mark in zip(lifecycle.STEPS, marks, strict=True)]


def next_step(request: ProjectRequest, found: Found, plugin: Plugin, stage: Stage) -> dict[str, Any] | None:
    """What a person can do about it, where this one may."""
    slug, serving = found.entry.slug, found.serving
    here = url_in(request, "provider", slug)
    if stage.state == "available" and request.may("integrations.connect"):
        return {"label": "Connect", "url": url_in(request, "connect", slug), "in_dialog": True}
    if stage.step == "connect" and serving and may_reconnect(request, serving):
        url = url_in(request, "connect", slug, reconnect=serving.pk)
        return {"label": "Reconnect", "url": url, "in_dialog": True}
    places = {
        "connected": ("Make settings", f"{here}#settings-{plugin.slug}"),
        "paused": ("Switch on", f"{here}#toggles"),
        "needs_attention": ("Look", f"{here}#sync"),
    }
    if stage.state in places and request.may("integrations.manage"):
        label, url = places[stage.state]
        return {"label": label, "url": url, "in_dialog": False}
    return None
