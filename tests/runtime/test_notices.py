"""People are told once when a connection goes, and once when it returns."""

import json
import smtplib
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.db import connection as database
from django.db import connections, transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from credentials.client import outbound
from credentials.models import Connection, State
from integrations.models import Illness, NoticeDelivery, NoticeSettings
from integrations.runtime import notice_mail, notice_settings, notice_webhook, notices, telling
from navi import env
from navi.audit.models import AuditEvent
from navi.audit.problems import Problem
from navi.jobs import work
from navi.jobs.models import Job
from navi.projects.models import Membership
from navi.projects.rights import actor_for
from tests.conftest import fresh_way_out
from tests.standins.server import Standin, answer_with

REASON = "Todoist no longer accepts this API token."
PUBLIC_ONLY = notice_webhook.way_out
OUR_JOBS = ("notices", "notice-mail", "notice-webhook")


# --- arranging


@pytest.fixture(autouse=True)
def mail_server(settings):
    settings.EMAIL_IS_SET_UP = True
    settings.DEFAULT_FROM_EMAIL = "Navi <navi@example.org>"
    settings.BASE_URL = "https://navi.example"


@pytest.fixture
def account(acme, alice):
    """Acme's Todoist, which Alice connected."""
    return made(acme, created_by=alice)


def made(project=None, *, provider="todoist", label="alice@example.org", **facts):
    return Connection.objects.create(
        project=project, provider=provider, label=label, state=State.ACTIVE, **facts
    )


class Receiver(Standin):
    """Somebody's webhook."""

    def answer(self, request):
        return answer_with(204)

    def told(self):
        return [request.json() for request in self.requests]


@pytest.fixture
def receiver(settings, monkeypatch):
    """It stands on this machine, where only a test lets Navi call a webhook."""
    with Receiver() as standin:
        settings.OUTBOUND_ALLOW = standin.url.removeprefix("http://")
        fresh_way_out()
        monkeypatch.setattr(notice_webhook, "way_out", outbound)
        yield standin


@pytest.fixture
def secret(receiver, acme, alice):
    """Acme has a webhook; this is its secret."""
    return notice_settings.put_webhook(acme, f"{receiver.url}/hidden", actor=actor_for(alice, acme))


def let_pass(**span):
    """So much time goes by for what is written about illnesses and deliveries."""
    for row in Illness.objects.all():
        row.began_at -= timedelta(**span)
        row.changed_at -= timedelta(**span)
        row.ended_at = row.ended_at and row.ended_at - timedelta(**span)
        row.save()
    for delivery in NoticeDelivery.objects.all():
        delivery.created_at -= timedelta(**span)
        delivery.next_try_at -= timedelta(**span)
        delivery.save()


def soon():
    """A minute later: what waits is done, pauses between tries are not over."""
    for _ in range(4):
        Job.objects.filter(kind__in=OUR_JOBS, state="queued").update(due_at=timezone.now())
        work.work_off(started=time.monotonic())


def much_later(**span):
    let_pass(**(span or {"hours": 3}))
    telling.catch_up()
    soon()


def goes(connection, reason=REASON):
    with transaction.atomic():
        notices.went(connection, reason)


def comes_back(connection):
    with transaction.atomic():
        notices.returned(connection)


def mails_to(person):
    return [message for message in mail.outbox if message.to == [person.email]]


# --- once


def test_alice_and_adam_are_told_once_that_it_went(account, alice, adam, bob, vera):
    goes(account)
    goes(account)
    soon()
    goes(account)
    much_later()

    assert [len(mails_to(person)) for person in (alice, adam, bob, vera)] == [1, 1, 0, 0]


def test_and_once_that_it_works_again(account, alice):
    goes(account)
    soon()
    comes_back(account)
    comes_back(account)
    soon()

    assert [m.subject for m in mails_to(alice)] == ["Acme: Todoist needs you", "Acme: Todoist works again"]


def test_of_what_nobody_heard_going_nobody_hears_coming_back(account, settings):
    settings.EMAIL_IS_SET_UP = False
    goes(account)
    soon()
    settings.EMAIL_IS_SET_UP = True

    comes_back(account)
    much_later()

    assert mail.outbox == []


