"""Ports for servers that tests start as processes of their own."""

import random
import socket

# Below the range from which Linux and macOS hand out ports by themselves: there, another test's server may
# get the port between our look and our server's start, and then answers in its place.
CHOSEN_BY_HAND = range(18_000, 32_000)


def free_port() -> int:
    for port in random.SystemRandom().sample(CHOSEN_BY_HAND, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("No free port among a hundred tried.")
