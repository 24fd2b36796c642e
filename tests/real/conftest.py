"""Services that nobody here wrote, each in a process of its own: httpbin, and authorization servers."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from integrations import registry
from tests.ports import free_port
from tests.real import signing_in, vendors
from tests.real.strangers_browser import Browser
from tests.real.vendors import Vendor

KEY = "bins-own-key-5Yt2Wq9"


@pytest.fixture(scope="session")
def httpbin_port() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "httpbin:app", "-b", f"127.0.0.1:{port}", "--threads", "8"]
    server = subprocess.Popen([*command, "--log-level", "critical"], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/status/200")
            connection.getresponse().read()
            connection.close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("httpbin did not start")


@pytest.fixture
def httpbin(httpbin_port: int, settings: Any) -> str:
    """httpbin's address, which the operator lets Navi call."""
    settings.OUTBOUND_ALLOW = f"127.0.0.1:{httpbin_port}"
    return f"http://127.0.0.1:{httpbin_port}"


@pytest.fixture
def sentinel() -> Iterator[Any]:
    """A port on loopback that nothing may reach; it counts who comes."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    visits: list[Any] = []
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            try:
                visitor, address = listener.accept()
            except TimeoutError:
                continue
            visits.append(address)
            visitor.close()

    thread = threading.Thread(target=listen)
    thread.start()
    yield listener.getsockname()[1], visits
    stop.set()
    thread.join()
    listener.close()


@pytest.fixture
def bin_(ada: Any, httpbin: str, acme: Any) -> Any:
    """A custom provider that points at httpbin, described over the API and approved by the operator."""
    from integrations.models import CustomProvider

    body = {"name": "Bin", "baseUrl": httpbin, "healthPath": "/bearer", "sentAs": "bearer"}
    made = ada.post("/api/providers/custom", body)
    assert made.status_code == 201, made.json()
    CustomProvider.objects.update(is_approved=True)
    saved = ada.post("/api/credentials/bin", {"credentials": {"apiKey": KEY}})
    assert saved.status_code == 201, saved.json()
    return made.json()


# --- authorization servers


@pytest.fixture(scope="session")
def toolkit_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with vendors.toolkit(tmp_path_factory.mktemp("authorization_server")) as vendor:
        yield vendor


@pytest.fixture(scope="session")
def oidc_provider_running() -> Iterator[Vendor]:
    with vendors.oidc_provider() as vendor:
        yield vendor


@pytest.fixture(params=["toolkit", pytest.param("oidc_provider", marks=pytest.mark.slow)])
def vendor(request: Any) -> Vendor:
    """A real authorization server: each test is done with one after the other."""
    found: Vendor = request.getfixturevalue(f"{request.param}_running")
    return found


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, settings: Any, db: None) -> Callable[..., Vendor]:
    """Let Navi know a vendor, with its OAuth app: `offered(vendor, "basic", issuer="…")`."""

    def make(
        vendor: Vendor, way: str = "body", *, client: str = "", origin: str = "", **facts: Any
    ) -> Vendor:
        plugin = vendor.plugin(vendor.oauth(way, origin=origin, **facts), origin=origin)
        made = registry.Registry()
        made.add([plugin], [], source="test")
        monkeypatch.setattr(registry, "installed", lambda: made)
        settings.BASE_URL, settings.OUTBOUND_ALLOW = vendors.NAVI, urlsplit(vendor.origin).netloc
        signing_in.app_at(client or way)
        return vendor

    return make


@pytest.fixture
def notes(offered: Callable[..., Vendor], vendor: Vendor) -> Vendor:
    """The vendor, known to Navi by a client that sends its secret in the body."""
    return offered(vendor)


@pytest.fixture
def alices_browser() -> Iterator[Browser]:
    with Browser("alice") as browser:
        yield browser


@pytest.fixture
def bobs_browser() -> Iterator[Browser]:
    with Browser("bob") as browser:
        yield browser
