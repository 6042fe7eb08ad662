"""Sagas with resaga."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import restate
from restate import TerminalError

from resaga import CompensationContext, Saga, StepContext, saga_step, saga_workflow

NAME = os.environ["RESAGA_BENCH_SERVICE"]


@dataclass
class Work:
    """What to do."""

    steps: int
    fails: bool


@saga_step("Step")
async def act(step: StepContext, number: int) -> int:
    """A step."""
    return number


@act.compensate
async def undo_act(step: CompensationContext, number: int) -> None:
    """A compensation."""


@saga_step("Step")
async def decline(step: StepContext, number: int) -> int:
    """A step that fails for good."""
    raise TerminalError(f"step {number} is declined", status_code=409)


@decline.compensate
async def undo_decline(step: CompensationContext, number: int) -> None:
    """A compensation."""


@saga_workflow(NAME)
async def run(saga: Saga, work: Work) -> int:
    """Steps one after the other."""
    done = 0
    for number in range(work.steps):
        last = work.fails and number == work.steps - 1
        done += await (decline if last else act)(saga, number)
    return done


@saga_workflow(f"{NAME}Gather")
async def gather(saga: Saga, work: Work) -> int:
    """The same steps side by side."""
    return sum(await saga.gather(*(act(saga, number) for number in range(work.steps))))


@saga_workflow(f"{NAME}Sleep")
async def sleep(saga: Saga, work: Work) -> int:
    """A step, and then nothing for a day."""
    done = await act(saga, work.steps)
    await saga.ctx.sleep(timedelta(days=1))
    return done


app = restate.app([run, gather, sleep])
