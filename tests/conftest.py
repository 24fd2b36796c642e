"""The people and things that tests speak of.

Alice owns the project Acme, Bob is a member, Vera a viewer, Adam an admin; Charlie is a stranger with a
project of his own; Ada is Alice's agent.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from navi.audit.redact import known_values
from navi.keyring import KeyFiles

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


def pytest_runtest_makereport(item: pytest.Item, call: Any) -> None:
    """Where nothing may be missing (CI), a skipped test has failed."""
    if (
        os.environ.get("NAVI_TESTS_NO_SKIPS")
        and call.excinfo
        and call.excinfo.errisinstance(pytest.skip.Exception)
    ):
        call.excinfo = pytest.ExceptionInfo.from_exc_info(refused(call.excinfo.value))


def refused(skip: BaseException) -> Any:
    try:
        raise AssertionError(f"Nothing may be skipped here: {skip}")
    except AssertionError as failure:
        return type(failure), failure, failure.__traceback__


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot happen on this database; the other one's run has it."""
    from django.db import connection

    def belongs_elsewhere(item: pytest.Item) -> bool:
        mark = item.get_closest_marker("only_on")
        return mark is not None and connection.vendor not in mark.args

    elsewhere = [item for item in items if belongs_elsewhere(item)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if not belongs_elsewhere(item)]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A database per process, as it is in operation: SQLite in a file, since in memory it locks whole tables."""
    from django.db import connection

    is_file = connection.vendor == "sqlite"
    folder = tmp_path_factory.mktemp("database")
    connection.settings_dict["TEST"]["NAME"] = (
        str(folder / "navi.sqlite3") if is_file else f"test_navi_{os.getpid()}"
    )


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """An empty audit: what setting up the database itself left there is no test's story."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditevent")


@pytest.fixture(scope="session", autouse=True)
def quiet_end() -> Iterator[None]:
    """Uses of tokens noted in tests are not written after the tests' database is gone."""
    yield
    from navi.projects import uses

    atexit.unregister(uses.flush_or_say)


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    files = KeyFiles(tmp_path_factory.mktemp("keys"))
    files.create("keyring")
    files.create("pepper")
    return files


@pytest.fixture(autouse=True)
def house(settings: Any, key_files: KeyFiles, tmp_path: Path) -> Iterator[None]:
    """Keys of its own, no way out but what a test opens, quick password hashes."""
    settings.NAVI_KEYS = key_files
    settings.DATA_DIR = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.UPSTREAMS = {}
    # Else every test client lists all static files: 40 ms.
    settings.WHITENOISE_AUTOREFRESH = True
    settings.OUTBOUND_ALLOW = ""
    fresh_way_out()
    # What a test uses outside of a request or a job is no secret to the next one.
    with known_values():
        yield
    fresh_way_out()


def fresh_way_out() -> None:
    from credentials import client

    client.start_anew()


# --- people


@pytest.fixture
def person(db: None) -> Callable[..., Any]:
    from navi.projects.models import User

    def make(name: str, **extra: Any) -> User:
        return User.objects.create_user(
            f"{name.lower()}@example.org", f"{name} walks 7 dogs", name=name, **extra
        )

    return make


@pytest.fixture
def alice(person: Any) -> Any:
    return person("Alice")


@pytest.fixture
def adam(person: Any) -> Any:
    return person("Adam")


@pytest.fixture
def bob(person: Any) -> Any:
    return person("Bob")


@pytest.fixture
def vera(person: Any) -> Any:
    return person("Vera")


@pytest.fixture
def charlie(person: Any) -> Any:
    return person("Charlie")


@pytest.fixture
def olga(person: Any) -> Any:
    """The operator; a member of nothing."""
    return person("Olga", is_staff=True, is_superuser=True)


# --- projects


@pytest.fixture
def acme(alice: Any, adam: Any, bob: Any, vera: Any) -> Any:
    from navi.projects.models import Membership, Project

    project = Project.objects.create(slug="acme", name="Acme")
    for user, role in ((alice, "owner"), (adam, "admin"), (bob, "member"), (vera, "viewer")):
        Membership.objects.create(project=project, user=user, role=role)
    return project


