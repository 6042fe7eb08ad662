"""R15: a result that cannot be journaled fails its step for good, once, and is compensated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    MisuseError,
    Saga,
    SagaStep,
    StepContext,
    StepResponse,
    UnsupportedTypeError,
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


def _deep() -> dict[str, Any]:
    value: list[Any] = [SECRET]
    for _ in range(100_000):
        value = [value]
    return {"deep": value}


class Lies:
    """Its comparison cannot be relied on."""

    def __eq__(self, other: object) -> bool:
        raise ValueError(SECRET)

    def __hash__(self) -> int:
        return 1


BAD: dict[str, Callable[[], Any]] = {
    "nested too deeply": _deep,
    "infinite": lambda: {"secret": SECRET, "value": float("-inf")},
    "a set": lambda: {"value": {SECRET}},
    "bytes": lambda: {"value": SECRET.encode()},
    "a class": lambda: {"value": Opaque},
    "no comparison": lambda: {SECRET: Lies()},
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


@pytest.mark.parametrize("kind", ["unfit", "no JSON", "too large"])
async def test_r15_data_beside_an_output_that_cannot_be_journaled(rig: Rig, kind: str) -> None:
    """The output is fine; but what the compensation needs would be lost with the process."""
    odd: dict[str, Any] = {"unfit": "x", "no JSON": Opaque(), "too large": [0] * 1000}

    def run(step: StepContext, value: int) -> StepResponse[int, list[int]]:
        rig.ledger.do(step)
        return StepResponse(1, odd[kind])

    async def undo(step: CompensationContext[object, int], data: list[int] | int) -> None:
        rig.ledger.undo(step, [data, step.has_data, step.outcome])

    bad = create_saga_step("Bad", run, undo)

    @saga_workflow(rig.name("BadData"), max_result_size=1000)
    async def workflow(saga: Saga) -> None:
        await bad(saga, 7)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 500
    assert "step 'Bad' of saga" in error.message
    assert SECRET not in error.message
    assert rig.ledger.order() == ["do Bad", "undo Bad"], "in a thread, too"
    assert rig.ledger.payload("undo Bad") == [7, False, "unknown"]


async def test_r15_data_of_a_failure_that_is_too_large(rig: Rig) -> None:
    large: StepResponse[Any, Any] = StepResponse.permanent_failure(
        "declined", [SECRET] * 500, status_code=402
    )
    bad = rig.step("Bad", returns=lambda _: large)

    @saga_workflow(rig.name("LargeData"), max_result_size=1000)
    async def workflow(saga: Saga) -> None:
        await bad(saga, 7)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 402
    assert error.message.startswith("declined")
    assert SECRET not in error.message
    assert rig.ledger.order() == ["do Bad", "undo Bad"]
    told = rig.ledger.payload("undo Bad")
    assert (told["data"], told["has_data"], told["outcome"]) == (7, False, "unknown")


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


@pytest.mark.parametrize("over", [0, 1])
async def test_r15_the_limit_is_on_what_stands_in_the_journal(rig: Rig, over: int) -> None:
    async def run(step: StepContext) -> str:
        rig.ledger.do(step)
        around = msgspec.json.encode(
            {"key": step.idempotency_key, "output": "", "about": {"undo": False}}
        )
        return "x" * (2000 - len(around) + over)

    step = create_saga_step("Exact", run)

    @saga_workflow(rig.name("Limit"), max_result_size=2000)
    async def workflow(saga: Saga) -> int:
        return len(await step(saga))

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    if over:
        assert "takes 2,001 bytes in the journal" in (await invocation.error()).message
    else:
        await invocation.result()
        (raw,) = [entry.raw for entry in await invocation.journal() if entry.name == "Exact"]
        assert len(raw) == 2000
    assert rig.ledger.order() == ["do Exact"]


@pytest.mark.parametrize("mebibytes", [7, 9])
async def test_r15_the_limit_is_8_mib_unless_told(rig: Rig, mebibytes: int) -> None:
    async def run(step: StepContext, size: int) -> str:
        rig.ledger.do(step)
        return "x" * (size * 1024 * 1024)

    async def undo(step: CompensationContext[object, int], data: str | int) -> None:
        rig.ledger.undo(step, data)

    step = create_saga_step("Large", run, undo)

    @saga_workflow(rig.name("Large"))
    async def workflow(saga: Saga, size: int) -> int:
        return len(await step(saga, size)) // 1024 // 1024

    await rig.serve(workflow)
    if mebibytes < 8:
        assert await rig.call(workflow, mebibytes) == mebibytes
        assert rig.ledger.order() == ["do Large"]
    else:
        error = await rig.fail(workflow, mebibytes)
        assert error.code == 500
        assert "max_result_size is 8,388,608" in error.message
        assert rig.ledger.order() == ["do Large", "undo Large"]
        assert rig.ledger.payload("undo Large") == mebibytes


@pytest.mark.parametrize("kind", ["code", "range", "huge", "bool", "message", "surrogate"])
@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r15_a_permanent_failure_that_cannot_be_journaled_as_it_is(
    rig: Rig, kind: str, durable: bool
) -> None:
    """It is a result, too: the effect is not repeated for the sake of its status code."""
    failure: Callable[..., StepResponse[Any, Any]] = StepResponse.permanent_failure
    odd: dict[str, Callable[[], StepResponse[Any, Any]]] = {
        "code": lambda: failure("declined", status_code="402"),
        "range": lambda: failure("declined", status_code=70_000),
        "huge": lambda: failure("declined", status_code=10**30),
        "bool": lambda: failure("declined", status_code=True),
        "message": lambda: failure(7),
        "surrogate": lambda: failure("declined \ud800"),
    }

    step = rig.step("Odd", durable=durable, returns=lambda value: odd[kind]())

    @saga_workflow(rig.name("OddFailure"))
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 500
    assert error.message.startswith("7" if kind == "message" else "declined")
    assert rig.ledger.order() == ["do Odd", "undo Odd"]
    assert rig.ledger.payload("undo Odd")["outcome"] == "failed"


async def run_early(step: StepContext) -> Later:
    return Later(3)


async def run_unfit(step: StepContext) -> LaterUnion:
    raise NotImplementedError


# Made before the types that their functions name.
early = create_saga_step("Early", run_early)
unfit = create_saga_step("Unfit", run_unfit)


@dataclass
class Later:
    value: int


@dataclass
class Likewise:
    value: int


LaterUnion = Later | Likewise


async def test_r15_types_that_are_defined_later_are_checked_at_the_first_use(rig: Rig) -> None:
    told: list[str] = []

    @saga_workflow(rig.name("Early"))
    async def workflow(saga: Saga) -> int:
        output = await early(saga)
        assert type(output) is Later
        try:
            await unfit(saga)
        except UnsupportedTypeError as error:
            told.append(str(error))
        return output.value

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == 3
    assert await invocation.runs() == ["Early"], "what cannot be read is not run"
    assert "step 'Unfit'" in told[0]
