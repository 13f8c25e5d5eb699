"""A port for a server that is started later: none that the system gives to somebody else meanwhile."""

import random
import socket


def free_port() -> int:
    """Return a port of this machine that nobody holds, below those that Linux and macOS give to connections.

    One that bind(0) gave and that was closed again may be anybody's a moment later: tests run side by side.
    """
    draw = random.SystemRandom()  # not the tests' own, which are seeded alike
    while True:
        port = draw.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
