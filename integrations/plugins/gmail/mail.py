"""Messages as Gmail tells them, and as it takes them: parts, headers, RFC 5322."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses, parseaddr
from typing import Any

from integrations.sdk import Refused

SHOWN = ("from", "to", "cc", "subject", "date", "message-id", "reply-to")
# Gmail takes up to 25 MB with everything; base64 makes a third more of what is attached.
MOST_ATTACHED = 18 * 1024 * 1024
CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
# The standard library decodes these (RFC 2047) in whatever becomes a header, and writes line breaks that were
# in them as they are: =?utf-8?q?a=0d=0aBcc:_b=40c.org?= is a header of its own.
ENCODED = re.compile(r"=\?.*\?=", re.DOTALL)
MESSAGE_ID = re.compile(r"<[!-;=?-~]+>")
SUBTYPES = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)

# --- reading


def headers_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """The headers people look at, in lower case; "" where there is none."""
    found = {header["name"].lower(): header["value"] for header in payload.get("headers") or []}
    return dict.fromkeys(SHOWN, "") | found


def moment(milliseconds: str) -> str:
    """When Gmail took the message in; the Date header is the sender's claim."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat(timespec="seconds")


def parts_of(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The payload and all parts below it, in their order."""
    yield payload
    for part in payload.get("parts") or []:
        yield from parts_of(part)


def text_of(payload: Mapping[str, Any]) -> str:
    """The plain text; where there is none, the words of the HTML. Attached files are left out."""
    plain = [decoded(part) for part in written_in(payload, "text/plain")]
    if any(plain):
        return "\n".join(plain).strip()
    return "\n".join(words_of(decoded(page)) for page in written_in(payload, "text/html"))


def html_of(payload: Mapping[str, Any]) -> str:
    return "\n".join(decoded(page) for page in written_in(payload, "text/html"))


def written_in(payload: Mapping[str, Any], mime_type: str) -> Iterator[Mapping[str, Any]]:
    for part in parts_of(payload):
        if part.get("mimeType") == mime_type and not part.get("filename"):
            yield part


def decoded(part: Mapping[str, Any]) -> str:
    """A part's text. Gmail hands text out as UTF-8, whatever the message's own charset."""
    return bytes_of((part.get("body") or {}).get("data", "")).decode(errors="replace")


def bytes_of(data: str) -> bytes:
    """What Gmail wrote in base64url, with or without the signs that fill it up."""
    return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))


def json_of(data: str) -> dict[str, Any]:
    """An object written as JSON in base64; {} where it is none."""
    try:
        found = json.loads(base64.b64decode(data))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def words_of(page: str) -> str:
    """The words of an HTML page, a line for each block: for reading, not for showing."""
    page = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", " ", page)
    page = re.sub(r"(?i)<(br|/p|/div|/tr|/li|/h[1-6])\b[^>]*>", "\n", page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


# --- writing


def composed(
    *,
    to: Sequence[str],
    cc: Sequence[str],
    bcc: Sequence[str],
    subject: str,
    text: str,
    page: str | None,
    attachments: Sequence[Mapping[str, Any]],
    message_id: str,
) -> EmailMessage:
    """A message, its headers written by the standard library."""
    message = EmailMessage(policy=SMTP)
    for name, people in (("To", to), ("Cc", cc), ("Bcc", bcc)):
        if people:
            message[name] = [address_of(person, name.lower()) for person in people]
    message["Subject"] = one_line(subject, "subject")
    message["Message-ID"] = message_id
    message.set_content(text)
    if page is not None:
        message.add_alternative(page, subtype="html")
    attach(message, attachments)
    return message


def address_of(person: str, field: str) -> Address:
    """`Anna <anna@example.org>` or the bare address. Raises Refused where it is none, or more than one."""
    name, address = parseaddr(one_line(person, field))
    try:
        given = Address(display_name=name, addr_spec=address)
        found = Address(name, given.username, given.domain.encode("idna").decode())
    except (ValueError, IndexError, MessageError):
        raise not_one(person, field) from None
    if len(getaddresses([person])) != 1 or not found.username or "." not in found.domain:
        raise not_one(person, field)
    return found


def not_one(person: str, field: str) -> Refused:
    return Refused(f"“{person[:80]}” is not one e-mail address.", field=field)


def one_line(value: str, field: str) -> str:
    if CONTROL.search(value):
        raise Refused("This is one line; it holds a line break or a control character.", field=field)
    if ENCODED.search(value):
        raise Refused("Write it as it is to be read; Navi encodes it for mail.", field=field)
    return value


def attach(message: EmailMessage, attachments: Sequence[Mapping[str, Any]]) -> None:
    files = [(one["name"], one["mime_type"], content_of(one)) for one in attachments]
    if sum(len(content) for _, _, content in files) > MOST_ATTACHED:
        raise Refused(
            f"The attachments are larger than {MOST_ATTACHED // 1024**2} MB together. Share a link instead.",
            field="attachments",
        )
    for name, mime_type, content in files:
        if not SUBTYPES.fullmatch(mime_type):
            raise Refused(f"“{mime_type[:80]}” is no type such as application/pdf.", field="attachments")
        kind, _, subtype = mime_type.partition("/")
        if kind in {"multipart", "message"}:  # Containers: as a file they are bytes like any other.
            kind, subtype = "application", "octet-stream"
        filename = one_line(name, "attachments")
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=filename)


def content_of(attachment: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(attachment["data"], validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"“{attachment['name'][:80]}” is not in base64.", field="attachments") from None


def answering(message: EmailMessage, before: Mapping[str, str]) -> EmailMessage:
    """The same message, as the answer to one with these headers: so that every mail program threads it."""
    answered = ids_in(before.get("message-id", ""))[:1]
    if answered:
        message["In-Reply-To"] = answered[0]
        message["References"] = " ".join([*ids_in(before.get("references", "")), *answered])
    return message


def ids_in(header: str) -> list[str]:
    """Ids of messages; what else a stranger wrote there does not go into our mail."""
    return [one for one in MESSAGE_ID.findall(header) if not ENCODED.search(one)]


def harmless(header: str) -> str:
    """A stranger's header in one line, with nothing that would be decoded once more."""
    shown = CONTROL.sub(" ", header).encode(errors="replace").decode()
    return " ".join(shown.replace("=?", "= ?").split())


def answered_to(before: Mapping[str, str], *, everybody: bool, mine: str) -> tuple[list[str], list[str]]:
    """Who gets an answer, and who a copy: never oneself, except where one wrote to oneself."""
    writers = people_in(before["reply-to"] or before["from"])
    if not writers:
        raise Refused("The message does not say who sent it, so Navi cannot answer it.", field="message_id")
    if not everybody:
        return writers[:1], []
    known = {address_in(person) for person in writers} | {mine.lower()}
    others = people_in(", ".join(part for part in (before["to"], before["cc"]) if part))
    return writers, [person for person in others if address_in(person) not in known]


def people_in(header: str) -> list[str]:
    pairs = getaddresses([harmless(header)])
    return [str(Address(name, addr_spec=address)) for name, address in pairs if is_address(address)]


def is_address(text: str) -> bool:
    try:
        return bool(Address(addr_spec=text).username)
    except (ValueError, IndexError, MessageError):
        return False


def address_in(person: str) -> str:
    return parseaddr(person)[1].lower()


def answer_to(subject: str) -> str:
    """Gmail keeps a thread together only where the subject stays, but for the Re: before it."""
    plain = harmless(subject)
    return plain if plain.lower().startswith("re:") else f"Re: {plain}"


def raw(message: EmailMessage) -> str:
    """As Gmail takes it. Raises Refused where a header would break into two."""
    headers = [value for part in message.walk() for value in part.values()]
    if any(CONTROL.search(value) for value in headers):
        raise Refused("A header of this message would hold a line break or a control character.")
    return base64.urlsafe_b64encode(message.as_bytes()).decode()
