"""What GitHub is: signing in, what its refusals mean, what a person is told (https://docs.github.com/rest)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from integrations.sdk import (
    ApiKey,
    Bearer,
    Cli,
    Described,
    Field,
    Guide,
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
)

TOKENS_PAGE = "https://github.com/settings/personal-access-tokens/new"
APP_PAGE = "https://github.com/settings/applications/new"
VERSION = "2022-11-28"
LONGEST_WAIT = timedelta(hours=1)  # GitHub counts requests over an hour.
USUAL_WAIT = timedelta(minutes=1)  # What GitHub asks for where it names no time.

# --- what goes wrong

SSO = re.compile(r"required; url=(https://github\.com/\S+)")


def trouble(response: Response) -> VendorError | None:
    """What a refusal of GitHub's means; None leaves server errors to their usual meaning."""
    status, headers = response.status_code, response.headers
    if status >= 500:
        return None
    said = response.json()
    words = str(said["message"])[:300]
    if status == 401:
        return Reconnect(f"GitHub no longer accepts this token ({words}). Connect GitHub again.")
    if retry_at := free_again_at(response, words, datetime.now(UTC)):
        return TryLater(
            f"GitHub asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC.",
            code="rate_limited",
            retry_at=retry_at,
        )
    if found := SSO.search(headers.get("X-GitHub-SSO", "")):
        return Refused(
            f"The organisation wants this token to be authorised for its single sign-on. Open {found[1]}"
        )
    if status == 403:
        return forbidden(response, words)
    if status == 404:
        # So that nobody learns what private repositories there are.
        return Refused("GitHub finds nothing there, or this account may not see it; private needs “repo”.")
    return Refused(f"GitHub refused this: {words}{details(said)}", field=field_at_fault(said))


def free_again_at(response: Response, words: str, now: datetime) -> datetime | None:
    """When the limit is over; None where this is no limit. GitHub tells limits with 403 and with 429."""
    headers = response.headers
    if response.status_code not in {403, 429}:
        return None
    asked, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if asked.isdecimal():
        return now + min(timedelta(seconds=int(asked[:6])), LONGEST_WAIT)
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdecimal():
        moment = datetime.fromtimestamp(int(reset[:10]), UTC)
        return min(max(moment, now), now + LONGEST_WAIT)
    is_limit = response.status_code == 429 or "rate limit" in words.lower()
    return now + USUAL_WAIT if is_limit else None


def forbidden(response: Response, words: str) -> VendorError:
    """Scopes lack only where the token has some: fine-grained tokens and apps are told permissions instead."""
    headers = response.headers
    held, accepted = listed(headers.get("X-OAuth-Scopes")), listed(headers.get("X-Accepted-OAuth-Scopes"))
    if accepted and "X-OAuth-Scopes" in headers and not SIGN_IN.covered(held) & set(accepted):
        # Any one of them would do; SIGN_IN names the least first.
        scope = next(scope for scope in (*SIGN_IN.scopes, *accepted) if scope in accepted)
        return MissingScopes(
            f"GitHub wants the permission {scope} for this. Reconnect and allow it.", scopes=(scope,)
        )
    needed = headers.get("X-Accepted-GitHub-Permissions", "")[:200]
    lacks = f" The token needs: {needed}." if needed else ""
    return Refused(f"GitHub refused this: {words}.{lacks}")


def listed(header: str | None) -> list[str]:
    return [scope.strip() for scope in (header or "").split(",") if scope.strip()]


def details(said: dict[str, Any]) -> str:
    errors = [error for error in said.get("errors") or [] if isinstance(error, dict)]
    told = [str(error.get("message") or f"{error['field']} {error['code']}") for error in errors[:3]]
    return f" ({'; '.join(told)[:200]})" if told else ""


def field_at_fault(said: dict[str, Any]) -> str | None:
    errors = said.get("errors") or []
    return next((error.get("field") for error in errors if isinstance(error, dict)), None)


# --- what a sign-in may do

