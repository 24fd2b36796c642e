"""The Todoist stand-in, driven by Todoist's own client for Node."""

import pytest

from tests.contracts.node import node
from tests.standins.grants import CLIENT_SECRET
from tests.standins.todoist import GARDEN, HOME, KEY, MILK, TodoistStandin

pytestmark = pytest.mark.slow

# The newest that runs on Node 20.
PACKAGES = {"@doist/todoist-sdk": "11.0.0"}
ALL_IT_DOES = """
import { TodoistApi, createCommand } from "@doist/todoist-sdk";
const { KEY, URL, MILK, HOME, GARDEN } = process.env;
const api = new TodoistApi(KEY, { baseUrl: URL });
const names = (page) => page.results.map((one) => one.name ?? one.content);
const out = {
  user: (await api.getUser()).email,
  tasks: names(await api.getTasks()),
  filtered: names(await api.getTasksByFilter({ query: "p1" })),
  added: (await api.addTask({ content: "Buy bread", projectId: HOME })).projectId,
  quick: (await api.quickAddTask({ text: "Sweep #Home" })).content,
  updated: (await api.updateTask(MILK, { content: "Buy oat milk" })).content,
  moved: (await api.moveTask(MILK, { projectId: GARDEN })).projectId,
  closed: await api.closeTask(MILK),
  reopened: await api.reopenTask(MILK),
  projects: names(await api.getProjects()),
  sections: names(await api.getSections({ projectId: HOME })),
  labels: names(await api.getLabels()),
};
await api.addComment({ taskId: MILK, content: "Oat is fine" });
out.comments = names(await api.getComments({ taskId: MILK }));

const first = await api.sync({ resourceTypes: ["items", "projects"], syncToken: "*" });
await api.deleteTask(MILK);
const second = await api.sync({ resourceTypes: ["items"], syncToken: first.syncToken });
out.first = [first.fullSync, first.items.length, first.projects.length];
out.second = [second.fullSync, second.items.map((item) => [item.id, item.isDeleted])];

const command = createCommand("item_add", { content: "Once" }, "temp-1");
const made = [await api.sync({ commands: [command] }), await api.sync({ commands: [command] })];
out.madeOnce = names(await api.getTasks()).filter((name) => name === "Once").length;
out.sameTask = made[0].tempIdMapping["temp-1"] === made[1].tempIdMapping["temp-1"];
out.failed = await api.sync({ commands: [createCommand("item_close", { id: MILK })] }).catch(String);
console.log(JSON.stringify(out));
"""
SIGNED = """
import { parseWebhookPayload, verifyWebhookSignature } from "@doist/todoist-sdk";
const { BODY, SIGNATURE, SECRET } = process.env;
const verified = (clientSecret) => verifyWebhookSignature({ rawBody: BODY, signature: SIGNATURE, clientSecret });
const event = parseWebhookPayload(JSON.parse(BODY)).eventName;
console.log(JSON.stringify([await verified(SECRET), await verified("another"), event]));
"""


@pytest.fixture
def todoist():
    with TodoistStandin() as standin:
        yield standin


def test_todoists_own_client_works_against_the_stand_in(todoist):
    done = node(ALL_IT_DOES, PACKAGES, URL=todoist.url, KEY=KEY, MILK=MILK, HOME=HOME, GARDEN=GARDEN)

    assert done == {
        "user": "alice@example.org",
        "tasks": ["Buy milk", "Plant tulips", "Send Bob the invoice"],
        "filtered": ["Send Bob the invoice"],
        "added": HOME,
        "quick": "Sweep",
        "updated": "Buy oat milk",
        "moved": GARDEN,
        "closed": True,
        "reopened": True,
        "projects": ["Inbox", "Home", "Garden", "Work", "Reading list"],
        "sections": ["Shelf"],
        "labels": ["shop", "money"],
        "comments": ["Oat is fine"],
        "first": [True, 5, 5],
        "second": [False, [[MILK, True]]],
        "madeOnce": 1,
        "sameTask": True,
        "failed": "TodoistRequestError: Task not found",
    }


def test_todoists_own_client_believes_the_stand_ins_signature(todoist):
    # Its schema takes version "1" only, where the reference shows "10".
    todoist.turn_on("webhook_version", "1")
    sent = todoist.send_webhook("http://127.0.0.1:1/nobody-listens")["body"]
    signature = todoist.signed(sent.encode(), CLIENT_SECRET)["X-Todoist-Hmac-SHA256"]

    said = node(SIGNED, PACKAGES, BODY=sent, SIGNATURE=signature, SECRET=CLIENT_SECRET)

    assert said == [True, False, "item:updated"]
