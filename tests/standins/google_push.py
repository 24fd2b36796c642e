"""How the Google stand-in calls by itself: notices in their order, and Pub/Sub's signature."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections import deque
from functools import cache
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from tests.standins.google_shape import Fields, Notice, base64url

CERTS = "/oauth2/v3/certs"
KEY_ID = "the-stand-ins-key-1"
ISSUER = "https://accounts.google.com"
PATIENCE = 10.0  # seconds for one answer


class Post:
    """Notices go out one after the other, beside the requests that caused them.

    `answers` says what came back, in order: a status, or 0 where nobody answered. Nothing is repeated by
    itself: `again` does.
    """

    def __init__(self) -> None:
        self._waiting: deque[Notice] = deque()
        self._out: list[Notice] = []
        self._turn = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.answers: list[int] = []

    def put(self, notice: Notice) -> None:
        self._waiting.append(notice)

    def deliver(self) -> None:
        """Send what waits, without waiting for it."""
        if self._waiting:
            thread = threading.Thread(target=self._send, daemon=True)
            self._threads.append(thread)
            thread.start()

    def again(self) -> None:
        self._waiting.extend(self._out)
        self.deliver()

    def arrived(self) -> list[int]:
        """Send what waits, wait until all is out, and say what was answered."""
        self.deliver()
        for thread in list(self._threads):
            thread.join()
        return self.answers

    def told(self) -> list[Fields]:
        """All that went out, with its answers, for a test in another process."""
        answers = self.arrived()
        return [{"url": one.url, "answer": answer} for one, answer in zip(self._out, answers, strict=False)]

    def _send(self) -> None:
        with self._turn:
            while self._waiting:
                notice = self._waiting.popleft()
                self._out.append(notice)
                self.answers.append(sent(notice))


def sent(notice: Notice) -> int:
    try:
        answer = httpx2.post(notice.url, content=notice.body, headers=notice.headers, timeout=PATIENCE)
    except httpx2.HTTPError:
        return 0
    return int(answer.status_code)


# --- signing


@cache
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def keys() -> Fields:
    """The public half, as a JWK set."""
    numbers = private_key().public_key().public_numbers()
    modulus, exponent = (
        base64url(value.to_bytes((value.bit_length() + 7) // 8)) for value in (numbers.n, numbers.e)
    )
    facts = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID}
    return {"keys": [{**facts, "n": modulus, "e": exponent}]}


def signed(email: str, audience: str, now: int | None = None, **more: Any) -> str:
    """What Pub/Sub shows: a token for the audience, signed by the stand-in's Google. `more` overrides claims."""
    moment = int(time.time()) if now is None else now
    claims = {
        "iss": ISSUER, "aud": audience, "azp": "113774264463038321964", "sub": "113774264463038321964",
        "email": email, "email_verified": True, "iat": moment, "exp": moment + 3600, **more,
    }  # fmt: skip
    head = {"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}
    said = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims))
    signature = private_key().sign(said, PKCS1v15(), SHA256())
    return f"{said.decode()}.{base64url(signature)}"
