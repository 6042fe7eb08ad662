"""Start and stop as context managers, plain and asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["Lifecycle", "StartAbandoned"]


class StartAbandoned(BaseException):
    """The task that awaits a start was cancelled. It never leaves `Lifecycle`."""


class Lifecycle(ABC):
    """What can be started and stopped, under ``with`` or ``async with``.

    Both forms do the same. ``async with`` starts and stops in a thread, so the loop goes on; a
    cancelled start is broken off, and what it had started is stopped.
    """

    def __init__(self) -> None:
        self._abandoned = threading.Event()

    @abstractmethod
    def start(self) -> None:
        """Start, and return when ready. A start that fails leaves nothing behind."""

    @abstractmethod
    def stop(self) -> None:
        """Stop, and return when everything has ended. Again does nothing."""

    def _check_abandoned(self) -> None:
        """Called wherever a start waits."""
        if self._abandoned.is_set():
            raise StartAbandoned

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        starting = asyncio.ensure_future(asyncio.to_thread(self._start_unless_abandoned))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._abandoned.set()
            await finished(starting)
            self._abandoned.clear()
            await finished(asyncio.ensure_future(asyncio.to_thread(self.stop)))
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stopping = asyncio.ensure_future(asyncio.to_thread(self.stop))
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await finished(stopping)
            raise

    def _start_unless_abandoned(self) -> None:
        with contextlib.suppress(StartAbandoned):
            self.start()


async def finished(task: asyncio.Future[None]) -> None:
    """Wait for a task on the way out of a cancelled one, however often that is cancelled."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    task.exception()  # seen: the cancellation is what the caller gets
