"""Every route × method × principal, generated from the URL configuration (security.md, section 7)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import override_settings
from django.urls import get_resolver, include, path, re_path, resolve
from django.views import View

from navi.projects.roles import RIGHTS, SCOPES
from navi.projects.rules import Rule, rule
from tests.authorization.matrix import Matrix
from tests.authorization.routes import METHODS, Route, asks_for_sign_in, routes, without_rule
from tests.authorization.world import made
from tests.standins.todoist import TodoistStandin

pytestmark = pytest.mark.django_db
ALL = list(routes(get_resolver().url_patterns))
OURS = [route for route in ALL if route.is_ours and route.rule]
OTHERS = [route for route in ALL if not route.is_ours]
KNOWN = {"public", "signed_in", "operator", "action"}


# --- the world, once for the whole module


@pytest.fixture(scope="module")
def vendor() -> Iterator[TodoistStandin]:
    with TodoistStandin() as standin:
        yield standin


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, key_files):
    with (
        django_db_blocker.unblock(),
        override_settings(NAVI_KEYS=key_files),
        transaction.atomic(),
    ):
        yield made()
        transaction.set_rollback(True)


@pytest.fixture
def matrix(world, vendor, settings, django_db_blocker) -> Matrix:
    settings.UPSTREAMS = {"todoist": vendor.url}
    return Matrix(world, vendor)


def found_by(matrix: Matrix, route: Route, *, knocks: str, methods=METHODS) -> list[str]:
    filled = matrix.fill(route)
    pairs = [
        (method, knock)
        for method in methods
        for knock in (
            getattr(matrix, knocks)(route, method)
            if route.needed(method)
            else [*(matrix.few(route, method) if knocks == "everybody" else ()), matrix.able(route, method)]
        )
    ]
    return [words for method, knock in pairs if (words := matrix.complaint(filled, method, knock))]


# --- the matrix


@pytest.mark.slow
@pytest.mark.parametrize("route", OURS, ids=str)
def test_everybody_meets_what_the_rule_says(matrix, route):
    assert found_by(matrix, route, knocks="everybody") == []


@pytest.mark.parametrize("route", OURS, ids=str)
def test_nobody_a_stranger_one_who_may_not_and_one_who_may(matrix, route):
    declared = [method for method in METHODS if route.needed(method) and method != "HEAD"]
    lacking = [method for method in ("DELETE", "PATCH", "PUT", "POST") if not route.needed(method)][:1]

    assert found_by(matrix, route, knocks="few", methods=[*declared, *lacking]) == []


@pytest.mark.slow
@pytest.mark.parametrize("route", OTHERS, ids=str)
def test_only_operators_open_the_admin(matrix, route):
    if route.needed("GET") != "operator":
        return
    filled = SimpleNamespace(route=route, kinds={name: admin_value(name) for name in route.arguments})

    assert [words for knock in matrix.persons() if (words := matrix.complaint(filled, "GET", knock))] == []


def admin_value(name: str) -> str:
    return f"plain:{'projects' if name == 'app_label' else '1'}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "action", ["list_projects", "create_task"], ids=["one that reads", "one that writes"]
)
def test_an_action_takes_the_scope_of_its_verb(matrix, action):
    route = next(route for route in OURS if "<action>" in str(route))
    matrix.action_name = action

    assert found_by(matrix, route, knocks="everybody", methods=["POST"]) == []


# --- across projects


def test_what_belongs_to_another_project_is_not_there(matrix):
    found = []
    for route in OURS:
        filled = matrix.fill(route)
        if not filled.names_objects or set(route.rules.values()) == {"public"}:
            continue
        address = matrix.address(filled, foreign=True)
        for method in [method for method in METHODS if route.needed(method) and method != "HEAD"]:
            met = matrix.meet(route, method, matrix.able(route, method), address)
            if met != 404 and not (method == "OPTIONS" and met == 405):
                found.append(f"{method} {address}: {met}")

    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "route",
    [route for route in OURS if route.is_api and set(route.rules.values()) != {"public"}],
    ids=str,
)
def test_a_token_names_no_other_project(matrix, route):
    """A full token of Elsewhere that names Acme, and one of Acme that names Elsewhere."""
    filled = matrix.fill(route)
    world, nobody = matrix.world, matrix.world.people["anonymous"]

    for method in [method for method in METHODS if route.needed(method) and method != "OPTIONS"]:
        own = world.scoped[matrix.scope_of(route, method)]
        for token, other in ((world.charlies_token, world.acme), (own, world.elsewhere)):
            for named in (other.pk, other.slug):
                address = f"{matrix.address(filled)}?projectId={named}"
                answer = nobody.send(method, address, token=token)
                assert answer.status_code == 404, f"{method} {address}"


@pytest.mark.slow
@pytest.mark.parametrize("route", [route for route in OURS if "project" in route.arguments], ids=str)
def test_an_owner_elsewhere_is_a_stranger_here(matrix, route):
    filled = matrix.fill(route)
    address = matrix.address(filled).replace(
        f"/{matrix.world.acme.slug}", f"/{matrix.world.elsewhere.slug}", 1
    )

    for method in filter(route.needed, METHODS):
        assert matrix.meet(route, method, matrix.able(route, method), address) == 404, f"{method} {address}"


# --- the rules themselves


def test_every_route_has_a_rule():
    assert without_rule(ALL) == [], "Put @rule, in_project(), signed_in() or public() on these views."


def test_every_rule_names_something_that_exists():
    rights, scopes = {f"right:{right}" for right in RIGHTS["owner"]}, {f"scope:{scope}" for scope in SCOPES}
    unknown = {
        f"{route}: {needed}"
        for route in OURS
        for needed in route.rules.values()
        if needed not in KNOWN | rights | scopes
    }

    assert unknown == set()


def test_only_what_is_public_or_for_agents_is_open_to_the_signed_out():
    wrong = []
    for route in OURS:
        is_for_people = {needed.partition(":")[0] for needed in route.rules.values()} & {"signed_in", "right"}
        if asks_for_sign_in(route.view) != bool(is_for_people):
            wrong.append(str(route))

    assert wrong == []


def test_a_method_of_another_name_in_a_header_is_not_obeyed(matrix):
    world = matrix.world
    client = world.people["anonymous"]
    address = f"/api/providers/custom/{world.things['custom']}"

    from django.test import Client

    answer = Client(headers={"authorization": f"Bearer {world.scoped['read']}"}).get(
        address, headers={"X-HTTP-Method-Override": "DELETE"}
    )

    assert answer.status_code == 200
    assert client.send("GET", address, token=world.scoped["read"]).status_code == 200


# --- the walker


def plain(request):
    return HttpResponse()


def wrapped(view):
    @functools.wraps(view)
    def inner(*args, **kwargs):
        return view(*args, **kwargs)

    return inner


class Shown(View):
    def get(self, request):
        return HttpResponse()


class Ruled(Shown):
    navi_rule = Rule({"GET": "public"})


def ruled(request):
    return HttpResponse()


rule(GET="public")(ruled)
nested = SimpleNamespace(urlpatterns=[path("deep/<int:pk>", plain), path("fine", wrapped(ruled))])


def test_a_view_without_a_rule_is_named():
    patterns = [
        path("bare", plain),
        path("class", Shown.as_view()),
        path("around", wrapped(plain)),
        re_path(r"^old/(?P<year>[0-9]{4})/$", plain),
        path("in/", include(nested.urlpatterns)),
        path("ruled", ruled),
        path("ruled-class", Ruled.as_view()),
        path("ruled-around", wrapped(wrapped(ruled))),
    ]

    assert without_rule(routes(patterns)) == ["/bare", "/class", "/around", "/old/<year>/", "/in/deep/<pk>"]


def test_every_rule_that_is_taken_away_is_missed(monkeypatch):
    """Each rule in turn: without it, this file would fail by the route's name."""
    unnoticed = []
    for route in OURS:
        with monkeypatch.context() as patch:
            for place in bearers(route.view):
                if "navi_rule" in vars(place):
                    patch.delattr(place, "navi_rule")
            if str(route) not in without_rule(routes(get_resolver().url_patterns)):
                unnoticed.append(str(route))

    assert unnoticed == []


def bearers(view: Any) -> Iterator[Any]:
    """Where a rule may stand: on the function, on its classes, on what it wraps."""
    while view is not None:
        yield view
        for name in ("view_class", "cls"):
            yield from getattr(view, name, object).__mro__
        view = getattr(view, "__wrapped__", None)


def test_addresses_lead_to_the_views_they_were_made_for(matrix):
    lost = []
    for route in OURS:
        address = matrix.address(matrix.fill(route))
        if resolve(address).func is not route.view:
            lost.append(f"{address} is not {route}")

    assert lost == []
