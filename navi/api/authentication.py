"""Bearer tokens, nothing else: no session, no token in an address."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from navi.audit.actor import Actor
from navi.audit.problems import Problem
from navi.projects import tokens
from navi.projects.address import address_of
from navi.projects.models import AgentToken


class AgentTokenAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Actor, AgentToken]:
        """The actor and the token. Raises Problem `unauthenticated` or `invalid_input`."""
        refuse_in_address(request)
        kind, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer" or not text:
            raise Problem("unauthenticated", "Send an agent token: Authorization: Bearer navi_at_…")
        token, actor = tokens.authenticate(text.strip(), ip=address_of(request))
        return actor, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Navi"'


def refuse_in_address(request: Request) -> None:
    query = request.META.get("QUERY_STRING", "")
    if query and "navi_at_" in query:
        words = "A token in an address ends up in logs. Revoke this one, and send tokens in the Authorization header."
        raise Problem("invalid_input", words)
