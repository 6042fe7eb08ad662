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
    """Which actions of this attempt run, and which of them wait to fail it.

    Args:
        wake: Makes a poll look for progress again.
        is_pending: Whether the SDK has not made a task of an action yet.
    """

    def __init__(
        self, wake: Callable[[], Awaitable[None]], is_pending: Callable[[int], bool]
    ) -> None:
        self._wake = wake
        self._is_pending = is_pending
        self._untaken: set[int] = set()
        self._begun: set[int] = set()
        self._failing: set[int] = set()
        self._failed = asyncio.Event()
        self._finishing: set[int] | None = None
        self._others_finished: asyncio.Event | None = None

    def expect(self, handle: int) -> None:
        """An action has no result in the journal; it begins when something waits for it."""
        self._untaken.add(handle)

    def begin(self, handle: int) -> None:
        """An action begins."""
        self._begun.add(handle)

    def end(self, handle: int) -> None:
        """An action has ended, and its result or its failure is proposed."""
        self._failing.discard(handle)
        if not self._failing:
            self._failed.set()

    def taken(self, handle: int) -> None:
        """The result of an action came back from the journal, and went to whoever waited."""
        self._untaken.discard(handle)

    def has_begun_any(self, handles: Iterable[int]) -> bool:
        """Whether one of these is an action that has begun in this attempt."""
        return not self._begun.isdisjoint(handles)

    async def hold_failure(self, handle: int) -> None:
        """Wait until no action is under way but those that wait here, too."""
        self._failing.add(handle)
        self._failed.clear()
        if not self._others():
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
            while others := self._others():
                self._finishing = others
                try:
                    await poll(all_of(sorted(others)))
                except ActionFailing:
                    continue
                break
        finally:
            self._finishing = None
        # Not when the attempt ends meanwhile, as a serverless one does to have its results
        # journaled: a failure reported now would cost them. The next attempt begins the failing
        # action again, alone.
        event, self._others_finished = self._others_finished, None
        if event is not None:
            event.set()
            # And not before they have failed may anybody look for progress: it could begin
            # another action, in an attempt that is over.
            await self._failed.wait()

    def _others(self) -> set[int]:
        """What is under way, its result not taken yet, and does not wait to fail.

        A task that was made and has not begun counts: it cannot be held back any more.
        """
        return {h for h in self._untaken - self._failing if not self._is_pending(h)}
