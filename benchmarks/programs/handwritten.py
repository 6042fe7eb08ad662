"""Sagas by hand: a list of compensations, and a try around the steps."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import restate
from restate import TerminalError

service = restate.Service(os.environ["RESAGA_BENCH_SERVICE"])


async def act(number: int) -> int:
    """A step."""
    return number


async def decline(number: int) -> int:
    """A step that fails for good."""
    raise TerminalError(f"step {number} is declined", status_code=409)


async def undo(number: int) -> None:
    """A compensation."""


def undoing(ctx: restate.Context, number: int) -> Callable[[], Awaitable[None]]:
    """What undoes a step, for the list."""
    return lambda: ctx.run_typed("undo Step", undo, number=number)


@service.handler("run")
async def run(ctx: restate.Context, work: dict[str, Any]) -> int:
    """Steps one after the other."""
    steps, fails = work["steps"], work["fails"]
    done = 0
    compensations: list[Callable[[], Awaitable[None]]] = []
    try:
        for number in range(steps):
            action = decline if fails and number == steps - 1 else act
            compensations.append(undoing(ctx, number))
            done += await ctx.run_typed("Step", action, number=number)
    except TerminalError:
        for compensate in reversed(compensations):
            await compensate()
        raise
    return done


app = restate.app([service])
