"""R12: what a compensation is told: data or input, and how the step ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from restate import TerminalError

from resaga import (
    DurableStepContext,
    Retry,
    Saga,
    StepResponse,
    create_saga_step,
    saga_workflow,
)
from tests.support import Rig

INPUT = {"order": 7}
TWICE = Retry(max_attempts=2, initial_interval=timedelta(milliseconds=10))

Case = tuple[Callable[[Any], Any], str, bool, Any]
"""What the step returns or raises; outcome, has_data and data that its compensation must get."""


def refuse(value: Any) -> Any:
    """Raise what ends the step."""
    raise TerminalError("declined", 402)


CASES: dict[str, Case] = {
    "output": (lambda _: {"hold": 1}, "completed", True, {"hold": 1}),
    "none": (lambda _: None, "completed", False, INPUT),
    "falsy": (lambda _: 0, "completed", True, 0),
    "response": (lambda _: StepResponse({"hold": 1}), "completed", True, {"hold": 1}),
    "response-of-none": (lambda _: StepResponse(None), "completed", False, INPUT),
    "data": (lambda _: StepResponse("out", ["data"]), "completed", True, ["data"]),
    "data-beside-none": (lambda _: StepResponse(None, "data"), "completed", True, "data"),
    "data-none": (lambda _: StepResponse("out", None), "completed", True, None),
    "both-none": (lambda _: StepResponse(None, None), "completed", True, None),
    "permanent": (lambda _: StepResponse.permanent_failure("no"), "failed", False, INPUT),
    "permanent-data": (
        lambda _: StepResponse.permanent_failure("no", {"part": 1}),
        "failed",
        True,
        {"part": 1},
    ),
    "permanent-data-none": (
        lambda _: StepResponse.permanent_failure("no", None),
        "failed",
        True,
        None,
    ),
    "terminal": (refuse, "failed", False, INPUT),
}

FAILING = ("permanent", "permanent-data", "permanent-data-none", "terminal")
STRICT = [name for name in CASES if name not in FAILING]


def told(rig: Rig) -> tuple[str, bool, Any, Any]:
    """What the compensation of B was told."""
    payload = rig.ledger.payload("undo B")
    return payload["outcome"], payload["has_data"], payload["data"], payload["input"]


@pytest.mark.parametrize("kind", ["async", "plain", "durable"])
@pytest.mark.parametrize("case", CASES)
async def test_r12_hybrid(rig: Rig, case: str, kind: str) -> None:
    returns, outcome, has_data, data = CASES[case]
    a = rig.step("A")
    b = rig.step("B", threaded=kind == "plain", durable=kind == "durable", returns=returns)

    @saga_workflow(rig.name("Hybrid"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, INPUT)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]
    assert told(rig) == (outcome, has_data, data, INPUT)


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize("case", STRICT)
async def test_r12_strict(rig: Rig, case: str, durable: bool) -> None:
    returns, outcome, has_data, data = CASES[case]
    b = rig.step("B", strict=True, durable=durable, returns=returns)

    @saga_workflow(rig.name("Strict"))
    async def workflow(saga: Saga) -> None:
        await b(saga, INPUT)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert told(rig) == (outcome, has_data, data, INPUT)


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r12_a_strict_step_that_failed_is_not_undone(rig: Rig, durable: bool) -> None:
    a = rig.step("A")
    b = rig.step("B", strict=True, durable=durable, returns=refuse)

    @saga_workflow(rig.name("StrictFailed"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, INPUT)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (402, "declined")
    assert rig.ledger.order() == ["do A", "do B", "undo A"]


@pytest.mark.parametrize("threaded", [False, True], ids=["async", "plain"])
async def test_r12_exhausted_retries_are_unknown(rig: Rig, threaded: bool) -> None:
    a = rig.step("A")
    b = rig.step("B", threaded=threaded, fails=ValueError("who knows"), retry=TWICE)

    @saga_workflow(rig.name("Exhausted"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, INPUT)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 500
    assert rig.ledger.order() == ["do A", "do B", "do B", "undo B", "undo A"]
    assert told(rig) == ("unknown", False, INPUT, INPUT)


async def test_r12_a_failure_that_looks_like_exhausted_retries_is_failed(rig: Rig) -> None:
    b = rig.step("B", fails=TerminalError("ValueError('who knows')", 500), retry=TWICE)

    @saga_workflow(rig.name("LooksLike"))
    async def workflow(saga: Saga) -> None:
        await b(saga, INPUT)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert told(rig) == ("failed", False, INPUT, INPUT)


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r12_cancelled_in_flight_and_completed(rig: Rig, durable: bool) -> None:
    gate = rig.gate()
    b = rig.step("B", durable=durable, gate=gate, returns=lambda _: {"hold": 1})

    @saga_workflow(rig.name("CancelledCompleted"))
    async def workflow(saga: Saga) -> None:
        await b(saga, INPUT)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    await invocation.error()
    assert told(rig) == ("completed", True, {"hold": 1}, INPUT)


async def test_r12_cancelled_in_flight_and_failed(rig: Rig) -> None:
    gate = rig.gate()
    b = rig.step(
        "B", gate=gate, returns=lambda _: StepResponse.permanent_failure("no", {"part": 1})
    )

    @saga_workflow(rig.name("CancelledFailed"))
    async def workflow(saga: Saga) -> None:
        await b(saga, INPUT)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    await invocation.error()
    assert told(rig) == ("failed", True, {"part": 1}, INPUT)


async def test_r12_cancelled_without_a_result_is_unknown(rig: Rig) -> None:
    gate = rig.gate()
    b = rig.step("B", gate=gate, fails=ValueError("who knows"))

    @saga_workflow(rig.name("CancelledUnknown"))
    async def workflow(saga: Saga) -> None:
        await b(saga, INPUT)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    await invocation.error()
    assert rig.ledger.order() == ["do B", "undo B"]
    assert told(rig) == ("unknown", False, INPUT, INPUT)


async def test_r12_a_durable_step_cancelled_in_a_wait_is_unknown(rig: Rig) -> None:
    async def run(step: DurableStepContext[Any], value: Any) -> str:
        async def work() -> None:
            rig.ledger.do(step)

        await step.ctx.run_typed("work", work)
        await step.ctx.sleep(timedelta(minutes=10))
        return "slept"

    async def undo(step: Any, data: Any) -> None:
        payload = {"outcome": step.outcome, "has_data": step.has_data, "data": data}

        async def work() -> None:
            rig.ledger.undo(step, {**payload, "input": step.input, "failed": step.failed})

        await step.ctx.run_typed("undo work", work)

    b = create_saga_step("B", run, undo, durable=True)

    @saga_workflow(rig.name("CancelledDurable"))
    async def workflow(saga: Saga) -> None:
        await b(saga, INPUT)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("work", completed=True)
    await invocation.cancel()
    await invocation.error()
    assert told(rig) == ("unknown", False, INPUT, INPUT)
    assert rig.ledger.payload("undo B")["failed"] is True


async def test_r12_the_body_cannot_change_what_the_compensation_gets(rig: Rig) -> None:
    b = rig.step("B", returns=lambda _: {"items": [1]})

    @saga_workflow(rig.name("Mutates"))
    async def workflow(saga: Saga) -> None:
        output: dict[str, list[int]] = await b(saga, INPUT)
        output["items"].append(2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert told(rig)[2] == {"items": [1]}
