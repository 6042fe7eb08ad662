"""An app for tests of `resaga serve` and `resaga dev`: it tells in a folder what it does."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from datetime import timedelta
from pathlib import Path

import restate

from resaga import Saga, StepContext, saga_step, saga_workflow

FOLDER = Path(os.environ["RESAGA_TEST_FOLDER"])

logger = logging.getLogger("shop")


def note(what: str) -> None:
    """Tell that something happened, in which process."""
    with (FOLDER / "told").open("a") as told:
        told.write(f"{what} {os.getpid()}\n")


@saga_step("Hold")
async def hold(step: StepContext, name: str) -> str:
    """Wait until there is a file of a name."""
    note(f"begin {name}")
    while not (FOLDER / name).exists():  # noqa: ASYNC110  # another process makes it
        await asyncio.sleep(0.01)
    note(f"end {name}")
    logger.info("held", extra={"saga": step.saga_id})
    return name


@saga_step("InThread")
def in_thread(step: StepContext, name: str) -> str:
    """The same in a thread."""
    note(f"begin {name}")
    while not (FOLDER / name).exists():
        time.sleep(0.01)
    note(f"end {name}")
    return name


@saga_step("Quick")
async def quick(step: StepContext, name: str) -> str:
    """Tell, and be done."""
    note(f"quick {name}")
    return name


@saga_workflow("Held")
async def held(saga: Saga, name: str) -> str:
    """Hold, and then something quick."""
    await hold(saga, name)
    return await quick(saga, name)


@saga_workflow("Threaded")
async def threaded(saga: Saga, name: str) -> str:
    """Hold in a thread, and then something quick."""
    await in_thread(saga, name)
    return await quick(saga, name)


@saga_workflow("Sleeps")
async def sleeps(saga: Saga, name: str) -> str:
    """Something quick, a long wait, and something quick again."""
    await quick(saga, name)
    await saga.ctx.sleep(timedelta(hours=1), name="long")
    return name


app = restate.app([held, threaded, sleeps])
