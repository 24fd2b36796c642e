"""Mail that agents write: what goes out, what joins a thread, what nobody can smuggle in."""

import base64
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any

import pytest

from integrations.plugins.gmail import mail
from integrations.plugins.gmail.plugin import COMPOSE, LABELS, MODIFY, READ, SEND, header_id, plugin
from integrations.sdk import Client, MissingScopes, Refused, TryLater
from integrations.sdk.testing import REQUEST_KEY, replay
from tests.plugins.clients import client_at
from tests.standins.google import TOKEN, GoogleStandin
from tests.standins.google_data import INVOICE, LUNCH

HIDDEN = "=?utf-8?q?x=0d=0aBcc=3a_thief=40example=2eorg?="
SENDING = "/gmail/v1/users/me/messages/send"


@pytest.fixture(scope="module")
def running() -> Iterator[GoogleStandin]:
    with GoogleStandin() as standin:
        yield standin


@pytest.fixture
def google(running: GoogleStandin) -> GoogleStandin:
    running.reset()
    return running


@pytest.fixture
def alice(google: GoogleStandin) -> Client:
    return client_at(plugin, google, TOKEN)


def run(client: Client, action: str, **arguments: Any) -> Any:
    its = plugin.actions[action]
    return its.run(client, its.validate(arguments), request_key=REQUEST_KEY)


def send(client: Client, **more: Any) -> Any:
    return run(
        client, "send_message", **{"to": ["anna@example.org"], "subject": "Lunch", "text": "At 8?", **more}
    )


def letter(google: GoogleStandin, path: str = SENDING) -> EmailMessage:
    """The message that was sent last."""
    body = google.asked(path)[-1].json()
    raw = base64.urlsafe_b64decode(body.get("raw") or body["message"]["raw"])
    found = message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


# --- sending


def test_mail_goes_to_all_who_were_named(alice: Client, google: GoogleStandin):
    send(
        alice,
        to=["Änne Müller <anne@example.org>", "bob@example.org"],
        cc=["c@example.org"],
        bcc=["d@example.org"],
    )

    sent = letter(google)
    assert [(one.display_name, one.addr_spec) for one in sent["To"].addresses] == [
        ("Änne Müller", "anne@example.org"), ("", "bob@example.org"),
    ]  # fmt: skip
    assert (sent["Cc"], sent["Bcc"]) == ("c@example.org", "d@example.org")


def test_plain_text_and_html_go_side_by_side(alice: Client, google: GoogleStandin):
    send(
        alice,
        text="Grüße",
        html="<p>Grüße</p>",
        attachments=[{"name": "a.txt", "mime_type": "text/plain", "data": "YQ=="}],
    )

    sent = letter(google)
    plain, page = sent.get_body(("plain",)), sent.get_body(("html",))
    assert plain
    assert page
    assert (plain.get_content().strip(), page.get_content().strip()) == ("Grüße", "<p>Grüße</p>")
    assert [one.get_filename() for one in sent.iter_attachments()] == ["a.txt"]


def test_a_message_can_be_found_by_the_key_of_its_call(alice: Client):
    sent = send(alice)

    found = run(alice, "list_threads", query=f"rfc822msgid:{sent['message_id'].strip('<>')}")["threads"]
    assert sent["message_id"] == header_id(REQUEST_KEY)
    assert [thread["id"] for thread in found] == [sent["thread_id"]]


def test_a_message_whose_answer_was_lost_is_found_and_not_sent_again(alice: Client, google: GoogleStandin):
    google.lose_next(SENDING)

    sent = send(alice)

    assert len(google.asked(SENDING)) == 1
    assert sent["thread_id"] in [thread["id"] for thread in google.people["alice"]["threads"]]