SCOPES = {"public_repo": "Read and change public repositories, their issues and pull requests"}
MORE_SCOPES = {
    "repo": "Read and change private repositories, too",
    "read:org": "See organisations and teams",
    "read:user": "See the profile",
    "user:email": "See e-mail addresses",
    "notifications": "Read notifications",
    "workflow": "Change workflow files",
    "admin:repo_hook": "Set up webhooks of repositories, and remove them",
}
SIGN_IN = OAuth2(
    authorize_url="https://github.com/login/oauth/authorize",
    # Answers 200 with an "error" where it refuses, and a form where JSON is not asked for.
    token_url="https://github.com/login/oauth/access_token",
    token_headers={"Accept": "application/json"},
    scopes={**SCOPES, **MORE_SCOPES},
    granted_separator=",",
    implies={
        "repo": (
            "public_repo",
            "repo:status",
            "repo_deployment",
            "repo:invite",
            "security_events",
            "admin:repo_hook",
            "write:repo_hook",
            "read:repo_hook",
        ),
        "user": ("read:user", "user:email"),
        "admin:org": ("write:org", "read:org"),
        "write:org": ("read:org",),
        "admin:repo_hook": ("write:repo_hook", "read:repo_hook"),
        "write:repo_hook": ("read:repo_hook",),
    },
    revoke=Revoke(
        "https://api.github.com/applications/{client_id}/token",
        method="DELETE",
        body="json",
        client_auth="basic",
        token="access_token",
        token_name="access_token",
        headers={"Accept": "application/vnd.github+json"},
    ),
    device_url="https://github.com/login/device/code",
    app_url=APP_PAGE,
    app_steps=(
        "Open GitHub's form for a new OAuth app; for an organisation, its settings have the same form.",
        "As “Authorization callback URL”, paste the address shown here; the homepage may be any address.",
        "Tick “Enable Device Flow”: people can then sign in even where Navi has no public address.",
        "Copy the Client ID, choose “Generate a new client secret”, and paste both here.",
    ),
)

# --- what is chosen


class Settings(BaseModel):
    """What Navi keeps a copy of."""

    repositories: list[str] = Described(
        default_factory=list,
        title="Repositories",
        description="Their issues and pull requests are kept up to date in Navi.",
        json_schema_extra={"discovers": "repositories"},
    )


plugin = Plugin(
    slug="github",
    name="GitHub",
    description="Repositories, issues and pull requests: find and read them, open, change and discuss them.",
    category="Development",
    base_url="https://api.github.com",
    auth=(
        Cli(command="gh", auth_command="gh auth login", check_command="gh auth status", label="GitHub CLI"),
        ApiKey(
            label="Access token",
            fields=(
                Field(
                    "token",
                    "Access token",
                    placeholder="github_pat_…",
                    help_url=TOKENS_PAGE,
                    pattern=r"(github_pat|ghp|gho|ghu|ghs)_[A-Za-z0-9_]{20,255}",
                    hint="It starts with github_pat_ or ghp_. GitHub shows it only once, when it is made.",
                ),
            ),
            sent_as=Bearer("token"),
        ),
        SIGN_IN,
    ),
    scopes=SCOPES,
    more_scopes=MORE_SCOPES,
    settings=Settings,
    # GitHub refuses requests without a User-Agent.
    headers={
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": VERSION,
        "User-Agent": "Navi",
    },
    errors=trouble,
    guide=Guide(
        enables=(
            "Agents can read repositories, issues and pull requests, and open, change and discuss them in "
            "your name."
        ),
        steps=(
            Step("With the GitHub CLI: run gh auth login on the machine your agent runs on. That is all."),
            Step("With a token: open GitHub's form for a fine-grained token.", TOKENS_PAGE),
            Step("Choose the owner and the repositories; an organisation may have to approve the token."),
            Step(
                "Under permissions, give Issues and Pull requests “Read and write” and Contents “Read-only”; "
                "Metadata comes by itself."
            ),
            Step("Only if GitHub is to call Navi: give Webhooks “Read and write”, too."),
            Step("Generate the token, copy it at once, and paste it here. It ends on the day you chose."),
        ),
        trouble={
            "A repository is missing": (
                "A fine-grained token sees only the repositories chosen for it, and only of one owner."
            ),
            "The organisation wants single sign-on": (
                "On GitHub's page of tokens, choose “Configure SSO” beside the token, and authorise it there."
            ),
            "A webhook cannot be set up": (
                "Only who may administer the repository can. The token needs Webhooks “Read and write”, a "
                "classic one or a sign-in admin:repo_hook; and GitHub has to reach Navi from the internet."
            ),
            "It worked until yesterday": (
                "Tokens end on their day, often after 30 days. Make a new one and reconnect."
            ),
        },
    ),
    color="ink",
    docs_url="https://docs.github.com/rest",
    mcp=McpServer("https://api.githubcopilot.com/mcp/"),
    usage_skill="github",
    health_endpoint="/user",
)
