"""What a vendor's status means for the caller."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, quote_plus

from navi.net import auth
from navi.net.answer import Response
from navi.net.errors import Reconnect, Refused, TryLater, VendorError
from navi.net.limits import PAUSE_SECONDS
from navi.net.remote import Remote
from navi.net.retry import retry_after

LONGEST_QUOTE = 300
SHORTEST_SECRET = 4
# Where vendors put their words, the most telling first.
WORDS = ("message", "error_description", "detail", "error", "errors", "error_message", "title", "description")


class Secrets:
    """The credential's values in every form they travel in, to be taken out of what vendors say."""

    def __init__(self, scheme: auth.Scheme, fields: Mapping[str, str]) -> None:
        self.scheme = scheme
        self.fields = fields

    def redact(self, text: str) -> str:
        """The text with every value of the credential replaced."""
        for value in sorted(set(self.forms()), key=len, reverse=True):
            text = text.replace(value, "[hidden]")
        return text

    def forms(self) -> Iterator[str]:
        sent = auth.headers(self.scheme, self.fields).values()
        tails = (value.rpartition(" ")[2] for value in sent)
        for value in (*self.fields.values(), *sent, *tails):
            if len(value) >= SHORTEST_SECRET:
                yield from (value, quote(value, safe=""), quote_plus(value))
                yield b64encode(value.encode()).decode()

    def __repr__(self) -> str:
        return "<Secrets>"


def meaning_of(response: Response, remote: Remote, secrets: Secrets) -> VendorError | None:
    """What an answer means: the remote's own reading, else the usual one; None for an answer without trouble."""
    is_refusal = response.status_code >= 400
    error = own_reading(response, remote) if is_refusal or remote.errors_in_200 else None
    if error is None and is_refusal:
        error = usual_reading(response, remote, secrets)
    if error is None:
        return None
    error.message = secrets.redact(error.message)
    error.args = (error.message,)
    return error


def own_reading(response: Response, remote: Remote) -> VendorError | None:
    """What the remote's `errors` says; an answer of a shape it does not know has the usual meaning."""
    if remote.errors is None:
        return None
    try:
        error = remote.errors(response)
    except (TryLater, LookupError, TypeError, AttributeError, ValueError):
        return None
    if error is not None and error.status is None:
        error.status = response.status_code
    return error


def usual_reading(response: Response, remote: Remote, secrets: Secrets) -> VendorError:
    name, status = remote.title, response.status_code
    if status == 401:
        return Reconnect(f"{name} no longer accepts this credential. Connect {name} again.", status=status)
    if status == 429:
        return rate_limited(response, name)
    if status >= 500:
        return out_of_order(response, name)
    words = shortened(secrets.redact(vendors_words(response)))
    said = f": {words}" if words else f" (status {status})."
    return Refused(f"{name} refused this request{said}", status=status)


def out_of_order(response: Response, name: str) -> TryLater:
    return TryLater(
        f"{name} has trouble at the moment. Try again later.",
        status=response.status_code,
        retry_at=retry_after(response.headers, datetime.now(UTC)),
        sent=True,
    )


def rate_limited(response: Response, name: str) -> TryLater:
    now = datetime.now(UTC)
    retry_at = retry_after(response.headers, now) or now + timedelta(seconds=PAUSE_SECONDS)
    return TryLater(
        f"{name} asked for fewer calls. Try again after {retry_at:%H:%M:%S} UTC.",
        status=429,
        code="rate_limited",
        retry_at=retry_at,
    )


def vendors_words(response: Response) -> str:
    """A short plain sentence out of an error answer; empty where there is none. Pages are never quoted."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        words = next(words_in(json_or_none(response)), "")
    elif kind == "text/plain":
        words = response.text if len(response.content) <= LONGEST_QUOTE else ""
    else:
        words = ""
    return "" if "<" in words else words


def json_or_none(response: Response) -> Any:
    try:
        return response.json()
    except TryLater:
        return None


def words_in(value: Any) -> Iterator[str]:
    """The sentences of an error object, looked for where vendors put them."""
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, dict):
        yield from (words for key in WORDS for words in words_in(value.get(key)))
    elif isinstance(value, list):
        yield from all_words(value[:3])


def all_words(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from words_in(value)


def shortened(words: str) -> str:
    words = re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", words).strip()
    return words if len(words) <= LONGEST_QUOTE else words[: LONGEST_QUOTE - 1] + "…"
