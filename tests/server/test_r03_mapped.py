"""R3: mappers and registered classes, in their order, and never for compensations."""

from __future__ import annotations

import pytest
from restate import TerminalError

from resaga import (
    Saga,
    register_terminal_errors,
    saga_workflow,
    set_global_error_mapper,
    unregister_terminal_errors,
)
from resaga.classify import ErrorMapper
from tests.support import Rig


class Refused(Exception):
    """Registered, or mapped, by these tests."""


class VeryRefused(Refused):
    """More derived."""


def says(who: str) -> ErrorMapper:
    """A mapper that maps `Refused` and tells who did it."""
    return lambda exc: TerminalError(who, 409) if isinstance(exc, Refused) else None


PLACES = ["step", "workflow", "registry", "global"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize("first", PLACES)
async def test_r03_order_in_a_step(rig: Rig, first: str, durable: bool) -> None:
    there = PLACES[PLACES.index(first) :]
    if "registry" in there:
        register_terminal_errors({Refused: 410})
    set_global_error_mapper(says("global"))
    mapper = says("step") if "step" in there else None
    a = rig.step("A")

    def refuse(value: object) -> object:
        raise Refused("registry")

    b = rig.step("B", durable=durable, returns=refuse, as_terminal_error=mapper)

    @saga_workflow(
        rig.name("Order"), as_terminal_error=says("workflow") if "workflow" in there else None
    )
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code) == (first, 410 if first == "registry" else 409)
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


@pytest.mark.parametrize("first", PLACES[1:])
async def test_r03_order_in_the_body(rig: Rig, first: str) -> None:
    there = PLACES[PLACES.index(first) :]
    if "registry" in there:
        register_terminal_errors({Refused: 410})
    set_global_error_mapper(says("global"))
    a = rig.step("A", as_terminal_error=says("step"))

    @saga_workflow(
        rig.name("OrderBody"), as_terminal_error=says("workflow") if "workflow" in there else None
    )
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise Refused("registry")

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code) == (first, 410 if first == "registry" else 409)
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r03_the_most_derived_class_wins(rig: Rig) -> None:
    register_terminal_errors({Exception: 500, VeryRefused: 411, Refused: 410})
    a = rig.step("A", fails=VeryRefused("very"))

    @saga_workflow(rig.name("Derived"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code) == ("very", 411)


async def test_r03_the_step_is_not_asked_for_errors_of_the_body(rig: Rig) -> None:
    a = rig.step("A", as_terminal_error=says("step"))
    raised: list[int] = []

    @saga_workflow(rig.name("NotMine"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        if not raised:
            raised.append(1)
            raise Refused
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A"]


async def test_r03_unregistered_is_ordinary_again(rig: Rig) -> None:
    register_terminal_errors([Refused])
    unregister_terminal_errors([Refused])
    a = rig.step("A", fails=lambda n: Refused() if n == 1 else None)

    @saga_workflow(rig.name("Unregistered"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A", "do A"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r03_errors_of_compensations_are_never_mapped(rig: Rig, durable: bool) -> None:
    register_terminal_errors([Refused])
    set_global_error_mapper(says("global"))
    a = rig.step("A")
    b = rig.step(
        "B",
        durable=durable,
        undo_fails=lambda n: Refused("not yet") if n < 3 else None,
        as_terminal_error=says("step"),
    )

    @saga_workflow(rig.name("Never"), as_terminal_error=says("workflow"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        raise TerminalError("no", 418)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.message, error.code, error.metadata) == ("no", 418, {})
    assert rig.ledger.undone() == ["B", "B", "B", "A"]
