"""Sagas with the package `restate-saga` 0.1.0 from PyPI, as its README says."""
# It is installed in a folder of its own, where type checkers do not look.
# mypy: disable-error-code="import-not-found"
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
from typing import Any

import restate
from restate_saga import SagaContext, StepResponse, create_saga_step, create_saga_workflow


async def undo(number: int, *, failed: bool = False) -> None:
    """A compensation."""


async def act(ctx: restate.Context, number: int) -> StepResponse:
    """A step."""
    return StepResponse(output=number, compensation_data=number)


async def decline(ctx: restate.Context, number: int) -> StepResponse:
    """A step that fails for good."""
    raise restate.TerminalError(f"step {number} is declined", status_code=409)


act_step = create_saga_step("Step", act, undo)
decline_step = create_saga_step("Step", decline, undo)


async def run(saga: SagaContext, work: dict[str, Any]) -> int:
    """Steps one after the other."""
    done = 0
    for number in range(work["steps"]):
        last = work["fails"] and number == work["steps"] - 1
        done += await (decline_step if last else act_step)(saga, number)
    return done


app = restate.app([create_saga_workflow(os.environ["RESAGA_BENCH_SERVICE"], run)])
