"""Google's Pub/Sub signs a token: checked with its public keys, for our address, from the account we expect."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import RSAAlgorithm

from integrations.runtime import jwks
from integrations.sdk import Headers, Incoming, Response, SignedJwt, TryLater

URL = "https://navi.example/hooks/0123"
SENDER = "push@acme.iam.gserviceaccount.com"
PROOF = SignedJwt(
    "https://www.googleapis.com/oauth2/v3/certs", ("https://accounts.google.com",), "push_account"
)


@pytest.fixture(scope="module")
def key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def another_key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Keys:
    """The vendor's list of keys, as Navi's way out would fetch it."""

    def __init__(self, key: Any) -> None:
        self.keys = {"k1": key}
        self.asked, self.is_down, self.cache = 0, False, "public, max-age=20000"

    def send(self, method: str, url: str, **_: Any) -> Response:
        self.asked += 1
        if self.is_down:
            raise TryLater("down")
        rows = [
            json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": name}
            for name, key in self.keys.items()
        ]
        rows.append({"kty": "EC", "kid": "curve"})
        return Response(200, Headers({"Cache-Control": self.cache}), json.dumps({"keys": rows}).encode())


@pytest.fixture
def google(key, monkeypatch) -> Any:
    found = Keys(key)
    monkeypatch.setattr(jwks, "outbound", lambda **_: found)
    jwks.start_anew()
    yield found
    jwks.start_anew()


def token(key: Any, *, kid: str | None = "k1", algorithm: str = "RS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "https://accounts.google.com", "aud": URL, "iat": now, "exp": now + 600, "email": SENDER,
        "email_verified": True, **changes,
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def proves(text: str, *, email: str | None = SENDER) -> bool:
    incoming = Incoming("POST", Headers({"Authorization": f"Bearer {text}"}), {}, b"{}", URL)
    return jwks.proves(PROOF, incoming, upstream_of="google", email=email)


def test_a_good_token_proves_it(google, key):
    assert proves(token(key))


WRONG: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "https://navi.example/hooks/4567"},
    "several audiences": {"aud": [URL, "https://elsewhere.example"]},
    "another issuer": {"iss": "https://evil.example"},
    "another account": {"email": "mallory@evil.iam.gserviceaccount.com"},
    "an unverified address": {"email_verified": False},
    "a word for the truth": {"email_verified": "true"},
    "expired": {"exp": int(time.time()) - 120},
    "from the future": {"iat": int(time.time()) + 3600},
    "without an end": {"exp": None},
    "without an audience": {"aud": None},
    "without an issuer": {"iss": None},
}


@pytest.mark.parametrize("how", WRONG)
def test_a_token_that_says_something_else_is_refused(google, key, how):
    assert not proves(token(key, **WRONG[how]))


def test_the_clocks_may_differ_by_a_minute(google, key):
    now = int(time.time())

    assert proves(token(key, exp=now - 30))
    assert proves(token(key, iat=now + 30))


def test_another_key_is_refused(google, another_key):
    assert not proves(token(another_key))


def test_no_other_algorithm_is_taken(google, key):
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    assert not proves(token("a" * 64, algorithm="HS256"))
    assert not proves(token(key, algorithm="RS512"))
    assert not proves(jwt.encode({"iss": "x"}, "", algorithm="none", headers={"kid": "k1"}))
    assert pem


@pytest.mark.parametrize("odd", ["", "a.b.c", "é", "x" * 9000, "..", "e30.e30.e30"])
def test_an_odd_token_is_a_no(google, odd):
    assert not proves(odd)


def test_without_the_wanted_account_nothing_is_proven(google, key):
    assert not proves(token(key), email="")
    assert google.asked == 0


def test_the_keys_are_kept(google, key):
    for _ in range(5):
        assert proves(token(key))

    assert google.asked == 1


def test_an_unknown_key_asks_once_and_not_each_time(google, key, another_key, monkeypatch):
    assert proves(token(key))
    for _ in range(5):
        assert not proves(token(another_key, kid="k2"))
    was = google.asked
    google.keys["k2"] = another_key
    for keys in jwks._known.values():
        keys.fetched_at -= 31

    assert was == 1
    assert proves(token(another_key, kid="k2"))
    assert google.asked == 2


def test_keys_that_cannot_be_had_make_the_vendor_come_again(google, key):
    google.is_down = True

    with pytest.raises(TryLater):
        proves(token(key))


def test_short_lives_are_not_believed(google, key):
    google.cache = "max-age=0"

    assert proves(token(key))
    assert proves(token(key))
    assert google.asked == 1