@pytest.fixture
def elsewhere(charlie: Any) -> Any:
    """Charlie's own project."""
    from navi.projects.models import Membership, Project

    project = Project.objects.create(slug="elsewhere", name="Elsewhere")
    Membership.objects.create(project=project, user=charlie, role="owner")
    return project


# --- agents


@pytest.fixture
def token_of(db: None) -> Callable[..., str]:
    """Make a token: `token_of(alice, acme, "read", "run")`; its text."""
    from navi.projects import tokens
    from navi.projects.rights import actor_for

    def make(owner: Any, project: Any, *scopes: str, name: str = "Ada") -> str:
        _, text = tokens.issue(project, owner, name, scopes or ("read",), actor=actor_for(owner, project))
        return text

    return make


@pytest.fixture
def adas_token(token_of: Callable[..., str], alice: Any, acme: Any) -> str:
    """Ada may do everything."""
    from navi.projects.roles import SCOPES

    return token_of(alice, acme, *SCOPES)


class Api:
    """An agent's HTTP client with one token."""

    def __init__(self, token: str | None) -> None:
        from django.test import Client

        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.client = Client(headers=headers, raise_request_exception=False)
        self.streams: list[Any] = []
        self.request = self.client.request
        self.client.request = self.remembering  # type: ignore[method-assign]

    def remembering(self, **request: Any) -> Any:
        answer = self.request(**request)
        if answer.streaming:
            self.streams.append(answer)
        return answer

    def hang_up(self) -> None:
        """End the answers that nobody read.

        Left to the garbage collector, they would write of a limit at any moment: on PostgreSQL in the middle
        of another query, which then waits for itself for ever.
        """
        for answer in self.streams:
            for close in answer._resource_closers:
                close()

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("post", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("put", path, body, headers)

    def delete(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("delete", path, body, headers)

    def send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return getattr(self.client, method)(
            path, {} if body is None else body, content_type="application/json", headers=named
        )


@pytest.fixture
def api(db: None) -> Iterator[Callable[[str | None], Api]]:
    made: list[Api] = []

    def make(token: str | None) -> Api:
        made.append(Api(token))
        return made[-1]

    yield make
    for one in made:
        one.hang_up()


@pytest.fixture
def ada(api: Callable[[str | None], Api], adas_token: str) -> Api:
    return api(adas_token)


# --- vendors


@pytest.fixture
def todoist(settings: Any) -> Iterator[Any]:
    """A running Todoist stand-in that Navi calls instead of the vendor."""
    from tests.standins.todoist import TodoistStandin

    with TodoistStandin() as standin:
        settings.UPSTREAMS = {**django_settings.UPSTREAMS, "todoist": standin.url}
        yield standin


@pytest.fixture
def linear(settings: Any) -> Iterator[Any]:
    from tests.standins.linear import LinearStandin

    with LinearStandin() as standin:
        settings.UPSTREAMS = {**django_settings.UPSTREAMS, "linear": standin.url}
        yield standin


@pytest.fixture
def connected(db: None) -> Callable[..., Any]:
    """Connect an account without asking the vendor: `connected("todoist", acme, apiKey="…")`."""
    from integrations import registry
    from integrations.runtime import connect
    from navi.audit.actor import SYSTEM

    def make(provider: str, project: Any, *, for_user: Any = None, label: str = "", **fields: str) -> Any:
        offer = connect.Offer(
            entry=registry.entry(provider, project.pk), project=project, fields=fields, label=label or "Alice",
            for_user=for_user.pk if for_user else None, test=False,
        )  # fmt: skip
        return connect.connect(offer, SYSTEM).connection

    return make


@pytest.fixture
def acmes_todoist(connected: Any, acme: Any, todoist: Any) -> Any:
    """The project's Todoist account, at the stand-in."""
    from tests.standins.todoist import KEY

    return connected("todoist", acme, apiKey=KEY, label="alice@example.org")
