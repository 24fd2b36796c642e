"""Todoist's facts: what a sign-in may do, what goes wrong there, and how one connects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from integrations.sdk import (
    ApiKey,
    Bearer,
    Described,
    Field,
    Guide,
    McpServer,
    OAuth2,
    Plugin,
    Reconnect,
    Refused,
    Response,
    Revoke,
    Step,
    TryLater,
    VendorError,
)

TOKEN_PAGE = "https://app.todoist.com/app/settings/integrations/developer"
APP_PAGE = "https://app.todoist.com/app/settings/integrations/app-management"
APP = "https://app.todoist.com/app"
LONGEST_WAIT = 15 * 60.0  # Seconds: Todoist counts requests over 15 minutes.

# --- what a sign-in may do

SCOPES = {"data:read_write": "Read projects and tasks, add and change them"}
MORE_SCOPES = {
    "data:read": "Only read projects and tasks",
    "task:add": "Only add tasks",
    "data:delete": "Delete tasks, labels and filters",
    "project:delete": "Delete projects",
}
SIGN_IN = OAuth2(
    authorize_url="https://app.todoist.com/oauth/authorize",
    token_url="https://api.todoist.com/oauth/access_token",
    scopes={**SCOPES, **MORE_SCOPES},
    separator=",",
    granted_separator=",",
    implies={"data:read_write": ("data:read", "task:add")},
    # Apps from before refresh tokens are told ten years of life; for the others the answer says an hour.
    rotates=True,
    reuse_grace=60,
    reuse_revokes=True,
    revoke=Revoke("https://api.todoist.com/api/v1/revoke", client_auth="basic", ends_all=True),
    app_url=APP_PAGE,
    app_steps=(
        "Open Todoist's App Management Console and choose “Create a new app”; name it Navi.",
        "Under “OAuth redirect URL”, paste the address shown here, exactly as it is.",
        "Copy the Client ID and the Client secret, and paste both here.",
    ),
)

# --- what goes wrong


def trouble(response: Response) -> VendorError | None:
    """What Todoist's error body says; None leaves server errors to their usual meaning."""
    if response.status_code >= 500:
        return None
    said = response.json()
    return meaning(said, response.status_code)


def meaning(said: dict[str, Any], status: int) -> VendorError:
    """What an error body means; a failed command of the Sync endpoint brings one with HTTP 200."""
    extra = said.get("error_extra") or {}
    if status == 401:
        # A 401 may carry Retry-After. Waiting does not help, only another token does.
        words = str(said.get("error", "no reason"))[:200]
        return Reconnect(
            f"Todoist does not accept this API token or sign-in ({words}). Connect Todoist again."
        )
    if status == 429:
        return try_later(extra["retry_after"])
    if status >= 500:
        return TryLater("Todoist has trouble at the moment. Try again later.", sent=True)
    return refusal(said)


def try_later(seconds: float) -> TryLater:
    retry_at = datetime.now(UTC) + timedelta(seconds=min(seconds, LONGEST_WAIT))
    return TryLater(
        f"Todoist asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC.",
        code="rate_limited",
        retry_at=retry_at,
    )


def refusal(said: dict[str, Any]) -> Refused:
    """Todoist's own words, with the argument at fault where it names one."""
    extra = said.get("error_extra") or {}
    details = [str(extra[name]) for name in ("argument", "expected", "explanation") if extra.get(name)]
    words = f"{said['error']} ({': '.join(details)})" if details else str(said["error"])
    return Refused(f"Todoist refused this: {words[:300]}", field=extra.get("argument"))


class Settings(BaseModel):
    """What Navi keeps a copy of."""

    projects: list[str] = Described(
        default_factory=list,
        max_length=200,
        title="Projects",
        description="Keep tasks of these projects only; of all projects where none is chosen",
        json_schema_extra={"discovers": "projects"},
    )


plugin = Plugin(
    slug="todoist",
    name="Todoist",
    description="Projects, tasks and comments: read them, add and change tasks, complete and reopen them.",
    category="Tasks",
    base_url="https://api.todoist.com/api/v1",
    auth=(
        ApiKey(
            label="API key",
            fields=(
                Field(
                    "apiKey",
                    "API token",
                    placeholder="0123456789abcdef0123456789abcdef01234567",
                    help_url=TOKEN_PAGE,
                    # Other shapes than 40 hex digits are let through, but no other vendor's prefix (lin_, xoxb-).
                    pattern=r"(?!ATATT|[A-Za-z][A-Za-z0-9]{1,7}[_.-])\S{16,}",
                    hint="It is usually 40 letters and digits, shown in Todoist under Integrations, Developer.",
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
        enables=(
            "Agents can read your projects and tasks, add tasks, change, complete and reopen them, and comment. "
            "Navi can keep a copy of your tasks up to date."
        ),
        steps=(
            Step("Open Todoist's settings, then Integrations, then the Developer tab.", TOKEN_PAGE),
            Step("Choose “Copy API token”."),
            Step("Paste it here. It gives access to all of your account; Todoist has one for each person."),
        ),
        trouble={
            "The token worked before and is now refused": (
                "“Issue a new API token” in Todoist ends the old one. Copy the new one and reconnect."
            ),
            "There is no Integrations entry": "Open the address above in a browser, signed in to Todoist.",
            "Tasks of a colleague are missing": (
                "A token sees what its owner sees. Share the project with that person first."
            ),
            "A task cannot be deleted": (
                "A sign-in may delete only where “Delete tasks, labels and filters” was ticked. Sign in again "
                "and tick it; a pasted API token may delete anyway."
            ),
            "Changes arrive only every quarter of an hour": (
                "Todoist calls the webhook of an app only for people who signed in by that app. Connect by "
                "signing in, not with an API token, and set the webhook up as its page describes."
            ),
        },
    ),
    color="red",
    docs_url="https://developer.todoist.com/api/v1",
    mcp=McpServer("https://ai.todoist.net/mcp"),
    usage_skill="todoist",
    setup_skill="connect-todoist",
    health_endpoint="/user",
    settings=Settings,
)
