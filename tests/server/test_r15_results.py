"""R15: a result that cannot be journaled fails its step for good, once, and is compensated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    MisuseError,
    Saga,
    SagaStep,
    StepContext,
    StepResponse,
    create_saga_step,
    create_saga_step_strict,
    saga_workflow,
)
from tests.support import Rig

SECRET = "s3cr3t-payload"


@dataclass
class Held:
    id: int


class Opaque:
    def __repr__(self) -> str:
        return SECRET


def _cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"secret": SECRET}
    value["self"] = value
    return value


BAD: dict[str, Callable[[], Any]] = {
    "no JSON": lambda: {"secret": SECRET, "value": Opaque()},
    "no number": lambda: {"secret": SECRET, "value": float("nan")},
    "a cycle": _cyclic,
    "a lone surrogate": lambda: {"secret": SECRET, "value": "\ud800"},
    "too large": lambda: {"secret": SECRET, "value": "x" * 2000},
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("strict", [False, True], ids=["hybrid", "strict"])
async def test_r15_what_cannot_be_journaled_fails_the_step_once(
    rig: Rig, kind: str, strict: bool
) -> None:
    async def run(step: StepContext, value: int) -> dict[str, Any]:
        rig.ledger.do(step, value)
        result: dict[str, Any] = BAD[kind]()
        return result

    async def undo(step: CompensationContext[object, int], data: Any) -> None:
        rig.ledger.undo(step, [data, step.has_data, step.outcome])

    make: Callable[..., SagaStep[int, Any]] = (
        create_saga_step_strict if strict else create_saga_step
    )
    bad = make("Bad", run, undo)
    before = rig.step("Before")

    @saga_workflow(rig.name("Bad"), max_result_size=1000)
    async def workflow(saga: Saga) -> None:
        await before(saga, 0)
        await bad(saga, 7)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    undone = ["undo Before"] if strict else ["undo Bad", "undo Before"]
    assert rig.ledger.order() == ["do Before", "do Bad", *undone]
    if not strict:
        assert rig.ledger.payload("undo Bad") == [7, False, "unknown"]
    assert error.code == 500
    assert "step 'Bad' of saga" in error.message
    assert SECRET not in error.message
    assert not error.metadata


async def test_r15_what_does_not_read_back_as_its_type_fails_the_step(rig: Rig) -> None:
    async def run(step: StepContext) -> Held:
        rig.ledger.do(step)
        return Held(id=SECRET)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    bad = create_saga_step("Bad", run)

    @saga_workflow(rig.name("Unreadable"))
    async def workflow(saga: Saga) -> None:
        await bad(saga)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert rig.ledger.order() == ["do Bad"]
    assert "expected int, got str" in error.message
    assert SECRET not in error.message


async def test_r15_data_of_a_failure_that_cannot_be_journaled(rig: Rig) -> None:
    """The failure stands, and the compensation gets the input."""

    async def run(step: StepContext, value: int) -> StepResponse[int, Any]:
        rig.ledger.do(step)
        return StepResponse.permanent_failure("declined", {"x": Opaque()}, status_code=402)

    async def undo(step: CompensationContext[object, int], data: Any) -> None:
        rig.ledger.undo(step, [data, step.has_data, step.outcome])

    bad = create_saga_step("Bad", run, undo)

    @saga_workflow(rig.name("BadData"))
    async def workflow(saga: Saga) -> None:
        await bad(saga, 7)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert rig.ledger.order() == ["do Bad", "undo Bad"]
    assert rig.ledger.payload("undo Bad") == [7, False, "unknown"]
    assert error.code == 402
    assert error.message.startswith("declined")
    assert SECRET not in error.message


async def test_r15_a_message_too_long_for_the_journal_is_cut(rig: Rig) -> None:
    step = rig.step("Long", fails=TerminalError("x" * 5000, 418))

    @saga_workflow(rig.name("Long"), max_result_size=2000)
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 418
    assert error.message == "x" * 1000
    assert rig.ledger.order() == ["do Long", "undo Long"]


async def test_r15_a_name_that_never_resolves_is_told_with_its_mend(rig: Rig) -> None:
    told: list[str] = []

    async def run(step: StepContext) -> None:
        """Never runs."""

    run.__annotations__["return"] = "Nowhere"
    bad = create_saga_step("Bad", run)

    @saga_workflow(rig.name("Nowhere"))
    async def workflow(saga: Saga) -> None:
        try:
            await bad(saga)
        except MisuseError as error:
            told.append(str(error))
            raise TerminalError("told", 400) from None

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).message == "told"
    assert "'Nowhere'" in told[0]
    assert "Define or import the type at module level" in told[0]
