"""Linear's facts: what goes wrong there, what a sign-in may do, and how one connects."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from integrations.sdk import (
    ApiKey,
    Client,
    Described,
    Field,
    Guide,
    Header,
    McpServer,
    MissingScopes,
    OAuth2,
    Plugin,
    Reconnect,
    Refused,
    Response,
    Revoke,
    Step,
    TryLater,
    VendorError,
    given,
)

KEY_PAGE = "https://linear.app/settings/account/security"
APP_PAGE = "https://linear.app/settings/api/applications/new"
LONGEST_WAIT = timedelta(hours=1)  # Linear counts requests over an hour.
USUAL_WAIT = timedelta(minutes=1)

# --- what goes wrong

PASSING = {"internal error", "lock timeout", "network error", "bootstrap error"}
TAKEN = re.compile("conflict on insert|already exists", re.IGNORECASE)


class AlreadyThere(Refused):
    """Linear has something with the id that we gave it: an earlier try of the same call arrived."""


def trouble(response: Response) -> VendorError | None:
    """What Linear's `errors` say; they come with HTTP 200, 400 and 401. None where there are none."""
    if response.status_code >= 500:
        return None
    answer = response.json()
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return meaning(errors[0], response) if errors else None


def meaning(error: dict[str, Any], response: Response) -> VendorError:
    facts = error.get("extensions") or {}
    code, kind = facts.get("code"), str(facts.get("type", "")).lower()
    words = str(facts.get("userPresentableMessage") or error["message"])[:300]
    if code == "AUTHENTICATION_ERROR" or kind == "authentication error":
        return Reconnect(f"Linear does not accept this API key or sign-in ({words}) Connect Linear again.")
    if code == "RATELIMITED" or kind == "ratelimited":
        return too_many_calls(response)
    if code == "FORBIDDEN" or kind == "forbidden":
        return forbidden(words, error["message"])
    if kind in PASSING or code == "INTERNAL_SERVER_ERROR":
        return TryLater(f"Linear has trouble at the moment: {words}", sent=True)
    if TAKEN.search(f"{error['message']} {words}"):
        return AlreadyThere(f"Linear refused this: {words}")
    return Refused(f"Linear refused this: {words}")


def forbidden(words: str, message: str) -> VendorError:
    """A key may be limited to reading, to creating issues or comments, and to teams."""
    scopes = tuple(re.findall(r"`([\w:]+)` required", message))
    if not scopes:
        return Refused(f"Linear refused this: {words}")
    may_not = f"This Linear account was not given the permission {', '.join(scopes)}."
    return MissingScopes(f"{may_not} Connect one that has it.", scopes=scopes)


def too_many_calls(response: Response) -> TryLater:
    retry_at = full_again_at(response, datetime.now(UTC))
    words = f"Linear asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC."
    return TryLater(words, code="rate_limited", retry_at=retry_at)


def full_again_at(response: Response, now: datetime) -> datetime:
    """Retry-After where Linear sends it, else when the last used-up budget is full again."""
    headers = response.headers
    asked = headers.get("Retry-After", "")
    if asked.isdecimal():
        return now + min(timedelta(seconds=int(asked[:6])), LONGEST_WAIT)
    names = [re.fullmatch(r"(x-ratelimit-.*)-remaining", name) for name in headers if headers[name] == "0"]
    resets = [headers.get(f"{name[1]}-reset", "") for name in names if name]
    # Linear counts resets in epoch milliseconds.
    moments = [datetime.fromtimestamp(int(reset[:13]) / 1000, UTC) for reset in resets if reset.isdecimal()]
    return min(max([now, *moments]) if moments else now + USUAL_WAIT, now + LONGEST_WAIT)


# --- what a sign-in may do

