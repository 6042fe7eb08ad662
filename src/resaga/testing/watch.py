"""Waiting for the end of a case, and seeing early that there will be none."""

from __future__ import annotations

import asyncio

from resaga.testing.app import RunningSaga, SagaRun
from resaga.testing.controls import Recording
from resaga.testing.errors import CaseTimeout

__all__ = ["Stuck", "until_the_end"]

MANY_ATTEMPTS = 8
"""After so many attempts it is worth asking the server what is the matter."""

LOOK_EVERY = 0.25
"""Seconds between two looks at the number of attempts."""

MISMATCH = "RT0016"
"""Restate's code for a journal that the code does not fit any more."""


class Stuck(Exception):
    """A case has not ended, or never will."""

    def __init__(self, why: str, end: str, recording: Recording) -> None:
        super().__init__(why)
        self.why = why
        self.end = end
        self.recording = recording


async def until_the_end(running: RunningSaga[object], *, fresh: bool) -> SagaRun[object]:
    """Wait until a case has ended.

    Args:
        running: The saga.
        fresh: It runs untouched, so there is nothing to judge if it does not end.

    Raises:
        Stuck: Its journal does not fit its code, or its time is up.
        CaseTimeout: Its time is up, untouched.
    """
    ending = asyncio.ensure_future(running.end())
    looking = asyncio.ensure_future(_mismatch(running))
    try:
        await asyncio.wait({ending, looking}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await running.kill()
            raise Stuck(
                f"it is not deterministic, and stuck for ever: {looking.result()}",
                "is stuck",
                running.recording,
            )
        return ending.result()
    except CaseTimeout as exc:
        if fresh:
            raise
        raise Stuck(
            str(exc).partition(" Its trace until then")[0], "did not end", running.recording
        ) from exc
    finally:
        for task in (ending, looking):
            task.cancel()
        await asyncio.gather(ending, looking, return_exceptions=True)


async def _mismatch(running: RunningSaga[object]) -> str:
    """Wait until the server says that the journal does not fit; gives what it says."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if running.trace.attempts >= MANY_ATTEMPTS and await running.failure_code() == MISMATCH:
            return await running.standing()
