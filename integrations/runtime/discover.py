"""Ask a vendor what there is to choose from: labels, calendars, projects."""

from __future__ import annotations

from typing import Any

from integrations import registry
from integrations.runtime import recovery
from integrations.runtime.reach import client_for, permitted
from integrations.runtime.vendor import understood
from integrations.sdk import Call, Choice, VendorError
from navi.audit.problems import Problem
from navi.audit.record import recorded


def discover(call: Call, resource: str) -> list[Choice]:
    """The choices for one of the plugin's resources, asked now. Raises Problem, VendorError."""
    about: dict[str, Any] = {"plugin": call.plugin, "detail": {"resource": resource}}
    with recorded("discovery.run", actor=call.actor, project=call.project, **about) as record:
        entry, plugin = registry.plugin(call.plugin, call.project.pk)
        record.provider = entry.slug
        if resource not in plugin.discoveries:
            raise Problem("unknown", f"{plugin.name} lists no “{resource}”.", field="resource")
        connection = record.connection = permitted(call, entry, "run")
        client = client_for(connection, entry, base_url=plugin.base_url)
        try:
            with understood(entry.name):
                choices = [Choice(one.id, one.label) for one in plugin.discoveries[resource](client)]
        except VendorError as error:
            recovery.note_failure(connection, error)
            raise recovery.of_connection(error, connection) from None
        recovery.note_success(connection)
        return choices
