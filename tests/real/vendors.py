"""Authorization servers that nobody here wrote, each in a process of its own, and a plugin that knows them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote_plus

import httpx2
import pytest

from integrations.sdk import Client, Identity, OAuth2, Plugin, Revoke
from navi.settings import DATA_DIR
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
NAVI = "https://navi.example"
CALLBACK = f"{NAVI}/oauth/callback"
# The newest that runs on Node 18, 20 and 22; version 9 wants 22.
OIDC_PROVIDER = "oidc-provider@8.8.1"
SECRET = "Vh7+q/2=k%2Bw&x:Qz"  # what the ways of sending a secret must write differently
ALWAYS = ("openid", "offline_access", "profile")
NOTES = {"notes:read": "Read notes", "notes:write": "Write notes"}


@dataclass(frozen=True)
class Registered:
    """Navi as it is registered at a vendor's. `way` is how it shows who it is at the token endpoint."""

    client_id: str
    client_secret: str
    way: str
    redirect_uri: str = CALLBACK


CLIENTS = {
    "body": Registered("navi-body", SECRET, "body"),
    "basic": Registered("navi-basic", SECRET, "basic"),
    "none": Registered("navi-public", "", "none"),
    "of another project": Registered("navi-second", SECRET + "2", "body"),
}
PEOPLE = {"alice": "Alice at Notes", "bob": "Bob at Notes"}
PASSWORD = "walks 7 dogs"


@dataclass(frozen=True)
class Vendor:
    """Where an authorization server is, and what it calls things."""

    kind: str
    origin: str
    authorize: str
    token: str
    revoke: str
    me: str

    def oauth(self, way: str = "body", *, origin: str = "", **other: Any) -> OAuth2:
        """Its facts, as a plugin tells them; `other` takes their place."""
        at = origin or self.origin
        facts: dict[str, Any] = {
            "authorize_url": at + self.authorize, "token_url": at + self.token,
            "revoke": Revoke(at + self.revoke, client_auth="basic" if way == "basic" else "body"),
            "scopes": {**dict.fromkeys(ALWAYS, "Who you are"), **NOTES}, "always": ALWAYS,
            "client_auth": way, "extra": {"prompt": "consent"}, "rotates": True, "reuse_revokes": True,
        }  # fmt: skip
        return OAuth2(**{**facts, **other})

    def plugin(self, facts: OAuth2, *, origin: str = "") -> Plugin:
        made = Plugin(slug="notes", name="Notes", base_url=origin or self.origin, auth=facts)

        @made.health
        def who(client: Client) -> Identity:
            person = client.get(self.me).json()
            return Identity(label=person["name"], account_id=person["sub"])

        @made.action()
        def whoami(client: Client) -> dict[str, Any]:
            """Say whose notes they are."""
            found: dict[str, Any] = client.get(self.me).json()
            return found

        return made

    # --- asked past Navi

    def person(self, access_token: str) -> str:
        """Whom the vendor takes the bearer of this token for; nobody where it does not know it."""
        answer = httpx2.get(
            self.origin + self.me, headers={"Authorization": f"Bearer {access_token}"}, trust_env=False
        )
        assert answer.status_code in {200, 401}, answer.text
        return str(answer.json()["sub"]) if answer.status_code == 200 else ""

    def refreshed(self, refresh_token: str, client: Registered) -> str:
        """What the vendor says to this refresh token: the error, or nothing where it still works."""
        given = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return str(self.asked(self.token, client, given).json().get("error", ""))

    def redeemed(self, client: Registered, **given: str) -> str:
        """What the vendor says to a code: the error, or nothing where it gives tokens for it."""
        body = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, **given}
        return str(self.asked(self.token, client, body).json().get("error", ""))

    def forget(self, token: str, client: Registered) -> None:
        assert self.asked(self.revoke, client, {"token": token}).status_code == 200

    def asked(self, path: str, client: Registered, given: dict[str, str]) -> httpx2.Response:
        pair = (client.client_id, quote_plus(client.client_secret))
        who = {"client_id": client.client_id} if client.way != "basic" else {}
        secret = {"client_secret": client.client_secret} if client.way == "body" else {}
        return httpx2.post(
            self.origin + path, data={**given, **who, **secret}, auth=pair if client.way == "basic" else None,
            trust_env=False,
        )  # fmt: skip


# --- django-oauth-toolkit


@contextmanager
def toolkit(folder: Path) -> Iterator[Vendor]:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "gunicorn", "tests.real.authorization_server.wsgi", "-b", f"127.0.0.1:{port}",
        "--threads", "4", "--log-level", "critical",
    ]  # fmt: skip
    with running(command, port, env={**os.environ, **toolkits_environment(folder, origin)}):
        yield Vendor("toolkit", origin, "/o/authorize/", "/o/token/", "/o/revoke_token/", "/me")


def toolkits_environment(folder: Path, origin: str) -> dict[str, str]:
    known = ("client_id", "client_secret", "redirect_uri")
    clients = [{name: asdict(client)[name] for name in known} for client in CLIENTS.values()]
    return {
        "DJANGO_SETTINGS_MODULE": "tests.real.authorization_server.settings",
        "AUTHORIZATION_SERVER_FOLDER": str(folder),
        "AUTHORIZATION_SERVER_ORIGIN": origin,
        "AUTHORIZATION_SERVER_CLIENTS": json.dumps(clients),
        "AUTHORIZATION_SERVER_PEOPLE": json.dumps([[who, name, PASSWORD] for who, name in PEOPLE.items()]),
    }


# --- npm's oidc-provider


@contextmanager
def oidc_provider() -> Iterator[Vendor]:
    """Skips where Node or the package cannot be had."""
    folder, port = installed_oidc_provider(), free_port()
    command = ["node", str(Path(__file__).with_name("oidc_provider.mjs")), str(folder), str(port)]
    told = {"clients": [asdict(one) for one in CLIENTS.values()], "people": list(PEOPLE.items())}
    with running(command, port, told=json.dumps(told)):
        yield Vendor(
            "oidc-provider", f"http://127.0.0.1:{port}", "/auth", "/token", "/token/revocation", "/me"
        )


def installed_oidc_provider() -> Path:
    """The folder that it is installed in; one of the tests' processes installs it, the others wait."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("oidc-provider needs Node and npm, which are not here")
    folder = DATA_DIR / "tests" / OIDC_PROVIDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            install(folder)
    return folder


def install(folder: Path) -> None:
    # Without a package.json of its own, npm installs into a folder further up that has one.
    (folder / "package.json").write_text('{"private": true}\n')
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", OIDC_PROVIDER]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install {OIDC_PROVIDER}: {done.stderr[-500:]}")
    (folder / "installed").touch()


# --- processes


@contextmanager
def running(
    command: list[str], port: int, *, told: str = "", env: dict[str, str] | None = None
) -> Iterator[None]:
    """A server of our own, until the tests are over."""
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            hand_over(server, told)
            wait_for(port, server, said)
            yield
        finally:
            server.terminate()
            server.wait(timeout=60)


def hand_over(server: subprocess.Popen[str], told: str) -> None:
    assert server.stdin is not None
    with suppress(BrokenPipeError), server.stdin:
        server.stdin.write(told)


def wait_for(port: int, server: subprocess.Popen[str], said: IO[str]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    said.seek(0)
    raise AssertionError(f"{server.args!r} did not start: {said.read()[-2000:]}")
