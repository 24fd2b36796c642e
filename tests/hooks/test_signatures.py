"""The vectors of vendors' own libraries and documents (reference/vendors.md, 2.3), and what must never pass."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from integrations.sdk import Headers, Hmac, Incoming, SharedToken
from integrations.sdk.schemes import (
    AIRTABLE,
    GITHUB,
    HUBSPOT,
    SCHEMES,
    SLACK,
    STANDARD,
    STRIPE,
    TRELLO,
    ZOOM,
    zoom_token,
)
from integrations.sdk.signatures import new_secret, proves, signature

SLASH = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
    b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
    b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
    b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
TODOIST = Hmac("X-Todoist-Hmac-SHA256", encoding="base64")
LINEAR = Hmac("Linear-Signature", timestamp_field="webhookTimestamp", timestamp_unit="ms", tolerance=60)
NOTION = Hmac("X-Notion-Signature", prefix="sha256=")
PLAIN = Hmac("X-Signature")
LINEARS = b'{"action":"create","type":"Issue","webhookTimestamp":1780000000000}'
NOW = 1780000000

# Name: proof, secret, body, headers beside the signature, signature, now.
VECTORS = {
    "github": (GITHUB, "It's a Secret to Everybody", b"Hello, World!", {},
               "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", NOW),
    "slack": (SLACK, "8f742231b10e8888abcd99yyyzzz85a5", SLASH, {"X-Slack-Request-Timestamp": "1531420618"},
              "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", 1531420618),
    "todoist": (TODOIST, "navi-client-secret", b'{"event_name":"item:added","user_id":"2671355","version":"10"}',
                {}, "cRLpxob+8ULC8b14JZZyrC8iLZ70acnt0mgEeHZDOc4=", NOW),
    "linear": (LINEAR, "lin_wh_secret", LINEARS, {},
               "9d0e38b8ef81438ac7cd377574c5b4a86dd6a61eea08808670fad389ae4c2edb", NOW),
    "notion": (NOTION, "secret_navi_vt", b'{"id":"e1","type":"page.created"}', {},
               "sha256=05a25f1b4672b5644cdb165074a3b2140979e765ca4749480fbf246a4f6f8a5c", NOW),
    "stripe": (STRIPE, "whsec_navi", b'{"id":"evt_1","object":"event"}', {},
               "t=1780000000,v1=ee19b11b675da367d3fd7a6cc1618cfc113651f9cf67a2ff38bc8c1fe5745755", NOW),
    "hubspot": (HUBSPOT, "cs", b'{"a":1}', {"X-HubSpot-Request-Timestamp": "1780000000000"},
                "oxBHe1BG8cDPj8JpHU5JOMSOcFTsHVpAnauUcTr0v/w=", NOW),
    "standard": (STANDARD, "whsec_" + base64.b64encode(b"navi-secret").decode(), b'{"x":1}',
                 {"webhook-id": "msg_1", "webhook-timestamp": "1780000000"},
                 "v1,yBEALWhuSpLiK4x3EwiM8T8HwqEb2ynRz38QrXAnJTI=", NOW),
    "airtable": (AIRTABLE, "bmF2aQ==", b'{"x":1}', {},
                 "hmac-sha256=c9b3b25c49e4f3f43ea00b99319b056d9324370db721e9a4354c1b7e12abaac8", NOW),
    "zoom": (ZOOM, "zoomsecret", b'{"x":1}', {"x-zm-request-timestamp": "1780000000"},
             "v0=f9c2198e2499b96b4c71e407ce862ef0da8912136123bce3d96c435890189b11", NOW),
    "trello": (TRELLO, "trellosecret", b'{"x":1}', {}, "E8O640Nxn5SeFz/OJHqpmRPpM+c=", NOW),
    "sentry, dropbox, asana": (PLAIN, "navi-secret", b'{"x":1}', {},
                               "476827e1e387b47b909c45a4c07e7fdfb22e5455493f55c8fb9438d7871842cf", NOW),
}  # fmt: skip
URLS = {"hubspot": "https://navi.example/hooks", "trello": "https://navi.example/t"}
names = pytest.mark.parametrize("name", VECTORS)


def sent(name: str, *, header: str | None = None, body: bytes | None = None, **headers: str) -> Incoming:
    proof, _, content, beside, offered, _ = VECTORS[name]
    found = {**beside, proof.header: offered if header is None else header, **headers}
    return Incoming(
        "POST",
        Headers(found),
        {},
        content if body is None else body,
        URLS.get(name, "https://navi.example/h"),
    )


def holds(name: str, incoming: Incoming, *, secrets: list[str] | None = None, later: float = 0) -> bool:
    proof, secret, *_, now = VECTORS[name]
    return proves(proof, incoming, [secret] if secrets is None else secrets, now=now + later)


@names
def test_the_vector_is_accepted(name):
    assert holds(name, sent(name))


@names
def test_one_changed_byte_is_refused(name):
    body = VECTORS[name][2]

    assert not holds(name, sent(name, body=body + b" "))
    assert not holds(name, sent(name, body=body[:-1]))
    assert not holds(name, sent(name, body=bytes([body[0] ^ 1]) + body[1:]))


@names
def test_another_secret_none_and_an_empty_one_are_refused(name):
    assert not holds(name, sent(name), secrets=["another secret"])
    assert not holds(name, sent(name), secrets=[])
    assert not holds(name, sent(name), secrets=["", ""])


@names
def test_either_of_two_secrets_proves(name):
    secret = VECTORS[name][1]

    assert holds(name, sent(name), secrets=["bmV3", secret])
    assert holds(name, sent(name), secrets=[secret, "bmV3"])


ODD_HEADERS = ["", "ü" * 64, "sha256=", "v0=", "\x00", "0" * 64, "sha256=" + "0" * 64, "z" * 9999, "t=1,v1="]


@names
@pytest.mark.parametrize("odd", ODD_HEADERS, ids=range(len(ODD_HEADERS)))
def test_an_odd_signature_is_a_no_and_never_an_exception(name, odd):
    assert not holds(name, sent(name, header=odd))


@names
def test_capital_hex_and_loose_base64_are_not_taken(name):
    proof, *_, offered, _ = VECTORS[name]
    if proof.encoding == "hex":
        head, found, rest = offered.rpartition("=") if "=" in offered else ("", "", offered)
        loose = f"{head}{found}{rest.upper()}"
    else:
        loose = offered.rstrip("=")

    assert not holds(name, sent(name, header=loose))
    assert not holds(name, sent(name, header=offered + "\n"))


# --- time


TIMED = {name: row for name, row in VECTORS.items() if row[0].tolerance}
timed = pytest.mark.parametrize("name", TIMED)


@timed
def test_it_holds_within_the_tolerance_both_ways_and_no_longer(name):
    tolerance = TIMED[name][0].tolerance

    assert holds(name, sent(name), later=tolerance - 1)
    assert holds(name, sent(name), later=1 - tolerance)
    assert not holds(name, sent(name), later=tolerance + 1)
    assert not holds(name, sent(name), later=-tolerance - 1)


def timestamped(proof: Hmac, secret: str, body: bytes, text: str) -> Incoming:
    """Correctly signed, with this text for a timestamp."""
    beside = {"webhook-id": "msg_1"} if proof.id_header else {}
    try:
        made = signature(proof, Incoming("POST", Headers(beside), {}, body), secret, timestamp=text)
    except ValueError:
        made = proof.prefix + "0" * 64
    if proof.timestamp_prefix:
        return Incoming("POST", Headers({proof.header: f"t={text},{made}"}), {}, body)
    return Incoming("POST", Headers({**beside, proof.header: made, proof.timestamp_in: text}), {}, body)


ODD_TIMES = [
    f"+{NOW}", f" {NOW}", f"{NOW} ", f"{NOW}\n", "1_780_000_000", "١٧٨٠٠٠٠٠٠٠", f"{NOW}.0", f"-{NOW}", "1.78e9",
    "0x6a18f500", "", "9" * 5000, "NaN", "1" * 16, f"{NOW},{NOW}",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in TIMED if TIMED[name][0].timestamp_in])
@pytest.mark.parametrize("odd", ODD_TIMES, ids=range(len(ODD_TIMES)))
def test_a_timestamp_is_digits_and_nothing_else(name, odd):
    proof, secret, body, *_, now = TIMED[name]
    plain = str(now * 1000 if proof.timestamp_unit == "ms" else now)

    assert proves(proof, timestamped(proof, secret, body, plain), [secret], now=now)
    assert not proves(proof, timestamped(proof, secret, body, odd), [secret], now=now)


@pytest.mark.parametrize(
    "odd",
    [b'"+1780000000000"', b"1.78e12", b"true", b"null", b"9" * 5000, b"[1780000000000]", b"-1780000000000"],
)
def test_a_timestamp_in_the_body_is_digits_too(odd):
    body = b'{"webhookTimestamp":' + odd + b"}"
    made = signature(LINEAR, Incoming("POST", Headers(), {}, body), "s")

    assert not proves(LINEAR, Incoming("POST", Headers({"Linear-Signature": made}), {}, body), ["s"], now=NOW)


def test_a_body_without_its_timestamp_is_refused():
    body = b'{"action":"create"}'
    made = signature(LINEAR, Incoming("POST", Headers(), {}, body), "s")

    assert not proves(LINEAR, Incoming("POST", Headers({"Linear-Signature": made}), {}, body), ["s"], now=NOW)


# --- several signatures in one header


def test_stripe_may_send_several_and_one_must_hold():
    good = VECTORS["stripe"][4].partition(",")[2]

    assert holds("stripe", sent("stripe", header=f"t=1780000000,v0={'1' * 64},v1={'0' * 64},{good}"))
    assert not holds("stripe", sent("stripe", header=f"t=1780000000,t=1780000001,{good}"))
    assert not holds("stripe", sent("stripe", header=good))


def test_standard_may_send_several_and_one_must_hold():
    good = VECTORS["standard"][4]

    assert holds("standard", sent("standard", header=f"v1a,abc v1,AAAA {good}"))
    assert not holds("standard", sent("standard", header=" ".join(["v1,AAAA"] * 30 + [good])))


def test_a_standard_message_needs_its_id():
    *_, offered, _ = VECTORS["standard"]
    incoming = Incoming(
        "POST", Headers({"webhook-timestamp": "1780000000", "webhook-signature": offered}), {}, b'{"x":1}'
    )

    assert not holds("standard", incoming)


def test_a_secret_of_another_form_proves_nothing():
    assert not holds("standard", sent("standard"), secrets=["whsec_not base64!", "whsec_", "naïve"])


def test_hubspot_binds_the_method_and_the_address():
    incoming = sent("hubspot")

    assert not holds("hubspot", replace(incoming, method="GET"))
    assert not holds("hubspot", replace(incoming, url="https://elsewhere.example/hooks"))


# --- the secret itself


def test_a_shared_token_in_a_header():
    proof = SharedToken("X-Gitlab-Token")

    def said(token: str) -> bool:
        return proves(proof, Incoming("POST", Headers({"X-Gitlab-Token": token}), {}, b""), ["s3cret"], now=0)

    assert said("s3cret")
    assert not any(said(odd) for odd in ("", "S3CRET", "s3cret ", "s3cré", "s3cret, s3cret"))


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (b'{"value":[{"clientState":"s3cret"}]}', True),
        (b'{"value":[{"clientState":"s3cret"},{"clientState":"s3cret"}]}', True),
        (b'{"value":[{"clientState":"s3cret"},{"clientState":"guess"}]}', False),
        (b'{"value":[{"clientState":"s3cret"},{}]}', False),
        (b'{"value":[]}', False),
        (b'{"value":{"clientState":"s3cret"}}', True),
        (b'{"value":[{"clientState":["s3cret"]}]}', False),
        (b"[]", False),
        (b"no json", False),
        (b'{"value":[{"clientState":null}]}', False),
    ],
)
def test_microsofts_client_state_must_stand_in_every_change(body, holds):
    proof = SCHEMES["microsoft"].proof

    assert proves(proof, Incoming("POST", Headers(), {}, body), ["s3cret"], now=0) is holds


def test_zooms_question_is_answered_with_its_hash():
    body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}'

    greeting = zoom_token(Incoming("POST", Headers(), {}, body), ["zoomsecret"])

    assert greeting
    assert "83b2a60d4bbe49dc93763ed9e727a9a7690cbe4c1f8bb0adc0ffccd09ecb1384" in greeting.reply.body


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_accepts_what_is_signed_with_a_fresh_secret_of_ours(name):
    proof = SCHEMES[name].proof
    secret = new_secret(proof)
    if isinstance(proof, SharedToken):
        body = b'{"value":[{"clientState":"%s"}],"passcode":"%s"}' % (secret.encode(), secret.encode())
        incoming = Incoming("POST", Headers({proof.header: secret} if proof.header else {}), {}, body)
    else:
        text = str(NOW * 1000 if proof.timestamp_unit == "ms" else NOW)
        incoming = timestamped(proof, secret, b"{}", text if proof.timestamp_in else "")

    assert proves(proof, incoming, [secret], now=NOW)
    assert not proves(proof, incoming, [new_secret(proof)], now=NOW)
