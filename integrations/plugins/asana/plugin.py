"""Asana: sign in and find the workspaces; the proxy does the rest (https://developers.asana.com/reference)."""

from __future__ import annotations

from integrations.sdk import (
    ApiKey,
    Bearer,
    Choice,
    Client,
    Field,
    Guide,
    Identity,
    McpServer,
    OAuth2,
    Plugin,
    Refused,
    Response,
    Revoke,
    Step,
    TypedDict,
    VendorError,
)

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
