"""A vendor, a grant of Alice's, and processes that may be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.grants import providers
from tests.grants.crew import Crew
from tests.grants.house import granted, like
from tests.grants.vendor import Vendor


@pytest.fixture(autouse=True)
def known_providers() -> Iterator[None]:
    providers.install()
    yield
    providers.uninstall()


@pytest.fixture
def vendor(settings: Any) -> Iterator[Vendor]:
    """A strict one, for all providers of these tests."""
    with Vendor() as standin:
        settings.UPSTREAMS = dict.fromkeys(providers.KINDS, standin.url)
        yield standin


@pytest.fixture
def long_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause after a failure outlasts the test, on any machine."""
    monkeypatch.setattr("credentials.life.FIRST_HOLD", 300.0)


@pytest.fixture
def acmes(acme: Any, vendor: Vendor) -> Callable[..., Any]:
    """Acme's connection at a vendor of this kind: `acmes("strict", left=600)`."""

    def make(slug: str, **facts: Any) -> Any:
        like(vendor, slug)
        return granted(acme, slug, vendor, **facts)

    return make


@pytest.fixture(scope="session")
def environment(django_db_setup: Any, key_files: Any) -> dict[str, str]:
    """What makes another process use this one's database and keys."""
    return {
        "DATABASE_URL": database_url(),
        "NAVI_DATA_DIR": str(key_files.directory),
        "NAVI_LOG_LEVEL": "DEBUG",
    }


def database_url() -> str:
    from django.db import connection

    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite://{facts['NAME']}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


@pytest.fixture(scope="session")
def crew(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    log: Path = tmp_path_factory.mktemp("crew") / "log"
    with Crew(environment, log) as found:
        yield found


@pytest.fixture
def job(vendor: Vendor) -> Callable[..., dict[str, Any]]:
    """What a process is told: `job("read", "strict", threads=25)`."""

    def make(does: str, provider: str, **facts: Any) -> dict[str, Any]:
        upstreams = dict.fromkeys(providers.KINDS, vendor.url)
        return {"does": does, "provider": provider, "upstreams": upstreams, **facts}

    return make
