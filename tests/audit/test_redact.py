"""What is masked, and what must stay readable. No whole credential stands here: scanners read this too."""

import io
import json
import logging
import sys
import time
from datetime import UTC, date, datetime

import pytest

from navi.audit.redact import (
    HIDDEN,
    RedactingFilter,
    known_values,
    names_a_secret,
    redact,
    redact_value,
    remember,
)

RANDOM = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
HEX = "0123456789abcdef0123456789abcdef01234567"

# The beginning that stays, and the rest that goes.
SHAPES = [
    ("navi_at_ADAADAADAADA_", RANDOM + "x7K2p9"),
    ("navi_inv_INVINVINVINV_", RANDOM),
    ("lin_api_", RANDOM),
    ("lin_oauth_", HEX),
    ("lin_wh_", RANDOM),
    ("ntn_", RANDOM),
    ("secret_", RANDOM),
    ("xoxb-", f"123456789012-{RANDOM}"),
    ("xoxp-", f"123456789012-{RANDOM}"),
    ("xoxe.xoxp-", f"1-{RANDOM}"),
    ("xapp-", f"1-A0123-{RANDOM}"),
    ("hooks.slack.com/services/", f"T0123/B0123/{RANDOM}"),
    ("ghp_", RANDOM),
    ("gho_", RANDOM),
    ("ghs_", RANDOM),
    ("ghu_", RANDOM),
    ("ghr_", RANDOM),
    ("github_pat_", f"11AAAA_{RANDOM}"),
    ("glpat-", RANDOM[:20]),
    ("gldt-", RANDOM[:20]),
    ("ya29.", f"a0Af_{RANDOM}-x"),
    ("1//", f"0gabc_{RANDOM}"),
    ("GOCSPX-", RANDOM[:28]),
    ("AIza", RANDOM[:35]),
    ("sk-", RANDOM),
    ("sk-ant-", f"api03-{RANDOM}"),
    ("sk-proj-", RANDOM),
    ("sk_live_", RANDOM),
    ("rk_live_", RANDOM),
    ("rk_", RANDOM),
    ("whsec_", RANDOM),
    ("sntrys_", f"{RANDOM}_{RANDOM}"),
    ("sntryu_", HEX),
    ("ATATT", f"3xFfGF0{RANDOM}=1A2B3C4D"),
    ("hf_", RANDOM),
    ("npm_", RANDOM),
    ("pypi-", RANDOM),
    ("figd_", RANDOM),
    ("SG.", f"{RANDOM[:22]}.{RANDOM}"),
    ("AKIA", "1234567890ABCDEF"),
    ("pat-na1-", "01234567-89ab-cdef-0123-456789abcdef"),
    ("1/1200000000000001:", HEX[:32]),
    ("eyJ", f"hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{RANDOM}"),
]


