"""Draw the pictures of the README anew: `python -m tests.journey.screenshots`.

A Navi of its own with stand-ins behind it, a month of made-up health, and a browser in front.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Any

from playwright.sync_api import sync_playwright

from tests.bench import wait_for
from tests.journey.conftest import CHROMIUM, FLAGS, ROOT
from tests.ports import free_port
from tests.standins.linear import API_KEY, LinearStandin
from tests.standins.todoist import KEY, TodoistStandin

PASSWORD = "alice walks 7 dogs"
IMAGES = ROOT / "docs" / "images"
FILL = f"""
import random
from datetime import timedelta
from django.utils import timezone
from credentials.models import Connection
from integrations import registry
from integrations.models import HealthCheck
from integrations.runtime import connect, execute
from integrations.sdk import Call
from navi.projects import tokens
from navi.projects.models import Project, User
from navi.projects.rights import actor_for
from tests.ports import free_port

alice, project = User.objects.get(), Project.objects.get()
actor = actor_for(alice, project)
for provider, key, owner in (("todoist", "{KEY}", None), ("linear", "{API_KEY}", alice.pk)):
    offer = connect.Offer(registry.entry(provider, project.pk), project, {{"apiKey": key}}, for_user=owner)
    connect.connect(offer, actor)
random.seed(7)
now = timezone.now()
checks = []
for connection in Connection.objects.all():
    for day in range(1, 24 if connection.provider == "linear" else 29):
        bad = connection.provider == "todoist" and day in (9, 10)
        checks.append(HealthCheck(connection=connection, at=now - timedelta(days=day), latency_ms=random.randint(80, 240),
                                  status="degraded" if bad else "healthy", reason="Todoist answered late." if bad else ""))
HealthCheck.objects.bulk_create(checks)
token, text = tokens.issue(project, alice, "Ada", ["read", "run", "write"], actor=actor)
ada, agent = tokens.authenticate(text, ip="127.0.0.1")
execute.run(Call(agent, project, "todoist", "list_projects"))
execute.run(Call(agent, project, "todoist", "create_task", {{"content": "Water the tulips"}}, idempotency_key="tulips"))
execute.run(Call(agent, project, "linear", "list_issues"))
"""


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, TodoistStandin() as todoist, LinearStandin() as linear:
        port = free_port()
        environment = {
            **os.environ, "NAVI_DATA_DIR": data, "PORT": str(port), "NAVI_BOOTSTRAP_PASSWORD": PASSWORD,
            "NAVI_UPSTREAMS": f"todoist={todoist.url},linear={linear.url}",
        }  # fmt: skip
        run = [sys.executable, "manage.py"]
        bootstrap = [
            *run,
            "bootstrap",
            "--email",
            "alice@example.org",
            "--project",
            "Acme",
            "--token",
            "Nightly report",
        ]
        for command in ([*run, "migrate", "-v0"], bootstrap, [*run, "shell", "-v0", "-c", FILL]):
            subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        server = subprocess.Popen([*run, "up"], cwd=ROOT, env=environment)
        try:
            wait_for(port)
            draw(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            server.wait(timeout=40)


def draw(url: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": 1240, "height": 860}, color_scheme=scheme, device_scale_factor=1
            )
            page = context.new_page()
            sign_in(page, url)
            for name, path in (
                ("integrations", "/p/acme/integrations"),
                ("activity", "/p/acme/activity"),
                ("admin", "/admin/"),
            ):
                page.goto(url + path)
                page.wait_for_timeout(400)
                page.screenshot(path=IMAGES / f"{name}-{scheme}.png")
            context.close()
        browser.close()


def sign_in(page: Any, url: str) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/p/acme/**")


if __name__ == "__main__":
    main()
