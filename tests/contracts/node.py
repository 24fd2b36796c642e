"""Vendors' own clients for Node, driven from a test: installed by exact version, once for all processes.

    from tests.contracts.node import node

    page = node(SCRIPT, {"@linear/sdk": "98.0.0"}, URL=standin.url, KEY=API_KEY)

The script is an ES module; it reads its arguments from `process.env`, and the last line it prints is JSON.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

INSTALLING, RUNNING = 600, 300  # seconds; the machine may be slow, and npm's registry far


def node(script: str, packages: Mapping[str, str], **env: str) -> Any:
    """Run an ES module with these packages (name: exact version), and return what it printed last, as JSON.

    Fails with what the script said where it does not end well. Skips where there is no Node or no package.
    """
    folder = installed(packages)
    # From standard input a module's imports are looked up from the working directory.
    command = ["node", "--input-type=module"]
    done = subprocess.run(
        command, input=script, cwd=folder, env=surroundings() | env, capture_output=True, text=True,
        timeout=RUNNING, check=False,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{done.stdout[-1000:]}"
    assert lines, "The script printed nothing."
    return json.loads(lines[-1])


def installed(packages: Mapping[str, str]) -> Path:
    """The folder that holds the packages; one of the tests' processes installs them, the others wait."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("The vendor's own client needs Node and npm, which are not here.")
    wanted = sorted(f"{name}@{version}" for name, version in packages.items())
    folder = cache() / hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            install(wanted, folder)
    return folder


def cache() -> Path:
    """Outside the checkout, so that neither its linters nor its tests meet what lies there."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "navi-tests" / "node"


def install(wanted: list[str], folder: Path) -> None:
    # Without a package.json of its own, npm installs into a folder further up that has one.
    (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", *wanted]
    done = subprocess.run(
        command, cwd=folder, env=surroundings(), capture_output=True, text=True, timeout=INSTALLING,
        check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm could not install {' '.join(wanted)}: {done.stderr[-500:]}")
    (folder / "installed").touch()


def surroundings() -> dict[str, str]:
    """What Node and npm need of this process's environment; a proxy must not come between them and a stand-in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NAVI_", "NODE_"))}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
