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
from resaga.cli.demo.stage import Stage
from resaga.errors import ResagaError

__all__ = ["ActTimeout", "play", "watch"]

LIMIT = 60.0
"""Seconds after which an act is given up: against a hang, none takes a tenth of it."""

ENDS = frozenset({"saga_completed", "saga_failed"})
STARTS = {"step_started": "", "compensation_started": "undo "}


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
                f"said last: {stage.worker_log()}"
            ) from None
        checks = act.checks(act.order, result)
        screen.database(result.before, result.after)
        screen.checks(checks)
        held += all(check.held for check in checks)
    screen.end(held, len(acts), time.monotonic() - began)
    return held == len(acts)


async def watch(stage: Stage, screen: Screen) -> Never:
    """Tell what happens in sagas that others start, until cancelled."""
    clock = _Clock()
    while True:
        event = await stage.events.get()
        if event.kind == "saga_started":
            clock = _Clock()
        screen.happened(clock(), event, again=False)


class _Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._began


class _Performance:
    """One act, being played."""

    def __init__(self, stage: Stage, screen: Screen, act: Act) -> None:
        self._stage = stage
        self._screen = screen
        self._act = act
        self._clock = _Clock()
        self._starts: Counter[str] = Counter()
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
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(stage.order(order))
            await self._watch()
        answer = asking.result()
        self._screen.answered(self._clock(), answer.status, answer.text)
        return Result(
            status=answer.status,
            before=before,
            after=await stage.shop.snapshot(order.id),
            starts=self._starts,
            kills=self._kills,
        )

    async def _watch(self) -> None:
        """Tell what happens, and kill whoever sits in the trap, until the saga ends."""
        while True:
            event = await self._stage.events.get()
            if event.kind == "trapped":
                await self._kill_and_replace(event.text)
                continue
            self._screen.happened(self._clock(), event, again=self._count(event))
            if event.kind in ENDS:
                return

    def _count(self, event: Event) -> bool:
        """Count the start of something; return whether it had been started before."""
        if event.kind not in STARTS:
            return False
        what = STARTS[event.kind] + event.step
        self._starts[what] += 1
        return self._starts[what] > 1

    async def _kill_and_replace(self, point: str) -> None:
        """Kill the worker that waits in the trap, and put another in its place."""
        self._stage.trap.remove()
        self._kills += 1
        pid = self._stage.worker.pid
        self._screen.killed(
            self._clock(), pid, f"SIGKILL: the {point} is committed, Restate does not know of it"
        )
        successor = await self._stage.replace_worker()
        self._screen.replaced(self._clock(), successor)
