"""Playing the acts on the stage, and telling on the screen what happens."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import Never

from resaga.cli.demo.acts import ACTS, Act, Result
from resaga.cli.demo.events import Event
from resaga.cli.demo.screen import Screen
from resaga.cli.demo.shop import count, money
from resaga.cli.demo.stage import Answer, Stage
from resaga.errors import ResagaError

__all__ = ["ActTimeout", "play", "watch"]

LIMIT = 30.0
"""Seconds after which an act is given up: against a hang, none takes a tenth of it."""

ENDS = frozenset({"saga_completed", "saga_failed"})


class ActTimeout(ResagaError):
    """An act did not come to its end."""


async def play(stage: Stage, screen: Screen, acts: Iterable[Act] = ACTS) -> bool:
    """Play all acts, and return whether all that had to hold did."""
    acts = tuple(acts)
    began = time.monotonic()
    held = 0
    for number, act in enumerate(acts, 1):
        screen.act(number, len(acts), act.title, act.story)
        try:
            async with asyncio.timeout(LIMIT):
                result = await _Performance(stage, screen, act).play()
        except TimeoutError:
            raise ActTimeout(
                f"act {number} ({act.title}) has not ended after {LIMIT:.0f} s. What its worker "
                f"said last:\n{stage.worker_log()}"
            ) from None
        checks = act.checks(act.order, result)
        screen.database(result.before, result.after)
        screen.checks(checks)
        held += all(check.held for check in checks)
    screen.end(held, len(acts), time.monotonic() - began)
    return held == len(acts)


async def watch(stage: Stage, screen: Screen) -> Never:
    """Tell what happens in sagas that others start, until cancelled."""
    clock, starts = _Clock(), _Starts()
    while True:
        event = await stage.events.get()
        if event.kind == "saga_started":
            clock, starts = _Clock(), _Starts()
            screen.gap()
        screen.happened(clock(), event, again=starts.again(event))


class _Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._began


class _Starts:
    """How often each step, and each compensation (``undo`` and the step), was started."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def again(self, event: Event) -> bool:
        """Count it, if it is a start; return whether the same had been started before."""
        match event.kind:
            case "step_started":
                what = event.step
            case "compensation_started":
                what = f"undo {event.step}"
            case _:
                return False
        self.counted[what] += 1
        return self.counted[what] > 1


class _Performance:
    """One act, being played."""

    def __init__(self, stage: Stage, screen: Screen, act: Act) -> None:
        self._stage = stage
        self._screen = screen
        self._act = act
        self._clock = _Clock()
        self._starts = _Starts()
        self._kills = 0

    async def play(self) -> Result:
        """Order, watch until the saga has ended, and compare the database with before."""
        stage, order = self._stage, self._act.order
        before = await stage.shop.snapshot(order.id)
        if self._act.trap is not None:
            stage.trap.set(self._act.trap)
        self._screen.ordered(
            self._clock(),
            f"orders {count(order.quantity, order.product)} for {money(order.amount)}, "
            f"to {order.city}",
        )
        answer = await self._order_and_watch()
        self._screen.answered(self._clock(), answer.status, answer.text)
        return Result(
            status=answer.status,
            before=before,
            after=await stage.shop.snapshot(order.id),
            starts=self._starts.counted,
            kills=self._kills,
        )

    async def _order_and_watch(self) -> Answer:
        asking = asyncio.create_task(self._stage.order(self._act.order))
        watching = asyncio.create_task(self._watch())
        try:
            # If one fails, the other would wait in vain.
            done, _ = await asyncio.wait({asking, watching}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            return asking.result()
        finally:
            asking.cancel()
            watching.cancel()
            await asyncio.gather(asking, watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Tell what happens, and kill whoever sits in the trap, until the saga ends."""
        saga_id = ""
        while True:
            event = await self._stage.events.get()
            if event.kind == "trapped":
                await self._kill_and_replace(event.text)
                continue
            if event.kind == "saga_started" and not saga_id:
                saga_id = event.saga_id
            if event.saga_id not in {"", saga_id}:
                continue  # Late news of an earlier act: events are told at least once.
            self._screen.happened(self._clock(), event, again=self._starts.again(event))
            if event.kind in ENDS:
                return

    async def _kill_and_replace(self, point: str) -> None:
        """Kill the worker that waits in the trap, and put another in its place."""
        self._stage.trap.remove()
        self._kills += 1
        pid = self._stage.worker.pid
        self._screen.killed(
            self._clock(), pid, f"SIGKILL: {point} committed, not in the journal yet"
        )
        successor = await self._stage.replace_worker()
        self._screen.replaced(self._clock(), successor)
