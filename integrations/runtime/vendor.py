"""What a vendor may answer against its own documents, and what that must not do here."""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

from integrations.registry import Entry
from integrations.sdk import Client, TryLater, VendorError
from navi.net import auth

log = logging.getLogger(__name__)
SHORTEST_SECRET = 8
LONGEST_WORDS = 500
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
ODD_SHAPE = (LookupError, TypeError, ValueError, AttributeError)


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Around a plugin's function: an answer of an odd shape is the vendor's failure, not ours.

    Raises TryLater; the trouble is logged for the plugin's author. A VendorError's words become storable.
    """
    try:
        yield
    except VendorError as error:
        error.message = storable(error.message)
        error.args = (error.message,)
        raise
    except ODD_SHAPE as trouble:
        log.warning("The plugin did not understand an answer of %s", name, exc_info=trouble)
        raise TryLater(f"{name} answered in a way that Navi does not understand.", sent=True) from None


def storable(words: str) -> str:
    """A vendor's words as a database takes them: no NUL, no half of a surrogate pair, not without end."""
    if not isinstance(words, str):
        raise TypeError("These are no words.")
    words = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", words)
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"


def without_secrets(found: Any, entry: Entry, client: Client) -> Any:
    """What a vendor said, without the credential it was given: only the token endpoint hands that out."""
    return cleaned(found, secret_forms(entry, client))


def secret_forms(entry: Entry, client: Client) -> list[str]:
    """The credential's secret values as they travel; a user name is no secret."""
    plain = {item.key for kind in entry.provider.auth for item in kind.fields if item.type == "text"}
    sent = auth.headers(client.remote.auth, client.fields).values()
    values = {value for key, value in client.fields.items() if key not in plain}
    values |= {part for value in sent for part in (value, value.rpartition(" ")[2])}
    long = [value for value in values if len(value) >= SHORTEST_SECRET]
    forms = {
        form for value in long for form in (value, quote(value, safe=""), quote_plus(value), base64(value))
    }
    return sorted(forms, key=len, reverse=True)


def base64(value: str) -> str:
    return b64encode(value.encode()).decode("ascii")


def cleaned(found: Any, secrets: list[str]) -> Any:
    if isinstance(found, str):
        for secret in secrets:
            found = found.replace(secret, "[hidden]")
        return found
    if isinstance(found, dict):
        return {cleaned(key, secrets): cleaned(value, secrets) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [cleaned(value, secrets) for value in found]
    return found
