"""When a saga is rolled back (R1 to R5), and what its rollback does (R6 to R12)."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from restate import TerminalError
from restate.exceptions import RetryableError

from resaga import (
    Saga,
    StepResponse,
)
from resaga.testing import (
    cancel,
    error,
    permanent_failure,
)
from tests.testing.scenarios.table import (
    DECLINED,
    DECLINES,
    QUICK,
    STRICT,
    A,
    B,
    OrderFailed,
    OutOfStock,
    Refused,
    mapped,
    scenario,
    step,
)
from tests.testing.shop import World


@scenario("R1: a body's own terminal error")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    await STRICT(saga, product)
    raise TerminalError("changed my mind", 410, metadata={"why": "rain"})


@scenario("R1: a step's terminal error, metadata and all")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await DECLINES(saga, product)


@scenario("R2: an error that is terminal by its cause")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    try:
        return await DECLINES(saga, product)
    except TerminalError as exc:
        raise OrderFailed("no order") from exc


@scenario("R2: a group of terminal errors")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    raise ExceptionGroup("both", [DECLINED, TerminalError("sold out", 409)])


@scenario("R2: retryable before terminal in the chain is tried again")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    if "again" not in saga.services.log:
        saga.services.log.append("again")
        raise RetryableError("busy", retry_after=timedelta(milliseconds=5)) from DECLINED
    return await B(saga, product)


@scenario("R3: what the step maps")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await step("Mapped", raises=OrderFailed("no"), as_terminal_error=mapped)(saga, product)


@scenario("R3: what the workflow maps", options={"as_terminal_error": mapped})
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await step("Unmapped", raises=OrderFailed("no"))(saga, product)


@scenario("R3: what is registered, out of the body")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    raise OutOfStock("none left")


@scenario("R3: what the global mapper knows")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await step("Refuses", raises=Refused("no"))(saga, product)


@scenario("R4: an ordinary error is tried again", error("B", times=2, after_effect=True))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await B(saga, product)


@scenario("R5: a caught error undoes nothing")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    with suppress(TerminalError):
        await DECLINES(saga, product)
    return await B(saga, product)


@scenario("R5: what was caught is undone if the saga fails later")
async def _(saga: Saga[World], product: str) -> object:
    with suppress(TerminalError):
        await DECLINES(saga, product)
    await A(saga, product)
    raise DECLINED


@scenario("R5: a cancel cannot be swallowed", cancel("A"))
async def _(saga: Saga[World], product: str) -> object:
    with suppress(TerminalError):
        await A(saga, product)
    with suppress(TerminalError):
        await B(saga, product)
    return "as if nothing were"


@scenario("R7: strict, and completed while the saga was cancelled", cancel("Strict"))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    await STRICT(saga, product)
    return await B(saga, product)


@scenario("R8: cancelled again while it is undone", cancel("B"), cancel("B", undo=True))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await B(saga, product)


@scenario("R9, R10: compensations that fail for good stop no other")
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    await step("Sticks", undo_raises=TerminalError("stuck", 423))(saga, product)
    await B(saga, product)
    await step("Jams", undo_raises=TerminalError("jammed"))(saga, product)
    raise DECLINED


@scenario("R11: a compensation is tried again", error("A", undo=True, times=2))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    raise DECLINED


@scenario("R12: the outcome is unknown when retries are used up", error("Flaky", times=None))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await step("Flaky", retry=QUICK)(saga, product)


@scenario("R12: data, none, and data that is None")
async def _(saga: Saga[World], product: str) -> object:
    await step("Data", gives=StepResponse("out", {"hold": 7}))(saga, product)
    await step("Input", gives=StepResponse(None))(saga, product)
    await step("None", gives=StepResponse("out", None))(saga, product)
    no = StepResponse.permanent_failure("no", {"part": 1}, status_code=409)
    return await step("Part", gives=no)(saga, product)


@scenario("R12: a failure without data", permanent_failure("B", "no", status_code=402))
async def _(saga: Saga[World], product: str) -> object:
    await A(saga, product)
    return await B(saga, product)