@pytest.mark.parametrize("scopes", [(SEND,), (SEND, READ)])
def test_where_nothing_is_found_the_outcome_stays_unknown(google: GoogleStandin, scopes: tuple[str, ...]):
    google.break_next(SENDING, 502, "Bad gateway")

    with pytest.raises(TryLater) as trouble:
        send(client_at(plugin, google, google.grant(*scopes).access))

    assert trouble.value.sent
    assert len(google.asked(SENDING)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "Lunch\r\nBcc: eve@example.net"),
        ("subject", "Lunch\nX: y"),
        ("subject", "Lunch\u2028Bcc: eve@example.net"),
        ("to", ["anna@example.org\r\nBcc: eve@example.net"]),
        ("to", ["Anna\nBcc: eve@example.net <anna@example.org>"]),
        ("to", ["anna@example.org, eve@example.net"]),
        ("cc", ["anna"]),
        ("bcc", ["anna@"]),
        ("to", ["anna@localhost"]),
        ("attachments", [{"name": "a\r\nX: y", "mime_type": "text/plain", "data": "YQ=="}]),
        ("attachments", [{"name": "a", "mime_type": "text/plain\r\nX: y", "data": "YQ=="}]),
        ("attachments", [{"name": "a", "mime_type": "text", "data": "YQ=="}]),
        ("attachments", [{"name": "a", "mime_type": "text/plain", "data": "not base64!"}]),
    ],
)
def test_nothing_smuggles_a_header_in(alice: Client, google: GoogleStandin, field: str, value: Any):
    with pytest.raises(Refused) as refusal:
        send(alice, **{field: value})

    assert refusal.value.field == field
    assert google.requests == []


@pytest.mark.parametrize(
    "more",
    [
        {"subject": HIDDEN},
        {"to": [f"{HIDDEN} <anna@example.org>"]},
        {"attachments": [{"name": HIDDEN, "mime_type": "text/plain", "data": "YQ=="}]},
    ],
)
def test_nothing_smuggles_a_header_in_encoded(alice: Client, google: GoogleStandin, more: dict[str, Any]):
    with pytest.raises(Refused):
        send(alice, **more)

    assert not google.asked(SENDING)


@pytest.mark.parametrize("header", ["Message-ID", "References", "Subject", "From", "Reply-To"])
def test_a_stranger_smuggles_no_header_into_the_answer(header: str):
    sender = f"{HIDDEN} <mallory@example.org>"
    written = {"From": sender, "Reply-To": sender}.get(header, HIDDEN)
    before = {
        **dict.fromkeys(mail.SHOWN, ""),
        "from": "Anna <anna@example.org>",
        "message-id": "<1@example.org>",
    }
    before[header.lower()] = written

    to, cc = mail.answered_to(before, everybody=True, mine="alice@example.org")
    answer = mail.composed(
        to=to, cc=cc, bcc=[], subject=mail.answer_to(before["subject"]), text="Yes", page=None, attachments=[],
        message_id="<2@mail.gmail.com>",
    )  # fmt: skip
    sent = message_from_bytes(base64.urlsafe_b64decode(mail.raw(mail.answering(answer, before))))

    assert sent["Bcc"] is None
    assert sent.get_all("Cc", []) == []
    assert "thief@example.org" not in [address for _, address in getaddresses([sent["To"]])]


def test_a_domain_goes_out_as_mail_servers_know_it():
    assert mail.address_of("Anna <anna@exämple.org>", "to").addr_spec == "anna@xn--exmple-cua.org"


def test_attachments_have_a_limit_together(
    alice: Client, google: GoogleStandin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mail, "MOST_ATTACHED", 5)
    three = {"name": "a", "mime_type": "text/plain", "data": base64.b64encode(b"abc").decode()}

    with pytest.raises(Refused, match="larger than"):
        send(alice, attachments=[three, three])

    assert google.requests == []


def test_a_message_as_a_file_is_only_a_file(alice: Client, google: GoogleStandin):
    send(alice, attachments=[{"name": "a.eml", "mime_type": "message/rfc822", "data": "YQ=="}])

    [file] = letter(google).iter_attachments()
    assert file.get_content_type() == "application/octet-stream"


# --- answering


def test_an_answer_joins_its_thread(alice: Client, google: GoogleStandin):
    answer = run(alice, "reply_to_message", message_id="18f0a1b2c3d4e600", text="It is paid.")

    sent = letter(google)
    assert answer["thread_id"] == INVOICE
    assert (sent["To"], sent["Subject"]) == ("Anna <anna@example.org>", "Re: Invoice 11")
    assert (sent["In-Reply-To"], sent["References"]) == ("<i2@example.org>", "<i2@example.org>")
    assert [one["id"] for one in run(alice, "get_thread", thread_id=INVOICE)["messages"]][-1] == answer["id"]