def test_a_return_without_an_illness_says_nothing(account):
    comes_back(account)
    soon()

    assert mail.outbox == []
    assert not Job.objects.exists()


def test_what_came_back_within_the_minute_is_told_in_one_mail(account, alice, secret, receiver):
    goes(account)
    comes_back(account)
    soon()

    assert [message.subject for message in mails_to(alice)] == ["Acme: Todoist works again"]
    assert [told["type"] for told in receiver.told()] == [
        "connection.needs_reconnect", "connection.recovered",
    ]  # fmt: skip


def test_a_second_illness_is_told_again(account, alice):
    for _ in range(2):
        goes(account)
        soon()
        comes_back(account)
        soon()
        let_pass(hours=2)

    assert len(mails_to(alice)) == 4


def test_nothing_is_sent_while_the_callers_transaction_is_open(account):
    with transaction.atomic():
        notices.went(account, REASON)

        assert Job.objects.get().kind == "notices"
        assert mail.outbox == []


def test_what_is_rolled_back_never_happened(account):
    with transaction.atomic():
        notices.went(account, REASON)
        transaction.set_rollback(True)

    assert not Illness.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_four_at_once_tell_once(acme, alice):
    account, ready = made(acme, created_by=alice), threading.Barrier(4)

    def at_once(deed):
        ready.wait()
        try:
            deed()
        finally:
            connections.close_all()

    for deed in (lambda: goes(account), lambda: comes_back(account)):
        with ThreadPoolExecutor(4) as four:
            list(four.map(at_once, [deed] * 4))
        soon()

    assert Illness.objects.count() == 1
    assert len(mails_to(alice)) == 2


@pytest.mark.django_db(transaction=True)
def test_no_mail_and_no_call_leaves_inside_a_transaction(acme, alice, secret, receiver, monkeypatch):
    inside = []

    def watched(act):
        def watching(*given, **more):
            inside.append(database.in_atomic_block)
            return act(*given, **more)

        return watching

    monkeypatch.setattr(notice_mail, "deliver", watched(notice_mail.deliver))
    monkeypatch.setattr(notice_webhook, "call", watched(notice_webhook.call))

    goes(made(acme, created_by=alice))
    soon()

    assert inside == [False] * 3


# --- many


def test_an_outage_of_500_connections_is_one_mail_each_for_alice_and_adam(acme, alice, adam):
    for number in range(500):
        goes(made(acme, label=f"account {number}"))
    soon()

    assert [message.subject for message in mails_to(alice)] == ["Acme: 500 connections need you"]
    assert len(mail.outbox) == 2
    body = mails_to(alice)[0].body
    assert "and 480 more" in body
    assert "trouble at the service itself" in body


def test_each_project_has_its_own_summary(account, alice, elsewhere, charlie):
    goes(account)
    goes(made(elsewhere))
    soon()

    assert [message.subject for message in mails_to(charlie)] == ["Elsewhere: Todoist needs you"]
    assert "Elsewhere" not in mails_to(alice)[0].body


def test_an_outage_that_shows_over_an_hour_is_few_mails(acme, alice):
    waits = []
    for number in range(8):
        goes(made(acme, label=f"account {number}"))
        waits.append(Job.objects.get(kind="notices", state="queued").due_at - timezone.now())
        soon()
        let_pass(minutes=1)

    assert waits[0] < timedelta(seconds=61)
    assert waits[-1] > timedelta(minutes=9)


def flaps(connection):
    """Seven times in half an hour."""
    for _ in range(7):
        goes(connection)
        soon()
        comes_back(connection)
        soon()
        let_pass(minutes=4)


def test_flapping_is_told_as_such_and_then_there_is_silence(account, alice):
    flaps(account)

    bodies = [message.body for message in mails_to(alice)]
    assert len(bodies) == 7  # three that went and returned, and one that says it is too many
    assert "It has gone 4 times within an hour." in bodies[-1]


def test_when_it_has_come_to_rest_alice_hears_that_it_works(account, alice):
    flaps(account)

    much_later(minutes=70)
    much_later()

    assert [message.subject for message in mails_to(alice)][7:] == ["Acme: Todoist works again"]


