"""Google: one OAuth client and one connection for Gmail, Calendar, Drive and Sheets.

Facts after https://developers.google.com/identity/protocols/oauth2/web-server and the discovery documents.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from integrations.sdk import (
    Client,
    Defaults,
    Guide,
    Identity,
    MissingScopes,
    OAuth2,
    Provider,
    Reconnect,
    Refused,
    Response,
    Revoke,
    Step,
    TryLater,
    VendorError,
    retry_after,
)

CONSOLE = "https://console.cloud.google.com"
CLIENTS = f"{CONSOLE}/auth/clients"
CONNECTIONS = "https://myaccount.google.com/connections"
USUAL_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=15)

# --- scopes

AUTH = "https://www.googleapis.com/auth/"
GMAIL, CALENDAR, DRIVE, SHEETS = f"{AUTH}gmail", f"{AUTH}calendar", f"{AUTH}drive", f"{AUTH}spreadsheets"

SCOPES = {
    "openid": "Know who you are at Google",
    "email": "See the e-mail address of your account",
    f"{GMAIL}.readonly": "Read your mail and its settings",
    f"{GMAIL}.labels": "See and change your mail labels",
    f"{GMAIL}.send": "Send mail as you",
    f"{GMAIL}.compose": "Write drafts and send mail as you",
    f"{GMAIL}.modify": "Read, sort, write and send your mail",
    f"{CALENDAR}.calendarlist.readonly": "See the list of your calendars",
    f"{CALENDAR}.events.readonly": "See the events of all your calendars",
    f"{CALENDAR}.freebusy": "See when your calendars are free or busy",
    f"{CALENDAR}.events": "See and change the events of all your calendars",
    f"{CALENDAR}.readonly": "See your calendars and all that is in them",
    CALENDAR: "See, change, share and delete your calendars",
    f"{DRIVE}.metadata.readonly": "See names and details of all your Drive files",
    f"{DRIVE}.file": "See and change the Drive files made or opened with Navi",
    f"{DRIVE}.readonly": "See and download all your Drive files",
    DRIVE: "See, change and delete all your Drive files",
    f"{SHEETS}.readonly": "See all your spreadsheets",
    SHEETS: "See, change and delete all your spreadsheets",
}

READS_CALENDARS = tuple(
    f"{CALENDAR}.{name}"
    for name in ("calendarlist.readonly", "events.readonly", "events.owned.readonly", "freebusy")
)
READS_FILES = (f"{DRIVE}.metadata.readonly", f"{SHEETS}.readonly")

# A scope includes another where every method open to the other is open to it, see the discovery documents.
IMPLIES = {
    # Google takes the short name of a scope in the question and tells the long one in the answer.
    f"{AUTH}userinfo.email": ("email",),
    f"{AUTH}userinfo.profile": ("profile",),
    f"{GMAIL}.compose": (f"{GMAIL}.send",),
    f"{GMAIL}.readonly": (f"{GMAIL}.metadata",),
    f"{GMAIL}.modify": tuple(
        f"{GMAIL}.{name}" for name in ("readonly", "metadata", "labels", "compose", "send", "insert")
    ),
    f"{CALENDAR}.events": (f"{CALENDAR}.events.readonly",),
    f"{CALENDAR}.readonly": READS_CALENDARS,
    CALENDAR: (
        f"{CALENDAR}.readonly", f"{CALENDAR}.events", f"{CALENDAR}.events.owned", f"{CALENDAR}.calendarlist",
        *READS_CALENDARS,
    ),
    f"{DRIVE}.readonly": READS_FILES,
    DRIVE: (f"{DRIVE}.readonly", f"{DRIVE}.file", f"{DRIVE}.metadata", SHEETS, *READS_FILES),
    SHEETS: (f"{SHEETS}.readonly",),
}  # fmt: skip

# --- what goes wrong

TOO_MANY = {
    "rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded", "RATE_LIMIT_EXCEEDED",
}  # fmt: skip
TOO_FEW_SCOPES = {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
NOT_SWITCHED_ON = {"accessNotConfigured", "SERVICE_DISABLED"}
AFTER = re.compile(r"retry after (\d{4}-\d\d-\d\dT[\d:]+(?:\.\d+)?Z)", re.IGNORECASE)
ADDRESS = re.compile(r"https://console\.[a-z.]*google\.com/\S+[^\s.,)]")


def trouble(response: Response) -> VendorError | None:
    """What Google's error body says; None leaves server errors to their usual meaning."""
    status = response.status_code
    if status >= 500:
        return None
    if status == 401:
        return Reconnect("Google no longer accepts this connection. Reconnect Google.")
    said = error_of(response)
    reasons, words = reasons_of(said), str(said.get("message", "no reason given"))
    if status == 429 or reasons & TOO_MANY:
        return too_many_calls(response, words)
    if reasons & TOO_FEW_SCOPES:
        return MissingScopes(
            "Google was not asked for this, or the box was not ticked. Reconnect and allow it."
        )
    if reasons & NOT_SWITCHED_ON:
        return not_switched_on(words)
    return Refused(f"Google refused this: {words[:300]}")


