"""R17, R11: an ordinary error beside a step whose retries are exhausted."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from restate import TerminalError

from resaga import Retry, Saga, saga_workflow
from tests.support import Rig


def hiccup(attempt: int) -> Exception | None:
    return ValueError("a hiccup") if attempt == 1 else None


async def test_r17_a_hiccup_after_an_exhausted_step_in_a_branch(rig: Rig) -> None:
    a = rig.step(
        "A",
        fails=lambda n: ValueError("never"),
        retry=Retry(max_attempts=2, initial_interval=timedelta(milliseconds=10)),
    )
    b = rig.step("B", fails=hiccup)

    async def branch(saga: Saga) -> None:
        with contextlib.suppress(TerminalError):
            await a(saga, 1)
        await b(saga, 1)

    @saga_workflow(rig.name("Exhausted"))
    async def workflow(saga: Saga) -> str:
        await saga.gather(branch(saga))
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