def test_or_that_it_still_needs_somebody(account, alice):
    flaps(account)
    goes(account)
    soon()

    much_later(minutes=70)
    much_later()
    comes_back(account)
    soon()

    subjects = [message.subject for message in mails_to(alice)][7:]
    assert subjects == ["Acme: Todoist needs you", "Acme: Todoist works again"]


# --- whom


def test_bob_hears_of_what_he_connected_and_of_nothing_else(acme, bob):
    goes(made(acme, created_by=bob, label="bob's"))
    goes(made(acme, label="somebody's"))
    soon()

    (message,) = mails_to(bob)
    assert "bob's" in message.body
    assert "somebody's" not in message.body


def test_bob_who_has_left_hears_nothing(acme, bob):
    goes(made(acme, created_by=bob))
    Membership.objects.filter(user=bob).delete()
    soon()

    assert mails_to(bob) == []


def test_somebody_who_leaves_while_the_mail_waits_does_not_get_it(account, adam):
    goes(account)
    telling.gather(notices.owner_of(account))
    Membership.objects.filter(user=adam).delete()
    soon()

    assert mails_to(adam) == []
    assert NoticeDelivery.objects.get(person=adam).state == "dropped"


def test_bobs_own_connection_concerns_bob_alone(acme, bob, secret, receiver):
    goes(made(user=bob))
    soon()

    (message,) = mail.outbox
    assert message.to == [bob.email]
    assert message.subject == "Navi: Todoist needs you"
    assert "/p/acme/integrations/todoist?reconnect=" in message.body
    assert receiver.requests == []


def test_nobody_is_told_of_what_somebody_disconnected_meanwhile(account):
    goes(account)
    Connection.objects.update(state=State.REVOKED)
    soon()

    assert mail.outbox == []


def test_nobody_is_told_of_an_archived_project(account, acme):
    goes(account)
    acme.archive(at=timezone.now())
    soon()

    assert mail.outbox == []


def test_with_mails_switched_off_there_are_none(account, acme, alice):
    notice_settings.switch_email(acme, False, actor=actor_for(alice, acme))
    goes(account)
    soon()

    assert mail.outbox == []


# --- the mail


def test_the_mail_says_what_and_why_and_has_the_one_link(account, alice):
    goes(account)
    soon()

    message = mails_to(alice)[0]
    link = f"https://navi.example/p/acme/integrations/todoist?reconnect={account.pk}"
    assert message.body.count(link) == 1
    for words in ("Todoist (alice@example.org) needs a person", REASON, "agents cannot rely", "#notices"):
        assert words in message.body
    assert len(message.subject) <= 40
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_what_a_vendor_says_becomes_no_link_no_header_and_no_second_line(acme, alice):
    acme.rename("Acme\r\nBcc: eve@example.org")
    goes(made(acme, label="x\nReconnect here: https://evil.example/"), "<b>Go</b> to\r\nhttps://evil.example")
    soon()

    message = mails_to(alice)[0]
    assert "https://evil.example" not in message.body
    assert "\n" not in message.subject
    assert "eve@example.org" not in str(message.message()["Bcc"])


def test_what_looks_like_a_key_in_a_reason_is_masked(account, alice):
    goes(account, "The key ghp_" + "a1B2" * 9 + " is revoked.")
    soon()

    assert "a1B2a1B2" not in mails_to(alice)[0].body
    assert "a1B2a1B2" not in json.dumps(list(NoticeDelivery.objects.values_list("news", flat=True)))


