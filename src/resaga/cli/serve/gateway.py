"""What stands between Restate and the app in a worker: signatures, and an end that loses nothing.

On a signal to end, each attempt is told that its input is over, as Restate itself does with an
attempt that is idle. One that waits then suspends at once, and one in whose action something
happens suspends when the result is on its way to the journal; Restate goes on with both on
another worker. New attempts are refused meanwhile, and Restate tries them elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, Protocol, TypeAlias, cast

from restate import server as sdk

__all__ = ["App", "Gateway", "Verifier", "verifier_of"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

logger: Final = logging.getLogger("resaga.serve")

# Part of the SDK's own server, where they have no types.
_UNSIGNED = cast("type[Exception]", cast("Any", sdk).IdentityVerificationException)

TAKEN: Final = timedelta(seconds=5)
"""How long the server may take to end the input of an attempt that has said its last word."""

INPUT_OVER: Final[Message] = {"type": "http.request", "body": b"", "more_body": False}


class Verifier(Protocol):
    """Tells whether a request is signed."""

    def verify(self, headers: list[tuple[str, str]], path: str) -> None:
        """Raise an error if it is not."""
        ...


def verifier_of(identity_keys: Sequence[str]) -> Verifier:
    """The SDK's verifier for some public keys.

    Raises:
        ValueError: One of them is no key.
    """
    return cast("Verifier", cast("Any", sdk).PyIdentityVerifier(list(identity_keys)))


class Gateway:
    """An ASGI app around the user's.

    Args:
        app: The user's app.
        identity_keys: Public keys; a request that none of them has signed is refused with 401.
            Without keys none is.
        threads: How many plain functions run at a time; ``None`` leaves that to Python.
        on_first_request: Called once, in the event loop, before the first request is handled.
    """

    def __init__(
        self,
        app: App,
        *,
        identity_keys: Sequence[str] = (),
        threads: int | None = None,
        on_first_request: Callable[[Gateway], None],
    ) -> None:
        self._app = app
        self._verifier = verifier_of(identity_keys) if identity_keys else None
        self._threads = threads
        self._on_first_request: Callable[[Gateway], None] | None = on_first_request
        self._open: set[_Attempt] = set()
        self._idle = asyncio.Event()
        self._ending = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._on_first_request is not None:
            self._begin()
        path: str = scope.get("path", "")
        if path.endswith("/health"):
            await _answer(send, 503 if self._ending else 200)
        elif self._verifier is not None and not _is_signed(self._verifier, scope, path):
            logger.warning("refused a request without a valid signature", extra={"path": path})
            await _answer(send, 401)
        elif self._ending:
            await _answer(send, 503)
        else:
            await self._pass_on(scope, receive, send)

    async def end(self, grace: timedelta) -> None:
        """Take no more attempts, and let those that are under way come to their end.

        Args:
            grace: How long that may take; what has not ended then is broken off, and Restate
                tries it again elsewhere.
        """
        self._ending = True
        for attempt in self._open:
            attempt.end_input()
        if self._open:
            logger.info("ending: %d attempts are under way", len(self._open))
            try:
                await asyncio.wait_for(self._idle.wait(), grace.total_seconds())
            except TimeoutError:
                logger.warning(
                    "ending: %d attempts did not end within %s; Restate tries them again",
                    len(self._open),
                    grace,
                )

    def _begin(self) -> None:
        first, self._on_first_request = self._on_first_request, None
        if self._threads is not None:
            executor = ThreadPoolExecutor(self._threads, thread_name_prefix="action")
            asyncio.get_running_loop().set_default_executor(executor)
        assert first is not None
        first(self)

    async def _pass_on(self, scope: Message, receive: Receive, send: Send) -> None:
        attempt = _Attempt(receive)
        self._open.add(attempt)

        async def send_on(message: Message) -> None:
            if self._ending and not message.get("more_body", True):
                await attempt.wait_until_taken()
            await send(message)

        try:
            await self._app(scope, attempt.receive, send_on)
        finally:
            attempt.close()
            self._open.discard(attempt)
            if self._ending and not self._open:
                self._idle.set()


class _Attempt:
    """One request, whose input can be ended from here."""

    def __init__(self, receive: Receive) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._over = asyncio.Event()
        self._pump = asyncio.ensure_future(self._take_all(receive))
        self.receive: Receive = self._messages.get

    def end_input(self) -> None:
        self._messages.put_nowait(dict(INPUT_OVER))

    async def wait_until_taken(self) -> None:
        """Wait until the server ends the input itself, which it does when it has our last word.

        The SDK waits for that, too, but takes our own end of the input for the server's. Without
        it the process could be gone before what was sent is on the wire, and the result of an
        action would be lost.
        """
        try:
            await asyncio.wait_for(self._over.wait(), TAKEN.total_seconds())
        except TimeoutError:
            logger.warning("ending: Restate did not acknowledge the end of an attempt in %s", TAKEN)

    def close(self) -> None:
        self._pump.cancel()

    async def _take_all(self, receive: Receive) -> None:
        while True:
            message = await receive()
            self._messages.put_nowait(message)
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                self._over.set()
            if message["type"] == "http.disconnect":
                return


def _is_signed(verifier: Verifier, scope: Message, path: str) -> bool:
    headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]]
    try:
        verifier.verify(headers, path)
    except _UNSIGNED:
        return False
    return True


async def _answer(send: Send, status: int) -> None:
    text = {200: b'{"status":"ok"}', 401: b"the request is not signed by a key of ours"}
    body = text.get(status, b"this worker is about to end")
    kind = b"application/json" if status == 200 else b"text/plain"
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]}
    )
    await send({"type": "http.response.body", "body": body})
