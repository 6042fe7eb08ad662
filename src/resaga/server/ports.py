"""Free ports on this machine, kept for the one who asked."""

from __future__ import annotations

import errno
import random
import socket
import sys
from contextlib import ExitStack

from resaga.server.errors import StartFailed

__all__ = ["Ports"]

FIRST, LAST = 12_000, 32_000
"""Below the range that the system takes the near ends of connections from: a client that keeps
connecting to a port of that range, while its server restarts, may end up connected to itself."""

TRIES = 200


class Ports:
    """Ports that stay taken until `release`, also while their server restarts.

    A port is taken by binding it, without listening. On Linux a server that sets
    ``SO_REUSEADDR``, as servers do, can bind it all the same, and everybody who looks for a free
    port passes it by. That matters, because granian sets ``SO_REUSEPORT`` too: two of them on the
    same port would share its connections, and nobody would be told. On other systems the server
    could not bind a port that is held so; there the port is only found, not held.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    def take(self, host: str, wanted: int | None, *, what: str) -> int:
        """Take `wanted`, or any free port if that is None.

        Raises:
            StartFailed: `wanted` is in use, or nothing is free.
        """
        if wanted is not None:
            try:
                self._bind(host, wanted, told=True)
            except OSError as error:
                raise StartFailed(
                    f"port {wanted} of {host}, meant for {what}, cannot be used: {error.strerror}."
                    " End what uses it, or give another port (None picks a free one)"
                ) from error
            return wanted
        # Not the shared generator: tests seed that, each of their processes with the same seed.
        pick = random.SystemRandom()
        for _ in range(TRIES):
            port = pick.randrange(FIRST, LAST)
            try:
                self._bind(host, port, told=False)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise StartFailed(f"{what} cannot listen on {host}: {error}") from error
            else:
                return port
        raise StartFailed(f"no free port on {host} for {what} among {FIRST} to {LAST - 1}")

    def release(self) -> None:
        """Give all ports back."""
        self._held.close()

    def _bind(self, host: str, port: int, *, told: bool) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with ExitStack() as stack:
            held = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            if told:
                # Connections of its last user may linger; only one that listens is in the way.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((host, port))
            if sys.platform == "linux":
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._held.push(stack.pop_all())