class Postbox(socketserver.ThreadingTCPServer):
    """An SMTP server that keeps what it gets; `refusals` are answered in place of a 250 to RCPT."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self):
        self.mails, self.recipients, self.refusals = [], [], []
        super().__init__(("127.0.0.1", 0), Conversation)


class Conversation(socketserver.StreamRequestHandler):
    server: Postbox

    def handle(self):
        self.say("220 postbox")
        for line in self.rfile:
            verb = (line.split() or [b""])[0].upper()
            if verb == b"RCPT":
                self.server.recipients.append(line.decode().strip().upper())
                self.say(self.server.refusals.pop(0) if self.server.refusals else "250 ok")
            elif verb == b"DATA":
                self.say("354 go on")
                self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.say("250 taken")
            elif verb == b"QUIT":
                self.say("221 bye")
                break
            else:
                self.say("250 ok")

    def say(self, words):
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def postbox(settings):
    with Postbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address[:2]
        yield server
        server.shutdown()
        thread.join()


def test_a_real_mail_server_gets_the_mail(account, postbox, alice):
    goes(account)
    soon()

    assert sorted(postbox.recipients) == ["RCPT TO:<ADAM@EXAMPLE.ORG>", "RCPT TO:<ALICE@EXAMPLE.ORG>"]
    arrived = next(text for text in postbox.mails if "To: alice@example.org" in text)
    assert "Subject: Acme: Todoist needs you" in arrived
    assert "From: Navi <navi@example.org>" in arrived
    assert f"Message-ID: <{NoticeDelivery.objects.get(person=alice).pk}@navi.example>" in arrived
    assert f"reconnect={account.pk}" in arrived.replace("=\r\n", "").replace("=3D", "=")
    assert AuditEvent.objects.filter(event="notice.sent").count() == 2


def test_a_mail_server_that_is_busy_is_asked_again(account, postbox):
    postbox.refusals = ["451 later", "451 later"]
    goes(account)
    soon()
    assert postbox.mails == []

    let_pass(minutes=1)
    soon()

    assert len(postbox.mails) == 2
    assert set(NoticeDelivery.objects.values_list("tries", "state")) == {(2, "sent")}


def test_an_address_that_does_not_exist_is_not_asked_again(account, postbox):
    postbox.refusals = ["550 nobody of that name"] * 2
    goes(account)
    soon()

    assert set(NoticeDelivery.objects.values_list("tries", "state")) == {(1, "failed")}
    assert AuditEvent.objects.filter(event="notice.failed").count() == 2
    assert "nobody of that name" not in str(list(AuditEvent.objects.values_list("detail", flat=True)))


def test_a_mail_server_that_is_gone_is_given_up_after_five_tries(account, alice, settings, monkeypatch):
    asked = []

    def gone(message):
        asked.append(message.to)
        raise smtplib.SMTPServerDisconnected("nobody there")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", gone)
    goes(account)
    soon()
    for _ in range(6):
        much_later()

    assert asked.count([alice.email]) == 5
    assert AuditEvent.objects.filter(event="notice.failed").count() == 2


def test_a_sender_that_is_killed_each_time_ends_too(account, alice, monkeypatch):
    def killed(message):
        raise work.TookTooLong

    goes(account)
    monkeypatch.setattr("django.core.mail.EmailMessage.send", killed)
    soon()
    for _ in range(6):
        much_later()

    assert set(NoticeDelivery.objects.values_list("state", flat=True)) == {"failed"}


# --- the webhook


def test_a_receiver_can_check_the_signature(account, secret, receiver):
    goes(account)
    soon()

    (request,) = receiver.requests
    told = Webhook(secret).verify(request.body, dict(request.headers))
    assert (request.method, request.path) == ("POST", "/hidden")
    assert told["type"] == "connection.needs_reconnect"
    assert datetime.fromisoformat(told["timestamp"]).tzinfo
    assert told["data"] == {
        "project": "acme",
        "provider": "todoist",
        "connection": {"id": str(account.pk), "label": "alice@example.org", "scope": "project"},
        "reason": REASON,
        "link": f"https://navi.example/p/acme/integrations/todoist?reconnect={account.pk}",
    }


def test_another_secret_does_not_fit(account, secret, receiver):
    goes(account)
    soon()

    (request,) = receiver.requests
    with pytest.raises(WebhookVerificationError):
        Webhook(notice_settings.new_secret()).verify(request.body, dict(request.headers))


def test_our_signature_is_the_one_of_the_standard(secret):
    at = timezone.now()

    headers = notice_webhook.signed("msg_1", b'{"a": 1}', [secret], at=at)

    naive = at.replace(tzinfo=None)  # as the package wants it
    assert headers["webhook-signature"] == Webhook(secret).sign("msg_1", naive, '{"a": 1}')


def test_after_a_rotation_both_secrets_fit_for_a_day(account, acme, alice, secret, receiver):
    fresh = notice_settings.rotate(acme, actor=actor_for(alice, acme))
    goes(account)
    soon()
    kept = NoticeSettings.objects.get()
    kept.keep_webhook(
        {**kept.webhook.reveal(), "former_until": timezone.now().isoformat()}, host=kept.webhook_host
    )
    comes_back(account)
    soon()

    went, returned = receiver.requests
    for one in (secret, fresh):
        Webhook(one).verify(went.body, dict(went.headers))
    Webhook(fresh).verify(returned.body, dict(returned.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(returned.body, dict(returned.headers))


def test_a_failing_receiver_is_asked_again_with_the_same_id_and_in_order(account, secret, receiver):
    receiver.fail_next(500)
    goes(account)
    soon()
    comes_back(account)
    soon()
    assert len(receiver.requests) == 1  # what came later waits behind it

    let_pass(seconds=6)
    soon()

    assert [told["type"] for told in receiver.told()] == [
        "connection.needs_reconnect", "connection.needs_reconnect", "connection.recovered",
    ]  # fmt: skip
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids[0] == ids[1] != ids[2]


def test_a_receiver_that_never_answers_well_is_given_up_after_five_tries(account, secret, receiver):
    receiver.fail_next(503, times=20)
    goes(account)
    soon()
    for _ in range(6):
        much_later()

    assert len(receiver.requests) == 5
    failed = AuditEvent.objects.get(event="notice.failed", detail__channel="webhook")
    assert failed.detail["reason"] == "The webhook's receiver answered (503)."


def test_a_redirect_is_not_followed(account, secret, receiver):
    receiver.fail_next(302, headers={"Location": f"{receiver.url}/elsewhere"})
    goes(account)
    soon()

    assert [request.path for request in receiver.requests] == ["/hidden"]
    assert "not followed" in NoticeDelivery.objects.get(channel="webhook").last_error


def test_a_webhook_inside_is_not_called_although_the_operator_opened_that_way_for_others(
    account, secret, receiver, monkeypatch
):
    monkeypatch.setattr(notice_webhook, "way_out", PUBLIC_ONLY)
    goes(account)
    soon()

    assert receiver.requests == []
    assert "not on the public internet" in NoticeDelivery.objects.get(channel="webhook").last_error


def test_nor_is_it_taken_as_an_address(acme, alice, receiver, monkeypatch):
    monkeypatch.setattr(notice_webhook, "way_out", PUBLIC_ONLY)

    with pytest.raises(Problem, match="not on the public internet"):
        notice_settings.put_webhook(acme, f"{receiver.url}/hidden", actor=actor_for(alice, acme))


def test_a_webhook_that_was_removed_meanwhile_is_not_called(account, acme, alice, secret, receiver):
    goes(account)
    telling.gather(notices.owner_of(account))
    notice_settings.remove_webhook(acme, actor=actor_for(alice, acme))
    soon()

    assert receiver.requests == []
    assert NoticeDelivery.objects.get(channel="webhook").state == "dropped"


def test_a_list_that_breaks_off_goes_on_where_it_was(acme, secret, receiver):
    for number in range(5):
        goes(made(acme, label=f"account {number}"))
    soon_with_a_failure_at_the_third(receiver)

    let_pass(seconds=6)
    soon()

    labels = [told["data"]["connection"]["label"] for told in receiver.told()]
    assert labels == [f"account {number}" for number in (0, 1, 2, 2, 3, 4)]
    assert NoticeDelivery.objects.get(channel="webhook").state == "sent"


def soon_with_a_failure_at_the_third(receiver):
    answer = receiver.answer
    receiver.answer = lambda request: answer_with(500 if len(receiver.requests) == 3 else 204)
    soon()
    receiver.answer = answer


def test_the_secret_rests_sealed_and_is_in_no_job_and_no_audit(account, secret, receiver):
    goes(account)
    soon()

    key = secret.removeprefix("whsec_")
    stored = NoticeSettings.objects.get()
    assert str(stored.webhook) == "<sealed>"
    rows = [
        *Job.objects.values_list("kind", "object_id", "last_error"),
        *AuditEvent.objects.values_list("detail", flat=True),
        *NoticeDelivery.objects.values_list("news", "last_error"),
    ]
    assert key not in str(rows)
    assert "/hidden" not in str(rows)


# --- left behind


def test_what_a_lost_job_left_behind_is_told_by_the_minute(account, alice):
    goes(account)
    Job.objects.all().delete()

    much_later(minutes=20)

    assert len(mails_to(alice)) == 1


def test_a_mail_whose_job_was_lost_is_sent_by_the_minute(account, alice):
    goes(account)
    telling.gather(notices.owner_of(account))
    Job.objects.all().delete()

    much_later(minutes=20)

    assert len(mails_to(alice)) == 1


def test_gathering_twice_tells_once(account, alice):
    goes(account)
    for _ in range(2):
        telling.gather(notices.owner_of(account))
    soon()

    assert len(mails_to(alice)) == 1


# --- settings of the operator


@pytest.mark.parametrize(
    ("value", "host", "port", "starttls", "ssl"),
    [
        ("smtp://navi:pass%2Fword@mail.example.org:587?tls=starttls", "mail.example.org", 587, True, False),
        ("smtp://mail.example.org", "mail.example.org", 587, True, False),
        ("smtp://127.0.0.1:2525?tls=none", "127.0.0.1", 2525, False, False),
        ("smtps://navi:secret@mail.example.org", "mail.example.org", 465, False, True),
    ],
)
def test_a_mail_server_is_one_address(monkeypatch, value, host, port, starttls, ssl):
    monkeypatch.setenv("NAVI_EMAIL_URL", value)

    server = env.mail_server("NAVI_EMAIL_URL")

    assert server
    assert (server.host, server.port, server.starttls, server.ssl) == (host, port, starttls, ssl)


def test_its_password_may_come_from_a_file_and_is_not_printed(monkeypatch, tmp_path):
    (tmp_path / "mail").write_text("smtps://navi:pass%2Fword@mail.example.org\n")
    monkeypatch.setenv("NAVI_EMAIL_URL_FILE", str(tmp_path / "mail"))

    server = env.mail_server("NAVI_EMAIL_URL")

    assert server
    assert (server.user, server.password) == ("navi", "pass/word")
    assert "pass/word" not in repr(server)


@pytest.mark.parametrize(
    "value",
    [
        "mail.example.org", "http://navi:hunter2@mail.example.org", "smtp://navi:hunter2@mail.example.org:x",
        "smtp://navi:hunter2@mail.example.org?tls=maybe", "smtps://navi:hunter2@mail.example.org?tls=starttls",
        "smtp://navi:hunter2@:587", "smtp://navi:hunter2@mail.example.org/box", "smtp://:hunter2@mail.example.org",
        "smtp://navi:hunter2@mail.example.org?verify=no", "smtp://navi:hunter2@[mail.example.org",
    ],
)  # fmt: skip
def test_a_bad_one_stops_the_start_without_saying_the_password(monkeypatch, value):
    monkeypatch.setenv("NAVI_EMAIL_URL", value)

    with pytest.raises(ImproperlyConfigured, match=r"^NAVI_EMAIL_URL ") as stopped:
        env.mail_server("NAVI_EMAIL_URL")

    assert "hunter2" not in str(stopped.value)


def test_mails_need_a_sender(monkeypatch):
    monkeypatch.delenv("NAVI_EMAIL_FROM", raising=False)
    with pytest.raises(ImproperlyConfigured, match=r"^NAVI_EMAIL_FROM is empty; NAVI_EMAIL_URL needs it"):
        env.sender("NAVI_EMAIL_FROM", needed_by="NAVI_EMAIL_URL")

    monkeypatch.setenv("NAVI_EMAIL_FROM", "nobody")
    with pytest.raises(ImproperlyConfigured, match="write it as Navi <navi@"):
        env.sender("NAVI_EMAIL_FROM")
