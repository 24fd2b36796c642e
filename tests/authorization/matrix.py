"""Who gets what where: computed from the rules, then asked of the house."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from integrations import registry
from navi.projects import roles, uses
from tests.authorization.routes import Route
from tests.authorization.world import Principal, World

ALLOWED, SIGN_IN, NO_METHOD, BROKEN = "allowed", "sign in", 405, "broken"
# What a call that was refused may still write: that it was, and the session of whoever knocked.
MAY_BE_WRITTEN = re.compile(r'INTO "(audit_auditevent|django_session)"|UPDATE "django_session"')
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
# Not ready is an answer, not a breakdown.
MAY_SAY_503 = {"readyz"}
# Closed for good once there is an operator, as there is one here; and without a vendor's proof, nothing is there.
CLOSED = {"set-up/<code>", "hooks/<key>"}

# What an address may be filled with, by the name of its argument. Names that are not here are tried with everything.
PLAIN: Mapping[str, tuple[str, ...]] = {
    "provider": ("todoist",),
    "plugin": ("todoist",),
    "resource": ("projects",),
    "field": ("projects",),
    "path": ("user",),
    "kind": ("csv", "tasks"),
}


@dataclass(frozen=True)
class Knock:
    """One principal with what they carry to one route."""

    name: str
    principal: Principal
    token: str | None = None


@dataclass(frozen=True)
class Filled:
    """A route with the kinds of objects that open it."""

    route: Route
    kinds: Mapping[str, str]

    @property
    def names_objects(self) -> bool:
        """Does the address name something that belongs to one project?"""
        return any(kind.startswith("thing:") for kind in self.kinds.values())


class Matrix:
    def __init__(self, world: World, vendor: Any) -> None:
        self.world, self.vendor = world, vendor

    # --- who

    def persons(self) -> Iterator[Knock]:
        for name, principal in self.world.people.items():
            yield Knock(name, principal)

    def agents(self, route: Route, method: str) -> Iterator[Knock]:
        nobody, scope = self.world.people["anonymous"], self.scope_of(route, method)
        if scope:
            yield Knock("token in scope", nobody, self.world.scoped[scope])
            yield Knock("token out of scope", nobody, self.world.without[scope])
            yield Knock(
                "viewer's session, token in scope", self.world.people["viewer"], self.world.scoped[scope]
            )
            yield Knock(
                "owner's session, token out of scope", self.world.people["owner"], self.world.without[scope]
            )
        else:
            yield Knock("token of all scopes", nobody, self.world.without["global"])
            yield Knock(
                "stranger's session, token of all scopes",
                self.world.people["stranger"],
                self.world.without["global"],
            )
        for why, token in self.world.dead.items():
            yield Knock(f"token {why}", nobody, token)

    def everybody(self, route: Route, method: str) -> list[Knock]:
        return [*self.persons(), *self.agents(route, method)]

    def few(self, route: Route, method: str) -> list[Knock]:
        """The four that say most: nobody, a stranger, one who may not, one who may."""
        wanted = {"anonymous", "stranger", "token in scope", "token out of scope"}
        if not self.scope_of(route, method):
            wanted = {"anonymous", "stranger", "viewer", "owner"}
        return [knock for knock in self.everybody(route, method) if knock.name in wanted]

    def able(self, route: Route, method: str) -> Knock:
        """Somebody for whom this is meant."""
        scope = self.scope_of(route, method)
        name = "owner" if not scope else "anonymous"
        return Knock("able", self.world.people[name], self.world.scoped[scope] if scope else None)

    def scope_of(self, route: Route, method: str) -> str | None:
        needed = route.needed(method) or next(iter(route.rules.values()))
        if needed == "action":
            return self.verb_of_action
        return needed.removeprefix("scope:") if needed.startswith("scope:") else None

    # --- what they should meet

    def expected(self, filled: Filled, method: str, knock: Knock) -> set[Any]:
        route = filled.route
        needed = route.needed(method)
        if needed is None:
            return {NO_METHOD} if knock.name in {"able", "owner", "token in scope"} and not (
                knock.name == "owner" and route.is_api
            ) else {NO_METHOD, 401, 403, 404, SIGN_IN}  # fmt: skip
        if needed == "public":
            return {ALLOWED, 404} if self.nobody_finds(route) else {ALLOWED}
        if needed == "signed_in":
            return self.met_by_account(filled, knock)
        if needed.startswith("right:"):
            return {self.met_in_project(needed.removeprefix("right:"), knock)}
        if needed == "operator":
            if knock.principal.is_operator:
                return {ALLOWED, 403, 404}
            return {SIGN_IN, 403} if self.is_signed_in(knock) else {SIGN_IN}
        if needed == "action" or needed.startswith("scope:"):
            return {self.met_by_agent(knock)}
        raise AssertionError(f"{route} has a rule that nobody knows: {needed}")

    def met_by_account(self, filled: Filled, knock: Knock) -> set[Any]:
        """Such a page may show something of a project; then the view lets in those whom it concerns."""
        if not self.is_signed_in(knock):
            return {SIGN_IN}
        if not filled.names_objects:
            return {ALLOWED}
        if knock.principal.role is None:
            return {404}
        return {ALLOWED} if knock.principal.role in {roles.OWNER, roles.ADMIN} else {ALLOWED, 403}

    def met_in_project(self, right: str, knock: Knock) -> Any:
        if not self.is_signed_in(knock):
            return SIGN_IN
        if knock.principal.role is None:
            return 404
        return ALLOWED if roles.may(knock.principal.role, right) else 403

    def met_by_agent(self, knock: Knock) -> Any:
        if knock.token is None or knock.token in self.world.dead.values():
            return 401
        return 403 if knock.token in self.world.without.values() else ALLOWED

    def is_signed_in(self, knock: Knock) -> bool:
        return knock.principal.user is not None

    def nobody_finds(self, route: Route) -> bool:
        return route.path in CLOSED or ("ANY" in route.rules and route.path.endswith("<path>"))

    # --- what they meet

    def meet(self, route: Route, method: str, knock: Knock, address: str) -> Any:
        """The outcome of one call, undone afterwards. Raises AssertionError where a refused call did something."""
        asked = len(self.vendor.requests)
        with undone(), noted_writes() as writes:
            response = knock.principal.send(method, address, token=knock.token)
            if response.streaming:
                b"".join(response.streaming_content)
        uses.forget()
        outcome = outcome_of(route, response)
        if outcome != ALLOWED:
            if writes:
                raise AssertionError(f"{knock.name}, refused ({outcome}), changed a row: {writes[0][:200]}")
            if len(self.vendor.requests) > asked:
                raise AssertionError(f"{knock.name}, refused ({outcome}), made Navi call the vendor.")
        return outcome

    def complaint(self, filled: Filled, method: str, knock: Knock) -> str | None:
        """A sentence where somebody meets something else than the rule says."""
        route = filled.route
        expected = self.expected(filled, method, knock)
        try:
            met = self.meet(route, method, knock, self.address(filled, knock))
        except AssertionError as problem:
            return f"{method} {route}: {problem}"
        if met in expected or (method == "OPTIONS" and met in {*expected, ALLOWED, 405}):
            return None
        return f"{method} {route}: {knock.name} meets {met}, not {' or '.join(map(str, sorted(expected, key=str)))}"

    # --- filling addresses

    def address(self, filled: Filled, knock: Knock | None = None, *, foreign: bool = False) -> str:
        place = self.world.foreign if foreign else self.world.things
        own = self.world.own.get(knock.principal.name, {}) if knock and not foreign else {}
        values = {}
        for name, kind in filled.kinds.items():
            sort, _, value = kind.partition(":")
            thing = own.get(value) or place.get(value)
            values[name] = str(thing) if sort == "thing" else value or self.action_name
        return filled.route.address(values)

    def fill(self, route: Route) -> Filled:
        """The route with the first objects that somebody who may finds there."""
        if route.path not in self.world.filled:
            self.world.filled[route.path] = self.filled(route)
        found: Filled = self.world.filled[route.path]
        return found

    def filled(self, route: Route) -> Filled:
        names = route.arguments
        for kinds in itertools.product(*(self.kinds_for(name) for name in names)):
            filled = Filled(route, dict(zip(names, kinds, strict=True)))
            if not names or route.path in CLOSED or self.opens(filled):
                return filled
        raise AssertionError(
            f"Nothing in tests/authorization/world.py opens {route}; add such an object to things()."
        )

    def kinds_for(self, name: str) -> list[str]:
        if name == "project":
            return [f"plain:{self.world.acme.slug}"]
        if name == "action":
            return ["action:"]
        things = [f"thing:{kind}" for kind in self.world.things]
        words = [f"plain:{word}" for word in PLAIN.get(name, ())]
        if name == "pk":
            return [thing for thing in things if "code" not in thing and thing != "thing:custom"]
        return words or ["plain:todoist", *(f"plain:{word}" for word in documents()[:1]), *things]

    def opens(self, filled: Filled) -> bool:
        route = filled.route
        if self.nobody_finds(route):
            return True
        method = next(iter(route.rules)).replace("ANY", "GET")
        knock = self.able(route, method)
        met = outcome_of_sent(route, method, knock, self.address(filled, knock))
        return met not in {404, BROKEN, 403}

    action_name = "list_projects"

    @property
    def verb_of_action(self) -> str:
        _, action = registry.action("todoist", self.action_name, None)
        return action.verb


def outcome_of_sent(route: Route, method: str, knock: Knock, address: str) -> Any:
    with undone():
        return outcome_of(route, knock.principal.send(method, address, token=knock.token))


def outcome_of(route: Route, response: Any) -> Any:
    status, to = response.status_code, response.headers.get("Location", "")
    if "X-Navi-Upstream" in response.headers:
        return ALLOWED
    if status >= 500:
        return ALLOWED if status == 503 and route.path in MAY_SAY_503 else BROKEN
    if status in {302, 303} and "next=" in to and to.startswith((settings.LOGIN_URL, "/admin/login/")):
        return SIGN_IN
    return status if status in {401, 403, 404, 405} else ALLOWED


def documents() -> list[str]:
    """The pages of the manual, where it is there."""
    folder = settings.BASE_DIR / "docs" / "help"
    return [path.stem for path in sorted(folder.glob("*.md"))] or ["quickstart"]


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside leaves no row."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def noted_writes() -> Iterator[list[str]]:
    """The statements that changed what a refused call must not change."""
    writes: list[str] = []

    def look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if WRITES.match(sql) and not MAY_BE_WRITTEN.search(sql):
            writes.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield writes
