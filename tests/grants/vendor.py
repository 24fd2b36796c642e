"""A vendor whose refresh tokens live as a test wants it, and whom it asks how often it was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.standins.grants import (
    Endpoint,
    Form,
    Grant,
    OAuthProblem,
    OAuthStandin,
    Pair,
    bearer,
    fields_of,
)
from tests.standins.server import Request, Response, answer_with

TOKEN = "/token"


class Vendor(OAuthStandin):
    """Rotating and strict, until a test turns on other habits."""

    token_path = TOKEN
    secret_is_optional = True
    rotates = True
    reuse_grace = 0.0
    repeats_the_pair = True  # within the grace; else the access token alone
    reuse_revokes = False
    refuses_all = False
    reuses = 0
    _meanwhile: Callable[[], object] | None = None
    _is_too_early: Callable[[Request], bool] | None = None

    def handle(self, request: Request) -> Response:
        response = super().handle(request)
        while request.path == TOKEN and self._is_too_early and not self._stopping.is_set():
            if not with_own_connection(lambda: self._is_too_early and self._is_too_early(request)):
                break
            self._stopping.wait(0.02)
        return response

    def answer(self, request: Request) -> Response:
        """Answer; and once, when the token endpoint's answer is ready to leave, let `meanwhile` happen."""
        response = super().answer(request)
        if request.path == TOKEN and self._meanwhile:
            happen, self._meanwhile = self._meanwhile, None
            with_own_connection(happen)
        return response

    def meanwhile(self, happen: Callable[[], object]) -> None:
        """What others do while Navi waits for the next answer of the token endpoint."""
        self._meanwhile = happen

    def hold_while(self, is_too_early: Callable[[Request], bool]) -> None:
        """Hold back each answer of the token endpoint for as long as a test says; its work is done by then."""
        self._is_too_early = is_too_early

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        return super().endpoints() | {("POST", "/revoke"): self.revoke}

    def api(self, request: Request) -> Response:
        pair = self.pair_of(bearer(request))
        if pair is None:
            return answer_with(401, {"error": "The token is not valid."})
        return answer_with(200, {"id": pair.grant.person, "token": pair.access[-6:]})

    def told(self, pair: Pair) -> dict[str, Any]:
        said = {"access_token": pair.access, "token_type": "Bearer", "expires_in": self.lifetime}
        said |= {"refresh_token": pair.refresh, "scope": " ".join(pair.scopes)}
        return {name: value for name, value in said.items() if value is not None}

    def refreshed(self, form: Form) -> Response:
        shown = form.get("refresh_token", "")
        pair = next((pair for pair in self.pairs if shown and pair.refresh == shown), None)
        if self.refuses_all or pair is None or pair.is_ended or pair.grant.is_ended:
            raise OAuthProblem("invalid_grant", "The refresh token is not valid.")
        if not self.rotates:
            return answer_with(200, self.told(self.again(pair)))
        return super().refreshed(form)

    def again(self, pair: Pair) -> Pair:
        """Another access token for the same refresh token, which the answer does not repeat."""
        fresh = self.issue(pair.grant, pair.kind)
        fresh.refresh = None
        return fresh

    def reused(self, pair: Pair) -> Response:
        self.reuses += 1
        if pair.successor is None or self.since_use(pair) > self.reuse_grace:
            if self.reuse_revokes:
                self.kill(pair.grant.person)
            return super().reused(pair)
        said = self.told(pair.successor)
        return answer_with(200, said if self.repeats_the_pair else without_refresh_token(said))

    def revoke(self, request: Request) -> Response:
        form = fields_of(request) or {}
        self.end(form.get("token", ""), with_grant=True)
        return answer_with(200, {})

    # --- what a test asks

    @property
    def refreshes(self) -> int:
        """How often the token endpoint was asked for a refresh."""
        forms = [fields_of(one) or {} for one in self.asked(TOKEN)]
        return sum(form.get("grant_type") == "refresh_token" for form in forms)

    @property
    def living(self) -> list[Pair]:
        return [pair for pair in self.pairs if self.is_alive(pair) and pair.successor is None]

    def code_for(self, person: str, redirect_uri: str, verifier_challenge: str, *scopes: str) -> str:
        """The code that the browser would come back with."""
        from tests.standins.grants import Code

        code = f"code-{len(self._codes)}-{person}-{self.refresh_token('code')}"
        granted = Grant(person, scopes or ("read",))
        self._codes[code] = Code(granted, redirect_uri, verifier_challenge, "S256", self.now())
        return code


def with_own_connection(happen: Callable[[], object]) -> object:
    from django.db import connection

    try:
        return happen()
    finally:
        connection.close()


def without_refresh_token(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "refresh_token"}


__all__ = ["TOKEN", "Vendor", "fields_of"]
