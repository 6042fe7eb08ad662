"""What `resaga.seam` and `resaga.branches` assume of how the SDK waits, beside test_seam.py."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from restate.extensions import current_context
from restate.server_context import LazyFuture
from restate.vm import Run

from resaga import Saga, saga_workflow
from resaga.seam import SagaContext
from tests.support import Rig

LOOK = "the SDK has changed what resaga.seam builds on: compare it with the SDK's new code"


def test_the_range_of_the_sdk_is_that_of_the_project_file() -> None:
    """And the version that all of this was tried with is in it."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    declared = [Requirement(each) for each in project["project"]["dependencies"]]
    (sdk,) = [each for each in declared if each.name == "restate-sdk"]
    assert {str(part) for part in sdk.specifier} == {">=1.3", "<1.4"}, (
        "try the tests of the seam and of the server with the new version, then pin it here, too"
    )
    assert importlib.metadata.version("restate-sdk") in sdk.specifier, LOOK
    needs = map(Requirement, importlib.metadata.requires("resaga") or [])
    assert sdk.specifier in [each.specifier for each in needs if each.name == "restate-sdk"]


async def test_a_lazy_future_runs_once_and_in_a_task_of_its_own() -> None:
    """`resaga.branches` lets others go on while such a task runs, and gives it its branch."""
    tasks: list[asyncio.Task[Any] | None] = []

    async def work() -> int:
        tasks.append(asyncio.current_task())
        return 7

    future: Any = LazyFuture(work)
    assert not future.done(), LOOK
    assert await future == 7
    assert await future.get() == 7
    assert future.done(), LOOK
    assert len(tasks) == 1, "resaga.branches: a future of the SDK was made once, and awaited twice"
    assert tasks[0] is future.task, LOOK
    assert tasks[0] is not asyncio.current_task(), LOOK


async def test_the_handler_and_the_sdk_hold_the_context_whose_class_was_changed(rig: Rig) -> None:
    """Nobody is left with another object: what the SDK's combinators compare is this one."""
    held: list[tuple[bool, bool, bool]] = []

    @saga_workflow(rig.name("SameContext"))
    async def workflow(saga: Saga) -> None:
        ctx: Any = saga.ctx
        future: Any = ctx.sleep(timedelta(milliseconds=10))
        held.append((current_context() is ctx, future.context is ctx, isinstance(ctx, SagaContext)))
        await future

    await rig.serve(workflow)
    await rig.call(workflow)
    assert set(held) == {(True, True, True)}, LOOK


def test_a_run_has_a_handle_and_says_whether_it_is_replayed() -> None:
    assert {field.name for field in dataclasses.fields(Run)} == {"replayed", "handle"}, LOOK
