"""The Linear stand-in, driven by Linear's own client for Node."""

import pytest

from tests.contracts import linear_schema
from tests.contracts.node import node
from tests.standins.linear import API_KEY, LinearStandin, id_for, signed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not linear_schema.is_at_hand(), reason=linear_schema.ABSENT),
]

# Of the summer of 2026, as the schema in the contracts: later ones ask for fields that it does not have yet.
PACKAGES = {"@linear/sdk": "88.3.0"}
OWN_ID = "11111111-1111-4111-8111-111111111111"
ALL_IT_DOES = """
import { LinearClient } from "@linear/sdk";
const { KEY, URL, TEAM, ID } = process.env;
const linear = new LinearClient({ apiKey: KEY, apiUrl: `${URL}/graphql` });
const wanted = { id: ID, teamId: TEAM, title: "Sand the floor", priority: 2 };
const made = await (await linear.createIssue(wanted)).issue;
const out = {
  viewer: (await linear.viewer).email,
  teams: (await linear.teams()).nodes.map((team) => team.key).sort(),
  made: [made.identifier, made.id, made.priorityLabel],
  again: await linear.createIssue(wanted).then(() => "made", (error) => error.message.split(" - ")[0]),
  found: (await linear.searchIssues("floor")).nodes.map((issue) => issue.identifier),
  future: (await linear.issues({ filter: { updatedAt: { gte: "2100-01-01T00:00:00.000Z" } } })).nodes.length,
  updated: (await (await linear.updateIssue("ENG-1", { title: "The door closes" })).issue).title,
  projects: (await linear.projects()).nodes.map((project) => project.name).sort(),
  states: (await linear.workflowStates({ first: 100 })).nodes.length,
  labels: (await linear.issueLabels()).nodes.map((label) => label.name).sort(),
  users: (await linear.users()).nodes.map((user) => user.name).sort(),
};
let page = await linear.issues({ first: 2 });
out.pages = [page.nodes.length];
while (page.pageInfo.hasNextPage) {
  page = await page.fetchNext();  // It gathers: each time the nodes of all pages so far.
  out.pages.push(page.nodes.length);
}
const issue = await linear.issue("ENG-1");
await linear.createComment({ issueId: issue.id, body: "Oil first" });
out.comments = (await issue.comments()).nodes.map((comment) => comment.body);
const facts = { url: "https://navi.example/hooks/1", allPublicTeams: true, resourceTypes: ["Issue"] };
const webhook = await (await linear.createWebhook(facts)).webhook;
out.webhook = [webhook.enabled, (await linear.deleteWebhook(webhook.id)).success];
await linear.archiveIssue("ENG-2");
out.left = (await linear.issues()).nodes.length;
out.withArchive = (await linear.issues({ includeArchived: true })).nodes.length;
console.log(JSON.stringify(out));
"""
SIGNED = """
import { LinearWebhookClient } from "@linear/sdk/webhooks";
const { BODY, SIGNATURE, SECRET } = process.env;
// It takes messages of the last minute only, and the machine may take longer to come this far.
const halfAMinuteLater = JSON.parse(BODY).webhookTimestamp + 30_000;
globalThis.Date = class extends Date {
  constructor(...given) { super(...(given.length ? given : [halfAMinuteLater])); }
  static now() { return halfAMinuteLater; }
};
const verified = (secret) => {
  try {
    return new LinearWebhookClient(secret).verify(
      Buffer.from(BODY), SIGNATURE, JSON.parse(BODY).webhookTimestamp);
  } catch (error) {
    return error.message;
  }
};
console.log(JSON.stringify([verified(SECRET), verified("another")]));
"""


@pytest.fixture
def linear():
    with LinearStandin() as standin:
        yield standin


def test_linears_own_client_works_against_the_stand_in(linear):
    done = node(ALL_IT_DOES, PACKAGES, URL=linear.url, KEY=API_KEY, TEAM=id_for("ENG"), ID=OWN_ID)

    assert done == {
        "viewer": "alice@example.org",
        "teams": ["ENG", "OPS"],
        "made": ["ENG-4", OWN_ID, "High"],
        "again": "Conflict on insert of Issue",
        "found": ["ENG-4"],
        "future": 0,
        "updated": "The door closes",
        "projects": ["Doors", "Floors"],
        "states": 10,
        "labels": ["Bug", "Feature"],
        "users": ["Ada", "Alice", "Bob"],
        "pages": [2, 4],
        "comments": ["Oil first"],
        "webhook": [True, True],
        "left": 3,
        "withArchive": 4,
    }


def test_linears_own_client_believes_the_stand_ins_signature(linear):
    sent = linear.send_webhook("http://127.0.0.1:1/nobody-listens", secret="lin_wh_secret")["body"]
    signature = signed(sent.encode(), "lin_wh_secret", "Issue")["Linear-Signature"]

    said = node(SIGNED, PACKAGES, BODY=sent, SIGNATURE=signature, SECRET="lin_wh_secret")

    assert said[0] is True
    assert said[1] is not True
