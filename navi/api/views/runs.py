"""What became of calls: looked at again, waited for, taken up once a person has approved them."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.runtime import approvals
from integrations.runtime.runs import Waits
from integrations.sdk import Result
from navi.api import answers, shapes
from navi.api.answers import KEPT
from navi.api.base import AgentView, answer, seconds_to_wait
from navi.projects.rules import Rule

WAIT = OpenApiParameter("wait", int, description="Seconds to wait for a decision or an end, at most 25.")


class Run(AgentView):
    navi_rule = Rule({"GET": "scope:read"})
    answers = {"GET": answers.RUN}
    is_list = True

    @extend_schema(operation_id="getRun", tags=["actions"], parameters=[WAIT])
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """A run of this token, also one whose answer was lost on the way, or that waits for a person."""
        asked = seconds_to_wait(request)
        row = approvals.wait_for(pk, self.project, self.actor, asked)
        return answer(shapes.run(row, self.project), is_private=True)


class Resume(AgentView):
    navi_rule = Rule({"POST": "action"})
    answers = {"POST": answers.RESULT}
    more_answers = {"POST": {202: KEPT}}

    @extend_schema(
        operation_id="resumeRun", tags=["actions"], request={"application/json": {"type": "object"}}
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Take up a call that waited for a person: it is done once, exactly as it was asked about.

        202 while it still waits. The body may repeat the arguments; others need a new approval (409).
        """
        try:
            result = approvals.resume(pk, self.project, self.actor, self.arguments() or None)
        except Waits as kept:
            return answer(shapes.kept(kept.run, self.project), 202)
        return done(result)


def done(result: Result) -> Response:
    """The answer of an action; a stored one says so."""
    response = answer({"result": result.value, "runId": str(result.run_id)})
    if result.is_replay:
        response["Idempotency-Replayed"] = "true"
    return response
