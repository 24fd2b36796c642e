"""Asana: workspaces, projects and what happens there; the proxy does the rest (https://developers.asana.com)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from integrations.sdk import (
    ApiKey,
    Bearer,
    Choice,
    Client,
    Described,
    Event,
    Field,
    Guide,
    Heard,
    Hmac,
    Identity,
    Incoming,
    Item,
    McpServer,
    OAuth2,
    Plugin,
    Refused,
    Registered,
    Response,
    Revoke,
    Step,
    Subscription,
    TypedDict,
    VendorError,
    Webhook,
    given,
)
from integrations.sdk.handshakes import echoed_secret

APPS_PAGE = "https://app.asana.com/0/my-apps"

# --- what goes wrong


def trouble(response: Response) -> VendorError | None:
    """Asana asks for money with 402; all else means the usual."""
    if response.status_code != 402:
        return None
    return Refused("Asana offers this only to paying workspaces.")


# --- what a sign-in may do

SCOPES = {
    "users:read": "See who you are, and people",
    "projects:read": "Read projects",
    "tasks:read": "Read tasks",
}
MORE_SCOPES = {
    "tasks:write": "Create and change tasks",
    "webhooks:write": "Set up webhooks",
}
SIGN_IN = OAuth2(
    authorize_url="https://app.asana.com/-/oauth_authorize",
    token_url="https://app.asana.com/-/oauth_token",
    scopes={**SCOPES, **MORE_SCOPES},
    always=("users:read",),
    # Only refresh tokens are taken; what was made from one ends with it.
    revoke=Revoke("https://app.asana.com/-/oauth_revoke", ends_all=True),
    app_url=APPS_PAGE,
    app_steps=(
        "In Asana's developer console, choose “Create new app”; name it Navi.",
        "Under OAuth, paste the address shown here as a redirect URL, exactly as it is.",
        "Under “Permission scopes”, tick the scopes that Navi is to ask for.",
        "Under “Manage distribution”, choose the workspaces whose people connect here.",
        "Copy the Client ID and the Client secret, and paste both here.",
    ),
)

plugin = Plugin(
    slug="asana",
    name="Asana",
    description="Asana: its whole API through the proxy, with your token or as the person who signed in.",
    category="Work",
    base_url="https://app.asana.com/api/1.0",
    auth=(
        ApiKey(
            label="Access token",
            fields=(
                Field(
                    "apiKey",
                    "Personal access token",
                    placeholder="2/1200000000000001/1200000000000002:0123456789abcdef",
                    help_url=APPS_PAGE,
                    pattern=r"[0-9]/[0-9]+(/[0-9]+)?:[0-9a-zA-Z]{16,}",
                    hint="It starts with a digit and a slash. Asana shows it only once, when it is made.",
                ),
            ),
            sent_as=Bearer("apiKey"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    headers={"Accept": "application/json"},
    errors=trouble,
    guide=Guide(
        enables="Agents can use Asana's API through Navi's proxy, in your name.",
        steps=(
            Step("Open Asana's developer console.", APPS_PAGE),
            Step("Under “Personal access tokens”, choose “Create new token” and name it Navi."),
            Step("Copy the token at once, Asana shows it only this time, and paste it here."),
        ),
        trouble={
            "There is no “Create new token”": (
                "An admin of the organisation can switch tokens off. Ask for them, or sign in with OAuth."
            ),
            "A project is missing": "A token sees what its owner sees. Share the project with that person.",
        },
    ),
    color="pink",
    docs_url="https://developers.asana.com/reference",
    mcp=McpServer("https://mcp.asana.com/v2/mcp"),
    health_endpoint="/users/me",
)


class Workspace(TypedDict):
    id: str
    name: str


class Workspaces(TypedDict):
    workspaces: list[Workspace]


class Project(TypedDict):
    id: str
    name: str


class Projects(TypedDict):
    projects: list[Project]
    next_cursor: str | None


@plugin.health
def whoami(asana: Client) -> Identity:
    me = asana.get("/users/me").json()["data"]
    names = [workspace["name"] for workspace in me.get("workspaces") or []]
    return Identity(label=me.get("email") or me["name"], account_id=me["gid"], workspace=", ".join(names))


@plugin.discovers("workspaces")
def workspaces(asana: Client) -> list[Choice]:
    found = list_workspaces(asana)["workspaces"]
    return [Choice(id=workspace["id"], label=workspace["name"]) for workspace in found]


@plugin.action(scopes=("users:read",), try_with={})
def list_workspaces(asana: Client) -> Workspaces:
    """List the workspaces and organisations that the account belongs to, with their ids.

    Calls through the proxy often want one, as in GET /api/proxy/asana/projects?workspace=<id>.
    """
    # Asked for by this way, because it needs no scope besides the one for who we are.
    me = asana.get("/users/me", params={"opt_fields": "workspaces.name"}).json()["data"]
    found: list[Workspace] = [{"id": one["gid"], "name": one["name"]} for one in me["workspaces"]]
    return {"workspaces": found}


@plugin.discovers("projects")
def projects(asana: Client) -> list[Choice]:
    """Those of all workspaces, the first hundred of each."""
    found = [
        (one, project)
        for one in list_workspaces(asana)["workspaces"]
        for project in first_of(asana, one["id"])
    ]
    return [Choice(id=project["id"], label=f"{project['name']} ({one['name']})") for one, project in found]


def first_of(asana: Client, workspace: str) -> list[Project]:
    found: list[Project] = list_projects(asana, workspace, limit=100)["projects"]
    return found


@plugin.action(scopes=("projects:read",))
def list_projects(
    asana: Client,
    workspace: Annotated[
        str, Described(description="The workspace's id, from list_workspaces", pattern=r"^[0-9]+$")
    ],
    cursor: Annotated[
        str | None, Described(description="next_cursor of the page before; leave it out for the first")
    ] = None,
    limit: Annotated[int, Described(ge=1, le=100, description="How many to return at most, 1 to 100")] = 50,
) -> Projects:
    """List the projects of a workspace that are not archived, with their ids; `next_cursor` is null at the end."""
    asked = {
        "workspace": workspace,
        "archived": False,
        "limit": limit,
        "offset": cursor,
        "opt_fields": "name",
    }
    page = asana.get("/projects", params=asked).json()
    found: list[Project] = [{"id": one["gid"], "name": one["name"]} for one in page["data"]]
    return {"projects": found, "next_cursor": (page.get("next_page") or {}).get("offset")}


# --- what Asana tells by itself: https://developers.asana.com/docs/webhooks-guide


def events_in(incoming: Incoming) -> list[dict[str, Any]]:
    data = incoming.data
    events = data.get("events") if isinstance(data, dict) else None
    return [one for one in events if isinstance(one, dict)] if isinstance(events, list) else []


def type_of(event: Mapping[str, Any]) -> str:
    resource = event.get("resource")
    kind = resource.get("resource_type") if isinstance(resource, dict) else None
    return ".".join(part for part in (kind, event.get("action")) if isinstance(part, str))


hook = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Hook-Signature"),
        secret_from="vendor",
        # One call may bring several events, and has no id.
        delivery_id=lambda incoming: "",
        event_type=lambda incoming: next((type_of(one) for one in events_in(incoming)), "heartbeat"),
        kinds={"events": "Events"},
        resource="projects",
        scopes=("webhooks:write",),
        steps=(
            Step(
                "Choose a project. Navi tells Asana where to call; Asana has to reach Navi from the internet."
            ),
        ),
    )
)
hook.greets(echoed_secret("X-Hook-Secret"))


@hook.hears
def hear(event: Event) -> Heard:
    """Keep what happened; an empty call is a sign of life."""
    found = events_in(event.incoming)
    items = [Item(f"{event.id}/{number}", told(one)) for number, one in enumerate(found)]
    words = f"{event.type}, {len(items)} in all" if items else "Asana's sign of life"
    return Heard(summary=words, records={"events": items}, is_ignored=not items)


def told(event: Mapping[str, Any]) -> dict[str, Any]:
    resource, user, parent = (event.get(name) for name in ("resource", "user", "parent"))
    facts = {
        "type": type_of(event),
        "at": event.get("created_at"),
        "id": resource.get("gid") if isinstance(resource, dict) else None,
        "by": user.get("gid") if isinstance(user, dict) else None,
        "parent": parent.get("gid") if isinstance(parent, dict) else None,
    }
    return given(facts)


@hook.registers
def register(asana: Client, wanted: Subscription) -> Registered:
    """Asana's handshake comes to the address while this call is under way."""
    body = {"data": {"resource": wanted.resource, "target": wanted.url}}
    return Registered({"id": asana.post("/webhooks", json=body).json()["data"]["gid"]})


@hook.unregisters
def unregister(asana: Client, facts: Mapping[str, Any]) -> None:
    try:
        asana.delete(f"/webhooks/{facts['id']}")
    except Refused as refusal:
        if refusal.status != 404:
            raise