def error_of(response: Response) -> dict[str, Any]:
    """Google's error object. The OAuth endpoints have a word there instead, and the sentence beside it."""
    said = response.json()
    if isinstance(said["error"], dict):
        return dict(said["error"])
    return {"message": said.get("error_description") or said["error"]}


def reasons_of(said: dict[str, Any]) -> set[str]:
    """All reasons given: older APIs have them under errors, newer under details, some under both."""
    given = [*(said.get("errors") or ()), *(said.get("details") or ())]
    return {str(item["reason"]) for item in given if item.get("reason")}


def too_many_calls(response: Response, words: str) -> TryLater:
    retry_at = again_at(response, words, datetime.now(UTC))
    return TryLater(
        f"Google asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC.",
        code="rate_limited",
        retry_at=retry_at,
    )


def again_at(response: Response, words: str, now: datetime) -> datetime:
    """Retry-After where Google sends it; Gmail writes the moment into its words; else a minute from now."""
    if asked := retry_after(response.headers, now):
        return asked
    written = AFTER.search(words)
    moment = datetime.fromisoformat(written[1]) if written else now + USUAL_WAIT
    return min(max(moment, now), now + LONGEST_WAIT)


def not_switched_on(words: str) -> Refused:
    found = ADDRESS.search(words)
    where = found[0] if found else f"{CONSOLE}/apis/library"
    return Refused(
        "This Google API is not enabled in the Google Cloud project of Navi's OAuth client. "
        f"Whoever owns the project can enable it at {where}; it works some minutes later."
    )


# --- who


def whoami(google: Client) -> Identity:
    """Works with whatever was ticked: it needs no product's scope, only those always asked for."""
    user = google.get("/oauth2/v3/userinfo").json()
    return Identity(label=user["email"], account_id=user["sub"])


# --- facts

provider = Provider(
    slug="google",
    name="Google",
    description="Gmail, Calendar, Drive and Sheets with one connection.",
    category="Work",
    base_url="https://www.googleapis.com",
    auth=(
        OAuth2(
            label="Google account",
            authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
            token_url="https://oauth2.googleapis.com/token",
            scopes=SCOPES,
            always=("openid", "email"),
            implies=IMPLIES,
            # Without both of these Google gives no refresh token, or only the first time.
            extra={"access_type": "offline", "prompt": "consent"},
            again={"include_granted_scopes": "true"},
            revoke=Revoke("https://oauth2.googleapis.com/revoke", client_auth="none", ends_all=True),
            app_url=CLIENTS,
            app_steps=(
                "In the Google Cloud console, make a project, or choose one.",
                "Under APIs & Services, enable the Gmail, Google Calendar, Google Drive and Google Sheets API: "
                "those you want to use.",
                "Under Google Auth Platform, fill in Branding: a name and two e-mail addresses.",
                "Under Audience, choose Internal in a Workspace. Otherwise choose External and publish the app; "
                "while it is in Testing, only its test users may connect, and every connection ends after 7 days.",
                "Under Data Access, add the scopes you want to allow. For reading mail, and for all of Drive, "
                "Google shows a warning to people until it has verified the app.",
                "Under Clients, create a client of the type Web application and add the redirect address "
                "exactly as shown here.",
                "Copy the client ID and the client secret. Google shows the secret only this once.",
            ),
        ),
    ),
    errors=trouble,
    identity=whoami,
    health_endpoint="/oauth2/v3/userinfo",
    folder=Path(__file__).parent,
    guide=Guide(
        enables="Agents can read your mail, your calendars, your Drive files and your spreadsheets, "
        "as far as you allow each of them.",
        steps=(
            Step("Choose what agents may use, and continue to Google."),
            Step("Sign in with the account that agents are to work with."),
            Step("Tick every box you want to allow. What is left unticked stays closed to agents."),
            Step(
                "You come back here by yourself. At Google you can see the connection, and end it.",
                CONNECTIONS,
            ),
        ),
        trouble={
            "The connection ends every 7 days": (
                "The OAuth app is External and in Testing, where Google ends every grant after 7 days. "
                "Its owner publishes it under Google Auth Platform, Audience; then reconnect."
            ),
            "Error 400: redirect_uri_mismatch": (
                "The address in the OAuth client is not exactly the one that Navi shows. Copy it anew, with https and "
                "without a slash at the end. Google takes no bare IP address except 127.0.0.1."
            ),
            "“… API has not been used in project … before or it is disabled”": (
                "Enable that API in the Google Cloud project of the OAuth client, and wait a few minutes."
            ),
            "Something is said not to be allowed although you connected": (
                "A box was left unticked on Google's page. Reconnect and tick it."
            ),
            "“Access blocked: your institution's admin needs to review” the app": (
                "Your Workspace lets in only apps that its administrator trusts: Admin console, Security, API controls. "
                "Ask for Navi's client ID to be added there."
            ),
            "“Google hasn't verified this app”": (
                "That is usual for an app of your own. Open “Advanced” and go on, if you know who runs this Navi."
            ),
        },
    ),
    # Google's own MCP servers are one for each product, in preview, and need further APIs enabled.
    defaults=Defaults(mcp=False),
    color="blue",
    docs_url="https://developers.google.com/workspace",
    services=("gmail", "sheets", "drive", "calendar"),
    usage_skill="google",
    setup_skill="connect-google",
)  # fmt: skip
