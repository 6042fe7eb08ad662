"""The actions of one attempt that are in flight, and how one of them may fail it (R17).

Measured with restate-sdk 1.3.0: an action that fails with an ordinary error fails the whole
attempt at once. What the actions beside it propose after that is lost, and they run again. So
one that fails waits until the others have their results in the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from restate.vm import UnresolvedFuture

from resaga.seam import all_of

__all__ = ["ActionFailing", "InFlight"]


class ActionFailing(BaseException):
    """Ends a poll: an action is about to fail the attempt, and others are to finish first."""


class InFlight:
    """Which actions of this attempt run, and which of them wait to fail it."""

    def __init__(self, wake: Callable[[], Awaitable[None]]) -> None:
        self._wake = wake
        self._begun: set[int] = set()
        self._running: set[int] = set()
        self._untaken: set[int] = set()
        self._failing: set[int] = set()
        self._others_finished: asyncio.Event | None = None
        self._finishing: set[int] | None = None

    def begin(self, handle: int) -> None:
        """An action begins."""
        self._begun.add(handle)
        self._running.add(handle)
        self._untaken.add(handle)

    def taken(self, handle: int) -> None:
        """The result of an action came back from the journal, and went to whoever waited."""
        self._untaken.discard(handle)

    def end(self, handle: int) -> None:
        """An action has ended, and its result or its failure is proposed."""
        self._running.discard(handle)
        self._failing.discard(handle)

    def has_begun_any(self, handles: Iterable[int]) -> bool:
        """Whether one of these is an action that has begun in this attempt."""
        return not self._begun.isdisjoint(handles)

    async def hold_failure(self, handle: int) -> None:
        """Wait until no action runs but those that wait here, too."""
        self._failing.add(handle)
        # The SDK makes a task for each action; those it has made before this one failed begin now.
        await asyncio.sleep(0)
        if self._untaken <= self._failing:
            return
        if self._others_finished is None:
            self._others_finished = asyncio.Event()
        finished = self._others_finished
        await self._wake()
        await finished.wait()

    def before_poll(self) -> None:
        """End a poll when an action waits to fail the attempt, or another one joins it."""
        if self._others_finished is None:
            return
        if self._finishing is None or self._finishing & self._failing:
            raise ActionFailing

    async def let_others_finish(self, poll: Callable[[UnresolvedFuture], Awaitable[None]]) -> None:
        """Wait for the results of all actions but those that fail, then let these fail.

        What they belong to is not resumed meanwhile, so nothing new begins.
        """
        try:
            # Results that are there and not taken yet count as completed for the core.
            while others := self._untaken - self._failing:
                self._finishing = others
                try:
                    await poll(all_of(sorted(others)))
                except ActionFailing:
                    continue
                if not self._running - self._failing:
                    break
        finally:
            self._finishing = None
        # Not when the attempt ends meanwhile, as a serverless one does to have its results
        # journaled: a failure reported now would cost them. The next attempt begins the failing
        # action again, alone.
        event, self._others_finished = self._others_finished, None
        if event is not None:
            event.set()
