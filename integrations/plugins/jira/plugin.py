"""Jira in Atlassian's cloud: sign in and find the sites; the proxy does the rest.

Documents: https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/
"""

from __future__ import annotations

from typing import Any

from integrations.sdk import (
    Choice,
    Client,
    Event,
    Guide,
    Heard,
    Hmac,
    Identity,
    Incoming,
    Item,
    MissingScopes,
    OAuth2,
    Plugin,
    Reconnect,
    Response,
    Step,
    TypedDict,
    VendorError,
    Webhook,
    given,
)

CONSOLE = "https://developer.atlassian.com/console/myapps/"

# --- what goes wrong


def trouble(response: Response) -> VendorError | None:
    """Atlassian tells a missing scope with 401, as if the token had ended; other answers mean the usual."""
    if response.status_code != 401:
        return None
    words = str(response.json().get("message", ""))
    if "scope" in words.lower():
        return MissingScopes(
            "Jira wants a permission for this that was not given. Reconnect and allow more.", status=401
        )
    return Reconnect("Atlassian no longer accepts this sign-in. Connect Jira again.")


# --- what a sign-in may do

SCOPES = {
    "read:me": "See who you are",
    "read:jira-work": "Read projects, issues and comments",
    "read:jira-user": "See people",
}
MORE_SCOPES = {
    "write:jira-work": "Create and change issues and comments",
    "manage:jira-webhook": "Set up webhooks",
}
SIGN_IN = OAuth2(
    authorize_url="https://auth.atlassian.com/authorize",
    token_url="https://auth.atlassian.com/oauth/token",
    scopes={**SCOPES, **MORE_SCOPES, "offline_access": "Stay connected"},
    # Without offline_access there is no refresh token, and the access token ends within the hour.
    always=("read:me", "offline_access"),
    extra={"audience": "api.atlassian.com", "prompt": "consent"},
    pkce="",
    rotates=True,
    reuse_grace=600,
    app_url=CONSOLE,
    app_steps=(
        "In Atlassian's developer console, choose Create, “OAuth 2.0 integration”; name it Navi.",
        "Under Permissions, add the Jira API and the User identity API, and configure the scopes that Navi is "
        "to ask for.",
        "Under Authorization, add OAuth 2.0 (3LO) with the address shown here as the callback URL.",
        "Under Distribution, turn sharing on if others than you connect here.",
        "Under Settings, copy the Client ID and the Secret, and paste both here.",
    ),
)

plugin = Plugin(
    slug="jira",
    name="Jira",
    description="Jira Cloud: its whole API through the proxy, as the person who signed in.",
    category="Work",
    base_url="https://api.atlassian.com",
    auth=SIGN_IN,
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    headers={"Accept": "application/json"},
    errors=trouble,
    guide=Guide(
        enables="Agents can use Jira's API through Navi's proxy, in your name, on the sites you choose.",
        steps=(
            Step("An admin of Navi registers it once as an app in Atlassian's developer console.", CONSOLE),
            Step("Then choose Connect, sign in to Atlassian, pick the site, and accept."),
            Step("Agents call /ex/jira/<site id>/rest/api/3/…; list_sites tells the site's id."),
        ),
        trouble={
            "The site is not offered": "You need an account on that site, and its admin may block apps.",
            "Atlassian says that the app is not shared": (
                "In the developer console, under Distribution, turn sharing on."
            ),
            "Everything is empty though there are issues": (
                "Jira shows only projects that you may browse; ask for access there."
            ),
        },
    ),
    color="blue",
    docs_url="https://developer.atlassian.com/cloud/jira/platform/rest/v3/",
    health_endpoint="/me",
)


class Site(TypedDict):
    """`path` is where the site's REST API begins, for the proxy."""

    id: str
    name: str
    url: str
    path: str
    scopes: list[str]


class Sites(TypedDict):
    sites: list[Site]


def seen_site(found: dict[str, Any]) -> Site:
    return {
        "id": found["id"],
        "name": found["name"],
        "url": found["url"],
        "path": f"/ex/jira/{found['id']}/rest/api/3",
        "scopes": found.get("scopes") or [],
    }


@plugin.health
def whoami(jira: Client) -> Identity:
    me = jira.get("/me").json()
    sites = list_sites(jira)["sites"]
    return Identity(
        label=me.get("email") or me["name"],
        account_id=me["account_id"],
        workspace=", ".join(site["name"] for site in sites),
    )


@plugin.discovers("sites")
def sites(jira: Client) -> list[Choice]:
    return [Choice(id=site["id"], label=site["name"]) for site in list_sites(jira)["sites"]]


@plugin.action(try_with={})
def list_sites(jira: Client) -> Sites:
    """List the Jira sites that the sign-in opens, each with its id and the path of its REST API.

    Use `path` with the proxy: GET /api/proxy/jira followed by it and, for example, /search/jql or /issue/ENG-1.
    """
    # One entry for each site and product: a site with Confluence beside Jira is listed twice.
    found = jira.get("/oauth/token/accessible-resources").json()
    by_id = {site["id"]: site for site in found if is_jira(site)}
    return {"sites": [seen_site(site) for site in by_id.values()]}


def is_jira(site: dict[str, Any]) -> bool:
    scopes = site.get("scopes") or []
    return not scopes or any("jira" in scope for scope in scopes)


# --- what Jira tells by itself: https://developer.atlassian.com/cloud/jira/platform/webhooks/


def part(incoming: Incoming, *names: str) -> str | None:
    return incoming.said(*names) or None


hook = plugin.receives(
    Webhook(
        proof=Hmac(header="X-Hub-Signature", prefix="sha256="),
        delivery_id=lambda incoming: incoming.headers.get("X-Atlassian-Webhook-Identifier", ""),
        event_type=lambda incoming: incoming.said("webhookEvent"),
        kinds={"events": "Events"},
        steps=(
            Step("In Jira, as an admin: Settings, System, WebHooks, “Create a WebHook”."),
            Step("Paste the address shown here as URL and the secret as Secret."),
            Step("Choose the events, such as issue created, updated and commented, and save."),
        ),
    )
)


@hook.hears
def hear(event: Event) -> Heard:
    """Keep what happened."""
    said = event.incoming
    told = {
        "type": event.type,
        "issue": part(said, "issue", "key"),
        "title": part(said, "issue", "fields", "summary"),
        "state": part(said, "issue", "fields", "status", "name"),
        "comment": part(said, "comment", "id"),
        "by": part(said, "user", "accountId"),
        "at": part(said, "timestamp"),  # milliseconds since the epoch
    }
    words = f"{event.type} {told['issue'] or ''}".strip()
    return Heard(summary=words, records={"events": [Item(event.id, given(told))]})