@pytest.mark.parametrize(("beginning", "rest"), SHAPES, ids=[shape[0] for shape in SHAPES])
@pytest.mark.parametrize(
    "around",
    ["{}", "the key {} is bad", '{{"x":"{}"}}', "x={}&y=1", "b'\\n{}'", "%3D{}", "({})", "a,{},b", "'{}'"],
)
def test_a_credential_goes_by_its_shape_and_leaves_its_beginning(beginning, rest, around):
    told = redact(around.format(beginning + rest))

    assert rest not in told
    assert told == around.format(f"{beginning}…")
    assert redact(told) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Bearer abcdefghijkl", f"Authorization: Bearer {HIDDEN}"),
        ("Authorization: Basic YWxpY2U6aHVudGVyMg==", f"Authorization: Basic {HIDDEN}"),
        ("authorization: 8f14e45fceea167a", f"authorization: {HIDDEN}"),
        ("Authorization: Token 8f14e45fceea", f"Authorization: Token {HIDDEN}"),
        ("{'Authorization': 'Bearer abcdefgh1'}", f"{{'Authorization': 'Bearer {HIDDEN}'}}"),
        ("(b'authorization', b'Bearer abcdefgh1')", f"(b'authorization', b'Bearer {HIDDEN}')"),
        ("sent Bearer 8f14e45fceea167a to it", f"sent Bearer {HIDDEN} to it"),
        ("curl -u x -H 'basic dXNlcjpwYXNz'", f"curl -u x -H 'basic {HIDDEN}'"),
        ("Cookie: navi_session=abc; csrf=def", f"Cookie: {HIDDEN}"),
        ("Set-Cookie: sid=abc; Path=/", f"Set-Cookie: {HIDDEN}"),
        ("postgres://navi:hunter2@db:5432/navi", f"postgres://{HIDDEN}@db:5432/navi"),
        ("redis://:p@ss@10.0.0.1/0", f"redis://{HIDDEN}@10.0.0.1/0"),
        ("https://abcdef@github.com/x.git", f"https://{HIDDEN}@github.com/x.git"),
        ("GET /x?key=abcdef12&page=2", f"GET /x?key={HIDDEN}&page=2"),
        ("GET /x?page=2&access_token=abc", f"GET /x?page=2&access_token={HIDDEN}"),
        ("/x?X-Amz-Signature=abcdef&a=1", f"/x?X-Amz-Signature={HIDDEN}&a=1"),
        ("/x?sig=abc%2Fdef#top", f"/x?sig={HIDDEN}#top"),
        ("/cb?code=8f14e45fceea&state=Zq81Zq82Zq83", f"/cb?code={HIDDEN}&state={HIDDEN}"),
        ("client_secret=abcdef&grant_type=refresh_token", f"client_secret={HIDDEN}&grant_type=refresh_token"),
        ("refresh_token=abcdefgh&x=1", f"refresh_token={HIDDEN}&x=1"),
        ("password=hunter", f"password={HIDDEN}"),
        ("NAVI_DB_PASSWORD=hunter2 up", f"NAVI_DB_PASSWORD={HIDDEN} up"),
        ('{"apiKey": "abc", "page": "x"}', f'{{"apiKey": "{HIDDEN}", "page": "x"}}'),
        ("{'password': 'correct horse'}", f"{{'password': '{HIDDEN}'}}"),
        ('{"password": "it\'s \\"quoted\\"", "n": 1}', f'{{"password": "{HIDDEN}", "n": 1}}'),
        ('"{\\"password\\": \\"abc\\", \\"n\\": 1}"', f'"{{\\"password\\": \\"{HIDDEN}\\", \\"n\\": 1}}"'),
        ("api_key: 8f14e45fceea167a", f"api_key: {HIDDEN}"),
        ("the token is " + HEX, f"the token is {HIDDEN}"),
        ("Todoist token " + HEX, f"Todoist token {HIDDEN}"),
        ("key: " + HEX, f"key: {HIDDEN}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nafter", None),
        ("-----BEGIN PRIVATE KEY-----\\nMIIE cut off", None),
    ],
)
def test_a_credential_goes_by_what_stands_before_it(text, told):
    if told is None:
        assert "MIIE" not in redact(text) and redact(text).endswith(("after", "…"))
    else:
        assert redact(text) == told
        assert redact(redact(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Alice connected Gmail as alice@example.org",
        "navi_at_ADAADAADAADA",
        "Agent token Ada (navi_at_ADAADAADAADA) was rotated",
        f"commit {HEX} by Bob",
        f"sha256 {HEX}{HEX[:24]}",
        "event 3f2504e0-4f89-11d3-9a0c-0305e82c3301 was changed",
        "Basic Authentication is required",
        "basic understanding of tokens",
        "Send Bearer tokens only",
        "Bearer authentication failed",
        "authorization: failed",
        "Authorization is missing",
        "The token is expired; ask for a new one",
        "token: expired",
        "password: must be at least 10 characters",
        "Secret released to Ada",
        "secret.released ok 12 ms",
        "secret_released_at is not a column",
        "max_tokens=4096",
        "token_type=bearer",
        "expires_in=3600",
        "has_secret: true, token=None",
        "token=null&x=1",
        "GET /issues?state=open&sort=created",
        "GET /cb?error=access_denied&code=invalid_grant",
        "GET /api/credentials/linear/token?minTtl=300 200",
        "code=not_connected",
        "    token = token_for(request)",
        "    client = Client(remote, token=token, password=settings.password())",
        "risk-assessment-of-2026-plans-and-more",
        "task-8f14e45fceea167a5a36",
        "sk-button sk-SK",
        "disk-usage-0123456789abcdef",
        "github_pattern and ghost_writer and xoxo",
        "hf_hub and npm_config_registry_for_the_whole_house",
        "see https://navi.example/p/acme/integrations/linear?reconnect=7f3a",
        "https://cdn.example/img@2x.png and mailto:alice@example.org",
        "https://example.org/@alice/notes",
        "ATATURK AIR eyJ 1//2",
        "lin_api_ ntn_ whsec_",
        "kid k3f2a9c1d keyring",
        "monkey: 12345678, turkey = banana9",
        "2026-11-21T12:00:00.123456+00:00",
        "pattern: patABCDEFGHIJKLMN",
    ],
)
def test_ordinary_words_stay(text):
    assert redact(text) == text


