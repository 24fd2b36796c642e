"""The GitHub stand-in, held to what PyGithub makes of it, and to GitHub's own description of its answers."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251 - a browser, a device, and what the client does not ask
import pytest
from github import Auth, BadCredentialsException, Github, GithubException, UnknownObjectException

from tests.contracts import CONTRACTS
from tests.contracts.node import node
from tests.ports import free_port
from tests.standins.github import DEVICE_GRANT, FINE_GRAINED, TOKEN, GithubStandin

CALLBACK = "https://navi.example/oauth/callback"


@pytest.fixture(scope="module")
def running() -> Iterator[GithubStandin]:
    with GithubStandin() as standin:
        yield standin


@pytest.fixture
def github(running: GithubStandin) -> GithubStandin:
    running.reset()
    return running


def client(github: GithubStandin, token: str | None = None) -> Github:
    auth = Auth.Token(token) if token else None
    return Github(
        auth=auth, base_url=github.url, retry=None, seconds_between_requests=None, seconds_between_writes=None
    )


@pytest.fixture
def alice(github: GithubStandin) -> Iterator[Github]:
    with client(github, TOKEN) as made:
        yield made


def code_for(github: GithubStandin, scope: str, **more: str) -> str:
    """Alice's browser: to GitHub, and back with a code."""
    asked = {
        "client_id": github.client_id,
        "redirect_uri": CALLBACK,
        "scope": scope,
        "state": "a-state",
        **more,
    }
    back = httpx.get(f"{github.url}/login/oauth/authorize", params=asked).headers["Location"]
    return parse_qs(urlsplit(back).query)["code"][0]


def post(github: GithubStandin, path: str, accept: str = "application/json", **form: str) -> httpx.Response:
    return httpx.post(f"{github.url}{path}", data=form, headers={"Accept": accept})


def as_app(github: GithubStandin, method: str, path: str, token: str) -> httpx.Response:
    return httpx.request(
        method,
        f"{github.url}/applications/{github.client_id}/{path}",
        json={"access_token": token},
        auth=(github.client_id, github.client_secret),
    )


# --- the API


def test_alice_is_who_she_is(alice):
    me = alice.get_user()

    assert (me.login, me.id) == ("alice", 1001)
    assert alice.oauth_scopes == ["read:org", "repo"]


def test_a_fine_grained_token_tells_no_scopes(github):
    with client(github, FINE_GRAINED) as made:
        assert made.get_user().login == "alice"
        assert made.oauth_scopes is None


def test_repositories_come_page_by_page(alice, github):
    alice.per_page = 2

    names = [one.full_name for one in alice.get_user().get_repos()]

    assert names == ["alice/garden", "alice/diary", "acme/door"]
    assert len(github.asked("/user/repos")) == 2


def test_alice_opens_an_issue_and_finds_it_again(alice):
    door = alice.get_repo("acme/door")

    made = door.create_issue("Fix the bell", body="It is silent.", labels=["house"], assignees=["bob"])

    found = door.get_issue(made.number)
    assert (found.title, found.body, found.user.login) == ("Fix the bell", "It is silent.", "alice")
    assert [label.name for label in found.labels] == ["house"]
    assert made.number in [issue.number for issue in door.get_issues(state="open", labels=["house"])]


def test_pull_requests_are_among_the_issues(alice):
    issues = list(alice.get_repo("acme/door").get_issues())

    assert [issue.pull_request is not None for issue in issues] == [False, True, False]


def test_what_is_wrong_is_told(alice, github):
    with pytest.raises(BadCredentialsException):
        client(github, "ghp_" + "0" * 36).get_user().login  # noqa: B018 - it is asked for when it is read
    with pytest.raises(UnknownObjectException):
        alice.get_repo("acme/cellar")
    with pytest.raises(GithubException) as refusal:
        alice.get_repo("acme/door").create_issue("")
    assert (refusal.value.status, refusal.value.message) == (422, "Validation Failed")


