"""The actions of one attempt that are in flight, and how one of them may fail it (R17).

Measured with restate-sdk 1.3.0: an action that fails with an ordinary error fails the whole
attempt at once. What the actions beside it propose after that is lost, and they run again. So
one that fails waits until the others have ended and have sent what came of them.

Meanwhile nobody looks for progress. That could begin another action, in an attempt that is as
good as over; and it would take notifications out of the journal that belong to waits to come.
The next attempt, in which nothing waits to fail, would meet them elsewhere: a cancel, say, by
which the core itself writes into the journal, and no replay would come past that place.

For the same reason nobody looks for progress while running actions are waited for whose results
nobody wants any more (`InFlight.ended`): in the next attempt they have not begun, and are not
waited for. What they propose is sent first; so whatever is written after it, the next attempt
finds their results before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

__all__ = ["InFlight"]


class InFlight:
    """Which actions of this attempt run, and which of them wait to fail it.

    Args:
        send: Sends what actions have proposed.
        is_pending: Whether the SDK has not made a task of an action yet.

    Attributes:
        failing: Those that wait to fail the attempt.
    """

    def __init__(
        self, send: Callable[[], Awaitable[None]], is_pending: Callable[[int], bool]
    ) -> None:
        self._send = send
        self._is_pending = is_pending
        self._not_ended: set[int] = set()
        self._begun: set[int] = set()
        self.failing: set[int] = set()
        self._awaited = 0
        self._changed = asyncio.Event()

    def expect(self, handle: int) -> None:
        """An action has no result in the journal; it begins when something waits for it."""
        self._not_ended.add(handle)

    def begin(self, handle: int) -> None:
        """An action begins."""
        self._begun.add(handle)

    async def end(self, handle: int) -> None:
        """An action has ended, and its result or its failure is proposed."""
        self._not_ended.discard(handle)
        self.failing.discard(handle)
        self._tell()
        if self.failing or self._awaited:
            await self._send()  # Nobody looks for progress, so nobody else sends it.

    def has_begun_any(self, handles: Iterable[int]) -> bool:
        """Whether one of these is an action that has begun in this attempt."""
        return not self._begun.isdisjoint(handles)

    def are_any(self, handles: Iterable[int]) -> bool:
        """Whether one of these is an action that is under way.

        A task that was made and has not begun counts: it cannot be held back any more.
        """
        return any(h in self._not_ended and not self._is_pending(h) for h in handles)

    async def hold_failure(self, handle: int) -> None:
        """Wait until no action is under way but those that wait here, too."""
        self.failing.add(handle)
        self._tell()
        await self._send()
        while self.are_any(self._not_ended - self.failing):
            await self._changed.wait()

    async def ended(self, handles: Iterable[int]) -> None:
        """Wait until none of these is under way, and what came of them is sent."""
        handles = set(handles)
        self._awaited += 1
        try:
            while self.are_any(handles):
                await self._changed.wait()
        finally:
            self._awaited -= 1
        await self._send()

    async def settled(self) -> None:
        """Wait until no action waits to fail the attempt."""
        while self.failing:
            await self._changed.wait()

    def _tell(self) -> None:
        # Wakes all that wait now, and none that will.
        self._changed.set()
        self._changed.clear()