def test_keys_of_a_dict_tell_what_is_secret():
    told = redact_value(
        {
            "Authorization": "whatever",
            "apiKey": "abc",
            "x-api-key": "abc",
            "client_secret": 12345,
            "cookie": {"sid": "abc", "n": [1, "x"]},
            "credentials": {"botToken": f"xoxb-{RANDOM}", "username": "bob"},
            "password": None,
            "token": True,
            "headers": [["Authorization", "abc"], ["Accept", "json"]],
            "inner": [{"refresh_token": "abc", "page": 2}],
        }
    )

    assert told == {
        "Authorization": HIDDEN,
        "apiKey": HIDDEN,
        "x-api-key": HIDDEN,
        "client_secret": HIDDEN,
        "cookie": {"sid": HIDDEN, "n": [HIDDEN, HIDDEN]},
        "credentials": {"botToken": "xoxb-…", "username": HIDDEN},
        "password": None,
        "token": True,
        "headers": [["Authorization", HIDDEN], ["Accept", "json"]],
        "inner": [{"refresh_token": HIDDEN, "page": 2}],
    }


@pytest.mark.parametrize(
    "key",
    [
        *[
            "code",
            "state",
            "key",
            "token_id",
            "token_name",
            "tokens",
            "secret_name",
            "hasSecret",
            "max_tokens",
        ],
        *["nextPageToken", "sync_token", "author", "passed", "keyId", "signature_valid", "credential_id"],
    ],
)
def test_keys_that_only_sound_secret_keep_their_values(key):
    assert not names_a_secret(key)


def test_a_value_becomes_plain_json():
    told = redact_value(
        {
            1: (1, 2.5, float("nan")),
            "b": b"abc",
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "day": date(2026, 1, 2),
        }
    )

    assert told == {
        "1": [1, 2.5, "nan"],
        "b": "<3 bytes>",
        "at": "2026-01-02T00:00:00+00:00",
        "day": "2026-01-02",
    }
    assert json.loads(json.dumps(told)) == told


def test_a_text_is_cut_at_a_word_so_that_no_half_of_a_secret_stays():
    secret = "Zq8" * 30
    with known_values([secret]):
        told = [redact_value("word " * n + secret + " end" * 90, longest=100) for n in range(25)]

    assert not [text for text in told if "Zq8" in text]
    assert told[1].startswith("word [hidden]") or told[1].startswith("word … (")
    assert redact_value("x" * 200, longest=100) == "… (200 characters)"


def test_what_was_opened_is_masked_wherever_and_however_it_is_written():
    secret = 'pa ss/"wörd"+1'
    with known_values([secret]):
        written = [
            secret,
            json.dumps(secret),
            repr(secret),
            "pa%20ss%2F%22w%C3%B6rd%22%2B1",
            "pa+ss%2F%22w%C3%B6rd%22%2B1",
        ]
        told = [redact(f"x {text} y") for text in written]

    assert all(HIDDEN in text and "rd" not in text for text in told)
    assert secret in redact(f"x {secret} y")


def test_what_is_opened_twice_at_once_stays_apart():
    with known_values(["correct-horse"]):
        with known_values(["battery-staple"]):
            inside = redact("correct-horse battery-staple")
        outside = redact("correct-horse battery-staple")

    assert inside == f"correct-horse {HIDDEN}"
    assert outside == f"{HIDDEN} battery-staple"