SCOPES = {
    "read": "Read teams, issues and comments",
    "issues:create": "Create issues",
    "comments:create": "Create comments",
}
MORE_SCOPES = {
    "write": "Change issues, comments and projects",
    "timeSchedule:write": "Create and change time schedules",
    "admin": "Create and delete webhooks; only an admin of the workspace can grant it",
}
SIGN_IN = OAuth2(
    authorize_url="https://linear.app/oauth/authorize",
    token_url="https://api.linear.app/oauth/token",
    scopes={**SCOPES, **MORE_SCOPES},
    always=("read",),
    # Commas in the question, spaces in the answer.
    separator=",",
    granted_separator=" ",
    implies={
        "admin": ("read", "write", "issues:create", "comments:create"),
        "write": ("read", "issues:create", "comments:create"),
        "issues:create": ("read",),
        "comments:create": ("read",),
    },
    extra={"prompt": "consent"},  # Without it nobody can choose another workspace.
    rotates=True,
    reuse_grace=1800,
    revoke=Revoke("https://api.linear.app/oauth/revoke"),
    app_url=APP_PAGE,
    app_steps=(
        "As an admin of the workspace, create an application in Linear's API settings; name it Navi.",
        "Under “Callback URLs”, paste the address shown here, exactly as it is.",
        "Turn “Public” on only if people of other Linear workspaces connect here, too.",
        "Copy the Client ID and the Client secret, and paste both here.",
    ),
)


class Settings(BaseModel):
    """What Navi keeps a copy of."""

    teams: list[str] = Described(
        default_factory=list,
        max_length=100,
        title="Teams",
        description="Keep issues of these teams only; of all teams that the account sees where none is chosen",
        json_schema_extra={"discovers": "teams"},
    )


plugin = Plugin(
    slug="linear",
    name="Linear",
    description="Teams, projects and issues: search and read them, create and change issues, comment.",
    category="Work",
    base_url="https://api.linear.app",
    auth=(
        ApiKey(
            label="API key",
            fields=(
                Field(
                    "apiKey",
                    "API key",
                    placeholder="lin_api_…",
                    help_url=KEY_PAGE,
                    # The prefix is seen everywhere but documented nowhere, so plain letters and digits pass as
                    # well; forty hex digits are a Todoist token.
                    pattern=r"lin_api_\S+|(?![0-9a-f]{40}$)[A-Za-z0-9]{16,}",
                    hint="It starts with lin_api_. Linear shows it only once, when it is made.",
                ),
            ),
            # Bare: with "Bearer " Linear takes the key for an OAuth token and refuses it.
            sent_as=Header("Authorization", "apiKey"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    errors=trouble,
    guide=Guide(
        enables=(
            "Agents can search and read issues, create and change them and comment, in your name. Navi can "
            "keep a copy of the issues of chosen teams up to date."
        ),
        steps=(
            Step("Open Linear's settings, then Account, then Security & access.", KEY_PAGE),
            Step("Under “Personal API keys”, choose “New API key” and name it Navi."),
            Step(
                "Choose what it may do: Read is enough for reading; add “Create issues” and “Create "
                "comments”, or Write, which changing issues takes. You can limit it to some teams."
            ),
            Step("Copy the key at once, Linear shows it only this time, and paste it here."),
        ),
        trouble={
            "There is no “New API key”": (
                "An admin of the workspace can switch personal API keys off for members. Ask for them."
            ),
            "A team or its issues are missing": (
                "The key is limited to some teams, or the team is private and you are no member of it."
            ),
            "Reading works, creating does not": (
                "The key lacks “Create issues” or “Create comments”. Make one that has them, and reconnect."
            ),
            "A webhook cannot be created": (
                "Only an admin of the workspace can create one: connect an admin's API key with Admin access, "
                "or tick “Create and delete webhooks” when signing in."
            ),
        },
    ),
    color="indigo",
    docs_url="https://linear.app/developers/graphql",
    mcp=McpServer("https://mcp.linear.app/mcp"),
    usage_skill="linear",
    setup_skill="connect-linear",
    health_endpoint="/graphql",
    settings=Settings,
)


def ask(linear: Client, document: str, **variables: Any) -> dict[str, Any]:
    """Run one GraphQL document and return its data.

    Always safe to repeat: questions change nothing, and what is created carries an id that we choose.
    """
    asked = {"query": document, "variables": given(variables)}
    response = linear.post("/graphql", json=asked, idempotent=True)
    # Once a query has begun to run, its errors come with HTTP 200.
    if error := trouble(response):
        error.status, error.message = response.status_code, linear.secrets.redact(error.message)
        raise error
    answer = response.json()
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise TryLater("Linear answered with something Navi cannot read. Try again later.", sent=True)
    data: dict[str, Any] = answer["data"]
    return data


def cursor_after(page: dict[str, Any]) -> str | None:
    place = page["pageInfo"]
    return place["endCursor"] if place["hasNextPage"] else None


def version_4(key: str) -> str:
    """The same UUID for the same key, marked as version 4: Linear takes no other for its ids."""
    return str(uuid.UUID(bytes=uuid.UUID(key).bytes, version=4))