def test_private_repositories_want_the_scope_repo(github):
    with client(github, github.grant("public_repo").access) as narrow:
        names = [one.full_name for one in narrow.get_user().get_repos()]

    assert names == ["alice/garden", "acme/door"]


def test_a_request_without_a_user_agent_is_refused(github):
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}) as nameless:
        del nameless.headers["User-Agent"]
        assert nameless.get(f"{github.url}/user").status_code == 403


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="GitHub's description is not at hand (NAVI_CONTRACTS).")
@pytest.mark.parametrize(
    ("path", "described", "of_list"),
    [("/user", "/user", False), ("/repos/acme/door/issues", "/repos/{owner}/{repo}/issues", True)],
)
def test_every_field_is_one_that_github_describes(github, path, described, of_list):
    answer = httpx.get(f"{github.url}{path}", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    document = json.loads((CONTRACTS / "github-rest-subset.json").read_text())
    told = document["paths"][described]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    known = fields_of(document, told["items"] if of_list else told)

    assert set(answer[0] if of_list else answer) <= known


def fields_of(document: Any, schema: Any) -> set[str]:
    if "$ref" in schema:
        return fields_of(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    parts = [*schema.get("oneOf", []), *schema.get("anyOf", []), *schema.get("allOf", [])]
    return set(schema.get("properties", {})).union(*(fields_of(document, part) for part in parts))


# --- OAuth


def test_pygithub_gets_a_token_for_a_code(github):
    app = client(github).get_oauth_application(github.client_id, github.client_secret)

    token = app.get_access_token(code_for(github, "public_repo read:user"))

    assert (token.type, token.scope) == ("bearer", "public_repo,read:user")
    assert token.expires_in is None
    with client(github, token.token) as made:
        assert made.get_user().login == "alice"


def test_a_code_serves_once_and_the_refusal_comes_with_status_200(github):
    app = client(github).get_oauth_application(github.client_id, github.client_secret)
    code = code_for(github, "public_repo")
    app.get_access_token(code)

    with pytest.raises(BadCredentialsException) as refusal:
        app.get_access_token(code)

    assert (refusal.value.status, refusal.value.data["error"]) == (200, "bad_verification_code")


def test_a_verifier_has_to_fit(github):
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    app = client(github).get_oauth_application(github.client_id, github.client_secret)
    question = {"code_challenge": challenge, "code_challenge_method": "S256"}

    assert app.get_access_token(code_for(github, "repo", **question), code_verifier=verifier).token
    with pytest.raises(BadCredentialsException):
        app.get_access_token(code_for(github, "repo", **question), code_verifier="another")


def test_who_does_not_ask_for_json_gets_a_form(github):
    answer = post(
        github, "/login/oauth/access_token", accept="*/*", client_id=github.client_id,
        client_secret=github.client_secret, code=code_for(github, "repo"), redirect_uri=CALLBACK,
    )  # fmt: skip

    assert answer.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert parse_qs(answer.text)["token_type"] == ["bearer"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"client_secret": "another"}, "incorrect_client_credentials"),
        ({"redirect_uri": "https://elsewhere.example/"}, "redirect_uri_mismatch"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_refusals_come_with_status_200(github, wrong, error):
    asked = {
        "client_id": github.client_id,
        "client_secret": github.client_secret,
        "code": code_for(github, "repo"),
        "redirect_uri": CALLBACK,
    }

    answer = post(github, "/login/oauth/access_token", **(asked | wrong))

    assert (answer.status_code, answer.json()["error"]) == (200, error)


def test_an_app_checks_and_ends_a_token(github):
    token, other = github.grant("repo").access, github.grant("repo").access

    assert as_app(github, "POST", "token", token).json()["user"]["login"] == "alice"
    assert as_app(github, "DELETE", "token", token).status_code == 204
    assert as_app(github, "DELETE", "token", token).status_code == 404
    assert as_app(github, "POST", "token", other).status_code == 200


# --- the device flow


@pytest.fixture
def device(github: GithubStandin) -> Any:
    told = post(github, "/login/device/code", client_id=github.client_id, scope="repo").json()
    assert (told["expires_in"], told["interval"]) == (900, 5)
    return told


def poll(github: GithubStandin, device: dict[str, Any]) -> Any:
    return post(
        github, "/login/oauth/access_token",
        client_id=github.client_id, device_code=device["device_code"], grant_type=DEVICE_GRANT,
    ).json()  # fmt: skip


def test_a_device_waits_until_the_person_agrees(github, device):
    assert poll(github, device)["error"] == "authorization_pending"

    github.decide(device["user_code"])
    github.wind(5)

    assert poll(github, device)["scope"] == "repo"
    github.wind(5)
    assert poll(github, device)["error"] == "incorrect_device_code"


def test_a_device_that_asks_too_often_has_to_slow_down(github, device):
    poll(github, device)

    assert poll(github, device)["error"] == "slow_down"
    github.wind(6)
    assert poll(github, device)["error"] == "slow_down"
    github.wind(30)
    assert poll(github, device)["error"] == "authorization_pending"


def test_a_person_may_say_no(github, device):
    github.decide(device["user_code"], "deny")

    assert poll(github, device)["error"] == "access_denied"


def test_a_device_code_ends(github, device):
    github.wind(901)

    assert poll(github, device)["error"] == "expired_token"


# --- changing, discussing, searching


def test_an_issue_is_changed_and_discussed(alice):
    issue = alice.get_repo("acme/door").get_issue(1)

    issue.edit(title="The door sticks", state="closed", state_reason="completed", labels=["house"])
    comment = issue.create_comment("It closes again.")

    again = alice.get_repo("acme/door").get_issue(1)
    assert (again.title, again.state, again.comments) == ("The door sticks", "closed", 1)
    assert [one.body for one in again.get_comments()] == ["It closes again."]
    assert comment.user.login == "alice"


def test_what_changed_since_then_comes_the_oldest_first(alice):
    door = alice.get_repo("acme/door")
    door.get_issue(3).edit(title="Oil all hinges")
    moment = door.get_issue(3).updated_at
    door.get_issue(1).edit(title="The door sticks")

    found = door.get_issues(state="all", sort="updated", direction="asc", since=moment)

    assert [issue.number for issue in found] == [3, 1]


def test_a_pull_request_is_opened_once(alice):
    door = alice.get_repo("acme/door")
    made = door.create_pull(base="main", head="bell", title="Hang a bell", body="It rings.", draft=True)

    assert [one.number for one in door.get_pulls(base="main")] == [made.number, 2]
    assert (door.get_pull(made.number).head.ref, made.draft, made.merged) == ("bell", True, False)
    with pytest.raises(GithubException) as refusal:
        door.create_pull(base="main", head="bell", title="Hang a bell")
    assert refusal.value.status == 422


def test_issues_are_searched(alice):
    found = alice.search_issues("repo:acme/door is:pr door")

    assert (found.totalCount, [one.title for one in found]) == (1, ["Paint the door"])


def test_a_file_is_read(alice):
    door = alice.get_repo("acme/door")

    assert door.get_contents("docs/hinges.md").decoded_content == b"Oil them.\n"
    assert [one.path for one in door.get_contents("docs")] == ["docs/hinges.md"]
    with pytest.raises(UnknownObjectException):
        door.get_contents("docs/knobs.md")


# --- webhooks


def test_a_hook_is_made_changed_and_removed(alice, github):
    door = alice.get_repo("acme/door")
    config = {"url": f"http://127.0.0.1:{free_port()}/", "content_type": "json", "secret": "s"}

    made = door.create_hook("web", config, events=["issues"], active=True)
    with pytest.raises(GithubException) as refusal:
        door.create_hook("web", config, events=["issues"])
    made.edit("web", config, events=["issues", "push"])

    assert refusal.value.status == 422
    assert made.config["secret"] == "********"
    assert [hook.events for hook in door.get_hooks()] == [["issues", "push"]]
    made.delete()
    assert list(door.get_hooks()) == []
    github.outgoing.settle()


def test_a_hook_wants_its_scope(github):
    with (
        client(github, github.grant("public_repo").access) as narrow,
        pytest.raises(GithubException) as refusal,
    ):
        narrow.get_repo("acme/door").create_hook("web", {"url": "http://127.0.0.1:1/"})

    assert refusal.value.status == 403


# --- GitHub's own client for Node

OCTOKIT = """
import {createServer} from "node:http";
import {Octokit} from "@octokit/rest";
import {Webhooks} from "@octokit/webhooks";
const webhooks = new Webhooks({secret: "0123456789abcdef"});
const heard = [];
webhooks.onAny(({name, payload}) => heard.push([name, payload.action ?? null]));
const server = createServer((request, response) => {
  const parts = [];
  request.on("data", part => parts.push(part)).on("end", async () => {
    const header = name => request.headers[name];
    await webhooks.verifyAndReceive({id: header("x-github-delivery"), name: header("x-github-event"),
      signature: header("x-hub-signature-256"), payload: Buffer.concat(parts).toString()});
    response.end("ok");
  });
}).listen(0, "127.0.0.1");
await new Promise(done => server.once("listening", done));
const octokit = new Octokit({baseUrl: process.env.URL, auth: process.env.KEY});
const door = {owner: "acme", repo: "door"};
const me = (await octokit.rest.users.getAuthenticated()).data.login;
const all = await octokit.paginate(octokit.rest.repos.listForAuthenticatedUser, {per_page: 1});
const names = all.map(one => one.full_name);
const config = {url: `http://127.0.0.1:${server.address().port}/`, content_type: "json", secret: "0123456789abcdef"};
const events = ["issues", "issue_comment", "pull_request"];
const hook = (await octokit.rest.repos.createWebhook({...door, config, events})).data;
const issue = (await octokit.rest.issues.create({...door, title: "Fix the bell", labels: ["house"]})).data;
const at = {...door, issue_number: issue.number};
await octokit.rest.issues.createComment({...at, body: "It is silent."});
const closed = (await octokit.rest.issues.update({...at, state: "closed"})).data.state;
const pull = (await octokit.rest.pulls.create({...door, title: "Bell", head: "bell", base: "main"})).data.number;
const hits = await octokit.rest.search.issuesAndPullRequests({q: "repo:acme/door bell"});
const found = hits.data.items.map(one => one.number);
let lost = 0;
try { await octokit.rest.issues.get({...door, issue_number: 999}) } catch (error) { lost = error.status }
for (let i = 0; heard.length < 5 && i < 600; i++) await new Promise(done => setTimeout(done, 50));
await octokit.rest.repos.deleteWebhook({...door, hook_id: hook.id});
server.close();
console.log(JSON.stringify({me, names, closed, number: issue.number, pull, found, lost, heard}));
"""
OCTOKIT_PACKAGES = {"@octokit/rest": "22.0.1", "@octokit/webhooks": "14.2.0"}


@pytest.mark.slow
def test_octokit_works_with_it_and_takes_its_webhooks_for_githubs(github):
    done = node(OCTOKIT, OCTOKIT_PACKAGES, URL=github.url, KEY=TOKEN)

    assert (done["me"], done["names"]) == ("alice", ["alice/garden", "alice/diary", "acme/door"])
    assert (done["closed"], done["found"], done["lost"]) == ("closed", [done["number"], done["pull"]], 404)
    assert done["heard"] == [
        ["ping", None], ["issues", "opened"], ["issue_comment", "created"], ["issues", "closed"],
        ["pull_request", "opened"],
    ]  # fmt: skip
