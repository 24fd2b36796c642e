"""A process that calls actions and may be killed in the middle (started by test_action_kills.py).

`python -m tests.runtime.action_crew` reads one job per line, does it in a forked process, and answers with how
that one ended and what it said.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

CUT_OFF = timedelta(seconds=0.3)


def work(job: Mapping[str, Any]) -> dict[str, Any]:
    from django.conf import settings

    from integrations.runtime import runs
    from integrations.sdk import VendorError
    from navi.audit.problems import Problem

    settings.UPSTREAMS = {"todoist": job["upstream"]}
    settings.FAILPOINTS = {job["dies"]: "kill"} if job.get("dies") else {}
    runs.CUT_OFF_AFTER, runs.WAITS = CUT_OFF, 0.0
    try:
        return {"result": done(job)}
    except (Problem, VendorError) as error:
        return {"error": error.code}


def done(job: Mapping[str, Any]) -> Any:
    from integrations.models import ActionRun
    from integrations.runtime import approvals, execute
    from integrations.sdk import Call
    from navi.projects import tokens
    from navi.projects.models import Project

    project = Project.objects.get(slug="acme")
    if "run" in job:
        approvals.run_job(job["run"])
        return ActionRun.objects.get(pk=job["run"]).state
    actor = tokens.agent_now(job["token"], project_id=project.pk)
    call = Call(actor, project, "todoist", job["action"], job["arguments"], idempotency_key=job.get("key"))
    return execute.run(call).value


def main() -> None:
    import django

    django.setup()
    from integrations import registry

    registry.installed()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)


def forked(job: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "said"
        pid = os.fork()
        if not pid:
            in_the_child(job, place)
        end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {"ended": end, **(json.loads(place.read_text()) if place.exists() else {})}


def in_the_child(job: Mapping[str, Any], place: Path) -> None:
    status = 1
    try:
        place.write_text(json.dumps(work(job), default=str))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    main()
