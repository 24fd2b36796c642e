"""A whole Navi as processes, and a real browser in front of it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.standins.google import CLIENT_ID, CLIENT_SECRET, GoogleStandin
from tests.standins.todoist import TodoistStandin

PASSWORD = "alice walks 7 dogs"
ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class House:
    """A running Navi: where it is, what it said at the start, the vendor behind it."""

    url: str
    said: Path
    todoist: TodoistStandin
    data: Path

    @property
    def one_time_link(self) -> str:
        found = re.search(r"http://\S+/set-up/\S+", self.said.read_text())
        assert found, self.said.read_text()
        return found[0]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[House]:
    """`manage.py up` with data of its own and Todoist's stand-in."""
    port, said = free_port(), tmp_path / "said"
    with TodoistStandin() as todoist, said.open("w") as output:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("NAVI_", "DJANGO_"))
        }
        environment |= {
            "NAVI_DATA_DIR": str(tmp_path / "data"), "PORT": str(port), "NAVI_UPSTREAMS": f"todoist={todoist.url}",
        }  # fmt: skip
        environment.pop("DATABASE_URL", None)
        command = [sys.executable, "manage.py", "up"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_ready(port, process, said)
            yield House(f"http://127.0.0.1:{port}", said, todoist, tmp_path / "data")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=40)


def wait_until_ready(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, said.read_text()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            is_ready = connection.getresponse().status == 200
            connection.close()
            if is_ready:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"Navi did not become ready:\n{said.read_text()}")


@pytest.fixture
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on this machine.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page whose console must stay empty."""
    page = browser.new_page(viewport={"width": 1240, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    yield page
    assert complaints == []


# --- a house with an OAuth app at Google


@dataclass
class Place:
    """A running Navi and the Google that it speaks to, at another origin."""

    url: str
    google: GoogleStandin
    token: str  # Ada's

    @property
    def page(self) -> str:
        return f"{self.url}/p/acme/integrations/google"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Alice's Navi with the instance's OAuth app at Google."""
    port, said = free_port(), tmp_path / "said"
    with GoogleStandin() as google, said.open("w") as output:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("NAVI_", "DJANGO_"))},
            "NAVI_DATA_DIR": str(tmp_path / "data"), "PORT": str(port), "NAVI_UPSTREAMS": f"google={google.url}",
            "NAVI_BOOTSTRAP_PASSWORD": PASSWORD,
        }  # fmt: skip
        environment.pop("DATABASE_URL", None)
        manage = [sys.executable, "manage.py"]

        def run(*words: str, typed: str = "") -> str:
            done = subprocess.run(
                [*manage, *words],
                cwd=ROOT,
                env=environment,
                check=True,
                input=typed,
                capture_output=True,
                text=True,
            )
            return done.stdout

        run("migrate", "-v0")
        token = run(
            "bootstrap", "--email", "alice@example.org", "--project", "Acme", "--token", "Ada", "--json"
        )
        run("oauth_app", "--provider", "google", "--client-id", CLIENT_ID, typed=CLIENT_SECRET)
        process = subprocess.Popen(
            [*manage, "up"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait_until_ready(port, process, said)
            yield Place(f"http://127.0.0.1:{port}", google, json.loads(token)["token"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=40)


@pytest.fixture
def alices(page: Any, place: Place) -> Any:
    """Alice's browser, signed in."""
    page.goto(f"{place.url}/sign-in")
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/p/acme/**")
    return page
