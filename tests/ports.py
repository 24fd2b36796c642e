"""Ports for servers that tests start as processes of their own."""

import os
import random
import socket

# Below the range from which Linux and macOS hand out ports by themselves: there, another test's server may
# get the port between our look and our server's start, and then answers in its place.
CHOSEN_BY_HAND = range(18_000, 32_000)
# Tests that run beside each other have ports of their own, so that none is given twice before a server has it.
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
given: set[int] = set()


def free_port() -> int:
    ours = [port for port in CHOSEN_BY_HAND[PROCESS::PROCESSES] if port not in given]
    for port in random.SystemRandom().sample(ours, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            given.add(port)
            return port
    raise OSError("No free port among a hundred tried.")