def test_an_answer_to_everybody_leaves_oneself_out(alice: Client, google: GoogleStandin):
    message = google.people["alice"]["threads"][1]["messages"][0]
    message["payload"]["headers"] += [
        {"name": "Cc", "value": "Carol <carol@example.org>, ALICE@example.org, bob@example.org"},
        {"name": "References", "value": "<first@example.org>\r\n <second@example.org>"},
    ]

    run(alice, "reply_to_message", message_id=LUNCH, text="Yes.", everybody=True)

    sent = letter(google)
    assert (sent["To"], sent["Cc"]) == ("Bob <bob@example.org>", "Carol <carol@example.org>")
    assert sent["References"] == "<first@example.org> <second@example.org> <l1@example.org>"


def test_replies_go_where_they_are_asked_to_go(alice: Client, google: GoogleStandin):
    headers = google.people["alice"]["threads"][1]["messages"][0]["payload"]["headers"]
    headers.append({"name": "Reply-To", "value": "Office <office@example.org>"})

    run(alice, "reply_to_message", message_id=LUNCH, text="Yes.")

    assert letter(google)["To"] == "Office <office@example.org>"


@pytest.mark.parametrize("sender", ["", "undisclosed", "Eve <eve>"])
def test_who_sent_it_has_to_be_known(alice: Client, google: GoogleStandin, sender: str):
    headers = google.people["alice"]["threads"][1]["messages"][0]["payload"]["headers"]
    next(one for one in headers if one["name"] == "From")["value"] = sender

    with pytest.raises(Refused, match="does not say who sent it"):
        run(alice, "reply_to_message", message_id=LUNCH, text="Yes.")


def test_a_draft_is_written_and_not_sent(alice: Client, google: GoogleStandin):
    draft = run(alice, "create_draft", to=[], subject="Later", text="Dear Anna,")

    assert draft["url"].endswith(draft["message_id"])
    assert letter(google, "/gmail/v1/users/me/drafts")["Subject"] == "Later"
    assert run(alice, "list_threads", label_ids=["SENT"])["threads"] == []


# --- sorting


def test_labels_go_by_name_or_id(alice: Client):
    done = run(alice, "label_thread", thread_id=LUNCH, add=["starred", "UNREAD"], remove=["Private"])

    assert done["labels"] == ["INBOX", "STARRED", "UNREAD"]


@pytest.mark.parametrize(
    ("arguments", "field"), [({}, "add"), ({"add": ["Nowhere"]}, "add"), ({"remove": ["Nowhere"]}, "remove")]
)
def test_a_label_has_to_be_there(alice: Client, google: GoogleStandin, arguments: dict[str, Any], field: str):
    with pytest.raises(Refused) as refusal:
        run(alice, "label_thread", thread_id=LUNCH, **arguments)

    assert refusal.value.field == field
    assert not [request for request in google.requests if request.method == "POST"]


def test_what_is_archived_leaves_the_inbox(alice: Client):
    assert run(alice, "archive_thread", thread_id=LUNCH)["labels"] == ["Label_7"]


def test_a_thread_is_read_and_unread(alice: Client):
    assert "UNREAD" not in run(alice, "mark_thread_read", thread_id=INVOICE)["labels"]
    assert "UNREAD" in run(alice, "mark_thread_read", thread_id=INVOICE, is_read=False)["labels"]


def test_a_label_is_made_once(alice: Client):
    assert run(alice, "create_label", name="Clients/Anna")["is_own"]
    with pytest.raises(Refused, match="exists"):
        run(alice, "create_label", name="clients/anna")


def test_a_taken_name_is_told_in_gmails_words():
    with pytest.raises(Refused, match="exists or conflicts"):
        replay(plugin, "create_label", "label_name_is_taken")


# --- scopes


@pytest.mark.parametrize(
    ("scope", "action", "arguments"),
    [
        (SEND, "send_message", {"to": ["a@example.org"], "subject": "x", "text": "x"}),
        (COMPOSE, "create_draft", {"to": ["a@example.org"], "subject": "x", "text": "x"}),
        (MODIFY, "label_thread", {"thread_id": LUNCH, "add": ["STARRED"]}),
        (LABELS, "create_label", {"name": "x"}),
    ],
)
def test_writing_needs_its_own_yes(google: GoogleStandin, scope: str, action: str, arguments: dict[str, Any]):
    reader, writer = (client_at(plugin, google, google.grant(one).access) for one in (READ, scope))

    assert run(writer, action, **arguments)
    with pytest.raises(MissingScopes):
        run(reader, action, **arguments)
