"""The whole way once, over real processes: from the one-time link to the agent's calls in the audit."""

import http.client
import json
import re
from urllib.parse import urlsplit

import pytest

from tests.standins.todoist import KEY

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Agent:
    """An agent with nothing but an address and a token."""

    def __init__(self, url, token):
        self.address, self.token = urlsplit(url).netloc, token

    def call(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read() or b"null")
        connection.close()
        return answer


def make_the_operator(page, house):
    page.goto(house.one_time_link)
    page.get_by_label("Your name").fill("Alice")
    page.get_by_label("Email").fill("alice@example.org")
    page.get_by_role("textbox", name="Password").fill("alice walks 7 dogs")
    page.get_by_role("button", name="Create account").click()


def make_a_project(page):
    page.get_by_label("name").first.fill("Acme")
    page.get_by_role("button", name=re.compile("Create")).click()
    page.wait_for_url("**/p/acme/integrations")


def connect_todoist(page):
    page.get_by_role("link", name="Connect Todoist").first.click()
    key = page.get_by_role("textbox", name="API token")
    key.fill("xoxb-1234567890-abcdefghijkl")
    page.get_by_text(re.compile("Slack bot token")).first.wait_for()
    key.fill(KEY)
    page.get_by_text("Only this project").click()
    page.get_by_role("button", name="Connect and test").click()
    page.get_by_text("Connected as alice@example.org").first.wait_for()


def try_it(page):
    page.get_by_role("dialog").get_by_role("button", name="List projects").click()
    page.get_by_role("dialog").get_by_text("Garden").first.wait_for()


def make_a_token(page, house):
    page.goto(f"{house.url}/p/acme/agents/new")
    page.get_by_label("Name").first.fill("Ada")
    for box in page.get_by_role("checkbox").all():
        if box.is_enabled():
            box.check()
    page.get_by_role("button", name=re.compile("Create")).click()
    shown = page.get_by_text(re.compile(r"navi_at_\w{12}_\w{49}")).first
    shown.wait_for()
    return re.findall(r"navi_at_\w{12}_\w{49}", page.content())[0]


def test_alice_sets_up_and_her_agent_uses_it(running, page):
    make_the_operator(page, running)
    make_a_project(page)
    connect_todoist(page)
    try_it(page)
    agent = Agent(running.url, make_a_token(page, running))

    status, known = agent.call("GET", "/api/integrations/status")
    assert status == 200
    todoist = next(one for one in known["integrations"] if one["provider"] == "todoist")
    assert (todoist["hasCredentials"], todoist["status"]["effective"]["health"]) == (True, "healthy")

    status, secret = agent.call("GET", "/api/credentials/todoist/token?purpose=journey")
    assert (status, secret["authorization"]) == (200, f"Bearer {KEY}")

    before = len(running.todoist.tasks)
    task = {"content": "Water the tulips", "due_string": "tomorrow"}
    for _ in range(2):
        status, made = agent.call(
            "POST", "/api/actions/todoist.create_task", task, **{"Idempotency-Key": "tulips"}
        )
        assert (status, made["result"]["content"]) == (200, "Water the tulips")
    assert len(running.todoist.tasks) == before + 1

    status, projects = agent.call("GET", "/api/proxy/todoist/projects?limit=2")
    assert (status, len(projects["results"])) == (200, 2)
    status, refused = agent.call("POST", "/api/actions/linear.list_teams", {})
    assert (status, refused["error"]["code"]) == (409, "not_connected")
    assert refused["error"]["link"].startswith(f"{running.url}/p/acme/integrations/linear")

    page.goto(f"{running.url}/p/acme/activity")
    told = page.inner_text("main")
    assert told.count("Ada") >= 5
    assert KEY not in page.content()
    assert agent.token not in page.content()
    assert KEY not in running.said.read_text()