def test_short_values_and_what_is_no_text_are_not_remembered():
    with known_values(["acme", "", None, 12345678, b"12345678"]):
        assert redact("acme paid 12345678") == "acme paid 12345678"


def test_the_lines_of_a_known_private_key_are_masked_one_by_one():
    lines = [f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{n}" for n in range(3)]
    with known_values(["\n".join(lines)]):
        assert redact(f"bad line {lines[1]}!") == f"bad line {HIDDEN}!"


def test_remembering_for_ever_does_not_fill_the_memory():
    with known_values():
        for n in range(1000):
            remember([f"value-number-{n}"])
        assert redact("value-number-999 value-number-1") == f"{HIDDEN} value-number-1"


EVIL = [
    *["token", "://", "eyJ", "sk-", "authorization ", "-----BEGIN PRIVATE KEY-----", "Basic ", "?key=aa"],
    *[
        "password=",
        "secret: ",
        "eyJaaaaaaaaa.",
        "12345678:AA",
        "=ATATT",
        ".1//",
        "://a:b",
        'token="',
        "cookie:",
    ],
    *["cookie: \n", "?code=", "Bearer ", "secret_a", "token'\\", "token':'\\'", "a", "aB", "&a.", "a@", "/"],
]


@pytest.mark.parametrize("evil", EVIL)
def test_no_text_takes_long_to_look_through(evil):
    text = "://1/" + evil * (100_000 // len(evil))
    started = time.process_time()
    redact(text)

    assert time.process_time() - started < 1


@pytest.fixture
def log():
    """A logger as settings.LOGGING makes it, and what it printed."""
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("navi.test")
    logger.addHandler(handler)
    logger.printed = printed.getvalue  # type: ignore[attr-defined]
    return logger


def test_a_log_line_is_masked_in_its_words_and_arguments(log):
    log.info("sent %s to %(x)s" if False else "sent %s to %s", f"lin_api_{RANDOM}", "https://u:p@h.example/")
    log.info(f"Bearer lin_api_{RANDOM}")
    log.info({"password": "hunter2", "n": 1})

    assert log.printed().splitlines() == [
        f"INFO navi.test sent lin_api_… to https://{HIDDEN}@h.example/",
        "INFO navi.test Bearer lin_api_…",
        f"INFO navi.test {{'password': '{HIDDEN}', 'n': 1}}",
    ]


def test_a_traceback_in_the_log_is_masked_and_still_tells_where(log):
    def call_vendor(token):
        try:
            raise ValueError(f"401 for {token}")
        except ValueError as problem:
            raise RuntimeError(f"could not call with password={token}") from problem

    try:
        call_vendor(f"ghp_{RANDOM}")
    except RuntimeError:
        log.exception("Calling %s failed", "GitHub", stack_info=True)

    printed = log.printed()
    assert RANDOM not in printed
    assert "ValueError: 401 for ghp_…" in printed
    assert "could not call with password=" in printed
    assert "in call_vendor" in printed and "Calling GitHub failed" in printed


def test_what_a_request_opened_is_masked_in_its_log(log):
    with known_values(["correct horse battery"]):
        log.warning("oh: %s", "correct horse battery")

    assert log.printed() == f"WARNING navi.test oh: {HIDDEN}\n"


def test_no_handler_after_ours_gets_the_exception_itself():
    try:
        raise ValueError(f"ghp_{RANDOM}")
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "m", None, sys.exc_info())

    RedactingFilter().filter(record)

    assert record.exc_info is None
    assert "ghp_…" in (record.exc_text or "")


def test_a_log_line_that_cannot_be_made_does_not_raise(log, capsys):
    class Broken:
        def __str__(self):
            raise RuntimeError("no words")

        __repr__ = __str__

    log.info("two %s %s", f"ghp_{RANDOM}")
    log.info("broken %s", Broken())
    log.info(Broken())

    printed = log.printed()
    assert RANDOM not in printed + capsys.readouterr().err
    assert printed.count("\n") == 3
