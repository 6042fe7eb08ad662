"""Workflows and modules inside a saga: their compensations join it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from restate import TerminalError

from resaga import (
    MisuseError,
    Saga,
    StepContext,
    create_saga_module,
    run_nested_saga,
    saga_module,
    saga_step,
    saga_workflow,
)
from tests.support import Rig


@dataclass
class Order:
    id: int


async def test_three_levels_deep_the_rollback_is_that_of_one_flat_saga(rig: Rig) -> None:
    a, b, c, d, e, f = rig.steps("A", "B", "C", "D", "E", "F")

    @saga_workflow(rig.name("Inner"))
    async def inner(saga: Saga, order: Order) -> int:
        await c(saga, order.id)
        return order.id + 1

    @saga_module
    async def module(saga: Saga, order: Order, *, plus: int) -> int:
        await b(saga, order.id)
        result = await inner.run_as_step(saga, order)
        await d(saga, order.id)
        return result + plus

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga, order: Order) -> None:
        await a(saga, order.id)

        async def nested(saga: Saga) -> int:
            return await module(saga, order, plus=10)

        assert await run_nested_saga(saga, nested) == order.id + 11
        await e(saga, order.id)
        raise TerminalError("no", 409)

    await rig.serve(outer)
    assert (await rig.fail(outer, {"id": 1})).code == 409
    assert rig.ledger.order() == [
        "do A", "do B", "do C", "do D", "do E",
        "undo E", "undo D", "undo C", "undo B", "undo A",
    ]  # fmt: skip
    keys = [effect.key for effect in rig.ledger.effects(kind="do")]
    assert len(set(keys)) == len(keys)
    assert f.name == "F"


async def test_side_by_side_they_are_branches(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Left"))
    async def left(saga: Saga, order: Order) -> int:
        await a(saga, order.id)
        await a(saga, order.id)
        return order.id

    @saga_workflow(rig.name("Right"))
    async def right(saga: Saga) -> str:
        await b(saga, 1)
        return "right"

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga) -> None:
        results = await saga.gather(left.run_as_step(saga, Order(1)), right.run_as_step(saga))
        assert results == (1, "right")
        raise TerminalError("no", 409)

    await rig.serve(outer)
    await rig.fail(outer)
    assert sorted(rig.ledger.undone()) == ["A", "A", "B"]


async def test_r3_its_own_mapper_is_asked_before_the_sagas(rig: Rig) -> None:
    @saga_step("Raises")
    async def raises(step: StepContext, kind: str) -> None:
        raise KeyError if kind == "key" else ValueError

    def inner_mapper(exc: Exception) -> TerminalError | None:
        return TerminalError("inner", 411) if isinstance(exc, KeyError) else None

    def outer_mapper(exc: Exception) -> TerminalError | None:
        return TerminalError("outer", 412) if isinstance(exc, LookupError | ValueError) else None

    @saga_workflow(rig.name("Inner"), as_terminal_error=inner_mapper)
    async def inner(saga: Saga, kind: str) -> None:
        if kind.startswith("body "):
            raise KeyError
        if kind.startswith("branch "):

            async def fails() -> None:
                raise KeyError

            await saga.gather(fails(), rig.step("Beside")(saga, 1))
        await raises(saga, kind)

    @saga_workflow(rig.name("Outer"), as_terminal_error=outer_mapper)
    async def outer(saga: Saga, kind: str) -> None:
        try:
            await inner.run_as_step(saga, kind)
        except TerminalError as error:
            raise TerminalError(f"caught {error.message}", error.status_code) from None

    await rig.serve(outer)
    for kind, message in (
        ("key", "caught inner"),
        ("value", "caught outer"),
        ("body key", "caught inner"),
        ("branch key", "caught inner"),
    ):
        assert (await rig.fail(outer, kind)).message == message


async def test_r19_a_pivot_in_a_branch_is_refused_in_a_nested_workflow_too(rig: Rig) -> None:
    @saga_workflow(rig.name("Inner"))
    async def inner(saga: Saga) -> None:
        saga.pivot()

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga) -> None:
        try:
            await saga.gather(inner.run_as_step(saga))
        except MisuseError as error:
            raise TerminalError(str(error)) from None

    await rig.serve(outer)
    assert "in a branch of saga.gather" in (await rig.fail(outer)).message


async def test_it_has_the_services_of_the_saga_it_is_in(rig: Rig) -> None:
    @saga_workflow(rig.name("Inner"), services="its own")
    async def inner(saga: Saga[str]) -> str:
        return saga.services

    @saga_workflow(rig.name("Outer"), services="the outer one's")
    async def outer(saga: Saga[str]) -> str:
        return await inner.run_as_step(saga)

    await rig.serve(outer)
    assert await rig.call(outer) == "the outer one's"


async def test_r18_a_savepoint_around_it_undoes_it_alone(rig: Rig) -> None:
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Inner"))
    async def inner(saga: Saga) -> None:
        await b(saga, 1)
        raise TerminalError("no")

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga) -> str:
        await a(saga, 1)
        try:
            async with saga.savepoint():
                await inner.run_as_step(saga)
        except TerminalError:
            return "another way"
        return "?"

    await rig.serve(outer)
    assert await rig.call(outer) == "another way"
    assert rig.ledger.order() == ["do A", "do B", "undo B"]


async def test_r14_r21_misuse(rig: Rig) -> None:
    @saga_workflow(rig.name("Inner"))
    async def inner(saga: Saga) -> None: ...

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga) -> None:
        messages: list[str] = []

        def plain(inner: Saga) -> int:
            return 7

        wrong: Any = inner.run_as_step, run_nested_saga
        for coroutine in (wrong[0]("no saga"), wrong[1](saga, plain)):
            try:
                await coroutine
            except MisuseError as error:
                messages.append(str(error))
            except TerminalError as error:
                messages.append(error.message)
        raise TerminalError(" | ".join(messages))

    await rig.serve(outer)
    message = (await rig.fail(outer)).message
    assert "Its first argument is the saga" in message
    assert "which is no async def" in message


async def test_r14_it_is_out_of_reach_inside_an_action(rig: Rig) -> None:
    held: list[Saga] = []

    @saga_workflow(rig.name("Inner"))
    async def inner(saga: Saga) -> None: ...

    @saga_step("Acts")
    async def acts(step: StepContext, value: int) -> None:
        try:
            await inner.run_as_step(held[0])
        except MisuseError as error:
            raise TerminalError(str(error)) from None

    @saga_workflow(rig.name("Outer"))
    async def outer(saga: Saga) -> None:
        held[:] = [saga]
        await acts(saga, 1)

    await rig.serve(outer)
    assert "run_as_step" in (await rig.fail(outer)).message


def test_r21_what_cannot_be_a_module_is_refused() -> None:
    def plain(saga: Saga) -> None: ...
    async def takes_nothing() -> None: ...

    with pytest.raises(MisuseError, match="not an async def"):
        cast("Any", saga_module)(plain)
    with pytest.raises(MisuseError, match="takes no argument"):
        cast("Any", create_saga_module)(takes_nothing)
