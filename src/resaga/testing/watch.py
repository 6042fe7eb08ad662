"""Waiting for the end of a case, what is done meanwhile, and seeing early that there is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from resaga.testing.cases import Case
from resaga.testing.controls import Recording
from resaga.testing.errors import CaseTimeout
from resaga.testing.running import RunningSaga, SagaRun
from resaga.testing.states import raised
from resaga.testing.trace import Trace

__all__ = ["Meanwhile", "Stuck", "beside", "until_the_end"]

Meanwhile: TypeAlias = Callable[[RunningSaga[object]], Coroutine[Any, Any, object]]
"""What a test does while a saga runs."""

GRACE = 1.0
"""Seconds that what runs beside a case has after its end."""

MANY_ATTEMPTS = 8
"""After so many attempts it is worth asking the server what is the matter."""

MANY_FAILURES = 12
"""A step or compensation that fails so often, and not by a fault, will not work any more."""

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


async def until_the_end(running: RunningSaga[object], case: Case) -> SagaRun[object]:
    """Wait until a case has ended.

    Raises:
        Stuck: Its journal does not fit its code, something fails again and again, or its time
            is up.
        CaseTimeout: Its time is up, untouched: there is nothing to judge.
    """
    over = asyncio.Event()
    ending = asyncio.ensure_future(running.end())
    looking = asyncio.ensure_future(_hopeless(running, case, over))
    try:
        await asyncio.wait({ending, looking}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done() and (why := looking.result()) is not None:
            await running.kill()
            raise Stuck(why, "is stuck", running.recording)
        return await ending
    except CaseTimeout as exc:
        if not case.faults:
            raise
        why = str(exc).partition(" Its trace until then")[0]
        raise Stuck(why, "did not end", running.recording) from exc
    finally:
        # Neither is cancelled: a request that is cut off may leave its socket open.
        over.set()
        await asyncio.gather(ending, looking, return_exceptions=True)


@asynccontextmanager
async def beside(
    meanwhile: Meanwhile | None, running: RunningSaga[object], case: Case
) -> AsyncGenerator[None]:
    """What the test does while a saga runs. If it raises, there is nothing to wait for."""
    if meanwhile is None:
        yield
        return

    async def act() -> None:
        try:
            await meanwhile(running)
        except Exception as exc:
            await running.kill()
            raise raised(meanwhile, case, exc) from exc

    acting = asyncio.ensure_future(act())
    try:
        yield
    finally:
        # A request of its that is cut off may leave its socket open, so it has a moment for that.
        await asyncio.wait({acting}, timeout=GRACE)
        acting.cancel()
        await asyncio.wait({acting})
        if not acting.cancelled() and (error := acting.exception()) is not None:
            raise error


async def _hopeless(running: RunningSaga[object], case: Case, over: asyncio.Event) -> str | None:
    """Wait until it is clear that it will not end, and give why; or until it has ended."""
    # Untouched, the time limit tells best; and retries that a fault uses up are no surprise.
    patient = not case.faults or any(
        fault.kind == "error" and fault.times is None for fault in case.faults
    )
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await over.wait()
        if (again := _again_and_again(running.trace)) is not None and not patient:
            return f"{again}. It is {await running.standing()}"
        if running.trace.attempts >= MANY_ATTEMPTS and await running.failure_code() == MISMATCH:
            return f"it is not deterministic, and stuck for ever: {await running.standing()}"
    return None


def _again_and_again(trace: Trace) -> str | None:
    """What fails more often than any fault makes it."""
    labels = {(e.subject, e.path): e.label for e in trace.events}
    failed = Counter((e.subject, e.path) for e in trace.events if e.retried)
    for which, times in failed.items():
        if times >= MANY_FAILURES:
            return f"{labels[which]} has failed {times} times, and is tried again for ever"
    return None
